package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// road is a context on its way to a cluster: what the workspace says, and where
// it goes.
type road struct {
	ws       *workspace.Workspace
	dir      string
	from     *workspace.Target
	releases []build.Release
	flags    *clusterFlags // nil without a cluster
	partial  bool          // only some of the context's releases were asked for
	memory   *build.Memory
	holder   string // the name by which this run holds the context, "" where it does not

	cluster *release.Cluster
	target  release.Target
	caps    *release.Capabilities
	there   *release.Installed
}

// walk reads the workspace, makes the charts of one context and, meanwhile, asks
// the cluster what it is and has.
func walk(ctx context.Context, a *app, w *workspaceFlags, s selection, f *clusterFlags, services []string, jobs int) (*road, error) {
	ws, dir, findings, err := w.open()
	if err != nil {
		return nil, err
	}
	name, err := s.one(a, ws)
	if err != nil {
		if findings.Err() != nil {
			return nil, findings
		}
		return nil, err
	}
	target, more := ws.Target(name)
	if target == nil {
		return nil, append(findings, more...).Sorted()
	}
	r := &road{ws: ws, dir: dir, from: target, flags: f, partial: s.selector != "" || len(services) > 0}
	var wg sync.WaitGroup
	var failed error
	if f != nil {
		collectSeldom()
		wg.Go(func() { failed = r.reach(ctx, f) })
	}
	built, _, err := buildIn(ctx, a, ws, dir, findings, []string{name}, s, services, jobs)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	r.releases = built[0].releases
	return r, nil
}

// collectSeldom has memory collected less often, for a run that is over soon:
// what it makes on the way is many times what it holds, and collecting that is a
// sixth of its time. Where it comes to hold much, the limit brings the usual
// pace back.
func collectSeldom() {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(1 << 30)
}

// reach asks the cluster.
func (r *road) reach(ctx context.Context, f *clusterFlags) error {
	var err error
	if r.cluster, r.target, err = f.connect(ctx, r.from); err != nil {
		return err
	}
	r.target.Workspace = r.ws.Name
	namespaces := []string{r.target.Namespace}
	for _, d := range r.from.Dependencies {
		if d.Namespace != "" {
			namespaces = append(namespaces, d.Namespace)
		}
	}
	var wg sync.WaitGroup
	var capsErr, thereErr error
	wg.Go(func() { r.caps, capsErr = r.cluster.Capabilities(ctx) })
	wg.Go(func() { r.there, thereErr = r.cluster.Installed(ctx, namespaces) })
	wg.Wait()
	return errors.Join(capsErr, thereErr)
}

// desire renders the releases with their secrets. Without a cluster, marks stand
// for secrets.
func (r *road) desire(ctx context.Context, a *app, values map[string]any, jobs int) ([]*release.Desired, error) {
	o := build.DesireOptions{Render: render.Options{Values: values}, Namespace: r.target.Namespace, Deployment: r.from.Secrets.Deployment, Jobs: jobs, Memory: r.memory}
	var findings source.Findings
	if r.cluster != nil {
		o.Render.KubeVersion, o.Render.APIVersions, o.Render.ClusterAPIs = r.caps.KubeVersion, r.caps.APIVersions, true
		o.Revision, o.Strict = r.there.Revision, true
		access := a.access(r.dir, r.from, r.flags)
		o.References = build.References(r.from, access)
		if o.Store, findings = build.Store(r.ws.FS, r.from, access); findings.Err() != nil {
			return nil, findings
		}
	}
	wanted, found, err := build.Desire(ctx, r.releases, o)
	if err != nil {
		return nil, err
	}
	if findings = append(findings, found...); findings.Err() != nil {
		return nil, findings
	}
	if len(findings) > 0 {
		fmt.Fprintln(a.stderr, findings.Error())
	}
	return wanted, nil
}

// apart gives a selection of one context for each that is chosen.
func (s *selection) apart(a *app, w *workspaceFlags) ([]selection, error) {
	if len(s.contexts) < 2 && !s.all {
		return []selection{*s}, nil
	}
	ws, _, findings, err := w.open()
	if err != nil {
		return nil, err
	}
	names, err := s.choose(a, ws)
	if err != nil {
		if findings.Err() != nil {
			return nil, findings
		}
		return nil, err
	}
	out := make([]selection, len(names))
	for i, name := range names {
		out[i] = selection{contexts: []string{name}, selector: s.selector}
	}
	return out, nil
}

// addOneFlags is addFlags for commands that take one context at a time.
func (s *selection) addOneFlags(cmd *cobra.Command, w *workspaceFlags) {
	s.addFlags(cmd, w)
	cmd.Flags().Lookup("context").Usage = "context of kai, such as dev or prod"
	_ = cmd.Flags().MarkHidden("all-contexts")
}

// one gives the only context of a command that works on one at a time.
func (s *selection) one(a *app, ws *workspace.Workspace) (string, error) {
	if known := ws.ContextNames(); len(s.contexts) == 0 && !s.all && len(known) > 1 {
		return "", fmt.Errorf("say which context is meant\n  hint: -c %s", strings.Join(known, ", -c "))
	}
	names, err := s.choose(a, ws)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		return "", fmt.Errorf("one context at a time, and there are %d: %v\n  hint: run once for each", len(names), names)
	}
	return names[0], nil
}

// removals gives the releases of the context in the order of installation.
func (r *road) removals() []release.Removal {
	byName := map[string]int{}
	for i, b := range r.releases {
		byName[b.Name] = i
	}
	var out []release.Removal
	done := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		i, known := byName[name]
		if done[name] || !known {
			return
		}
		done[name] = true
		b := r.releases[i]
		for _, need := range b.Needs {
			visit(need)
		}
		namespace := b.Namespace
		if namespace == "" {
			namespace = r.target.Namespace
		}
		out = append(out, release.Removal{Name: b.Name, Namespace: namespace, Needs: b.Needs})
	}
	for _, b := range r.releases {
		visit(b.Name)
	}
	return out
}

// named gives the releases of services, in the order of installation.
func (r *road) named(services []string) ([]release.Removal, error) {
	wanted := map[string]bool{}
	var known []string
	for _, b := range r.releases {
		known = append(known, b.Labels["name"])
	}
	for _, s := range services {
		wanted[s] = true
	}
	var out []release.Removal
	for _, removal := range r.removals() {
		for _, b := range r.releases {
			if b.Name == removal.Name && (wanted[b.Labels["name"]] || wanted[b.Name]) {
				out = append(out, removal)
				delete(wanted, b.Labels["name"])
				delete(wanted, b.Name)
			}
		}
	}
	for _, s := range services {
		if wanted[s] {
			return nil, noService(s, r.from.Context, known)
		}
	}
	return out, nil
}
