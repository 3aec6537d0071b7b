package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/explain"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
)

type explainFlags struct {
	selection
	chartValues
	rendering
	output string
}

func newExplain(a *app, w *workspaceFlags) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain SERVICE PATH",
		Short: "Show where a value comes from, and which values decide a field of a manifest",
		Long: `For a value of the context or of the chart, such as image.tag or env.LOG_LEVEL, shows the
place where it is given, and what it overrode, highest first: the context, those that it
extends, what friends give, the workspace's defaults, the flavor's.

For a field of a manifest, KIND/NAME:PATH or KIND.PATH, shows the template that it stands in
and every value that alters it when it alone is changed, if there is one. Items of lists
are named by [name=NAME] or [0].

The answer is tried and not guessed: each value of every file that the release is made of
is changed in memory, by another of its kind or by taking it away, the chart is made and
rendered again, and the field is compared. So nothing is said of what two changes do only
together, nor of what a value would do that nobody gives yet; and a value that no change
fits alone, such as the name of a service that others call, is not listed. Types and
templates are no values.

No secret is read: where a chart wants one, a mark stands, as for template. Values below
secrets that are given with -f or --set, and the data of Secrets, are masked.`,
		Example: a.example("explain -c prod carts image.tag", "explain -c prod carts Deployment/carts:spec.replicas",
			"explain -c prod carts 'deployment.spec.template.spec.containers[name=carts].image' -o json"),
		Args:              explainArgs(a),
		ValidArgsFunction: f.complete(a, w),
		RunE: func(cmd *cobra.Command, args []string) error {
			return printExplanation(cmd.Context(), a, w, f, args)
		},
	}
	f.selection.addOneFlags(cmd, w)
	_ = cmd.Flags().MarkHidden("selector")
	f.chartValues.addFlags(cmd)
	f.rendering.addFlags(a, cmd, "changes tried")
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", explain.Formats()[0], "format: "+strings.Join(explain.Formats(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(explain.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func explainArgs(a *app) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 2 {
			return nil
		}
		return fmt.Errorf("say which service and which value or field is meant\n  hint: %s explain -c CONTEXT SERVICE image.tag, or … SERVICE deployment.spec.replicas", a.as)
	}
}

func printExplanation(ctx context.Context, a *app, w *workspaceFlags, f explainFlags, args []string) error {
	if !slices.Contains(explain.Formats(), f.output) {
		return fmt.Errorf("--output %q: there is no such format\n  hint: %s", f.output, source.Nearest(f.output, explain.Formats()))
	}
	collectSeldom()
	x, err := f.explainer(ctx, a, w, args[0])
	if err != nil {
		return err
	}
	matches, findings := x.Find(args[1])
	if findings.Err() != nil {
		return findings
	}
	if len(matches) > 1 {
		var names []string
		for _, m := range matches {
			names = append(names, m.String())
		}
		return fmt.Errorf("%q names %d things\n  %s\n  hint: name one of them", args[1], len(matches), strings.Join(names, "\n  "))
	}
	if matches[0].IsField() {
		if err := x.Trace(ctx, matches[0]); err != nil {
			return err
		}
	}
	return explain.Write(a.stdout, f.output, x.Explain(matches[0]))
}

// explainer makes the charts of a service and renders them.
func (f *explainFlags) explainer(ctx context.Context, a *app, w *workspaceFlags, service string) (*explain.Explainer, error) {
	given, err := f.given(a)
	if err != nil {
		return nil, err
	}
	ws, _, findings, err := w.open()
	if err != nil {
		return nil, err
	}
	name, err := f.one(a, ws)
	if err != nil {
		if findings.Err() != nil {
			return nil, findings
		}
		return nil, err
	}
	x, findings, err := explain.New(ctx, ws, explain.Options{
		Context: name, Service: service, Given: given, Jobs: f.jobs,
		Render: f.options(nil),
	})
	if err != nil {
		return nil, err
	}
	if findings.Err() != nil {
		return nil, findings
	}
	if len(findings) > 0 {
		fmt.Fprintln(a.stderr, findings.Error())
	}
	if !x.Found() {
		return nil, noService(service, name, ws.ServiceNames())
	}
	return x, nil
}

// given reads the user's values, each by itself.
func (v *chartValues) given(a *app) (explain.Given, error) {
	u := render.UserValues{Set: v.set, SetString: v.setString, SetFile: v.setFile, ReadFile: os.ReadFile}
	var err error
	u.Files, err = v.readFiles(a)
	return explain.Given{UserValues: u}, err
}

// complete completes services, and then the values and fields of one.
func (f *explainFlags) complete(a *app, w *workspaceFlags) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return w.completeServices(cmd, args, typed)
		case 1:
			x, err := f.explainer(cmd.Context(), a, w, args[0])
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return x.Complete(typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}
