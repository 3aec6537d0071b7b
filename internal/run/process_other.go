//go:build !unix

package run

import (
	"os"
	"os/signal"
	"syscall"
)

// canReplace says that a command cannot take the place of our process.
const canReplace = false

// renamesOpen says that a file cannot be renamed while it is open.
const renamesOpen = false

func replace(string, []string, []string) error { return syscall.EINVAL }

// tooBig is not told apart here.
func tooBig(error) bool { return false }

// lock says no: files are not locked here, and what killed runs have left stays.
func lock(*os.File) bool { return false }

// signalByName knows the one signal that can be sent here.
func signalByName(name string) (syscall.Signal, bool) { return syscall.SIGKILL, name == "KILL" }

func ends(sig os.Signal) int {
	switch sig {
	case os.Interrupt:
		return 2
	case syscall.SIGTERM:
		return 15
	}
	return 0
}

func endsRestart(sig os.Signal) bool { return ends(sig) != 0 }

func endsAlways(sig os.Signal) bool { return sig == syscall.SIGTERM }

// forwards says no: the console has told the command as well.
func forwards(os.Signal) bool { return false }

type listener struct{ all chan os.Signal }

func listen() *listener {
	l := &listener{make(chan os.Signal, 8)}
	signal.Notify(l.all, os.Interrupt, syscall.SIGTERM)
	return l
}

// everything does nothing: there are no other signals.
func (l *listener) everything() {}

func (l *listener) stop() int {
	signal.Stop(l.all)
	select {
	case sig := <-l.all:
		return ends(sig)
	default:
		return 0
	}
}

type processes struct{}

func newProcesses(World) *processes { return &processes{} }

func (*processes) close() {}

func (*processes) released() {}

type process struct {
	os   *os.Process
	done <-chan int
}

func (*processes) start(program string, argv, environ []string, w World, command bool) (*process, error) {
	files := []*os.File{w.Stdin, w.Stdout, w.Stderr}
	if !command {
		files = []*os.File{nil, w.Stderr, w.Stderr}
	}
	started, err := os.StartProcess(program, argv, &os.ProcAttr{Env: environ, Files: files})
	if err != nil {
		return nil, err
	}
	done := make(chan int, 1)
	go func() {
		state, err := started.Wait()
		if err != nil {
			done <- ExitFailed
			return
		}
		done <- state.ExitCode()
	}()
	return &process{started, done}, nil
}

func (c *process) signal(sig os.Signal) { _ = c.os.Signal(sig) }

// terminate kills: there is no milder way here.
func (c *process) terminate() { c.kill() }

func (c *process) kill() { _ = c.os.Kill() }

// alive says no where the command has ended: there are no groups.
func (c *process) alive() bool { return c.done != nil }
