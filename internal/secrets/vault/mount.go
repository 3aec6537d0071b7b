package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/vault/api"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// width is how many requests are under way at once.
const width = 8

// each runs f for 0 to n-1, up to width at once, and gives the errors in their
// order. What is only denied hinders nothing else, so that all of it is said at
// once; any other error ends what runs.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errs := make([]error, n)
	places := make(chan struct{}, width)
	var running sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		if ctx.Err() != nil {
			errs[i] = context.Cause(ctx)
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			if errs[i] = f(ctx, i); errs[i] != nil && kindOf(errs[i]) != Denied {
				cancel(errs[i])
			}
		})
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// kindOf gives the kind of an error of this package.
func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Refused
}

// mount is where a secrets engine is mounted.
type mount struct {
	path    string // without a slash at its end
	engine  string
	version int // of kv
}

// mountOf asks, once for each mount, what a path lies in. The token needs no
// right of its own for that, only any to something below, and it costs no use of
// it.
func (c *Client) mountOf(ctx context.Context, path string) (mount, error) {
	c.mountsMu.Lock()
	defer c.mountsMu.Unlock()
	for _, m := range c.mounts {
		if path == m.path || strings.HasPrefix(path, m.path+"/") {
			return m, nil
		}
	}
	question := get("sys/internal/ui/mounts/" + path)
	question.free = true
	secret, err := c.do(ctx, question)
	if kindOf(err) == Denied {
		return mount{}, &Error{
			Kind: Denied,
			Text: fmt.Sprintf("Vault at %s: permission denied to all of %s, or nothing is mounted there", c.options.Address, path),
			Hint: "check the mount's name; where only this question is denied, configure the version of kv, which it was about",
		}
	}
	if err != nil {
		return mount{}, err
	}
	if secret == nil {
		return mount{}, &Error{Text: fmt.Sprintf("Vault at %s: nothing is mounted at %s", c.options.Address, path), Hint: "check the mount's name: vault secrets list"}
	}
	m := mount{version: 1}
	m.engine, _ = secret.Data["type"].(string)
	m.path, _ = secret.Data["path"].(string)
	if m.path = strings.Trim(m.path, "/"); m.path == "" {
		m.path = path
	}
	if options, _ := secret.Data["options"].(map[string]any); options["version"] == "2" {
		m.version = 2
	}
	c.mounts = append(c.mounts, m)
	return m, nil
}

// entry is what kv has at a path.
type entry struct {
	values  map[string]secrets.Value
	version uint64 // of kv, also where nothing is there any more
	time    time.Time
	gone    string // why this version's values are not there: deleted or destroyed
}

// readEntry reads kv's second version; version "" is the newest.
func (c *Client) readEntry(ctx context.Context, path, version string) (entry, error) {
	call := get(path)
	if version != "" {
		call = get(path, "version", version)
	}
	secret, err := c.do(ctx, call)
	if err != nil || secret == nil {
		return entry{}, err
	}
	metadata, ok := secret.Data["metadata"].(map[string]any)
	if !ok {
		if len(secret.Data) == 0 && len(secret.Warnings) == 0 {
			return entry{}, nil
		}
		return entry{}, &Error{Text: fmt.Sprintf("read %s in Vault at %s: it is no entry of kv's second version", path, c.options.Address), Hint: "check the mount and its version: vault secrets list -detailed"}
	}
	e := entry{version: number(metadata["version"]), time: moment(metadata["created_time"])}
	if destroyed, _ := metadata["destroyed"].(bool); destroyed {
		e.gone = "destroyed"
	} else if secret.Data["data"] == nil {
		e.gone = "deleted"
	}
	fields, _ := secret.Data["data"].(map[string]any)
	e.values, err = c.values(path, fields)
	return e, err
}

// values hides what stands at a path. A null is no value.
func (c *Client) values(path string, fields map[string]any) (map[string]secrets.Value, error) {
	values := make(map[string]secrets.Value, len(fields))
	for key, field := range fields {
		if field == nil {
			continue
		}
		value, err := decode(field)
		if err != nil {
			return nil, fmt.Errorf("%s in Vault at %s: %s: %w", path, c.options.Address, key, err)
		}
		values[key] = value
	}
	return values, nil
}

func number(field any) uint64 {
	n, _ := field.(json.Number)
	i, err := n.Int64()
	if err != nil || i < 0 {
		return 0
	}
	return uint64(i)
}

func moment(field any) time.Time {
	text, _ := field.(string)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// segments checks parts of a path: a slash or a dot would lead elsewhere.
func segments(what string, parts ...string) error {
	for _, part := range parts {
		if part == "" || part == "." || part == ".." || !utf8.ValidString(part) || strings.Contains(part, "/") || strings.ContainsFunc(part, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return &Error{Text: fmt.Sprintf("%s cannot be a path in Vault: %q", what, part), Hint: "use names without slashes and without characters that cannot be seen"}
		}
	}
	return nil
}

// Read gives the fields of entries anywhere in Vault: those of references. A path
// is MOUNT/PATH, as vault kv has it; MOUNT/data/PATH is understood too. Of an
// engine that is not kv, it is the path of a request that reads. Each is read at
// most once, and what is not there is absent.
func (c *Client) Read(ctx context.Context, paths []string) (map[string]map[string]secrets.Value, error) {
	found := make(map[string]map[string]secrets.Value, len(paths))
	read := make(map[string][]string, len(paths)) // which paths are the same one
	var places []string
	versions := make(map[string]int, len(paths))
	for _, path := range paths {
		clean, second, err := c.place(ctx, path)
		if err != nil {
			return nil, err
		}
		if second {
			versions[clean] = 2
		}
		if read[clean] == nil {
			places = append(places, clean)
		}
		read[clean] = append(read[clean], path)
	}
	all := make([]map[string]secrets.Value, len(places))
	err := each(ctx, len(places), func(ctx context.Context, i int) error {
		if versions[places[i]] == 2 {
			e, err := c.readEntry(ctx, places[i], "")
			all[i] = e.values
			return err
		}
		secret, err := c.do(ctx, get(places[i]))
		if err != nil || secret == nil || len(secret.Data) == 0 {
			return err
		}
		all[i], err = c.values(places[i], secret.Data)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, place := range places {
		for _, path := range read[place] {
			if all[i] != nil {
				found[path] = all[i]
			}
		}
	}
	return found, nil
}

// place gives the path of the API that a path is read by, and whether that is an entry
// of kv's second version.
func (c *Client) place(ctx context.Context, path string) (place string, second bool, err error) {
	clean := strings.Trim(path, "/")
	if err := segments(fmt.Sprintf("%q", path), strings.Split(clean, "/")...); err != nil {
		return "", false, err
	}
	m, err := c.mountOf(ctx, clean)
	if err != nil {
		return "", false, err
	}
	if m.engine != "kv" || m.version != 2 {
		return clean, false, nil
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(clean, m.path), "/")
	return m.path + "/data/" + strings.TrimPrefix(rest, "data/"), true, nil
}

// keysOf gives the names that an answer to LIST has.
func keysOf(secret *api.Secret) []string {
	if secret == nil {
		return nil
	}
	list, _ := secret.Data["keys"].([]any)
	names := make([]string, 0, len(list))
	for _, item := range list {
		if name, ok := item.(string); ok {
			names = append(names, name)
		}
	}
	return names
}
