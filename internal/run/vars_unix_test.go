//go:build unix

package run

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestVarsOfACommand: what is named is set, what Kubernetes left is expanded, and
// no other process than the command has any of it.
func TestVarsOfACommand(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/one/secret/token": "example-1", "dev/global/secret/license": "example-2", "dev/one/secret/more": "example-3"})
	var out, stderr bytes.Buffer
	cmd := exec.Command(os.Args[0], "as", "kai-run", "--", os.Args[0], "as", "words", "$(TOKEN)", "$$(TOKEN)", "$(OTHER)")
	cmd.Env = []string{
		"GORACE=atexit_sleep_ms=0", "KAI_STORE_PATH=" + m.serve(t), "KAI_DEPLOYMENT=dev", "KAI_VARS=TOKEN=one.secret.token\nLICENSE=one.secret.license",
		"URL=https://x:$(TOKEN)@example.com/$(OTHER)", "KAI_CREDENTIAL_X=passed to nobody",
	}
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	const want = "example-1|$(TOKEN)|$(OTHER)\nGORACE=atexit_sleep_ms=0\nLICENSE=example-2\nTOKEN=example-1\nURL=https://x:example-1@example.com/$(OTHER)\n"
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
	for name, test := range map[string]struct{ vars, want string }{
		"nowhere": {"A=one.secret.a,B=one.secret.token,C=two.public.c", "kai-run: A: there is neither dev/one/secret/a nor dev/global/secret/a\nkai-run: C: there is neither dev/two/public/c nor dev/global/public/c\n"},
		"no key":  {"A=one.secret", "kai-run: --var: A: the place is not that of one key\n  hint: write APP.SCOPE.KEY; one that is called all stands in double quotes\n"},
	} {
		r := kaiRun(t, m, "--var="+test.vars, "--", "logs", "LOG")
		if got := r.exit(); got != ExitFailed || r.err.String() != test.want {
			t.Errorf("%s: got %d and\n%s", name, got, r.err.String())
		}
		if _, err := os.Stat(r.log); err == nil {
			t.Errorf("%s: it was started", name)
		}
	}
}

func TestWatchedVars(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/one/secret/n": "0", "dev/one/secret/other": "x", "dev/global/secret/shared": "x"})
	r := kaiRun(t, m, watching("--var=N=one.secret.n", "--var=S=one.secret.shared", "--", "logs", "LOG$(N)")...)
	log := r.log
	r.log = log + "0" // the words of the command are expanded anew with each start
	if _, n := r.started(); n != "0" {
		t.Errorf("N is %s", n)
	}
	reads := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.reads
	}
	m.set(t, "dev/one/secret/other", "y") // nobody asked for it
	before := reads()
	wait(t, "another look", func() bool { return reads() > before+4 })
	if got := lines(r.log); len(got) != 1 {
		t.Fatalf("the log says %q", got)
	}
	m.set(t, "dev/one/secret/n", "1")
	if got := r.line(); got != "signal terminated" {
		t.Errorf("the log says %s", got)
	}
	r.log, r.seen = log+"1", 0
	if _, n := r.started(); n != "1" {
		t.Errorf("N is %s", n)
	}
	// What is gone does not end a command that runs.
	m.set(t, "dev/one/secret/n", nil)
	wait(t, "a word", func() bool {
		return strings.Contains(r.err.String(), "going on as it is: N: there is neither dev/one/secret/n nor dev/global/secret/n")
	})
	// The app's own comes before what global has.
	m.set(t, "dev/one/secret/n", "1")
	m.set(t, "dev/one/secret/shared", "own")
	if got := r.line(); got != "signal terminated" {
		t.Errorf("the log says %s", got)
	}
	r.started()
	r.send(syscall.SIGTERM)
	r.exit()
}

func TestVarsWithTheCopy(t *testing.T) {
	t.Parallel()
	m := stored(t, map[string]any{"dev/one/secret/token": "example-1", "dev/global/public/host": "example-2"})
	copied := filepath.Join(t.TempDir(), "copy")
	args := []string{"--var=TOKEN=one.secret.token", "--var=HOST=one.public.host", "--retry=0s", "--offline-ok=" + copied, "--offline-key-file=" + filepath.Join(filepath.Dir(copied), "key"), "--", "words", "$(TOKEN) $(HOST)"}
	if err := os.WriteFile(filepath.Join(filepath.Dir(copied), "key"), bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := kaiRun(t, m, args...)
		if got := r.exit(); got != 0 || !strings.HasPrefix(r.out.String(), "example-1 example-2\n") {
			t.Fatalf("got %d and %s%s", got, r.out.String(), r.err.String())
		}
		m.fail(errors.New("away"))
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := filepath.Join(dir, "program")
	if err := os.WriteFile(to, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	install := func(args ...string) (string, error) {
		cmd := exec.Command(os.Args[0], append([]string{"as", "kai-run"}, args...)...)
		cmd.Env = []string{"GORACE=atexit_sleep_ms=0"} // no store, and no deployment
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{{"--install", to}, {"--install=" + to}} {
		if out, err := install(args...); err != nil || out != "" {
			t.Fatalf("%v: %s", err, out)
		}
		info, err := os.Stat(to)
		if err != nil || info.Mode() != 0o755 {
			t.Errorf("it is %v, %v", info.Mode(), err)
		}
	}
	if out, err := exec.Command(to, "as", "words", "runs").Output(); err != nil || !strings.HasPrefix(string(out), "runs\n") {
		t.Errorf("the copy says %s, %v", out, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("it leaves %v", entries)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--install"}, "kai-run: --install has no path\n"},
		{[]string{"--install="}, "kai-run: --install has no path\n"},
		{[]string{"--install", filepath.Join(dir, "none", "kai-run")}, "no such file or directory\n  hint: the folder has to be there\n"},
		{[]string{"--install", to, "--watch"}, "kai-run: there is no flag --install\n"},
	} {
		out, err := install(test.args...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != ExitFailed || !strings.Contains(out, test.want) {
			t.Errorf("%v: %v: %s", test.args, err, out)
		}
	}
}
