package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/internal/source"
)

// MaxFiles and MaxBytes bound what one tree may have.
const (
	MaxFiles = 10_000
	MaxBytes = 64 << 20
)

// place gives the name by which the user knows a file of a tree.
func (t Tree) place(name string) string {
	if t.Name == "" {
		return name
	}
	return path.Join(t.Name, name)
}

// files gives the files of a tree that match, sorted; a path that is a file
// matches itself. Hidden folders are passed over.
func (t Tree) files(match func(name string) bool) ([]string, source.Findings) {
	root := t.Path
	if root == "" {
		root = "."
	}
	info, err := fs.Stat(t.FS, root)
	if err != nil {
		return nil, source.Findings{source.FileFinding(t.place(root), err)}
	}
	if !info.IsDir() {
		return []string{root}, nil
	}
	var out []string
	errTooMany := errors.New("too many files")
	err = fs.WalkDir(t.FS, root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.Type().IsRegular() && match(d.Name()):
			if len(out) == MaxFiles {
				return errTooMany
			}
			out = append(out, name)
		}
		return nil
	})
	if errors.Is(err, errTooMany) {
		return nil, source.Findings{{Origin: at(t.place(root)), Code: "limit", Message: fmt.Sprintf("there are more files than the bound of %d", MaxFiles), Hint: "name a folder further down"}}
	}
	if err != nil {
		return nil, source.Findings{source.FileFinding(t.place(root), err)}
	}
	slices.Sort(out)
	return out, nil
}

func at(file string) source.Origin { return source.Origin{Position: source.Position{File: file}} }

func isYAML(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// documents reads the YAML documents of all files of a tree.
func (t Tree) documents() ([]*source.Value, source.Findings) {
	names, findings := t.files(isYAML)
	var out []*source.Value
	size := 0
	for _, name := range names {
		data, err := source.ReadFile(t.FS, name, source.MaxFile)
		if err != nil {
			findings = append(findings, source.FileFinding(t.place(name), err))
			continue
		}
		if size += len(data); size > MaxBytes {
			return nil, append(findings, source.Finding{Origin: at(t.place(name)), Code: "limit", Message: fmt.Sprintf("the files have more than the bound of %d MiB", MaxBytes>>20), Hint: "name a folder further down"})
		}
		docs, more := source.ParseYAMLStream(t.place(name), data)
		for i, f := range more {
			if f.Code == "yaml" && strings.Contains(string(data), "{{") {
				more[i].Hint = "is it a template of Helm's? render it first: helm template … | kai import manifests -"
			}
		}
		findings = append(findings, more...)
		out = append(out, docs...)
	}
	return out, findings
}

// document reads the one YAML document of a file.
func (t Tree) document(name string) (*source.Value, source.Findings) {
	data, err := source.ReadFile(t.FS, name, source.MaxFile)
	if err != nil {
		return nil, source.Findings{source.FileFinding(t.place(name), err)}
	}
	return source.ParseYAML(t.place(name), data)
}

// comments calls back for each comment of a tree's YAML files, with the path of
// what it stands at. The files were read without a finding before.
func (t Tree) comments(found func(path string, at source.Origin)) {
	names, _ := t.files(isYAML)
	for _, name := range names {
		data, err := source.ReadFile(t.FS, name, source.MaxFile)
		if err != nil {
			continue
		}
		dec := yaml.NewDecoder(bytes.NewReader(data))
		for {
			var doc yaml.Node
			if dec.Decode(&doc) != nil {
				break
			}
			commentsOf(&doc, "", func(path string, n *yaml.Node) {
				found(path, source.Origin{Position: source.Position{File: t.place(name), Line: max(n.Line, 1), Column: max(n.Column, 1)}})
			})
		}
	}
}

// commentsOf calls back for each node that has a comment, aliases not followed.
func commentsOf(n *yaml.Node, path string, found func(path string, n *yaml.Node)) {
	if n.HeadComment+n.LineComment+n.FootComment != "" {
		found(path, n)
	}
	for i, c := range n.Content {
		below := path
		switch {
		case n.Kind == yaml.MappingNode && i%2 == 0:
			below = strings.TrimPrefix(path+"."+c.Value, ".")
		case n.Kind == yaml.MappingNode:
			below = strings.TrimPrefix(path+"."+n.Content[i-1].Value, ".")
		}
		commentsOf(c, below, found)
	}
}
