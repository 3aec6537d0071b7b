package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/source"
)

// APIVersion is the version of kai's own shape of files of secrets.
const APIVersion = "kai/v1"

// The shapes in which secrets are imported, as ParseImport names them.
const (
	ShapeKai    = "kai"    // apiVersion: kai/v1, apps: {APP: {SCOPE: {KEY: value}}}
	ShapeOlder  = "older"  // APP: {SCOPE: {KEY: value}}
	ShapeOldest = "oldest" // secrets: {APP: {scopes: {SCOPE: {KEY: value}}}}
)

const shapesHint = "kai imports apiVersion: kai/v1 with apps: {APP: {SCOPE: {KEY: value}}}, and the older APP: {SCOPE: {KEY: value}} and secrets: {APP: {scopes: {SCOPE: {KEY: value}}}}"

// ParseImport reads a file of secrets in kai's own shape or in one of the two of
// the older system, and says in which; what is neither, or a mixture, is a
// mistake. The docs have no deployment and no version, and are sorted; there are
// none where the findings have an error. Values keep their kinds. A key version
// of the older system is its bookkeeping: it is left out, with a warning. No
// finding shows a value.
func ParseImport(file string, data []byte) ([]Doc, string, source.Findings) {
	root, findings := source.ParseYAML(file, data)
	if len(findings) > 0 {
		return nil, "", Discreet(findings)
	}
	shape := shapeOf(root, &findings)
	var entries []Entry
	switch shape {
	case ShapeKai:
		entries = ParseFile(root, []string{"recipients"}, &findings)
		if to := root.Get("recipients"); to != nil {
			findings.Add("encrypted", to.Origin, "recipients", "make it the context's store (secrets: {provider: file, path: …}), and copy from there: helm kai secrets copy", "the file is encrypted, and is not imported")
		}
	case ShapeOlder:
		entries = withoutVersion(parseApps(root, "", &findings), &findings)
	case ShapeOldest:
		entries = withoutVersion(parseApps(flatten(root, &findings), "secrets", &findings), &findings)
	}
	if shape == ShapeOlder && len(entries) == 0 && len(findings) > 0 {
		findings = append(source.Findings{{Origin: root.Origin, Code: "shape", Hint: shapesHint, Message: "the file has no shape of secrets that kai knows"}}, findings...)
	}
	docs := map[Path]Doc{}
	for _, e := range entries {
		if IsAge(e.Value) {
			findings.Add("encrypted", e.Value.Origin, e.Path, "make the file the context's store, and copy from there: helm kai secrets copy", "the value is encrypted, and is not imported")
			continue
		}
		v, err := OfYAML(e.Value)
		if err != nil {
			findings.Add("type", e.Value.Origin, e.Path, "write it as text, in quotes", "%s", err)
			continue
		}
		path := Path{App: e.App, Scope: e.Scope}
		if docs[path].Values == nil {
			docs[path] = Doc{Path: path, Values: map[string]Value{}}
		}
		docs[path].Values[e.Name] = v
	}
	findings = findings.Sorted()
	if findings.Err() != nil {
		return nil, shape, findings
	}
	return sortedDocs(slices.Collect(maps.Values(docs))), shape, findings
}

// shapeOf says in which shape a file is, by its keys alone.
func shapeOf(root *source.Value, findings *source.Findings) string {
	if root.Kind != source.Map || len(root.Fields) == 0 {
		what := root.Kind.String()
		if root.Kind == source.Map {
			what = "empty"
		}
		findings.Add("shape", root.Origin, "", shapesHint, "the file must be a map of apps, and is %s", what)
		return ""
	}
	if root.Get("apiVersion") != nil {
		return ShapeKai
	}
	old := root.Get("secrets")
	if old == nil || !hasScopes(old) {
		return ShapeOlder
	}
	for _, f := range root.Fields {
		if f.Key != "secrets" {
			findings.Add("shape", f.Origin, f.Key, "import the two in two files", "the file mixes two shapes: this app stands beside secrets: {APP: {scopes: …}}")
		}
	}
	if len(*findings) > 0 {
		return ""
	}
	// An app of the name secrets may have, in its scope public, a key scopes.
	for _, app := range old.Fields {
		if slices.Contains(Scopes(), app.Key) && app.Value.Has("scopes") {
			findings.Add("shape", app.Origin, "secrets."+app.Key, "write the file in kai's own shape: apiVersion: kai/v1 and apps: {APP: {SCOPE: {KEY: value}}}", "this is an app or a scope: the file can be read in two ways")
			return ""
		}
	}
	return ShapeOldest
}

// hasScopes says whether what stands below secrets: is a map of apps with scopes:
// and not an app of that name. Nothing at all is the former.
func hasScopes(apps *source.Value) bool {
	if apps.Kind != source.Map {
		return false
	}
	for _, app := range apps.Fields {
		if app.Value.Get("scopes") != nil {
			return true
		}
		if slices.Contains(Scopes(), app.Key) {
			return false
		}
	}
	return true
}

// flatten gives the apps of the oldest shape with their scopes directly below.
func flatten(root *source.Value, findings *source.Findings) *source.Value {
	apps := root.Get("secrets")
	out := &source.Value{Kind: source.Map, Origin: apps.Origin}
	for _, app := range apps.Fields {
		path := "secrets." + app.Key
		if app.Value.Kind != source.Map {
			findings.Add("type", app.Value.Origin, path, "write scopes: {SCOPE: {KEY: value}}", "must be a map, and is %s", app.Value.Kind)
			continue
		}
		for _, f := range app.Value.Fields {
			if f.Key != "scopes" {
				findings.Add("shape", f.Origin, path+"."+f.Key, source.Nearest(f.Key, []string{"scopes"}), "the key is not known beside scopes")
			}
		}
		scopes := app.Value.Get("scopes")
		if scopes == nil {
			findings.Add("missing-key", app.Origin, path+".scopes", "write scopes: {secret: {KEY: value}}", "is missing")
			continue
		}
		out.Fields = append(out.Fields, source.Field{Key: app.Key, Origin: app.Origin, Value: scopes})
	}
	return out
}

// withoutVersion leaves out what the older system has kept beside the values.
func withoutVersion(entries []Entry, findings *source.Findings) []Entry {
	return slices.DeleteFunc(entries, func(e Entry) bool {
		if e.Name != "version" {
			return false
		}
		*findings = append(*findings, source.Finding{
			Origin: e.Value.Origin, Path: e.Path, Code: "version", Severity: source.Warning,
			Message: "is left out: the older system counts its writes there",
		})
		return true
	})
}

// Entry is a value of a file of secrets, and where it stands.
type Entry struct {
	App, Scope, Name string
	Path             string // in the file, such as apps.carts.secret.KEY
	Value            *source.Value
}

// ParseFile reads a file in kai's own shape. also are the keys that may stand
// beside apiVersion and apps, of which the caller takes care. What is wrong is
// added to the findings, and no value is shown there.
func ParseFile(root *source.Value, also []string, findings *source.Findings) []Entry {
	if !isMap(root, "", "apiVersion: kai/v1 and apps: {APP: {secret: {KEY: value}}}", findings) {
		return nil
	}
	var entries []Entry
	required := []string{"apiVersion", "apps"}
	known := append(slices.Clone(required), also...)
	for _, f := range root.Fields {
		switch {
		case f.Key == "apiVersion":
			if f.Value.Kind != source.String || f.Value.Text != APIVersion {
				findings.Add("api-version", f.Value.Origin, "apiVersion", "write apiVersion: "+APIVersion, "is not a version of this format that kai knows")
			}
		case f.Key == "apps":
			entries = parseApps(f.Value, "apps", findings)
		case !slices.Contains(known, f.Key):
			findings.Add("unknown-key", f.Origin, f.Key, source.Nearest(f.Key, known), "the key is not known here")
		}
	}
	for _, key := range required {
		if root.Get(key) == nil {
			findings.Add("missing-key", root.Origin, key, "write "+key+": …", "is missing")
		}
	}
	return entries
}

// parseApps reads APP: {SCOPE: {KEY: value}}.
func parseApps(apps *source.Value, path string, findings *source.Findings) []Entry {
	if !isMap(apps, path, "apps: {APP: {secret: {KEY: value}}}, or apps: {} for none", findings) {
		return nil
	}
	var out []Entry
	for _, app := range apps.Fields {
		path := strings.TrimPrefix(path+"."+app.Key, ".")
		if !isNamed(app, path, "an app", findings) || !isMap(app.Value, path, "SCOPE: {KEY: value}; the scopes are "+strings.Join(Scopes(), ", "), findings) {
			continue
		}
		for _, scope := range app.Value.Fields {
			path := path + "." + scope.Key
			if !slices.Contains(Scopes(), scope.Key) {
				findings.Add("unknown-key", scope.Origin, path, source.Nearest(scope.Key, Scopes()), "there is no such scope")
				continue
			}
			if !isMap(scope.Value, path, "KEY: value, or {} for none", findings) {
				continue
			}
			for _, f := range scope.Value.Fields {
				path := path + "." + f.Key
				if !isNamed(f, path, "a key", findings) {
					continue
				}
				if f.Value.IsNull() {
					findings.Add("type", f.Value.Origin, path, `write "" for an empty text, or remove the key`, "has no value")
					continue
				}
				out = append(out, Entry{app.Key, scope.Key, f.Key, path, f.Value})
			}
		}
	}
	return out
}

func isNamed(f source.Field, path, what string, findings *source.Findings) bool {
	if strings.TrimSpace(f.Key) == "" {
		findings.Add("name", f.Origin, path, "give it a name", "%s has no name", what)
		return false
	}
	return true
}

func isMap(v *source.Value, path, shape string, findings *source.Findings) bool {
	if v.Kind == source.Map {
		return true
	}
	findings.Add("type", v.Origin, path, "write "+shape, "must be a map, and is %s", v.Kind)
	return false
}

// agePrefix begins a value that the store file has encrypted: age:, and base64 of
// what begins as every file of age does.
const agePrefix = "age:YWdlLWVuY3J5cHRpb24ub3JnL3Yx"

// IsAge says whether a value of a file is one that the store file has encrypted.
func IsAge(v *source.Value) bool {
	return v != nil && v.Kind == source.String && strings.HasPrefix(v.Text, agePrefix)
}

// OfYAML gives a value of a file with its kind. A number keeps its digits; one
// that only YAML writes so, as 0x1f and 0644 are, stays the text that stands
// there, and inside of a list or a map becomes what it means, since there JSON is
// handed out. Of null there is no value.
func OfYAML(v *source.Value) (Value, error) {
	switch {
	case v.IsNull():
		return Value{}, errors.New("has no value")
	case v.Kind == source.Number && !isNumber(v.Text):
		return New(v.Text), nil
	}
	return Of(plainOf(v))
}

// plainOf gives v as JSON decodes it.
func plainOf(v *source.Value) any {
	switch v.Kind {
	case source.String:
		return v.Text
	case source.Bool:
		return v.True()
	case source.Number:
		return number(v)
	case source.List:
		out := make([]any, len(v.Items))
		for i, item := range v.Items {
			out[i] = plainOf(item)
		}
		return out
	case source.Map:
		out := make(map[string]any, len(v.Fields))
		for _, f := range v.Fields {
			out[f.Key] = plainOf(f.Value)
		}
		return out
	}
	return nil
}

// number keeps the digits of a number where JSON takes them, and else writes the
// number that they mean. One that is out of bounds stays text.
func number(v *source.Value) any {
	if isNumber(v.Text) {
		return json.Number(v.Text)
	}
	if n, ok := v.Int(); ok {
		return n
	}
	if n, ok := v.Float(); ok {
		if text, err := json.Marshal(n); err == nil {
			return json.Number(text)
		}
	}
	return v.Text
}

// YAMLOf gives a value as it stands in a file, where it can be read. A text that
// is not UTF-8 cannot stand there.
func YAMLOf(v Value) (*source.Value, error) {
	if !utf8.ValidString(v.Reveal()) {
		return nil, errors.New("is not a text in UTF-8, which alone stands in YAML\n  hint: encode it in base64, and decode it where it is used")
	}
	return source.FromNative(v.Any()), nil
}

// Export writes docs of one deployment as a file in kai's own shape: what
// ParseImport makes the same docs of. The same docs give the same bytes. No error
// shows a value.
func Export(docs []Doc) ([]byte, error) {
	apps := source.NewMap(source.Origin{})
	for _, doc := range sortedDocs(docs) {
		if doc.Path.Deployment != docs[0].Path.Deployment {
			return nil, fmt.Errorf("%s and %s cannot stand in one file: it holds one deployment", docs[0].Path, doc.Path)
		}
		if len(doc.Values) == 0 {
			continue
		}
		scope := source.NewMap(source.Origin{})
		for _, name := range sortedNames(doc.Values) {
			value, err := YAMLOf(doc.Values[name])
			if err == nil {
				err = CheckNames(doc.Path, name)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %s %w", doc.Path, name, err)
			}
			scope.Fields = append(scope.Fields, source.Field{Key: name, Value: value})
		}
		app := apps.Get(doc.Path.App)
		if app == nil {
			app = source.NewMap(source.Origin{})
			apps.Set(doc.Path.App, app)
		}
		if app.Get(doc.Path.Scope) != nil {
			return nil, fmt.Errorf("%s is given twice", doc.Path)
		}
		app.Set(doc.Path.Scope, scope)
	}
	root := source.NewMap(source.Origin{}, source.Field{Key: "apiVersion", Value: source.NewString(source.Origin{}, APIVersion)}, source.Field{Key: "apps", Value: apps})
	return source.AppendYAML(nil, root, nil), nil
}

// maxName bounds the bytes of a name in a file: YAML's keys end at 1024
// characters, quotes and escapes included.
const maxName = 150

// CheckNames says whether an app, a scope and a key can stand in a file.
func CheckNames(path Path, name string) error {
	if !slices.Contains(Scopes(), path.Scope) {
		return fmt.Errorf("stands in a scope that files have not\n  hint: the scopes are %s", strings.Join(Scopes(), ", "))
	}
	for _, n := range []string{path.App, name} {
		switch {
		case strings.TrimSpace(n) == "":
			return errors.New("has no name, or its app has none")
		case !utf8.ValidString(n):
			return errors.New("has a name, or an app, that is not UTF-8")
		case len(n) > maxName:
			return fmt.Errorf("has a name, or an app, of more than %d bytes", maxName)
		}
	}
	return nil
}

func sortedDocs(docs []Doc) []Doc {
	out := slices.Clone(docs)
	slices.SortStableFunc(out, func(a, b Doc) int {
		return strings.Compare(a.Path.Deployment+"\x00"+a.Path.App+"\x00"+a.Path.Scope, b.Path.Deployment+"\x00"+b.Path.App+"\x00"+b.Path.Scope)
	})
	return out
}

// harmless are the quotations of the YAML parser's messages which are its own.
var harmless = strings.NewReplacer(`',' or '}'`, "", `',' or ']'`, "", `'-'`, "", `':'`, "", "<document start>", "", "<stream-start>", "", "<<", "")

// Discreet takes out of the findings about YAML itself what they quote of the
// file: an unquoted value that begins with ! or * is taken for a tag or an
// alias, and a key that stands twice may be one of a value.
func Discreet(findings source.Findings) source.Findings {
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
