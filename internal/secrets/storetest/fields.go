package storetest

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Hide gives fields as values: texts, numbers, true, false, lists and maps.
func Hide(t testing.TB, fields map[string]any) map[string]secrets.Value {
	t.Helper()
	values := make(map[string]secrets.Value, len(fields))
	for key, field := range fields {
		value, err := secrets.Of(field)
		if err != nil {
			t.Fatal(err)
		}
		values[key] = value
	}
	return values
}

// Get reads a path, and gives the empty document where it holds nothing.
func Get(t testing.TB, s secrets.Store, path secrets.Path) secrets.Doc {
	t.Helper()
	docs, err := s.Read(t.Context(), []secrets.Path{path})
	if err != nil {
		t.Fatal(err)
	}
	doc := docs[path]
	doc.Path = path
	return doc
}

// Put lets a path hold just these fields, whatever its version is, and gives the
// new one.
func Put(t testing.TB, s secrets.Store, path secrets.Path, fields map[string]any) string {
	t.Helper()
	doc := Get(t, s, path)
	doc.Values = Hide(t, fields)
	version, err := s.Write(t.Context(), doc)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// Want holds a path to just these fields.
func Want(t testing.TB, s secrets.Store, path secrets.Path, fields map[string]any) {
	t.Helper()
	if doc := Get(t, s, path); !maps.EqualFunc(doc.Values, Hide(t, fields), secrets.Value.Equal) {
		t.Errorf("%s has the keys %q at version %q, or other values", path, slices.Sorted(maps.Keys(doc.Values)), doc.Version)
	}
}

// WantError holds an error to the texts that it must have, and to that it shows
// none of the secrets, neither as they are nor in base64.
func WantError(t testing.TB, err error, secrets []string, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, and it should say %q", texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error is %q, and should say %q", err, text)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte(secret))) {
			t.Errorf("the error that should say %q shows a secret", texts)
		}
	}
}
