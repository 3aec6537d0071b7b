package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/helm-kai/helm-kai/internal/build"
	running "github.com/helm-kai/helm-kai/internal/run"
	"github.com/helm-kai/helm-kai/internal/runstore"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

func newRun(a *app, w *workspaceFlags) *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT…]",
		Short: "Start a command with the secrets of a context",
		Long: `Starts a command with what the store of a context holds, as environment variables and
as files. Later ones win:

  the environment that kai itself has (left out with --pristine, last with --host-wins)
  the app global, in the order of --scope
  the apps of --app, one after the other
  the keys of --var, each under the name that it is given there

With --var nothing else is set but what --app names. Where the app lacks the key, that
of global is taken; what is nowhere is an error before anything starts. In the
environment that kai itself has and in the command $(NAME) is expanded for the names of
--var, $$(NAME) stays $(NAME), and every other $(…) is left as it is.

Names are in upper case, but for those of --var. A key that cannot be the name of a
variable, such as the two of a certificate, is left out with a warning. Lists and maps are base64 of their JSON, or their JSON with
--json raw. The keys KFILE_NAME_PATH, KFILE_NAME_CONTENT and KFILE_NAME_MODE make a file
together; the content is in base64. --explain shows names and where they come from, and no
value; with --pristine it leaves out the host's.

A store that is away at the start is asked again for as long as --retry says, and then
--offline-ok starts with the copy. One that refuses who asks, such as a token that was
revoked, ends the start at once, also where there is a copy.

In a workspace the store and the deployment are those of the context. Outside of one,
or with --store, flags and the variables KAI_* name them, as for kai-run, which is the
same for containers.

Without --watch and --cleanup the command takes the place of kai: signals, exit code and
process id are its own. Otherwise signals are sent on to it, and kai's exit code is its.

Exit codes: the command's, 128+n where the signal n has ended it; 125 kai itself failed,
126 the command cannot be started, 127 there is none.`,
		Example: a.example("run -c dev --app carts -- ./carts", "run -c dev --app carts --explain",
			"run -c dev --var DB_PASSWORD=carts.secret.db_password -- ./carts",
			"run -c dev --app carts --watch --on-change signal:HUP -- ./carts"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			flags := map[string]string{}
			cmd.Flags().Visit(func(f *pflag.Flag) { flags[f.Name] = flagText(f) })
			exit, err := runCommand(cmd.Context(), a, w, s, flags, args)
			if err != nil {
				fmt.Fprintln(a.stderr, a.word(err))
			}
			return &saidError{code: exit, own: true}
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		fmt.Fprintf(a.stderr, "%s; -- stands before a command that begins with a dash\n", a.word(flagError(cmd, err)))
		return &saidError{code: running.ExitFailed}
	})
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	s.addOneFlags(cmd, w)
	_ = flags.MarkHidden("selector")
	for _, o := range running.Options() {
		addRunFlag(flags, o)
	}
	_ = cmd.RegisterFlagCompletionFunc("app", w.completeServices)
	_ = cmd.RegisterFlagCompletionFunc("store", cobra.FixedCompletions(store.Providers(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions(secrets.Scopes(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagDirname("file-root")
	_ = cmd.MarkFlagFilename("offline-ok")
	_ = cmd.MarkFlagFilename("offline-key-file")
	return cmd
}

// addRunFlag makes a flag of an option that has one. Defaults are the option's
// own, for a variable may give another.
func addRunFlag(flags *pflag.FlagSet, o running.Option) {
	usage := o.Usage
	if o.Default != "" {
		usage += " (default " + o.Default + ")"
	}
	switch {
	case o.Flag == "":
	case o.Arg == "":
		flags.Bool(o.Flag, false, usage)
	case o.Flag == "app" || o.Flag == "scope":
		flags.StringSlice(o.Flag, nil, usage)
	case o.Flag == "var":
		flags.StringArray(o.Flag, nil, usage) // quotes belong to the place
	default:
		flags.String(o.Flag, "", usage)
	}
}

// flagText gives a flag as it was given.
func flagText(f *pflag.Flag) string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		between := ","
		if f.Name == "var" {
			between = "\n"
		}
		return strings.Join(list.GetSlice(), between)
	}
	return f.Value.String()
}

// runCommand starts a command, and gives the exit code.
func runCommand(ctx context.Context, a *app, w *workspaceFlags, s selection, flags map[string]string, command []string) (int, error) {
	if len(command) == 0 && flags["explain"] != "true" {
		return running.ExitFailed, fmt.Errorf("there is no command\n  hint: %s run [flags] -- COMMAND", a.as)
	}
	target, dir, err := runTarget(a, w, s, flags)
	if err != nil {
		return running.ExitFailed, err
	}
	if target != nil {
		if err := holdsDeployment(target, flags["deployment"]); err != nil {
			return running.ExitFailed, err
		}
		if flags["deployment"] == "" {
			flags["deployment"] = target.Secrets.Deployment
		}
		flags["store"] = build.StoreOptions(target, build.Access{}).Provider
	}
	c, err := running.New(flags, os.Environ(), command)
	if err != nil {
		return running.ExitFailed, err
	}
	open := func(ctx context.Context, c running.Config) (secrets.Store, error) {
		access := a.access(dir, &workspace.Target{}, nil)
		if target == nil {
			return runstore.Open(ctx, c, access.Kubernetes)
		}
		access = a.access(dir, target, nil)
		o := build.StoreOptions(target, access)
		o.Long = c.Watch
		return store.Open(ctx, o)
	}
	if a.leaveSignals != nil {
		a.leaveSignals() // run takes them
	}
	return running.Main(context.WithoutCancel(ctx), c, running.World{
		Name: "kai", Command: a.as + " run", Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Open: open,
	})
}

// runTarget gives the context whose store is read, nil where flags and variables
// name one: outside of a workspace, or where --store says so.
func runTarget(a *app, w *workspaceFlags, s selection, flags map[string]string) (*workspace.Target, string, error) {
	chosen := len(s.contexts) > 0
	if flags["store"] != "" {
		if chosen {
			return nil, "", errors.New("--store and --context exclude one another\n  hint: a context has a store")
		}
		return nil, "", nil
	}
	if _, err := w.root(); err != nil {
		if chosen || w.dir != "" {
			return nil, "", err
		}
		return nil, "", nil
	}
	ws, dir, _, err := w.open()
	if err != nil {
		return nil, "", err
	}
	name, err := s.one(a, ws)
	if err != nil {
		return nil, "", err
	}
	target, findings := ws.Target(name)
	if findings.Err() != nil {
		return nil, "", findings.Sorted()
	}
	return target, dir, nil
}
