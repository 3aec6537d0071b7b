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
