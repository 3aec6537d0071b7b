package sql

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// canary is in values that no error may show.
const canary = "example-canary"

var place = secrets.Path{Deployment: "shop", App: "carts", Scope: secrets.Private}

// contract is all that a database is held to. It makes tables of its own.
func contract(t *testing.T, o Options) {
	for name, conns := range map[string]int{"many connections": 0, "one connection": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := ownTables(t, o)
			o.Conns = conns
			storetest.Run(t, func(t *testing.T) secrets.Store { return mustOpen(t, o) })
		})
	}
	for name, test := range map[string]func(t *testing.T, o Options){
		"migrate at once": migrateAtOnce,
		"other handles":   otherHandles,
		"first handles":   firstHandles,
		"two writers":     twoWriters,
		"keep few":        keepFew,
		"exact names":     exactNames,
		"bounds":          bounds,
		"many paths":      manyPaths,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, ownTables(t, o))
		})
	}
}

// mustOpen opens a store, which the caller or the test's end closes.
func mustOpen(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wantError holds an error to the texts that it must have.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	storetest.WantError(t, err, []string{canary}, texts...)
}

func migrateAtOnce(t *testing.T, o Options) {
	var wait sync.WaitGroup
	const handles = 5
	for i := range handles {
		s := mustOpen(t, o)
		wait.Go(func() {
			path := place
			path.App = fmt.Sprint("app-", i)
			if _, err := s.Write(t.Context(), secrets.Doc{Path: path, Values: map[string]secrets.Value{"a": secrets.New("b")}}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	s := mustOpen(t, o)
	if list, err := s.List(t.Context(), place.Deployment); err != nil || len(list) != handles {
		t.Errorf("%d paths, %v", len(list), err)
	}
	var rows int
	if err := s.db.QueryRowContext(t.Context(), s.adapt("SELECT COUNT(*) FROM {migrations}")).Scan(&rows); err != nil || rows != len(migrations) {
		t.Errorf("%d migrations are done, %v", rows, err)
	}
}

// otherHandles: what one process writes another reads at once, also one that
// was there before the tables.
func otherHandles(t *testing.T, o Options) {
	a, b := mustOpen(t, o), mustOpen(t, o)
	if doc := storetest.Get(t, b, place); doc.Version != "" {
		t.Error("there is something")
	}
	for i := range 4 {
		version := storetest.Put(t, a, place, map[string]any{"n": i})
		if doc := storetest.Get(t, b, place); doc.Version != version {
			t.Errorf("the other handle reads version %q of %q", doc.Version, version)
		}
		storetest.Want(t, b, place, map[string]any{"n": i})
		a, b = b, a
	}
}

// firstHandles: of many processes that write what nobody has written, one comes
// first, and it is the one whose values are there.
func firstHandles(t *testing.T, o Options) {
	const writers = 4
	for round := range 5 {
		path := place
		path.App = fmt.Sprint("app-", round)
		errs := make([]error, writers)
		var wait sync.WaitGroup
		for i := range writers {
			s := mustOpen(t, o)
			wait.Go(func() {
				_, errs[i] = s.Write(t.Context(), secrets.Doc{Path: path, Values: map[string]secrets.Value{"n": secrets.New(strconv.Itoa(i))}})
				_ = s.Close()
			})
		}
		wait.Wait()
		won := -1
		for i, err := range errs {
			var conflict *secrets.ConflictError
			switch {
			case err == nil && won >= 0:
				t.Errorf("both %d and %d were first", won, i)
			case err == nil:
				won = i
			case !errors.As(err, &conflict):
				t.Errorf("writer %d: %v", i, err)
			}
		}
		storetest.Want(t, mustOpen(t, o), path, map[string]any{"n": strconv.Itoa(won)})
	}
}

func twoWriters(t *testing.T, o Options) {
	increments(t, mustOpen(t, o), mustOpen(t, o))
}

// increments lets two handles increment one number: KAI_TEST_INCREMENTS times
// each, or a few times.
func increments(t *testing.T, handles ...*Store) {
	t.Helper()
	count := 50
	if text := os.Getenv("KAI_TEST_INCREMENTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal("KAI_TEST_INCREMENTS is no number")
		}
		count = n
	}
	var wait sync.WaitGroup
	for _, s := range handles {
		wait.Go(func() {
			for range count {
				if _, err := secrets.Edit(t.Context(), s, place, increment); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	storetest.Want(t, handles[0], place, map[string]any{"n": len(handles) * count})
}

func increment(values map[string]secrets.Value) error {
	n := 0
	if v, ok := values["n"]; ok {
		var err error
		if n, err = strconv.Atoi(v.Reveal()); err != nil {
			return err
		}
	}
	next, err := secrets.Of(n + 1)
	values["n"] = next
	return err
}

// keepFew: also where old versions go at once, no update is lost.
func keepFew(t *testing.T, o Options) {
	o.Keep = 1
	a, b := mustOpen(t, o), mustOpen(t, o)
	increments(t, a, b)
	docs, err := a.History(t.Context(), place)
	if err != nil || len(docs) != 1 || docs[0].Version != storetest.Get(t, b, place).Version {
		t.Errorf("%d versions, %v", len(docs), err)
	}
}

// exactNames: names that a collation may take for the same are not.
func exactNames(t *testing.T, o Options) {
	s := mustOpen(t, o)
	apps := []string{"a", "A", "a ", " a", "ä", "a\u0308", "ａ", "ß", "ss", "a%", "a_", `a\`, "a'", `a"`, "a`", "🔑"}
	var paths []secrets.Path
	for _, app := range apps {
		path := secrets.Path{Deployment: "shop", App: app, Scope: secrets.Public}
		storetest.Put(t, s, path, map[string]any{"name": app, app: app})
		paths = append(paths, path)
	}
	for _, path := range paths {
		storetest.Want(t, s, path, map[string]any{"name": path.App, path.App: path.App})
	}
	slices.SortFunc(paths, comparePaths)
	if list, err := s.List(t.Context(), "shop"); err != nil || !slices.Equal(list, paths) {
		t.Errorf("the list is %q, %v", list, err)
	}
	if list, err := s.List(t.Context(), "SHOP"); err != nil || len(list) != 0 {
		t.Errorf("another deployment has %q, %v", list, err)
	}
}

// bounds: what is too large or no name is refused. The largest that is taken
// comes back.
func bounds(t *testing.T, o Options) {
	s := mustOpen(t, o)
	values := storetest.Hide(t, map[string]any{"a": canary})
	for text, doc := range map[string]secrets.Doc{
		"app has no name":        {Path: secrets.Path{Deployment: "d", Scope: "s"}, Values: values},
		"longer than 255 bytes":  {Path: secrets.Path{Deployment: strings.Repeat("d", 256), App: "a", Scope: "s"}, Values: values},
		"scope is no text":       {Path: secrets.Path{Deployment: "d", App: "a", Scope: "\xff"}, Values: values},
		"deployment is no text":  {Path: secrets.Path{Deployment: "a\x00", App: "a", Scope: "s"}, Values: values},
		"a key without a name":   {Path: place, Values: map[string]secrets.Value{" ": values["a"]}},
		"a key that is no text":  {Path: place, Values: map[string]secrets.Value{"a\xff": values["a"]}},
		"more than 8 MiB":        {Path: place, Values: map[string]secrets.Value{"a": secrets.New(strings.Repeat(canary, 1<<20))}},
		"the value of n, which ": {Path: place, Values: storetest.Hide(t, map[string]any{"n": json.Number(canary)})},
		"the value of b, which ": {Path: place, Values: map[string]secrets.Value{"b": secrets.New(canary + "\xff")}},
	} {
		_, err := s.Write(t.Context(), doc)
		wantError(t, err, text)
		if refused := (*secrets.CannotError)(nil); !errors.As(err, &refused) {
			t.Errorf("%s: %T", text, err)
		}
	}
	if _, err := s.Read(t.Context(), []secrets.Path{{}, {Deployment: "a\x00", App: "\xff", Scope: "s"}}); err != nil {
		t.Error("paths that cannot be there:", err)
	}
	path := secrets.Path{Deployment: strings.Repeat("d", 255), App: strings.Repeat("a", 255), Scope: strings.Repeat("s", 255)}
	large := map[string]any{"a": strings.Repeat("x", maxDoc-100)}
	storetest.Put(t, s, path, large)
	storetest.Want(t, s, path, large)
}

func manyPaths(t *testing.T, o Options) {
	s := mustOpen(t, o)
	var paths []secrets.Path
	for i := range 2*perQuery + 1 {
		path := secrets.Path{Deployment: "shop", App: fmt.Sprint("app-", i), Scope: secrets.Secret}
		if i%perQuery == 0 {
			storetest.Put(t, s, path, map[string]any{"a": i})
		}
		paths = append(paths, path)
	}
	docs, err := s.Read(t.Context(), paths)
	if err != nil || len(docs) != 3 {
		t.Errorf("%d paths, %v", len(docs), err)
	}
}
