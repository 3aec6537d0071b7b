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
	if err := meant(p, f.yes, "--yes; what the current key has encrypted already stays as it is"); err != nil {
		return err
	}
	if f.fresh {
		if p.options.Provider != store.SQL {
			return &secrets.CannotError{Store: p.options.Provider, What: "use a key of a file of keys", Hint: "--new is for databases; a file has recipients, and other stores have their own ways"}
		}
		if err := usesKeys(p.options); err != nil {
			return err
		}
		own, err := a.keysThere()
		if err != nil {
			return err
		}
		if err := a.mayMakeKey(ctx, p, own); err != nil {
			return err
		}
		name, _, err := a.newKey(ctx, false)
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

// usesKeys says that a database is encrypted by the keys of a file, and not in another
// way.
func usesKeys(o store.Options) error {
	encryptor, err := o.Encryptor()
	switch {
	case err != nil:
		return err
	case encryptor == "transit":
		return &secrets.CannotError{Store: o.Provider, What: "use a key of a file of keys: KAI_ENCRYPTOR is transit", Hint: "make a new version of Vault's key: vault write -f transit/keys/NAME/rotate; then rotate-key without --new"}
	case encryptor == "plaintext":
		return &secrets.CannotError{Store: o.Provider, What: "use a key of a file of keys: KAI_ENCRYPTOR is plaintext, which encrypts nothing", Hint: "unset KAI_ENCRYPTOR"}
	}
	return nil
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

// keysThere gives the keys that are in the file of keys, nil where there is none.
func (a *app) keysThere() (*secrets.Keyring, error) {
	name, err := a.keyFile()
	if err != nil {
		return nil, err
	}
	text, err := secrets.ReadFile(name, maxKeys)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ring, err := secrets.ParseKeyring(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return ring, nil
}

// mayMakeKey refuses to make a key where a database has values that none of the own
// keys opens: what is written with another key would be another's who has those.
func (a *app) mayMakeKey(ctx context.Context, p *place, own *secrets.Keyring) error {
	ids, err := store.KeyIDs(ctx, p.options)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if own != nil && own.Has(id) {
			continue
		}
		name, err := a.keyFile()
		if err != nil {
			return err
		}
		return fmt.Errorf("%s has values that are encrypted with the key %s, which is not here: keys are looked for in %s, and another key is not made\n"+
			"  hint: get the line %[2]s:… from who has written them and put it into that file; or KAI_ENCRYPTION_KEYS_FILE names another, KAI_ENCRYPTION_KEYS holds it", p.name(a), id, name)
	}
	return nil
}

// maxKeys bounds a file of keys.
const maxKeys = 1 << 20

// newKey makes a key, puts it in front of those in the file of keys, and gives the
// file. With first it makes one only where the file has none yet: another run's is
// as good; made says which it was. The file is replaced as a whole, for its owner
// alone, and survives a crash: what is sealed after would be lost without the key.
func (a *app) newKey(ctx context.Context, first bool) (name string, made bool, err error) {
	if a.getenv("KAI_ENCRYPTION_KEYS") != "" {
		return "", false, errors.New("the keys are in KAI_ENCRYPTION_KEYS, which kai cannot change\n  hint: put ID:KEY in front there, with KEY from openssl rand -base64 32")
	}
	if name, err = a.keyFile(); err != nil {
		return "", false, err
	}
	key := make([]byte, 32+4)
	if _, err := rand.Read(key); err != nil {
		return "", false, err
	}
	id := "k" + clock{}.Now().UTC().Format("20060102") + "-" + hex.EncodeToString(key[32:])
	line := []byte(id + ":" + base64.StdEncoding.EncodeToString(key[:32]) + "\n")
	err = file.Update(ctx, name, maxKeys, func(before []byte) ([]byte, error) {
		if first && before != nil {
			return nil, nil
		}
		after := append(line, before...)
		// What cannot be read with the new key in it could not be read before.
		if _, err := secrets.ParseKeyring(string(after)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		made = true
		return after, nil
	})
	return name, made, err
}
