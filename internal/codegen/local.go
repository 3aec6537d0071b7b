package codegen

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Laptop is what a context gives a service, without its secrets, as files below a
// folder that stands for the container's root.
type Laptop struct {
	// Files are by their paths, without the slash that they begin with. One of them
	// has the variables.
	Files map[string][]byte
	// Folders are those of mounts whose files are not known.
	Folders []string
	// Left says which secrets are left out, and what only the cluster knows.
	Left []string
}

// Local gives what the only context of the input gives.
func Local(in Input) (*Laptop, error) {
	s, err := observe(in.Contexts[0], in.Container, in.Placeholder)
	if err != nil {
		return nil, err
	}
	out := &Laptop{Files: map[string][]byte{}}
	left := func(name, from string) {
		if from == "" {
			from = "made of one of these"
		}
		out.Left = append(out.Left, printable(name+": "+from))
	}
	vars := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.vars)) {
		if v := s.vars[name]; v.known && !v.secret {
			vars[name] = v.text
		} else {
			left(name, v.from)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(s.files)) {
		f := s.files[at]
		if !f.known || f.secret || in.Placeholder != "" && strings.Contains(string(f.data), in.Placeholder) {
			left(at, f.from)
			continue
		}
		out.Files[strings.TrimPrefix(at, "/")] = f.data
	}
	for _, at := range slices.Sorted(maps.Keys(s.dirs)) {
		out.Folders = append(out.Folders, strings.TrimPrefix(at, "/"))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(vars)
	out.Files[LocalFile] = b.Bytes()
	return out, err
}
