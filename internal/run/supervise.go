package run

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// tick is how often a group is looked at that goes on without its leader.
const tick = 10 * time.Millisecond

// hookTime is how long a command of --on-change may take.
const hookTime = time.Minute

// supervisor runs a command below us. All it knows changes in run alone.
type supervisor struct {
	config  Config
	world   World
	program string
	signals *listener
	files   *folder
	news    <-chan *Environment // nil where nobody watches

	processes *processes
	child     *process
	env       *Environment // whose files are written
	want      *Environment // the newest
	asked     bool         // we were asked to end
	ending    bool         // and the command is not to be started again

	hook      *process // a command of --on-change
	hookAgain bool     // something has changed since it began
	hookEnd   <-chan time.Time
	retry     <-chan time.Time // to write files again
}

// run starts the command and goes on until it has ended. env is what its files
// were written from.
func (s *supervisor) run(ctx context.Context, env *Environment) (int, error) {
	runtime.LockOSThread() // a child may be told that the thread that started it has ended
	defer runtime.UnlockOSThread()
	s.processes = newProcesses(s.world)
	defer s.processes.close()
	s.env, s.want = env, env
	if exit, err := s.start(); err != nil {
		return exit, err
	}
	defer s.endHook()
	done := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case exit := <-s.child.done:
			s.child.done = nil
			return s.stop(exit), nil
		case sig := <-s.signals.all:
			s.forward(sig)
			s.asked = s.asked || ends(sig) != 0
			s.ending = s.ending || endsAlways(sig)
			continue
		case s.want = <-s.news:
		case <-s.retry:
			s.retry = nil
		case exit := <-s.hookDone():
			s.hookEnded(exit)
			continue
		case <-s.hookEnd:
			s.hook.kill()
			continue
		case <-done:
			// Who gave us ctx may end it for the signal that we are about to see.
			done, late = nil, time.After(200*time.Millisecond)
			continue
		case <-late:
			if !s.asked {
				return s.stop(0), fmt.Errorf("stopped: %w", ctx.Err())
			}
			continue
		}
		if exit, over, err := s.change(); over {
			return exit, err
		}
	}
}

// change does what --on-change says, until what is wanted is what is there. It
// says whether that was the end.
func (s *supervisor) change() (exit int, over bool, err error) {
	for s.want != s.env && !s.ending && s.retry == nil {
		if !s.write() {
			return 0, false, nil
		}
		switch on := s.config.OnChange; on.Action {
		case Restart:
			select {
			case exit := <-s.child.done: // by itself
				s.child.done = nil
				return s.stop(exit), true, nil
			default:
			}
			s.world.say("a value has changed: restarting")
			if exit = s.stop(0); s.ending {
				return exit, true, nil
			}
			if s.want != s.env {
				s.write() // else with what is written
			}
			if exit, err = s.start(); err != nil {
				return exit, true, err
			}
		case Signal:
			s.world.say("a value has changed: sending %v", on.Signal)
			s.child.signal(on.Signal)
		case Exec:
			s.world.say("a value has changed: running %s", on.Command[0])
			s.runHook()
		case None:
			s.world.say("a value has changed")
		}
	}
	return 0, false, nil
}

// write writes the files that are wanted, or says why not and when again.
func (s *supervisor) write() bool {
	if err := s.files.write(s.want.Files); err != nil {
		s.world.say("going on as it is: %v", err)
		s.retry = time.After(jitter(s.config.Interval))
		return false
	}
	s.env = s.want
	for _, warning := range s.env.Warnings {
		s.world.say("warning: %s", warning)
	}
	return true
}

func (s *supervisor) start() (int, error) {
	argv := s.env.argv(s.config.Command)
	child, err := s.processes.start(s.program, argv, s.env.Environ(), s.world, true)
	if err != nil {
		return failedStart(written(s.config, argv, s.program), s.env, err)
	}
	s.child = child
	return 0, nil
}

// forward sends a signal on to the command's group.
func (s *supervisor) forward(sig os.Signal) {
	if forwards(sig) {
		s.child.signal(sig)
	}
}

// stop ends the command and what it has started in its group: SIGTERM, some
// time, SIGKILL. It gives the exit code of the command, or exit where that has
// ended before. Signals and news are taken meanwhile.
func (s *supervisor) stop(exit int) int {
	if s.child.done == nil && !s.child.alive() {
		s.processes.released()
		return exit
	}
	s.child.terminate()
	grace := time.After(s.config.Grace)
	look := time.NewTicker(tick)
	defer look.Stop()
	for killed := false; ; {
		if s.child.done == nil && !s.child.alive() {
			s.processes.released()
			return exit
		}
		select {
		case exit = <-s.child.done:
			s.child.done = nil
		case sig := <-s.signals.all:
			s.forward(sig)
			s.ending = s.ending || endsRestart(sig)
		case s.want = <-s.news:
		case <-look.C:
		case <-grace:
			if killed && s.child.done == nil {
				s.processes.released()
				return exit // what is left cannot be killed
			}
			s.child.kill()
			killed, grace = true, time.After(2*time.Second)
		}
	}
}

// runHook runs the command of --on-change. One that runs is left to its end and
// run again after.
func (s *supervisor) runHook() {
	if s.hook != nil {
		s.hookAgain = true
		return
	}
	command := s.config.OnChange.Command
	program, err := exec.LookPath(command[0])
	if err == nil {
		s.hook, err = s.processes.start(program, command, s.env.Environ(), s.world, false)
	}
	if err != nil {
		s.hook = nil
		s.world.say("%s cannot be run: %v", command[0], err)
		return
	}
	s.hookEnd = time.After(hookTime)
}

func (s *supervisor) hookDone() <-chan int {
	if s.hook == nil {
		return nil
	}
	return s.hook.done
}

func (s *supervisor) hookEnded(exit int) {
	if exit != 0 {
		s.world.say("%s has ended with %d", s.config.OnChange.Command[0], exit)
	}
	s.hook, s.hookEnd = nil, nil
	if s.hookAgain {
		s.hookAgain = false
		s.runHook()
	}
}

func (s *supervisor) endHook() {
	if s.hook != nil {
		s.hook.kill()
	}
}
