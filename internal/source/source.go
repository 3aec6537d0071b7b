// Package source holds what every message of kai is made of: positions in
// files, the origin of a value, findings, and YAML values that remember where
// they were written.
//
// Reading follows the YAML 1.2 core schema, so that `on`, `yes` and dates stay
// the text that stands in the file; writing quotes whatever a YAML 1.1 reader,
// as Helm has it, would take for something else.
package source

import (
	"fmt"
	"sort"
	"strings"
)

// The files that have their names from kai.
const (
	DescriptorFile = "kai.yaml"
	WorkspaceFile  = "kai-workspace.yaml"
	FlavorFile     = "flavor.yaml"
)

// Position is a place in a file. Line and Column count from 1; zero means that
// it is not known. File is a slash-separated path relative to the workspace, in
// which a tree from elsewhere is a folder (TreeName).
type Position struct {
	File   string
	Line   int
	Column int
}

// String gives FILE:LINE:COLUMN, leaving out what is not known.
func (p Position) String() string {
	file := Readable(p.File)
	switch {
	case p.Line == 0:
		return file
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", file, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column)
}

// Origin says where a value comes from. Because explains a value that kai
// derived from the one at the position, such as an address from a friend.
type Origin struct {
	Position
	Because string
}

// Severity grades a finding.
type Severity uint8

// An Error stops the command; a Warning is only printed.
const (
	Error Severity = iota
	Warning
)

// Finding is one mistake: what is wrong, where, and the way out.
type Finding struct {
	Origin   Origin
	Path     string // of the value inside its file, such as contexts.prod.flavor
	Message  string
	Hint     string
	Code     string // stable identifier of the rule, such as unknown-key
	Severity Severity
}

// String gives the finding as people read it, without a final newline.
func (f Finding) String() string {
	var b strings.Builder
	if s := f.Origin.String(); s != "" {
		b.WriteString(s + ": ")
	}
	if f.Severity == Warning {
		b.WriteString("warning: ")
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString("\n  hint: " + f.Hint)
	}
	return b.String()
}

// Findings is a list of mistakes; it is an error whose text holds all of them.
type Findings []Finding

// Error gives every finding, one after the other.
func (fs Findings) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err gives the findings as an error, or nil where none of them is an Error.
func (fs Findings) Err() error {
	for _, f := range fs {
		if f.Severity == Error {
			return fs
		}
	}
	return nil
}

// Sorted gives the findings by file, line and column, each said once.
func (fs Findings) Sorted() Findings {
	out := append(Findings(nil), fs...)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i].Origin, out[j].Origin
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	seen := map[Finding]bool{}
	kept := out[:0]
	for _, f := range out {
		if !seen[f] {
			seen[f] = true
			kept = append(kept, f)
		}
	}
	return kept
}

// Add appends an Error at an origin; the message is formatted as by Sprintf.
func (fs *Findings) Add(code string, at Origin, path, hint, format string, args ...any) {
	*fs = append(*fs, Finding{Origin: at, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint, Code: code})
}

// Nearest words a hint for a name that is not among the known ones: the one
// that was probably meant, and the whole list where it is short.
func Nearest(name string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	list := strings.Join(known, ", ")
	best := Closest(name, known)
	switch {
	case best == "":
		return "known: " + list
	case len(known) > maxListed:
		return fmt.Sprintf("did you mean %q?", best)
	}
	return fmt.Sprintf("did you mean %q? (%s)", best, list)
}

// Closest gives the one among known names that was probably meant, or "": one that is
// written nearly so, or else the shortest that begins so.
func Closest(name string, known []string) string {
	best, bestDistance := "", len(name)/2+1
	if len(name) <= shortName {
		bestDistance = min(bestDistance, 2) // HTTP is no misspelled SCTP
	}
	lower := strings.ToLower(name)
	for _, k := range known {
		if d := distance(lower, strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best != "" || len(name) < shortName {
		return best
	}
	for _, k := range known {
		if strings.HasPrefix(strings.ToLower(k), lower) && (best == "" || len(k) < len(best)) {
			best = k
		}
	}
	return best
}

// shortName is the length up to which a guess differs in one letter, and from which a
// beginning tells a name.
const shortName = 4

// maxListed bounds the list that a hint gives beside its guess.
const maxListed = 12

// distance is the optimal string alignment distance: the insertions, deletions,
// replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
