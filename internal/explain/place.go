package explain

import (
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Place is where a value stands, and what it is.
type Place struct {
	// File is relative to the workspace, or to the library where BuiltIn is set; of
	// a value that was given on the command line it is the flag.
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	BuiltIn bool   `json:"builtIn,omitempty"`
	// Whole says that the place is a file as a whole.
	Whole bool   `json:"whole,omitempty"`
	Path  string `json:"path,omitempty"` // inside of the file
	Value any    `json:"value"`
	// Because says how kai came from the place to the value, where it did not take
	// what stands there.
	Because string `json:"because,omitempty"`
}

// String gives FILE:LINE:COLUMN.
func (p Place) String() string {
	s := source.Position{File: p.File, Line: p.Line, Column: p.Column}.String()
	if p.BuiltIn {
		s += " (built in)"
	}
	return s
}

// placeOf gives the place of an origin.
func placeOf(at source.Origin) Place {
	p := Place{File: source.Readable(at.File), Line: at.Line, Column: at.Column, Because: at.Because}
	if rest, ok := strings.CutPrefix(p.File, builtIn); ok {
		p.File, p.BuiltIn = rest, true
	}
	p.Because = strings.ReplaceAll(p.Because, builtIn, "")
	return p
}
