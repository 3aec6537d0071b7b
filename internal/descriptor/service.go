package descriptor

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/source"
)

// FileName is the name of a descriptor's file.
const FileName = source.DescriptorFile

// APIVersion is the version of the file formats that this package reads.
const APIVersion = "kai/v1"

// Service is a descriptor as it was read: what holds for every context.
type Service struct {
	Name        string
	Version     string
	Description string
	Contexts    *Contexts
	Offers      *source.Value // what consumers get beyond the outputs, or nil

	File  string // of the descriptor
	FS    fs.FS  // the tree it lies in
	Types *Types // built-in ones and the descriptor's own
	root  *source.Value
}

// Dir gives the folder that the descriptor's paths are relative to.
func (s *Service) Dir() string { return path.Dir(s.File) }

// Origin gives where the descriptor names the service.
func (s *Service) Origin() source.Origin { return s.root.Get("name").Origin }

// Root gives the descriptor as it stands in its file.
func (s *Service) Root() *source.Value { return s.root }

// fixed are the keys of a descriptor that are not lists of instances.
var fixed = []string{"apiVersion", "name", "version", "description", "types", "contexts", "offers"}

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// InvalidName says what is wrong with the name of a service, context or friend.
func InvalidName(name string) (string, bool) {
	switch {
	case len(name) > 253:
		return "it has more than 253 characters", false
	case !dnsLabel.MatchString(name):
		return "Kubernetes wants lower case letters, digits and dashes, with no dash at either end", false
	}
	return "", true
}

// ReadService reads a descriptor. base are the types that exist without it.
func ReadService(fsys fs.FS, file string, base *Types) (*Service, source.Findings) {
	root, findings := source.ReadYAML(fsys, file)
	if findings != nil {
		return nil, findings
	}
	s := &Service{File: file, FS: fsys, Types: base, root: root}
	if !CheckRoot(root, &findings) {
		return nil, findings
	}
	s.Name = root.Get("name").Str()
	s.Version = root.Get("version").Str()
	s.Description = root.Get("description").Str()
	s.Offers = root.Get("offers")
	s.Contexts = ReadContexts(root.Get("contexts"), "contexts", &findings)
	if v := root.Get("version"); v != nil && !semver.MatchString(s.Version) {
		findings.Add("version", v.Origin, "version", "write MAJOR.MINOR.PATCH, such as 0.4.0", "%q is no semantic version", s.Version)
	}
	if len(s.Contexts.list) == 0 && root.Get("contexts").IsNull() {
		findings.Add("required", root.Origin, "contexts", "write contexts: [{name: dev, flavor: webservice, …}]", "contexts is missing")
		misspelled(root, "", "contexts", fixed, &findings)
	}
	s.readOffers(&findings)
	for i, item := range ListOf(root.Get("types"), "types", &findings) {
		here := index("types", i)
		name, ok := Inside(s.Dir(), item, here, &findings)
		if !ok {
			continue
		}
		v, more := source.ReadYAML(fsys, name)
		findings = append(findings, Named(more, item.Origin, here)...)
		if v == nil {
			continue
		}
		types, more := ParseTypes(s.Types, v, false)
		findings = append(findings, more...)
		s.Types = types
	}
	return s, findings
}

// misspelled reports the key that was probably meant to be one that is missing: without
// that nothing goes on to say so. known are keys that mean something themselves.
func misspelled(v *source.Value, path, key string, known []string, fs *source.Findings) {
	var others []string
	for _, f := range v.FieldsOrNone() {
		if !slices.Contains(known, f.Key) && source.Closest(f.Key, []string{key}) != "" {
			others = append(others, f.Key)
		}
	}
	for _, f := range v.FieldsOrNone() {
		if f.Key == source.Closest(key, others) {
			fs.Add("unknown-key", f.Origin, join(path, f.Key), source.Nearest(f.Key, []string{key}), "the key %q is not known here", f.Key)
		}
	}
}

// semver is the pattern of https://semver.org, without its named groups.
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

// IsVersion says whether text is a semantic version.
func IsVersion(text string) bool { return semver.MatchString(text) }

func (s *Service) readOffers(fs *source.Findings) {
	if s.Offers.IsNull() {
		return
	}
	if s.Offers.Kind != source.Map {
		fs.Add("wrong-type", s.Offers.Origin, "offers", "write offers: {config: …, credentials: …, env: …}", "expected a map, got %s", s.Offers.Kind)
		s.Offers = nil
		return
	}
	shapes(s.Offers, "offers", []shape{{"config", source.Map}, {"credentials", source.Map}, {"env", source.Map}}, fs)
	checkCredentials(s.Offers.Get("credentials"), "offers.credentials", fs)
}

// shape is a key of a map that no type describes, and the kind of its value.
type shape struct {
	key  string
	kind source.Kind
}

// shapes reports the keys of a map that are not among the known ones, and
// values of another kind; null is of every kind.
func shapes(v *source.Value, path string, known []shape, fs *source.Findings) {
	keys := make([]string, len(known))
	for i, k := range known {
		keys[i] = k.key
	}
	UnknownKeys(v, path, keys, fs)
	for _, k := range known {
		f := v.Get(k.key)
		if !f.IsNull() && f.Kind != k.kind && !(k.kind == source.String && f.IsScalar()) {
			fs.Add("wrong-type", f.Origin, join(path, k.key), source.Instead(k.kind.String(), f.Kind), "expected %s, got %s", k.kind, describe(f))
		}
	}
}

// checkCredentials holds credentials to their forms: text, or {secret: …}.
func checkCredentials(v *source.Value, path string, fs *source.Findings) {
	for _, f := range v.FieldsOrNone() {
		here := join(path, f.Key)
		switch {
		case f.Value.IsNull() || f.Value.IsScalar():
		case f.Value.Kind != source.Map:
			fs.Add("wrong-type", f.Value.Origin, here, "write {secret: KEY}, or text for what is no secret", "expected a credential, got %s", f.Value.Kind)
		default:
			shapes(f.Value, here, []shape{{"secret", source.String}, {"scope", source.String}, {"app", source.String}, {"generate", source.Map}}, fs)
			if f.Value.Get("secret") == nil {
				fs.Add("required", f.Value.Origin, here+".secret", "write {secret: KEY}", "secret is missing")
			}
			CheckPlace(f.Value, here, fs)
			if g := f.Value.Get("generate"); g != nil && g.Kind == source.Map {
				shapes(g, here+".generate", []shape{{"length", source.Number}}, fs)
			}
		}
	}
}

// Scopes are those of a store of secrets.
var Scopes = []string{"public", "private", "secret"}

// maxApp bounds the bytes of an app's name, as stores do.
const maxApp = 150

// CheckPlace holds the scope and the app of a reference to a secret, where they are
// text, to what a store can have.
func CheckPlace(reference *source.Value, path string, fs *source.Findings) {
	scope, app := reference.Get("scope"), reference.Get("app")
	if text := scope.Str(); scope.IsScalar() && !slices.Contains(Scopes, text) {
		fs.Add("constraint", scope.Origin, join(path, "scope"), source.Nearest(text, Scopes), "there is no scope %q", text)
	}
	switch text := app.Str(); {
	case !app.IsScalar():
	case text == "" || text == "." || text == ".." || len(text) > maxApp || text != strings.TrimSpace(text) ||
		strings.Contains(text, "/") || strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }):
		fs.Add("constraint", app.Origin, join(path, "app"), fmt.Sprintf("write the name of a service, or global; at most %d bytes, and no slash", maxApp), "%.60q cannot be the name of an app", text)
	}
}

// Inside gives the path of a file that another names, relative to the folder of
// that one, and says where it leads out of the tree.
func Inside(dir string, v *source.Value, where string, findings *source.Findings) (string, bool) {
	text := v.Str()
	full := path.Join(dir, text)
	switch {
	case v.IsNull() || !v.IsScalar():
		findings.Add("wrong-type", v.OriginOrNone(), where, "write a path", "expected a path, got %s", kindOf(v))
	case text == "":
		findings.Add("file", v.Origin, where, "write a path", "the path is empty")
	case strings.HasPrefix(text, "/") || !fs.ValidPath(full):
		findings.Add("file", v.Origin, where, "paths are relative to "+source.Readable(v.Origin.File)+" and stay in the workspace", "the path %q leads out of the workspace", text)
	case source.TreeOf(full) != source.TreeOf(v.Origin.File):
		findings.Add("file", v.Origin, where, "paths are relative to "+source.Readable(v.Origin.File)+" and stay in its tree", "the path %q leads out of the tree that it stands in", text)
	default:
		return full, true
	}
	return "", false
}

func kindOf(v *source.Value) source.Kind {
	if v == nil {
		return source.Null
	}
	return v.Kind
}

// CheckRoot checks what all our files have: a map, the format's version and a name.
func CheckRoot(root *source.Value, fs *source.Findings) bool {
	if root.Kind != source.Map {
		what := "is " + root.Kind.String() + ", and not a map"
		if root.IsNull() {
			what = "is empty"
		}
		fs.Add("wrong-type", root.Origin, "", "begin with apiVersion: "+APIVersion, "the file %s", what)
		return false
	}
	switch v := root.Get("apiVersion"); {
	case v.IsNull():
		fs.Add("required", root.Origin, "apiVersion", "write apiVersion: "+APIVersion, "apiVersion is missing")
	case v.Str() != APIVersion:
		fs.Add("api-version", v.Origin, "apiVersion", "write apiVersion: "+APIVersion, "%q is not a format that this kai reads", v.Str())
	}
	if d := root.Get("description"); !d.IsNull() && !d.IsScalar() {
		fs.Add("wrong-type", d.Origin, "description", source.Instead("text", d.Kind), "expected text, got %s", d.Kind)
	}
	v := root.Get("name")
	switch {
	case v.IsNull() || v.IsScalar() && v.Text == "":
		fs.Add("required", root.Origin, "name", "write name: …", "name is missing")
		return false
	case !v.IsScalar():
		fs.Add("wrong-type", v.Origin, "name", source.Instead("text", v.Kind), "expected text, got %s", v.Kind)
		return false
	}
	if why, ok := InvalidName(v.Text); !ok {
		fs.Add("name", v.Origin, "name", "use a to z, 0 to 9 and -", "%q cannot be a name: %s", v.Text, why)
		return false
	}
	if !BeginsWithLetter(v.Text) {
		fs.Add("name", v.Origin, "name", "begin with a letter", "%q cannot be a name: the name of a Service begins with a letter", v.Text)
		return false
	}
	return true
}

// MaxApp is the longest name that a release and its workload can have: Helm
// takes 53 characters, and to the name of a StatefulSet or a CronJob Kubernetes
// adds up to 11 more in a label.
const MaxApp = 52

// BeginsWithLetter says whether a name that is valid otherwise can be a
// Service's: RFC 1035.
func BeginsWithLetter(name string) bool { return name != "" && name[0] >= 'a' && name[0] <= 'z' }

// Named moves findings about a missing file to where the file is named.
func Named(findings source.Findings, origin source.Origin, path string) source.Findings {
	for i, f := range findings {
		if f.Code == "file" {
			findings[i].Message = source.Readable(f.Origin.File) + ": " + f.Message
			findings[i].Origin, findings[i].Path = origin, path
			if f.Message == source.NoSuchFile {
				findings[i].Hint = "paths are relative to " + source.Readable(origin.File)
			}
		}
	}
	return findings
}

// ListOf gives the items of a list, and says where v is something else.
func ListOf(v *source.Value, path string, fs *source.Findings) []*source.Value {
	if v.IsNull() {
		return nil
	}
	if v.Kind != source.List {
		fs.Add("wrong-type", v.Origin, path, source.Instead("a list", v.Kind), "expected a list, got %s", describe(v))
		return nil
	}
	return v.Items
}

// UnknownKeys reports the keys of a map that are not among the known ones.
func UnknownKeys(v *source.Value, path string, known []string, fs *source.Findings) {
	for _, f := range v.Fields {
		if !slices.Contains(known, f.Key) {
			fs.Add("unknown-key", f.Origin, join(path, f.Key), source.Nearest(f.Key, known), "the key %q is not known here", f.Key)
		}
	}
}

// instances gives the named values of a descriptor, a version file's laid over
// them, and says what is wrong with their lists.
func (s *Service) instances(types *Types, versions *source.Value, fs *source.Findings) instances {
	out := instances{}
	for _, typ := range listed(types) {
		if list := s.root.Get(Plural(typ)); !list.IsNull() {
			out[typ] = readInstances(list, typ, fs)
		}
	}
	known := []string{"variables"}
	for _, typ := range listed(types) {
		known = append(known, Plural(typ))
	}
	if versions != nil {
		UnknownKeys(versions, "", known, fs)
	}
	for _, f := range versions.FieldsOrNone() {
		for _, typ := range listed(types) {
			if Plural(typ) != f.Key {
				continue
			}
			for name, change := range readInstances(f.Value, typ, fs) {
				base := out[typ][name]
				if base == nil {
					fs.Add("unknown-instance", change.Origin, f.Key, source.Nearest(name, out.names(typ)), "%s has no %s %q", s.File, typ, name)
					continue
				}
				out[typ][name] = merge(types, types.Get(typ).Fields, base, change)
			}
		}
	}
	return out
}

// listed gives the types that a descriptor may list instances of: all but those
// that stand for a context's own fields.
func listed(types *Types) []string {
	return slices.DeleteFunc(types.Names(), func(typ string) bool {
		return typ == "common" || slices.Contains(fixed, Plural(typ))
	})
}

func readInstances(list *source.Value, typ string, fs *source.Findings) map[string]*source.Value {
	out := map[string]*source.Value{}
	folded := map[string]string{}
	for i, item := range ListOf(list, Plural(typ), fs) {
		here := Item(Plural(typ), i, item)
		name := item.Get("name")
		if item.Kind != source.Map || !name.IsScalar() || name.Text == "" {
			fs.Add("name", item.Origin, here, "write {name: …}", "an instance has no name")
			continue
		}
		if other, ok := folded[strings.ToLower(name.Text)]; ok {
			message := fmt.Sprintf("the %s %q stands here twice", typ, name.Text)
			if other != name.Text {
				message = fmt.Sprintf("the %s %q differs only in case from %q", typ, name.Text, other)
			}
			fs.Add("duplicate-name", name.Origin, here, "rename one of the two", "%s", message)
			continue
		}
		folded[strings.ToLower(name.Text)] = name.Text
		out[name.Text] = item
	}
	return out
}

// Check finds what is wrong with a descriptor whatever the context: keys that
// no type explains, and instances that are wrong in themselves or that no
// context uses. types and fields are those of all flavors that its contexts
// name.
func (s *Service) Check(types *Types, fields []Field) source.Findings {
	var findings source.Findings
	known := slices.Clone(fixed)
	for _, typ := range listed(types) {
		known = append(known, Plural(typ))
	}
	for _, f := range s.root.Fields {
		if slices.Contains(known, f.Key) {
			continue
		}
		hint := source.Nearest(f.Key, known)
		if find(fields, f.Key) != nil {
			hint = "it belongs into a context"
		}
		if slices.Contains(listed(types), f.Key) {
			hint = fmt.Sprintf("instances of %s stand under %s", f.Key, Plural(f.Key))
		}
		findings.Add("unknown-key", f.Origin, f.Key, hint, "the key %q is not known here", f.Key)
	}
	in := s.instances(types, nil, &findings)
	used := usage{types: types, seen: map[string]bool{}}
	for _, c := range s.Contexts.list {
		used.fields(fields, c.Fields)
	}
	for _, typ := range sortedKeys(in) {
		for _, name := range sortedKeys(in[typ]) {
			used.fields(types.Get(typ).Fields, in[typ][name])
			if from := in[typ][name].Get("from").Str(); from != "" {
				used.seen[typ+"/"+from] = true
			}
		}
	}
	for _, typ := range sortedKeys(in) {
		for _, name := range sortedKeys(in[typ]) {
			item := in[typ][name]
			if !used.seen[typ+"/"+name] && !used.seen[typ+"/*"] {
				findings.Add("unused-instance", item.Get("name").Origin, Plural(typ)+"."+name, "name it in a context, or remove it", "no context uses the %s %q", typ, name)
				// What is used is checked when a context takes it.
				sc := scope{types: types, instances: in, vars: &Variables{}, findings: &source.Findings{}}
				sc.instance(typ, types.Get(typ).Fields, item.Get("name"), Plural(typ)+"."+name)
				for _, f := range *sc.findings {
					if f.Code != "unknown-variable" {
						findings = append(findings, f)
					}
				}
			}
		}
	}
	return findings
}

// usage collects the instances that a file's values name.
type usage struct {
	types *Types
	seen  map[string]bool
}

func (u *usage) fields(fields []Field, v *source.Value) {
	for _, f := range v.FieldsOrNone() {
		if field := find(fields, strings.TrimSuffix(f.Key, "+")); field != nil {
			u.value(field.Expr, f.Value)
		}
	}
}

func (u *usage) value(e Expr, v *source.Value) {
	fields, structured := u.types.fieldsOf(e)
	if !structured || v == nil {
		return
	}
	switch v.Kind {
	case source.List:
		for _, item := range v.Items {
			u.value(e, item)
		}
	case source.Map:
		u.mark(e, v.Get("from"))
		u.fields(fields, v)
	default:
		u.mark(e, v)
	}
}

// mark notes a name. One with a variable in it may become any of them.
func (u *usage) mark(e Expr, name *source.Value) {
	if e.base == "" || !name.IsScalar() {
		return
	}
	u.seen[e.base+"/"+name.Text] = true
	if strings.Contains(name.Text, "${") {
		u.seen[e.base+"/*"] = true
	}
}

// FlavorNames gives the names of the flavors that the contexts ask for.
func (s *Service) FlavorNames() []*source.Value {
	var out []*source.Value
	for _, c := range s.Contexts.list {
		if v := c.Fields.Get("flavor"); v.IsScalar() {
			out = append(out, v)
		}
	}
	return out
}
