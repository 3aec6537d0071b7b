package vault

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// TransitKeys says which keys of the engine transit encrypt.
type TransitKeys struct {
	Mount string // "" is transit
	// Name of the key of an app, with {deployment} and {app} in it; "" is that of
	// the older system, {deployment}_kaigara_{app}.
	Name string
}

func (k TransitKeys) mount() string { return strings.Trim(cmp.Or(k.Mount, "transit"), "/") }

func (k TransitKeys) name(deployment, app string) string {
	return strings.NewReplacer("{deployment}", deployment, "{app}", app).Replace(cmp.Or(k.Name, "{deployment}_kaigara_{app}"))
}

// Transit encrypts by keys that never leave Vault. What it seals is bound to its
// place, as associated data. It makes a key that is not there when it seals, if
// the policy allows that, and never when it opens.
type Transit struct {
	client *Client
	keys   TransitKeys

	mu       sync.Mutex
	versions map[string]keyVersion
}

// keyVersion is the newest one of a key, as it was asked for.
type keyVersion struct {
	id   string
	time time.Time
}

var _ secrets.BatchCipher = (*Transit)(nil)

// Transit gives a cipher. The client stays open when whoever uses it is closed.
func (c *Client) Transit(keys TransitKeys) *Transit {
	return &Transit{client: c, keys: keys, versions: map[string]keyVersion{}}
}

// transitForm begins what is sealed: kai:v1:transit:KEY:vault:vN:BASE64.
const transitForm = "kai:v1:transit:"

// Bounds of one request; Vault refuses those of 32 MiB.
const (
	maxItems = 500
	maxBatch = 8 << 20
)

func (t *Transit) key(where secrets.Key) (string, error) {
	name := t.keys.name(where.Deployment, where.App)
	return name, segments("the key of "+where.Path().String(), name)
}

// bind gives the associated data: JSON tells the places apart.
func bind(where secrets.Key) string {
	data, _ := json.Marshal([]string{where.Deployment, where.App, where.Scope, where.Name}) // texts always can be
	return base64.StdEncoding.EncodeToString(data)
}

// Seal implements secrets.Cipher.
func (t *Transit) Seal(ctx context.Context, where secrets.Key, plain []byte) (string, error) {
	sealed, err := t.SealAll(ctx, []secrets.Key{where}, [][]byte{plain})
	if err != nil {
		return "", err
	}
	return sealed[0], nil
}

// Open implements secrets.Cipher.
func (t *Transit) Open(ctx context.Context, where secrets.Key, sealed string) ([]byte, error) {
	plain, err := t.OpenAll(ctx, []secrets.Key{where}, []string{sealed})
	if err != nil {
		var failed *secrets.SealedError
		if errors.As(err, &failed) {
			err = failed.Err // whoever asks for one names it
		}
		return nil, err
	}
	return plain[0], nil
}

// KeyID implements secrets.Cipher: the key's name and version.
func (t *Transit) KeyID(sealed string) string {
	rest, ok := strings.CutPrefix(sealed, transitForm)
	name, text, found := strings.Cut(rest, ":")
	version, _, whole := strings.Cut(strings.TrimPrefix(text, "vault:"), ":")
	if !ok || !found || !whole || name == "" || !strings.HasPrefix(version, "v") {
		return ""
	}
	return name + ":" + version
}

// currentFor is how long the newest version of a key is believed to be it.
const currentFor = 10 * time.Second

// Current implements secrets.Cipher. A key that is not there yet will have the
// first version.
func (t *Transit) Current(ctx context.Context, where secrets.Key) (string, error) {
	name, err := t.key(where)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if v, ok := t.versions[name]; ok && time.Since(v.time) < currentFor {
		return v.id, nil
	}
	secret, err := t.client.do(ctx, get(t.keys.mount()+"/keys/"+name))
	if err != nil {
		return "", err
	}
	version := uint64(1)
	if secret != nil {
		version = number(secret.Data["latest_version"])
	}
	id := fmt.Sprintf("%s:v%d", name, version)
	t.versions[name] = keyVersion{id, time.Now()}
	return id, nil
}

// Renew makes a new version of the key of an app, by which is sealed from now on.
// What older versions have sealed still opens.
func (t *Transit) Renew(ctx context.Context, where secrets.Key) error {
	name, err := t.key(where)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.versions, name)
	_, err = t.client.do(ctx, put(t.keys.mount()+"/keys/"+name+"/rotate", map[string]any{}))
	return err
}

// SealAll implements secrets.BatchCipher.
func (t *Transit) SealAll(ctx context.Context, where []secrets.Key, plain [][]byte) ([]string, error) {
	items := make([]item, len(where))
	for i, k := range where {
		name, err := t.key(k)
		if err != nil {
			return nil, err
		}
		text := base64.StdEncoding.EncodeToString(plain[i])
		items[i] = item{key: name, size: len(text), body: map[string]any{"plaintext": text, "associated_data": bind(k)}, hidden: secrets.New(text)}
	}
	texts, err := t.all(ctx, "encrypt", "ciphertext", items, func(i int, err error) error {
		return fmt.Errorf("%s: %s cannot be encrypted: %w", where[i].Path(), where[i].Name, err)
	})
	for i := range texts {
		texts[i] = transitForm + items[i].key + ":" + texts[i]
	}
	return texts, err
}

// OpenAll implements secrets.BatchCipher.
func (t *Transit) OpenAll(ctx context.Context, where []secrets.Key, sealed []string) ([][]byte, error) {
	items := make([]item, len(where))
	for i, k := range where {
		name, err := t.key(k)
		if err != nil {
			return nil, err
		}
		by, _, _ := strings.Cut(t.KeyID(sealed[i]), ":")
		switch by {
		case "":
			return nil, &secrets.SealedError{Key: k, Err: errors.New("it is not a text that Vault has encrypted for kai")}
		case name:
		default:
			return nil, &secrets.SealedError{Key: k, Err: fmt.Errorf("it is encrypted with Vault's key %s, and that of this place is %s", by, name)}
		}
		text := strings.TrimPrefix(sealed[i], transitForm+by+":")
		items[i] = item{key: name, size: len(text), body: map[string]any{"ciphertext": text, "associated_data": bind(k)}}
	}
	return t.decrypt(ctx, items, func(i int, err error) error {
		return &secrets.SealedError{Key: where[i], Err: err}
	})
}

// OpenOlder opens what the older system has had encrypted: vault:vN:BASE64, which
// is bound to no place, and was sent in base64 of the URL's alphabet. It is for
// import alone.
func (t *Transit) OpenOlder(ctx context.Context, where secrets.Key, sealed string) ([]byte, error) {
	if !strings.HasPrefix(sealed, "vault:v") {
		return nil, errors.New("it is no text that Vault has encrypted")
	}
	name, err := t.key(where)
	if err != nil {
		return nil, err
	}
	plain, err := t.decrypt(ctx, []item{{key: name, body: map[string]any{"ciphertext": sealed}}}, func(_ int, err error) error { return err })
	if err != nil {
		return nil, err
	}
	return plain[0], nil
}

func (t *Transit) decrypt(ctx context.Context, items []item, name func(int, error) error) ([][]byte, error) {
	texts, err := t.all(ctx, "decrypt", "plaintext", items, name)
	if err != nil {
		return nil, err
	}
	plain := make([][]byte, len(texts))
	for i, text := range texts {
		// What the older system sent has passed Vault where the two alphabets are the
		// same for it.
		if plain[i], err = base64.StdEncoding.DecodeString(text); err != nil {
			if plain[i], err = base64.URLEncoding.DecodeString(text); err != nil {
				return nil, name(i, errors.New("what Vault gives back is not base64"))
			}
		}
	}
	return plain, nil
}

// item is one of many in a request.
type item struct {
	key    string
	size   int
	body   map[string]any
	hidden secrets.Value
}

// all sends items in few requests, those of one key together, and gives a field
// of each answer. name says in an error which item it was.
func (t *Transit) all(ctx context.Context, verb, field string, items []item, name func(int, error) error) ([]string, error) {
	var groups [][]int
	open := map[string]int{} // the group of a key that still takes some
	sizes := map[string]int{}
	for i, it := range items {
		g, ok := open[it.key]
		if !ok || len(groups[g]) == maxItems || sizes[it.key]+it.size > maxBatch {
			g = len(groups)
			groups = append(groups, nil)
			open[it.key], sizes[it.key] = g, 0
		}
		groups[g] = append(groups[g], i)
		sizes[it.key] += it.size
	}
	out := make([]string, len(items))
	err := each(ctx, len(groups), func(ctx context.Context, g int) error {
		return t.some(ctx, verb, field, items, groups[g], out, name)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// some sends one request for items of one key.
func (t *Transit) some(ctx context.Context, verb, field string, items []item, group []int, out []string, name func(int, error) error) error {
	if len(group) == 1 {
		return t.one(ctx, verb, field, items, group[0], out, name)
	}
	input := make([]map[string]any, len(group))
	var hidden []secrets.Value
	for n, i := range group {
		input[n] = items[i].body
		hidden = append(hidden, items[i].hidden)
	}
	secret, err := t.client.do(ctx, t.call(verb, items[group[0]].key, map[string]any{"batch_input": input, "partial_failure_response_code": 200}, hidden))
	if err != nil {
		// Where all have failed, only the answer to one says why.
		if kindOf(err) == Refused && ctx.Err() == nil {
			if why := t.one(ctx, verb, field, items, group[0], out, name); why != nil {
				return why
			}
		}
		return name(group[0], err)
	}
	var results []any
	if secret != nil {
		results, _ = secret.Data["batch_results"].([]any)
	}
	if len(results) != len(group) {
		return name(group[0], fmt.Errorf("the answer of Vault has %d of %d", len(results), len(group)))
	}
	for n, i := range group {
		result, _ := results[n].(map[string]any)
		text, ok := result[field].(string)
		// Where one fails, the field is there too, and empty.
		if why, failed := result["error"].(string); failed || !ok {
			return name(i, t.reason(t.client.clean(why, hidden), items[i].key))
		}
		out[i] = text
	}
	return nil
}

func (t *Transit) one(ctx context.Context, verb, field string, items []item, i int, out []string, name func(int, error) error) error {
	it := items[i]
	secret, err := t.client.do(ctx, t.call(verb, it.key, it.body, []secrets.Value{it.hidden}))
	if kindOf(err) == Refused && err != nil && ctx.Err() == nil {
		return name(i, t.reason(err.Error(), it.key))
	}
	if err != nil {
		return name(i, err)
	}
	ok := secret != nil
	if ok {
		out[i], ok = secret.Data[field].(string)
	}
	if !ok {
		return name(i, errors.New("the answer of Vault is without it"))
	}
	return nil
}

func (t *Transit) call(verb, key string, body map[string]any, hidden []secrets.Value) call {
	call := put(t.keys.mount()+"/"+verb+"/"+key, body)
	call.doing, call.hidden = verb+" by", hidden
	if verb == "decrypt" {
		call.needs = []string{"update"}
	}
	return call
}

// reason says in our words what Vault says of one item.
func (t *Transit) reason(said, key string) error {
	switch {
	case has(said, "message authentication failed", "invalid ciphertext", "unable to decrypt"):
		return fmt.Errorf("it does not open with Vault's key %s: it was damaged or made for another place, or another key had this name", key)
	case has(said, "encryption key not found"):
		return fmt.Errorf("there is no key %s in Vault at %s\n  hint: make it: vault write -f %s/keys/%s", key, t.keys.mount(), t.keys.mount(), key)
	case has(said, "is disallowed by policy", "version is too new"):
		return fmt.Errorf("the key %s of Vault no longer opens this version\n  hint: lower min_decryption_version of the key while it is renewed", key)
	}
	return errors.New(said)
}
