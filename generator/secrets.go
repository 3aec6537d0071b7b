package generator

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
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
	written  map[string]bool
	findings *source.Findings
}

func newSecrets(in Input, findings *source.Findings) *secrets {
	return &secrets{
		in: in, own: append([]SecretKey(nil), in.SecretKeys...), used: map[string]map[string]bool{}, written: map[string]bool{},
		findings: findings,
	}
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
	if len(s.own) > 0 && s.in.Delivery.Runtime == nil {
		existing := ""
		if s.in.SecretGiven {
			existing = s.name()
		}
		out.Set("existingSecret", text(at, existing))
		out.Set("name", text(at, s.name()))
		out.Set("keys", keyList(s.own))
		if !s.in.SecretGiven {
			s.remote(out, RoleOwn, "", s.name(), s.own)
		}
		out.Set("values", source.NewMap(at))
	}
	friends := source.NewMap(at)
	for _, f := range s.in.Friends {
		if len(f.Keys) == 0 || !f.Owned && len(s.used[f.Name]) == 0 || s.elsewhere(f) {
			continue
		}
		friend := source.NewMap(at,
			source.Field{Key: "name", Value: text(at, f.Secret)},
			source.Field{Key: "create", Value: source.NewBool(at, f.Owned)},
			source.Field{Key: "existingSecret", Value: text(at, "")},
			source.Field{Key: "keys", Value: keyList(f.Keys)})
		if f.Owned {
			s.remote(friend, RoleFriend, f.Name, f.Secret, f.Keys)
		}
		friend.Set("values", source.NewMap(at))
		friends.Set(f.Name, friend)
	}
	if len(friends.Fields) > 0 {
		out.Set("friends", friends)
	}
	tls := source.NewMap(at)
	for _, k := range s.tls {
		certificate := source.NewMap(at,
			source.Field{Key: "name", Value: text(at, s.certificateName(k.Key))},
			source.Field{Key: "existingSecret", Value: text(at, "")})
		s.remote(certificate, RoleTLS, k.Key, s.certificateName(k.Key), []SecretKey{k})
		certificate.Set("values", source.NewMap(at))
		tls.Set(k.Key, certificate)
	}
	if len(tls.Fields) > 0 {
		out.Set("tls", tls)
	}
	if e := s.in.Delivery.External; e != nil && s.external() {
		out.Set("external", source.NewMap(at,
			source.Field{Key: "store", Value: text(at, e.Store)},
			source.Field{Key: "kind", Value: text(at, e.Kind)},
			source.Field{Key: "refreshInterval", Value: text(at, e.RefreshInterval)}))
	}
	if len(out.Fields) == 0 {
		return nil
	}
	return out
}

// external says whether an operator makes any of the chart's Secrets.
func (s *secrets) external() bool {
	return slices.ContainsFunc(s.list(), func(secret Secret) bool { return secret.External })
}

// remote adds to what values.yaml says of a Secret where an operator finds what it
// holds.
func (s *secrets) remote(out *source.Value, role Role, of, secret string, keys []SecretKey) {
	d := s.in.Delivery
	if d.External == nil {
		return
	}
	at := source.Origin{}
	remote := source.NewMap(at)
	for _, k := range slices.SortedFunc(slices.Values(keys), func(a, b SecretKey) int { return strings.Compare(a.Key, b.Key) }) {
		for _, name := range Names(role, k) {
			place := d.Place(role, of, k.Reference, name)
			key, property, err := d.External.Remote(place)
			if err != nil {
				message, hint, _ := strings.Cut(err.Error(), "\n  hint: ")
				s.findings.Add("external-secrets", k.Reference.Get("secret").OriginOrNone(), s.in.Name, hint, "the Secret %s wants %s: %s", secret, place, message)
				break // of a certificate, the second key has the same mistake
			}
			remote.Set(name, source.NewMap(at,
				source.Field{Key: "key", Value: source.NewString(at, key)},
				source.Field{Key: "property", Value: source.NewString(at, property)}))
		}
	}
	out.Set("remote", remote)
}

// Names gives what a key is called in a Secret of a role: a certificate is two.
func Names(role Role, k SecretKey) []string {
	if role == RoleTLS {
		return []string{"tls.crt", "tls.key"}
	}
	return []string{k.Key}
}

// inFiles finds a credential in files where values cannot be given to the chart.
func (s *secrets) inFiles(files *source.Value, path, file string) {
	for _, f := range s.in.Friends {
		if s.elsewhere(f) && s.written[f.Name] {
			delete(s.written, f.Name) // of this file
			s.findings.Add("runtime", files.Origin, path, "give it to the process as a variable (env), or use delivery: chart for the context",
				"a credential of %s stands in %s, and kai-run makes no file of the chart", f.Name, file)
		}
	}
	if s.in.Delivery.External == nil {
		return
	}
	s.findings.Add("external-secrets", files.Origin, path, "give it to the process as a variable (env), or use delivery: chart for the context",
		"a credential stands in %s, and External Secrets makes no file of the chart", file)
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
		later := s.in.Delivery.Runtime != nil
		out = append(out, Secret{Name: s.name(), Keys: s.own, Created: !later && !s.in.SecretGiven, Written: s.written[""], Elsewhere: later})
	}
	for _, f := range s.in.Friends {
		switch {
		case s.elsewhere(f):
			keys := slices.DeleteFunc(slices.Clone(f.Keys), func(k SecretKey) bool { return !s.used[f.Name][k.Key] })
			if len(keys) > 0 {
				out = append(out, Secret{Name: f.Secret, Role: RoleFriend, Of: f.Name, Keys: keys, Elsewhere: true})
			}
		case len(f.Keys) > 0 && (f.Owned || len(s.used[f.Name]) > 0):
			out = append(out, Secret{Name: f.Secret, Role: RoleFriend, Of: f.Name, Keys: f.Keys, Created: f.Owned, Written: s.written[f.Name]})
		}
	}
	for _, k := range s.tls {
		out = append(out, Secret{Name: s.certificateName(k.Key), Role: RoleTLS, Of: k.Key, Keys: []SecretKey{k}, Created: true})
	}
	for i := range out {
		out[i].External = out[i].Created && s.in.Delivery.External != nil
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// example gives values with which the chart renders on its own: every Secret is
// said to exist, and what is written into files has a value. What an operator makes
// needs nothing.
func (s *secrets) example() *source.Value {
	at := source.Origin{}
	if s.in.Delivery.External != nil {
		return source.NewMap(at)
	}
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
	if len(s.own) > 0 && s.in.Delivery.Runtime == nil {
		place(out, s.name(), !s.in.SecretGiven, s.own, s.written[""])
	}
	friends, tls := source.NewMap(at), source.NewMap(at)
	for _, f := range s.in.Friends {
		if len(f.Keys) > 0 && (f.Owned || s.written[f.Name]) && !s.elsewhere(f) {
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
