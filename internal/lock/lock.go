// Package lock knows kai.lock: what a workspace's flavors, friends and charts
// are pinned to, and who gives it their files.
//
// What comes from elsewhere is pinned to bytes, and so is what comes from kai's
// own library: another kai may have another. What stands in the workspace is
// listed with its path, so that nothing else takes its name; its bytes are those
// of the commit that holds kai.lock as well.
package lock

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/remote"
	"github.com/helm-kai/helm-kai/internal/source"
)

// FileName is the name of the file, at the root of a workspace.
const FileName = "kai.lock"

const apiVersion = "kai/v1"

// Kind is what is pinned.
type Kind string

// The kinds of pins. Flavors and Friends are folders of them that stand
// elsewhere.
const (
	Flavor  Kind = "flavor"
	Flavors Kind = "flavors"
	Friend  Kind = "friend"
	Friends Kind = "friends"
	Chart   Kind = "chart"
)

// Kinds gives all kinds, as schemas and messages list them.
func Kinds() []string {
	return []string{string(Chart), string(Flavor), string(Flavors), string(Friend), string(Friends)}
}

// Library is the source of what comes with kai.
const Library = "library"

// Use is something that a workspace uses.
type Use struct {
	Kind   Kind
	Name   string
	Source string // Library, a path in the workspace, or a remote source's text
	// Origin and Path are where a file names it.
	Origin source.Origin
	Path   string
}

// Entry is a line of the file: one thing that the workspace uses.
type Entry struct {
	Kind   Kind   `json:"kind"`
	Name   string `json:"name"`
	Source string `json:"source"`
	// Resolved is what the source stood for: a commit, a digest, VERSION@DIGEST; for
	// the library the version of kai; "" for a path.
	Resolved string `json:"resolved,omitempty"`
	// Digest is that of the files, "" for a path.
	Digest string        `json:"digest,omitempty"`
	Origin source.Origin `json:"-"` // in the file
}

// IsRemote says whether the entry is of something that stands elsewhere.
func (e Entry) IsRemote() bool { return remote.IsRemote(e.Source) }

// Pin gives the entry as a remote source's pin.
func (e Entry) Pin() remote.Pin {
	return remote.Pin{Source: e.Source, Resolved: e.Resolved, Digest: e.Digest}
}

// File is a kai.lock. A nil one pins nothing.
type File struct{ Entries []Entry }

// find gives the entry of a use, or that of another source under its name.
func (f *File) find(u Use) (Entry, bool) {
	var other Entry
	found := false
	if f == nil {
		return other, false
	}
	for _, e := range f.Entries {
		if e.Kind != u.Kind || e.Name != u.Name {
			continue
		}
		if e.Source == u.Source {
			return e, true
		}
		other, found = e, true
	}
	return other, found
}

// pin gives the pin of a remote source, or none.
func (f *File) pin(s remote.Source) remote.Pin {
	if f != nil {
		for _, e := range f.Entries {
			if e.Source == s.String() {
				return e.Pin()
			}
		}
	}
	return remote.Pin{}
}

// Read reads the file at the root of a tree; there may be none. What is wrong with
// it is said with its place.
func Read(fsys fs.FS) (*File, source.Findings) {
	if _, err := fs.Stat(fsys, FileName); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	root, findings := source.ReadYAML(fsys, FileName)
	const hint = "take it from git as it was, or remove it and run helm kai upgrade"
	if findings != nil {
		for i := range findings {
			findings[i].Hint = hint
		}
		return nil, findings
	}
	r := reader{hint: hint, seen: map[string]Entry{}, pins: map[string]Entry{}}
	f := r.file(root)
	if r.findings != nil {
		return nil, r.findings
	}
	return f, nil
}

type reader struct {
	hint     string
	seen     map[string]Entry
	pins     map[string]Entry
	findings source.Findings
}

func (r *reader) fail(at source.Origin, where, format string, args ...any) {
	r.findings.Add("lock", at, where, r.hint, format, args...)
}

func (r *reader) file(root *source.Value) *File {
	if root.Kind != source.Map {
		r.fail(root.Origin, "", "the file is %s, and not a map", root.Kind)
		return nil
	}
	if v := root.Get("apiVersion"); v.Str() != apiVersion {
		at := root.Origin
		if v != nil {
			at = v.Origin
		}
		r.fail(at, "apiVersion", "%q is not a format that this kai reads", v.Str())
		return nil
	}
	r.known(root, "", "apiVersion", "pins")
	f := &File{}
	pins := root.Get("pins")
	if !pins.IsNull() && pins.Kind != source.List {
		r.fail(pins.Origin, "pins", "expected a list, got %s", pins.Kind)
		return nil
	}
	for _, item := range pins.ItemsOrNone() {
		if e, ok := r.entry(item); ok {
			f.Entries = append(f.Entries, e)
		}
	}
	return f
}

func (r *reader) known(v *source.Value, where string, keys ...string) {
	for _, f := range v.Fields {
		if !slices.Contains(keys, f.Key) {
			r.fail(f.Origin, strings.TrimPrefix(where+"."+f.Key, "."), "the key %q is not known here", f.Key)
		}
	}
}

func (r *reader) entry(item *source.Value) (Entry, bool) {
	if item.Kind != source.Map {
		r.fail(item.Origin, "pins", "expected a map, got %s", item.Kind)
		return Entry{}, false
	}
	r.known(item, "pins", "kind", "name", "source", "resolved", "digest")
	e := Entry{
		Kind: Kind(item.Get("kind").Str()), Name: item.Get("name").Str(), Source: item.Get("source").Str(),
		Resolved: item.Get("resolved").Str(), Digest: item.Get("digest").Str(), Origin: item.Origin,
	}
	switch {
	case !slices.Contains(Kinds(), string(e.Kind)):
		r.fail(item.Origin, "pins.kind", "there is no kind %q (%s)", e.Kind, strings.Join(Kinds(), ", "))
		return e, false
	case e.Name == "" || e.Source == "":
		r.fail(item.Origin, "pins", "a pin has a name and a source")
		return e, false
	}
	if err := e.check(); err != nil {
		r.fail(item.Origin, "pins."+e.Name, "%s", err)
		return e, false
	}
	key := string(e.Kind) + " " + e.Name + " " + e.Source
	if _, twice := r.seen[key]; twice {
		r.fail(item.Origin, "pins."+e.Name, "%s stands here twice", e.Source)
		return e, false
	}
	r.seen[key] = e
	if other, ok := r.pins[e.Source]; ok && e.IsRemote() && other.Pin() != e.Pin() {
		r.fail(item.Origin, "pins."+e.Name, "%s is pinned otherwise in line %d", e.Source, other.Origin.Line)
		return e, false
	}
	r.pins[e.Source] = e
	return e, true
}

// check holds an entry to the form of its source.
func (e Entry) check() error {
	switch {
	case e.IsRemote():
		s, err := remote.Parse(e.Source)
		if err != nil {
			return errors.New(message(err))
		}
		if s.String() != e.Source {
			return errors.New("the source is not written as kai writes it: " + s.String())
		}
		if e.Resolved == "" || !isDigest(e.Digest) {
			return errors.New("the pin is damaged")
		}
	case e.Source == Library:
		if e.Resolved == "" || !isDigest(e.Digest) {
			return errors.New("the pin is damaged")
		}
	case !fs.ValidPath(e.Source):
		return errors.New("the path is not one of the workspace")
	}
	return nil
}

func isDigest(text string) bool {
	digits, ok := strings.CutPrefix(text, "sha256:")
	return ok && len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == ""
}

// message gives what is wrong with a source, without its hint.
func message(err error) string {
	text, _ := apart(err)
	return text
}

// apart gives an error's message and its hint.
func apart(err error) (text, hint string) {
	var e *remote.Error
	if !errors.As(err, &e) {
		return err.Error(), ""
	}
	bare := *e
	bare.Hint = ""
	return bare.Error(), e.Hint
}

// Finding words why a source gives nothing, at the place that names it.
func Finding(u Use, err error) source.Finding {
	text, hint := apart(err)
	return source.Finding{Origin: u.Origin, Path: u.Path, Message: text, Hint: hint, Code: "source"}
}

// sorted puts entries into the order of the file.
func sorted(entries []Entry) []Entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Source, b.Source))
	})
}

// Bytes gives the file's text. The same entries give the same bytes.
func (f *File) Bytes() []byte {
	list := &source.Value{Kind: source.List}
	for _, e := range sorted(f.Entries) {
		item := source.NewMap(source.Origin{})
		for _, field := range [][2]string{{"kind", string(e.Kind)}, {"name", e.Name}, {"source", e.Source}, {"resolved", e.Resolved}, {"digest", e.Digest}} {
			if field[1] != "" {
				item.Set(field[0], source.NewString(source.Origin{}, field[1]))
			}
		}
		list.Items = append(list.Items, item)
	}
	root := source.NewMap(source.Origin{})
	root.Set("apiVersion", source.NewString(source.Origin{}, apiVersion))
	root.Set("pins", list)
	return source.AppendYAML([]byte("# Written by helm kai upgrade.\n"), root, nil)
}

// NameOf gives the name under which something from elsewhere is pinned: the last
// part of its folder, its chart or its repository.
func NameOf(s remote.Source) string {
	switch {
	case s.Dir != "":
		return path.Base(s.Dir)
	case s.Chart != "":
		return s.Chart
	}
	last := s.URL[strings.LastIndexAny(s.URL, "/:")+1:]
	return cmp.Or(strings.TrimSuffix(last, ".git"), s.URL)
}

// short gives the first twelve digits of a digest or a commit.
func short(text string) string {
	text = strings.TrimPrefix(text, "sha256:")
	return text[:min(len(text), 12)]
}

// address gives where a pin's files stand, as messages show it.
func address(s remote.Source, pin remote.Pin) string {
	version, digest, ranged := strings.Cut(pin.Resolved, "@")
	if !ranged {
		digest = pin.Resolved
	}
	switch s.Kind {
	case remote.Git:
		s.Ref = ""
	case remote.OCI:
		s.Digest, s.Version = "", ""
		if ranged {
			s.Ref = version
		}
	case remote.Repository:
		return strings.TrimSuffix(s.String(), "?version="+s.Version) + "@" + version
	}
	return s.String() + "@" + short(digest)
}

// Version words what an entry is pinned to, for people.
func (e Entry) Version() string {
	switch {
	case e.Source == Library:
		return "kai " + e.Resolved + ", " + short(e.Digest)
	case !e.IsRemote():
		return e.Source
	}
	if version, digest, ok := strings.Cut(e.Resolved, "@"); ok {
		return version + ", " + short(digest)
	}
	return short(e.Resolved)
}
