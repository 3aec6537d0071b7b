package secrets_test

import (
	"context"
	"errors"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// picky is a store that refuses a scope, as one in which nothing encrypts it.
type picky struct{ *storetest.Memory }

var errPicky = errors.New("not here")

// Check implements secrets.Checker.
func (p picky) Check(_ context.Context, docs []secrets.Doc) error {
	for _, doc := range docs {
		if doc.Path.Scope == secrets.Secret && len(doc.Values) > 0 {
			return errPicky
		}
	}
	return nil
}

// TestPutChecksFirst writes nothing where a store is known to refuse some of it, and
// says so in a dry run. What is there already is not written, and not refused.
func TestPutChecksFirst(t *testing.T) {
	t.Parallel()
	memory := &storetest.Memory{}
	at := func(scope string) secrets.Path { return secrets.Path{Deployment: "dev", App: "carts", Scope: scope} }
	docs := []secrets.Doc{
		{Path: at(secrets.Private), Values: map[string]secrets.Value{"a": secrets.New("1")}},
		{Path: at(secrets.Secret), Values: map[string]secrets.Value{"b": secrets.New("2")}},
	}
	for _, dry := range []bool{true, false} {
		if changes, err := secrets.Put(t.Context(), picky{memory}, docs, false, dry); !errors.Is(err, errPicky) || len(changes) > 0 {
			t.Errorf("dry %v: %v, %v", dry, changes, err)
		}
	}
	if paths, err := memory.List(t.Context(), "dev"); err != nil || len(paths) > 0 {
		t.Errorf("%v, %v", paths, err)
	}
	if _, _, err := secrets.Update(t.Context(), picky{memory}, at(secrets.Secret), true, func(v map[string]secrets.Value) error {
		v["c"] = secrets.New("3")
		return nil
	}); !errors.Is(err, errPicky) {
		t.Errorf("a dry run of one path: %v", err)
	}
	if _, err := secrets.Put(t.Context(), memory, docs, false, false); err != nil {
		t.Fatal(err)
	}
	if changes, err := secrets.Put(t.Context(), picky{memory}, docs, true, false); err != nil || len(changes) > 0 {
		t.Errorf("%v, %v", changes, err)
	}
}
