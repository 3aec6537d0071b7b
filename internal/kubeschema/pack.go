package kubeschema

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Pack is what is embedded: the schemas of all minors, of which equal ones stand
// there once, and the lives of APIs.
type Pack struct {
	Minors []Minor `json:"minors"`
	// Names are the definitions' names; a minor says for each which of the texts
	// it is.
	Names []string `json:"names"`
	Lives []Life   `json:"lives"`

	texts []string // definitions as JSON, one to a line in the file
	known map[string]int
	place map[string]int // of names
}

// Minor is one minor of Kubernetes.
type Minor struct {
	// Version is the release that the schemas are from, such as 1.36.3.
	Version string `json:"version"`
	// Kinds are those that one can create, by group, version and kind as in
	// apps/v1/Deployment and v1/Pod.
	Kinds map[string]Kind `json:"kinds"`
	// Texts are the places of the definitions, in the order of Pack.Names; -1 is
	// one that the minor does not have.
	Texts []int `json:"texts"`
}

// Kind is a kind that one can create.
type Kind struct {
	Definition string `json:"definition"`
	// Resource is its name in URLs.
	Resource   string `json:"resource"`
	Namespaced bool   `json:"namespaced,omitempty"`
}

// Life says when a version of an API came and when it goes, each as a minor such
// as 1.25, or "" where nothing is said.
type Life struct {
	Group      string `json:"group,omitempty"`
	Version    string `json:"version"`
	Kind       string `json:"kind"`
	Introduced string `json:"introduced,omitempty"`
	Deprecated string `json:"deprecated,omitempty"`
	Removed    string `json:"removed,omitempty"`
	// Replacement is apiVersion and kind of what takes its place, or "".
	Replacement string `json:"replacement,omitempty"`
}

// Add adds a minor with its kinds and definitions.
func (p *Pack) Add(version string, kinds map[string]Kind, definitions map[string]*Node) error {
	if p.known == nil {
		p.known, p.place = map[string]int{}, map[string]int{}
	}
	minor := Minor{Version: version, Kinds: kinds, Texts: slices.Repeat([]int{-1}, len(p.Names))}
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		text, err := json.Marshal(definitions[name])
		if err != nil {
			return err
		}
		if _, ok := p.known[string(text)]; !ok {
			p.known[string(text)] = len(p.texts)
			p.texts = append(p.texts, string(text))
		}
		at, ok := p.place[name]
		if !ok {
			at = len(p.Names)
			p.place[name] = at
			p.Names = append(p.Names, name)
			minor.Texts = append(minor.Texts, -1)
		}
		minor.Texts[at] = p.known[string(text)]
	}
	p.Minors = append(p.Minors, minor)
	return nil
}

// Encode gives the file: a line of JSON that says what there is, and a line for
// each definition, compressed. The same pack gives the same bytes.
func (p *Pack) Encode() ([]byte, error) {
	for i := range p.Minors { // those before the last know none of the names that came later
		texts := &p.Minors[i].Texts
		*texts = append(*texts, slices.Repeat([]int{-1}, len(p.Names)-len(*texts))...)
	}
	head, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, string(head)+"\n"+strings.Join(p.texts, "\n")); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// decode reads what Encode wrote. Definitions stay text until they are needed.
func decode(data []byte) (*Pack, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	head, rest, ok := strings.Cut(string(text), "\n")
	if !ok {
		return nil, fmt.Errorf("the embedded schemas have no definitions")
	}
	p := &Pack{texts: strings.Split(rest, "\n")}
	return p, json.Unmarshal([]byte(head), p)
}
