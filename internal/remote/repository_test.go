package remote

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// chartRepository is a folder with charts, packaged by Helm, and their index.
type chartRepository struct {
	t   testing.TB
	dir string
}

func newChartRepository(t testing.TB, versions ...string) chartRepository {
	t.Helper()
	r := chartRepository{t, t.TempDir()}
	for _, version := range versions {
		r.add("redis", version, version)
	}
	r.index("")
	return r
}

func (r chartRepository) file(version string) string {
	return filepath.Join(r.dir, "redis-"+version+".tgz")
}

func (r chartRepository) add(name, version, value string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name+"-"+version+".tgz"), packChart(r.t, name, version, value), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// index writes index.yaml, as helm repo index does, with addresses below base, or
// relative ones.
func (r chartRepository) index(base string) {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "redis-*.tgz"))
	if err != nil {
		r.t.Fatal(err)
	}
	text := "apiVersion: v1\nentries:\n  redis:\n"
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			r.t.Fatal(err)
		}
		name := filepath.Base(file)
		version := strings.TrimSuffix(strings.TrimPrefix(name, "redis-"), ".tgz")
		text += fmt.Sprintf("  - apiVersion: v2\n    created: \"2024-05-01T10:00:00Z\"\n    digest: %s\n    name: redis\n    urls:\n    - %s\n    version: %s\n",
			strings.TrimPrefix(digestOf(data), "sha256:"), base+name, version)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "index.yaml"), []byte(text+"generated: \"2024-05-01T10:00:00Z\"\n"), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// change edits the index.
func (r chartRepository) change(edit func(string) string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "index.yaml")
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(edit(string(data))), 0o644)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r chartRepository) serve(before func(w http.ResponseWriter, r *http.Request, n int) bool) (string, *faults) {
	server, log := serve(r.t, http.StripPrefix("/charts", http.FileServer(http.Dir(r.dir))), before)
	return server.URL + "/charts", log
}

// repositories writes the file of helm repo add, with a login.
func repositories(t testing.TB, address string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "repositories.yaml")
	text := `apiVersion: ""
generated: "0001-01-01T00:00:00Z"
repositories:
- caFile: ""
  certFile: ""
  insecure_skip_tls_verify: false
  keyFile: ""
  name: other
  pass_credentials_all: false
  password: hunter3
  url: https://charts.example.com
  username: bert
- caFile: ""
  name: x
  password: hunter2
  url: ` + address + `
  username: anna
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func redis(t testing.TB, address, version string) Source {
	t.Helper()
	s, err := Chart(address, "redis", version)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantValue holds that a chart's tree is the one that was made with the value.
func wantValue(t testing.TB, f *Fetcher, s Source, pin Pin, value string) {
	t.Helper()
	tree, err := f.Tree(t.Context(), s, pin)
	if err != nil {
		t.Error(err)
		return
	}
	if got := filesOf(t, tree); !strings.HasPrefix(got, "Chart.yaml=") || !strings.HasSuffix(got, "templates/a.yaml=a: "+value) {
		t.Errorf("got %s", got)
	}
}

func TestRepository(t *testing.T) {
	t.Parallel()
	r := newChartRepository(t, "1.0.0", "1.9.0", "1.10.0+b", "2.0.0-rc.1")
	address, log := r.serve(nil)
	f := fetcher(t)
	for version, want := range map[string]string{"": "1.10.0+b", "^1": "1.10.0+b", "~1.9": "1.9.0", "1.0.0": "1.0.0", ">=2.0.0-0": "2.0.0-rc.1", "1.10.0+b": "1.10.0+b"} {
		s := redis(t, address, version)
		pin := resolve(t, f, s)
		if !strings.HasPrefix(pin.Resolved, want+"@sha256:") {
			t.Errorf("%s: got %+v", version, pin)
		}
		wantValue(t, f, s, pin, want)
		wantValue(t, fetcher(t), s, pin, want)
	}
	s := redis(t, address, "^1")
	pin := resolve(t, f, s)

	// The same again reads the index, and nothing else.
	before := log.count(".tgz")
	if again, err := f.Resolve(t.Context(), s, pin); err != nil || again != pin || log.count(".tgz") != before {
		t.Errorf("got %+v, %v", again, err)
	}

	// A newer version: the pin holds, and resolving anew finds it.
	r.add("redis", "1.11.0", "new")
	r.index("")
	wantValue(t, fetcher(t), s, pin, "1.10.0+b")
	anew, err := f.Resolve(t.Context(), s, pin)
	if err != nil || !strings.HasPrefix(anew.Resolved, "1.11.0@") {
		t.Errorf("got %+v, %v", anew, err)
	}
	wantValue(t, f, s, anew, "new")

	// A version that is replaced is not the one that was pinned.
	r.add("redis", "1.11.0", "replaced")
	r.index("")
	_, err = fetcher(t).Tree(t.Context(), s, anew)
	wantError(t, err, Mismatch, "the version 1.11.0 was replaced")
	// One that is gone neither, but for those who have it.
	if err := os.Remove(r.file("1.11.0")); err != nil {
		t.Fatal(err)
	}
	r.index("")
	_, err = fetcher(t).Tree(t.Context(), s, anew)
	wantError(t, err, NotFound, "version 1.11.0 no more")
	wantValue(t, f, s, anew, "new")
}

func TestRepositoryAddresses(t *testing.T) {
	t.Parallel()
	t.Run("absolute", func(t *testing.T) {
		t.Parallel()
		r := newChartRepository(t, "1.0.0")
		address, _ := r.serve(nil)
		r.index(address + "/")
		s := redis(t, address, "")
		wantValue(t, fetcher(t), s, resolve(t, fetcher(t), s), "1.0.0")
	})
	t.Run("another server", func(t *testing.T) {
		t.Parallel()
		r := newChartRepository(t, "1.0.0")
		elsewhere, seen := r.serve(nil)
		r.index(elsewhere + "/")
		address, log := r.serve(func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if user, password, _ := r.BasicAuth(); user == "anna" && password == "hunter2" {
				return false
			}
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
		logins := repositories(t, address+"/")
		s := redis(t, address, "")
		_, err := fetcher(t).Resolve(t.Context(), s, Pin{})
		wantError(t, err, Denied, "helm repo add")
		f := fetcher(t, func(o *Options) { o.Repositories = logins })
		wantValue(t, f, s, resolve(t, f, s), "1.0.0")
		if log.count("anna:hunter2") == 0 || seen.count(".tgz :") == 0 || seen.count("anna") > 0 {
			t.Errorf("asked %v and %v", log.lines, seen.lines)
		}
		if err := os.WriteFile(logins, []byte("repositories: hunter2"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = f.Resolve(t.Context(), s, Pin{})
		wantError(t, err, Local, "cannot be read")
		if strings.Contains(err.Error(), "hunter2") {
			t.Error(err)
		}
	})
	t.Run("registry", func(t *testing.T) {
		t.Parallel()
		r := newChartRepository(t, "1.0.0")
		data, err := os.ReadFile(r.file("1.0.0"))
		if err != nil {
			t.Fatal(err)
		}
		fake := newFakeRegistry("", "")
		server := httptest.NewServer(fake)
		t.Cleanup(server.Close)
		fake.tag("charts/redis", "1.0.0", "application/vnd.oci.image.manifest.v1+json",
			fmt.Sprintf(`{"schemaVersion": 2, "config": %s, "layers": [%s]}`, fake.put(helmConfig, []byte("{}"), ""), fake.put(helmChart, data, "")))
		r.change(func(text string) string {
			return strings.Replace(text, "- redis-1.0.0.tgz", "- "+strings.Replace(server.URL, "http", "oci", 1)+"/charts/redis:1.0.0", 1)
		})
		address, log := r.serve(nil)
		s := redis(t, address, "")
		wantValue(t, fetcher(t), s, resolve(t, fetcher(t), s), "1.0.0")
		if log.count(".tgz") != 0 {
			t.Errorf("asked %v", log.lines)
		}
	})
	t.Run("no digest", func(t *testing.T) {
		t.Parallel()
		r := newChartRepository(t, "1.0.0")
		r.change(func(text string) string { return strings.Replace(text, "digest:", "nodigest:", 1) })
		address, _ := r.serve(nil)
		s := redis(t, address, "")
		pin := resolve(t, fetcher(t), s)
		wantValue(t, fetcher(t), s, pin, "1.0.0")
		r.add("redis", "1.0.0", "replaced")
		_, err := fetcher(t).Tree(t.Context(), s, pin)
		wantError(t, err, Mismatch, "the archive of version 1.0.0")
	})
}

func TestRepositoryErrors(t *testing.T) {
	t.Parallel()
	bomb := "apiVersion: v1\nx: &a [1,1,1,1,1,1,1,1,1]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("x%d: &%c [%s]\n", i, 'b'+i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", 'a'+i), 9), ","))
	}
	bomb += "entries: {redis: *j}\n"
	for name, test := range map[string]struct {
		edit   func(string) string
		reason Reason
		want   string
	}{
		"no chart":      {func(s string) string { return strings.Replace(s, "redis:", "other:", 1) }, NotFound, `none of the repository's 1 charts is named "redis"`},
		"no entries":    {func(string) string { return "apiVersion: v1\nentries: {}\n" }, NotFound, "0 charts"},
		"empty chart":   {func(string) string { return "apiVersion: v1\nentries: {redis: [null]}\n" }, NotFound, "none of the chart's 0 versions"},
		"no version":    {func(s string) string { return strings.ReplaceAll(s, "1.0.0", "3.0.0") }, NotFound, `is in "^1"`},
		"html":          {func(string) string { return "<html>\n<body>: x" }, Refused, "index"},
		"no apiVersion": {func(s string) string { return strings.Replace(s, "apiVersion: v1\nentries", "entries", 1) }, Refused, "no apiVersion"},
		"wrong types":   {func(string) string { return "apiVersion: v1\nentries: {redis: {a: b}}\n" }, Refused, "no YAML of one"},
		"yaml bomb":     {func(string) string { return bomb }, Refused, "index"},
		"large":         {func(s string) string { return s + "#" + strings.Repeat("x", 2<<20) }, TooLarge, "bound of 1 MiB"},
		"no urls":       {func(s string) string { return strings.Replace(s, "- redis-1.0.0.tgz", "", 1) }, Refused, "no address"},
		"file url":      {func(s string) string { return strings.Replace(s, "- redis", "- file:///etc/redis", 1) }, Refused, "not taken"},
		"login in url":  {func(s string) string { return strings.Replace(s, "- redis", "- https://a:hunter2@x/redis", 1) }, Refused, "not taken"},
		"bad registry":  {func(s string) string { return strings.Replace(s, "- redis-1.0.0.tgz", "- oci://x", 1) }, Refused, "not taken"},
		"wrong digest":  {func(s string) string { return strings.Replace(s, "digest: ", "digest: 0000", 1) }, "", ""},
		"other digest":  {otherDigest, Mismatch, "the archive of version 1.0.0"},
		"archive gone":  {func(s string) string { return strings.Replace(s, "- redis-1", "- redis-2", 1) }, NotFound, "404"},
		"no chart.yaml": {nil, Refused, "no Chart.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newChartRepository(t, "1.0.0")
			if test.edit != nil {
				r.change(test.edit)
			} else {
				other := pack(t, member{name: "redis/values.yaml"})
				if err := os.WriteFile(r.file("1.0.0"), other, 0o644); err != nil {
					t.Fatal(err)
				}
				r.change(func(s string) string { return strings.Replace(s, "digest:", "x:", 1) })
			}
			address, _ := r.serve(nil)
			f := fetcher(t, func(o *Options) { o.Limits.Index = 1 << 20 })
			_, err := f.Resolve(t.Context(), redis(t, address, "^1"), Pin{})
			if test.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, test.reason, test.want)
			if strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
			wantClean(t, f)
		})
	}
	address, _ := newChartRepository(t, "1.0.0").serve(nil)
	_, err := fetcher(t).Resolve(t.Context(), redis(t, address+"/none", ""), Pin{})
	wantError(t, err, NotFound, "404")
	_, err = fetcher(t, func(o *Options) { o.Limits.Download = 100 }).Resolve(t.Context(), redis(t, address, ""), Pin{})
	wantError(t, err, TooLarge, "bound of 100 bytes")
	_, err = fetcher(t).Resolve(t.Context(), redis(t, "http://charts.example.test", ""), Pin{})
	wantError(t, err, Refused, "without TLS")
}

// otherDigest puts another digest in place of the index's.
func otherDigest(text string) string {
	before, after, _ := strings.Cut(text, "digest: ")
	return before + "digest: " + strings.Repeat("0", 64) + after[64:]
}

func TestRepositoryFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, n int) bool{
		"429 and 500": func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n == 1 {
				w.Header().Set("Retry-After", time.Now().UTC().Format(http.TimeFormat))
				w.WriteHeader(http.StatusTooManyRequests)
			} else if n == 2 {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return n <= 2
		},
		"cut": func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n <= 2 {
				cutHalf(w, r)
			}
			return false
		},
		"cut at once": func(_ http.ResponseWriter, _ *http.Request, n int) bool {
			if n == 1 {
				panic(http.ErrAbortHandler)
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, _ := newChartRepository(t, "1.0.0").serve(fault)
			f, s := fetcher(t), redis(t, address, "")
			wantValue(t, f, s, resolve(t, f, s), "1.0.0")
		})
	}
	t.Run("bounded", func(t *testing.T) {
		t.Parallel()
		for code, want := range map[int]int{429: 3, 502: 3, 503: 3, 504: 3, 400: 1, 403: 1, 404: 1, 501: 1} {
			address, log := newChartRepository(t).serve(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.WriteHeader(code)
				return true
			})
			_, err := fetcher(t, func(o *Options) { o.Attempts = 3 }).Resolve(t.Context(), redis(t, address, ""), Pin{})
			if err == nil || !strings.Contains(err.Error(), fmt.Sprint(code)) || log.count("GET") != want {
				t.Errorf("%d: %d requests, %v", code, log.count("GET"), err)
			}
		}
	})
	t.Run("come again tomorrow", func(t *testing.T) {
		t.Parallel()
		address, log := newChartRepository(t).serve(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		})
		_, err := fetcher(t).Resolve(t.Context(), redis(t, address, ""), Pin{})
		wantError(t, err, Unreachable, "429")
		if n := log.count("GET"); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("cancelled between attempts", func(t *testing.T) {
		t.Parallel()
		address, _ := newChartRepository(t).serve(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := fetcher(t, func(o *Options) { o.Backoff = time.Hour }).Resolve(ctx, redis(t, address, ""), Pin{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("slow body", func(t *testing.T) {
		t.Parallel()
		address, _ := newChartRepository(t).serve(func(w http.ResponseWriter, r *http.Request, _ int) bool {
			_, _ = io.WriteString(w, "apiVersion:")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := fetcher(t).Resolve(ctx, redis(t, address, ""), Pin{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unpacked by HTTP", func(t *testing.T) {
		t.Parallel()
		address, _ := newChartRepository(t).serve(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(pack(t, member{name: "x", data: strings.Repeat("\x00", 2<<20)}))
			return true
		})
		_, err := fetcher(t, func(o *Options) { o.Limits.Index = 1 << 20 }).Resolve(t.Context(), redis(t, address, ""), Pin{})
		wantError(t, err, TooLarge, "bound of 1 MiB")
	})
}

// TestRedirects: with TLS, on two servers.
func TestRedirects(t *testing.T) {
	t.Parallel()
	r := newChartRepository(t, "1.0.0")
	files := http.StripPrefix("/charts", http.FileServer(http.Dir(r.dir)))
	roots := x509.NewCertPool()
	start := func(t *testing.T, handler http.HandlerFunc) *httptest.Server {
		server := httptest.NewUnstartedServer(handler)
		server.Config.ErrorLog = stdlog.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	var logins, referers bytes.Buffer
	second := start(t, func(w http.ResponseWriter, r *http.Request) {
		logins.WriteString(r.Header.Get("Authorization") + r.Header.Get("Cookie"))
		referers.WriteString(r.Header.Get("Referer"))
		files.ServeHTTP(w, r)
	})
	plain, _ := serve(t, files, nil)
	var first *httptest.Server
	first = start(t, func(w http.ResponseWriter, r *http.Request) {
		switch part, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); part {
		case "other":
			http.Redirect(w, r, second.URL+"/charts/"+rest+"?token=hunter4", http.StatusFound)
		case "clear":
			http.Redirect(w, r, plain.URL+"/charts/"+rest, http.StatusFound)
		case "loop":
			http.Redirect(w, r, first.URL+"/pool/"+rest, http.StatusFound)
		case "pool":
			http.Redirect(w, r, first.URL+"/loop/"+rest, http.StatusFound)
		case "file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		default:
			files.ServeHTTP(w, r)
		}
	})
	roots.AddCert(first.Certificate())
	roots.AddCert(second.Certificate())
	f := func(path string) (*Fetcher, Source) {
		s := redis(t, first.URL+path, "")
		logins := repositories(t, s.URL)
		return fetcher(t, func(o *Options) {
			o.Transport, o.Repositories = testRegistry{roots: roots}.transport(t), logins
		}), s
	}
	for _, path := range []string{"/charts", "/other"} {
		got, s := f(path)
		wantValue(t, got, s, resolve(t, got, s), "1.0.0")
	}
	if logins.Len()+referers.Len() > 0 {
		t.Errorf("the second server was told %q, %q", &logins, &referers)
	}
	for path, want := range map[string]string{"/clear": "from TLS to", "/loop": "bound of 5 times", "/file": ""} {
		got, s := f(path)
		_, err := got.Resolve(t.Context(), s, Pin{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: got %v", path, err)
		}
	}
	r.index(plain.URL + "/charts/")
	got, s := f("/charts")
	_, err := got.Resolve(t.Context(), s, Pin{})
	wantError(t, err, Refused, "in the clear")
}
