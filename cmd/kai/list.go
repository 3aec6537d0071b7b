package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

type listFlags struct {
	selection
	cluster       clusterFlags
	allNamespaces bool
	foreign       bool
	output        string
}

func newList(a *app, w *workspaceFlags) *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List releases",
		Long: `Lists the releases that kai has made: those of a namespace, of all with -A, or with -c
those of a context of the workspace, on its own cluster and in its own namespaces. It
needs no workspace unless -c is given, and reads no files then.

--all lists releases too that Helm has made by itself.`,
		Example: a.example("list", "list -A", "list -c dev,prod", "list -A --all -l status=failed", "list -A -o custom-columns=NAME:.release,BY:.by"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd.Context(), a, w, &f)
		},
	}
	f.selection.addFlags(cmd, w)
	f.cluster.addFlags(cmd, a)
	objectsFlag(cmd, &f.output)
	flags := cmd.Flags()
	flags.Lookup("selector").Usage = "only releases with these labels: name (of the service), release, kind (service, dependency), context, workspace, namespace, status, by (kai, helm)"
	flags.BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "look into all namespaces")
	flags.BoolVar(&f.foreign, "all", false, "releases too that kai has not made")
	return cmd
}

func list(ctx context.Context, a *app, w *workspaceFlags, f *listFlags) error {
	var selector labels.Selector
	if f.selector != "" {
		var err error
		if selector, err = labels.Parse(f.selector); err != nil {
			return fmt.Errorf("--selector %q: %w\n  hint: -l status=failed, -l 'name in (carts,orders)'", f.selector, err)
		}
	}
	targets, name, err := f.targets(a, w)
	if err != nil {
		return err
	}
	all := []release.Revision{}
	for _, t := range targets {
		found, err := f.of(ctx, t, name, selector)
		if err != nil {
			return err
		}
		for _, r := range found {
			// Two contexts on one cluster may look into the same namespaces.
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	return printObjects(a.stdout, f.output, all, func() error { return printReleases(a.stdout, a.stderr, all, f.allNamespaces) })
}

// targets gives the contexts to look at and the workspace's name. Without -c it
// is the cluster and the namespace that the flags choose.
func (f *listFlags) targets(a *app, w *workspaceFlags) ([]*workspace.Target, string, error) {
	if len(f.contexts) == 0 && !f.all {
		return []*workspace.Target{{}}, "", nil
	}
	ws, _, findings, err := w.open()
	if err != nil {
		return nil, "", err
	}
	names, err := f.choose(a, ws)
	if err != nil {
		return nil, "", err
	}
	var targets []*workspace.Target
	for _, name := range names {
		t, more := ws.Target(name)
		findings = append(findings, more...)
		if t == nil {
			return nil, "", findings.Sorted()
		}
		targets = append(targets, t)
	}
	return targets, ws.Name, nil
}

// of lists the releases of one target.
func (f *listFlags) of(ctx context.Context, t *workspace.Target, name string, selector labels.Selector) ([]release.Revision, error) {
	cluster, target, err := f.cluster.connect(ctx, t)
	if err != nil {
		return nil, err
	}
	o := release.ListOptions{Foreign: f.foreign, Select: selector}
	if t.Context != "" && !f.foreign {
		o.Context, o.Workspace, o.WithoutWorkspace = t.Context, name, name == ""
	}
	if !f.allNamespaces {
		o.Namespaces = []string{target.Namespace}
		for _, d := range t.Dependencies {
			if d.Namespace != "" {
				o.Namespaces = append(o.Namespaces, d.Namespace)
			}
		}
	}
	found, err := cluster.List(ctx, o)
	for i := range found {
		found[i].Cluster = target.Cluster
	}
	return found, err
}

func printReleases(out, aside io.Writer, all []release.Revision, everywhere bool) error {
	if len(all) == 0 {
		text := "no releases"
		if !everywhere {
			text += " in this namespace; -A looks into all"
		}
		_, err := fmt.Fprintln(aside, text)
		return err
	}
	rows := make([][]string, len(all))
	for i, r := range all {
		from := strings.TrimPrefix(r.Workspace+"/"+r.Context, "/")
		rows[i] = []string{r.Release, r.Namespace, from, strconv.Itoa(r.Revision), r.Status, timeText(r.Updated), r.Chart, r.AppVersion}
	}
	return report.Table(out, []string{"RELEASE", "NAMESPACE", "CONTEXT", "REVISION", "STATUS", "UPDATED", "CHART", "APPVERSION"}, rows)
}

// objectsFlag adds -o for what can be a table or one of kubectl's formats.
func objectsFlag(cmd *cobra.Command, output *string) {
	formats := append([]string{"text"}, report.ObjectFormats()...)
	cmd.Flags().StringVarP(output, "output", "o", formats[0], "format: "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
}

// printObjects prints a value in the format that -o asks for.
func printObjects(out io.Writer, format string, v any, text func() error) error {
	if format == "text" {
		return text()
	}
	formats := append([]string{"text"}, report.ObjectFormats()...)
	name, _, _ := strings.Cut(format, "=")
	if !slices.ContainsFunc(formats, func(f string) bool { return strings.TrimSuffix(f, "=") == name }) {
		return fmt.Errorf("--output %q: there is no such format\n  hint: %s", format, source.Nearest(name, formats))
	}
	return report.Objects(out, format, v)
}
