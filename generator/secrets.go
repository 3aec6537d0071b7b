package generator

import (
	"crypto/sha256"
	"encoding/hex"
	"sort"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// secrets collects the secrets that a chart refers to.
type secrets struct {
	in   Input
	own  []SecretKey
	tls  []SecretKey
	used map[string]map[string]bool // friend → keys that the chart reads
	// written are the friends, "" for the chart itself, whose values stand in a
	// file of the chart, so that a Secret's name alone is not enough.
	written map[string]bool
}

func newSecrets(in Input) *secrets {
	return &secrets{in: in, own: append([]SecretKey(nil), in.SecretKeys...), used: map[string]map[string]bool{}, written: map[string]bool{}}
}

// name gives the name of the Secret with the chart's own keys.
func (s *secrets) name() string {
	if s.in.Secret != "" {
		return s.in.Secret
	}
	return ObjectName(s.in.Name, "secrets")
}

// key registers a reference and gives the key it has in the chart's Secret.
func (s *secrets) key(reference *source.Value) string {
	return register(&s.own, reference)
}

// register gives a reference a key: its own name, where that can be one and is
// not taken by another reference, and else one with a hash.
func register(list *[]SecretKey, reference *source.Value) string {
	name := reference.Get("secret").Str()
	for _, k := range *list {
		if source.Equal(k.Reference, reference) {
			return k.Key
		}
	}
	key := name
	if !secretKey.MatchString(name) || len(name) > 253 {
		key = ""
	}
	for _, k := range *list {
		if k.Key == key {
			key = ""
		}
	}
	if key == "" {
		sum := sha256.Sum256(source.AppendYAML(nil, reference, nil))
		key = Shorten(dnsName(name), 40) + "-" + hex.EncodeToString(sum[:])[:8]
	}
	*list = append(*list, SecretKey{Key: key, Reference: reference})
	return key
}

// certificate registers a reference to a certificate and gives the name of the
// Secret that holds it.
func (s *secrets) certificate(reference *source.Value) string {
	return s.certificateName(register(&s.tls, reference))
}

func (s *secrets) certificateName(key string) string {
	return ObjectName(s.in.Name, strings.TrimSuffix(dnsName(key), "-tls"), "tls")
}

// credential notes that the chart reads a friend's credential.
func (s *secrets) credential(friend, key string) {
	if s.used[friend] == nil {
		s.used[friend] = map[string]bool{}
	}
	s.used[friend][key] = true
}

// inFile notes that a credential is written into a file of the chart.
func (s *secrets) inFile(friend, key string) {
	s.written[friend] = true
	if friend != "" {
		s.credential(friend, key)
	}
}

// values is the part of values.yaml that the Secrets are made from, or nil.
func (s *secrets) values() *source.Value {
	at := source.Origin{}
	out := source.NewMap(at)
	text := source.NewString
	if len(s.own) > 0 {
		existing := ""
		if s.in.SecretGiven {
			existing = s.name()
		}
		out.Set("existingSecret", text(at, existing))
		out.Set("name", text(at, s.name()))
		out.Set("keys", keyList(s.own))
		out.Set("values", source.NewMap(at))
	}
	friends := source.NewMap(at)
	for _, f := range s.in.Friends {
		if len(f.Keys) == 0 || !f.Owned && len(s.used[f.Name]) == 0 {
			continue
		}
		friends.Set(f.Name, source.NewMap(at,
			source.Field{Key: "name", Value: text(at, f.Secret)},
			source.Field{Key: "create", Value: source.NewBool(at, f.Owned)},
			source.Field{Key: "existingSecret", Value: text(at, "")},
			source.Field{Key: "keys", Value: keyList(f.Keys)},
			source.Field{Key: "values", Value: source.NewMap(at)}))
	}
	if len(friends.Fields) > 0 {
		out.Set("friends", friends)
	}
	tls := source.NewMap(at)
	for _, k := range s.tls {
		tls.Set(k.Key, source.NewMap(at,
			source.Field{Key: "name", Value: text(at, s.certificateName(k.Key))},
			source.Field{Key: "existingSecret", Value: text(at, "")},
			source.Field{Key: "values", Value: source.NewMap(at)}))
	}
	if len(tls.Fields) > 0 {
		out.Set("tls", tls)
	}
	if len(out.Fields) == 0 {
		return nil
	}
	return out
}

func keyList(keys []SecretKey) *source.Value {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Key
	}
	sort.Strings(names)
	list := source.NewList(source.Origin{})
	for _, name := range names {
		list.Items = append(list.Items, source.NewString(source.Origin{}, name))
	}
	return list
}

// list gives the Secrets in the order of their names.
func (s *secrets) list() []Secret {
	var out []Secret
	if len(s.own) > 0 {
		out = append(out, Secret{Name: s.name(), Keys: s.own, Created: !s.in.SecretGiven, Written: s.written[""]})
	}
	for _, f := range s.in.Friends {
		if len(f.Keys) > 0 && (f.Owned || len(s.used[f.Name]) > 0) {
			out = append(out, Secret{Name: f.Secret, Role: RoleFriend, Of: f.Name, Keys: f.Keys, Created: f.Owned, Written: s.written[f.Name]})
		}
	}
	for _, k := range s.tls {
		out = append(out, Secret{Name: s.certificateName(k.Key), Role: RoleTLS, Of: k.Key, Keys: []SecretKey{k}, Created: true})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// example gives values with which the chart renders on its own: every Secret is
// said to exist, and what is written into files has a value.
func (s *secrets) example() *source.Value {
	at := source.Origin{}
	place := func(out *source.Value, name string, create bool, keys []SecretKey, inFile bool) *source.Value {
		if create {
			out.Set("existingSecret", source.NewString(at, name))
		}
		if inFile {
			values := source.NewMap(at)
			for _, key := range keyList(keys).Items {
				values.Set(key.Text, source.NewString(at, "example"))
			}
			out.Set("values", values)
		}
		return out
	}
	out := source.NewMap(at)
	if len(s.own) > 0 {
		place(out, s.name(), !s.in.SecretGiven, s.own, s.written[""])
	}
	friends, tls := source.NewMap(at), source.NewMap(at)
	for _, f := range s.in.Friends {
		if len(f.Keys) > 0 && (f.Owned || s.written[f.Name]) {
			friends.Set(f.Name, place(source.NewMap(at), f.Secret, f.Owned, f.Keys, s.written[f.Name]))
		}
	}
	for _, k := range s.tls {
		tls.Set(k.Key, place(source.NewMap(at), s.certificateName(k.Key), true, nil, false))
	}
	for _, part := range []source.Field{{Key: "friends", Value: friends}, {Key: "tls", Value: tls}} {
		if len(part.Value.Fields) > 0 {
			out.Set(part.Key, part.Value)
		}
	}
	if len(out.Fields) == 0 {
		return out
	}
	return source.NewMap(at, source.Field{Key: "secrets", Value: out})
}
