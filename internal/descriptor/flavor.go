package descriptor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// FlavorFile is the name of the file that describes a flavor.
const FlavorFile = source.FlavorFile

// FlavorTests is the folder of a flavor's own test cases. Nothing in it is part of
// the flavor: charts and digests do not know it.
const FlavorTests = "tests"

// MaxFlavorFile bounds a file of a flavor, in bytes.
const MaxFlavorFile = 1 << 20

// Flavor turns a context into a chart: the fields it takes, what they are when
// nothing is said, and the templates.
type Flavor struct {
	Name        string
	Version     string
	Description string
	Abstract    bool // only there to be extended
	Types       *Types
	Fields      []Field // of a context, besides those that every flavor takes
	Defaults    *source.Value
	Files       []FlavorFileData // sorted by path; those of extended flavors included
	Digest      string           // SHA-256 over all that the flavor is, in hex
	Dir         string
	BuiltIn     bool
	// Parent is the flavor that this one extends, or nil.
	Parent *Flavor
	// Own are the fields that its own file declares, those that replace a parent's
	// among them, and Gone the names of those that it takes away.
	Own  []Field
	Gone []string
}

// FlavorFileData is a file that a flavor puts into every chart.
type FlavorFileData struct {
	Path    string // below the chart's folder
	Data    []byte
	Source  string // where it lies, for messages
	Library bool   // in the built-in library
}

// ReadFlavor reads the flavor in a folder, of the built-in library or not. base are the built-in types; parent
// finds a flavor that this one extends.
func ReadFlavor(fsys fs.FS, dir string, builtIn bool, base *Types, parent func(name *source.Value) (*Flavor, source.Findings)) (*Flavor, source.Findings) {
	file := path.Join(dir, FlavorFile)
	root, findings := source.ReadYAML(fsys, file)
	if findings != nil {
		return nil, findings
	}
	if !CheckRoot(root, &findings) {
		return nil, findings
	}
	UnknownKeys(root, "", []string{"apiVersion", "name", "version", "description", "abstract", "extends", "types", "context", "defaults"}, &findings)
	f := &Flavor{
		Name: root.Get("name").Str(), Version: root.Get("version").Str(), Description: root.Get("description").Str(),
		Abstract: root.Get("abstract").True(), Types: base, Dir: dir, BuiltIn: builtIn,
	}
	switch v := root.Get("version"); {
	case v.IsNull():
		findings.Add("required", root.Origin, "version", "write version: 1.0.0", "version is missing")
	case !semver.MatchString(f.Version):
		findings.Add("version", v.Origin, "version", "write MAJOR.MINOR.PATCH, such as 1.0.0", "%q is no semantic version", f.Version)
	}
	files := map[string]FlavorFileData{}
	digest := sha256.New()
	if extends := root.Get("extends"); !extends.IsNull() {
		p, more := parent(extends)
		findings = append(findings, more...)
		if p == nil {
			return nil, findings
		}
		f.Parent, f.Types, f.Fields, f.Defaults = p, p.Types, slices.Clone(p.Fields), p.Defaults
		for _, file := range p.Files {
			files[file.Path] = file
		}
		fmt.Fprintln(digest, "extends", p.Digest)
	}
	if types := root.Get("types"); !types.IsNull() {
		f.readTypes(types, fsys, &findings)
	}
	f.readContext(root.Get("context"), &findings)
	f.readDefaults(root.Get("defaults"), &findings)
	// Files of types are read here; a chart has no use for them.
	var typeFiles []string
	if types := root.Get("types"); types != nil && types.Kind == source.List {
		for _, name := range types.Strings() {
			typeFiles = append(typeFiles, path.Clean(name))
		}
	}
	own, more := readFlavorFiles(fsys, dir)
	if f.BuiltIn {
		for i := range own {
			own[i].Library = true
		}
	}
	findings = append(findings, more...)
	for _, file := range own {
		fmt.Fprintf(digest, "%d %s %d\n", len(file.Path), file.Path, len(file.Data))
		digest.Write(file.Data)
		if file.Path != FlavorFile && !slices.Contains(typeFiles, file.Path) {
			files[file.Path] = file
		}
	}
	for _, name := range sortedKeys(files) {
		f.Files = append(f.Files, files[name])
	}
	f.Digest = hex.EncodeToString(digest.Sum(nil))
	return f, findings
}

// readTypes reads the types that a flavor brings: a map of types, or a list of
// files of them.
func (f *Flavor) readTypes(v *source.Value, fsys fs.FS, fs *source.Findings) {
	maps := []*source.Value{v}
	if v.Kind == source.List {
		maps = nil
		for i, item := range v.Items {
			here := index("types", i)
			name, ok := Inside(f.Dir, item, here, fs)
			if !ok {
				continue
			}
			m, more := source.ReadYAML(fsys, name)
			*fs = append(*fs, Named(more, item.Origin, here)...)
			if m != nil {
				maps = append(maps, m)
			}
		}
	}
	for _, m := range maps {
		types, more := ParseTypes(f.Types, m, false)
		*fs = append(*fs, more...)
		f.Types = types
	}
}

// readContext adds the fields that a flavor takes: a map of fields, or the name
// of a type that has them. Null takes away what the extended flavor has.
func (f *Flavor) readContext(v *source.Value, fs *source.Findings) {
	var fields []Field
	switch {
	case v.IsNull():
		return
	case v.IsScalar():
		t := f.Types.Get(v.Str())
		if t == nil {
			fs.Add("type", v.Origin, "context", source.Nearest(v.Str(), f.Types.Names()), "there is no type %q", v.Str())
			return
		}
		fields = t.Fields
	case v.Kind == source.Map:
		fields = parseFields(f.without(v, fs), "context", fs)
		f.Types.checkNames(fields, "context", fs)
	default:
		fs.Add("wrong-type", v.Origin, "context", "write FIELD: TYPE", "expected a map of fields, got %s", v.Kind)
		return
	}
	f.Own = fields
	for _, field := range fields {
		if i := slices.IndexFunc(f.Fields, func(g Field) bool { return g.Name == field.Name }); i >= 0 {
			f.Fields[i] = field
		} else {
			f.Fields = append(f.Fields, field)
		}
	}
}

// without takes away the fields that are null, with what they were, and gives
// the others.
func (f *Flavor) without(v *source.Value, fs *source.Findings) *source.Value {
	out := &source.Value{Kind: source.Map, Origin: v.Origin}
	for _, field := range v.Fields {
		if !field.Value.IsNull() {
			out.Fields = append(out.Fields, field)
			continue
		}
		i := slices.IndexFunc(f.Fields, func(g Field) bool { return g.Name == field.Key })
		if i < 0 {
			fs.Add("unknown-key", field.Origin, "context."+field.Key, source.Nearest(field.Key, fieldNames(f.Fields)), "there is no field %q to take away", field.Key)
			continue
		}
		f.Fields, f.Gone = slices.Delete(f.Fields, i, i+1), append(f.Gone, field.Key)
		if f.Defaults.Get(field.Key) != nil {
			f.Defaults = f.Defaults.Shallow()
			f.Defaults.Delete(field.Key)
		}
	}
	return out
}

func (f *Flavor) readDefaults(v *source.Value, fs *source.Findings) {
	if v.IsNull() {
		return
	}
	s := scope{types: f.Types, instances: instances{}, vars: &Variables{}, findings: fs}
	expanded := s.expand(f.AllFields(), v, "defaults")
	if expanded == nil {
		return
	}
	if f.Defaults != nil {
		expanded = merge(f.Types, f.AllFields(), f.Defaults, expanded)
	}
	f.Defaults = expanded
}

// File gives the path of the file that describes the flavor.
func (f *Flavor) File() string { return path.Join(f.Dir, FlavorFile) }

// AllFields gives every field that a context of this flavor may set.
func (f *Flavor) AllFields() []Field {
	common := f.Types.Get("common")
	if common == nil {
		return f.Fields
	}
	return append(slices.Clone(common.Fields), f.Fields...)
}

func readFlavorFiles(fsys fs.FS, dir string) ([]FlavorFileData, source.Findings) {
	var findings source.Findings
	var files []FlavorFileData
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == path.Join(dir, FlavorTests) {
				return fs.SkipDir
			}
			return nil
		}
		data, err := source.ReadFile(fsys, name, MaxFlavorFile)
		if err != nil {
			findings = append(findings, source.FileFinding(name, err))
			return nil
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")
		files = append(files, FlavorFileData{Path: rel, Data: data, Source: name})
		return nil
	})
	if err != nil {
		findings = append(findings, source.FileFinding(dir, err))
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	return files, findings
}
