package storetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// The deployments that the suite reads and writes. A store for which a deployment
// has to be made beforehand, such as a namespace, makes these two.
const (
	Deployment = "storetest"
	Other      = "storetest-other"
)

// marker is in every text that the suite writes, and in no message.
const marker = "example-storetest"

// large is the size of the value that a store takes, or says that it cannot;
// modest is that of one which every store takes.
const (
	large  = 1 << 20
	modest = 256 << 10
)

// ComparePaths orders paths as List gives them.
func ComparePaths(a, b secrets.Path) int {
	return cmp.Or(cmp.Compare(a.Deployment, b.Deployment), cmp.Compare(a.App, b.App), cmp.Compare(a.Scope, b.Scope))
}

// rule is a part of the contract.
type rule struct {
	name string
	test func(t *testing.T, s *suite)
	// What it wants of a store: that it can write, or that somebody fills it; that
	// it can write itself; that it compares and swaps.
	want ability
}

type ability int

const (
	reads ability = iota
	writes
	swaps
)

// rules are the contract, in the order in which they are tested.
var rules = []rule{
	{"missing paths", missing, reads},
	{"write and read", writeRead, reads},
	{"kinds", kinds, reads},
	{"texts", texts, reads},
	{"names", names, writes},
	{"large value", largeValue, writes},
	{"write replaces", replaces, reads},
	{"no change makes no version", unchanged, writes},
	{"delete", deletes, writes},
	{"list", list, reads},
	{"deployments", deployments, writes},
	{"many paths", manyPaths, reads},
	{"scopes", scopes, writes},
	{"values are the caller's", owned, reads},
	{"compare and swap", conflicts, swaps},
	{"versions of other paths", independent, swaps},
	{"first writers", firstWriters, swaps},
	{"concurrent edits", concurrentEdits, swaps},
	{"edit that fails", editFails, writes},
	{"history", history, writes},
	{"context that has ended", ended, reads},
	{"provider", provider, reads},
}

// Run holds a store to the contract of secrets.Store, and of secrets.Historian
// where the store has a history. open gives a store, once for every test of the
// suite; what it holds may be left from before, and may be shared: the suite
// writes into apps of names of its own, and keys of such names into the app
// global. It closes what it was given. A store that
// cannot write is only asked to say so.
func Run(t *testing.T, open func(t *testing.T) secrets.Store) {
	t.Helper()
	RunFilled(t, open, nil)
}

// RunFilled does the same for a store that cannot write: where fill is not nil it
// is who makes a path hold what a document says, so that the store is held to all
// that is about reading.
func RunFilled(t *testing.T, open func(t *testing.T) secrets.Store, fill func(t *testing.T, doc secrets.Doc)) {
	t.Helper()
	t.Run("abilities", func(t *testing.T) { abilities(t, start(t, open)) })
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			s := start(t, open)
			s.fill = fill
			switch can := s.store.Can(); {
			case !can.Write && (rule.want != reads || fill == nil):
				t.Skip(cannot + "it cannot write, and says so")
			case rule.want == swaps && !can.CAS:
				t.Skip(cannot + "it cannot compare and swap, and says so")
			}
			rule.test(t, s)
		})
	}
}

// cannot begins what a test says of a store that cannot do something and says so,
// where the contract leaves it the choice. The table of docs/stores.md is made of
// it.
const cannot = "cannot: "

// suite is one test's view of a store.
type suite struct {
	*testing.T
	store secrets.Store
	fill  func(t *testing.T, doc secrets.Doc) // writes for a store that cannot, or nil
	app   string                              // no other test's
}

func start(t *testing.T, open func(t *testing.T) secrets.Store) *suite {
	t.Helper()
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatal(err)
	}
	s := &suite{T: t, store: open(t), app: "app-" + hex.EncodeToString(random[:])}
	t.Cleanup(func() {
		if err := s.store.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// path gives a place of the test's own.
func (s *suite) path(scope string) secrets.Path {
	return secrets.Path{Deployment: Deployment, App: s.app, Scope: scope}
}

func text(s string) secrets.Value { return secrets.New(marker + s) }

// said fails where a message shows a value.
func (s *suite) said(err error) {
	s.Helper()
	if err != nil && strings.Contains(err.Error(), marker) {
		s.Errorf("a message shows a value: %v", err)
	}
}

func (s *suite) read(path secrets.Path) secrets.Doc {
	s.Helper()
	docs, err := s.store.Read(s.Context(), []secrets.Path{path})
	if err != nil {
		s.Fatalf("reading %s: %v", path, err)
	}
	doc, ok := docs[path]
	if ok && doc.Path != path {
		s.Errorf("%s was read as %s", path, doc.Path)
	}
	if ok && doc.Version == "" {
		s.Errorf("%s holds something, and has no version", path)
	}
	return doc
}

// write replaces what a path holds, whatever its version.
func (s *suite) write(path secrets.Path, values map[string]secrets.Value) string {
	s.Helper()
	if !s.store.Can().Write {
		s.fill(s.T, secrets.Doc{Path: path, Values: values})
		return s.read(path).Version
	}
	version, err := s.store.Write(s.Context(), secrets.Doc{Path: path, Values: values, Version: s.read(path).Version})
	if err != nil {
		s.Fatalf("writing %s: %v", path, err)
	}
	return version
}

// holds compares what a path holds, kinds included.
func (s *suite) holds(path secrets.Path, want map[string]secrets.Value) {
	s.Helper()
	s.same(s.read(path).Values, want)
}

func (s *suite) same(got, want map[string]secrets.Value) {
	s.Helper()
	for name, v := range want {
		if w, ok := got[name]; !ok {
			s.Errorf("%s is not there", name)
		} else if !w.Equal(v) {
			s.Errorf("%s is a %s of %d bytes, and was written as a %s of %d", name, w.Kind(), len(w.Reveal()), v.Kind(), len(v.Reveal()))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			s.Errorf("%s is there and was not written", name)
		}
	}
}

// refused says whether the store has said that it cannot do something.
func refused(err error) bool {
	var cannot *secrets.CannotError
	return errors.As(err, &cannot)
}

func abilities(t *testing.T, s *suite) {
	can := s.store.Can()
	if can.Name == "" {
		t.Error("the store has no name")
	}
	historian, keeps := s.store.(secrets.Historian)
	if can.History && !keeps {
		t.Error("the store says that it has a history, and has no methods for it")
	}
	if keeps && !can.History {
		_, err := historian.History(t.Context(), s.path(secrets.Private))
		if !refused(err) {
			t.Errorf("a history that the store cannot have gives %v, and not a *CannotError", err)
		}
		_, err = historian.At(t.Context(), s.path(secrets.Private), "1")
		if !refused(err) {
			t.Errorf("a version that the store cannot keep gives %v, and not a *CannotError", err)
		}
	}
	if can.Write {
		return
	}
	_, err := s.store.Write(t.Context(), secrets.Doc{Path: s.path(secrets.Private), Values: map[string]secrets.Value{"KEY": text("")}})
	if !refused(err) {
		t.Errorf("a write that the store cannot do gives %v, and not a *CannotError", err)
	}
	s.said(err)
	if docs, err := s.store.Read(t.Context(), []secrets.Path{s.path(secrets.Private)}); err != nil || len(docs) != 0 {
		t.Errorf("a path that holds nothing: %v, %v", docs, err)
	}
}

func missing(t *testing.T, s *suite) {
	paths := []secrets.Path{s.path(secrets.Public), s.path(secrets.Secret)}
	for _, ask := range [][]secrets.Path{nil, {}, paths, append(paths, paths...)} {
		docs, err := s.store.Read(t.Context(), ask)
		if err != nil || len(docs) != 0 {
			t.Errorf("reading %v: %v, %v", ask, docs, err)
		}
	}
	if _, err := s.store.List(t.Context(), Deployment); err != nil {
		t.Error(err)
	}
	if !s.store.Can().Write {
		return
	}
	// Nothing is removed from where nothing is.
	if _, err := s.store.Write(t.Context(), secrets.Doc{Path: paths[0]}); err != nil {
		t.Error(err)
	}
	if docs, err := s.store.Read(t.Context(), paths); err != nil || len(docs) != 0 {
		t.Errorf("after: %v, %v", docs, err)
	}
}

func writeRead(t *testing.T, s *suite) {
	for _, scope := range secrets.Scopes() {
		want := map[string]secrets.Value{"DB_PASSWORD": text(scope), "url": text("://" + scope)}
		version := s.write(s.path(scope), want)
		s.holds(s.path(scope), want)
		if got := s.read(s.path(scope)).Version; got != version {
			t.Errorf("Write gives the version %q, and Read %q", version, got)
		}
	}
	// One scope is not another.
	for _, scope := range secrets.Scopes() {
		s.holds(s.path(scope), map[string]secrets.Value{"DB_PASSWORD": text(scope), "url": text("://" + scope)})
	}
}

// everyKind gives values of every kind, and those that are easily taken for
// another.
func everyKind(t *testing.T) map[string]secrets.Value {
	t.Helper()
	out := map[string]secrets.Value{}
	for name, x := range map[string]any{
		"text":           "example",
		"text_empty":     "",
		"text_number":    "42",
		"text_bool":      "true",
		"text_null":      "null",
		"text_map":       `{"a": 1}`,
		"text_base64":    "ZXhhbXBsZQ==",
		"number":         json.Number("42"),
		"number_neg":     json.Number("-1.50"),
		"number_big":     json.Number("123456789012345678901234567890"),
		"number_exp":     json.Number("1e400"),
		"number_zero":    json.Number("0"),
		"bool":           true,
		"bool_false":     false,
		"list":           []any{"a", json.Number("1"), true, nil, []any{}, map[string]any{}},
		"list_empty":     []any{},
		"map":            map[string]any{"b": json.Number("1.50"), "a": map[string]any{"deep": []any{"<&>", "☃", json.Number("99999999999999999999")}}},
		"map_empty":      map[string]any{},
		"map_of_nothing": map[string]any{"": nil},
	} {
		v, err := secrets.Of(x)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = v
	}
	return out
}

func kinds(t *testing.T, s *suite) {
	want := everyKind(t)
	for _, scope := range secrets.Scopes() {
		s.write(s.path(scope), want)
		s.holds(s.path(scope), want)
	}
	got := s.read(s.path(secrets.Secret)).Values["map"]
	if text := got.Reveal(); text != `{"a":{"deep":["<&>","☃",99999999999999999999]},"b":1.50}` {
		t.Errorf("a map is %s", text)
	}
}

func texts(t *testing.T, s *suite) {
	want := map[string]secrets.Value{}
	for name, x := range map[string]string{
		"unicode":    "ключ ☃ 🔑 é e\u0301 \u200b",
		"lines":      "-----BEGIN EXAMPLE-----\nline\n\n  indented\n-----END EXAMPLE-----\n",
		"no_end":     "a\nb",
		"many_ends":  "a\n\n\n",
		"only_ends":  "\n\n",
		"crlf":       "a\r\nb\r\n",
		"tabs":       "\ta\n\tb",
		"spaces":     "  around  ",
		"blank":      " ",
		"quotes":     `"'` + "`" + `\"\\`,
		"yaml":       "- a: b # c\n? d",
		"json":       `{"a":[1,2,{"b":null}]}`,
		"markup":     "<a href='x'>&amp;</a>",
		"shell":      "$HOME ${X} $(id) `id` %s %%d",
		"sql":        "'; DROP TABLE data; --",
		"controls":   "\x01\x1b[31m\x7f\u0085\u2028\ufeff",
		"age":        "age:not",
		"kai":        "kai:v1:not",
		"vault":      "vault:v1:not",
		"long_line":  strings.Repeat("x", 10_000),
		"percent":    "%!s(MISSING)",
		"scientific": "1e3",
	} {
		want[name] = secrets.New(x)
	}
	for _, scope := range secrets.Scopes() {
		s.write(s.path(scope), want)
		s.holds(s.path(scope), want)
	}
}

func names(t *testing.T, s *suite) {
	want := map[string]secrets.Value{}
	for _, name := range []string{"lower", "UPPER_CASE", "with.dots.in", "with-dash", "_under", "0digit", "version", "Lower", "LOWER", "true", "null", "a.b-c_D.9"} {
		want[name] = text(name)
	}
	s.write(s.path(secrets.Secret), want)
	s.holds(s.path(secrets.Secret), want)

	// What is beyond that is kept or refused, and refusing changes nothing.
	var odd []string
	for _, name := range []string{"with space", "with/slash", "ключ", "with:colon", "a\nb", "<<", `"quoted"`, "#", strings.Repeat("n", 500)} {
		more := maps.Clone(want)
		more[name] = text("odd")
		doc := s.read(s.path(secrets.Secret))
		doc.Values = more
		_, err := s.store.Write(t.Context(), doc)
		s.said(err)
		switch {
		case err == nil:
			s.holds(s.path(secrets.Secret), more)
			s.write(s.path(secrets.Secret), want)
		case !refused(err):
			t.Errorf("the key %q gives %v, and not a *CannotError", name, err)
		default:
			label := strconv.Quote(name)
			if len(name) > 100 {
				label = fmt.Sprintf("one of %d letters", len(name))
			}
			odd = append(odd, label)
		}
		s.holds(s.path(secrets.Secret), want)
	}
	if len(odd) > 0 {
		t.Log(cannot + "it takes no key such as " + strings.Join(odd, ", "))
	}
}

func largeValue(t *testing.T, s *suite) {
	for _, scope := range []string{secrets.Private, secrets.Secret} {
		want := map[string]secrets.Value{"LARGE": text(strings.Repeat("0123456789abcdef", large/16)), "small": text("")}
		_, err := s.store.Write(t.Context(), secrets.Doc{Path: s.path(scope), Values: want})
		s.said(err)
		if refused(err) {
			t.Logf(cannot+"a value of 1 MiB is too large in the scope %s, one of 256 KiB is not", scope)
			want["LARGE"] = text(strings.Repeat("0123456789abcdef", modest/16))
			s.write(s.path(scope), want)
		} else if err != nil {
			t.Fatalf("a value of %d bytes gives %v, and not a *CannotError", large, err)
		}
		s.holds(s.path(scope), want)
	}
}

func replaces(t *testing.T, s *suite) {
	path := s.path(secrets.Secret)
	s.write(path, map[string]secrets.Value{"A": text("1"), "B": text("2")})
	want := map[string]secrets.Value{"B": text("3"), "C": text("4")}
	s.write(path, want)
	s.holds(path, want)
}

func unchanged(t *testing.T, s *suite) {
	for _, scope := range secrets.Scopes() {
		path := s.path(scope)
		want := everyKind(t)
		first := s.write(path, want)
		if again := s.write(path, maps.Clone(want)); again != first {
			t.Errorf("%s: a write that changes nothing went from the version %s to %s", scope, first, again)
		}
		doc, err := secrets.Edit(t.Context(), s.store, path, func(map[string]secrets.Value) error { return nil })
		if err != nil || doc != first {
			t.Errorf("%s: an edit that changes nothing gives %s, %v after %s", scope, doc, err, first)
		}
		if got := s.read(path).Version; got != first {
			t.Errorf("%s: the version is %s after %s", scope, got, first)
		}
		// A value of another kind is another value.
		want["number"] = secrets.New("42")
		if changed := s.write(path, want); changed == first && s.store.Can().CAS {
			t.Errorf("%s: a number became text, and the version stays %s", scope, first)
		}
		s.holds(path, want)
	}
}

func deletes(t *testing.T, s *suite) {
	path, other := s.path(secrets.Secret), s.path(secrets.Private)
	s.write(path, map[string]secrets.Value{"A": text("1"), "B": text("2")})
	s.write(other, map[string]secrets.Value{"A": text("3")})
	if _, err := secrets.Edit(t.Context(), s.store, path, func(values map[string]secrets.Value) error {
		delete(values, "A")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.holds(path, map[string]secrets.Value{"B": text("2")})

	s.write(path, nil)
	docs, err := s.store.Read(t.Context(), []secrets.Path{path, other})
	if _, there := docs[path]; err != nil || there || len(docs) != 1 {
		t.Errorf("a path without values gives %v, %v", docs, err)
	}
	paths, err := s.store.List(t.Context(), Deployment)
	if err != nil || slices.Contains(paths, path) || !slices.Contains(paths, other) {
		t.Errorf("after a path lost its values, the list is %v, %v", paths, err)
	}

	// It begins anew where it was, by the version of nothing.
	if _, err := s.store.Write(t.Context(), secrets.Doc{Path: path, Values: map[string]secrets.Value{"C": text("5")}}); err != nil {
		t.Fatal(err)
	}
	s.holds(path, map[string]secrets.Value{"C": text("5")})
}

func list(t *testing.T, s *suite) {
	var want []secrets.Path
	for _, suffix := range []string{"-b", "", "-a", "-a-b", "-10"} {
		for _, scope := range []string{secrets.Secret, secrets.Public} {
			path := secrets.Path{Deployment: Deployment, App: s.app + suffix, Scope: scope}
			s.write(path, map[string]secrets.Value{"A": text("1")})
			want = append(want, path)
		}
	}
	slices.SortFunc(want, ComparePaths)
	all, err := s.store.List(t.Context(), Deployment)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, ComparePaths) {
		t.Errorf("the list is not sorted: %v", all)
	}
	var got []secrets.Path
	for _, path := range all {
		if strings.HasPrefix(path.App, s.app) {
			got = append(got, path)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the list is %v, and was written as %v", got, want)
	}
}

func deployments(t *testing.T, s *suite) {
	here := s.path(secrets.Secret)
	there := here
	there.Deployment = Other
	s.write(here, map[string]secrets.Value{"A": text("here")})
	_, err := s.store.Write(t.Context(), secrets.Doc{Path: there, Values: map[string]secrets.Value{"A": text("there")}})
	s.said(err)
	if refused(err) {
		t.Skip(cannot + "it holds one deployment, and says so")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.holds(here, map[string]secrets.Value{"A": text("here")})
	s.holds(there, map[string]secrets.Value{"A": text("there")})
	paths, err := s.store.List(t.Context(), Other)
	if err != nil || !slices.Contains(paths, there) || slices.ContainsFunc(paths, func(p secrets.Path) bool { return p.Deployment != Other }) {
		t.Errorf("the other deployment's list is %v, %v", paths, err)
	}
}

func manyPaths(t *testing.T, s *suite) {
	const n = 40
	var paths []secrets.Path
	for i := range n {
		path := secrets.Path{Deployment: Deployment, App: s.app + "-" + strconv.Itoa(i), Scope: secrets.Scopes()[i%3]}
		s.write(path, map[string]secrets.Value{"N": text(strconv.Itoa(i))})
		paths = append(paths, path, path, secrets.Path{Deployment: Deployment, App: path.App + "-none", Scope: path.Scope})
	}
	docs, err := s.store.Read(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) != n {
		t.Errorf("%d paths were read, and %d hold something", len(docs), n)
	}
	for i := range n {
		s.same(docs[paths[3*i]].Values, map[string]secrets.Value{"N": text(strconv.Itoa(i))})
	}
}

func scopes(t *testing.T, s *suite) {
	path := s.path("elsewhere")
	_, err := s.store.Write(t.Context(), secrets.Doc{Path: path, Values: map[string]secrets.Value{"A": text("1")}})
	s.said(err)
	if err == nil {
		s.holds(path, map[string]secrets.Value{"A": text("1")})
	} else if !refused(err) {
		t.Errorf("a scope that there is not gives %v, and not a *CannotError", err)
	} else {
		t.Log(cannot + "it has the three scopes and no other")
	}
}

func owned(t *testing.T, s *suite) {
	path := s.path(secrets.Secret)
	values := map[string]secrets.Value{"A": text("1")}
	s.write(path, values)
	values["A"], values["B"] = text("2"), text("3")
	s.holds(path, map[string]secrets.Value{"A": text("1")})
	got := s.read(path).Values
	got["A"], got["B"] = text("4"), text("5")
	s.holds(path, map[string]secrets.Value{"A": text("1")})
}

// conflict says whether a path's conflict is told, and only then.
func (s *suite) conflict(doc secrets.Doc) {
	s.Helper()
	_, err := s.store.Write(s.Context(), doc)
	var conflict *secrets.ConflictError
	if !errors.As(err, &conflict) || conflict.Path != doc.Path {
		s.Errorf("a write at the version %q gives %v, and not a *ConflictError", doc.Version, err)
	}
	s.said(err)
}

func conflicts(t *testing.T, s *suite) {
	for _, scope := range []string{secrets.Public, secrets.Secret} {
		path := s.path(scope)
		one, two, three := map[string]secrets.Value{"A": text("1")}, map[string]secrets.Value{"A": text("2")}, map[string]secrets.Value{"A": text("3")}
		first := s.write(path, one)
		second := s.write(path, two)
		if first == second {
			t.Fatalf("two versions have the name %s", first)
		}
		s.conflict(secrets.Doc{Path: path, Values: three})
		s.conflict(secrets.Doc{Path: path, Values: three, Version: first})
		s.conflict(secrets.Doc{Path: path, Version: first})
		s.holds(path, two)
		s.write(path, nil)
		s.conflict(secrets.Doc{Path: path, Values: three, Version: second})
		if docs, err := s.store.Read(t.Context(), []secrets.Path{path}); err != nil || len(docs) != 0 {
			t.Errorf("a refused write has written: %v, %v", docs, err)
		}
	}
}

func independent(t *testing.T, s *suite) {
	path, other := s.path(secrets.Secret), s.path(secrets.Private)
	s.write(path, map[string]secrets.Value{"A": text("1")})
	before := s.read(path)
	s.write(other, map[string]secrets.Value{"A": text("2")})
	if after := s.read(path); after.Version != before.Version {
		t.Errorf("a write to another path changed the version from %s to %s", before.Version, after.Version)
	}
	before.Values = map[string]secrets.Value{"A": text("3")}
	if _, err := s.store.Write(t.Context(), before); err != nil {
		t.Errorf("after a write to another path: %v", err)
	}
}

func firstWriters(t *testing.T, s *suite) {
	const writers = 8
	path := s.path(secrets.Secret)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			_, errs[i] = s.store.Write(t.Context(), secrets.Doc{Path: path, Values: map[string]secrets.Value{"A": text(strconv.Itoa(i))}})
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		var conflict *secrets.ConflictError
		switch {
		case err == nil && won >= 0:
			t.Errorf("both %d and %d were the first to write", won, i)
		case err == nil:
			won = i
		case !errors.As(err, &conflict):
			t.Errorf("the writer %d: %v", i, err)
		}
	}
	if won < 0 {
		t.Fatal("nobody was the first to write")
	}
	s.holds(path, map[string]secrets.Value{"A": text(strconv.Itoa(won))})
}

func concurrentEdits(t *testing.T, s *suite) {
	const writers, times = 4, 25
	path := s.path(secrets.Secret)
	errs := make(chan error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range times {
				_, err := secrets.Edit(t.Context(), s.store, path, func(values map[string]secrets.Value) error {
					n, _ := strconv.Atoi(values["N"].Reveal())
					values["N"] = secrets.New(strconv.Itoa(n + 1))
					values["LAST_OF_"+strconv.Itoa(i)] = secrets.New(strconv.Itoa(n + 1))
					return nil
				})
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if got := s.read(path).Values; got["N"].Reveal() != strconv.Itoa(writers*times) || len(got) != writers+1 {
		t.Errorf("%d increments gave %s, beside %d keys", writers*times, got["N"].Reveal(), len(got)-1)
	}
}

func editFails(t *testing.T, s *suite) {
	path := s.path(secrets.Secret)
	version := s.write(path, map[string]secrets.Value{"A": text("1")})
	stop := errors.New("stop")
	_, err := secrets.Edit(t.Context(), s.store, path, func(values map[string]secrets.Value) error {
		values["A"] = text("2")
		return stop
	})
	if !errors.Is(err, stop) || s.read(path).Version != version {
		t.Errorf("an edit that fails gives %v", err)
	}
	s.holds(path, map[string]secrets.Value{"A": text("1")})
}

func history(t *testing.T, s *suite) {
	if !s.store.Can().History {
		t.Skip(cannot + "it keeps no history, and says so")
	}
	historian, ok := s.store.(secrets.Historian)
	if !ok {
		t.Fatal("the store has no methods for its history")
	}
	path := s.path(secrets.Secret)
	if docs, err := historian.History(t.Context(), path); err != nil || len(docs) != 0 {
		t.Errorf("a path that never held anything: %v, %v", docs, err)
	}
	var versions []string
	for i := range 4 {
		values := everyKind(t)
		values["N"] = text(strconv.Itoa(i))
		versions = append(versions, s.write(path, values))
		s.write(path, values) // makes no version
	}
	docs, err := historian.History(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, doc := range docs {
		got = append(got, doc.Version)
		if len(doc.Values) != 0 || doc.Path != path {
			t.Errorf("the history gives %d values of %s", len(doc.Values), doc.Path)
		}
		if doc.Time.IsZero() {
			t.Errorf("the version %s has no time", doc.Version)
		}
	}
	want := slices.Clone(versions)
	slices.Reverse(want)
	if !slices.Equal(got, want) {
		t.Errorf("the history is %v, and was written as %v, newest first", got, want)
	}
	for i, version := range versions {
		doc, err := historian.At(t.Context(), path, version)
		if err != nil {
			t.Errorf("the version %s: %v", version, err)
			continue
		}
		if doc.Version != version || doc.Path != path {
			t.Errorf("the version %s is given as %s of %s", version, doc.Version, doc.Path)
		}
		values := everyKind(t)
		values["N"] = text(strconv.Itoa(i))
		s.same(doc.Values, values)
	}
	for _, version := range []string{"999999", "", "no-version", "-1"} {
		doc, err := historian.At(t.Context(), path, version)
		if err == nil {
			t.Errorf("the version %q, which there is not, gives %v", version, doc)
		}
		s.said(err)
	}

	// What was there before is there yet after everything was removed.
	s.write(path, nil)
	doc, err := historian.At(t.Context(), path, versions[3])
	if err != nil {
		t.Fatalf("after the path lost its values: %v", err)
	}
	if _, err := s.store.Write(t.Context(), secrets.Doc{Path: path, Values: doc.Values, Version: s.read(path).Version}); err != nil {
		t.Fatal(err)
	}
	s.holds(path, doc.Values)
}

func ended(t *testing.T, s *suite) {
	path := s.path(secrets.Secret)
	s.write(path, map[string]secrets.Value{"A": text("1")})
	doc := s.read(path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, read := s.store.Read(ctx, []secrets.Path{path})
	_, list := s.store.List(ctx, Deployment)
	ops := map[string]error{"Read": read, "List": list}
	if s.store.Can().Write {
		doc.Values = map[string]secrets.Value{"A": text("2")}
		_, ops["Write"] = s.store.Write(ctx, doc)
	}
	for op, err := range ops {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s in a context that has ended gives %v", op, err)
		}
		s.said(err)
	}
	s.holds(path, map[string]secrets.Value{"A": text("1")})
}

// provider holds the store to what a provider is, as which most read it.
func provider(t *testing.T, s *suite) {
	RunProvider(t, func(_ *testing.T, held map[secrets.Key]secrets.Value) secrets.Provider {
		for path, values := range byPath(held) {
			// The app global may hold what others need.
			now := s.read(path).Values
			if now == nil {
				now = map[string]secrets.Value{}
			}
			maps.Copy(now, values)
			s.write(path, now)
		}
		return secrets.Reader(s.store)
	})
	if out := fmt.Sprintf("%+v %#v", s.read(s.path(secrets.Secret)), s.read(s.path(secrets.Public))); strings.Contains(out, marker) {
		t.Errorf("a printed document shows a value: %s", out)
	}
}
