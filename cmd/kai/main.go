// Kai turns short descriptions of services into Helm charts and releases. The
// same binary works as `helm kai`, as `kubectl kai` and alone.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/store"
)

// version is set by the linker; plugin.yaml is the one place that states it.
var version string

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitChanges     = 2 // found, and asked for with --detailed-exitcode
	exitInterrupted = 130
)

// app is what commands know of the world around them.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	getwd  func() (string, error)
	// as is how kai was called: helm kai, kubectl kai, or kai.
	as      string
	version string
	// leaveSignals has signals do what they do by themselves. A command that deals
	// with them itself calls it.
	leaveSignals func()
	// stores are those that the run has opened.
	stores store.Pool
}

func main() { os.Exit(run()) }

// run is main with an exit code, as tests want it.
func run() int {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, getwd: os.Getwd, version: buildVersion()}
	a.as = calledAs(os.Args[0], os.Getenv)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a.leaveSignals = stop
	return a.execute(ctx, os.Args[1:])
}

// calledAs says by which of its names the binary runs.
func calledAs(arg0 string, getenv func(string) string) string {
	switch {
	case strings.HasPrefix(strings.TrimSuffix(filepath.Base(arg0), ".exe"), "kubectl-"):
		return "kubectl kai"
	case getenv("HELM_PLUGIN_NAME") == "kai", getenv("HELM_PLUGIN_DIR") != "":
		return "helm kai"
	}
	return "kai"
}

// buildVersion gives the version without a leading v. A binary of plain
// `go install` has it from its module.
func buildVersion() string {
	if version != "" {
		return strings.TrimPrefix(version, "v")
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "0.0.0-dev"
}

func (a *app) execute(ctx context.Context, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	_ = a.stores.Close() // what was read is there
	var said *saidError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &said) && (said.own || ctx.Err() == nil):
		return said.code
	case ctx.Err() != nil:
		fmt.Fprintln(a.stderr, "kai: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(a.stderr, a.word(wordError(root, err)))
	return exitFailed
}

// word gives an error as people read it: findings say their place first, all
// else says who speaks.
func (a *app) word(err error) string {
	var findings source.Findings
	if errors.As(err, &findings) {
		return findings.Error()
	}
	return "kai: " + wordFile(err)
}

// saidError ends a command with an exit code after it has said why.
type saidError struct {
	code int
	own  bool // the command has dealt with signals itself
}

func (e *saidError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

const long = `kai turns a short description of a service into a Helm chart and a release.

A descriptor (kai.yaml) says what a service is. Its contexts (dev, prod, …) choose
among named pieces, the way kubeconfig does. A flavor turns it into a chart; friends
are the services that it talks to.

Exit codes: 0 done, 1 failed, 2 changes found (diff --detailed-exitcode), 130 interrupted.`

// newRoot makes the command tree. Commands are named here and nowhere else.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:               "kai",
		Short:             "Charts and releases from short descriptions of services",
		Long:              long,
		Example:           a.example("init", "generate -c dev", "diff -c prod", "install -c prod --wait", "status -c prod"),
		SilenceErrors:     true,
		SilenceUsage:      true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: a.as},
		DisableAutoGenTag: true,
	}
	w := &workspaceFlags{app: a}
	root.PersistentFlags().StringVarP(&w.dir, "workspace", "w", "", "folder of the workspace or the service (default: searched from here upwards)")
	w.sources.addFlags(root)
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		if cmd.Name() != cobra.ShellCompRequestCmd && cmd.Name() != cobra.ShellCompNoDescRequestCmd {
			w.ctx = cmd.Context()
		}
	}
	root.AddCommand(
		newInit(a),
		newImport(a),
		newGenerate(a, w),
		newTemplate(a, w),
		newExplain(a, w),
		newGraph(a, w),
		newCodegen(a, w),
		newValidate(a, w),
		newDiff(a, w),
		newInstall(a, w),
		newVerify(a, w),
		newStatus(a, w),
		newHistory(a, w),
		newList(a, w),
		newRollback(a, w),
		newUninstall(a, w),
		newValues(a, w),
		newRun(a, w),
		newSecrets(a, w),
		newSchema(a, w),
		newFmt(a),
		newUpgrade(a, w),
		newFlavors(a, w),
		newFriends(a, w),
		newVersion(a),
	)
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(flagError)
	wordUsage(root)
	return root
}

// example words command lines for --help.
func (a *app) example(lines ...string) string {
	for i, line := range lines {
		lines[i] = "  " + a.as + " " + line
	}
	return strings.Join(lines, "\n")
}
