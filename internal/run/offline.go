package run

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// maxCopy bounds what is read of a file with a copy or a key.
const maxCopy = 64 << 20

// magic begins a copy.
const magic = "kai-offline/1\n"

// copyFile is the last good copy of what a store holds at some paths: AES-256-GCM
// over JSON, bound to these paths.
type copyFile struct {
	name  string
	aead  cipher.AEAD
	about []byte
	last  [sha256.Size]byte // of what was saved
}

// openOffline prepares the copy that c asks for; nil is none.
func openOffline(c Config) (*copyFile, error) {
	if c.OfflineOK == "" {
		return nil, nil
	}
	text := c.OfflineKey.Reveal()
	if c.OfflineKeyFile != "" {
		raw, err := readFile(c.OfflineKeyFile)
		if err != nil {
			return nil, fmt.Errorf("the key of the copy cannot be read: %w", err)
		}
		text = string(raw)
	}
	key := []byte(text)
	if c.OfflineKeyFile == "" || len(key) != 32 { // a file may hold the bytes themselves
		var err error
		if key, err = offlineKey(text); err != nil {
			return nil, fmt.Errorf("the key of the copy: %w", err)
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	about := magic
	for _, path := range c.Paths() {
		about += path.String() + "\n"
	}
	return &copyFile{name: c.OfflineOK, aead: aead, about: []byte(about)}, nil
}

func readFile(name string) ([]byte, error) { return secrets.ReadFile(name, maxCopy) }

// saved is a path as a copy has it.
type saved struct {
	Deployment, App, Scope string
	Values                 map[string]any
}

// save keeps what was read, if it is not what was saved last.
func (f *copyFile) save(c Config, docs map[secrets.Path]secrets.Doc) error {
	var all []saved
	for _, path := range c.Paths() {
		s := saved{path.Deployment, path.App, path.Scope, map[string]any{}}
		for name, value := range docs[path].Values {
			s.Values[name] = value.Any()
		}
		all = append(all, s)
	}
	plain, err := json.Marshal(all)
	if err != nil {
		return errors.New("what was read cannot be written as JSON")
	}
	sum := sha256.Sum256(plain)
	if sum == f.last {
		return nil
	}
	nonce := make([]byte, f.aead.NonceSize())
	_, _ = rand.Read(nonce) // it never fails
	out := f.aead.Seal(append([]byte(magic), nonce...), nonce, plain, f.about)
	root, err := os.OpenRoot(filepath.Dir(f.name))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := replaceFile(root, filepath.Base(f.name), 0o600, out); err != nil {
		return fmt.Errorf("%s: %w", f.name, reason(err))
	}
	f.last = sum
	return nil
}

// load gives what was saved, and when.
func (f *copyFile) load() (docs map[secrets.Path]secrets.Doc, when string, err error) {
	info, err := os.Stat(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("there is no copy %s yet", f.name)
	} else if err != nil {
		return nil, "", err
	}
	raw, err := readFile(f.name)
	if err != nil {
		return nil, "", err
	}
	sealed, ok := bytes.CutPrefix(raw, []byte(magic))
	if !ok || len(sealed) < f.aead.NonceSize() {
		return nil, "", fmt.Errorf("%s is no copy of ours", f.name)
	}
	plain, err := f.aead.Open(nil, sealed[:f.aead.NonceSize()], sealed[f.aead.NonceSize():], f.about)
	if err != nil {
		return nil, "", fmt.Errorf("%s was made with another key, or of another deployment, app or scope, or is damaged", f.name)
	}
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.UseNumber()
	var all []saved
	if err := decoder.Decode(&all); err != nil {
		return nil, "", fmt.Errorf("%s is damaged", f.name)
	}
	docs = map[secrets.Path]secrets.Doc{}
	for _, s := range all {
		path := secrets.Path{Deployment: s.Deployment, App: s.App, Scope: s.Scope}
		doc := secrets.Doc{Path: path, Values: map[string]secrets.Value{}}
		for name, x := range s.Values {
			if doc.Values[name], err = secrets.Of(x); err != nil {
				return nil, "", fmt.Errorf("%s is damaged", f.name)
			}
		}
		docs[path] = doc
	}
	return docs, info.ModTime().UTC().Format("2006-01-02 15:04:05 UTC"), nil
}
