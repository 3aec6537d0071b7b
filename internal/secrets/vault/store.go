package vault

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// KV says where in Vault a store's entries are.
type KV struct {
	Mount  string // "" is secret
	Prefix string // folders between the mount and the deployments
	// Version of kv is asked for where it is 0: which needs a token that may do
	// anything at all below the mount.
	Version int
}

// places gives the mount and the prefix without slashes around them.
func (kv KV) places() (mount, prefix string) {
	return strings.Trim(cmp.Or(kv.Mount, "secret"), "/"), strings.Trim(kv.Prefix, "/")
}

func (kv KV) check() error {
	mount, prefix := kv.places()
	parts := strings.Split(mount, "/")
	if prefix != "" {
		parts = append(parts, strings.Split(prefix, "/")...)
	}
	return segments("the mount and prefix "+mount+"/"+prefix, parts...)
}

// Entry gives where the entry of a path is, MOUNT/PREFIX/DEPLOYMENT/APP/SCOPE, as
// `vault kv` has it: without what the API of kv's second version has in between.
func (kv KV) Entry(path secrets.Path) (string, error) {
	if err := kv.check(); err != nil {
		return "", err
	}
	if err := check(path); err != nil {
		return "", err
	}
	mount, prefix := kv.places()
	return folder(mount, prefix, path.Deployment, path.App, path.Scope), nil
}

// Store gives the store on an engine kv, and closes the client with it. Where the
// version has to be asked for, it logs in. Of kv's first version the store is one
// that only reads. Where the version cannot be asked for after the login, the store
// asks for it again when it is used: a login may be good for one time.
func (c *Client) Store(ctx context.Context, kv KV) (secrets.Store, error) {
	s, err := c.store(ctx, kv)
	if err != nil && c.begun.Load() {
		return &late{client: c, kv: kv}, nil
	}
	return s, err
}

// store gives the store, once its engine is known.
func (c *Client) store(ctx context.Context, kv KV) (secrets.Store, error) {
	place, prefix := kv.places()
	if err := kv.check(); err != nil {
		return nil, err
	}
	m := mount{path: place, engine: "kv", version: kv.Version}
	if m.version == 0 {
		var err error
		if m, err = c.mountOf(ctx, place); err != nil {
			return nil, err
		}
		// The engine may be mounted above what was named.
		prefix = strings.Trim(strings.TrimPrefix(place, m.path)+"/"+prefix, "/")
	}
	switch {
	case m.engine != "kv" && m.engine != "generic":
		return nil, &Error{Text: fmt.Sprintf("Vault at %s: at %s is the engine %s, and no kv", c.options.Address, m.path, m.engine), Hint: "name the mount of kv: vault secrets list"}
	case m.version == 1:
		s := &first{client: c, base: folder(m.path, prefix), key: make([]byte, 32)}
		_, _ = rand.Read(s.key) // never fails
		return s, nil
	case m.version != 2:
		return nil, &Error{Text: fmt.Sprintf("kv has no version %d", m.version), Hint: "it is 1 or 2"}
	}
	return &second{client: c, mount: m.path, prefix: prefix}, nil
}

func folder(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "/")
}

func check(path secrets.Path) error {
	return segments("a part of "+path.String(), path.Deployment, path.App, path.Scope)
}

// second is the store on kv's second version.
type second struct {
	client        *Client
	mount, prefix string
}

var (
	_ secrets.Store     = (*second)(nil)
	_ secrets.Historian = (*second)(nil)
)

// at gives a path of the API: of data, metadata or delete.
func (s *second) at(what string, parts ...string) string {
	return folder(append([]string{s.mount, what, s.prefix}, parts...)...)
}

func (s *second) path(what string, p secrets.Path) string {
	return s.at(what, p.Deployment, p.App, p.Scope)
}

// Can implements secrets.Store.
func (s *second) Can() secrets.Abilities {
	return secrets.Abilities{Name: "vault", Write: true, CAS: true, History: true, Encrypted: true}
}

// Close implements secrets.Store.
func (s *second) Close() error { return s.client.Close() }

// Read implements secrets.Store.
func (s *second) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	return readAll(ctx, paths, func(ctx context.Context, path secrets.Path) (secrets.Doc, error) {
		e, err := s.client.readEntry(ctx, s.path("data", path), "")
		return e.doc(path), err
	})
}

// readAll reads each path once, and gives those that hold something.
func readAll(ctx context.Context, paths []secrets.Path, read func(context.Context, secrets.Path) (secrets.Doc, error)) (map[secrets.Path]secrets.Doc, error) {
	var once []secrets.Path
	asked := make(map[secrets.Path]bool, len(paths))
	for _, path := range paths {
		if err := check(path); err != nil {
			return nil, err
		}
		if !asked[path] {
			asked[path] = true
			once = append(once, path)
		}
	}
	docs := make([]secrets.Doc, len(once))
	err := each(ctx, len(once), func(ctx context.Context, i int) (err error) {
		docs[i], err = read(ctx, once[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	found := make(map[secrets.Path]secrets.Doc, len(once))
	for _, doc := range docs {
		if doc.Version != "" {
			found[doc.Path] = doc
		}
	}
	return found, nil
}

// doc gives what an entry holds: with nothing in it, it has no version.
func (e entry) doc(path secrets.Path) secrets.Doc {
	if len(e.values) == 0 {
		return secrets.Doc{Path: path}
	}
	return secrets.Doc{Path: path, Values: e.values, Version: strconv.FormatUint(e.version, 10), Time: e.time}
}

// List implements secrets.Store. What an app has beside the scopes is not kai's.
func (s *second) List(ctx context.Context, deployment string) ([]secrets.Path, error) {
	paths, err := listAll(ctx, s.client, s.at("metadata"), deployment)
	if err != nil {
		return nil, err
	}
	// A name stays where all versions are deleted, and only its metadata tell.
	gone := make([]bool, len(paths))
	err = each(ctx, len(paths), func(ctx context.Context, i int) error {
		versions, current, err := s.versions(ctx, paths[i])
		if kindOf(err) == Denied && err != nil {
			return nil // who may not know takes it for what it says
		}
		gone[i] = err == nil && versions[current].gone != ""
		return err
	})
	if err != nil {
		return nil, err
	}
	kept := paths[:0]
	for i, path := range paths {
		if !gone[i] {
			kept = append(kept, path)
		}
	}
	return kept, nil
}

// listAll gives the paths of a deployment below a folder, sorted.
func listAll(ctx context.Context, c *Client, base, deployment string) ([]secrets.Path, error) {
	if err := segments("the deployment", deployment); err != nil {
		return nil, err
	}
	secret, err := c.do(ctx, list(base+"/"+deployment))
	if err != nil {
		return nil, err
	}
	var apps []string
	for _, name := range keysOf(secret) {
		if app, ok := strings.CutSuffix(name, "/"); ok && segments("", app) == nil {
			apps = append(apps, app)
		}
	}
	scopes := make([][]string, len(apps))
	err = each(ctx, len(apps), func(ctx context.Context, i int) error {
		secret, err := c.do(ctx, list(base+"/"+deployment+"/"+apps[i]))
		scopes[i] = keysOf(secret)
		return err
	})
	if err != nil {
		return nil, err
	}
	var paths []secrets.Path
	for i, app := range apps {
		for _, scope := range scopes[i] {
			if slices.Contains(secrets.Scopes(), scope) {
				paths = append(paths, secrets.Path{Deployment: deployment, App: app, Scope: scope})
			}
		}
	}
	slices.SortFunc(paths, func(a, b secrets.Path) int {
		return cmp.Or(strings.Compare(a.App, b.App), strings.Compare(a.Scope, b.Scope))
	})
	return paths, nil
}

// versions gives what the metadata of a path say.
func (s *second) versions(ctx context.Context, path secrets.Path) (versions map[uint64]entry, current uint64, err error) {
	secret, err := s.client.do(ctx, get(s.path("metadata", path)))
	if err != nil || secret == nil {
		return nil, 0, err
	}
	fields, _ := secret.Data["versions"].(map[string]any)
	versions = make(map[uint64]entry, len(fields))
	for name, field := range fields {
		n, err := strconv.ParseUint(name, 10, 64)
		about, _ := field.(map[string]any)
		if err != nil {
			continue
		}
		e := entry{version: n, time: moment(about["created_time"])}
		// A version may be one that will be deleted later.
		if deleted := moment(about["deletion_time"]); !deleted.IsZero() && deleted.Before(time.Now()) {
			e.gone = "deleted"
		}
		if destroyed, _ := about["destroyed"].(bool); destroyed {
			e.gone = "destroyed"
		}
		versions[n] = e
	}
	return versions, number(secret.Data["current_version"]), nil
}

// History implements secrets.Historian. A version whose values are deleted is
// none that anybody can go back to, and is left out.
func (s *second) History(ctx context.Context, path secrets.Path) ([]secrets.Doc, error) {
	if err := check(path); err != nil {
		return nil, err
	}
	versions, _, err := s.versions(ctx, path)
	if err != nil {
		return nil, err
	}
	var docs []secrets.Doc
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(versions))) {
		if versions[n].gone == "" {
			docs = append(docs, secrets.Doc{Path: path, Version: strconv.FormatUint(n, 10), Time: versions[n].time})
		}
	}
	return docs, nil
}

// At implements secrets.Historian.
func (s *second) At(ctx context.Context, path secrets.Path, version string) (secrets.Doc, error) {
	if err := check(path); err != nil {
		return secrets.Doc{}, err
	}
	none := &Error{Text: fmt.Sprintf("%s in Vault has no version %q", path, version), Hint: "the versions that are kept: helm kai secrets history"}
	// Vault takes 0 for the newest, and 01 for 1.
	n, err := strconv.ParseUint(version, 10, 32)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != version {
		return secrets.Doc{}, none
	}
	e, err := s.client.readEntry(ctx, s.path("data", path), version)
	switch {
	case err != nil:
		return secrets.Doc{}, err
	case e.gone == "deleted":
		return secrets.Doc{}, &Error{Text: fmt.Sprintf("version %s of %s in Vault is deleted", version, path), Hint: "it can come back: vault kv undelete -versions=" + version}
	case e.gone != "":
		return secrets.Doc{}, &Error{Text: fmt.Sprintf("version %s of %s in Vault is destroyed", version, path), Hint: "nothing brings it back"}
	case e.version != n:
		return secrets.Doc{}, none
	}
	return secrets.Doc{Path: path, Values: e.values, Version: version, Time: e.time}, nil
}

// Write implements secrets.Store. Where the answer to a write was cut off, the
// version that it would have made is read: if that has just these values, the
// write was done, or another who wrote the same came first, which no reader can
// tell apart.
func (s *second) Write(ctx context.Context, doc secrets.Doc) (string, error) {
	body, hidden, err := s.body(doc)
	if err != nil {
		return "", err
	}
	now, err := s.client.readEntry(ctx, s.path("data", doc.Path), "")
	if err != nil {
		return "", err
	}
	there := now.doc(doc.Path)
	switch {
	case there.Version != doc.Version:
		return "", &secrets.ConflictError{Path: doc.Path}
	case equal(there.Values, doc.Values):
		return doc.Version, nil
	}
	call := put(s.path("data", doc.Path), map[string]any{"data": body, "options": map[string]any{"cas": now.version}})
	call.once, call.hidden = true, hidden
	next, err := s.swap(ctx, call, doc, now.version)
	if err != nil || len(doc.Values) > 0 {
		return next, err
	}
	return "", s.bury(ctx, doc.Path, now.version+1)
}

// Check implements secrets.Checker. What its listener takes, Vault does not say.
func (s *second) Check(_ context.Context, docs []secrets.Doc) error {
	for _, doc := range docs {
		if _, _, err := s.body(doc); err != nil {
			return err
		}
	}
	return nil
}

// body gives what is written. JSON has only texts of Unicode, and would change
// others without a word.
func (s *second) body(doc secrets.Doc) (map[string]any, []secrets.Value, error) {
	if err := check(doc.Path); err != nil {
		return nil, nil, err
	}
	body := make(map[string]any, len(doc.Values))
	hidden := make([]secrets.Value, 0, len(doc.Values))
	for _, key := range slices.Sorted(maps.Keys(doc.Values)) {
		v := doc.Values[key]
		if !utf8.ValidString(key) || !utf8.ValidString(v.Reveal()) {
			return nil, nil, &secrets.CannotError{
				Store: "vault",
				What:  fmt.Sprintf("keep %s: %s, for it is no text of UTF-8", doc.Path, strconv.QuoteToASCII(key)),
				Hint:  "keep it in base64",
			}
		}
		body[key] = encode(v)
		hidden = append(hidden, v)
	}
	return body, hidden, nil
}

// swap writes upon a version, and gives the next one.
func (s *second) swap(ctx context.Context, call call, doc secrets.Doc, version uint64) (string, error) {
	next := strconv.FormatUint(version+1, 10)
	cut := false
	for begin := time.Now(); ; {
		_, err := s.client.do(ctx, call)
		var failed *Error
		switch {
		case err == nil:
			return next, nil
		case errors.As(err, &failed) && failed.Kind == Unsure:
			cut = true
		case errors.As(err, &failed) && has(failed.Text, "check-and-set parameter did not match"):
			if !cut {
				return "", &secrets.ConflictError{Path: doc.Path}
			}
		case errors.As(err, &failed) && tooLarge(failed.Text):
			return "", &secrets.CannotError{
				Store: "vault",
				What:  fmt.Sprintf("keep all of %s: %s", doc.Path, failed.Text),
				Hint:  "its listener has limits: max_request_size, max_json_string_value_length and others",
			}
		default:
			return "", err
		}
		made, looked := s.client.readEntry(ctx, call.path, next)
		switch {
		case looked != nil:
			return "", &Error{Kind: Unsure, Text: fmt.Sprintf("%v\n  whether version %s of %s was written is not known", looked, next, doc.Path), Hint: "look at it again before it is written once more"}
		case made.version == version+1 && made.gone == "" && equal(made.values, doc.Values):
			return next, nil
		case made.version == version+1:
			return "", &secrets.ConflictError{Path: doc.Path}
		}
		// It has not come to be, and upon this version it may be tried again.
		if time.Since(begin) > s.client.options.Patience || !sleep(ctx, jitter(200*time.Millisecond)) {
			return "", err
		}
	}
}

// bury deletes the version that holds nothing, so that others see it, too. A
// policy without the right to that leaves one that is empty.
func (s *second) bury(ctx context.Context, path secrets.Path, version uint64) error {
	_, err := s.client.do(ctx, put(s.path("delete", path), map[string]any{"versions": []uint64{version}}))
	if err != nil && kindOf(err) != Denied {
		return err
	}
	return nil
}

func equal(a, b map[string]secrets.Value) bool {
	return maps.EqualFunc(a, b, secrets.Value.Equal)
}

// first is the store on kv's first version.
type first struct {
	client *Client
	base   string
	key    []byte
}

var _ secrets.Store = (*first)(nil)

// Can implements secrets.Store.
func (s *first) Can() secrets.Abilities {
	return secrets.Abilities{Name: "vault", Encrypted: true}
}

// Close implements secrets.Store.
func (s *first) Close() error { return s.client.Close() }

// Read implements secrets.Store. There is no version but what stands there: its
// digest, by a key of the store's own, so that nobody guesses values by it.
func (s *first) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	return readAll(ctx, paths, func(ctx context.Context, path secrets.Path) (secrets.Doc, error) {
		place := folder(s.base, path.Deployment, path.App, path.Scope)
		secret, err := s.client.do(ctx, get(place))
		if err != nil || secret == nil {
			return secrets.Doc{}, err
		}
		if len(secret.Data) == 0 && slices.ContainsFunc(secret.Warnings, func(w string) bool { return has(w, "versioned k/v") }) {
			return secrets.Doc{}, &Error{Text: fmt.Sprintf("read %s in Vault at %s: this is kv's second version, and the first is configured", place, s.client.options.Address), Hint: "configure the version 2, or none"}
		}
		values, err := s.client.values(place, secret.Data)
		if err != nil || len(values) == 0 {
			return secrets.Doc{}, err
		}
		return secrets.Doc{Path: path, Values: values, Version: s.digest(values)}, nil
	})
}

func (s *first) digest(values map[string]secrets.Value) string {
	sum := hmac.New(sha256.New, s.key)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(sum, "%d:%s%d:%d:%s", len(key), key, values[key].Kind(), len(values[key].Reveal()), values[key].Reveal())
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// List implements secrets.Store.
func (s *first) List(ctx context.Context, deployment string) ([]secrets.Path, error) {
	return listAll(ctx, s.client, s.base, deployment)
}

// Check implements secrets.Checker: it can hold nothing new.
func (s *first) Check(context.Context, []secrets.Doc) error { return s.readOnly() }

// Write implements secrets.Store: it cannot.
func (s *first) Write(context.Context, secrets.Doc) (string, error) { return "", s.readOnly() }

func (s *first) readOnly() error {
	return &secrets.CannotError{
		Store: "vault",
		What:  "write: " + s.base + " is kv's first version, in which two writers lose what the other has written",
		Hint:  "make it the second: vault kv enable-versioning " + strings.SplitN(s.base, "/", 2)[0],
	}
}
