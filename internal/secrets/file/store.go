package file

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Options say how a file is a store.
type Options struct {
	// Deployment is the one that the file holds; without it the file answers for
	// whichever it is asked.
	Deployment string
	// Identities open what is encrypted; nil are none.
	Identities *Identities
	// Bind is the deployment that Reencrypt binds what it encrypts to, where it was
	// bound to none before.
	Bind string
	// Encrypt refuses scope secret where the file has no recipients at that moment.
	Encrypt bool
}

// Store is a file that is read and written. Each operation reads the file anew.
// Writers, also of other processes, wait for one another; readers see the file as
// it was before or after a write. A path's version is a digest of what it holds:
// it does not change with other paths, comments or the order of keys; where values
// stand there plain it is made of them, and is not for everyone's eyes. The file
// keeps no history: what holds the file may.
type Store struct {
	path      string
	options   Options
	turn      chan struct{} // of the writers of this process
	encrypted atomic.Bool
}

var _ secrets.Store = (*Store)(nil)

// NewStore gives the store of a file, which need not be there yet. A file that is
// there and is none of secrets is an error.
func NewStore(path string, options Options) (*Store, error) {
	s := &Store{path: path, options: options, turn: make(chan struct{}, 1)}
	if _, _, err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// load reads the file; one that is not there is empty, and its data are nil.
func (s *Store) load() ([]byte, *content, error) {
	data, err := source.ReadFile(os.DirFS(filepath.Dir(s.path)), filepath.Base(s.path), source.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		s.encrypted.Store(false)
		return nil, &content{}, nil
	}
	if err != nil {
		return nil, nil, source.Findings{source.FileFinding(s.path, err)}
	}
	c, findings := parse(s.path, data)
	if len(findings) > 0 {
		return nil, nil, findings
	}
	s.encrypted.Store(len(c.recipients) > 0)
	return data, c, nil
}

// holds says whether a deployment is the file's.
func (s *Store) holds(deployment string) bool {
	return s.options.Deployment == "" || deployment == s.options.Deployment
}

// Read implements secrets.Store.
func (s *Store) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	return s.read(ctx, paths, func(deployment string, at place, v value) (secrets.Value, source.Findings) {
		return v.open(deployment, at, s.options.Identities.get())
	})
}

func (s *Store) read(ctx context.Context, paths []secrets.Path, open func(string, place, value) (secrets.Value, source.Findings)) (map[secrets.Path]secrets.Doc, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_, c, err := s.load()
	if err != nil {
		return nil, err
	}
	scopes, err := c.scopes()
	if err != nil {
		return nil, err
	}
	docs := make(map[secrets.Path]secrets.Doc, len(paths))
	var findings source.Findings
	for _, path := range paths {
		values := scopes[scope{path.App, path.Scope}]
		if _, read := docs[path]; read || len(values) == 0 || !s.holds(path.Deployment) {
			continue
		}
		doc := secrets.Doc{Path: path, Values: make(map[string]secrets.Value, len(values)), Version: digest(values)}
		for name, v := range values {
			opened, wrong := open(path.Deployment, place{path.App, path.Scope, name}, v)
			findings = append(findings, wrong...)
			doc.Values[name] = opened
		}
		docs[path] = doc
	}
	if len(findings) > 0 {
		return nil, findings.Sorted()
	}
	return docs, nil
}

// scope is a path inside of a deployment.
type scope struct{ app, scope string }

// scopes gives what the file holds by paths.
func (c *content) scopes() (map[scope]map[string]value, error) {
	values, findings := c.values()
	if len(findings) > 0 {
		return nil, findings.Sorted()
	}
	out := map[scope]map[string]value{}
	for at, v := range values {
		in := scope{at.app, at.scope}
		if out[in] == nil {
			out[in] = map[string]value{}
		}
		out[in][at.name] = v
	}
	return out, nil
}

// digest gives the version of what a path holds, "" for nothing.
func digest(values map[string]value) string {
	if len(values) == 0 {
		return ""
	}
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.AppendUvarint(nil, uint64(len(b))))
		h.Write(b)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		part([]byte(name))
		part(secrets.Pack(values[name].Value))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// List implements secrets.Store.
func (s *Store) List(ctx context.Context, deployment string) ([]secrets.Path, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_, c, err := s.load()
	if err != nil || !s.holds(deployment) {
		return nil, err
	}
	var out []secrets.Path
	for _, e := range c.entries {
		out = append(out, secrets.Path{Deployment: deployment, App: e.App, Scope: e.Scope})
	}
	slices.SortFunc(out, func(a, b secrets.Path) int {
		return strings.Compare(a.App+"\x00"+a.Scope, b.App+"\x00"+b.Scope)
	})
	return slices.Compact(out), nil
}

// Can implements secrets.Store. The file encrypts by itself where it has
// recipients.
func (s *Store) Can() secrets.Abilities {
	return secrets.Abilities{Name: "file", Write: true, CAS: true, Encrypted: s.encrypted.Load()}
}

// Close implements secrets.Store.
func (s *Store) Close() error { return nil }

// Write implements secrets.Store. Keys that are there keep their places, their
// comments and, where their value stays, every byte; new ones stand behind them,
// sorted.
func (s *Store) Write(ctx context.Context, doc secrets.Doc) (string, error) {
	return s.replace(ctx, doc, s.opensTo)
}

// opensTo says whether what stands in the file is a value. What does not open is
// written anew.
func (s *Store) opensTo(deployment string, at place, old value, v secrets.Value) bool {
	was, wrong := old.open(deployment, at, s.options.Identities.get())
	return len(wrong) == 0 && was.Equal(v)
}

// isSame says whether a value is the one that stands at a place of a deployment.
type isSame func(deployment string, at place, old value, v secrets.Value) bool

// replace writes a path.
func (s *Store) replace(ctx context.Context, doc secrets.Doc, same isSame) (version string, err error) {
	if err := s.checkNames(doc); err != nil {
		return "", err
	}
	err = s.exclusive(ctx, func() error {
		version, err = s.write(doc, same)
		return err
	})
	if err != nil {
		return "", err
	}
	return version, nil
}

// checkNames says whether a path and its keys can stand in this file.
func (s *Store) checkNames(doc secrets.Doc) error {
	if !s.holds(doc.Path.Deployment) {
		return s.cannot("write "+doc.Path.String(), "it holds the deployment "+s.options.Deployment)
	}
	for name := range doc.Values {
		if err := secrets.CheckNames(doc.Path, name); err != nil {
			what, hint, _ := strings.Cut(err.Error(), "\n  hint: ")
			return s.cannot(fmt.Sprintf("write %s: the key %.40q %s", doc.Path, name, what), hint)
		}
	}
	return nil
}

func (s *Store) cannot(what, hint string) error {
	return &secrets.CannotError{Store: "file " + s.path, What: what, Hint: hint}
}

func (s *Store) write(doc secrets.Doc, same isSame) (string, error) {
	data, c, err := s.load()
	if err != nil {
		return "", err
	}
	scopes, err := c.scopes()
	if err != nil {
		return "", err
	}
	here := scope{doc.Path.App, doc.Path.Scope}
	there := scopes[here]
	if digest(there) != doc.Version {
		return "", &secrets.ConflictError{Path: doc.Path}
	}
	todo, err := s.changeTo(doc, c, there, same)
	if err != nil {
		return "", err
	}
	if len(todo.set)+len(todo.remove) == 0 {
		return doc.Version, nil
	}
	after, err := s.put(data, c, []change{todo}, nil)
	if err != nil {
		return "", err
	}
	if scopes, err = after.scopes(); err != nil {
		return "", err
	}
	return digest(scopes[here]), nil
}

// changeTo gives what makes a path hold what doc does.
func (s *Store) changeTo(doc secrets.Doc, c *content, there map[string]value, same isSame) (change, error) {
	todo := change{app: doc.Path.App, scope: doc.Path.Scope}
	if s.options.Encrypt && todo.scope == secrets.Secret && len(doc.Values) > 0 && len(c.recipients) == 0 {
		return change{}, &secrets.CannotError{
			Store: "file", What: fmt.Sprintf("hold %s: nothing encrypts it there", doc.Path),
			Hint: "add a recipient, so that it is encrypted: recipients: [age1…] in the file, whose identity age-keygen makes",
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, keep := doc.Values[name]; !keep {
			todo.remove = append(todo.remove, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Values)) {
		at, v := place{todo.app, todo.scope, name}, doc.Values[name]
		if old, ok := there[name]; ok && same(doc.Path.Deployment, at, old, v) {
			continue
		}
		node, err := s.stored(doc.Path.Deployment, at, v, c.recipients)
		if err != nil {
			return change{}, err
		}
		todo.set = append(todo.set, source.Field{Key: name, Value: node})
	}
	return todo, nil
}

// Check implements secrets.Checker: it makes the text that the file would have.
func (s *Store) Check(ctx context.Context, docs []secrets.Doc) error {
	return s.check(ctx, docs, s.opensTo)
}

func (s *Store) check(ctx context.Context, docs []secrets.Doc, same isSame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, c, err := s.load()
	if err != nil {
		return err
	}
	scopes, err := c.scopes()
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if err := s.checkNames(doc); err != nil {
			return err
		}
		todo, err := s.changeTo(doc, c, scopes[scope{doc.Path.App, doc.Path.Scope}], same)
		if err == nil {
			data, c, err = s.text(data, c, []change{todo}, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Closed gives the store without opening what is encrypted: such values are the
// texts that stand in the file. What no identity opens can be listed and deleted
// there, beside others that stay.
func (s *Store) Closed() secrets.Store { return closed{s} }

type closed struct{ *Store }

// Read implements secrets.Store.
func (s closed) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	return s.read(ctx, paths, func(_ string, _ place, v value) (secrets.Value, source.Findings) { return v.Value, nil })
}

// Write implements secrets.Store.
func (s closed) Write(ctx context.Context, doc secrets.Doc) (string, error) {
	return s.replace(ctx, doc, isText)
}

// Check implements secrets.Checker.
func (s closed) Check(ctx context.Context, docs []secrets.Doc) error {
	return s.check(ctx, docs, isText)
}

func isText(_ string, _ place, old value, v secrets.Value) bool { return old.Equal(v) }

// stored gives a value as it stands in the file.
func (s *Store) stored(deployment string, at place, v secrets.Value, to []recipient) (*source.Value, error) {
	where := fmt.Sprintf("%s: %s.%s.%s", s.path, at.app, at.scope, at.name)
	if at.scope == secrets.Secret && len(to) > 0 {
		sealed, err := seal(deployment, at, v, to)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be encrypted: %w", where, err)
		}
		v = sealed
	} else if secrets.IsAge(source.NewString(source.Origin{}, v.Reveal())) {
		return nil, s.cannot(fmt.Sprintf("hold %s.%s.%s: it is the text of an encrypted value", at.app, at.scope, at.name), "read it with the identity that opens it, and write what it holds")
	}
	node, err := secrets.YAMLOf(v)
	if err != nil {
		what, hint, _ := strings.Cut(err.Error(), "\n  hint: ")
		return nil, s.cannot(fmt.Sprintf("hold %s.%s.%s: it %s", at.app, at.scope, at.name, what), hint)
	}
	return node, nil
}

// put writes the file with changes.
func (s *Store) put(data []byte, c *content, changes []change, recipients []string) (*content, error) {
	text, after, err := s.text(data, c, changes, recipients)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(s.path, text); err != nil {
		return nil, fmt.Errorf("%s was not written: %w", s.path, err)
	}
	s.encrypted.Store(len(after.recipients) > 0)
	return after, nil
}

// text gives the file with changes, as text and as what it holds.
func (s *Store) text(data []byte, c *content, changes []change, recipients []string) ([]byte, *content, error) {
	if data == nil {
		data = []byte(empty)
	}
	text, after := rewrite(s.path, data, c, changes, recipients)
	switch {
	case after == nil:
		return nil, nil, fmt.Errorf("%s is written in a way that kai cannot edit without losing something\n  hint: keep anchors, aliases and << out of it, and one key on a line; or edit it by hand", s.path)
	case len(text) > source.MaxFile:
		return nil, nil, s.cannot(fmt.Sprintf("hold more than %d KiB", source.MaxFile>>10), "keep large values in another store")
	}
	return text, after, nil
}

// rewrite gives the text of a file with changes and what it holds, after it has
// compared that with what is wanted; nil where they are not the same. A text that
// is beyond the bound on files is not compared.
func rewrite(file string, data []byte, c *content, changes []change, recipients []string) ([]byte, *content) {
	want := make(map[place]*source.Value, len(c.entries)+1)
	for _, e := range c.entries {
		want[place{e.App, e.Scope, e.Name}] = e.Value
	}
	for _, ch := range changes {
		for _, name := range ch.remove {
			delete(want, place{ch.app, ch.scope, name})
		}
		for _, f := range ch.set {
			want[place{ch.app, ch.scope, f.Key}] = f.Value
		}
	}
	wantTo := recipients
	if wantTo == nil {
		wantTo = texts(c.recipients)
	}
	// The plain form is for where the usual one does not fit in.
	for _, plain := range []bool{false, true} {
		text, err := edit(data, changes, recipients, plain)
		if err != nil {
			continue
		}
		if len(text) > source.MaxFile {
			return text, c
		}
		if after, findings := parse(file, text); len(findings) == 0 && after.same(want, wantTo) {
			return text, after
		}
	}
	return nil, nil
}

// same compares what the file holds with what is wanted.
func (c *content) same(want map[place]*source.Value, recipients []string) bool {
	if len(c.entries) != len(want) || !slices.Equal(texts(c.recipients), recipients) {
		return false
	}
	for _, e := range c.entries {
		if v, ok := want[place{e.App, e.Scope, e.Name}]; !ok || !source.Equal(v, e.Value) {
			return false
		}
	}
	return true
}

func texts(recipients []recipient) []string {
	out := make([]string, len(recipients))
	for i, r := range recipients {
		out[i] = r.text
	}
	return out
}

// exclusive calls do while no other writes the file.
func (s *Store) exclusive(ctx context.Context, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, lockName(real(s.path)))
	if err != nil {
		return fmt.Errorf("%s cannot be locked: %w", s.path, err)
	}
	defer unlock()
	return do()
}

// Recipients gives the public keys by which scope secret is encrypted.
func (s *Store) Recipients(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_, c, err := s.load()
	if err != nil {
		return nil, err
	}
	return texts(c.recipients), nil
}

// AddRecipient lets one more read the file, and encrypts scope secret anew for
// all. It makes the file where there is none. A recipient that is there already
// changes nothing.
func (s *Store) AddRecipient(ctx context.Context, text string) error {
	r, err := parseRecipient(text)
	if err != nil {
		return fmt.Errorf("the text %w", err)
	}
	return s.exclusive(ctx, func() error {
		data, c, err := s.load()
		if err != nil || slices.ContainsFunc(c.recipients, r.same) {
			return err
		}
		_, err = s.reencrypt(ctx, data, c, append(slices.Clone(c.recipients), r))
		return err
	})
}

// RemoveRecipient encrypts scope secret anew for all but one. What that one could
// read before, they may have kept: the values have to be changed too. The last
// recipient stays, since without one the file is not encrypted.
func (s *Store) RemoveRecipient(ctx context.Context, text string) error {
	r, err := parseRecipient(text)
	if err != nil {
		return fmt.Errorf("the text %w", err)
	}
	return s.exclusive(ctx, func() error {
		data, c, err := s.load()
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(c.recipients), r.same)
		switch {
		case len(left) == len(c.recipients):
			return fmt.Errorf("%s: there is no such recipient\n  hint: its recipients are %s", s.path, strings.Join(texts(c.recipients), ", "))
		case len(left) == 0:
			return fmt.Errorf("%s: this is the only recipient, without which the file is not encrypted\n  hint: add another one first", s.path)
		}
		_, err = s.reencrypt(ctx, data, c, left)
		return err
	})
}

// Reencrypt encrypts scope secret anew for the file's recipients, also what is
// not encrypted yet, and gives the number of values. It is for a list of
// recipients that was changed by hand.
func (s *Store) Reencrypt(ctx context.Context) (n int, err error) {
	err = s.exclusive(ctx, func() error {
		data, c, err := s.load()
		if err != nil {
			return err
		}
		if len(c.recipients) == 0 {
			return s.cannot("encrypt: it has no recipients", "add one first: the public key that age-keygen prints")
		}
		n, err = s.reencrypt(ctx, data, c, c.recipients)
		return err
	})
	return n, err
}

func (s *Store) reencrypt(ctx context.Context, data []byte, c *content, to []recipient) (n int, err error) {
	scopes, err := c.scopes()
	if err != nil {
		return 0, err
	}
	var changes []change
	var findings source.Findings
	for in, values := range scopes {
		if in.scope != secrets.Secret {
			continue
		}
		todo := change{app: in.app, scope: in.scope}
		for name, v := range values {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			at := place{in.app, in.scope, name}
			opened, deployment, wrong := v.openBound(at, s.options.Identities.get())
			if len(wrong) > 0 {
				findings = append(findings, wrong...)
				continue
			}
			node, err := s.stored(cmp.Or(deployment, s.options.Deployment, s.options.Bind), at, opened, to)
			if err != nil {
				return 0, err
			}
			todo.set = append(todo.set, source.Field{Key: name, Value: node})
			n++
		}
		changes = append(changes, todo)
	}
	if len(findings) > 0 {
		return 0, findings.Sorted()
	}
	if _, err := s.put(data, c, changes, texts(to)); err != nil {
		return 0, err
	}
	return n, nil
}

// Plain is a value of scope secret that is not encrypted though the file has
// recipients.
type Plain struct {
	secrets.Key
	At source.Origin
}

// Plain gives what is not encrypted, sorted.
func (s *Store) Plain(ctx context.Context) ([]Plain, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_, c, err := s.load()
	if err != nil {
		return nil, err
	}
	out := []Plain{}
	for _, e := range c.plain() {
		out = append(out, Plain{secrets.Key{Deployment: s.options.Deployment, App: e.App, Scope: e.Scope, Name: e.Name}, e.Value.Origin})
	}
	return out, nil
}

// real gives the file that a path leads to, or the path where there is none yet.
func real(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// lockName gives the file that writers of a file hold. It is beside it and hidden.
func lockName(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}

// replaceFile writes a file so that whoever reads it, also after a crash, finds
// all of the old or all of the new. A new file is its owner's alone; an old one
// keeps its mode and, where that is allowed, its owner. Who calls it holds the
// lock.
func replaceFile(path string, data []byte) (err error) {
	path = real(path)
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	// One that is there was left by a writer that died.
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(temporary)
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil {
		// First the owner: changing it may take bits off the mode.
		likeOwner(f, info)
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
