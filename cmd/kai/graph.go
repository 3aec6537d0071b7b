package main

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/graph"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

type graphFlags struct {
	selection
	chartValues
	rendering
	output string
}

func newGraph(a *app, w *workspaceFlags) *cobra.Command {
	var f graphFlags
	cmd := &cobra.Command{
		Use:   "graph [SERVICE…]",
		Short: "Show who talks to whom in a context",
		Long: `Shows the services and friends of a context as one graph: what is installed before
what, who may call whom and on which ports, by which hosts the outside comes in, and
what is open to more than anybody has named.

All this is read from the rendered manifests: the ports between two are those that the
NetworkPolicies of both let through, so a graph says what a cluster does that keeps to
them. No cluster is asked, and no secret is read.

With services or a selector it shows these, and whom they call or are called by.

--output says how: text, mermaid (a flowchart), dot (for Graphviz), svg (a picture, by
day and by night) or json (for programs: a list with a graph for each context).`,
		Example: a.example("graph -c prod", "graph -c prod front-end orders", "graph -c dev,prod -o json",
			"graph -c prod -o svg > shop.svg", "graph -c prod -l kind=dependency -o mermaid", "graph -c prod --set networkPolicy=false carts"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return printGraphs(cmd.Context(), a, w, f, args)
		},
	}
	f.selection.addFlags(cmd, w)
	f.chartValues.addFlags(cmd)
	f.rendering.addFlags(a, cmd, "charts made")
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", graph.Formats()[0], "format: "+strings.Join(graph.Formats(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(graph.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func printGraphs(ctx context.Context, a *app, w *workspaceFlags, f graphFlags, services []string) error {
	if !slices.Contains(graph.Formats(), f.output) {
		return fmt.Errorf("--output %q: there is no such format\n  hint: %s", f.output, source.Nearest(f.output, graph.Formats()))
	}
	match, err := f.matcher(services)
	if err != nil {
		return err
	}
	values, err := f.chartValues.read(a)
	if err != nil {
		return err
	}
	// Whom a service calls, and by whom it is called, the charts of others say too.
	built, _, err := gatherContexts(ctx, a, w, selection{contexts: f.contexts, all: f.all}, nil, f.jobs, func(r build.Release) drawn {
		out, err := f.release(ctx, r, values)
		if err != nil {
			return drawn{out, source.Findings{build.Finding(r, err)}}
		}
		return drawn{release: out}
	})
	if err := cmp.Or(ctx.Err(), err); err != nil {
		return err
	}
	if err := known(built, services); err != nil {
		return err
	}
	var graphs []*graph.Graph
	for _, g := range built {
		whole, err := contextGraph(g)
		if err != nil {
			return err
		}
		if match != nil {
			whole = whole.Select(match)
		}
		graphs = append(graphs, whole)
	}
	return graph.Write(a.stdout, f.output, graphs)
}

// drawn is what a graph needs of a release, and what is wrong with it.
type drawn struct {
	release  graph.Release
	findings source.Findings
}

// known fails for a service that none of the contexts has.
func known(built []gathered[drawn], services []string) error {
	var names, contexts []string
	for _, g := range built {
		contexts = append(contexts, g.context)
		for _, r := range g.releases {
			names = append(names, r.release.Labels["name"])
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range services {
		if !slices.Contains(names, name) {
			return noService(name, strings.Join(contexts, ", "), names)
		}
	}
	return nil
}

// contextGraph makes the graph of a context.
func contextGraph(g gathered[drawn]) (*graph.Graph, error) {
	in := graph.Input{Context: g.context}
	var findings source.Findings
	for _, r := range g.releases {
		in.Releases = append(in.Releases, r.release)
		findings = append(findings, r.findings...)
	}
	if findings.Err() != nil {
		return nil, findings.Sorted()
	}
	return graph.New(in)
}

// release renders a release and gives what a graph is made of.
func (f *graphFlags) release(ctx context.Context, r build.Release, values map[string]any) (graph.Release, error) {
	out := graph.Release{
		Name: r.Name, Shared: r.Kind == build.KindDependency, Namespace: r.Namespace, Labels: r.Labels, Needs: r.Needs,
		Values: map[string][]byte{},
	}
	if out.Namespace == "" {
		out.Namespace = f.namespace
	}
	result, err := build.Render(ctx, r, f.options(values))
	if err != nil {
		return out, err
	}
	if out.Objects, err = manifest.Parse(result.Text()); err != nil {
		return out, err
	}
	for _, file := range r.Chart.Files {
		parent, chart := path.Split(path.Dir(file.Path))
		switch {
		case file.Path == "values.yaml":
			out.Values[""] = file.Data
		case parent == "charts/" && path.Base(file.Path) == "values.yaml":
			out.Values[chart] = file.Data
		}
	}
	return out, nil
}
