// Package file is the provider of secrets that stand in a YAML file:
//
//	apiVersion: kai/v1
//	apps:
//	  carts:
//	    secret: {mongodb_password: …}
//	  global:
//	    private: {LICENSE: …}
//
// A file holds one deployment, and answers for whichever it is asked.
//
// A value is text, and so is a number and a bool, as it was written. A map and a
// list become compact JSON. No message shows a value, nor what might be one in a
// file with a mistake: apps, scopes and keys are named, and places.
package file

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// apiVersion is the version of the file's format.
const apiVersion = "kai/v1"

// place is where a value stands inside of a deployment.
type place struct{ app, scope, name string }

// Provider is what a file holds. It never changes.
type Provider struct {
	values map[place]secrets.Value
}

// Open reads a file of secrets. All its mistakes are found at once, and the
// provider is nil where there are any. The file is within the bounds of package
// source.
func Open(fsys fs.FS, path string) (*Provider, source.Findings) {
	root, findings := source.ReadYAML(fsys, path)
	if len(findings) > 0 {
		return nil, discreet(findings)
	}
	r := reader{values: map[place]secrets.Value{}}
	r.file(root)
	if len(r.findings) > 0 {
		return nil, r.findings.Sorted()
	}
	return &Provider{values: r.values}, nil
}

// Get implements secrets.Provider. It does not fail.
func (p *Provider) Get(_ context.Context, keys []secrets.Key) (map[secrets.Key]secrets.Value, error) {
	found := make(map[secrets.Key]secrets.Value, len(keys))
	for _, k := range keys {
		if v, ok := p.values[place{k.App, k.Scope, k.Name}]; ok {
			found[k] = v
		}
	}
	return found, nil
}

// reader collects the values of a file and its mistakes.
type reader struct {
	values   map[place]secrets.Value
	findings source.Findings
}

func (r *reader) file(root *source.Value) {
	if !r.isMap(root, "", "apiVersion: kai/v1 and apps: {APP: {secret: {KEY: value}}}") {
		return
	}
	known := []string{"apiVersion", "apps"}
	for _, f := range root.Fields {
		switch f.Key {
		case "apiVersion":
			if f.Value.Kind != source.String || f.Value.Text != apiVersion {
				r.findings.Add("api-version", f.Value.Origin, "apiVersion", "write apiVersion: "+apiVersion, "is not a version of this format that kai knows")
			}
		case "apps":
			r.apps(f.Value)
		default:
			r.findings.Add("unknown-key", f.Origin, f.Key, source.Nearest(f.Key, known), "the key is not known here")
		}
	}
	for _, key := range known {
		if root.Get(key) == nil {
			r.findings.Add("missing-key", root.Origin, key, "", "is missing")
		}
	}
}

func (r *reader) apps(apps *source.Value) {
	if !r.isMap(apps, "apps", "apps: {APP: {secret: {KEY: value}}}, or apps: {} for none") {
		return
	}
	for _, app := range apps.Fields {
		path := "apps." + app.Key
		if !r.isNamed(app, path, "an app") || !r.isMap(app.Value, path, "SCOPE: {KEY: value}; the scopes are "+strings.Join(secrets.Scopes(), ", ")) {
			continue
		}
		for _, scope := range app.Value.Fields {
			path := path + "." + scope.Key
			if !slices.Contains(secrets.Scopes(), scope.Key) {
				r.findings.Add("unknown-key", scope.Origin, path, source.Nearest(scope.Key, secrets.Scopes()), "there is no such scope")
				continue
			}
			if r.isMap(scope.Value, path, "KEY: value, or {} for none") {
				r.scope(app.Key, scope, path)
			}
		}
	}
}

func (r *reader) scope(app string, scope source.Field, path string) {
	for _, f := range scope.Value.Fields {
		path := path + "." + f.Key
		if !r.isNamed(f, path, "a key") {
			continue
		}
		if f.Value.IsNull() {
			r.findings.Add("type", f.Value.Origin, path, `write "" for an empty text, or remove the key`, "has no value")
			continue
		}
		r.values[place{app, scope.Key, f.Key}] = secrets.New(text(f.Value))
	}
}

func (r *reader) isNamed(f source.Field, path, what string) bool {
	if strings.TrimSpace(f.Key) == "" {
		r.findings.Add("name", f.Origin, path, "give it a name", "%s has no name", what)
		return false
	}
	return true
}

func (r *reader) isMap(v *source.Value, path, shape string) bool {
	if v.Kind == source.Map {
		return true
	}
	r.findings.Add("type", v.Origin, path, "write "+shape, "must be a map, and is %s", v.Kind)
	return false
}

// text gives a value as it is handed out.
func text(v *source.Value) string {
	if v.IsScalar() {
		return v.Text
	}
	return string(appendJSON(nil, v))
}

// appendJSON appends a value as JSON without spaces, its keys in the order of the
// file.
func appendJSON(out []byte, v *source.Value) []byte {
	switch v.Kind {
	case source.Map:
		out = append(out, '{')
		for i, f := range v.Fields {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendText(out, f.Key), ':')
			out = appendJSON(out, f.Value)
		}
		return append(out, '}')
	case source.List:
		out = append(out, '[')
		for i, item := range v.Items {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendJSON(out, item)
		}
		return append(out, ']')
	case source.Number:
		return appendNumber(out, v)
	case source.Bool:
		return strconv.AppendBool(out, v.True())
	case source.Null:
		return append(out, "null"...)
	}
	return appendText(out, v.Text)
}

func appendText(out []byte, text string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	// A string always encodes.
	_ = enc.Encode(text)
	return append(out, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// appendNumber keeps the digits of a number where JSON takes them. YAML has
// forms that JSON has not, as 0x1f and .5: their number is written. One that is
// out of bounds stays text.
func appendNumber(out []byte, v *source.Value) []byte {
	if json.Valid([]byte(v.Text)) {
		return append(out, v.Text...)
	}
	if n, ok := v.Int(); ok {
		return strconv.AppendInt(out, int64(n), 10)
	}
	if n, ok := v.Float(); ok {
		if number, err := json.Marshal(n); err == nil {
			return append(out, number...)
		}
	}
	return appendText(out, v.Text)
}

// harmless are the quotations of the YAML parser's messages which are its own.
var harmless = strings.NewReplacer(`',' or '}'`, "", `',' or ']'`, "", `'-'`, "", `':'`, "", "<document start>", "", "<stream-start>", "", "<<", "")

// discreet takes out of the findings about YAML itself what they quote of the
// file: an unquoted value that begins with ! or * is taken for a tag or an
// alias, and a key that stands twice may be one of a value.
func discreet(findings source.Findings) source.Findings {
	out := slices.Clone(findings)
	for i, f := range out {
		switch {
		case f.Code == "duplicate-key":
			out[i].Message = "a key stands here twice"
			if at := strings.LastIndex(f.Message, "; first in line "); at >= 0 {
				out[i].Message += f.Message[at:]
			}
		case f.Code == "yaml" && strings.ContainsAny(harmless.Replace(f.Message), "\"'`&*!<>"):
			out[i].Message, out[i].Hint = "this is not the YAML of a value", `put a value that begins with one of ! & * into quotes`
		}
	}
	return out
}
