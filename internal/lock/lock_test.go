package lock_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/remote"
	"github.com/helm-kai/helm-kai/internal/source"
)

const (
	web    = "git+https://example.com/flavors.git//web?ref=v1"
	charts = "chart+https://charts.example.com//nats?version=^1"
)

var (
	digest = "sha256:" + strings.Repeat("a", 64)
	other  = "sha256:" + strings.Repeat("b", 64)
	commit = strings.Repeat("c", 40)
)

func file(text string) fstest.MapFS { return fstest.MapFS{lock.FileName: {Data: []byte(text)}} }

// TestBytes: what is written is read as the same, in one order.
func TestBytes(t *testing.T) {
	t.Parallel()
	f := &lock.File{Entries: []lock.Entry{
		{Kind: lock.Friend, Name: "redis", Source: lock.Library, Resolved: "0.4.0", Digest: digest},
		{Kind: lock.Flavor, Name: "own", Source: "flavors/own"},
		{Kind: lock.Chart, Name: "nats", Source: charts, Resolved: "1.2.0@" + other, Digest: digest},
		{Kind: lock.Flavor, Name: "web", Source: web, Resolved: commit, Digest: digest},
	}}
	again, findings := lock.Read(file(string(f.Bytes())))
	if findings != nil {
		t.Fatal(findings)
	}
	if len(lock.Compare(f, again)) != 0 || string(again.Bytes()) != string(f.Bytes()) {
		t.Errorf("got\n%s\nwant\n%s", again.Bytes(), f.Bytes())
	}
	if again.Entries[0].Name != "nats" || again.Entries[3].Name != "redis" {
		t.Errorf("not sorted: %v", again.Entries)
	}
	if none, findings := lock.Read(fstest.MapFS{}); none != nil || findings != nil {
		t.Errorf("without a file: %v, %v", none, findings)
	}
}

// TestDamaged: every mistake has its place.
func TestDamaged(t *testing.T) {
	t.Parallel()
	pin := func(fields string) string { return "apiVersion: kai/v1\npins:\n  - {" + fields + "}\n" }
	good := "resolved: " + commit + ", digest: " + digest
	for text, want := range map[string]string{
		"":                                "kai.lock:1:1: the file is null, and not a map",
		"apiVersion: kai/v2\n":            `kai.lock:1:13: apiVersion: "kai/v2" is not a format that this kai reads`,
		"pins: [\n":                       "kai.lock:1:7: the [ is not closed",
		"apiVersion: kai/v1\npins: {}\n":  "kai.lock:2:7: pins: expected a list, got a map",
		"apiVersion: kai/v1\npins: [x]\n": "kai.lock:2:8: pins: expected a map, got text",
		"apiVersion: kai/v1\nmore: 1\n":   `kai.lock:2:1: more: the key "more" is not known here`,
		pin("kind: flavor, name: web"):    "kai.lock:3:5: pins: a pin has a name and a source",
		pin("kind: flavor, name: web, source: \"" + web + "\", resolved: x, digest: sha256:1"):                                                                                  "kai.lock:3:5: pins.web: the pin is damaged",
		pin(`kind: flavor, name: web, source: "https://example.com/web.git", ` + good):                                                                                          "kai.lock:3:5: pins.web: the source is not written as kai writes it: git+https://example.com/web.git",
		pin(`kind: flavor, name: web, source: "/web"`):                                                                                                                          "kai.lock:3:5: pins.web: the path is not one of the workspace",
		pin(`kind: flavor, name: web, source: "`+web+`", `+good) + "  - {kind: flavors, name: web, source: \"" + web + "\", resolved: " + commit + ", digest: " + other + "}\n": "kai.lock:4:5: pins.web: " + web + " is pinned otherwise in line 3",
	} {
		_, findings := lock.Read(file(text))
		if findings.Err() == nil || !strings.HasPrefix(findings.Error(), want) || !strings.Contains(findings.Error(), "hint: take it from git") {
			t.Errorf("%q: got\n%v\nwant\n%s", text, findings, want)
		}
	}
}

// stand gives trees and pins without a network.
type stand struct {
	version  string // what every source stands for
	resolved atomic.Int32
	got      atomic.Int32
}

func (s *stand) Tree(_ context.Context, of remote.Source, pin remote.Pin) (fs.FS, error) {
	s.got.Add(1)
	if strings.Contains(of.URL, "broken") {
		return nil, &remote.Error{Reason: remote.Unreachable, Source: of.String(), Message: "cannot be fetched", Hint: "try again"}
	}
	return fstest.MapFS{"pin": {Data: []byte(pin.Resolved)}}, nil
}

func (s *stand) Resolve(_ context.Context, of remote.Source, locked remote.Pin) (remote.Pin, error) {
	s.resolved.Add(1)
	if strings.Contains(of.URL, "broken") {
		return remote.Pin{}, errors.New("gone")
	}
	return remote.Pin{Source: of.String(), Resolved: s.version, Digest: digest}, nil
}

func parse(t *testing.T, text string) remote.Source {
	t.Helper()
	s, err := remote.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var at = source.Origin{Position: source.Position{File: "kai.yaml", Line: 3, Column: 7}}

func TestPinned(t *testing.T) {
	t.Parallel()
	const broken = "git+https://broken.example.com/x.git"
	f := &lock.File{Entries: []lock.Entry{
		{Kind: lock.Flavor, Name: "web", Source: web, Resolved: commit, Digest: digest},
		{Kind: lock.Chart, Name: "nats", Source: charts, Resolved: "1.2.0@" + other, Digest: digest},
		{Kind: lock.Chart, Name: "x", Source: broken, Resolved: commit, Digest: digest},
		{Kind: lock.Flavor, Name: "webservice", Source: lock.Library, Resolved: "0.4.0", Digest: digest, Origin: source.Origin{Position: source.Position{File: "kai.lock", Line: 9, Column: 5}}},
		{Kind: lock.Flavor, Name: "own", Source: "flavors/own"},
	}}
	s := &stand{}
	p := lock.NewPinned(t.Context(), f, s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for text, address := range map[string]string{
				web:    "git+https://example.com/flavors.git//web@cccccccccccc",
				charts: "chart+https://charts.example.com//nats@1.2.0",
			} {
				tree, findings := p.Tree(lock.Use{Kind: lock.Flavor, Origin: at}, parse(t, text))
				if findings != nil || tree.Address != address || tree.Digest != digest || tree.Files == nil {
					t.Errorf("got %+v, %v", tree, findings)
				}
			}
		})
	}
	wg.Wait()
	if n := s.got.Load(); n != 3 {
		t.Errorf("trees are got %d times", n)
	}
	use := func(name, from string) lock.Use {
		return lock.Use{Kind: lock.Flavor, Name: name, Source: from, Origin: at, Path: "flavor"}
	}
	is := func(text string) func() (string, error) { return func() (string, error) { return text, nil } }
	_, unpinned := p.Tree(use("", ""), parse(t, "oci://example.com/other:1"))
	_, unreachable := p.Tree(use("", ""), parse(t, broken))
	for want, got := range map[string]source.Findings{
		"kai.yaml:3:7: flavor: oci://example.com/other:1 is not in kai.lock\n  hint: helm kai upgrade pins it": unpinned,
		"kai.yaml:3:7: flavor: " + broken + ": cannot be fetched\n  hint: try again":                           unreachable,
		"": p.Own(use("webservice", lock.Library), is(digest)),
		"kai.yaml:3:7: flavor: the flavor other of the library is not in kai.lock\n  hint: helm kai upgrade other shows the effect, and pins it":                                                      p.Own(use("other", lock.Library), is(digest)),
		"kai.yaml:3:7: flavor: the flavor own is pinned as flavors/own, and found in the library\n  hint: helm kai upgrade own shows the effect, and pins it":                                         p.Own(use("own", lock.Library), is(digest)),
		"kai.lock:9:5: the flavor webservice of this kai's library is bbbbbbbbbbbb, and pinned is aaaaaaaaaaaa, that of kai 0.4.0\n  hint: helm kai upgrade webservice shows the effect, and pins it": lock.NewPinned(t.Context(), f, s).Own(use("webservice", lock.Library), is(other)),
	} {
		if got.Error() != want {
			t.Errorf("got\n%s\nwant\n%s", got.Error(), want)
		}
	}
	for name, free := range map[string]source.Findings{
		"lenient": p.Lenient().Own(use("other", lock.Library), is(digest)),
		"no lock": lock.NewPinned(t.Context(), nil, s).Own(use("other", lock.Library), is(digest)),
		"a path":  p.Own(use("new", "flavors/new"), nil),
	} {
		if free != nil {
			t.Errorf("%s: %v", name, free)
		}
	}
}

func TestResolving(t *testing.T) {
	t.Parallel()
	old := &lock.File{Entries: []lock.Entry{
		{Kind: lock.Chart, Name: "nats", Source: charts, Resolved: "1.2.0@" + other, Digest: other},
		{Kind: lock.Flavor, Name: "web", Source: web, Resolved: commit, Digest: other},
		{Kind: lock.Flavor, Name: "webservice", Source: lock.Library, Resolved: "0.4.0", Digest: digest},
		{Kind: lock.Friend, Name: "redis", Source: lock.Library, Resolved: "0.4.0", Digest: digest},
	}}
	run := func(names ...string) string {
		s := &stand{version: "1.3.0@" + digest}
		r := lock.NewResolving(t.Context(), old, s, "0.5.0", names)
		r.Ahead()
		for _, text := range []string{web, charts, web} {
			kind := lock.Flavor
			if text == charts {
				kind = lock.Chart
			}
			if _, findings := r.Tree(lock.Use{Kind: kind, Origin: at}, parse(t, text)); findings != nil {
				t.Error(findings)
			}
		}
		for name, is := range map[string]string{"webservice": digest, "worker": other} {
			if findings := r.Own(lock.Use{Kind: lock.Flavor, Name: name, Source: lock.Library}, func() (string, error) { return is, nil }); findings != nil {
				t.Error(findings)
			}
		}
		if unknown, _ := r.Unknown(); len(unknown) > 0 {
			t.Errorf("unknown: %v", unknown)
		}
		var lines []string
		for _, m := range lock.Compare(old, r.File()) {
			lines = append(lines, fmt.Sprint(m.Kind, " ", m.Name, " ", m.Word()))
		}
		return fmt.Sprint(s.resolved.Load(), " ", strings.Join(lines, ", "))
	}
	// The library's webservice is the same in this kai, and keeps its pin.
	for names, want := range map[string]string{
		"":      "2 chart nats moved, flavor web moved, flavor worker new, friend redis no longer used",
		"web":   "1 flavor web moved, flavor worker new, friend redis no longer used",
		charts:  "1 chart nats moved, flavor worker new, friend redis no longer used",
		"redis": "0 flavor worker new, friend redis no longer used",
	} {
		if got := run(strings.Fields(names)...); got != want {
			t.Errorf("%s: got %s, want %s", names, got, want)
		}
	}
	r := lock.NewResolving(t.Context(), nil, &stand{}, "0.5.0", []string{"other"})
	_, findings := r.Tree(lock.Use{Kind: lock.Flavor, Origin: at}, parse(t, "git+https://broken.example.com/x.git"))
	if unknown, _ := r.Unknown(); len(unknown) != 1 || findings.Error() != "kai.yaml:3:7: gone" {
		t.Errorf("got %v, %v", unknown, findings)
	}
}

// TestCompare: a source that is written otherwise is one that has moved.
func TestCompare(t *testing.T) {
	t.Parallel()
	before := &lock.File{Entries: []lock.Entry{{Kind: lock.Flavor, Name: "web", Source: web, Resolved: commit, Digest: digest}}}
	after := &lock.File{Entries: []lock.Entry{{Kind: lock.Flavor, Name: "web", Source: strings.Replace(web, "v1", "v2", 1), Resolved: commit, Digest: digest}}}
	moves := lock.Compare(before, after)
	if len(moves) != 1 || moves[0].Word() != "moved" || moves[0].Before.Source != web {
		t.Errorf("got %+v", moves)
	}
}

func TestNameOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		web: "web", charts: "nats", "oci://example.com/flavors/api:1": "api", "git@example.com:team/flavors.git": "flavors", "git+file:///srv/x": "x",
	} {
		if got := lock.NameOf(parse(t, text)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
