package run

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// memory is a store in memory.
type memory struct {
	mu    sync.Mutex
	docs  map[secrets.Path]secrets.Doc
	fault error
	reads int
	asked []string // the paths that were read, in order
	close int
}

func (m *memory) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	for _, path := range paths {
		m.asked = append(m.asked, path.String())
	}
	if m.fault != nil {
		return nil, m.fault
	}
	out := map[secrets.Path]secrets.Doc{}
	for _, path := range paths {
		if doc, ok := m.docs[path]; ok {
			doc.Values = maps.Clone(doc.Values)
			out[path] = doc
		}
	}
	return out, ctx.Err()
}

func (m *memory) List(_ context.Context, deployment string) ([]secrets.Path, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []secrets.Path
	for path := range m.docs {
		if path.Deployment == deployment {
			out = append(out, path)
		}
	}
	slices.SortFunc(out, func(a, b secrets.Path) int { return strings.Compare(a.String(), b.String()) })
	return out, m.fault
}

func (m *memory) Write(_ context.Context, doc secrets.Doc) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.docs[doc.Path]
	switch {
	case m.fault != nil:
		return "", m.fault
	case before.Version != doc.Version:
		return "", &secrets.ConflictError{Path: doc.Path}
	case maps.EqualFunc(before.Values, doc.Values, secrets.Value.Equal):
		return before.Version, nil
	case len(doc.Values) == 0:
		delete(m.docs, doc.Path)
		return "", nil
	}
	n, _ := strconv.Atoi(before.Version)
	doc.Version = strconv.Itoa(n + 1)
	doc.Values = maps.Clone(doc.Values)
	if m.docs == nil {
		m.docs = map[secrets.Path]secrets.Doc{}
	}
	m.docs[doc.Path] = doc
	return doc.Version, nil
}

func (m *memory) Can() secrets.Abilities {
	return secrets.Abilities{Name: "memory", Write: true, CAS: true}
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.close++
	return nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = err
}

// touch makes a new version of what is there.
func (m *memory) touch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path, doc := range m.docs {
		doc.Version += "0"
		m.docs[path] = doc
	}
}

// set sets DEPLOYMENT/APP/SCOPE/NAME; nil removes it.
func (m *memory) set(t *testing.T, place string, value any) {
	t.Helper()
	p := strings.SplitN(place, "/", 4)
	_, err := secrets.Edit(t.Context(), m, secrets.Path{Deployment: p[0], App: p[1], Scope: p[2]}, func(values map[string]secrets.Value) error {
		if value == nil {
			delete(values, p[3])
			return nil
		}
		v, err := secrets.Of(value)
		values[p[3]] = v
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stored makes a store of places and values.
func stored(t *testing.T, values map[string]any) *memory {
	t.Helper()
	m := &memory{}
	for place, value := range values {
		m.set(t, place, value)
	}
	return m
}

// serve lets another process read the store, and gives its address.
func (m *memory) serve(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deployment, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		paths, _ := m.List(r.Context(), deployment)
		docs, err := m.Read(r.Context(), paths)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		out := map[string]any{}
		for path, doc := range docs {
			for name, value := range doc.Values {
				out[path.String()+"/"+name] = value.Any()
			}
		}
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// remote reads a memory that another process serves.
type remote struct {
	url string
	memory
}

func (s *remote) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/"+paths[0].Deployment, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the store is away")
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the store says %d", response.StatusCode)
	}
	var all map[string]any
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	out := map[secrets.Path]secrets.Doc{}
	for place, x := range all {
		p := strings.SplitN(place, "/", 4)
		path := secrets.Path{Deployment: p[0], App: p[1], Scope: p[2]}
		if !slices.Contains(paths, path) {
			continue
		}
		value, err := secrets.Of(x)
		if err != nil {
			return nil, err
		}
		if out[path].Values == nil {
			out[path] = secrets.Doc{Path: path, Values: map[string]secrets.Value{}}
		}
		out[path].Values[p[3]] = value
	}
	return out, nil
}

// TestMain lets the test binary be kai-run, or a command below it:
// BINARY as ROLE ARGUMENTS.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != "as" {
		os.Exit(m.Run())
	}
	args := os.Args[3:]
	switch role := os.Args[2]; role {
	case "kai-run", "kaigara":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGALRM)
		defer stop()
		os.Exit(Run(ctx, append([]string{role}, args...), os.Environ(), World{
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
			Open: func(_ context.Context, c Config) (secrets.Store, error) {
				if c.Store.Path == "" {
					return nil, fmt.Errorf("no store is named")
				}
				return &remote{url: c.Store.Path}, nil
			},
		}))
	case "exit":
		n, _ := strconv.Atoi(args[0])
		os.Exit(n)
	case "env": // prints the environment
		for _, entry := range os.Environ() {
			fmt.Println(entry)
		}
	case "words": // prints its arguments and the environment
		fmt.Println(strings.Join(args, "|"))
		vars := os.Environ()
		slices.Sort(vars)
		fmt.Println(strings.Join(vars, "\n"))
	case "pid":
		fmt.Println(os.Getpid())
	case "logs": // writes what happens to it to a file: start VALUE, signal NAME
		logs(args[0], args[1:])
	case "writes":
		writes(args[0])
	default:
		helper(role, args)
	}
	os.Exit(0)
}

// note appends a line to a file.
func note(name, format string, args ...any) {
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintf(file, format+"\n", args...)
	_ = file.Close()
}

// logs runs until SIGTERM, or, as said by options: ignores it, takes its time,
// and has children of its own.
func logs(name string, options []string) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, append(moreSignals, syscall.SIGTERM, syscall.SIGINT)...)
	if slices.Contains(options, "forks") {
		spawn("logs", name+".child", "ignores")
	}
	note(name, "start %d %s", os.Getpid(), os.Getenv("N"))
	for sig := range signals {
		note(name, "signal %v", sig)
		if sig == syscall.SIGTERM && !slices.Contains(options, "ignores") {
			if slices.Contains(options, "slow") {
				time.Sleep(30 * time.Millisecond)
			}
			if slices.Contains(options, "seven") {
				os.Exit(7)
			}
			os.Exit(0)
		}
	}
}

// writes replaces a file for ever: all a, all b.
func writes(dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		panic(err)
	}
	for {
		for _, c := range []string{"a", "b"} {
			if err := replaceFile(root, "file", 0o600, []byte(strings.Repeat(c, 1<<20))); err != nil {
				panic(err)
			}
		}
	}
}
