package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) secrets.Store { return &storetest.Memory{} })
}

func ring(t *testing.T) *secrets.Keyring {
	t.Helper()
	ring, err := secrets.NewKeyring(map[string][]byte{"k1": bytes.Repeat([]byte("1"), 32)}, "k1")
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestEncryptedMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) secrets.Store { return secrets.Encrypted(&storetest.Memory{}, ring(t)) })
}

// plain is a store without a history.
type plain struct{ secrets.Store }

func (plain) Can() secrets.Abilities {
	return secrets.Abilities{Name: "plain", Write: true, CAS: true}
}

func TestEncryptedWithoutHistory(t *testing.T) {
	t.Parallel()
	s := secrets.Encrypted(plain{&storetest.Memory{}}, ring(t))
	if _, ok := s.(secrets.Historian); ok {
		t.Error("an encrypted store has a history that the store below has not")
	}
	storetest.Run(t, func(t *testing.T) secrets.Store { return secrets.Encrypted(plain{&storetest.Memory{}}, ring(t)) })
}

// readOnly cannot write, nor keep a history.
type readOnly struct{ storetest.Memory }

func (*readOnly) Can() secrets.Abilities { return secrets.Abilities{Name: "readonly"} }

func (*readOnly) Write(context.Context, secrets.Doc) (string, error) {
	return "", &secrets.CannotError{Store: "readonly", What: "write"}
}

func (*readOnly) History(context.Context, secrets.Path) ([]secrets.Doc, error) {
	return nil, &secrets.CannotError{Store: "readonly", What: "give a history"}
}

func (*readOnly) At(context.Context, secrets.Path, string) (secrets.Doc, error) {
	return secrets.Doc{}, &secrets.CannotError{Store: "readonly", What: "give a history"}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) secrets.Store { return &readOnly{} })
}

// TestReadOnlyThatIsFilled holds a store that cannot write to what is about
// reading.
func TestReadOnlyThatIsFilled(t *testing.T) {
	t.Parallel()
	s := &readOnly{}
	storetest.RunFilled(t, func(*testing.T) secrets.Store { return s }, func(t *testing.T, doc secrets.Doc) {
		t.Helper()
		docs, err := s.Memory.Read(t.Context(), []secrets.Path{doc.Path})
		if err != nil {
			t.Fatal(err)
		}
		doc.Version = docs[doc.Path].Version
		if _, err := s.Memory.Write(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	})
}

// TestChain has a provider of three stores, each of which holds a part.
func TestChain(t *testing.T) {
	t.Parallel()
	storetest.RunProvider(t, func(t *testing.T, held map[secrets.Key]secrets.Value) secrets.Provider {
		var chain secrets.Chain
		stores := [3]*storetest.Memory{{}, {}, {}}
		for _, s := range stores {
			chain = append(chain, secrets.Reader(s))
		}
		n := 0
		for k, v := range held {
			if _, err := secrets.Edit(t.Context(), stores[n%len(stores)], k.Path(), func(values map[string]secrets.Value) error {
				values[k.Name] = v
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			n++
		}
		return chain
	})
}

func TestMemoryFails(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	s := &storetest.Memory{Before: func(_ context.Context, op string) error {
		if op == "read" {
			return away
		}
		return nil
	}}
	if _, err := s.Read(t.Context(), nil); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
	if _, err := s.List(t.Context(), "dev"); err != nil {
		t.Error(err)
	}
}
