//go:build unix

// Package child runs the servers that the tests start: none outlives the tests, each is ended by its own process.
package child

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Command says what is run.
type Command struct {
	Args []string
	Dir  string
	Env  []string // nil is this process's
	Log  string   // file that the output is appended to
	// Owner is who runs it, nil for who runs the tests.
	Owner *syscall.Credential
	// Group says that it starts others, which end with it, however it ends.
	Group bool
}

// Process is one that runs, or has run.
type Process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // what it ended with; valid once done is closed
}

// Start starts a process.
func Start(c Command) (*Process, error) {
	file, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = c.Dir, c.Env, file, file, attributes(c.Owner)
	cmd.SysProcAttr.Setpgid = c.Group
	p := &Process{name: filepath.Base(c.Args[0]), cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer file.Close()
		// Linux takes the end of the thread that started a child for the end of its parent, so this one stays.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		if c.Group {
			// It is an error where there were no others.
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		close(p.done)
	}()
	return p, <-started
}

// PID is the process's id, and where it has a group of its own that one's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended says whether the process is no more.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// End sends the signal, and SIGKILL to who does not mind it in time. It is an error if the process had ended before.
func (p *Process) End(signal syscall.Signal, within time.Duration) error {
	if p.Ended() {
		return fmt.Errorf("%s had ended already: %w", p.name, p.Exit())
	}
	// What goes wrong here is that the process ends by itself just now, which comes to the same.
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.done:
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return nil
}

// Exit is how the process ended, never nil.
func (p *Process) Exit() error {
	if p.err != nil {
		return p.err
	}
	return fmt.Errorf("%s", p.cmd.ProcessState)
}
