//go:build unix

package controlplane

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// patience is how long a process may take to end by itself.
const patience = 15 * time.Second

// process is a child that runs, or has run.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // what it ended with; valid once done is closed
}

// start starts a process, whose output is appended to the log.
func start(dir, log, path string, args ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = dir, file, file, childAttributes()
	p := &process{name: filepath.Base(path), cmd: cmd, done: make(chan struct{})}
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
		close(p.done)
	}()
	return p, <-started
}

// ended says whether the process is no more.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end sends the signal, and SIGKILL to who does not mind it. It is an error if the process had ended before.
func (p *process) end(signal syscall.Signal) error {
	if p.ended() {
		return fmt.Errorf("%s had ended already: %w", p.name, p.exit())
	}
	// What goes wrong here is that the process ends by itself just now, which comes to the same.
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return nil
}

// exit is how the process ended, never nil.
func (p *process) exit() error {
	if p.err != nil {
		return p.err
	}
	return fmt.Errorf("%s", p.cmd.ProcessState)
}
