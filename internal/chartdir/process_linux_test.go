package chartdir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/generator"
	"golang.org/x/sys/unix"
)

// helperVar makes the test binary do one thing in a process of its own, which
// can be killed or live under limits: TASK DIR.
const helperVar = "CHARTDIR_TEST_HELPER"

func TestMain(m *testing.M) {
	if task := os.Getenv(helperVar); task != "" {
		if err := help(task, os.Args[1]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// helper gives a command that runs a task on a folder.
func helper(ctx context.Context, t *testing.T, task, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, os.Args[0], path)
	cmd.Env = append(os.Environ(), helperVar+"="+task)
	return cmd
}

func help(task, path string) error {
	ctx := context.Background()
	switch task {
	case "loop", "loop without exchange":
		fmt.Println("ready")
		for {
			if err := round(ctx, path, task == "loop"); err != nil {
				return err
			}
		}
	case "full":
		if err := unix.Mount("none", path, "tmpfs", 0, "size=256k"); err != nil {
			fmt.Println("no mount")
			return nil
		}
		if err := writeOne(ctx, path, limited("old")); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(path, "filler"), make([]byte, 150<<10), 0o644); err != nil {
			return err
		}
		return expect(path, unix.ENOSPC, writeOne(ctx, path, limited(strings.Repeat("new", 60<<10))))
	case "limit":
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 8 << 10, Max: 8 << 10}); err != nil {
			return err
		}
		return expect(path, unix.EFBIG, writeOne(ctx, path, limited(strings.Repeat("new", 10<<10))))
	case "read-only chart", "read-only folder":
		if os.Getuid() == 0 {
			if err := errors.Join(syscall.Setgid(65534), syscall.Setuid(65534)); err != nil {
				return err
			}
		}
		return expect(path, fs.ErrPermission, writeOne(ctx, path, limited("new")))
	}
	return fmt.Errorf("no task %q", task)
}

func limited(values string) generator.Chart {
	return chartOf("a", content{"Chart.yaml": "same", "values.yaml": values, "templates/x": "same"})
}

func writeOne(ctx context.Context, path string, c generator.Chart) error {
	f, err := Open(ctx, path)
	if err != nil {
		return err
	}
	_, err = f.Write(ctx, c, Options{})
	return errors.Join(err, f.Close())
}

// expect wants a failed write to name its path and to leave the old chart and
// nothing else.
func expect(path string, want, err error) error {
	if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), path) {
		return fmt.Errorf("the error is %v, want %v", err, want)
	}
	if data, err := os.ReadFile(filepath.Join(path, "a/values.yaml")); err != nil || string(data) != "old" {
		return fmt.Errorf("the chart has %.20q, %v", data, err)
	}
	if _, err := os.Lstat(filepath.Join(path, workName)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the work folder: %v", err)
	}
	return nil
}

func TestFailedWrites(t *testing.T) {
	t.Parallel()
	for _, task := range []string{"full", "limit", "read-only folder", "read-only chart"} {
		t.Run(task, func(t *testing.T) {
			t.Parallel()
			// Another user has to get there and the program of the test, too.
			root, err := os.MkdirTemp("", "chartdir")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(root) })
			if err := os.Chmod(root, 0o755); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(root, "out")
			cmd := helper(t.Context(), t, task, out)
			switch task {
			case "full":
				cmd.SysProcAttr = &syscall.SysProcAttr{
					Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
					UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
					GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
				}
				if err := os.Mkdir(out, 0o755); err != nil {
					t.Fatal(err)
				}
			case "limit":
				write(t, out, limited("old"), Options{})
			case "read-only folder":
				write(t, out, limited("old"), Options{})
				chmod(t, out, 0o555)
			case "read-only chart":
				write(t, out, limited("old"), Options{})
				if err := os.Chmod(out, 0o777); err != nil {
					t.Fatal(err)
				}
				chmod(t, filepath.Join(out, "a"), 0o555)
			}
			text, err := cmd.CombinedOutput()
			if errors.Is(err, fs.ErrPermission) || strings.Contains(string(text), "no mount") {
				t.Skip("no file system can be mounted here")
			}
			if err != nil {
				t.Errorf("%v: %s", err, text)
			}
		})
	}
}

// chmod sets a mode until the end of the test.
func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(path, 0o755) })
}

// versions of the charts that the killed process writes, one after the other.
var versions = []content{
	merge(base, content{"values.yaml": strings.Repeat("x: 1\n", 2000)}),
	merge(base, content{"files/a.conf": "", "files/b.conf": "b", "charts/db/Chart.yaml": "name: db\n"}),
	{"Chart.yaml": "small"},
}

// mine is what the user has put into every chart but the last.
var mine = content{"values-mine.yaml": "mine", "templates/mine.yaml": "mine", "notes/a/b.txt": "mine"}

// round writes all versions of a few charts and removes the last chart.
func round(ctx context.Context, path string, exchanges bool) error {
	f, err := Open(ctx, path)
	if err != nil {
		return err
	}
	if !exchanges {
		f.exchange = func(*dir, string, *dir, string) error { return errNoExchange }
	}
	for _, v := range versions {
		for _, name := range []string{"a", "b", "c"} {
			if r, err := f.Write(ctx, chartOf(name, v), Options{}); err != nil || r.State == Refused {
				return fmt.Errorf("%v: %w", r, err)
			}
		}
	}
	if _, err := f.Prune(ctx, []string{"a", "b"}, Options{}); err != nil {
		return err
	}
	return f.Close()
}

func TestKilled(t *testing.T) {
	t.Parallel()
	for task, points := range map[string]int{"loop": 200, "loop without exchange": 60} {
		t.Run(task, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			if testing.Short() {
				points /= 10
			}
			out := t.TempDir()
			left := 0
			for point := range points {
				for _, name := range []string{"a", "b"} {
					apply(t, filepath.Join(out, name), mine)
				}
				killAt(t, helper(t.Context(), t, task, out), time.Duration(random.IntN(8000))*time.Microsecond)
				if _, err := os.Lstat(filepath.Join(out, workName)); err == nil {
					left++
				}
				if task == "loop" {
					checkWhole(t, out)
				}
				f := openFor(t, out)
				if err := f.Close(); err != nil {
					t.Error(err)
				}
				checkWhole(t, out)
				v := versions[point%len(versions)]
				for _, name := range []string{"a", "b"} {
					if r := write(t, out, chartOf(name, v), Options{}); r.State == Refused {
						t.Errorf("a rerun gives %+v", r)
					}
					if now := tree(t, filepath.Join(out, name)); !reflect.DeepEqual(now, merge(v, mine)) {
						t.Errorf("a rerun gives %v", now)
					}
				}
				if _, err := os.Lstat(filepath.Join(out, workName)); err == nil {
					t.Error("a rerun leaves the work folder")
				}
				if t.Failed() {
					t.Fatalf("at point %d of seed %d", point, seed)
				}
			}
			t.Logf("%d of %d kills left something to clear", left, points)
		})
	}
}

// killAt starts a process and kills it some time after it is ready.
func killAt(t *testing.T, cmd *exec.Cmd, after time.Duration) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 256)
	n, _ := out.Read(line)
	time.Sleep(after)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	rest := new(bytes.Buffer)
	rest.ReadFrom(out)
	cmd.Wait()
	if string(line[:n]) != "ready\n" || rest.Len() > 0 {
		t.Fatalf("the process says %s%s", line[:n], rest)
	}
}

// checkWhole wants every chart to be one of its versions or, if it has never
// been written or is pruned, not there, and what is the user's to be there.
func checkWhole(t *testing.T, out string) {
	t.Helper()
	for _, name := range []string{"a", "b", "c"} {
		now := tree(t, filepath.Join(out, name))
		user := mine
		if name == "c" {
			user = nil
		}
		whole := len(now) == len(user) && reflect.DeepEqual(now, merge(user))
		for _, v := range versions {
			if reflect.DeepEqual(now, merge(v, user)) {
				whole = true
				checkRecord(t, filepath.Join(out, name), v)
			}
		}
		if !whole {
			t.Errorf("chart %s is neither old nor new: %v", name, now)
		}
	}
}
