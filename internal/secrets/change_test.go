package secrets_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

var carts = secrets.Path{Deployment: "dev", App: "carts", Scope: secrets.Secret}

func texts(pairs ...string) map[string]secrets.Value {
	out := map[string]secrets.Value{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = secrets.New(pairs[i+1])
	}
	return out
}

// told words changes as NAME:WHAT.
func told(changes []secrets.Change) string {
	var words []string
	for _, c := range changes {
		words = append(words, c.Key.Name+":"+c.What)
	}
	return strings.Join(words, " ")
}

func held(t *testing.T, s secrets.Store, path secrets.Path) string {
	t.Helper()
	docs, err := secrets.Select(t.Context(), s, path.Deployment, secrets.Pattern{App: path.App, Scope: path.Scope})
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) == 0 {
		return ""
	}
	var words []string
	for _, c := range secrets.Diff(path, nil, docs[0].Values) {
		words = append(words, c.Key.Name+"="+docs[0].Values[c.Key.Name].Reveal())
	}
	return strings.Join(words, " ")
}

func TestPut(t *testing.T) {
	t.Parallel()
	s := &storetest.Memory{}
	put := func(replace, dry bool, pairs ...string) string {
		t.Helper()
		changes, err := secrets.Put(t.Context(), s, []secrets.Doc{{Path: carts, Values: texts(pairs...)}}, replace, dry)
		if err != nil {
			t.Fatal(err)
		}
		return told(changes)
	}
	for _, step := range []struct{ got, want, holds string }{
		{put(false, true, "a", "1"), "a:added", ""},
		{put(false, false, "a", "1", "b", "2"), "a:added b:added", "a=1 b=2"},
		{put(false, false, "b", "2"), "", "a=1 b=2"},
		{put(false, false, "b", "3", "c", "4"), "b:changed c:added", "a=1 b=3 c=4"},
		{put(true, true, "c", "4"), "a:removed b:removed", "a=1 b=3 c=4"},
		{put(true, false, "c", "5"), "a:removed b:removed c:changed", "c=5"},
	} {
		if step.got != step.want {
			t.Errorf("%q, want %q", step.got, step.want)
		}
	}
	if got := held(t, s, carts); got != "c=5" {
		t.Errorf("holds %q", got)
	}
	if _, err := secrets.Put(t.Context(), s, []secrets.Doc{{Path: secrets.Path{Deployment: "dev", App: "carts", Scope: "other"}, Values: texts("a", "hunter2")}}, false, false); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

// TestPutFails says what was done before it failed.
func TestPutFails(t *testing.T) {
	t.Parallel()
	writes := 0
	s := &storetest.Memory{Before: func(_ context.Context, op string) error {
		if op == "write" {
			if writes++; writes == 2 {
				return errors.New("away")
			}
		}
		return nil
	}}
	other := carts
	other.App = "orders"
	changes, err := secrets.Put(t.Context(), s, []secrets.Doc{{Path: other, Values: texts("b", "2")}, {Path: carts, Values: texts("a", "1")}}, false, false)
	if err == nil || told(changes) != "a:added" {
		t.Errorf("%q, %v", told(changes), err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	s := &storetest.Memory{}
	for _, path := range []secrets.Path{carts, {Deployment: "dev", App: "carts", Scope: secrets.Public}, {Deployment: "dev", App: "orders", Scope: secrets.Secret}, {Deployment: "prod", App: "carts", Scope: secrets.Secret}} {
		if _, err := secrets.Put(t.Context(), s, []secrets.Doc{{Path: path, Values: texts("a", "1", "b", "2")}}, false, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		p    secrets.Pattern
		want int
	}{
		{secrets.Pattern{App: "carts", Scope: secrets.Secret, Name: "a"}, 1},
		{secrets.Pattern{App: "carts", Scope: secrets.Secret, Name: "a"}, 0},
		{secrets.Pattern{Name: "b"}, 3},
		{secrets.Pattern{App: "carts"}, 1},
		{secrets.Pattern{}, 1},
	} {
		for _, dry := range []bool{true, false} {
			changes, err := secrets.Remove(t.Context(), s, "dev", step.p, dry)
			if err != nil || len(changes) != step.want {
				t.Errorf("%s: %d changes, %v", step.p, len(changes), err)
			}
		}
	}
	if paths, err := s.List(t.Context(), "dev"); err != nil || len(paths) > 0 {
		t.Errorf("%v, %v", paths, err)
	}
	if got := held(t, s, secrets.Path{Deployment: "prod", App: "carts", Scope: secrets.Secret}); got != "a=1 b=2" {
		t.Errorf("the other deployment holds %q", got)
	}
}

func TestAmend(t *testing.T) {
	t.Parallel()
	before, after := texts("a", "1", "b", "2", "c", "3"), texts("a", "1", "b", "changed", "d", "4")
	for name, c := range map[string]struct {
		there map[string]secrets.Value
		holds string // "" where it is refused
	}{
		"nobody else":         {before, "a=1 b=changed d=4"},
		"other keys":          {texts("a", "9", "b", "2", "c", "3", "e", "5"), "a=9 b=changed d=4 e=5"},
		"same key":            {texts("a", "1", "b", "9", "c", "3"), ""},
		"removed by another":  {texts("a", "1", "b", "2"), ""},
		"added by another":    {texts("a", "1", "b", "2", "c", "3", "d", "9"), ""},
		"removed where wrote": {texts("a", "1", "c", "3"), ""},
	} {
		s := &storetest.Memory{}
		if _, err := s.Write(t.Context(), secrets.Doc{Path: carts, Values: c.there}); err != nil {
			t.Fatal(err)
		}
		was := held(t, s, carts)
		changes, err := secrets.Amend(t.Context(), s, carts, before, after)
		switch {
		case c.holds == "" && (err == nil || held(t, s, carts) != was):
			t.Errorf("%s: %v, and holds %s", name, err, held(t, s, carts))
		case c.holds != "" && (err != nil || held(t, s, carts) != c.holds || told(changes) != "b:changed c:removed d:added"):
			t.Errorf("%s: %v, %s, and holds %s", name, err, told(changes), held(t, s, carts))
		}
	}
	if changes, err := secrets.Amend(t.Context(), &storetest.Memory{}, carts, before, before); err != nil || changes != nil {
		t.Errorf("%v, %v", changes, err)
	}
}

// TestManyWriters loses no key, whoever writes at the same time.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	s := &storetest.Memory{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := secrets.Put(t.Context(), s, []secrets.Doc{{Path: carts, Values: texts(fmt.Sprint("k", i), "v")}}, false, false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	docs, err := secrets.Select(t.Context(), s, "dev", secrets.Pattern{})
	if err != nil || len(docs) != 1 || len(docs[0].Values) != 20 {
		t.Errorf("%v, %v", docs, err)
	}
}

func TestPast(t *testing.T) {
	t.Parallel()
	if _, err := secrets.Past(&storetest.Memory{}); err != nil {
		t.Error(err)
	}
	var cannot *secrets.CannotError
	if _, err := secrets.Past(forgetful{&storetest.Memory{}}); !errors.As(err, &cannot) {
		t.Error(err)
	}
}

// forgetful is a store without a history.
type forgetful struct{ secrets.Store }

func (forgetful) Can() secrets.Abilities { return secrets.Abilities{Name: "file", Write: true} }

func TestRandom(t *testing.T) {
	t.Parallel()
	seen, used := map[string]bool{}, map[rune]bool{}
	for range 200 {
		v, err := secrets.Random(32)
		if err != nil || len(v.Reveal()) != 32 || seen[v.Reveal()] {
			t.Fatalf("%v, %d", err, len(v.Reveal()))
		}
		seen[v.Reveal()] = true
		for _, r := range v.Reveal() {
			used[r] = true
		}
	}
	if len(used) != 62 {
		t.Errorf("%d letters are used", len(used))
	}
	if v, err := secrets.Random(0); err != nil || !reflect.DeepEqual(v.Reveal(), "") {
		t.Error(err)
	}
}
