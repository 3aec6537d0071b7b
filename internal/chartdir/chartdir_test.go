package chartdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/generator"
)

// chartOf makes a chart of paths and contents.
func chartOf(name string, content map[string]string) generator.Chart {
	c := generator.Chart{Name: name, Version: "1.0.0"}
	for _, p := range slices.Sorted(maps.Keys(content)) {
		c.Files = append(c.Files, generator.File{Path: p, Data: []byte(content[p])})
	}
	return c
}

func openFor(t testing.TB, path string) *Folder {
	t.Helper()
	f, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// write is one whole run for one chart.
func write(t testing.TB, path string, c generator.Chart, opts Options) Result {
	t.Helper()
	f := openFor(t, path)
	r, err := f.Write(t.Context(), c, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

// tree reads a folder: files by content, links as "-> TARGET", folders that are
// empty as "folder". Records are left out but must be true.
func tree(t testing.TB, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		rel = filepath.ToSlash(rel)
		switch {
		case e.IsDir():
			entries, err := os.ReadDir(p)
			if len(entries) == 0 && rel != "." {
				out[rel] = "folder"
			}
			return err
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			out[rel] = "-> " + target
			return err
		case filepath.Base(rel) == RecordName:
			return nil
		}
		data, err := os.ReadFile(p)
		out[rel] = string(data)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

// apply changes a tree as a user would: content, "-> TARGET", "folder" or, to
// remove, "".
func apply(t testing.TB, root string, edits map[string]string) {
	t.Helper()
	for _, p := range slices.Sorted(maps.Keys(edits)) {
		full := filepath.Join(root, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch content := edits[p]; {
		case content == "":
			err = os.RemoveAll(full)
		case content == "folder":
			err = os.Mkdir(full, 0o755)
		case strings.HasPrefix(content, "-> "):
			err = os.Symlink(content[3:], full)
		default:
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func merge(ms ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range ms {
		for k, v := range m {
			if v == "" {
				delete(out, k)
			} else {
				out[k] = v
			}
		}
	}
	return out
}

type content = map[string]string

var base = content{
	"Chart.yaml": "name: a\n", "values.yaml": "x: 1\n", "templates/deployment.yaml": "kind: Deployment\n",
	"templates/tests/connect.yaml": "kind: Pod\n", "files/a.conf": "a", "templates-x": "sorts between",
}

func TestWrite(t *testing.T) {
	t.Parallel()
	next := merge(base, content{"values.yaml": "x: 2\n", "files/a.conf": "", "files/b.conf": "b"})
	user := content{"values-mine.yaml": "mine", "templates/mine.yaml": "mine", "notes/deep/a.txt": "a", "empty": "folder", "notes/empty": "folder", "link": "-> values.yaml", "dangling": "-> ../../nowhere"}
	tests := map[string]struct {
		first   content // written by a first run, unless nil
		edits   content
		chart   content
		force   bool
		state   State
		changes []Change
		tree    content // of the chart afterwards
	}{
		"new": {
			chart: content{"Chart.yaml": "a", "templates/x": "b"}, state: Created,
			changes: []Change{{"Chart.yaml", KindAdded}, {"templates/x", KindAdded}},
			tree:    content{"Chart.yaml": "a", "templates/x": "b"},
		},
		"new where the user has a folder": {
			edits: user, chart: content{"Chart.yaml": "a"}, state: Updated,
			changes: []Change{{"Chart.yaml", KindAdded}}, tree: merge(user, content{"Chart.yaml": "a"}),
		},
		"same": {first: base, chart: base, state: Unchanged, tree: base},
		"same beside the user's": {
			first: base, edits: user, chart: base, state: Unchanged, tree: merge(base, user),
		},
		"changed": {
			first: base, chart: next, state: Updated, tree: next,
			changes: []Change{{"files/a.conf", KindRemoved}, {"files/b.conf", KindAdded}, {"values.yaml", KindChanged}},
		},
		"changed beside the user's": {
			first: base, edits: user, chart: next, state: Updated, tree: merge(next, user),
			changes: []Change{{"files/a.conf", KindRemoved}, {"files/b.conf", KindAdded}, {"values.yaml", KindChanged}},
		},
		"edited": {
			first: base, edits: content{"Chart.yaml": "mine"}, chart: base, state: Refused,
			changes: []Change{{"Chart.yaml", KindEdited}}, tree: merge(base, content{"Chart.yaml": "mine"}),
		},
		"edited to the same length, chart changed": {
			first: base, edits: content{"values.yaml": "x: 9\n"}, chart: next, state: Refused,
			changes: []Change{{"files/a.conf", KindRemoved}, {"files/b.conf", KindAdded}, {"values.yaml", KindEdited}},
			tree:    merge(base, content{"values.yaml": "x: 9\n"}),
		},
		"edited, forced": {
			first: base, edits: merge(user, content{"Chart.yaml": "mine"}), chart: next, force: true, state: Updated,
			changes: []Change{{"Chart.yaml", KindEdited}, {"files/a.conf", KindRemoved}, {"files/b.conf", KindAdded}, {"values.yaml", KindChanged}},
			tree:    merge(next, user),
		},
		"edited to what is generated now": {
			first: base, edits: content{"values.yaml": "x: 2\n"}, chart: merge(base, content{"values.yaml": "x: 2\n"}), state: Updated,
			tree: merge(base, content{"values.yaml": "x: 2\n"}),
		},
		"edited and no longer generated": {
			first: base, edits: content{"files/a.conf": "mine"}, chart: next, state: Refused,
			changes: []Change{{"files/a.conf", KindEdited}, {"files/b.conf", KindAdded}, {"values.yaml", KindChanged}},
			tree:    merge(base, content{"files/a.conf": "mine"}),
		},
		"removed by hand": {
			first: base, edits: content{"templates": ""}, chart: base, state: Updated, tree: base,
			changes: []Change{{"templates/deployment.yaml", KindAdded}, {"templates/tests/connect.yaml", KindAdded}},
		},
		"removed by hand and no longer generated": {
			first: base, edits: content{"files": ""}, chart: merge(base, content{"files/a.conf": ""}), state: Updated,
			tree: merge(base, content{"files/a.conf": ""}),
		},
		"user's file in the way": {
			first: base, edits: content{"files/b.conf": "mine"}, chart: next, state: Refused,
			changes: []Change{{"files/a.conf", KindRemoved}, {"files/b.conf", KindForeign}, {"values.yaml", KindChanged}},
			tree:    merge(base, content{"files/b.conf": "mine"}),
		},
		"user's file in the way, forced": {
			first: base, edits: content{"files/b.conf": "mine"}, chart: next, force: true, state: Refused,
			changes: []Change{{"files/a.conf", KindRemoved}, {"files/b.conf", KindForeign}, {"values.yaml", KindChanged}},
			tree:    merge(base, content{"files/b.conf": "mine"}),
		},
		"user's file already as generated": {
			first: base, edits: content{"files/b.conf": "b"}, chart: next, state: Updated, tree: next,
			changes: []Change{{"files/a.conf", KindRemoved}, {"values.yaml", KindChanged}},
		},
		"user's folder where a file goes": {
			first: content{"a": "1"}, edits: content{"b": "folder"}, chart: content{"a": "1", "b": "2"}, state: Refused,
			changes: []Change{{"b", KindForeign}}, tree: content{"a": "1", "b": "folder"},
		},
		"user's file in a folder where a file goes": {
			first: content{"a/b": "1"}, edits: content{"a/mine": "2"}, chart: content{"a": "3"}, state: Refused,
			changes: []Change{{"a", KindAdded}, {"a/b", KindRemoved}, {"a/mine", KindForeign}}, tree: content{"a/b": "1", "a/mine": "2"},
		},
		"user's file where a folder goes": {
			first: content{"a": "1"}, edits: content{"b": "mine"}, chart: content{"a": "1", "b/c": "2"}, state: Refused,
			changes: []Change{{"b", KindForeign}, {"b/c", KindAdded}}, tree: content{"a": "1", "b": "mine"},
		},
		"folder becomes file": {
			first: content{"a/b": "1"}, chart: content{"a": "2"}, state: Updated,
			changes: []Change{{"a", KindAdded}, {"a/b", KindRemoved}}, tree: content{"a": "2"},
		},
		"file becomes folder": {
			first: content{"a": "1"}, chart: content{"a/b": "2"}, state: Updated,
			changes: []Change{{"a", KindRemoved}, {"a/b", KindAdded}}, tree: content{"a/b": "2"},
		},
		"record lost": {
			first: base, edits: content{RecordName: ""}, chart: base, state: Updated, tree: base,
		},
	}
	for name, tt := range tests {
		for _, exchanges := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/exchange=%v", name, exchanges), func(t *testing.T) {
				t.Parallel()
				out := filepath.Join(t.TempDir(), "out", "dev")
				chart := filepath.Join(out, "a")
				if tt.first != nil {
					write(t, out, chartOf("a", tt.first), Options{})
				}
				apply(t, chart, tt.edits)
				was := tree(t, chart)

				viewed(t, out, func(f *Folder) {
					r, err := f.Check(chartOf("a", tt.chart))
					if err != nil || (tt.state == Unchanged) != (r.State == Unchanged) || !reflect.DeepEqual(r.Changes, tt.changes) {
						t.Errorf("Check gives %+v, %v", r, err)
					}
				})
				if now := tree(t, chart); !reflect.DeepEqual(now, was) {
					t.Errorf("Check has written: %v", now)
				}

				f := openFor(t, out)
				if !exchanges {
					f.exchange = func(*dir, string, *dir, string) error { return errNoExchange }
				}
				r, err := f.Write(t.Context(), chartOf("a", tt.chart), Options{Force: tt.force})
				if err != nil {
					t.Fatal(err)
				}
				changes := tt.changes
				if tt.state == Created {
					changes = nil // all is new
				}
				if r.State != tt.state || !reflect.DeepEqual(r.Changes, changes) {
					t.Errorf("Write gives %+v", r)
				}
				if now := tree(t, chart); !reflect.DeepEqual(now, tt.tree) {
					t.Errorf("tree is %v\nwant    %v", now, tt.tree)
				}
				if got := r.Findings(); (len(got) > 0) != (tt.state == Refused) {
					t.Errorf("findings: %v", got)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
				if entries, _ := os.ReadDir(out); len(entries) != 1 {
					t.Errorf("left behind: %v", entries)
				}
				if tt.state == Refused {
					return
				}
				if again := write(t, out, chartOf("a", tt.chart), Options{}); again.State != Unchanged {
					t.Errorf("a second run gives %+v", again)
				}
				checkRecord(t, chart, tt.chart)
			})
		}
	}
}

// viewed lets look at a folder that is not open otherwise.
func viewed(t testing.TB, path string, look func(*Folder)) {
	t.Helper()
	f, err := View(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	look(f)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// checkRecord holds the record to its file format and to the chart.
func checkRecord(t testing.TB, chart string, want content) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart, RecordName))
	if err != nil {
		t.Error(err)
		return
	}
	record, err := parseRecord(text)
	if err != nil {
		t.Error(err)
	}
	var c []generator.File
	for _, f := range record {
		data, err := os.ReadFile(filepath.Join(chart, f.path))
		if err != nil {
			t.Error(err)
		}
		c = append(c, generator.File{Path: f.path, Data: data})
	}
	if got, err := chartFiles(generator.Chart{Name: "a", Files: c}); err != nil || string(got.record()) != string(text) {
		t.Errorf("%s: the record is untrue (%v):\n%s", chart, err, text)
	}
	if want != nil && !reflect.DeepEqual(c, chartOf("a", want).Files) {
		t.Errorf("%s: recorded %v", chart, record)
	}
}

func TestRecordIsForSha256sum(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("there is no sha256sum")
	}
	out := t.TempDir()
	write(t, out, chartOf("a", merge(base, content{"files/with space": "x", "files/ä": "y"})), Options{})
	cmd := exec.Command(tool, "--strict", "-c", RecordName)
	cmd.Dir = filepath.Join(out, "a")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestUnchangedIsNotTouched(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	write(t, out, chartOf("a", base), Options{})
	was := stats(t, out)
	// Nothing of what follows may write, so it must also do without the right to.
	for _, d := range []string{filepath.Join(out, "a"), out} {
		if err := os.Chmod(d, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(d, 0o755)
	}
	if r := write(t, out, chartOf("a", base), Options{}); r.State != Unchanged {
		t.Error(r)
	}
	viewed(t, out, func(f *Folder) {
		if r, err := f.Check(chartOf("a", merge(base, content{"x": "y"}))); err != nil || r.State != Stale {
			t.Error(r, err)
		}
	})
	if now := stats(t, out); !reflect.DeepEqual(now, was) {
		t.Errorf("%v\n%v", was, now)
	}
}

func stats(t testing.TB, root string) map[string]time.Time {
	t.Helper()
	out := map[string]time.Time{}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in, err := e.Info()
		out[p] = in.ModTime()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestModes(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	write(t, out, chartOf("a", base), Options{})
	chart := filepath.Join(out, "a")
	apply(t, chart, content{"mine.sh": "#!/bin/sh\n", "private/key": "k"})
	for p, mode := range map[string]fs.FileMode{"mine.sh": 0o750, "private/key": 0o400, "private": 0o500, "files": 0o711, ".": 0o750} {
		if err := os.Chmod(filepath.Join(chart, p), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(t, out, chartOf("a", merge(base, content{"values.yaml": "x: 3\n"})), Options{})
	for p, mode := range map[string]fs.FileMode{
		"mine.sh": 0o750, "private/key": 0o400, "private": 0o500, "files": 0o711, ".": 0o750,
		"values.yaml": 0o644, "templates": 0o755, RecordName: 0o644,
	} {
		if in, err := os.Stat(filepath.Join(chart, p)); err != nil || in.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", p, in.Mode(), err)
		}
	}
	os.Chmod(filepath.Join(chart, "private"), 0o700)
}

func TestPrune(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edits   content
		force   bool
		state   State
		changes []Change
		tree    content
		again   int // charts that a second run reports
	}{
		"untouched": {state: Removed, changes: []Change{{"b/c", KindRemoved}, {"x", KindRemoved}}, tree: content{}},
		"removed by hand": {
			edits: content{"x": ""}, state: Removed, changes: []Change{{"b/c", KindRemoved}}, tree: content{},
		},
		"foreign": {
			edits: content{"mine": "1", "b/mine": "2", "empty": "folder", "l": "-> /nowhere"}, state: Removed,
			changes: []Change{{"b/c", KindRemoved}, {"x", KindRemoved}},
			tree:    content{"mine": "1", "b/mine": "2", "empty": "folder", "l": "-> /nowhere"},
		},
		"edited": {
			edits: content{"x": "mine"}, state: Refused, changes: []Change{{"b/c", KindRemoved}, {"x", KindEdited}},
			tree: content{"x": "mine", "b/c": "2"}, again: 1,
		},
		"edited, forced": {
			edits: content{"x": "mine", "y": "foreign"}, force: true, state: Removed,
			changes: []Change{{"b/c", KindRemoved}, {"x", KindEdited}}, tree: content{"y": "foreign"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			write(t, out, chartOf("gone", content{"x": "1", "b/c": "2"}), Options{})
			write(t, out, chartOf("kept", base), Options{})
			apply(t, out, content{"other/file": "no chart of kai's", "file": "x", "link": "-> gone"})
			apply(t, filepath.Join(out, "gone"), tt.edits)

			was := tree(t, out)
			viewed(t, out, func(f *Folder) {
				r, err := f.Obsolete([]string{"kept"})
				if err != nil || len(r) != 1 || r[0].State != Stale || !reflect.DeepEqual(r[0].Changes, tt.changes) {
					t.Errorf("Obsolete gives %+v, %v", r, err)
				}
			})
			if now := tree(t, out); !reflect.DeepEqual(now, was) {
				t.Errorf("Obsolete has written: %v", now)
			}
			f := openFor(t, out)
			r, err := f.Prune(t.Context(), []string{"kept"}, Options{Force: tt.force})
			if err != nil || len(r) != 1 || r[0].Chart != "gone" || r[0].State != tt.state || !reflect.DeepEqual(r[0].Changes, tt.changes) {
				t.Errorf("Prune gives %+v, %v", r, err)
			}
			if now := tree(t, filepath.Join(out, "gone")); !reflect.DeepEqual(now, tt.tree) {
				t.Errorf("tree is %v", now)
			}
			if _, err := os.Lstat(filepath.Join(out, "gone")); (err == nil) != (len(tt.tree) > 0) {
				t.Errorf("the folder: %v", err)
			}
			if r, err := f.Prune(t.Context(), []string{"kept"}, Options{}); err != nil || len(r) != tt.again {
				t.Errorf("a second run gives %+v, %v", r, err)
			}
			if now := tree(t, filepath.Join(out, "kept")); !reflect.DeepEqual(now, base) {
				t.Errorf("kept: %v", now)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		chart generator.Chart
		edits content // of OUT
		want  string
	}{
		"no name":             {chart: chartOf("", base), want: "cannot be a chart's name"},
		"name with slash":     {chart: chartOf("a/b", base), want: `"a/b" cannot be a chart's name`},
		"name with backslash": {chart: chartOf(`a\b`, base), want: "cannot be a chart's name"},
		"name is parent":      {chart: chartOf("..", base), want: "cannot be a chart's name"},
		"hidden name":         {chart: chartOf(".kai", base), want: "cannot be a chart's name"},
		"no files":            {chart: chartOf("a", nil), want: "has no files"},
		"path escapes":        {chart: chartOf("a", content{"../x": "1"}), want: `"../x" cannot be the path`},
		"path escapes late":   {chart: chartOf("a", content{"x/../../y": "1"}), want: "cannot be the path"},
		"absolute path":       {chart: chartOf("a", content{"/etc/x": "1"}), want: `"/etc/x" cannot be the path`},
		"backslash":           {chart: chartOf("a", content{`x\..\y`: "1"}), want: "cannot be the path"},
		"line break":          {chart: chartOf("a", content{"x\ny": "1"}), want: "cannot be the path"},
		"dot":                 {chart: chartOf("a", content{".": "1"}), want: "cannot be the path"},
		"record":              {chart: chartOf("a", content{".KAI.sha256": "1"}), want: "where kai records"},
		"case":                {chart: chartOf("a", content{"x/README.md": "1", "x/readme.md": "2"}), want: "x/README.md and x/readme.md differ only in case"},
		"case of folder":      {chart: chartOf("a", content{"Files/x": "1", "files/y": "2"}), want: "Files and files differ only in case"},
		"case beyond ASCII":   {chart: chartOf("a", content{"\u212a": "kelvin", "k": "2"}), want: "differ only in case"},
		"file and folder":     {chart: chartOf("a", content{"x": "1", "x-y": "2", "x/z": "3"}), want: "x is a file and a folder"},
		"twice":               {chart: generator.Chart{Name: "a", Files: []generator.File{{Path: "x"}, {Path: "x"}}}, want: "x stands twice"},
		"chart is a link":     {chart: chartOf("a", base), edits: content{"a": "-> elsewhere", "elsewhere": "folder"}, want: "out/a: is a symbolic link"},
		"folder is a link":    {chart: chartOf("a", base), edits: content{"a/templates": "-> ../elsewhere", "elsewhere": "folder"}, want: "out/a/templates: is a symbolic link"},
		"file is a link":      {chart: chartOf("a", base), edits: content{"a/values.yaml": "-> ../elsewhere", "elsewhere": "x"}, want: "out/a/values.yaml: is a symbolic link"},
		"record is a link":    {chart: chartOf("a", base), edits: content{"a/.kai.sha256": "-> ../elsewhere", "elsewhere": "x"}, want: "out/a/.kai.sha256: is a symbolic link"},
		"work is a link":      {chart: chartOf("a", base), edits: content{".kai": "-> elsewhere", "elsewhere/x.new": "folder"}, want: "out/.kai: is a symbolic link"},
		"chart is a file":     {chart: chartOf("a", base), edits: content{"a": "x"}, want: "out/a: is a file where kai needs a folder"},
		"record is foul":      {chart: chartOf("a", base), edits: content{"a/.kai.sha256": "<<<<<<< HEAD\n"}, want: "out/a/.kai.sha256: is not a record as kai writes it: line 1"},
		"record points out":   {chart: chartOf("a", base), edits: content{"a/.kai.sha256": strings.Repeat("0", 64) + "  ../../x\n"}, want: `"../../x" cannot be the path`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out")
			apply(t, out, tt.edits)
			was := tree(t, out)
			f, err := Open(t.Context(), out)
			if err == nil {
				defer f.Close()
				var r Result
				r, err = f.Write(t.Context(), tt.chart, Options{Force: true})
				if err == nil {
					t.Fatalf("written: %+v", r)
				}
				if _, e := f.Check(tt.chart); e == nil || e.Error() != err.Error() {
					t.Errorf("Check says %v", e)
				}
			}
			if !strings.Contains(filepath.ToSlash(err.Error()), tt.want) {
				t.Errorf("error %q, want %q", err, tt.want)
			}
			if now := tree(t, out); !reflect.DeepEqual(now, was) {
				t.Errorf("tree is %v", now)
			}
		})
	}
}

func TestFolderIsLink(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	apply(t, root, content{"dev": "-> elsewhere", "elsewhere": "folder"})
	for _, path := range []string{"dev", "dev/", "./dev/."} {
		if f, err := Open(t.Context(), root+"/"+path); err == nil || !strings.Contains(err.Error(), "dev: is a symbolic link") {
			t.Errorf("Open(%s) gives %v, %v", path, f, err)
		}
		if f, err := View(t.Context(), root+"/"+path); err == nil || !strings.Contains(err.Error(), "dev: is a symbolic link") {
			t.Errorf("View(%s) gives %v, %v", path, f, err)
		}
	}
}

// What appears in the old folder after it was looked at is not lost.
func TestMeanwhile(t *testing.T) {
	t.Parallel()
	next := merge(base, content{"values.yaml": "x: 2\n", "files/a.conf": "", "files/b.conf": "b", "only/new": "n"})
	tests := map[string]struct{ edits, want content }{
		"nothing":                     {},
		"file":                        {content{"mine": "1", "templates/tests/mine": "2"}, content{"mine": "1", "templates/tests/mine": "2"}},
		"folders":                     {content{"d/e/f": "1", "g": "folder", "templates/h": "folder"}, content{"d/e/f": "1", "g": "folder", "templates/h": "folder"}},
		"link":                        {content{"l": "-> nowhere"}, content{"l": "-> nowhere"}},
		"file in a folder that goes":  {content{"files-old/mine": "1"}, content{"files-old/mine": "1"}},
		"where a generated file is":   {content{"files/b.conf": "mine", "only": "mine"}, content{"files/b.conf.saved1": "mine", "only.saved1": "mine"}},
		"as the generated file":       {content{"files/b.conf": "b"}, nil},
		"edit of a file that changes": {content{"values.yaml": "mine"}, content{"values.yaml.saved1": "mine"}},
		"edit of a file that goes":    {content{"files/a.conf": "mine"}, content{"files/a.conf": "mine"}},
		"edit of a file that stays":   {content{"Chart.yaml": "mine"}, content{"Chart.yaml": "mine"}}, // one inode
		"replacement of one that stays": {
			content{"Chart.yaml": "", "Chart.yaml~": "mine"}, content{"Chart.yaml~": "mine"},
		},
	}
	for name, tt := range tests {
		for _, exchanges := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/exchange=%v", name, exchanges), func(t *testing.T) {
				t.Parallel()
				out := t.TempDir()
				write(t, out, chartOf("a", merge(base, content{"files-old/x": "1"})), Options{})
				f := openFor(t, out)
				f.exchange = func(from *dir, fromName string, to *dir, toName string) error {
					apply(t, filepath.Join(out, "a"), tt.edits)
					if !exchanges {
						return errNoExchange
					}
					return exchange(from, fromName, to, toName)
				}
				if r, err := f.Write(t.Context(), chartOf("a", next), Options{}); err != nil || r.State != Updated {
					t.Fatal(r, err)
				}
				if now, want := tree(t, filepath.Join(out, "a")), merge(next, tt.want); !reflect.DeepEqual(now, want) {
					t.Errorf("tree is %v\nwant    %v", now, want)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
				if entries, _ := os.ReadDir(out); len(entries) != 1 {
					t.Errorf("left behind: %v", entries)
				}
			})
		}
	}
}

// Each state in which a killed run can leave the work folder.
func TestRecover(t *testing.T) {
	t.Parallel()
	old, next := content{"a": "old", "b/c": "same"}, content{"a": "new", "b/c": "same"}
	user := content{"mine": "1", "b/mine": "2", "e": "folder"}
	tests := map[string]struct {
		as   string // where the folder of the draft or the retired lies
		does func(t *testing.T, out string)
		want content
	}{
		"draft": {want: merge(old, user), does: func(t *testing.T, out string) {
			write(t, filepath.Join(out, ".kai"), chartOf("a.new", next), Options{})
			os.Link(filepath.Join(out, "a/mine"), filepath.Join(out, ".kai/a.new/mine"))
		}},
		"draft of which the user has removed a file since": {want: merge(old, user, content{"mine": ""}), does: func(t *testing.T, out string) {
			write(t, filepath.Join(out, ".kai"), chartOf("a.new", next), Options{})
			os.Rename(filepath.Join(out, "a/mine"), filepath.Join(out, ".kai/a.new/mine"))
		}},
		"complete, not exchanged": {want: merge(old, user), does: func(t *testing.T, out string) {
			write(t, filepath.Join(out, ".kai"), chartOf("a.old", next), Options{})
			os.Link(filepath.Join(out, "a/mine"), filepath.Join(out, ".kai/a.old/mine"))
		}},
		"exchanged": {want: merge(next, user), does: func(t *testing.T, out string) {
			os.Mkdir(filepath.Join(out, ".kai"), 0o755)
			os.Rename(filepath.Join(out, "a"), filepath.Join(out, ".kai/a.old"))
			write(t, filepath.Join(out, "x"), chartOf("a", next), Options{})
			os.Rename(filepath.Join(out, "x/a"), filepath.Join(out, "a"))
			os.Remove(filepath.Join(out, "x"))
			os.Link(filepath.Join(out, ".kai/a.old/mine"), filepath.Join(out, "a/mine"))
			os.Remove(filepath.Join(out, ".kai/a.old/a"))
		}},
		"half removed": {want: user, does: func(t *testing.T, out string) {
			os.Mkdir(filepath.Join(out, ".kai"), 0o755)
			os.Rename(filepath.Join(out, "a"), filepath.Join(out, ".kai/a.old"))
			os.Remove(filepath.Join(out, ".kai/a.old/a"))
		}},
		"between two renames": {want: merge(old, user), does: func(t *testing.T, out string) {
			write(t, filepath.Join(out, ".kai"), chartOf("a.new", next), Options{})
			os.Rename(filepath.Join(out, "a"), filepath.Join(out, ".kai/a.back"))
		}},
		"after two renames": {want: merge(next, user), does: func(t *testing.T, out string) {
			write(t, filepath.Join(out, ".kai"), chartOf("a.new", next), Options{})
			os.Rename(filepath.Join(out, "a"), filepath.Join(out, ".kai/a.back"))
			os.Rename(filepath.Join(out, ".kai/a.new"), filepath.Join(out, "a"))
		}},
		"nothing in it": {want: merge(old, user), does: func(t *testing.T, out string) {
			os.Mkdir(filepath.Join(out, ".kai"), 0o755)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			write(t, out, chartOf("a", old), Options{})
			apply(t, filepath.Join(out, "a"), user)
			tt.does(t, out)
			f := openFor(t, out)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if now := tree(t, filepath.Join(out, "a")); !reflect.DeepEqual(now, tt.want) {
				t.Errorf("tree is %v\nwant    %v", now, tt.want)
			}
			if entries, _ := os.ReadDir(out); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
			write(t, out, chartOf("a", next), Options{})
			if now := tree(t, filepath.Join(out, "a")); !reflect.DeepEqual(now, merge(tt.want, next)) {
				t.Errorf("after another run the tree is %v", now)
			}
		})
	}
}

// What lies in the work folder but is not kai's stays there.
func TestForeignWork(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	apply(t, out, content{".kai/notes.txt": "mine", ".kai/folder/x": "mine", ".kai/..old/x": "mine"})
	write(t, out, chartOf("a", base), Options{})
	want := content{".kai/notes.txt": "mine", ".kai/folder/x": "mine", ".kai/..old/x": "mine"}
	for p, text := range base {
		want["a/"+p] = text
	}
	if now := tree(t, out); !reflect.DeepEqual(now, want) {
		t.Errorf("tree is %v", now)
	}
}

func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	first := openFor(t, out)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, out); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another run of kai writes here") {
		t.Errorf("Open gives %v", err)
	}
	if _, err := View(ctx, out); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("View gives %v", err)
	}
	opened := make(chan error)
	go func() {
		f, err := Open(t.Context(), out)
		if err == nil {
			err = f.Close()
		}
		opened <- err
	}()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
	viewed(t, out, func(*Folder) { viewed(t, out, func(*Folder) {}) }) // readers do not exclude each other
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	var sessions sync.WaitGroup
	for run := range 3 {
		sessions.Go(func() {
			f, err := Open(t.Context(), out)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			var writers sync.WaitGroup
			for i := range 32 {
				writers.Go(func() {
					c := merge(base, content{"values.yaml": fmt.Sprint(run), "files/x": fmt.Sprint(i % 8)})
					if r, err := f.Write(t.Context(), chartOf(fmt.Sprintf("c%d", i%8), c), Options{}); err != nil || r.State == Refused {
						t.Error(r, err)
					}
				})
			}
			writers.Go(func() {
				if _, err := f.Prune(t.Context(), []string{"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"}, Options{}); err != nil {
					t.Error(err)
				}
			})
			writers.Wait()
		})
	}
	sessions.Wait()
	for i := range 8 {
		checkRecord(t, filepath.Join(out, fmt.Sprintf("c%d", i)), nil)
	}
	if entries, _ := os.ReadDir(out); len(entries) != 8 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestNamesInCase(t *testing.T) {
	t.Parallel()
	f := openFor(t, t.TempDir())
	if _, err := f.Write(t.Context(), chartOf("tokend", base), Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(t.Context(), chartOf("Tokend", base), Options{}); err == nil || !strings.Contains(err.Error(), "differ only in case") {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	f := openFor(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Write(ctx, chartOf("a", base), Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if now := tree(t, f.path); len(now) != 0 {
		t.Error(now)
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	r := Result{Chart: "a", Folder: filepath.Join("out", "dev", "a"), State: Refused, Changes: []Change{{"b/c", KindChanged}, {"d", KindForeign}, {"e/f", KindEdited}}}
	var got []string
	for _, f := range r.Findings() {
		got = append(got, f.Origin.String()+": "+f.Code)
	}
	if want := []string{"out/dev/a/d: foreign-file", "out/dev/a/e/f: edited-file"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + "  a/b\n"))
	f.Add([]byte("x  y"))
	f.Fuzz(func(t *testing.T, text []byte) {
		record, err := parseRecord(text)
		if err != nil {
			return
		}
		back, err := parseRecord(record.record())
		if err != nil || !reflect.DeepEqual(back, record) {
			t.Errorf("%v, %v", back, err)
		}
		for _, r := range record {
			if !filepath.IsLocal(r.path) {
				t.Errorf("%q leaves the chart", r.path)
			}
		}
	})
}

// bigChart is of the size that kai generates.
func bigChart(version string) generator.Chart {
	c := content{"values.yaml": version}
	for i := range 38 {
		c[fmt.Sprintf("%s/file%02d.yaml", []string{"templates", "files", "charts/db/templates", "templates/tests"}[i%4], i)] = strings.Repeat(fmt.Sprintf("line %d of a template\n", i), 80)
	}
	return chartOf("a", c)
}

func BenchmarkWrite(b *testing.B) {
	a, changed := bigChart("a"), bigChart("b")
	b.Run("new", func(b *testing.B) {
		f := openFor(b, b.TempDir())
		n := 0
		for b.Loop() {
			c := a
			c.Name = fmt.Sprintf("c%d", n)
			n++
			if r, err := f.Write(b.Context(), c, Options{}); err != nil || r.State != Created {
				b.Fatal(r, err)
			}
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		f := openFor(b, b.TempDir())
		f.Write(b.Context(), a, Options{})
		for b.Loop() {
			if r, err := f.Write(b.Context(), a, Options{}); err != nil || r.State != Unchanged {
				b.Fatal(r, err)
			}
		}
	})
	b.Run("changed", func(b *testing.B) {
		f := openFor(b, b.TempDir())
		f.Write(b.Context(), a, Options{})
		for n := 0; b.Loop(); n++ {
			if r, err := f.Write(b.Context(), []generator.Chart{changed, a}[n%2], Options{}); err != nil || r.State != Updated {
				b.Fatal(r, err)
			}
		}
	})
}

// BenchmarkPlain is what Write is measured against: making the files, and
// reading them, by the standard library with nothing else.
func BenchmarkPlain(b *testing.B) {
	a := bigChart("a")
	put := func(b *testing.B, root string) {
		for _, f := range a.Files {
			p := filepath.Join(root, f.Path)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(p, f.Data, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("new", func(b *testing.B) {
		root, n := b.TempDir(), 0
		for b.Loop() {
			put(b, filepath.Join(root, fmt.Sprint(n)))
			n++
		}
	})
	b.Run("copy", func(b *testing.B) {
		root, n := b.TempDir(), 0
		put(b, filepath.Join(root, "from"))
		for b.Loop() {
			if err := os.CopyFS(filepath.Join(root, fmt.Sprint(n)), os.DirFS(filepath.Join(root, "from"))); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
	b.Run("read", func(b *testing.B) {
		root := b.TempDir()
		put(b, root)
		for b.Loop() {
			for _, f := range a.Files {
				if _, err := os.ReadFile(filepath.Join(root, f.Path)); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
