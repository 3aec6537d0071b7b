package remote

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// cached gives the files of a cache's trees.
func cached(t testing.TB, f *Fetcher) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(f.options.Cache, "trees", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// offline gives another fetcher on the same cache.
func offline(t testing.TB, f *Fetcher) *Fetcher {
	return fetcher(t, func(o *Options) { o.Cache, o.Offline = f.options.Cache, true })
}

func TestOffline(t *testing.T) {
	t.Parallel()
	address, log := newChartRepository(t, "1.0.0").serve(nil)
	f, s := fetcher(t), redis(t, address, "")
	_, err := offline(t, f).Resolve(t.Context(), s, Pin{})
	wantError(t, err, Offline, "cannot be looked up offline")
	pin := resolve(t, f, s)
	asked := log.count("GET")
	wantValue(t, offline(t, f), s, pin, "1.0.0")
	wantValue(t, f, s, pin, "1.0.0")
	if log.count("GET") != asked {
		t.Errorf("what is in the cache was asked for: %v", log.lines)
	}
	_, err = offline(t, fetcher(t)).Tree(t.Context(), s, pin)
	wantError(t, err, Offline, "is not in the cache")
	if !strings.HasPrefix(err.Error(), s.String()) || !strings.Contains(err.Error(), "run the command once with a network") {
		t.Error(err)
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	address, _ := newChartRepository(t, "1.0.0").serve(nil)
	f, s := fetcher(t), redis(t, address, "")
	pin := resolve(t, f, s)
	zeros := "sha256:" + strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		change func(*Pin)
		reason Reason
		want   string
	}{
		"none":          {func(p *Pin) { *p = Pin{} }, Invalid, "is not pinned"},
		"other source":  {func(p *Pin) { p.Source += "1" }, Invalid, "pinned as another source"},
		"no digest":     {func(p *Pin) { p.Digest = "" }, Invalid, "damaged"},
		"upper case":    {func(p *Pin) { p.Digest = strings.ToUpper(p.Digest) }, Invalid, "damaged"},
		"a path":        {func(p *Pin) { p.Digest = "sha256:../../x" }, Invalid, "damaged"},
		"no version":    {func(p *Pin) { p.Resolved = "x" }, Invalid, "damaged"},
		"other files":   {func(p *Pin) { p.Digest = zeros }, Mismatch, "other files than are pinned: " + pin.Digest},
		"other archive": {func(p *Pin) { p.Resolved, p.Digest = "1.0.0@"+zeros, zeros }, Mismatch, "was replaced"},
		"gone":          {func(p *Pin) { p.Resolved, p.Digest = "2.0.0@"+zeros, zeros }, NotFound, "no more"},
	} {
		changed := pin
		test.change(&changed)
		tree, err := f.Tree(t.Context(), s, changed)
		if tree != nil {
			t.Errorf("%s: there is a tree", name)
		}
		wantError(t, err, test.reason, test.want)
	}
	if n := len(cached(t, f)); n != 1 {
		t.Errorf("%d trees are kept", n)
	}
	_, err := f.Resolve(t.Context(), Source{Kind: Git, URL: "--upload-pack=touch x"}, Pin{})
	wantError(t, err, Invalid, "")
	_, err = f.Resolve(t.Context(), Source{Kind: Git, URL: "file:///x", Ref: "--x"}, Pin{})
	wantError(t, err, Invalid, "no name of a branch")
	_, err = f.Resolve(t.Context(), Source{}, Pin{})
	wantError(t, err, Invalid, "")
	if _, err := New(Options{Cache: "cache"}); err == nil {
		t.Error("a relative path is taken for the cache")
	}
}

// TestCacheDamaged: an entry that is not what its name says is got again.
func TestCacheDamaged(t *testing.T) {
	t.Parallel()
	address, _ := newChartRepository(t, "1.0.0").serve(nil)
	f, s := fetcher(t), redis(t, address, "")
	pin := resolve(t, f, s)
	path := cached(t, f)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(whole, []byte("a: 1.0.0"), []byte("a: 1.0.1"), 1)
	for name, data := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)/2], "changed": changed, "more": append(whole[:512:512], whole...), "text": []byte("x")} {
		if err := errors.Join(os.Remove(path), os.WriteFile(path, data, 0o444)); err != nil {
			t.Fatal(err)
		}
		_, err := offline(t, f).Tree(t.Context(), s, pin)
		wantError(t, err, Offline, "is damaged in the cache")
		wantValue(t, f, s, pin, "1.0.0")
		if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, whole) {
			t.Errorf("%s: the entry is not whole again: %v", name, err)
		}
	}
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o755)); err != nil {
		t.Fatal(err)
	}
	wantValue(t, f, s, pin, "1.0.0")
	wantValue(t, offline(t, f), s, pin, "1.0.0")
	wantClean(t, f)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o222 != 0 {
		t.Errorf("the entry can be written: %v, %v", info.Mode(), err)
	}
}

// BenchmarkTree gives a flavor of the library from the cache.
func BenchmarkTree(b *testing.B) {
	r := newGitRepo(b)
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS("../../flavors/webservice"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join("../../flavors/webservice", name))
		files[name] = string(data)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	r.commit(files)
	f, s := fetcher(b), source(b, r.url())
	pin := resolve(b, f, s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Tree(b.Context(), s, pin); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTreeIsOnesOwn: what is given does not change with the cache, nor by those
// who got it.
func TestTreeIsOnesOwn(t *testing.T) {
	t.Parallel()
	address, _ := newChartRepository(t, "1.0.0").serve(nil)
	f, s := fetcher(t), redis(t, address, "")
	pin := resolve(t, f, s)
	tree, err := f.Tree(t.Context(), s, pin)
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(tree, "Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	pruned, err := f.Prune(time.Now().Add(time.Hour))
	if err != nil || pruned.Trees != 1 || pruned.Bytes == 0 || len(cached(t, f)) != 0 {
		t.Errorf("got %+v, %v, and %v is left", pruned, err, cached(t, f))
	}
	if digest, err := Digest(tree); err != nil || digest != pin.Digest {
		t.Errorf("the tree has changed: %s, %v", digest, err)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	if pruned, err := fetcher(t).Prune(time.Now()); err != nil || pruned != (Pruned{}) {
		t.Errorf("of no cache: %+v, %v", pruned, err)
	}
	address, _ := newChartRepository(t, "1.0.0", "2.0.0").serve(nil)
	f := fetcher(t)
	one, two := redis(t, address, "1.0.0"), redis(t, address, "2.0.0")
	first, second := resolve(t, f, one), resolve(t, f, two)
	tmp := filepath.Join(f.options.Cache, "tmp")
	old := time.Now().Add(-30 * 24 * time.Hour)
	for _, name := range []string{"work-left", "work-now"} {
		if err := os.MkdirAll(filepath.Join(tmp, name, "git"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range append(cached(t, f), filepath.Join(tmp, "work-left")) {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	wantValue(t, f, two, second, "2.0.0") // is needed
	pruned, err := f.Prune(time.Now().Add(-24 * time.Hour))
	if err != nil || pruned.Trees != 1 {
		t.Errorf("got %+v, %v", pruned, err)
	}
	wantValue(t, offline(t, f), two, second, "2.0.0")
	_, err = offline(t, f).Tree(t.Context(), one, first)
	wantError(t, err, Offline, "is not in the cache")
	entries, err := os.ReadDir(tmp)
	if err != nil || len(entries) != 1 || entries[0].Name() != "work-now" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestProcesses lets several processes fill one cache, prune it, and be killed.
func TestProcesses(t *testing.T) {
	t.Parallel()
	address, _ := newChartRepository(t, "1.0.0").serve(nil)
	f, s := fetcher(t), redis(t, address, "")
	pin := resolve(t, fetcher(t), s)
	helper := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$")
		cmd.Env = append(os.Environ(), "KAI_TEST_CACHE="+f.options.Cache, "KAI_TEST_ADDRESS="+address, "KAI_TEST_RESOLVED="+pin.Resolved, "KAI_TEST_DIGEST="+pin.Digest)
		return cmd
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if out, err := helper().CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	killed := helper()
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	_ = killed.Process.Kill()
	_ = killed.Wait()
	group.Wait()
	wantValue(t, f, s, pin, "1.0.0")
}

// TestHelperProcess is a process of TestProcesses.
func TestHelperProcess(t *testing.T) {
	dir := os.Getenv("KAI_TEST_CACHE")
	if dir == "" {
		t.Skip("is no test, but a process of one")
	}
	s := redis(t, os.Getenv("KAI_TEST_ADDRESS"), "")
	pin := Pin{Source: s.String(), Resolved: os.Getenv("KAI_TEST_RESOLVED"), Digest: os.Getenv("KAI_TEST_DIGEST")}
	for i := range 20 {
		f := fetcher(t, func(o *Options) { o.Cache = dir })
		wantValue(t, f, s, pin, "1.0.0")
		if i%5 == 0 {
			if _, err := f.Prune(time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCacheCannotBeWritten(t *testing.T) {
	t.Parallel()
	address, _ := newChartRepository(t, "1.0.0").serve(nil)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f := fetcher(t, func(o *Options) { o.Cache = path })
	_, err := f.Resolve(t.Context(), redis(t, address, ""), Pin{})
	wantError(t, err, Local, "the cache cannot be written")
}
