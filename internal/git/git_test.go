package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// repo is a repository made for a test.
type repo struct {
	t   testing.TB
	dir string
}

func newRepo(t testing.TB, args ...string) repo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not here")
	}
	r := repo{t, t.TempDir()}
	r.git(append([]string{"init", "-q", "--initial-branch=main"}, args...)...)
	return r
}

// git runs with no configuration but the test's.
func (r repo) git(args ...string) string {
	r.t.Helper()
	out, err := r.try(args...)
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(out)
}

func (r repo) try(args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-c", "user.name=Example", "-c", "user.email=example@example.com", "-c", "protocol.file.allow=always", "-c", "gc.auto=0"}, args...)...)
	cmd.Dir, cmd.Env = r.dir, testEnvironment()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func testEnvironment() []string {
	return append(environment(nil), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
}

func (r repo) write(files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		full := filepath.Join(r.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, full); err != nil {
				r.t.Fatal(err)
			}
			continue
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(full, []byte(text), mode); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r repo) commit(files map[string]string) string {
	r.t.Helper()
	r.write(files)
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "change")
	return r.git("rev-parse", "HEAD")
}

// open opens a folder of the repository, and closes it with the test.
func (r repo) open(folder, revision string) *Tree {
	r.t.Helper()
	tree, err := Open(context.Background(), filepath.Join(r.dir, folder), revision, testEnvironment()...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return tree
}

// example is a workspace below a folder of a repository.
func example(t testing.TB, args ...string) repo {
	r := newRepo(t, args...)
	r.commit(map[string]string{
		"README.md":                    "outside\n",
		"shop/kai-workspace.yaml":      "apiVersion: kai/v1\n",
		"shop/services/carts/kai.yaml": "name: carts\n",
		"shop/services/carts/run.sh":   "#!/bin/sh\n",
		"shop/services/ä b\t\"'/x.txt": "odd\n",
		"shop/empty":                   "",
		"shop/links/file":              "-> ../services/carts/kai.yaml",
		"shop/links/folder":            "-> ../services",
		"shop/links/chain":             "-> folder/./carts//kai.yaml",
	})
	return r
}

func TestTreeIsAFileSystem(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			if probe := newRepo(t); format != "sha1" {
				if out, err := probe.try("init", "-q", "--object-format="+format, "probe"); err != nil {
					t.Skip(out)
				}
			}
			r := example(t, "--object-format="+format)
			tree := r.open("shop", "HEAD")
			if err := fstest.TestFS(tree, "kai-workspace.yaml", "services/carts/kai.yaml", "empty", "links/file", "links/folder"); err != nil {
				t.Error(err)
			}
			if want := r.git("rev-parse", "HEAD"); tree.Commit != want || tree.Revision != "HEAD" || tree.Prefix != "shop" {
				t.Errorf("the tree is %q %q %q, want %q", tree.Commit, tree.Revision, tree.Prefix, want)
			}
		})
	}
}

// TestTreeIsTheFolder compares a tree with the checkout it came from.
func TestTreeIsTheFolder(t *testing.T) {
	t.Parallel()
	r := example(t)
	tree, folder := r.open("shop", "main"), os.DirFS(filepath.Join(r.dir, "shop"))
	walk := func(fsys fs.FS) (out []string) {
		err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			line := name + " " + d.Type().String()
			if info, err := fs.Stat(fsys, name); err != nil {
				return err
			} else if !info.IsDir() {
				data, err := fs.ReadFile(fsys, name)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %s %d %q", info.Mode(), info.Size(), data)
			}
			out = append(out, line)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got, want := walk(tree), walk(folder); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, pattern := range []string{"services/*", "services/*/kai.yaml", "links/folder/*", "*", "links/*/carts/k*.yaml", "none/*"} {
		got, err := fs.Glob(tree, pattern)
		want, wantErr := fs.Glob(folder, pattern)
		if !slices.Equal(got, want) || err != nil || wantErr != nil {
			t.Errorf("%s: got %v, %v; want %v, %v", pattern, got, err, want, wantErr)
		}
	}
	sub, err := fs.Sub(tree, "services/carts")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := fs.ReadFile(sub, "kai.yaml"); err != nil || string(data) != "name: carts\n" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	first := r.commit(map[string]string{"a": "1"})
	r.git("tag", "-a", "-m", "first", "v1")
	r.git("branch", "feature/old")
	second := r.commit(map[string]string{"a": "2"})
	// What is not committed is not seen.
	r.write(map[string]string{"a": "3", "b": "new"})
	for revision, want := range map[string][2]string{
		"main": {second, "2"}, "HEAD": {second, "2"}, "HEAD~1": {first, "1"}, "HEAD^": {first, "1"}, "v1": {first, "1"}, "feature/old": {first, "1"},
		first: {first, "1"}, first[:10]: {first, "1"}, "refs/heads/main": {second, "2"}, "@": {second, "2"}, "main@{0}": {second, "2"},
	} {
		tree := r.open("", revision)
		data, err := fs.ReadFile(tree, "a")
		if err != nil || string(data) != want[1] || tree.Commit != want[0] || tree.Revision != revision || tree.Prefix != "" {
			t.Errorf("%s is %s (%s) with %q, %v; want %s", revision, tree.Commit, tree.Revision, data, err, want)
		}
		if _, err := fs.Stat(tree, "b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s has b: %v", revision, err)
		}
	}
	bare := repo{t, t.TempDir()}
	bare.git("clone", "-q", "--bare", r.dir, ".")
	if data, err := fs.ReadFile(bare.open("", "main"), "a"); err != nil || string(data) != "2" {
		t.Errorf("the bare clone has %q, %v", data, err)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit(map[string]string{
		"outside":        "outside",
		"w/file":         "inside",
		"w/d/e/file":     "deep",
		"w/up":           "-> ../outside",
		"w/d/up":         "-> ../../outside",
		"w/d/there":      "-> ../file",
		"w/d/back":       "-> ../d/e/../../file",
		"w/absolute":     "-> /etc/passwd",
		"w/loop":         "-> loop",
		"w/one":          "-> two",
		"w/two":          "-> one",
		"w/dangling":     "-> nowhere",
		"w/around":       "-> ../w/file", // stays inside only by leaving
		"w/through":      "-> file/x",
		"w/e":            "-> d/e",
		"w/self":         "-> .",
		"w/e2":           "-> e/../there",
		"w/d/rootfolder": "-> ..",
	})
	r.git("update-index", "--add", "--cacheinfo", "120000,"+blob(r, strings.Repeat("a", 5000))+",w/long")
	r.git("update-index", "--add", "--cacheinfo", "120000,"+blob(r, "")+",w/void")
	r.git("commit", "-q", "-m", "odd links")
	tree := r.open("w", "main")
	for _, tt := range []struct{ name, want string }{
		{"d/there", "inside"}, {"d/back", "inside"}, {"e/file", "deep"}, {"self/self/self/file", "inside"}, {"e2", "inside"}, {"d/rootfolder/file", "inside"},
		{"up", "error: path escapes from parent"}, {"d/up", "error: path escapes from parent"}, {"absolute", "error: path escapes from parent"},
		{"around", "error: path escapes from parent"},
		{"loop", "error: too many levels of symbolic links"}, {"one", "error: too many levels of symbolic links"},
		{"dangling", "error: file does not exist"}, {"through", "error: is not a folder"}, {"file/x", "error: is not a folder"},
		{"long", "error: is a symbolic link that names no path"}, {"void", "error: is a symbolic link that names no path"},
		{"../outside", "error: invalid argument"}, {"/file", "error: invalid argument"}, {"", "error: invalid argument"}, {"d", "error: is a folder"},
	} {
		data, err := fs.ReadFile(tree, tt.name)
		got := string(data)
		var pe *fs.PathError
		if errors.As(err, &pe) {
			got = "error: " + pe.Err.Error()
			if pe.Path != tt.name {
				t.Errorf("the error of %s names %s", tt.name, pe.Path)
			}
		}
		if got != tt.want {
			t.Errorf("%s is %q, want %q", tt.name, got, tt.want)
		}
		if f, err := tree.Open(tt.name); (err == nil) != (!strings.HasPrefix(tt.want, "error") || tt.name == "d") {
			t.Errorf("Open(%q) is %v, %v", tt.name, f, err)
		}
	}
	if info, err := tree.Stat("e"); err != nil || !info.IsDir() || info.Name() != "e" {
		t.Errorf("got %v, %v", info, err)
	}
	if info, err := tree.Lstat("e"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("got %v, %v", info, err)
	}
	if target, err := tree.ReadLink("up"); err != nil || target != "../outside" {
		t.Errorf("got %q, %v", target, err)
	}
	if _, err := tree.ReadLink("file"); !errors.Is(err, errNotLink) {
		t.Errorf("got %v", err)
	}
	if entries, err := tree.ReadDir("e"); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v", entries, err)
	}
	if _, err := tree.ReadDir("file"); !errors.Is(err, errNotDir) {
		t.Errorf("got %v", err)
	}
}

// blob writes an object and gives its name.
func blob(r repo, text string) string {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "blob")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return r.git("hash-object", "-w", file)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	r := example(t)
	r.git("branch", "release-1.2")
	r.git("update-ref", "refs/remotes/origin/develop", "HEAD")
	fresh := filepath.Join(r.dir, "fresh")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		t.Fatal(err)
	}
	none := newRepo(t)
	for _, tt := range []struct{ name, dir, revision, want string }{
		{"option", r.dir, "--upload-pack=touch x", "\"--upload-pack=touch x\" is an option, and not a revision\n  hint: name a branch, a tag or a commit, such as main"},
		{"short option", r.dir, "-x", "\"-x\" is an option, and not a revision\n  hint: name a branch, a tag or a commit, such as main"},
		{"nothing", r.dir, "", "the revision has no name\n  hint: name a branch, a tag or a commit, such as main"},
		{"control", r.dir, "a\nb", "the revision's name has control characters in it, or is too long\n  hint: name a branch, a tag or a commit, such as main"},
		{"range", r.dir, "main..release-1.2", "\"main..release-1.2\" is a range, and not a revision\n  hint: name one branch, tag or commit"},
		{"not range", r.dir, "^main", "\"^main\" is a range, and not a revision\n  hint: name one branch, tag or commit"},
		{"typo", r.dir, "mian", "there is no revision \"mian\"\n  hint: did you mean \"main\"?"},
		{"typo of a long name", r.dir, "release-1.3", "there is no revision \"release-1.3\"\n  hint: did you mean \"release-1.2\"?"},
		{"only at the remote", r.dir, "develop", "there is no revision \"develop\"\n  hint: did you mean \"origin/develop\"?"},
		{"a tree", r.dir, "HEAD:shop", "there is no revision \"HEAD:shop\"\n"},
		{"no such commit", r.dir, strings.Repeat("1", 40), "there is no revision \"" + strings.Repeat("1", 40) + "\"\n  hint: there are "},
		{"folder came later", fresh, "HEAD", "there is no folder fresh at the revision \"HEAD\"\n  hint: choose a revision that has the workspace, or the folder where it was then"},
		{"no commit", none.dir, "main", "there is no revision \"main\": the repository has no commit yet\n  hint: git commit makes one"},
		{"no folder", filepath.Join(r.dir, "none"), "HEAD", "there is no folder " + filepath.Join(r.dir, "none") + "\n  hint: is the workspace's path right?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tree, err := Open(t.Context(), tt.dir, tt.revision, testEnvironment()...)
			var ours *Error
			if tree != nil || !errors.As(err, &ours) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestNoRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	environ := append(testEnvironment(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	_, err := Open(t.Context(), dir, "main", environ...)
	if want := dir + " is in no git repository\n  hint: "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestNoGit runs without a PATH, in a process of its own.
func TestNoGit(t *testing.T) {
	if dir := os.Getenv("GIT_TEST_DIR"); dir != "" {
		_, err := Open(t.Context(), dir, "main")
		fmt.Println(err)
		return
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoGit$")
	cmd.Env = []string{"PATH=", "GIT_TEST_DIR=" + t.TempDir(), "GOCOVERDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if want := "git is not installed, or not on the PATH\n  hint: install git"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestShallowClone(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	first := r.commit(map[string]string{"a": "1"})
	r.commit(map[string]string{"a": "2"})
	clone := repo{t, t.TempDir()}
	clone.git("clone", "-q", "--depth=1", "file://"+filepath.ToSlash(r.dir), ".")
	if data, err := fs.ReadFile(clone.open("", "HEAD"), "a"); err != nil || string(data) != "2" {
		t.Errorf("got %q, %v", data, err)
	}
	for _, revision := range []string{"HEAD~1", first, "feature"} {
		_, err := Open(t.Context(), clone.dir, revision, testEnvironment()...)
		if err == nil || !strings.Contains(err.Error(), "the clone is shallow") || !strings.Contains(err.Error(), "git fetch --unshallow") {
			t.Errorf("%s: got %v", revision, err)
		}
	}
}

func TestSubmodule(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	commit := r.commit(map[string]string{"a": "1"})
	r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",vendor/lib")
	r.git("commit", "-q", "-m", "submodule")
	tree := r.open("", "HEAD")
	if info, err := tree.Stat("vendor/lib"); err != nil || !info.IsDir() {
		t.Errorf("got %v, %v", info, err)
	}
	for _, do := range []func() error{
		func() error { _, err := tree.ReadDir("vendor/lib"); return err },
		func() error { _, err := tree.Open("vendor/lib"); return err },
		func() error { _, err := tree.ReadFile("vendor/lib/a"); return err },
	} {
		if err := do(); !errors.Is(err, errSubmodule) {
			t.Errorf("got %v", err)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit(map[string]string{"large": strings.Repeat("x", MaxFile+1), "full": strings.Repeat("x", MaxFile), "small": "small"})
	tree := r.open("", "HEAD")
	for range 2 {
		_, err := tree.ReadFile("large")
		var large *TooLargeError
		if !errors.As(err, &large) || large.Size != MaxFile+1 || !strings.Contains(err.Error(), "bound of 4096 KiB") {
			t.Errorf("got %v", err)
		}
		if info, err := tree.Stat("large"); err != nil || info.Size() != MaxFile+1 {
			t.Errorf("got %v, %v", info, err)
		}
		// The next answer is found behind the one that was skipped.
		if data, err := tree.ReadFile("small"); err != nil || string(data) != "small" {
			t.Errorf("got %q, %v", data, err)
		}
		if data, err := tree.ReadFile("full"); err != nil || len(data) != MaxFile {
			t.Errorf("got %d bytes, %v", len(data), err)
		}
	}
}

// TestNamesOfNoFileSystem makes trees by hand that no checkout would make.
func TestNamesOfNoFileSystem(t *testing.T) {
	t.Parallel()
	root := newDir(".")
	object := strings.Repeat("1", 40)
	listing := ""
	for _, name := range []string{"../../etc/passwd", "a/../b", "/etc/passwd", ".", "a//b", "x\xffy", "ok/file", "ok", "ok/file/below", "dir/a", "dir"} {
		listing += "100644 blob " + object + "\t" + name + "\x00"
	}
	if err := root.fill(strings.NewReader(listing)); err != nil {
		t.Fatal(err)
	}
	root.sort()
	tree := &Tree{root: root}
	var names []string
	if err := fs.WalkDir(tree, ".", func(name string, _ fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{".", "dir", "dir/a", "ok", "ok/file"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	for _, listing := range []string{"100644 blob\tx\x00", "x", "100644 blob " + object + " x\x00"} {
		if err := newDir(".").fill(strings.NewReader(listing)); err == nil {
			t.Errorf("%q is taken for a listing", listing)
		}
	}
	many := strings.Repeat("100644 blob "+object+"\ta\x00", MaxEntries+1)
	if err := newDir(".").fill(strings.NewReader(many)); err == nil || !strings.Contains(err.Error(), "bound of 200000") {
		t.Errorf("got %v", err)
	}
	if err := newDir(".").fill(strings.NewReader(many[:len(many)/(MaxEntries+1)*MaxEntries])); err != nil {
		t.Error(err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	r, other := newRepo(t), newRepo(t)
	r.commit(map[string]string{"a": "this"})
	other.commit(map[string]string{"a": "other"})
	// A variable that points elsewhere is obeyed where the caller gives it.
	tree, err := Open(t.Context(), r.dir, "HEAD", append(testEnvironment(), "GIT_DIR="+filepath.Join(other.dir, ".git"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if data, err := tree.ReadFile("a"); err != nil || string(data) != "other" {
		t.Errorf("got %q, %v", data, err)
	}
	for _, pair := range environment([]string{"A=b"}) {
		if name, _, _ := strings.Cut(pair, "="); slices.Contains(local, name) {
			t.Errorf("%s is given to git", pair)
		}
	}
	if !slices.Contains(environment(nil), "GIT_TERMINAL_PROMPT=0") {
		t.Error("git may ask for a password")
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = strings.Repeat(fmt.Sprint(i), i)
	}
	files["link"] = "-> d0/f0"
	r.commit(files)
	tree := r.open("", "HEAD")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name, want := range files {
				if _, err := tree.Stat(name); err != nil {
					t.Error(err)
				}
				if data, err := tree.ReadFile(name); err != nil || string(data) != want && name != "link" {
					t.Errorf("%s is %q, %v", name, data, err)
				} else if len(data) > 0 {
					data[0] = '!' // a caller may do with it what he likes
				}
			}
		})
	}
	wg.Wait()
}

func TestClosedAndCancelled(t *testing.T) {
	t.Parallel()
	r := example(t)
	tree, err := Open(t.Context(), r.dir, "HEAD", testEnvironment()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.ReadFile("README.md"); err != nil {
		t.Error(err)
	}
	process := tree.blobs.cmd.Process
	for range 2 {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := process.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("the process is there still: %v", err)
	}
	if _, err := tree.ReadFile("shop/services/carts/kai.yaml"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	if tree, err = Open(ctx, r.dir, "HEAD", testEnvironment()...); err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if _, err := tree.ReadFile("README.md"); err != nil {
		t.Error(err)
	}
	cancel()
	for deadline := time.Now().Add(10 * time.Second); ; {
		// Until the process is gone, an answer may come through.
		tree.blobs.mu.Lock()
		tree.blobs.sizes, tree.blobs.kept = map[string]int64{}, map[string][]byte{}
		tree.blobs.mu.Unlock()
		if _, err = tree.ReadFile("README.md"); err != nil || time.Now().After(deadline) {
			break
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := Open(ctx, r.dir, "HEAD", testEnvironment()...); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestGitDies(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("processes end otherwise there")
	}
	r := example(t)
	tree := r.open("", "HEAD")
	if _, err := tree.ReadFile("README.md"); err != nil {
		t.Fatal(err)
	}
	if err := tree.blobs.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := tree.ReadFile("shop/kai-workspace.yaml"); err == nil || !strings.Contains(err.Error(), "git stopped reading the repository") {
			t.Errorf("got %v", err)
		}
	}
}

func TestMissingObject(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit(map[string]string{"a": "one", "b": "two"})
	object := r.git("rev-parse", "HEAD:a")
	tree := r.open("", "HEAD")
	if err := os.Remove(filepath.Join(r.dir, ".git", "objects", object[:2], object[2:])); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.ReadFile("a"); !errors.Is(err, errNoObject) {
		t.Errorf("got %v", err)
	}
	if data, err := tree.ReadFile("b"); err != nil || string(data) != "two" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestSaid(t *testing.T) {
	t.Parallel()
	got := said([]byte("fatal: unable to access 'https://user:word@git.example.com/x.git/'\n\nwarning: y\n"))
	if want := "unable to access 'https://git.example.com/x.git/'; warning: y"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzFill wants no panic, and only names that a file system takes.
func FuzzFill(f *testing.F) {
	f.Add("100644 blob 11\ta/b\x00120000 blob 11\ta\x00160000 commit 11\tc\x00")
	f.Fuzz(func(t *testing.T, listing string) {
		root := newDir(".")
		if root.fill(strings.NewReader(listing)) != nil {
			return
		}
		root.sort()
		_ = fs.WalkDir(&Tree{root: root}, ".", func(name string, _ fs.DirEntry, err error) error {
			if !fs.ValidPath(name) {
				t.Errorf("there is %q", name)
			}
			return nil
		})
	})
}

// BenchmarkRead opens a revision and reads 1,000 small files of it.
func BenchmarkRead(b *testing.B) {
	r := newRepo(b)
	files := map[string]string{}
	for i := range 1000 {
		files[fmt.Sprintf("services/s%d/kai.yaml", i)] = strings.Repeat(fmt.Sprintf("name: s%d\n", i), 100)
	}
	r.commit(files)
	r.git("gc", "-q")
	for b.Loop() {
		tree, err := Open(context.Background(), r.dir, "main", testEnvironment()...)
		if err != nil {
			b.Fatal(err)
		}
		names, err := fs.Glob(tree, "services/*/kai.yaml")
		if err != nil || len(names) != 1000 {
			b.Fatalf("%d files, %v", len(names), err)
		}
		for _, name := range names {
			if info, err := tree.Stat(name); err != nil || info.Size() < 900 {
				b.Fatal(err)
			}
			if _, err := tree.ReadFile(name); err != nil {
				b.Fatal(err)
			}
		}
		if err := tree.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
