//go:build unix

package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what has to come.
const patience = 60 * time.Second

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// running is a kai-run in a process of its own.
type running struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err output
	log      string // of the role logs
	dir      string
	done     chan struct{}
	seen     int // lines of the log
}

// kaiRun starts the test binary as kai-run over a store. Arguments after -- are
// a role and its arguments; LOG there is a file that running.line reads.
func kaiRun(t *testing.T, m *memory, args ...string) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), done: make(chan struct{})}
	r.log = filepath.Join(r.dir, "log")
	line := []string{"as", "kai-run", "--deployment=dev"}
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--var=") }) {
		line = append(line, "--app=a")
	}
	for i, arg := range args {
		if arg == "--" {
			line = append(append(line, "--", os.Args[0], "as"), args[i+1:]...)
			break
		}
		line = append(line, arg)
	}
	for i, arg := range line {
		line[i] = strings.ReplaceAll(arg, "LOG", r.log)
	}
	r.cmd = exec.Command(os.Args[0], line...)
	r.cmd.Dir = r.dir
	// The race detector waits for a second at each exit if it is not told.
	r.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "KAI_STORE_PATH="+m.serve(t), "KAI_VAULT_TOKEN=example-token", "KAIGARA_VAULT_TOKEN=example-token")
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.err
	r.cmd.WaitDelay = 5 * time.Second
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait()
		close(r.done)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-r.done:
		case <-time.After(10 * time.Second):
			_ = r.cmd.Process.Kill()
			<-r.done
		}
		if t.Failed() {
			raw, _ := os.ReadFile(r.log)
			t.Logf("stdout:\n%s\nstderr:\n%s\nlog:\n%s", tail(r.out.String()), tail(r.err.String()), tail(string(raw)))
		}
	})
	return r
}

func tail(text string) string { return text[max(0, len(text)-3000):] }

// exit waits for the end and gives the exit code.
func (r *running) exit() int {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Fatal("kai-run does not end")
	}
	status := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		r.t.Fatalf("kai-run has died of %v", status.Signal())
	}
	return status.ExitStatus()
}

func lines(name string) []string {
	raw, _ := os.ReadFile(name)
	text := string(raw)
	if end := strings.LastIndexByte(text, '\n'); end < 0 {
		return nil
	} else {
		return strings.Split(text[:end], "\n")
	}
}

// wait waits for a condition.
func wait(t *testing.T, what string, until func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !until(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// line waits for the next line of the log.
func (r *running) line() string {
	r.t.Helper()
	var all []string
	wait(r.t, "a line of the log", func() bool { all = lines(r.log); return len(all) > r.seen })
	r.seen++
	return all[r.seen-1]
}

// started waits for a start and gives the process and its N.
func (r *running) started() (pid int, n string) {
	r.t.Helper()
	text := r.line()
	if _, err := fmt.Sscanf(text, "start %d %s", &pid, &n); err != nil {
		r.t.Fatalf("the log says %q: %v", text, err)
	}
	return pid, n
}

func (r *running) send(sig syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

var quick = []string{"--watch", "--interval=5ms"}

func watching(args ...string) []string { return append(slices.Clone(quick), args...) }

func TestExec(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/db_url": "example-url", "dev/a/secret/kfile_k_path": "conf/key", "dev/a/secret/kfile_k_content": "a2V5"})
	r := kaiRun(t, m, "--", "env")
	if r.exit() != 0 {
		t.Fatal(r.err.String())
	}
	env := strings.Split(strings.TrimSpace(r.out.String()), "\n")
	if !slices.Contains(env, "DB_URL=example-url") {
		t.Errorf("the environment is %q", env)
	}
	for _, entry := range env {
		if strings.HasPrefix(entry, "KAI_") || strings.HasPrefix(entry, "KAIGARA_") || strings.HasPrefix(entry, "KFILE_") || strings.Contains(entry, "example-token") {
			t.Errorf("passed on: %s", entry)
		}
	}
	if got := tree(t, r.dir); got != "conf drwxr-x---\nconf/key -rw------- key" {
		t.Errorf("the files are\n%s", got)
	}
	if r.err.String() != "" {
		t.Errorf("stderr has %s", r.err.String())
	}

	r = kaiRun(t, m, "--", "pid")
	if r.exit() != 0 || strings.TrimSpace(r.out.String()) != strconv.Itoa(r.cmd.Process.Pid) {
		t.Errorf("kai-run was %d, its command %s", r.cmd.Process.Pid, r.out.String())
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/x": "1"})
	notExecutable := filepath.Join(t.TempDir(), "file")
	script := filepath.Join(t.TempDir(), "script")
	for name, mode := range map[string]os.FileMode{notExecutable: 0o600, script: 0o700} {
		if err := os.WriteFile(name, []byte("#!/nonexistent/interpreter\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"7":                   {[]string{"--", "exit", "7"}, 7},
		"7 watched":           {watching("--", "exit", "7"), 7},
		"7 cleaned up":        {[]string{"--cleanup", "--", "exit", "7"}, 7},
		"0 watched":           {watching("--", "exit", "0"), 0},
		"killed, watched":     {watching("--", "dies"), 137},
		"not found":           {[]string{"nonexistent-program"}, ExitNotFound},
		"not found, watched":  {watching("nonexistent-program"), ExitNotFound},
		"not executable":      {[]string{notExecutable}, ExitNotStarted},
		"no interpreter":      {[]string{script}, ExitNotFound},
		"interpreter watched": {watching(script), ExitNotFound},
		"flags":               {[]string{"--nonsense"}, ExitFailed},
		"help":                {[]string{"--help"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := kaiRun(t, m, c.args...)
			if got := r.exit(); got != c.want {
				t.Errorf("the exit code is %d, not %d", got, c.want)
			}
			if said := r.err.String(); (c.want >= ExitFailed && c.want <= ExitNotFound) != strings.HasPrefix(said, "kai-run: ") {
				t.Errorf("stderr has %q", said)
			}
		})
	}
}

func TestTooBig(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/x": "1", "dev/a/secret/huge": strings.Repeat("x", 4<<20)})
	for _, args := range [][]string{{"--", "exit", "0"}, watching("--", "exit", "0")} {
		r := kaiRun(t, m, args...)
		if got := r.exit(); got != ExitNotStarted || !strings.Contains(r.err.String(), "the biggest variable is HUGE with 4194309 bytes") {
			t.Errorf("got %d and %s", got, tail(r.err.String()))
		}
	}
}

func TestExplainStartsNothing(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/x": "example-1", "dev/a/secret/X": "example-2", "dev/a/secret/kfile_k_path": "f", "dev/a/secret/kfile_k_content": "a2V5"})
	r := kaiRun(t, m, "--explain", "--pristine", "--", "exit", "7")
	if got := r.exit(); got != 0 || r.out.String() != "X       dev/a/secret/X\nfile K  dev/a/secret/kfile_k_content\n" {
		t.Errorf("got %d and %s", got, r.out.String())
	}
	if said := r.err.String(); !strings.Contains(said, "warning: dev/a/secret/x and dev/a/secret/X differ by case alone") || strings.Contains(said, "example") {
		t.Errorf("stderr has %s", said)
	}
	if tree(t, r.dir) != "" {
		t.Error("files were written")
	}
	if r = kaiRun(t, m, "--explain"); r.exit() != 0 {
		t.Error("without a command it fails")
	}
}

// TestRestarts changes a value a hundred times; each change is seen, and no
// process is left.
func TestRestarts(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := kaiRun(t, m, watching("--", "logs", "LOG")...)
	var pids []int
	for i := range 101 {
		if i > 0 {
			m.set(t, "dev/a/secret/n", strconv.Itoa(i))
			if got := r.line(); got != "signal terminated" {
				t.Fatalf("at %d the log says %s", i, got)
			}
		}
		pid, n := r.started()
		if n != strconv.Itoa(i) {
			t.Fatalf("at %d N is %s", i, n)
		}
		pids = append(pids, pid)
	}
	for i, pid := range pids {
		if last := i == len(pids)-1; gone(pid) == last {
			t.Errorf("process %d of %d: gone is %v", i, len(pids), !last)
		}
	}
	r.send(syscall.SIGTERM)
	if got := r.exit(); got != 0 || !gone(pids[len(pids)-1]) {
		t.Errorf("the exit code is %d", got)
	}
}

// TestChangesDuringRestarts changes a value faster than the command ends.
func TestChangesDuringRestarts(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := kaiRun(t, m, "--watch", "--interval=1ms", "--", "logs", "LOG", "slow")
	r.started()
	for i := range 100 {
		m.set(t, "dev/a/secret/n", strconv.Itoa(i+1))
		time.Sleep(7 * time.Millisecond)
	}
	wait(t, "the last change", func() bool {
		all := lines(r.log)
		return strings.HasPrefix(all[len(all)-1], "start ") && strings.HasSuffix(all[len(all)-1], " 100")
	})
	before := -1
	for _, line := range lines(r.log) {
		var pid, n int
		if _, err := fmt.Sscanf(line, "start %d %d", &pid, &n); err == nil {
			if n <= before {
				t.Errorf("%d comes after %d", n, before)
			}
			before = n
		}
	}
}

// TestSameContent makes new versions of what is there: nothing happens.
func TestSameContent(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0", "dev/b/secret/n": "other app"})
	r := kaiRun(t, m, watching("--", "logs", "LOG")...)
	r.started()
	m.touch()
	m.set(t, "dev/b/secret/n", "changed")
	m.mu.Lock()
	reads := m.reads
	m.mu.Unlock()
	wait(t, "ten looks", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.reads > reads+10 })
	m.set(t, "dev/a/secret/n", "1")
	if got := r.line(); got != "signal terminated" {
		t.Errorf("the log says %s", got)
	}
	if _, n := r.started(); n != "1" {
		t.Errorf("restarted with %s", n)
	}
}

func TestStubborn(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := kaiRun(t, m, watching("--grace=200ms", "--", "logs", "LOG", "ignores", "forks")...)
	first, _ := r.started()
	var child int
	wait(t, "the grandchild", func() bool {
		all := lines(r.log + ".child")
		if len(all) > 0 {
			_, _ = fmt.Sscanf(all[0], "start %d", &child)
		}
		return child != 0
	})
	begin := time.Now()
	m.set(t, "dev/a/secret/n", "1")
	if got := r.line(); got != "signal terminated" {
		t.Fatalf("the log says %s", got)
	}
	if _, n := r.started(); n != "1" {
		t.Errorf("N is %s", n)
	}
	if took := time.Since(begin); took < 190*time.Millisecond {
		t.Errorf("killed after %v", took)
	}
	if !gone(first) || !gone(child) {
		t.Errorf("gone: %v, its child: %v", gone(first), gone(child))
	}
	if got := lines(r.log + ".child")[1]; got != "signal terminated" {
		t.Errorf("the grandchild has seen %s", got)
	}
	// Nobody but SIGKILL ends it: that is up to who has asked.
	r.send(syscall.SIGTERM)
	if got := r.line(); got != "signal terminated" {
		t.Errorf("the log says %s", got)
	}
	m.set(t, "dev/a/secret/n", "2") // who is to end is not restarted
	time.Sleep(100 * time.Millisecond)
	if all := lines(r.log); len(all) != r.seen {
		t.Errorf("then %s", all[r.seen:])
	}
	_ = r.cmd.Process.Kill()
	for _, name := range []string{r.log, r.log + ".child"} {
		for _, line := range lines(name) {
			var pid int
			if _, err := fmt.Sscanf(line, "start %d", &pid); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

func TestGrandchildrenGoWithTheCommand(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := kaiRun(t, m, watching("--grace=100ms", "--", "holds", "LOG")...)
	pid, _ := r.started()
	if got := r.exit(); got != 3 || !gone(pid) {
		t.Errorf("the exit code is %d; gone is %v", got, gone(pid))
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	for name, args := range map[string][]string{"exec": nil, "watch": watching(), "cleanup": {"--cleanup"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := kaiRun(t, m, append(slices.Clone(args), "--", "logs", "LOG", "seven")...)
			r.started()
			for sig, want := range map[syscall.Signal]string{syscall.SIGUSR1: "signal user defined signal 1", syscall.SIGINT: "signal interrupt"} {
				r.send(sig)
				if got := r.line(); got != want {
					t.Errorf("the log says %s, not %s", got, want)
				}
			}
			r.send(syscall.SIGTERM)
			if got := r.exit(); got != 7 {
				t.Errorf("the exit code is %d", got)
			}
			if all := lines(r.log); len(all) != 4 || all[3] != "signal terminated" {
				t.Errorf("the log is %q", all)
			}
			// One that it does not handle ends it, and is told as 128+n.
			if name != "exec" {
				r = kaiRun(t, m, append(slices.Clone(args), "--", "sleeps", "LOG")...)
				r.line()
				r.send(syscall.SIGTERM)
				if got := r.exit(); got != 128+int(syscall.SIGTERM) {
					t.Errorf("the exit code is %d", got)
				}
			}
		})
	}
}

func TestSignalDuringARestart(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := kaiRun(t, m, watching("--grace=1s", "--", "logs", "LOG", "ignores")...)
	r.started()
	m.set(t, "dev/a/secret/n", "1")
	if got := r.line(); got != "signal terminated" {
		t.Fatal(got)
	}
	r.send(syscall.SIGUSR1)
	r.send(syscall.SIGTERM)
	if got := r.exit(); got != 137 {
		t.Errorf("the exit code is %d", got)
	}
	if all := lines(r.log); slices.ContainsFunc(all[1:], func(s string) bool { return strings.HasPrefix(s, "start") }) {
		t.Errorf("it was started again: %q", all)
	}
}

// TestReaping leaves orphans to kai-run, as in a container all are left to
// process 1.
func TestReaping(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("orphans are process 1's here")
	}
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := kaiRun(t, m, watching("--", "leaves", "LOG")...)
	command, _ := r.started()
	var orphans []string
	wait(t, "two orphans", func() bool { orphans = lines(r.log + ".orphans"); return len(orphans) == 2 })
	for _, line := range orphans {
		var pid, parent int
		if _, err := fmt.Sscanf(line, "orphan %d %d", &pid, &parent); err != nil || parent != r.cmd.Process.Pid {
			t.Errorf("%s, and kai-run is %d", line, r.cmd.Process.Pid)
		}
		wait(t, "an orphan to be reaped", func() bool { return gone(pid) })
	}
	if gone(command) {
		t.Error("the command is gone")
	}
}

func TestOnChangeSignal(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0", "dev/a/secret/kfile_k_path": "key", "dev/a/secret/kfile_k_content": "b2xk"})
	r := kaiRun(t, m, watching("--cleanup", "--on-change=signal:USR1", "--", "logs", "LOG")...)
	pid, _ := r.started()
	m.set(t, "dev/a/secret/kfile_k_content", "bmV3")
	if got := r.line(); got != "signal user defined signal 1" {
		t.Errorf("the log says %s", got)
	}
	if raw, err := os.ReadFile(filepath.Join(r.dir, "key")); string(raw) != "new" {
		t.Errorf("the file is %s, %v", raw, err)
	}
	m.set(t, "dev/a/secret/kfile_k_path", "elsewhere")
	if got := r.line(); got != "signal user defined signal 1" {
		t.Errorf("the log says %s", got)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "key")); err == nil {
		t.Error("the old file is there")
	}
	if gone(pid) {
		t.Error("the command is gone")
	}
	r.send(syscall.SIGTERM)
	if r.exit() != 0 {
		t.Error(r.err.String())
	}
	if got := tree(t, r.dir); strings.Contains(got, "elsewhere") {
		t.Errorf("left: %s", got)
	}
}

func TestOnChangeExec(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	hook := filepath.Join(t.TempDir(), "hook")
	r := kaiRun(t, m, watching("--on-change=exec:"+os.Args[0]+" as logs "+hook, "--", "logs", "LOG")...)
	pid, _ := r.started()
	m.set(t, "dev/a/secret/n", "1")
	var first int
	var n string
	wait(t, "the hook", func() bool {
		all := lines(hook)
		if len(all) > 0 {
			_, _ = fmt.Sscanf(all[0], "start %d %s", &first, &n)
		}
		return first != 0
	})
	if n != "1" {
		t.Errorf("the hook has %s", n)
	}
	m.set(t, "dev/a/secret/n", "2") // while it runs: it is run again after
	time.Sleep(100 * time.Millisecond)
	if all := lines(hook); len(all) != 1 {
		t.Errorf("the hook: %q", all)
	}
	_ = syscall.Kill(first, syscall.SIGTERM)
	wait(t, "the hook again", func() bool {
		return slices.ContainsFunc(lines(hook), func(s string) bool {
			return strings.HasPrefix(s, "start ") && strings.HasSuffix(s, " 2")
		})
	})
	r.send(syscall.SIGTERM)
	if r.exit() != 0 || !gone(pid) {
		t.Error("it does not end")
	}
	if strings.Contains(strings.Join(lines(r.log), " "), "hangup") || len(lines(r.log)) != 2 {
		t.Errorf("the command has seen %q", lines(r.log))
	}
	last := lines(hook)[len(lines(hook))-1]
	var second int
	_, _ = fmt.Sscanf(last, "start %d", &second)
	wait(t, "the hook to be killed", func() bool { return gone(second) })
}

func TestOnChangeNone(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0", "dev/global/secret/g": "0", "dev/a/secret/kfile_k_path": "key", "dev/a/secret/kfile_k_content": "b2xk"})
	r := kaiRun(t, m, watching("--on-change=none", "--", "logs", "LOG")...)
	pid, _ := r.started()
	m.set(t, "dev/a/secret/kfile_k_content", "bmV3")
	wait(t, "the file", func() bool { raw, _ := os.ReadFile(filepath.Join(r.dir, "key")); return string(raw) == "new" })
	if gone(pid) || len(lines(r.log)) != 1 {
		t.Errorf("the command has seen %q", lines(r.log))
	}
}

func TestGlobalThatIsNotWatched(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/x": "0", "dev/global/secret/n": "0"})
	r := kaiRun(t, m, watching("--no-watch-global", "--", "logs", "LOG")...)
	r.started()
	m.set(t, "dev/global/secret/n", "1")
	time.Sleep(100 * time.Millisecond)
	if all := lines(r.log); len(all) != 1 {
		t.Errorf("the log is %q", all)
	}
	m.set(t, "dev/a/secret/x", "1")
	r.line()
	if _, n := r.started(); n != "1" {
		t.Errorf("restarted with an old global: %s", n)
	}
}

// TestBadChange stores what cannot be used: the command goes on as it is, until
// it can.
func TestBadChange(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0", "dev/a/secret/kfile_k_path": "key", "dev/a/secret/kfile_k_content": "b2xk"})
	r := kaiRun(t, m, watching("--", "logs", "LOG")...)
	r.started()
	said := func(what string) { wait(t, what, func() bool { return strings.Contains(r.err.String(), what) }) }
	m.set(t, "dev/a/secret/n", "1")
	r.line()
	pid, _ := r.started()
	m.set(t, "dev/a/secret/zero", "example-canary\x00")
	said("going on as it is: dev/a/secret/zero: a variable cannot hold a zero byte")
	m.set(t, "dev/a/secret/zero", nil)
	said("what the store holds can be used again")
	if strings.Contains(r.err.String(), "the store answers again") {
		t.Error("it says that the store was away")
	}
	if err := os.Mkdir(filepath.Join(r.dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.set(t, "dev/a/secret/kfile_k_path", "dir")
	said("going on as it is: the file K of dev/a/secret/kfile_k_content cannot be written: ")
	if gone(pid) || len(lines(r.log)) != r.seen {
		t.Errorf("the log is %q", lines(r.log))
	}
	if err := os.Remove(filepath.Join(r.dir, "dir")); err != nil {
		t.Fatal(err)
	}
	r.line()
	if _, n := r.started(); n != "1" {
		t.Errorf("N is %s", n)
	}
	if strings.Contains(r.err.String(), "canary") {
		t.Error("a value is said")
	}
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := kaiRun(t, m, watching("--", "logs", "LOG")...)
	pid, _ := r.started()
	m.fail(errors.New("away"))
	wait(t, "a word", func() bool { return strings.Contains(r.err.String(), "going on as it is: the store says 503") })
	time.Sleep(100 * time.Millisecond)
	if gone(pid) || strings.Count(r.err.String(), "going on") != 1 {
		t.Errorf("gone: %v; said: %s", gone(pid), r.err.String())
	}
	m.mu.Lock()
	m.fault = nil
	m.mu.Unlock()
	m.set(t, "dev/a/secret/n", "1")
	r.line()
	if _, n := r.started(); n != "1" {
		t.Errorf("N is %s", n)
	}
}

func TestStoreAwayAtTheStart(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	m.fail(errors.New("away"))
	begin := time.Now()
	r := kaiRun(t, m, "--retry=600ms", "--", "exit", "0")
	if got := r.exit(); got != ExitFailed || !strings.Contains(r.err.String(), "kai-run: asking again: the store says 503\nkai-run: the store says 503\n") {
		t.Errorf("got %d and %s", got, r.err.String())
	}
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("gave up after %v", took)
	}
	// It comes back.
	r = kaiRun(t, m, "--retry=60s", "--", "exit", "3")
	wait(t, "a word", func() bool { return strings.Contains(r.err.String(), "asking again") })
	m.fail(nil)
	if got := r.exit(); got != 3 {
		t.Errorf("got %d", got)
	}
	// Asked to end, it ends.
	m.fail(errors.New("away"))
	r = kaiRun(t, m, "--retry=60s", "--", "exit", "3")
	wait(t, "a word", func() bool { return strings.Contains(r.err.String(), "asking again") })
	r.send(syscall.SIGTERM)
	if got := r.exit(); got != 143 {
		t.Errorf("got %d", got)
	}
}

func TestStartsWithTheCopy(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("0f", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := watching("--retry=0s", "--offline-ok="+filepath.Join(dir, "copy"), "--offline-key-file="+key, "--", "logs", "LOG")
	m.fail(errors.New("away"))
	r := kaiRun(t, m, flags...)
	if got := r.exit(); got != ExitFailed || !strings.Contains(r.err.String(), "there is no copy") {
		t.Errorf("got %d and %s", got, r.err.String())
	}
	m.fail(nil)
	r = kaiRun(t, m, flags...)
	r.started()
	m.set(t, "dev/a/secret/n", "1")
	r.line()
	r.started()
	r.send(syscall.SIGTERM)
	r.exit()
	m.fail(errors.New("away"))
	r = kaiRun(t, m, flags...)
	if _, n := r.started(); n != "1" {
		t.Errorf("the copy has %s", n)
	}
	if !strings.Contains(r.err.String(), "warning: starting with the copy of 20") {
		t.Errorf("said: %s", r.err.String())
	}
	m.fail(nil)
	m.set(t, "dev/a/secret/n", "2")
	r.line()
	if _, n := r.started(); n != "2" {
		t.Errorf("N is %s", n)
	}
}

// TestCredentialsAreNotToBeRead looks at kai-run as its command can.
func TestCredentialsAreNotToBeRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("no /proc")
	}
	m := stored(t, map[string]any{"dev/a/secret/n": "example-canary"})
	r := kaiRun(t, m, watching("--", "logs", "LOG")...)
	r.started()
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 0 {
		t.Errorf("the environment of kai-run is to be read by user %d", stat.Uid)
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", r.cmd.Process.Pid))
	if err != nil || strings.Contains(string(raw), "canary") || strings.Contains(string(raw), "example-token") {
		t.Errorf("the command line is %q, %v", raw, err)
	}
}

func TestKilledKaiRun(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the command is not told here")
	}
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	r := kaiRun(t, m, watching("--", "logs", "LOG")...)
	pid, _ := r.started()
	_ = r.cmd.Process.Kill()
	if got := r.line(); got != "signal terminated" {
		t.Errorf("the log says %s", got)
	}
	wait(t, "the command to end", func() bool { return gone(pid) })
}

// TestContext ends a run by its context alone.
func TestContext(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/a/secret/n": "0"})
	m.fail(errors.New("away"))
	ctx, cancel := context.WithCancel(t.Context())
	from := &origin{config: Config{Deployment: "dev", Scopes: []string{"secret"}, Retry: time.Hour}, world: World{Stderr: os.Stderr}, store: m}
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := from.first(ctx); err == nil {
		t.Error("no error")
	}
	m.fail(nil)
	r := kaiRun(t, m, watching("--", "logs", "LOG")...)
	r.started()
	r.send(syscall.SIGALRM) // the role's word for the end of its context
	if got := r.exit(); got != 0 || !strings.Contains(r.err.String(), "kai-run: stopped: context canceled") {
		t.Errorf("got %d and %s", got, r.err.String())
	}
	if got := r.line(); got != "signal terminated" {
		t.Errorf("the log says %s", got)
	}
}
