package source

import (
	"bytes"
	"errors"
	"io"

	"gopkg.in/yaml.v3"
)

// ParseYAMLStream reads all documents of a stream, as kubectl takes them, each
// with its place in the file; empty ones are left out. The bounds hold for the
// stream as a whole.
func ParseYAMLStream(file string, data []byte) ([]*Value, Findings) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(data) > MaxFile {
		return nil, Findings{FileFinding(file, tooLarge(file, MaxFile))}
	}
	if i, message, hint := noText(data); i >= 0 {
		line, column := lineAndColumn(data, i)
		at := Origin{Position: Position{File: file, Line: line, Column: column}}
		return nil, Findings{{Origin: at, Code: "yaml", Message: message, Hint: hint}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	r := reader{file: file, budget: MaxNodes}
	var out []*Value
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, append(r.findings, syntax(file, data, err))
		}
		v := r.value(doc.Content[0], 0)
		if r.stopped {
			break
		}
		if !v.IsNull() {
			out = append(out, v)
		}
	}
	if len(r.findings) > 0 {
		return nil, r.findings
	}
	return out, nil
}
