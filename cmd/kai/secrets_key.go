package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/file"
	"github.com/helm-kai/helm-kai/internal/store"
)

type rotateFlags struct {
	yes      bool
	fresh    bool
	add, del []string
}

func newSecretsRotate(a *app, s *storeFlags) *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Encrypt scope secret anew, with the current key",
		Long: `Encrypts what stands in scope secret of the deployment with the current key: what an older
key has encrypted, and what is not encrypted yet. What is encrypted with the current key
stays as it is. It can be run again, and then does what remains.

In a database the current key is the first one in KAI_ENCRYPTION_KEYS or in the file
KAI_ENCRYPTION_KEYS_FILE; the others open what is older. --new puts a new key in front of
those in the file. Versions in the history stay with their keys, so keep the old ones as
long as you may want to go back. With Vault's transit, make a new version there first:
vault write -f transit/keys/NAME/rotate.

In a file it encrypts for the recipients that stand in the file; --add-recipient and
--remove-recipient change them. Who could read a value before may have kept it: after
removing somebody, change the values too.`,
		Example: a.example("secrets rotate-key -c prod --new", "secrets rotate-key -c dev --add-recipient age1…"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return secretsRotate(cmd.Context(), a, s, &f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.fresh, "new", false, "make a new key, in front of those in the file of keys")
	flags.StringSliceVar(&f.add, "add-recipient", nil, "public key of age, or of SSH, of one more who may read the file")
	flags.StringSliceVar(&f.del, "remove-recipient", nil, "public key of one who may read the file no more")
	flags.BoolVarP(&f.yes, "yes", "y", false, "yes, this is meant: a context with confirm: true demands it")
	return cmd
}

func secretsRotate(ctx context.Context, a *app, s *storeFlags, f *rotateFlags) error {
	p, err := s.resolve()
	if err != nil {
		return err
	}
	if err := (&writing{yes: f.yes}).check(p); err != nil {
		return err
	}
	if f.fresh {
		if p.options.Provider != store.SQL {
			return &secrets.CannotError{Store: p.options.Provider, What: "use a key of a file of keys", Hint: "--new is for databases; a file has recipients, and other stores have their own ways"}
		}
		name, err := a.newKey()
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "made a key in %s: keep a copy, for without it nobody opens what is encrypted\n", name)
	}
	if p, err = a.openPlace(ctx, p, false); err != nil {
		return err
	}
	defer p.close()
	n, err := f.rotate(ctx, p)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%d values were encrypted anew\n", n)
	return err
}

func (f *rotateFlags) rotate(ctx context.Context, p *place) (int, error) {
	kept, ok := store.Inner(p.store).(*file.Store)
	if !ok {
		if len(f.add)+len(f.del) > 0 {
			return 0, &secrets.CannotError{Store: p.store.Can().Name, What: "encrypt for recipients", Hint: "only a file does"}
		}
		return secrets.Rotate(ctx, p.store, p.deployment)
	}
	for _, r := range f.add {
		if err := kept.AddRecipient(ctx, r); err != nil {
			return 0, err
		}
	}
	for _, r := range f.del {
		if err := kept.RemoveRecipient(ctx, r); err != nil {
			return 0, err
		}
	}
	return kept.Reencrypt(ctx)
}

// keyFile gives where the encryption keys of the user are.
func (a *app) keyFile() (string, error) {
	if name := a.getenv("KAI_ENCRYPTION_KEYS_FILE"); name != "" {
		return name, nil
	}
	dir := a.getenv("XDG_CONFIG_HOME")
	if dir == "" {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "kai", "encryption-keys"), nil
}

// newKey makes a key, puts it in front of those in the file of keys, and gives the
// file. The file is replaced as a whole, and for its owner alone.
func (a *app) newKey() (string, error) {
	if a.getenv("KAI_ENCRYPTION_KEYS") != "" {
		return "", errors.New("the keys are in KAI_ENCRYPTION_KEYS, which kai cannot change\n  hint: put ID:KEY in front there, with KEY from openssl rand -base64 32")
	}
	name, err := a.keyFile()
	if err != nil {
		return "", err
	}
	key := make([]byte, 32+4)
	if _, err := rand.Read(key); err != nil {
		return "", err
	}
	id := "k" + clock{}.Now().UTC().Format("20060102") + "-" + hex.EncodeToString(key[32:])
	line := []byte(id + ":" + base64.StdEncoding.EncodeToString(key[:32]) + "\n")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", err
	}
	before, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return name, firstKey(name, line)
	}
	if err != nil {
		return "", err
	}
	return name, writePrivate(name, bytes.Join([][]byte{line, before}, nil))
}

// firstKey makes a file of keys that is not there. Where another run comes first,
// its key is as good.
func firstKey(name string, line []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".kai-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(line)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
