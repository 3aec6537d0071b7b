package descriptor

import (
	"io/fs"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Friend is a service that others depend on: what they get from it, and how it
// is installed where it is not elsewhere.
type Friend struct {
	Name string
	File string
	FS   fs.FS
	root *source.Value // without apiVersion, name, description and contexts
	ctxs *Contexts

	description string
}

// friendFields are the keys of a friend, in its file, its contexts and where it
// is used.
var friendFields = []shape{
	{"type", source.String}, {"from", source.String}, {"chart", source.Map}, {"values", source.Map}, {"config", source.Map},
	{"credentials", source.Map}, {"env", source.Map}, {"mounts", source.List}, {"egress", source.List}, {"podLabels", source.Map},
}

// checkFriend holds a friend's fields to their shapes, beside more of them.
func checkFriend(v *source.Value, path string, fs *source.Findings, more ...shape) {
	shapes(v, path, append(more, friendFields...), fs)
	if t := v.Get("type"); t.IsScalar() && t.Text != "requirement" && t.Text != "dependency" {
		fs.Add("wrong-type", t.Origin, join(path, "type"), friendTypes, "a friend has no type %q", t.Text)
	}
	if c := v.Get("chart"); c != nil && c.Kind == source.Map {
		shapes(c, join(path, "chart"), []shape{{"flavor", source.String}, {"path", source.String}, {"repository", source.String}, {"name", source.String}, {"version", source.String}, {"oci", source.String}, {"git", source.String}}, fs)
	}
	checkCredentials(v.Get("credentials"), join(path, "credentials"), fs)
}

const friendTypes = "write type: requirement (one for each service) or type: dependency (one for all)"

// ReadFriend reads a friend's file.
func ReadFriend(fsys fs.FS, file string) (*Friend, source.Findings) {
	root, findings := source.ReadYAML(fsys, file)
	if findings != nil {
		return nil, findings
	}
	if !CheckRoot(root, &findings) {
		return nil, findings
	}
	f := &Friend{Name: root.Get("name").Str(), File: file, FS: fsys, root: root.Shallow()}
	f.ctxs = ReadContexts(root.Get("contexts"), "contexts", &findings)
	f.description = root.Get("description").Str()
	for _, key := range []string{"apiVersion", "name", "description", "contexts"} {
		f.root.Delete(key)
	}
	checkFriend(f.root, "", &findings)
	for _, c := range f.ctxs.list {
		checkFriend(c.Fields, "contexts."+c.Name, &findings)
	}
	return f, findings
}

// Origin gives where the file names the friend.
func (f *Friend) Origin() source.Origin { return f.root.Origin }

// From gives the name of the friend that this one is made from, or nil.
func (f *Friend) From() *source.Value { return f.root.Get("from") }

// Description gives the file's own words on the friend.
func (f *Friend) Description() string { return f.description }

// Type gives requirement or dependency, or "" where the friend that this one is
// made from decides.
func (f *Friend) Type() string { return f.root.Get("type").Str() }

// Layers gives the friend's fields and those of its contexts that apply, lowest
// first.
func (f *Friend) Layers(uses, lineage []string) ([]*source.Value, source.Findings) {
	layers := []*source.Value{f.root}
	chain, findings := f.ctxs.Chain(f.ctxs.Choose(uses, lineage)...)
	for _, c := range chain {
		layers = append(layers, c.Fields)
	}
	return layers, findings
}

// MergeFriend lays changes over a friend's fields. What a chart is is replaced
// whole, and so are the names that env gives a consumer.
func MergeFriend(lower, upper *source.Value) *source.Value {
	out := lower.Shallow()
	for _, f := range upper.Fields {
		value := f.Value
		switch f.Key {
		case "from", "name", "service", "needs":
			continue
		case "values", "config", "credentials":
			if value != nil && value.Kind == source.Map {
				value = mergeValue(&Types{}, nil, out.Get(f.Key), appendKeys(value))
			}
		}
		out.Set(f.Key, value)
	}
	return out
}

// FriendUse is one entry of a context's friends.
type FriendUse struct {
	Name    string // under which the consumer knows the friend
	From    string // of the library, or ""
	Service string // of the workspace, or ""
	Needs   bool   // installed after the friend
	Changes *source.Value
	Origin  source.Origin
}

// readFriendUses reads a context's list of friends.
func readFriendUses(v *source.Value, fs *source.Findings) []FriendUse {
	var uses []FriendUse
	seen := map[string]bool{}
	for i, item := range ListOf(v, "friends", fs) {
		here := Item("friends", i, item)
		if _, ok := InvalidName(item.Str()); ok && item.IsScalar() {
			here = "friends." + item.Text
		}
		use := FriendUse{Origin: item.Origin, Changes: item}
		switch {
		case item.IsScalar():
			use.From = item.Str()
			use.Changes = source.NewMap(item.Origin)
		case item.Kind != source.Map:
			fs.Add("wrong-type", item.Origin, here, "write NAME, {service: NAME} or {from: NAME, …}", "expected a friend, got %s", item.Kind)
			continue
		default:
			use.From, use.Service = item.Get("from").Str(), item.Get("service").Str()
			use.Needs = item.Get("needs").True()
			checkFriend(item, here, fs, shape{"name", source.String}, shape{"service", source.String}, shape{"needs", source.Bool})
			if use.From != "" && use.Service != "" {
				fs.Add("one-of", item.Origin, here, "keep one of the two", "from and service exclude one another")
				continue
			}
		}
		use.Name = nameOfUse(item)
		if use.Name == "" {
			fs.Add("name", item.Origin, here, "write {name: …}, {from: …} or {service: …}", "the friend has no name")
			continue
		}
		if why, ok := InvalidName(use.Name); !ok {
			fs.Add("name", item.Origin, here, "write {name: …}, {from: …} or {service: …}", "%q cannot be a friend's name: %s", use.Name, why)
			continue
		}
		if seen[use.Name] {
			fs.Add("duplicate-name", item.Origin, here, "give one of them a name of its own: {from: …, name: …}", "the friend %q stands here twice", use.Name)
			continue
		}
		seen[use.Name] = true
		uses = append(uses, use)
	}
	return uses
}

// nameOfUse gives the name under which an entry of a context's friends is known, or "".
func nameOfUse(item *source.Value) string {
	if item.IsScalar() {
		return item.Str()
	}
	return knownAs(item)
}
