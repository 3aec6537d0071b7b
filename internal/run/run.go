// Package run starts a command with what a store of secrets holds: as
// environment variables and as files.
//
// The environment is built from these, a later one wins over an earlier one:
//
//  1. the host's environment (left out with --pristine, last with --host-wins)
//  2. the app global, in the order of the scopes
//  3. the first app, in the order of the scopes
//  4. … to the last app
//
// With --var, which gives one key the name of a variable, it is these:
//
//  1. the host's environment
//  2. global and the apps of --app, only where there are some
//  3. the keys of --var, each of its app or, where that lacks it, of global
//
// Kubernetes writes values in place of $(NAME) in a container's variables and
// arguments, and leaves $(NAME) where it knows no such variable. We go on from
// there: in the host's variables, and in the command and its arguments, $(NAME) is
// expanded for each NAME of --var, unless the host's variable NAME has won. As for
// Kubernetes $$(NAME) is $(NAME), $$$(NAME) a dollar and the value. Every other
// $(…), values of the store, files and the command of --on-change stay as they
// are.
//
// Names are in upper case, but for those of --var. A list or a map is base64 of its JSON, or its JSON
// with --json raw. The keys KFILE_NAME_PATH, KFILE_NAME_CONTENT (base64) and
// KFILE_NAME_MODE are no variables, together they make a file. The variables
// KAI_* and KAIGARA_* of the host are settings of ours, among them credentials,
// and are not passed on; neither are VAULT_TOKEN, VAULT_CLIENT_CERT and
// VAULT_CLIENT_KEY where we log in to Vault with them, and not with KAI_VAULT_….
//
// Without --watch and --cleanup the command takes the place of our process:
// signals, exit code and process id are its own. Otherwise it runs below us, in
// a process group of its own: signals that reach us are sent on to that group,
// orphans are reaped, and our exit code is the command's, or 128+n where the
// signal n has ended it. Our own failures are 125, a command that cannot be
// started 126, one that is not found 127.
package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Exit codes of our own, as env(1) and timeout(1) have them.
const (
	ExitFailed     = 125
	ExitNotStarted = 126
	ExitNotFound   = 127
)

// World is what Main uses of the world around it.
type World struct {
	// Name is by what we were called, kai-run if it is "".
	Name string
	// Command is what starts a run, for hints; kai-run if it is "".
	Command string
	// Stdin, Stdout and Stderr are the command's, where it runs below us; one that
	// takes our place has the process's own. Explanations are printed to Stdout,
	// what we have to say to Stderr.
	Stdin, Stdout, Stderr *os.File
	// Open opens the store that a Config names. Its error says what to do; one with
	// a method Lasting or Denied that says true is not tried again.
	Open func(context.Context, Config) (secrets.Store, error)
}

// say prints a line to Stderr.
func (w World) say(format string, args ...any) {
	_, _ = fmt.Fprintf(w.Stderr, cmp.Or(w.Name, "kai-run")+": "+format+"\n", args...)
}

// Main runs c.Command and gives the exit code of the process: the command's, or
// one of ours with an error that says why. With c.Explain it prints where the variables
// come from instead, and starts nothing. Where the command takes the place of this
// process, Main does not return. It takes over the signals of the process from its
// begin on, and its children once the command is to run below it, so a process calls it
// once, at its end.
//
// When ctx ends before the command is started, that is an error; after, the command is
// stopped as for a restart.
func Main(ctx context.Context, c Config, w World) (exit int, err error) {
	signals := listen()
	defer signals.stop()

	offline, err := openOffline(c)
	if err != nil {
		return ExitFailed, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from := &origin{config: c, world: w, offline: offline}
	defer from.close()
	env, n, err := first(ctx, from, signals)
	switch {
	case n != 0:
		return 128 + n, fmt.Errorf("a signal came before the command was started")
	case err != nil:
		return ExitFailed, err
	}
	for _, warning := range env.Warnings {
		w.say("warning: %s", warning)
	}
	if c.Explain {
		if err := env.Explain(w.Stdout); err != nil {
			return ExitFailed, err
		}
		return 0, nil
	}
	argv := env.argv(c.Command)
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return w.notFound(c.Command[0], err)
	}
	out, err := newFolder(c)
	if err != nil {
		return ExitFailed, err
	}
	defer out.close()
	if err := out.write(env.Files); err != nil {
		out.cleanup(w)
		return ExitFailed, err
	}
	if c.replaces() {
		out.close()
		from.close()
		if n := signals.stop(); n != 0 {
			return 128 + n, fmt.Errorf("a signal came before the command was started")
		}
		return failedStart(written(c, argv, program), env, replace(program, argv, env.Environ()))
	}
	signals.everything()
	s := &supervisor{config: c, world: w, program: program, signals: signals, files: out}
	if c.Watch {
		s.news = from.watch(ctx, env.digest(c.NoWatchGlobal))
	}
	exit, err = s.run(ctx, env)
	cancel()
	if c.Cleanup {
		out.cleanup(w)
	}
	return exit, err
}

// replaces says whether the command takes the place of our process.
func (c Config) replaces() bool { return !c.Watch && !c.Cleanup && canReplace }

// first gets the environment that the command is started with, or the number of
// a signal that asks to end.
func first(ctx context.Context, from *origin, signals *listener) (*Environment, int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		env *Environment
		err error
	}
	got := make(chan answer, 1)
	idle := make(chan struct{})
	from.idle = idle
	go func() {
		defer close(idle)
		env, err := from.first(ctx)
		got <- answer{env, err}
	}()
	for {
		select {
		case a := <-got:
			return a.env, 0, a.err
		case sig := <-signals.all:
			if n := ends(sig); n != 0 {
				return nil, n, nil
			}
		}
	}
}

// notFound gives the exit code and error for a program that cannot be found.
func (w World) notFound(name string, err error) (int, error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ExitNotStarted, fmt.Errorf("%s cannot be executed\n  hint: chmod +x, or name the interpreter first", name)
	case errors.Is(err, exec.ErrDot):
		return ExitNotFound, fmt.Errorf("%s is only in the current folder\n  hint: ./%[1]s", name)
	}
	return ExitNotFound, fmt.Errorf("there is no program %s\n  hint: give its path, or set PATH where %s is started", name, cmp.Or(w.Command, "kai-run"))
}

// written gives the name of a program for messages: where it is, but as it was written
// where a secret was put into it.
func written(c Config, argv []string, program string) string {
	if argv[0] != c.Command[0] {
		return c.Command[0]
	}
	return program
}

// failedStart gives the exit code and error for a program that did not start.
func failedStart(program string, env *Environment, err error) (int, error) {
	if in := (*fs.PathError)(nil); errors.As(err, &in) {
		err = in.Err // it names the program, too
	}
	switch {
	case err == nil:
		return 0, nil
	case tooBig(err):
		name, size := env.biggest()
		return ExitNotStarted, fmt.Errorf("%s cannot be started: its environment is too big; the biggest variable is %s with %d bytes\n  hint: make it a file, KFILE_%[2]s_PATH and KFILE_%[2]s_CONTENT", program, name, size)
	case errors.Is(err, fs.ErrNotExist):
		return ExitNotFound, fmt.Errorf("%s cannot be started: %w\n  hint: a script's first line may name an interpreter that is not there", program, err)
	}
	return ExitNotStarted, fmt.Errorf("%s cannot be started: %w", program, err)
}

// How often a store is asked, beyond what flags say.
const (
	attempt    = 10 * time.Second // for one answer
	firstPause = 250 * time.Millisecond
	longest    = time.Minute // between two questions to a store that is away
)

// Run is what cmd/kai-run is: flags and environment to an exit code. Usage goes
// to w.Stdout, an error to w.Stderr.
func Run(ctx context.Context, args, environ []string, w World) int {
	exit, err := runOrInstall(ctx, args, environ, w)
	if errors.Is(err, ErrHelp) {
		_, _ = io.WriteString(w.Stdout, Usage())
		return 0
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			if line = strings.TrimRight(line, "\n"); strings.HasPrefix(line, " ") {
				_, _ = fmt.Fprintln(w.Stderr, line)
			} else {
				w.say("%s", line)
			}
		}
	}
	return exit
}

// runOrInstall tells --install, which needs no store, from all else.
func runOrInstall(ctx context.Context, args, environ []string, w World) (int, error) {
	if to, ok := installs(args); ok {
		if err := Install(to); err != nil {
			return ExitFailed, err
		}
		return 0, nil
	}
	c, err := Parse(args, environ)
	if err != nil {
		return ExitFailed, err
	}
	return Main(ctx, c, w)
}

// fold gives a form of a variable's name that is the same for two names of one
// variable.
func fold(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}
