package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// flavors is a repository with two folders, whose tags and branches tell apart.
func flavors(t testing.TB, args ...string) (r gitRepo, first, second string) {
	r = newGitRepo(t, args...)
	first = r.commit(map[string]string{"README.md": "out", "web/flavor.yaml": "one", "web/templates/_helpers.tpl": "h"})
	r.git("tag", "-a", "-m", "first", "v1")
	r.git("branch", "old")
	second = r.commit(map[string]string{"web/flavor.yaml": "two", "job/flavor.yaml": "j"})
	r.git("tag", "v2")
	return r, first, second
}

func TestGit(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r, first, second := flavors(t, "--object-format="+format)
			f := fetcher(t)
			const one, two = "flavor.yaml=one templates/_helpers.tpl=h", "flavor.yaml=two templates/_helpers.tpl=h"
			for _, test := range []struct{ suffix, commit, want string }{
				{"//web", second, two},
				{"//web?ref=main", second, two},
				{"//web?ref=old", first, one},
				{"//web?ref=v1", first, one},
				{"//web?ref=refs/tags/v1", first, one},
				{"//web?ref=v2", second, two},
				{"//web?ref=" + first, first, one},
				{"//web/templates?ref=v1", first, "_helpers.tpl=h"},
				{"?ref=v1", first, "README.md=out web/flavor.yaml=one web/templates/_helpers.tpl=h"},
			} {
				s := source(t, r.url()+test.suffix)
				pin, err := f.Resolve(t.Context(), s, Pin{})
				if err != nil || pin.Resolved != test.commit || pin.Source != s.String() {
					t.Errorf("%s: %+v, %v, want %s", test.suffix, pin, err, test.commit)
					continue
				}
				wantTree(t, f, s, pin, test.want)
				wantTree(t, fetcher(t), s, pin, test.want)
			}
			wantClean(t, f)
		})
	}
}

// TestGitMoves: a pin holds while branches and tags move, and a pin that is still
// right is not got again.
func TestGitMoves(t *testing.T) {
	t.Parallel()
	r, first, second := flavors(t)
	s := source(t, r.url()+"//web?ref=v1")
	f := fetcher(t)
	pin := resolve(t, f, s)
	r.git("tag", "-f", "v1", second)
	wantTree(t, fetcher(t), s, pin, "flavor.yaml=one templates/_helpers.tpl=h")
	moved, err := f.Resolve(t.Context(), s, pin)
	if err != nil || moved == pin || moved.Resolved != second {
		t.Errorf("got %+v, %v", moved, err)
	}
	unknown := pin
	unknown.Digest = "sha256:" + strings.Repeat("0", 64)
	r.git("tag", "-f", "v1", first)
	if same, err := f.Resolve(t.Context(), s, unknown); err != nil || same != unknown {
		t.Errorf("what still resolves to the same was got again: %+v, %v", same, err)
	}
	other := pin
	other.Source += "x"
	if anew, err := f.Resolve(t.Context(), s, other); err != nil || anew != pin {
		t.Errorf("the pin of another source is taken: %+v, %v", anew, err)
	}
}

func TestGitErrors(t *testing.T) {
	t.Parallel()
	r, first, _ := flavors(t)
	r.git("branch", "both")
	r.git("tag", "both", first)
	r.commit(map[string]string{"links/in": "-> ../web/flavor.yaml", "deep/a/out": "-> /etc/passwd", "case/a": "1", "file": "x", "folderlink": "-> web"})
	r.git("-c", "core.ignorecase=false", "update-index", "--add", "--cacheinfo", "100644,"+r.git("rev-parse", "HEAD:file")+",case/A")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+first+",sub/module")
	r.git("commit", "-q", "-m", "odd")
	for suffix, want := range map[string]struct {
		reason Reason
		text   string
	}{
		"?ref=v3":                         {NotFound, `did you mean "v1", "v2"?`},
		"?ref=mian":                       {NotFound, `did you mean "main"?`},
		"?ref=both":                       {NotFound, "refs/tags/both or refs/heads/both"},
		"?ref=" + first[:8]:               {NotFound, "full name"},
		"?ref=" + strings.Repeat("0", 40): {NotFound, "not in the repository"},
		"?ref=refs/heads/none":            {NotFound, "no branch or tag"},
		"//none":                          {NotFound, `no folder "none"`},
		"//file":                          {NotFound, `"file" is no folder`},
		"//folderlink":                    {NotFound, `"folderlink" is no folder`},
		"//folderlink/templates":          {NotFound, "no folder"},
		"//sub/module":                    {NotFound, "no folder"},
		"//links":                         {Refused, `"in" is a symbolic link`},
		"//deep":                          {Refused, `"a/out" is a symbolic link`},
		"//case":                          {Refused, "one file on some systems"},
		"//sub":                           {Refused, "submodule"},
		"":                                {Refused, ""},
	} {
		f := fetcher(t)
		_, err := f.Resolve(t.Context(), source(t, r.url()+suffix), Pin{})
		wantError(t, err, want.reason, want.text)
		if err == nil || !strings.HasPrefix(err.Error(), r.url()) {
			t.Errorf("%s: the error does not begin with the source: %v", suffix, err)
		}
		wantClean(t, f)
	}
	_, err := fetcher(t).Resolve(t.Context(), source(t, "git+file:///nowhere/x.git"), Pin{})
	wantError(t, err, NotFound, "there is no repository")
	empty := newGitRepo(t)
	_, err = fetcher(t).Resolve(t.Context(), source(t, empty.url()), Pin{})
	wantError(t, err, NotFound, "no default branch")
}

// TestGitTreesByHand: names that no checkout would make.
func TestGitTreesByHand(t *testing.T) {
	t.Parallel()
	r := newGitRepo(t)
	r.commit(map[string]string{"x": "1"})
	blob := r.git("rev-parse", "HEAD:x")
	for name, want := range map[string]string{"..": "not a path inside", ".": "not a path inside", "a\\b": "Windows", "nul": "Windows", "\xff": "not a path inside", "x\x00100644 blob " + blob + "\tx": "there twice"} {
		cmd := exec.Command("git", "mktree", "-z")
		cmd.Dir, cmd.Env, cmd.Stdin = r.dir, environment(), strings.NewReader("100644 blob "+blob+"\t"+name+"\x00")
		tree, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		commit := r.git("commit-tree", "-m", "x", strings.TrimSpace(string(tree)))
		r.git("update-ref", "refs/heads/odd", commit)
		_, err = fetcher(t).Resolve(t.Context(), source(t, r.url()+"?ref=odd"), Pin{})
		wantError(t, err, Refused, want)
	}
}

func TestGitBounds(t *testing.T) {
	t.Parallel()
	r := newGitRepo(t)
	noise := make([]byte, 3<<20)
	state := uint32(1)
	for i := range noise {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	r.commit(map[string]string{"a/x": string(noise), "b/y": strings.Repeat("y", 900), "b/z": strings.Repeat("z", 900)})
	for suffix, test := range map[string]struct {
		limits Limits
		want   string
	}{
		"//a": {Limits{Download: 1 << 20}, "bound of 1 MiB"},
		"//b": {Limits{Tree: 1500}, "the bound of 1500 bytes for a tree"},
		"":    {Limits{File: 1 << 20}, "the bound of 1 MiB for a file"},
	} {
		f := fetcher(t, func(o *Options) { o.Limits = test.limits })
		_, err := f.Resolve(t.Context(), source(t, r.url()+suffix), Pin{})
		wantError(t, err, TooLarge, test.want)
		wantClean(t, f)
	}
}

// TestGitRunsNothing: neither hooks nor what a configuration would make of the
// address are run.
func TestGitRunsNothing(t *testing.T) {
	t.Parallel()
	r, _, _ := flavors(t)
	dir := t.TempDir()
	mark, hooks := filepath.Join(dir, "ran"), filepath.Join(dir, "hooks")
	if err := os.Mkdir(hooks, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, hook := range []string{"reference-transaction", "post-checkout", "post-index-change", "post-merge"} {
		if err := os.WriteFile(filepath.Join(hooks, hook), []byte("#!/bin/sh\ntouch '"+mark+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := func(text string) func(*Options) {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return func(o *Options) {
			o.Environ = append(environment(), "GIT_CONFIG_GLOBAL="+path, "GIT_DIR="+dir, "GIT_TRACE=1", "GIT_WORK_TREE="+dir, "GIT_INDEX_FILE="+mark)
		}
	}
	s := source(t, r.url()+"//web?ref=v1")
	resolve(t, fetcher(t, config("[core]\n\thooksPath = "+hooks+"\n[init]\n\ttemplateDir = "+dir+"\n[safe]\n\tbareRepository = explicit\n")), s)
	_, err := fetcher(t, config("[url \"ext::touch "+mark+"\"]\n\tinsteadOf = file://\n[protocol]\n\tallow = always\n")).Resolve(t.Context(), s, Pin{})
	wantError(t, err, Refused, "not allowed")
	if _, err := os.Stat(mark); err == nil {
		t.Error("something was run")
	}
}

// gitServer serves repositories through git's own program.
func gitServer(t testing.TB, r gitRepo) http.Handler {
	t.Helper()
	r.git("config", "http.receivepack", "false")
	path, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not here")
	}
	env := []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1"}
	for _, pair := range environment() {
		if !strings.HasPrefix(pair, "PATH=") {
			env = append(env, pair)
		}
	}
	return &cgi.Handler{Path: path, Args: []string{"http-backend"}, Env: env, InheritEnv: []string{"PATH"}, Stderr: io.Discard}
}

func TestGitHTTP(t *testing.T) {
	t.Parallel()
	r, first, _ := flavors(t)
	const one = "flavor.yaml=one templates/_helpers.tpl=h"
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		server, _ := serve(t, gitServer(t, r), nil)
		s := source(t, "git+"+server.URL+"/repo.git//web?ref=v1")
		pin := resolve(t, fetcher(t), s)
		if pin.Resolved != first {
			t.Errorf("got %+v", pin)
		}
		wantTree(t, fetcher(t), s, pin, one)
	})
	t.Run("a server of old", func(t *testing.T) {
		t.Parallel()
		r := newGitRepo(t)
		a := r.commit(map[string]string{"x": "1"})
		r.commit(map[string]string{"x": "2"})
		server, _ := serve(t, gitServer(t, r), func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			r.Header.Del("Git-Protocol")
			return false
		})
		s := source(t, "git+"+server.URL+"/repo.git?ref="+a)
		wantTree(t, fetcher(t), s, resolve(t, fetcher(t), s), "x=1")
		_, err := fetcher(t).Resolve(t.Context(), source(t, "git+"+server.URL+"/repo.git?ref="+strings.Repeat("1", 40)), Pin{})
		wantError(t, err, NotFound, "not in the repository")
	})
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		server, log := serve(t, gitServer(t, r), func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if user, password, _ := r.BasicAuth(); user == "anna" && password == "hunter2" {
				return false
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return true
		})
		s := source(t, "git+"+server.URL+"/repo.git//web?ref=v1")
		_, err := fetcher(t).Resolve(t.Context(), s, Pin{})
		wantError(t, err, Denied, "credential helper")
		helper := func(password string) func(*Options) {
			return func(o *Options) {
				o.Environ = append(environment(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=credential.helper",
					"GIT_CONFIG_VALUE_0=!f() { echo username=anna; echo password="+password+"; }; f")
			}
		}
		_, err = fetcher(t, helper("hunter3")).Resolve(t.Context(), s, Pin{})
		wantError(t, err, Denied, "credential helper")
		if strings.Contains(err.Error(), "hunter3") {
			t.Errorf("the error shows the password: %v", err)
		}
		wantTree(t, fetcher(t, helper("hunter2")), s, resolve(t, fetcher(t, helper("hunter2")), s), one)
		if log.count("anna:hunter2") == 0 {
			t.Error("nobody logged in")
		}
	})
	t.Run("not there", func(t *testing.T) {
		t.Parallel()
		server, _ := serve(t, gitServer(t, r), nil)
		_, err := fetcher(t).Resolve(t.Context(), source(t, "git+"+server.URL+"/none.git"), Pin{})
		wantError(t, err, NotFound, "is the address right")
	})
	t.Run("no git server", func(t *testing.T) {
		t.Parallel()
		server, _ := serve(t, http.FileServer(http.Dir(r.dir)), nil)
		r.git("update-server-info")
		_, err := fetcher(t).Resolve(t.Context(), source(t, "git+"+server.URL+"/.git?ref=v2"), Pin{})
		wantError(t, err, Refused, "git's protocol")
	})
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, n int) bool{
		"503": func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n == 1
		},
		"429": func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n == 1 {
				w.WriteHeader(http.StatusTooManyRequests)
			}
			return n == 1
		},
		"cut": func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 2 && strings.HasSuffix(r.URL.Path, "git-upload-pack") {
				cutHalf(w, r)
			}
			return false
		},
	} {
		t.Run("fault "+name, func(t *testing.T) {
			t.Parallel()
			server, _ := serve(t, gitServer(t, r), fault)
			f := fetcher(t)
			s := source(t, "git+"+server.URL+"/repo.git//web?ref=v1")
			wantTree(t, f, s, resolve(t, f, s), one)
			wantClean(t, f)
		})
	}
	t.Run("always 500", func(t *testing.T) {
		t.Parallel()
		server, log := serve(t, gitServer(t, r), func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		})
		_, err := fetcher(t, func(o *Options) { o.Attempts = 3 }).Resolve(t.Context(), source(t, "git+"+server.URL+"/repo.git"), Pin{})
		wantError(t, err, Unreachable, "500")
		if n := log.count("GET"); n != 3 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("redirect to another transport", func(t *testing.T) {
		t.Parallel()
		server, _ := serve(t, http.RedirectHandler("ftp://127.0.0.1/x", http.StatusFound), nil)
		_, err := fetcher(t).Resolve(t.Context(), source(t, "git+"+server.URL+"/repo.git"), Pin{})
		if err == nil {
			t.Error("it was followed")
		}
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		stop := make(chan struct{})
		server, _ := serve(t, nil, func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
			return true
		})
		t.Cleanup(func() { close(stop) })
		f := fetcher(t)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		begin := time.Now()
		_, err := f.Resolve(ctx, source(t, "git+"+server.URL+"/repo.git"), Pin{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 20*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		wantClean(t, f)
		wantNoProcess(t, server.URL)
		_, err = fetcher(t, func(o *Options) { o.Timeout, o.Attempts = 200*time.Millisecond, 2 }).Resolve(t.Context(), source(t, "git+"+server.URL+"/repo.git"), Pin{})
		wantError(t, err, Unreachable, "in time")
	})
	t.Run("in the clear", func(t *testing.T) {
		t.Parallel()
		_, err := fetcher(t).Resolve(t.Context(), source(t, "git+http://git.example.test/repo.git"), Pin{})
		wantError(t, err, Refused, "without TLS")
	})
}

// wantNoProcess holds that nothing runs any more with a part of its command line,
// where the system has a folder of processes.
func wantNoProcess(t *testing.T, part string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		// One that cannot be read has ended.
		if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), part) {
			t.Errorf("still there: %q", data)
		}
	}
}

// TestOneFetch: of many that want the same at once, one gets it.
func TestOneFetch(t *testing.T) {
	t.Parallel()
	r, _, _ := flavors(t)
	server, log := serve(t, gitServer(t, r), nil)
	s := source(t, "git+"+server.URL+"/repo.git//web?ref=v1")
	pin := resolve(t, fetcher(t), s)
	before := log.count("POST")
	f := fetcher(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := f.Tree(t.Context(), s, pin); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	// A fetch by git is two requests, or three.
	if n := log.count("POST") - before; n > 3 {
		t.Errorf("%d requests", n)
	}
}
