package remote

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// environment is what git runs with in tests: no configuration of the machine's.
func environment() []string {
	environ := slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "GIT_") })
	return append(environ, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
}

// fetcher gives a fetcher with a cache of its own that does not wait long.
func fetcher(t testing.TB, change ...func(*Options)) *Fetcher {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := Options{Cache: filepath.Join(t.TempDir(), "cache"), Environ: environment(), Backoff: time.Millisecond, Transport: transport}
	for _, c := range change {
		c(&o)
	}
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func source(t testing.TB, text string) Source {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// resolve pins a source.
func resolve(t testing.TB, f *Fetcher, s Source) Pin {
	t.Helper()
	pin, err := f.Resolve(t.Context(), s, Pin{})
	if err != nil {
		t.Fatal(err)
	}
	return pin
}

// filesOf gives a tree's files, NAME=DATA.
func filesOf(t testing.TB, fsys fs.FS) string {
	t.Helper()
	var out []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		out = append(out, name+"="+strings.TrimSpace(string(data)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// wantTree holds that a pin's tree has these files.
func wantTree(t testing.TB, f *Fetcher, s Source, pin Pin, want string) {
	t.Helper()
	tree, err := f.Tree(t.Context(), s, pin)
	if err != nil {
		t.Fatal(err)
	}
	if got := filesOf(t, tree); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if digest, err := Digest(tree); err != nil || digest != pin.Digest {
		t.Errorf("the tree is %s, %v, and not %s", digest, err, pin.Digest)
	}
}

// wantError holds an error's reason and a part of its text.
func wantError(t testing.TB, err error, reason Reason, part string) {
	t.Helper()
	var ours *Error
	if !errors.As(err, &ours) || ours.Reason != reason || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want %s with %q", err, reason, part)
	}
}

// wantClean holds that nothing but trees is left in a cache.
func wantClean(t testing.TB, f *Fetcher) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.options.Cache, "tmp"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
		t.Errorf("left in the cache: %v, %v", entries, err)
	}
}

// log counts requests.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// count gives how many lines have a part.
func (l *log) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// faults are what goes wrong with the first requests for a path that ends so.
type faults struct {
	log
	next http.Handler

	mu sync.Mutex
	// before says for the n-th request, from 1, whether it was answered already.
	before func(w http.ResponseWriter, r *http.Request, n int) bool
	n      map[string]int
}

// from changes what goes wrong, from here on.
func (f *faults) from(before func(w http.ResponseWriter, r *http.Request, n int) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.n = before, nil
}

func (f *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if f.n == nil {
		f.n = map[string]int{}
	}
	f.n[r.URL.Path]++
	n, before := f.n[r.URL.Path], f.before
	f.mu.Unlock()
	user, password, _ := r.BasicAuth()
	f.add(r.Method + " " + r.URL.Path + " " + user + ":" + password)
	if before != nil && before(w, r.WithContext(context.WithValue(r.Context(), behind{}, f.next)), n) {
		return
	}
	f.next.ServeHTTP(w, r)
}

// cutHalf gives the first half of what the server would have answered, and ends
// the connection.
func cutHalf(w http.ResponseWriter, r *http.Request) {
	whole := httptest.NewRecorder()
	r.Context().Value(behind{}).(http.Handler).ServeHTTP(whole, r)
	header := whole.Header().Clone()
	header.Set("Content-Length", strconv.Itoa(whole.Body.Len()))
	cutAfter(w, header, whole.Body.Bytes()[:whole.Body.Len()/2])
}

// behind is the key of the handler that would answer a request.
type behind struct{}

// serve starts a server that lets requests go wrong.
func serve(t testing.TB, next http.Handler, before func(w http.ResponseWriter, r *http.Request, n int) bool) (*httptest.Server, *faults) {
	t.Helper()
	f := &faults{next: next, before: before}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server, f
}

// cutAfter answers with a part of a body and ends the connection.
func cutAfter(w http.ResponseWriter, header http.Header, body []byte) {
	for name, values := range header {
		w.Header()[name] = values
	}
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// gitRepo is a repository for a test.
type gitRepo struct {
	t   testing.TB
	dir string
}

func newGitRepo(t testing.TB, args ...string) gitRepo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not here")
	}
	r := gitRepo{t, filepath.Join(t.TempDir(), "repo.git")}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git(append([]string{"init", "-q", "--initial-branch=main"}, args...)...)
	return r
}

func (r gitRepo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Example", "-c", "user.email=example@example.com", "-c", "protocol.file.allow=always", "-c", "gc.auto=0"}, args...)...)
	cmd.Dir, cmd.Env = r.dir, environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, "-> TARGET" for a link, and gives the commit.
func (r gitRepo) commit(files map[string]string) string {
	r.t.Helper()
	for name, text := range files {
		full := filepath.Join(r.dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, full))
		} else {
			err = errors.Join(err, os.WriteFile(full, []byte(text), 0o644))
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "change")
	return r.git("rev-parse", "HEAD")
}

func (r gitRepo) url() string { return "git+file://" + filepath.ToSlash(r.dir) }
