package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// console is a terminal: what a user sees and types on, and what kai has.
type console struct {
	user, program *os.File

	mu   sync.Mutex
	seen bytes.Buffer
}

func newConsole(t *testing.T) *console {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there is no terminal to be had: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	c := &console{user: user, program: program}
	t.Cleanup(func() { _ = errors.Join(program.Close(), user.Close()) })
	go func() {
		some := make([]byte, 4096)
		for {
			n, err := user.Read(some)
			c.mu.Lock()
			c.seen.Write(some[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.String()
}

// await waits until a text is seen n times.
func (c *console) await(t *testing.T, text string, n int) {
	t.Helper()
	for range 1000 {
		if strings.Count(c.text(), text) >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%q is not on the terminal, where there is %q", text, c.text())
}

// silent waits until the terminal does not show what is typed.
func (c *console) silent(t *testing.T) {
	t.Helper()
	for range 1000 {
		if s, err := unix.IoctlGetTermios(int(c.program.Fd()), unix.TCGETS); err == nil && s.Lflag&unix.ECHO == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the terminal shows what is typed")
}

// newSecretsApp gives a workspace of one context, and kai in it.
func newSecretsApp(t *testing.T, c *console) *app {
	dir := t.TempDir()
	writeExampleFile(t, filepath.Join(dir, "kai-workspace.yaml"), "apiVersion: kai/v1\nname: shop\nservices: []\ncontexts: [{name: dev}]\n")
	env := map[string]string{"XDG_CONFIG_HOME": filepath.Join(dir, "config")}
	return &app{
		stdin: c.program, stdout: c.program, stderr: c.program, as: "kai",
		getenv: func(name string) string { return env[name] },
		getwd:  func() (string, error) { return dir, nil },
	}
}

// TestSecretsOnATerminal types a value that is never shown, and looks at it: it is
// masked until --reveal asks for it.
func TestSecretsOnATerminal(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	a := newSecretsApp(t, c)
	done := make(chan int, 1)
	go func() { done <- a.execute(t.Context(), []string{"secrets", "set", "carts.secret.db_password"}) }()
	for i, prompt := range []string{"carts.secret.db_password: ", "once more: "} {
		c.await(t, prompt, 1)
		c.silent(t)
		if _, err := c.user.WriteString("canary-typed\n"); err != nil {
			t.Fatal(i, err)
		}
	}
	if code := <-done; code != exitDone {
		t.Fatalf("exit code %d: %s", code, c.text())
	}
	c.await(t, "carts.secret.db_password added", 1)
	for _, args := range [][]string{{"get", "carts.secret.db_password"}, {"get", "carts.secret.db_password", "-o", "json"}, {"export"}} {
		if code := a.execute(t.Context(), append([]string{"secrets"}, args...)); code != exitDone {
			t.Fatalf("%v: exit code %d: %s", args, code, c.text())
		}
	}
	c.await(t, "[masked]", 3)
	if strings.Contains(c.text(), "canary") {
		t.Fatalf("the value is on the terminal: %q", c.text())
	}
	for i, args := range [][]string{{"get", "carts.secret.db_password", "--reveal"}, {"export", "--reveal"}} {
		if code := a.execute(t.Context(), append([]string{"secrets"}, args...)); code != exitDone {
			t.Fatalf("%v: exit code %d: %s", args, code, c.text())
		}
		c.await(t, "canary-typed", i+1)
	}
}

// TestInterruptedPrompt has the terminal show again what is typed after Ctrl-C.
func TestInterruptedPrompt(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	a := newSecretsApp(t, c)
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() { done <- a.execute(ctx, []string{"secrets", "set", "carts.secret.db_password"}) }()
	c.await(t, "carts.secret.db_password: ", 1)
	c.silent(t)
	interrupt()
	if code := <-done; code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	s, err := unix.IoctlGetTermios(int(c.program.Fd()), unix.TCGETS)
	if err != nil || s.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal stays silent (%v)", err)
	}
	// Who reads it still, ends before the terminal does.
	if _, err := c.user.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if n, err := unix.IoctlGetInt(int(c.program.Fd()), unix.TIOCINQ); err != nil || n == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestEndedPrompt types Ctrl-D, or Ctrl-C, in the place of a value: the command ends,
// and nothing is written. What is typed wrongly can be taken back.
func TestEndedPrompt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typed []string
		code  int
		says  string
	}{
		{[]string{"\x04"}, exitFailed, "the input ended before a value was typed, and nothing was written"},
		{[]string{"canary\n", "\x04"}, exitFailed, "the input ended before a value was typed, and nothing was written"},
		{[]string{"\x03"}, exitInterrupted, "kai: interrupted"},
		{[]string{"canary-\x15canary-é\x7f\x04\n", "canary-\n"}, exitDone, "carts.secret.db_password added"},
	} {
		console := newConsole(t)
		a := newSecretsApp(t, console)
		done := make(chan int, 1)
		go func() { done <- a.execute(t.Context(), []string{"secrets", "set", "carts.secret.db_password"}) }()
		prompts := []string{"carts.secret.db_password: ", "once more: "}
		for i, text := range c.typed {
			console.await(t, prompts[i], 1)
			console.silent(t)
			if _, err := console.user.WriteString(text); err != nil {
				t.Fatal(err)
			}
		}
		if code := <-done; code != c.code {
			t.Errorf("%q: exit code %d", c.typed, code)
		}
		console.await(t, c.says, 1)
		if s, err := unix.IoctlGetTermios(int(console.program.Fd()), unix.TCGETS); err != nil || s.Lflag&unix.ECHO == 0 {
			t.Errorf("%q: the terminal stays silent (%v)", c.typed, err)
		}
	}
}
