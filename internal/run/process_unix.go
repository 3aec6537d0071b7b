//go:build unix

package run

import (
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// canReplace says that a command can take the place of our process.
const canReplace = true

// renamesOpen says that a file can be renamed while it is open.
const renamesOpen = true

// replace gives our process to a program. It returns only if that fails.
func replace(program string, argv, environ []string) error {
	return syscall.Exec(program, argv, environ)
}

// tooBig says whether a program was not started for the size of its environment.
func tooBig(err error) bool { return errors.Is(err, syscall.E2BIG) }

// lock says whether nobody else has a lock on a file. It ends with the file, and
// with the process.
func lock(file *os.File) bool {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// signalByName gives a signal by its name without SIG.
func signalByName(name string) (syscall.Signal, bool) {
	sig := unix.SignalNum("SIG" + name)
	return sig, sig != 0
}

// ends gives the number of a signal that asks a process to end, else 0.
func ends(sig os.Signal) int {
	switch sig {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM:
		return int(sig.(syscall.Signal))
	}
	return 0
}

// endsRestart says whether a signal during a restart means that the command is
// not to be started again. SIGHUP may ask for new settings, which a start gives.
func endsRestart(sig os.Signal) bool { return sig != syscall.SIGHUP && ends(sig) != 0 }

// endsAlways says whether a signal that a command has got means that it is not
// to be started again, though it may go on for a while.
func endsAlways(sig os.Signal) bool { return sig == syscall.SIGTERM }

// forwards says whether a signal is meant for the command: not those that the
// kernel and the runtime send us.
func forwards(sig os.Signal) bool { return sig != syscall.SIGPIPE }

// listener takes the signals that reach us.
type listener struct{ all chan os.Signal }

// listen begins to take the signals that ask us to end. One that is ignored stays
// ignored, by the command too.
func listen() *listener {
	l := &listener{make(chan os.Signal, 64)}
	l.take(func(n syscall.Signal) bool { return ends(n) != 0 })
	return l
}

// everything takes the other signals as well, which a command below us is to get.
// Each costs a thread's turn, so a command that takes our place does without.
func (l *listener) everything() {
	l.take(func(n syscall.Signal) bool {
		switch n {
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGPROF:
			return false
		}
		return true
	})
}

func (l *listener) take(wanted func(syscall.Signal) bool) {
	var take []os.Signal
	for n := syscall.Signal(1); n <= 64; n++ {
		if wanted(n) && !signal.Ignored(n) {
			take = append(take, n)
		}
	}
	if len(take) > 0 { // none would mean all
		signal.Notify(l.all, take...)
	}
}

// stop ends it and gives the number of a signal to end that nobody has seen.
func (l *listener) stop() int {
	signal.Stop(l.all)
	for {
		select {
		case sig := <-l.all:
			if n := ends(sig); n != 0 {
				return n
			}
		default:
			return 0
		}
	}
}

// processes starts processes and takes what they leave: it waits for every child
// that we have, also those that others have left to us.
type processes struct {
	mu    sync.Mutex // held while a child is started, so that it is known when it ends
	known map[int]chan<- int
	woken chan os.Signal
	quit  chan struct{}
	over  chan struct{}
	tty   *terminal
}

func newProcesses(w World) *processes {
	adopt()
	p := &processes{
		known: map[int]chan<- int{}, woken: make(chan os.Signal, 1),
		quit: make(chan struct{}), over: make(chan struct{}), tty: newTerminal(w.Stdin),
	}
	signal.Notify(p.woken, syscall.SIGCHLD)
	go func() {
		defer close(p.over)
		for {
			select {
			case <-p.woken:
				for p.reap() {
				}
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

func (p *processes) close() {
	signal.Stop(p.woken)
	close(p.quit)
	<-p.over
}

// reap waits for a child that has ended or stopped, and says whether there was
// one.
func (p *processes) reap() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG|p.tty.waits(), nil)
	if err == syscall.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	done := p.known[pid]
	switch {
	case status.Stopped():
		if done != nil {
			p.tty.suspend(pid)
		}
	case done != nil:
		delete(p.known, pid)
		exit := status.ExitStatus()
		if status.Signaled() {
			exit = 128 + int(status.Signal())
		}
		done <- exit
	}
	return true
}

// process is a process that leads a group.
type process struct {
	pid  int
	done <-chan int // gives its exit code, once
}

// start starts a program as the leader of a group. The command itself has the
// terminal, if we have it.
func (p *processes) start(program string, argv, environ []string, w World, command bool) (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	files := []uintptr{w.Stdin.Fd(), w.Stdout.Fd(), w.Stderr.Fd()}
	if !command { // what it prints is no output of the command's
		null, err := os.Open(os.DevNull)
		if err != nil {
			return nil, err
		}
		defer func() { _ = null.Close() }()
		files = []uintptr{null.Fd(), w.Stderr.Fd(), w.Stderr.Fd()}
	}
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{Env: environ, Files: files, Sys: attributes()})
	if err != nil {
		return nil, err
	}
	done := make(chan int, 1)
	p.known[pid] = done
	if command {
		p.tty.give(pid)
	}
	return &process{pid: pid, done: done}, nil
}

// released says that the command is gone, so that the terminal is ours.
func (p *processes) released() { p.tty.take() }

func (c *process) signal(sig os.Signal) {
	if number, ok := sig.(syscall.Signal); ok {
		_ = syscall.Kill(-c.pid, number)
	}
}

// terminate asks the group to end; what is stopped has to go on for it.
func (c *process) terminate() {
	c.signal(syscall.SIGTERM)
	c.signal(syscall.SIGCONT)
}

func (c *process) kill() { c.signal(syscall.SIGKILL) }

// alive says whether anybody is in the group.
func (c *process) alive() bool { return syscall.Kill(-c.pid, 0) != syscall.ESRCH }

// terminal is the terminal that we were started in the foreground of; nil is
// none. A group of its own can only read it in the foreground.
type terminal struct {
	fd    int
	group int // ours
}

func newTerminal(stdin *os.File) *terminal {
	fd := int(stdin.Fd())
	group := unix.Getpgrp()
	if front, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || front != group {
		return nil
	}
	return &terminal{fd, group}
}

// give brings a group to the foreground. It may have been stopped for reading
// before.
func (t *terminal) give(group int) {
	if t == nil {
		return
	}
	t.front(group)
	_ = syscall.Kill(-group, syscall.SIGCONT)
}

func (t *terminal) take() {
	if t != nil {
		t.front(t.group)
	}
}

func (t *terminal) front(group int) {
	signal.Ignore(syscall.SIGTTOU) // it would stop us in the background
	_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group)
	signal.Reset(syscall.SIGTTOU)
}

// waits gives what wait has to be told to see that a child has stopped.
func (t *terminal) waits() int {
	if t == nil {
		return 0
	}
	return syscall.WUNTRACED
}

// suspend does what a shell expects when Ctrl-Z has stopped the command: we stop
// too, and go on together.
func (t *terminal) suspend(group int) {
	if os.Getpid() != 1 { // nobody would wake that
		awake := make(chan os.Signal, 1)
		signal.Notify(awake, syscall.SIGCONT)
		t.front(t.group)
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		<-awake
		signal.Stop(awake)
	}
	t.give(group)
}
