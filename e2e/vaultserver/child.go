//go:build unix

package vaultserver

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a process that runs, or has run.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // what it ended with; valid once done is closed
}

// begin starts a process, whose output is appended to the log.
func begin(dir, log string, env []string, args ...string) (*child, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = dir, env, file, file, attributes()
	c := &child{cmd: cmd, done: make(chan struct{})}
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
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, <-started
}

// end sends the signal, and SIGKILL to who does not mind it in time. It is an error if the process had ended before.
func (c *child) end(signal syscall.Signal) error {
	select {
	case <-c.done:
		return fmt.Errorf("vault had ended already: %w", c.exit())
	default:
	}
	// What goes wrong here is that the process ends by itself just now, which comes to the same.
	_ = c.cmd.Process.Signal(signal)
	select {
	case <-c.done:
	case <-time.After(endWithin):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	return nil
}

// exit is how the process ended, never nil.
func (c *child) exit() error {
	if c.err != nil {
		return c.err
	}
	return fmt.Errorf("%s", c.cmd.ProcessState)
}
