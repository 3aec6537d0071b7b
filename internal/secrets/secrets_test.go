package secrets

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
)

// store is a provider in memory that remembers what it was asked for.
type store struct {
	texts map[string]string // DEPLOYMENT/APP/SCOPE/NAME
	err   error
	asked [][]Key
}

func (s *store) Get(_ context.Context, keys []Key) (map[Key]Value, error) {
	s.asked = append(s.asked, slices.Clone(keys))
	if s.err != nil {
		return nil, s.err
	}
	out := map[Key]Value{}
	for _, k := range keys {
		if text, ok := s.texts[k.Deployment+"/"+k.App+"/"+k.Scope+"/"+k.Name]; ok {
			out[k] = New(text)
		}
	}
	return out, nil
}

func reveal(found map[Ref]Value) map[Ref]string {
	out := map[Ref]string{}
	for r, v := range found {
		out[r] = v.Reveal()
	}
	return out
}

func TestLookup(t *testing.T) {
	t.Parallel()
	s := &store{texts: map[string]string{
		"dev/carts/secret/db":      "example-own",
		"dev/global/secret/db":     "example-shared",
		"dev/global/secret/mail":   "example-mail",
		"dev/carts/public/url":     "example-url",
		"dev/carts/secret/empty":   "",
		"dev/global/secret/empty":  "example-not-this",
		"prod/carts/secret/db":     "example-prod",
		"dev/catalogue/secret/key": "example-other-app",
	}}
	refs := []Ref{
		{App: "carts", Name: "db"},
		{App: "carts", Scope: "secret", Name: "db"},
		{App: "orders", Name: "db"},
		{App: "carts", Name: "mail"},
		{Name: "mail"},
		{App: "carts", Scope: "public", Name: "url"},
		{App: "carts", Name: "url"},
		{App: "carts", Name: "empty"},
		{App: "carts", Name: "key"},
		{App: "carts", Name: "url"},
	}
	found, missing, err := Lookup(t.Context(), s, "dev", refs)
	if err != nil {
		t.Fatal(err)
	}
	want := map[Ref]string{
		{App: "carts", Name: "db"}:                   "example-own",
		{App: "carts", Scope: "secret", Name: "db"}:  "example-own",
		{App: "orders", Name: "db"}:                  "example-shared",
		{App: "carts", Name: "mail"}:                 "example-mail",
		{Name: "mail"}:                               "example-mail",
		{App: "carts", Scope: "public", Name: "url"}: "example-url",
		{App: "carts", Name: "empty"}:                "",
	}
	if got := reveal(found); !reflect.DeepEqual(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	if want := []Ref{{App: "carts", Name: "url"}, {App: "carts", Name: "key"}}; !slices.Equal(missing, want) {
		t.Errorf("missing %v, want %v", missing, want)
	}
	if len(s.asked) != 2 {
		t.Fatalf("the store was asked %d times", len(s.asked))
	}
	seen := map[Key]bool{}
	for _, k := range slices.Concat(s.asked...) {
		if seen[k] {
			t.Errorf("%v was asked for twice", k)
		}
		seen[k] = true
	}
	// Where every app has what it refers to, nobody asks for Global's.
	s.asked = nil
	if _, _, err := Lookup(t.Context(), s, "dev", refs[:1]); err != nil || len(s.asked) != 1 || len(s.asked[0]) != 1 {
		t.Errorf("asked for %v, %v", s.asked, err)
	}
}

func TestLookupOfNothingAsksNobody(t *testing.T) {
	t.Parallel()
	s := &store{err: errors.New("asked")}
	if found, missing, err := Lookup(t.Context(), s, "dev", nil); err != nil || len(found) > 0 || len(missing) > 0 {
		t.Errorf("%v %v %v", found, missing, err)
	}
	if _, _, err := Lookup(t.Context(), s, "dev", []Ref{{Name: "a"}}); !errors.Is(err, s.err) {
		t.Errorf("got %v", err)
	}
}

func TestChain(t *testing.T) {
	t.Parallel()
	first := &store{texts: map[string]string{"dev/carts/secret/a": "example-first"}}
	second := &store{texts: map[string]string{"dev/carts/secret/a": "example-second", "dev/carts/secret/b": "example-b"}}
	third := &store{}
	a, b, c := Key{"dev", "carts", "secret", "a"}, Key{"dev", "carts", "secret", "b"}, Key{"dev", "carts", "secret", "c"}
	got, err := Chain{first, Chain{second, third}}.Get(t.Context(), []Key{a, b, c})
	if err != nil || len(got) != 2 || got[a].Reveal() != "example-first" || got[b].Reveal() != "example-b" {
		t.Errorf("got %v, %v", got, err)
	}
	if !slices.Equal(second.asked[0], []Key{b, c}) || !slices.Equal(third.asked[0], []Key{c}) {
		t.Errorf("the second was asked for %v, the third for %v", second.asked, third.asked)
	}

	// Who has everything leaves nothing to ask of the next.
	unused := &store{err: errors.New("must not be asked")}
	if _, err := (Chain{first, unused}).Get(t.Context(), []Key{a}); err != nil {
		t.Error(err)
	}
	if _, err := (Chain{first, unused}).Get(t.Context(), []Key{b}); !errors.Is(err, unused.err) {
		t.Errorf("got %v", err)
	}
	if got, err := (Chain{}).Get(t.Context(), []Key{a}); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}
