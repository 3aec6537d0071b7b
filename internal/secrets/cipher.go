package secrets

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Cipher encrypts values for a store that does not do it by itself. What it
// seals is bound to its place: elsewhere it does not open. It is safe for
// concurrent use, and no error of it shows a value.
type Cipher interface {
	// Seal encrypts what stands at a place, with the current key. Its result is
	// one line of ASCII.
	Seal(ctx context.Context, where Key, plain []byte) (string, error)
	// Open gives what Seal was given for the same place. Where the text was made
	// by no key that the cipher has, or for another place, it is an error.
	Open(ctx context.Context, where Key, sealed string) ([]byte, error)
	// KeyID gives the id of the key by which a text was sealed, and "" where the
	// text is no work of this kind of cipher.
	KeyID(sealed string) string
	// Current gives the id of the key by which Seal encrypts at a place.
	Current(ctx context.Context, where Key) (string, error)
}

// BatchCipher is a Cipher that takes many values at once, as one behind a
// network does. The results have the order of the places.
type BatchCipher interface {
	Cipher
	SealAll(ctx context.Context, where []Key, plain [][]byte) ([]string, error)
	OpenAll(ctx context.Context, where []Key, sealed []string) ([][]byte, error)
}

// aesForm begins what a Keyring seals: kai:v1:aes256gcm:KEYID:BASE64, where the
// last is the nonce and the ciphertext in the URL's alphabet without padding.
const aesForm = "kai:v1:aes256gcm:"

// sealedForm begins what any cipher of kai seals.
const sealedForm = "kai:v1:"

// keyBytes is the length of a key of AES-256.
const keyBytes = 32

// isKeyID says whether a text can be the id of a key. Each start of a program
// would pay for compiling an expression.
func isKeyID(text string) bool {
	for i, c := range []byte(text) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return text != "" && len(text) <= 64
}

// Keyring is a Cipher by AES-256-GCM. It opens with each of its keys and seals
// with one. A key seals up to 2^32 values, by the bound on random nonces.
type Keyring struct {
	// The ciphers hold what keys become; behind a function no printer that goes
	// by reflection meets them.
	key     func(id string) cipher.AEAD
	current string
	from    string
}

var _ Cipher = (*Keyring)(nil)

// NewKeyring takes keys of 32 bytes each by their ids, and the id of the one
// that seals.
func NewKeyring(keys map[string][]byte, current string) (*Keyring, error) {
	ring := make(map[string]cipher.AEAD, len(keys))
	for id, key := range keys {
		if !isKeyID(id) {
			return nil, fmt.Errorf("%q is no id of a key\n  hint: up to 64 letters, digits, dots, dashes and underscores", id)
		}
		if len(key) != keyBytes {
			return nil, fmt.Errorf("the encryption key %s has %d bytes and not %d", id, len(key), keyBytes)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("the encryption key %s: %w", id, err)
		}
		if ring[id], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("the encryption key %s: %w", id, err)
		}
	}
	if ring[current] == nil {
		return nil, fmt.Errorf("there is no encryption key %q, which is the current one", current)
	}
	return &Keyring{key: func(id string) cipher.AEAD { return ring[id] }, current: current}, nil
}

// From says where the keys are from, such as a file, for messages.
func (r *Keyring) From(where string) { r.from = where }

// Has says whether the ring has a key of an id.
func (r *Keyring) Has(id string) bool { return r.key(id) != nil }

// ParseKeyring reads keys as a variable or a file holds them: ID:KEY, one a line
// or with commas between, the first of which seals. KEY is 32 bytes in base64 or
// hexadecimal. Empty lines and lines that begin with # are skipped. No error
// quotes the text.
func ParseKeyring(text string) (*Keyring, error) {
	keys, current := map[string][]byte{}, ""
	for n, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, entry := range strings.Split(line, ",") {
			if entry = strings.TrimSpace(entry); entry == "" {
				continue
			}
			id, encoded, ok := strings.Cut(entry, ":")
			if !ok || !isKeyID(id) {
				return nil, fmt.Errorf("line %d of the encryption keys is not ID:KEY\n  hint: ID is of letters, digits, dots, dashes and underscores; KEY is 32 bytes in base64", n+1)
			}
			key, err := parseKey(encoded)
			if err != nil {
				return nil, fmt.Errorf("the encryption key %s %w", id, err)
			}
			if _, twice := keys[id]; twice {
				return nil, fmt.Errorf("the encryption key %s stands there twice", id)
			}
			keys[id] = key
			if current == "" {
				current = id
			}
		}
	}
	if current == "" {
		return nil, errors.New("no encryption key is given\n  hint: write ID:KEY, where KEY is 32 random bytes in base64: openssl rand -base64 32")
	}
	return NewKeyring(keys, current)
}

func parseKey(encoded string) ([]byte, error) {
	if key, err := hex.DecodeString(encoded); err == nil && len(key) == keyBytes {
		return key, nil
	}
	key, err := anyBase64(encoded)
	if err != nil {
		return nil, errors.New("is neither base64 nor hexadecimal\n  hint: openssl rand -base64 32")
	}
	if len(key) != keyBytes {
		return nil, fmt.Errorf("has %d bytes and not %d\n  hint: openssl rand -base64 32", len(key), keyBytes)
	}
	return key, nil
}

// anyBase64 reads base64 in both alphabets, padded or not.
func anyBase64(text string) ([]byte, error) {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	return base64.RawURLEncoding.DecodeString(text)
}

// Seal implements Cipher.
func (r *Keyring) Seal(_ context.Context, where Key, plain []byte) (string, error) {
	out := r.key(r.current).Seal(nil, nil, plain, bind(aesForm+r.current, where))
	return aesForm + r.current + ":" + base64.RawURLEncoding.EncodeToString(out), nil
}

// Open implements Cipher.
func (r *Keyring) Open(_ context.Context, where Key, sealed string) ([]byte, error) {
	id := r.KeyID(sealed)
	if id == "" {
		return nil, errors.New("it is not a text that a key of kai has encrypted")
	}
	aead := r.key(id)
	if aead == nil {
		return nil, fmt.Errorf("it is encrypted with the key %s, which is not given%s\n  hint: give that key too, behind the current one", id, r.lookedIn())
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed[len(aesForm)+len(id)+1:])
	if err == nil && strings.ContainsAny(sealed, "\r\n") { // which base64 passes over
		err = errors.New("a line's end")
	}
	if err == nil {
		raw, err = aead.Open(nil, nil, raw, bind(aesForm+id, where))
	}
	if err != nil {
		return nil, fmt.Errorf("it does not open with the key %s: it was damaged or made for another place, or another key had this id", id)
	}
	return raw, nil
}

// lookedIn says where keys were looked for, where that is known.
func (r *Keyring) lookedIn() string {
	if r.from == "" {
		return ""
	}
	return " (keys are looked for in " + r.from + ")"
}

// KeyID implements Cipher.
func (r *Keyring) KeyID(sealed string) string {
	rest, ok := strings.CutPrefix(sealed, aesForm)
	id, _, found := strings.Cut(rest, ":")
	if !ok || !found || !isKeyID(id) {
		return ""
	}
	return id
}

// Current implements Cipher.
func (r *Keyring) Current(context.Context, Key) (string, error) { return r.current, nil }

// bind gives the associated data of a value: each part with its length before
// it, so that no two places give the same.
func bind(form string, where Key) []byte {
	var out []byte
	for _, part := range []string{form, where.Deployment, where.App, where.Scope, where.Name} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}

// OpenOlder decrypts what the older system's AES encryptor has made: AES-GCM
// with a key of 16, 24 or 32 bytes, the nonce of 12 bytes in front, in base64 of
// the URL's alphabet. Such a text is bound to no place and names no key: it is
// for import alone.
func OpenOlder(key []byte, sealed string) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the older system's key has %d bytes\n  hint: it is 16, 24 or 32 bytes long, the very text of KAIGARA_ENCRYPTOR_AES_KEY", len(key))
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("the older system's key: %w", err)
	}
	raw, err := anyBase64(sealed)
	if err != nil || len(raw) < aead.Overhead() {
		return nil, errors.New("it is no text that the older system has encrypted")
	}
	plain, err := aead.Open(nil, nil, raw, nil)
	if err != nil {
		return nil, errors.New("it does not open with the older system's key: the key is another, or the text was damaged")
	}
	return plain, nil
}

// The kinds of values as Pack writes them.
var kindLetters = map[Kind]byte{Text: 't', Number: 'n', Bool: 'b', List: 'l', Map: 'm'}

// Pack gives a value as bytes that keep its kind, to be sealed.
func Pack(v Value) []byte {
	return append([]byte{kindLetters[v.Kind()]}, v.Reveal()...)
}

// Unpack gives the value that Pack was given.
func Unpack(data []byte) (Value, error) {
	if len(data) > 0 {
		letter, text := data[0], string(data[1:])
		switch {
		case letter == kindLetters[Text]:
			return New(text), nil
		case letter == kindLetters[Bool] && (text == "true" || text == "false"):
			return hidden(text, Bool), nil
		case letter == kindLetters[Number] && isNumber(text):
			return hidden(text, Number), nil
		case letter == kindLetters[List] && strings.HasPrefix(text, "[") && json.Valid(data[1:]):
			return hidden(text, List), nil
		case letter == kindLetters[Map] && strings.HasPrefix(text, "{") && json.Valid(data[1:]):
			return hidden(text, Map), nil
		}
	}
	return Value{}, errors.New("what was decrypted is no value of kai")
}

// CheckText says whether a value is text in UTF-8: no other can be exported, copied
// or put into a chart.
func CheckText(v Value) error {
	if utf8.ValidString(v.Reveal()) {
		return nil
	}
	return errors.New("is no text in UTF-8, and a secret is text\n  hint: keep it in base64 (base64 < FILE), and decode it where it is used; kai run does that for KFILE_NAME_CONTENT")
}

// isNumber says whether a text is a number of JSON.
func isNumber(text string) bool {
	return text != "" && strings.IndexByte("-0123456789", text[0]) >= 0 && json.Valid([]byte(text)) && strings.TrimSpace(text) == text
}

// SealedError says that a value of scope secret could not be opened. It names
// its place, and never what stands there.
type SealedError struct {
	Key Key
	Err error
}

func (e *SealedError) Error() string {
	return fmt.Sprintf("%s: %s cannot be decrypted: %v", e.Key.Path(), e.Key.Name, e.Err)
}

// Unwrap gives the reason.
func (e *SealedError) Unwrap() error { return e.Err }

// Encrypted gives a store that keeps the values of scope secret sealed by a
// cipher in another; what stands in other scopes passes through. Kinds are kept.
// It has a history where the other has one. A value whose text would not change
// keeps its ciphertext, so that a write that changes nothing makes no version. A
// value of scope secret that is not encrypted is an error when it is read: see
// Rotate.
func Encrypted(store Store, c Cipher) Store {
	e := &encrypted{inner: store, cipher: c, foreign: map[string][]foreign{}}
	if h, ok := store.(Historian); ok {
		return &encryptedHistorian{encrypted: e, history: h}
	}
	return e
}

// Raw gives the store below Encrypted, in which the values of scope secret are
// the sealed texts: what cannot be opened can still be deleted there. Any other
// store is given as it is.
func Raw(store Store) Store {
	if e, ok := store.(interface{ raw() *encrypted }); ok {
		return e.raw().inner
	}
	return store
}

type encrypted struct {
	inner  Store
	cipher Cipher

	mu sync.Mutex
	// foreign are what the cipher cannot open of the deployments that were looked at.
	foreign map[string][]foreign
}

// foreign is a path that is sealed with a key which the cipher lacks; the key is ""
// where another cipher has sealed it.
type foreign struct {
	path Path
	key  string
}

type encryptedHistorian struct {
	*encrypted
	history Historian
}

func (e *encrypted) raw() *encrypted { return e }

// Read implements Store. What all paths hold is opened together.
func (e *encrypted) Read(ctx context.Context, paths []Path) (map[Path]Doc, error) {
	docs, err := e.inner.Read(ctx, paths)
	if err != nil {
		return nil, err
	}
	list := make([]Doc, 0, len(docs))
	for _, doc := range docs {
		list = append(list, doc)
	}
	if list, err = e.open(ctx, list); err != nil {
		return nil, err
	}
	out := make(map[Path]Doc, len(list))
	for _, doc := range list {
		out[doc.Path] = doc
	}
	return out, nil
}

// open gives docs with their values opened.
func (e *encrypted) open(ctx context.Context, docs []Doc) ([]Doc, error) {
	docs = slices.Clone(docs)
	var where []Key
	var sealed []string
	for _, doc := range docs {
		if doc.Path.Scope != Secret {
			continue
		}
		for _, name := range sortedNames(doc.Values) {
			at, v := doc.Path.key(name), doc.Values[name]
			if v.Kind() != Text || e.cipher.KeyID(v.Reveal()) == "" {
				return nil, &SealedError{at, errNotSealed(v)}
			}
			where, sealed = append(where, at), append(sealed, v.Reveal())
		}
	}
	plain, err := e.openAll(ctx, where, sealed)
	if err != nil {
		return nil, err
	}
	for i, doc := range docs {
		if doc.Path.Scope != Secret {
			continue
		}
		values := make(map[string]Value, len(doc.Values))
		for _, name := range sortedNames(doc.Values) {
			if values[name], err = Unpack(plain[0]); err != nil {
				return nil, &SealedError{doc.Path.key(name), err}
			}
			plain = plain[1:]
		}
		docs[i].Values = values
	}
	return docs, nil
}

// errNotSealed says why a value is none of the cipher's.
func errNotSealed(v Value) error {
	if v.Kind() == Text && strings.HasPrefix(v.Reveal(), sealedForm) {
		return errors.New("it is encrypted in another way than with the keys that are given")
	}
	return errors.New("it is not encrypted, and this store's scope secret is\n  hint: helm kai secrets rotate-key encrypts what is there")
}

func (e *encrypted) openAll(ctx context.Context, where []Key, sealed []string) ([][]byte, error) {
	if len(where) == 0 {
		return nil, nil
	}
	if b, ok := e.cipher.(BatchCipher); ok {
		return b.OpenAll(ctx, where, sealed)
	}
	plain := make([][]byte, len(where))
	for i, at := range where {
		var err error
		if plain[i], err = e.cipher.Open(ctx, at, sealed[i]); err != nil {
			return nil, &SealedError{at, err}
		}
	}
	return plain, nil
}

func (e *encrypted) sealAll(ctx context.Context, where []Key, plain [][]byte) ([]string, error) {
	if len(where) == 0 {
		return nil, nil
	}
	if b, ok := e.cipher.(BatchCipher); ok {
		return b.SealAll(ctx, where, plain)
	}
	sealed := make([]string, len(where))
	for i, at := range where {
		var err error
		if sealed[i], err = e.cipher.Seal(ctx, at, plain[i]); err != nil {
			return nil, fmt.Errorf("%s: %s cannot be encrypted: %w", at.Path(), at.Name, err)
		}
	}
	return sealed, nil
}

// List implements Store.
func (e *encrypted) List(ctx context.Context, deployment string) ([]Path, error) {
	return e.inner.List(ctx, deployment)
}

// Write implements Store.
func (e *encrypted) Write(ctx context.Context, doc Doc) (string, error) {
	if doc.Path.Scope != Secret || len(doc.Values) == 0 {
		return e.inner.Write(ctx, doc)
	}
	if err := e.accepts(ctx, doc); err != nil {
		return "", err
	}
	there, err := e.inner.Read(ctx, []Path{doc.Path})
	if err != nil {
		return "", err
	}
	kept := e.kept(ctx, doc, there[doc.Path])
	values := make(map[string]Value, len(doc.Values))
	var where []Key
	var plain [][]byte
	for _, name := range sortedNames(doc.Values) {
		if old, ok := kept[name]; ok {
			values[name] = old
			continue
		}
		where, plain = append(where, doc.Path.key(name)), append(plain, Pack(doc.Values[name]))
	}
	sealed, err := e.sealAll(ctx, where, plain)
	if err != nil {
		return "", err
	}
	for i, at := range where {
		values[at.Name] = New(sealed[i])
	}
	doc.Values = values
	return e.inner.Write(ctx, doc)
}

// Check implements Checker. What is to be sealed is a text of ASCII by then.
func (e *encrypted) Check(ctx context.Context, docs []Doc) error {
	docs = slices.Clone(docs)
	for i, doc := range docs {
		if doc.Path.Scope != Secret || len(doc.Values) == 0 {
			continue
		}
		if err := e.accepts(ctx, doc); err != nil {
			return err
		}
		docs[i].Values = make(map[string]Value, len(doc.Values))
		for name, v := range doc.Values {
			docs[i].Values[name] = New(sealedForm + base64.RawURLEncoding.EncodeToString(Pack(v)))
		}
	}
	return Check(ctx, e.inner, docs)
}

// accepts says whether a path can be sealed: what it is to hold is text, and no
// other path of its deployment is sealed with a key that the cipher lacks. With two
// keys, of which nobody has both, nobody could read a deployment as a whole.
func (e *encrypted) accepts(ctx context.Context, doc Doc) error {
	for _, name := range sortedNames(doc.Values) {
		if err := CheckText(doc.Values[name]); err != nil {
			return fmt.Errorf("%s: %s %w", doc.Path, name, err)
		}
	}
	foreign, err := e.foreignIn(ctx, doc.Path.Deployment)
	if err != nil {
		return err
	}
	for _, id := range foreign {
		if path := id.path; path != doc.Path {
			return &LackingError{Deployment: path.Deployment, Key: id.key, From: e.from()}
		}
	}
	return nil
}

// from says where the cipher's keys are from, "" where that is not known.
func (e *encrypted) from() string {
	if r, ok := e.cipher.(*Keyring); ok {
		return r.from
	}
	return ""
}

// together is how many paths are read at once to look for keys: as many of the
// largest as a store hands out together.
const together = 8

// foreignIn gives the paths of a deployment that are sealed with a key which the
// cipher lacks, sorted. It looks once.
func (e *encrypted) foreignIn(ctx context.Context, deployment string) ([]foreign, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if known, ok := e.foreign[deployment]; ok {
		return known, nil
	}
	paths, err := e.inner.List(ctx, deployment)
	if err != nil {
		return nil, err
	}
	paths = slices.DeleteFunc(paths, func(path Path) bool { return path.Scope != Secret })
	var out []foreign
	for some := range slices.Chunk(paths, together) {
		docs, err := e.inner.Read(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, path := range some {
			for _, name := range sortedNames(docs[path].Values) {
				if id, lacking := e.lacks(docs[path].Values[name]); lacking {
					out = append(out, foreign{path, id})
					break
				}
			}
		}
	}
	e.foreign[deployment] = out
	return out, nil
}

// lacks says whether a value is sealed with a key that the cipher does not have, and
// which one that is.
func (e *encrypted) lacks(v Value) (id string, lacking bool) {
	if v.Kind() != Text || !strings.HasPrefix(v.Reveal(), sealedForm) {
		return "", false
	}
	id = e.cipher.KeyID(v.Reveal())
	ring, known := e.cipher.(interface{ Has(id string) bool })
	return id, id == "" || known && !ring.Has(id)
}

// LackingError says that values of a deployment are encrypted with a key that is
// not given, so that none is encrypted there with another one.
type LackingError struct {
	Deployment string
	Key        string // its id, "" where it is of another kind of cipher
	From       string // where keys are looked for, "" where that is not known
}

func (e *LackingError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("the deployment %s has values that are encrypted in another way than with the keys that are given: nobody could read them and what these encrypt\n"+
			"  hint: set KAI_ENCRYPTOR as it was for them, or copy them to another store: helm kai secrets copy", e.Deployment)
	}
	where := ""
	if e.From != "" {
		where = " (keys are looked for in " + e.From + ")"
	}
	return fmt.Sprintf("the deployment %s has values that are encrypted with the key %s, which is not given%s: nobody could read them and what another key encrypts\n"+
		"  hint: get the line %s:… from who has written them, and put it into that file, or name one by KAI_ENCRYPTION_KEYS_FILE or KAI_ENCRYPTION_KEYS; helm kai secrets rotate-key changes keys", e.Deployment, e.Key, where, e.Key)
}

// kept gives the sealed texts of a path that hold what is to be written there.
// One that does not open holds nothing, and is written anew.
func (e *encrypted) kept(ctx context.Context, doc, there Doc) map[string]Value {
	var where []Key
	var sealed []string
	for _, name := range sortedNames(doc.Values) {
		if old, ok := there.Values[name]; ok && old.Kind() == Text && e.cipher.KeyID(old.Reveal()) != "" {
			where, sealed = append(where, doc.Path.key(name)), append(sealed, old.Reveal())
		}
	}
	plain, err := e.openAll(ctx, where, sealed)
	if err != nil {
		plain = make([][]byte, len(where))
		// Behind a network it is not asked again for each of them.
		if _, many := e.cipher.(BatchCipher); !many {
			for i, at := range where {
				plain[i], _ = e.cipher.Open(ctx, at, sealed[i])
			}
		}
	}
	kept := make(map[string]Value, len(where))
	for i, at := range where {
		if old, err := Unpack(plain[i]); err == nil && old.Equal(doc.Values[at.Name]) {
			kept[at.Name] = New(sealed[i])
		}
	}
	return kept
}

// Can implements Store.
func (e *encrypted) Can() Abilities {
	can := e.inner.Can()
	can.Encrypted = true
	return can
}

// Close implements Store.
func (e *encrypted) Close() error { return e.inner.Close() }

// History implements Historian.
func (e *encryptedHistorian) History(ctx context.Context, path Path) ([]Doc, error) {
	return e.history.History(ctx, path)
}

// At implements Historian. A version of long ago opens as long as the keyring
// has the key of that time.
func (e *encryptedHistorian) At(ctx context.Context, path Path, version string) (Doc, error) {
	doc, err := e.history.At(ctx, path, version)
	if err != nil {
		return Doc{}, err
	}
	docs, err := e.open(ctx, []Doc{doc})
	if err != nil {
		return Doc{}, err
	}
	return docs[0], nil
}

// Rotate seals with the current key whatever stands in scope secret of some
// deployments of an Encrypted store and is not sealed with it: with an older key,
// or not at all. It gives the number of values that were written anew. What others
// write meanwhile is not lost. Where it fails, it can be run again, and does what
// remains. Older versions in a history stay as they are, and want their keys.
func Rotate(ctx context.Context, store Store, deployments ...string) (int, error) {
	s, ok := store.(interface{ raw() *encrypted })
	if !ok {
		return 0, &CannotError{store.Can().Name, "change a key: kai does not encrypt its values", "a store that encrypts by itself has its own way to change keys"}
	}
	e, n := s.raw(), 0
	for _, deployment := range deployments {
		paths, err := e.inner.List(ctx, deployment)
		if err != nil {
			return n, err
		}
		for _, path := range paths {
			if path.Scope != Secret {
				continue
			}
			resealed := 0
			_, err := Edit(ctx, e.inner, path, func(values map[string]Value) (err error) {
				resealed, err = e.reseal(ctx, path, values)
				return err
			})
			if err != nil {
				return n, err
			}
			n += resealed
		}
	}
	return n, nil
}

// reseal seals those values anew that are not sealed with the current key.
func (e *encrypted) reseal(ctx context.Context, path Path, values map[string]Value) (int, error) {
	var where, old []Key
	var plain [][]byte
	var sealed []string
	for _, name := range sortedNames(values) {
		at, v := path.key(name), values[name]
		id := ""
		if v.Kind() == Text {
			id = e.cipher.KeyID(v.Reveal())
		}
		current, err := e.cipher.Current(ctx, at)
		switch {
		case err != nil:
			return 0, err
		case id == current:
		case id != "":
			old, sealed = append(old, at), append(sealed, v.Reveal())
		case v.Kind() == Text && strings.HasPrefix(v.Reveal(), sealedForm):
			return 0, &SealedError{at, errNotSealed(v)}
		default:
			where, plain = append(where, at), append(plain, Pack(v))
		}
	}
	opened, err := e.openAll(ctx, old, sealed)
	if err != nil {
		return 0, err
	}
	where, plain = append(where, old...), append(plain, opened...)
	if sealed, err = e.sealAll(ctx, where, plain); err != nil {
		return 0, err
	}
	for i, at := range where {
		values[at.Name] = New(sealed[i])
	}
	return len(where), nil
}

// key gives a key of the path.
func (p Path) key(name string) Key { return Key{p.Deployment, p.App, p.Scope, name} }

func sortedNames(values map[string]Value) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
