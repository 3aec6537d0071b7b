package chartdir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSeal breaks a seal by whatever changes a file of the chart or a folder on the way
// to one, and by nothing else.
func TestSeal(t *testing.T) {
	t.Parallel()
	chart := chartOf("a", content{"Chart.yaml": "a", "templates/x.yaml": "x", "templates/tests/y.yaml": "y"})
	for name, c := range map[string]struct {
		change func(dir string) error
		holds  bool
	}{
		"nothing":                       {func(string) error { return nil }, true},
		"a file of the user's, changed": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "NOTE"), []byte("more"), 0o644) }, true},
		"a file of the user's, new":     {func(dir string) error { return os.WriteFile(filepath.Join(dir, "MORE"), nil, 0o644) }, false},
		"content, with size and time as they were": {func(dir string) error {
			file := filepath.Join(dir, "templates", "x.yaml")
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			return errors.Join(os.WriteFile(file, []byte("z"), 0o644), os.Chtimes(file, info.ModTime(), info.ModTime()))
		}, false},
		"the mode of a file":  {func(dir string) error { return os.Chmod(filepath.Join(dir, "Chart.yaml"), 0o600) }, false},
		"a file that is gone": {func(dir string) error { return os.Remove(filepath.Join(dir, "templates", "x.yaml")) }, false},
		"the record":          {func(dir string) error { return os.WriteFile(filepath.Join(dir, RecordName), nil, 0o644) }, false},
		"a folder that is a link to its like": {func(dir string) error {
			other := filepath.Join(dir, "other")
			return errors.Join(os.Rename(filepath.Join(dir, "templates"), other), os.Symlink("other", filepath.Join(dir, "templates")))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "dev")
			f := openFor(t, out)
			dir := filepath.Join(out, "a")
			var seal Seal
			if !f.keepsTime {
				t.Skip("this file system does not keep times well enough")
			}
			for range 10 { // until the clock of the file system has gone on
				r, err := f.Write(t.Context(), chart, Options{Seal: true})
				if err != nil {
					t.Fatal(err)
				}
				if seal = r.Seal; seal != nil {
					break
				}
				if err := os.WriteFile(filepath.Join(dir, "NOTE"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * restTime)
			}
			if seal == nil {
				t.Fatal("not sealed")
			}
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			if f.Sealed("a", seal) != c.holds {
				t.Errorf("the seal holds: %t", !c.holds)
			}
		})
	}
}

// TestSealDamaged reads seals of which a byte has changed or is missing.
func TestSealDamaged(t *testing.T) {
	t.Parallel()
	f := openFor(t, filepath.Join(t.TempDir(), "dev"))
	if _, err := f.Write(t.Context(), chartOf("a", content{"Chart.yaml": "a", "templates/x.yaml": "x"}), Options{}); err != nil {
		t.Fatal(err)
	}
	paths := pathsOf(files{{path: "Chart.yaml"}, {path: "templates/x.yaml"}})
	whole := f.look(f.top, "a", paths).seal(paths)
	if got, ok := whole.paths(); !ok || len(got.files) != 3 || got.files[2] != "templates/x.yaml" || len(got.folders) != 2 {
		t.Fatal(got, ok)
	}
	for i := range whole {
		damaged := append(Seal{}, whole...)
		damaged[i] ^= 0x81
		if f.Sealed("a", damaged) || f.Sealed("a", whole[:i]) {
			t.Errorf("byte %d does not matter", i)
		}
	}
}

// TestStaged leaves things as they were until Commit, and for ever after Discard.
func TestStaged(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "dev")
	f := openFor(t, out)
	old, next := content{"Chart.yaml": "old"}, content{"Chart.yaml": "next"}
	if _, err := f.Write(t.Context(), chartOf("a", old), Options{}); err != nil {
		t.Fatal(err)
	}
	stage := func() *Staged {
		s, err := f.Stage(t.Context(), chartOf("a", next), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	read := func() string {
		data, err := os.ReadFile(filepath.Join(out, "a", "Chart.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if err := stage().Discard(); err != nil || read() != "old" {
		t.Fatal(err, read())
	}
	s := stage()
	if read() != "old" {
		t.Error("it is there before Commit")
	}
	if r, err := s.Commit(t.Context()); err != nil || r.State != Updated || read() != "next" {
		t.Error(r, err, read())
	}
}
