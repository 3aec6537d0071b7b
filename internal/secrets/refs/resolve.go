package refs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// VaultAt says which Vault a reference means, and by which token it is read. All
// is empty where it is the configured one. A token that is configured for one
// address must not be sent to another: who names an address names a token, too, or
// an opener refuses.
type VaultAt struct {
	Address, Namespace  string
	TokenEnv, TokenFile string
}

// Openers read what references name. A nil one refuses all of its scheme. Each
// may be called several times at once.
type Openers struct {
	// Vault gives the fields of an entry, nil where there is none. The path is
	// MOUNT/PATH, as vault kv has it.
	Vault func(ctx context.Context, at VaultAt, path string) (map[string]secrets.Value, error)
	// Kubernetes gives what a Secret or a ConfigMap holds, nil where there is none.
	Kubernetes func(ctx context.Context, kind, namespace, name string) (map[string]secrets.Value, error)
	// File gives a file; see FileIn.
	File func(ctx context.Context, path string) (secrets.Value, error)
	// Env gives a variable.
	Env func(name string) (secrets.Value, bool)
	// Exec gives what a command prints; see Command.
	Exec func(ctx context.Context, argv []string) (secrets.Value, error)
}

// Error says what references could not be read. Where they stand knows who has
// asked for them.
type Error struct {
	Refs   []string // those that it hinders, as they were given, sorted
	Offset int      // of the mistake in the text of Refs[0], -1 where none is in it
	Err    error    // names no value
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// width is how many sources are read at once.
const width = 8

// Resolver reads references, and each source once: it is made for a run, and keeps
// what it has read, and what could not be read, until its end. What was not read because
// a caller's ctx has ended is read anew for others. It is safe for concurrent use.
type Resolver struct {
	open  Openers
	mu    sync.Mutex
	read  map[string]*content
	slots chan struct{}
}

// New gives a resolver that has read nothing yet.
func New(open Openers) *Resolver {
	return &Resolver{open: open, read: map[string]*content{}, slots: make(chan struct{}, width)}
}

// Resolve reads references with a resolver of its own.
func Resolve(ctx context.Context, texts []string, open Openers) (map[string]secrets.Value, []*Error) {
	return New(open).Resolve(ctx, texts)
}

// content is what a source has given.
type content struct {
	done chan struct{} // closed once the rest is there

	fields map[string]secrets.Value // of a source that has fields
	whole  secrets.Value            // of one that has not
	err    error
	ended  bool // who read it has given up

	parse sync.Once
	// What whole is as YAML or JSON; behind a function no printer that goes by
	// reflection meets it.
	parsed func() any
	broken error
}

// Resolve gives the values of references by their texts. What fails is said all at
// once, in the order of the texts, once for each source; the values of all others
// are there.
func (r *Resolver) Resolve(ctx context.Context, texts []string) (map[string]secrets.Value, []*Error) {
	refs := make(map[string]Ref, len(texts))
	var errs []*Error
	for _, text := range slices.Sorted(slices.Values(texts)) {
		if _, twice := refs[text]; twice {
			continue
		}
		ref, err := Parse(text)
		refs[text] = ref
		if syntax := (*SyntaxError)(nil); errors.As(err, &syntax) {
			errs = append(errs, &Error{Refs: []string{text}, Offset: syntax.Offset, Err: err})
		}
	}
	contents := r.readAll(ctx, refs)
	values := make(map[string]secrets.Value, len(refs))
	failed := map[string]*Error{}
	for _, text := range slices.Sorted(maps.Keys(refs)) {
		ref := refs[text]
		if ref.Scheme == "" {
			continue // has an error already
		}
		value, err := contents[ref.source()].value(ref)
		if err == nil {
			values[text] = value
			continue
		}
		// What hinders a source is said once.
		said := ref.source() + "\x02" + err.Error()
		if before := failed[said]; before != nil {
			before.Refs = append(before.Refs, text)
			continue
		}
		failed[said] = &Error{Refs: []string{text}, Offset: -1, Err: err}
		errs = append(errs, failed[said])
	}
	slices.SortStableFunc(errs, func(a, b *Error) int { return strings.Compare(a.Refs[0], b.Refs[0]) })
	return values, errs
}

// readAll reads the sources that were not read yet, and waits for all, or until ctx
// ends. What another has given up is begun anew.
func (r *Resolver) readAll(ctx context.Context, refs map[string]Ref) map[string]*content {
	contents := make(map[string]*content, len(refs))
	mine := map[string]bool{}
	sources := map[string]Ref{}
	for _, text := range slices.Sorted(maps.Keys(refs)) {
		ref := refs[text]
		name := ref.source()
		if ref.Scheme == "" || contents[name] != nil {
			continue
		}
		sources[name] = ref
		contents[name], mine[name] = r.begin(ctx, name, ref)
	}
	for name, ref := range sources {
		for {
			c := contents[name]
			select {
			case <-c.done:
			case <-ctx.Done():
				if !mine[name] {
					contents[name] = &content{err: fmt.Errorf("%s: %w", ref.place(), context.Cause(ctx))}
				} else {
					<-c.done // it sees that, too
				}
			}
			if c = contents[name]; !c.ended || mine[name] || ctx.Err() != nil {
				break
			}
			contents[name], mine[name] = r.begin(ctx, name, ref)
		}
	}
	return contents
}

// begin gives what a source has given, or will, and begins to read it where nobody has;
// mine says that this caller's ctx ends the reading.
func (r *Resolver) begin(ctx context.Context, name string, ref Ref) (c *content, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c = r.read[name]; c != nil {
		return c, false
	}
	c = &content{done: make(chan struct{})}
	r.read[name] = c
	go r.fill(ctx, name, ref, c)
	return c, true
}

// fill reads a source.
func (r *Resolver) fill(ctx context.Context, name string, ref Ref, c *content) {
	defer close(c.done)
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() == nil {
		c.err = r.open.fill(ctx, ref, c)
	}
	if ctx.Err() != nil {
		// It was not read, and may be asked for again.
		c.err, c.ended = fmt.Errorf("%s: %w", ref.place(), context.Cause(ctx)), true
		r.mu.Lock()
		delete(r.read, name)
		r.mu.Unlock()
	}
}

func (o Openers) fill(ctx context.Context, ref Ref, c *content) (err error) {
	refused := func(hint string) error {
		return fmt.Errorf("references of the scheme %s cannot be read here\n  hint: %s", ref.Scheme, hint)
	}
	switch ref.Scheme {
	case Vault:
		if o.Vault == nil {
			return refused("configure how kai logs in to Vault")
		}
		at := VaultAt{Address: ref.Params["address"], Namespace: ref.Params["namespace"], TokenEnv: ref.Params["token_env"], TokenFile: ref.Params["token_file"]}
		c.fields, err = o.Vault(ctx, at, ref.Path)
		return missing(err, ref, c.fields == nil)
	case K8s:
		if o.Kubernetes == nil {
			return refused("name a cluster: --kube-context, or the kubeconfig's current context")
		}
		parts := strings.Split(ref.Path, "/")
		c.fields, err = o.Kubernetes(ctx, parts[0], parts[1], parts[2])
		return missing(err, ref, c.fields == nil)
	case File:
		if o.File == nil {
			return refused("name a key of the context's store: {secret: KEY}")
		}
		c.whole, err = o.File(ctx, ref.Path)
	case Env:
		if o.Env == nil {
			return refused("name a key of the context's store: {secret: KEY}")
		}
		if Private(ref.Path) {
			return fmt.Errorf("%s is one that kai itself, or what it works with, logs in with, and no reference reads it\n  hint: give the value in a variable of another name", ref.place())
		}
		var set bool
		c.whole, set = o.Env(ref.Path)
		return missing(nil, ref, !set)
	case Exec:
		if o.Exec == nil {
			return fmt.Errorf("references that execute a command are not allowed here\n  hint: the workspace has to allow ref+exec, which lets whoever writes a descriptor run commands")
		}
		c.whole, err = o.Exec(ctx, ref.Argv())
	}
	return err
}

// withoutEnd gives a text without one line's end at its end.
func withoutEnd(v secrets.Value) secrets.Value {
	return secrets.New(strings.TrimSuffix(strings.TrimSuffix(v.Reveal(), "\n"), "\r"))
}

func missing(err error, ref Ref, none bool) error {
	if err == nil && none {
		return fmt.Errorf("%s is not there", ref.place())
	}
	return err
}

// value gives what a reference's keys lead to.
func (c *content) value(ref Ref) (secrets.Value, error) {
	if c.err != nil {
		return secrets.Value{}, c.err
	}
	if c.fields == nil {
		switch {
		case len(ref.Keys) == 0 && ref.Scheme == File:
			return withoutEnd(c.whole), nil
		case len(ref.Keys) == 0:
			return c.whole, nil
		}
		c.parse.Do(func() {
			parsed, err := parseContent(c.whole)
			c.parsed, c.broken = func() any { return parsed }, err
		})
		return walk(ref, c.parsed(), c.broken, ref.Keys, 0)
	}
	if len(ref.Keys) == 0 {
		all := make(map[string]any, len(c.fields))
		for name, v := range c.fields {
			all[name] = v.Any()
		}
		return secrets.Of(all)
	}
	field, ok := c.fields[ref.Keys[0]]
	if !ok {
		return secrets.Value{}, noKey(ref, 0, slices.Sorted(maps.Keys(c.fields)))
	}
	if len(ref.Keys) == 1 {
		return field, nil
	}
	inside, err := parseContent(field)
	return walk(ref, inside, err, ref.Keys[1:], 1)
}

// noKey says that a key leads to nothing. Names are said: they are no values.
func noKey(ref Ref, depth int, names []string) error {
	text := fmt.Sprintf("%s has no key %.80q", ref.at(depth), ref.Keys[depth])
	if hint := source.Nearest(ref.Keys[depth], names); hint != "" && len(names) < 50 {
		text += "\n  hint: " + hint
	}
	return errors.New(text)
}

// at says where a reference has come to, after some keys.
func (r Ref) at(depth int) string {
	if depth == 0 {
		return r.place()
	}
	return "/" + strings.Join(r.Keys[:depth], "/") + " of " + r.place()
}

// walk goes into a value by keys; before them are depth others.
func walk(ref Ref, inside any, err error, keys []string, depth int) (secrets.Value, error) {
	if err != nil {
		return secrets.Value{}, fmt.Errorf("%s %w, so that nothing in it can be named", ref.at(depth), err)
	}
	for i, key := range keys {
		switch x := inside.(type) {
		case map[string]any:
			next, ok := x[key]
			if !ok {
				return secrets.Value{}, noKey(ref, depth+i, slices.Sorted(maps.Keys(x)))
			}
			inside = next
		case []any:
			n, err := strconv.Atoi(key)
			if err != nil || n < 0 || n >= len(x) || strconv.Itoa(n) != key {
				return secrets.Value{}, fmt.Errorf("%s is a list of %d, and %.80q is none of its items\n  hint: the first is 0", ref.at(depth+i), len(x), key)
			}
			inside = x[n]
		default:
			return secrets.Value{}, fmt.Errorf("%s is neither a map nor a list, and has no key %.80q", ref.at(depth+i), key)
		}
	}
	value, err := secrets.Of(inside)
	if err != nil {
		return secrets.Value{}, fmt.Errorf("%s has no value", ref.at(depth+len(keys)))
	}
	return value, nil
}

// parseContent reads a text as JSON or YAML. No error quotes it.
func parseContent(v secrets.Value) (any, error) {
	if v.Kind() != secrets.Text {
		return v.Any(), nil
	}
	text := []byte(v.Reveal())
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		decoder := json.NewDecoder(bytes.NewReader(trimmed))
		decoder.UseNumber()
		var parsed any
		if err := decoder.Decode(&parsed); err == nil {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				return parsed, nil
			}
		}
	}
	root, findings := source.ParseYAML("", text)
	if len(findings) > 0 {
		f := secrets.Discreet(findings)[0]
		return nil, fmt.Errorf("is neither YAML nor JSON (line %d)", f.Origin.Line)
	}
	parsed, err := secrets.OfYAML(root)
	if err != nil {
		return nil, errors.New("is empty")
	}
	return parsed.Any(), nil
}
