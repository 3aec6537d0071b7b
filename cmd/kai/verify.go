package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

type verifyFlags struct {
	selection
	chartValues
	cluster         clusterFlags
	takeOwnership   bool
	recreate        bool
	createNamespace bool
	jobs            int
	output          string
}

func newVerify(a *app, w *workspaceFlags) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [SERVICE…]",
		Short: "Check everything before anything is sent",
		Long: `Checks whether install would come through, and says all that is in its way at once.
Nothing is sent. It checks

  the workspace: every variable, flavor, friend and field
  every reference to a secret, by its name
  that the context is bound to this cluster and to its namespace
  that the charts render for the cluster's version and APIs
  every object against the cluster's schemas, and that it knows the kind
  that the user may do all that the releases need
  that no object belongs to another release, and none needs what cannot be changed

What admission decides (quotas, Pod Security, policies) only the cluster knows:
install --dry-run=server asks it.

Exit codes: 0 nothing found, 1 findings. Warnings are no findings.`,
		Example: a.example("verify -c prod", "verify --all-contexts -o json", "verify -c prod carts --create-namespace",
			"verify -c prod --as system:serviceaccount:ci:deployer"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return verify(cmd.Context(), a, w, &f, args)
		},
	}
	f.selection.addFlags(cmd, w)
	f.chartValues.addFlags(cmd)
	f.cluster.addFlags(cmd, a)
	flags := cmd.Flags()
	flags.BoolVar(&f.takeOwnership, "take-ownership", false, "as for install: objects that are there may be of no release, or of another one")
	flags.BoolVar(&f.recreate, "recreate", false, "as for install: what cannot be changed in place is made anew")
	flags.BoolVar(&f.createNamespace, "create-namespace", false, "as for install: namespaces may be missing")
	flags.IntVarP(&f.jobs, "concurrency", "j", 0, "requests at the same time (default: 8)")
	outputFlag(cmd, &f.output)
	return cmd
}

// verification is what verify prints as JSON.
type verification struct {
	Releases int           `json:"releases"`
	Findings []findingJSON `json:"findings"`
}

// findingJSON is a finding for programs.
type findingJSON struct {
	Context  string `json:"context,omitempty"`
	Severity string `json:"severity"` // error or warning
	Code     string `json:"code"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Path     string `json:"path,omitempty"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

func verify(ctx context.Context, a *app, w *workspaceFlags, f *verifyFlags, services []string) error {
	values, err := f.chartValues.read(a)
	if err != nil {
		return err
	}
	ws, dir, opened, err := w.open()
	if err != nil {
		return err
	}
	names, err := f.choose(a, ws)
	if err != nil && opened.Err() == nil {
		return err
	}
	match, err := f.matcher(services)
	if err != nil {
		return err
	}
	checks := make([]*check, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		checks[i] = &check{a: a, f: f, ws: ws, at: dir, name: name, match: match, values: values}
		wg.Go(func() { checks[i].run(ctx) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := unknownServices(services, checks, ws); err != nil {
		return err
	}
	return a.printVerification(f.output, opened, checks)
}

// unknownServices makes a mistake of a service that no context has. Where a
// workspace's mistakes keep its charts from being made, nobody knows.
func unknownServices(services []string, checks []*check, ws *workspace.Workspace) error {
	var contexts []string
	found := map[string]bool{}
	for _, c := range checks {
		contexts = append(contexts, c.name)
		if c.unmade {
			return nil
		}
		for _, r := range c.releases {
			found[r.Labels["name"]] = true
		}
	}
	for _, name := range services {
		if !found[name] {
			return noService(name, strings.Join(contexts, ", "), ws.ServiceNames())
		}
	}
	return nil
}

// check is the verification of one context. Each step goes on with what the ones
// before it could find out.
type check struct {
	a      *app
	f      *verifyFlags
	ws     *workspace.Workspace
	at     string // the workspace's folder
	name   string
	match  func(map[string]string) bool
	values map[string]any

	road
	unmade   bool // the charts could not be made
	findings source.Findings
}

func (c *check) run(ctx context.Context) {
	target, findings := c.ws.Target(c.name)
	if target == nil {
		c.findings, c.unmade = findings, true
		return
	}
	c.road = road{ws: c.ws, dir: c.at, from: target, flags: &c.f.cluster}
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() { failed = c.reach(ctx, &c.f.cluster) })
	c.releases, c.findings = build.Charts(ctx, c.ws, c.name, build.Options{Select: c.match, Jobs: c.f.jobs})
	wg.Wait()
	c.unmade = c.findings.Err() != nil
	wanted := c.desired(ctx)
	if c.cluster == nil {
		c.add("cluster", failed)
		return
	}
	found, err := c.cluster.Verify(ctx, c.target, wanted, release.VerifyOptions{CreateNamespace: c.f.createNamespace, There: c.there, Jobs: c.f.jobs})
	c.findings = append(c.findings, found...)
	c.add("cluster", err)
	c.unlessDenied("cluster", failed)
	plan, err := c.cluster.Plan(ctx, c.target, wanted, c.there, release.PlanOptions{
		Partial: true, TakeOwnership: c.f.takeOwnership, Recreate: c.f.recreate, Jobs: c.f.jobs,
	})
	if plan != nil {
		c.findings = append(c.findings, plan.Immutables()...)
		c.findings = append(c.findings, plan.Busy(clock{}.Now())...)
	}
	c.unlessDenied("plan", err)
}

// unlessDenied makes findings of an error, unless it is of what may not be read:
// that is said already, with all else that may not be done.
func (c *check) unlessDenied(code string, err error) {
	if !apierrors.IsForbidden(err) || !slices.ContainsFunc(c.findings, func(f source.Finding) bool { return f.Code == "permission" }) {
		c.add(code, err)
	}
}

// desired renders the releases with their secrets. Where some are missing, marks
// stand for them, so that what else is wrong comes out too.
func (c *check) desired(ctx context.Context) []*release.Desired {
	o := build.DesireOptions{
		Render: render.Options{Values: c.values}, Namespace: c.target.Namespace,
		Deployment: c.from.Secrets.Deployment, Strict: true, Jobs: c.f.jobs,
	}
	if c.caps != nil {
		o.Render.KubeVersion, o.Render.APIVersions, o.Render.ClusterAPIs = c.caps.KubeVersion, c.caps.APIVersions, true
	}
	if c.there != nil {
		o.Revision = c.there.Revision
	}
	access := c.a.access(c.dir, c.from, &c.f.cluster)
	o.References = build.References(c.from, access)
	store, found := build.Store(c.ws.FS, c.from, access)
	c.findings = append(c.findings, found...)
	if found.Err() != nil {
		o.Strict = false // whether a secret is there is not known
	}
	o.Store = store
	wanted, found, err := build.Desire(ctx, c.releases, o)
	c.add("secrets", err)
	if err == nil && found.Err() == nil {
		c.findings = append(c.findings, found...)
		return wanted
	}
	c.findings = append(c.findings, slices.DeleteFunc(found, func(f source.Finding) bool { return f.Code == "render" })...)
	o.Store, o.References, o.Strict = nil, nil, false
	wanted = nil
	for i := range c.releases {
		one, found, err := build.Desire(ctx, c.releases[i:i+1], o)
		c.findings = append(c.findings, found...)
		c.add("render", err)
		wanted = append(wanted, one...)
	}
	return wanted
}

// add makes findings of an error. A hint at its end becomes that of the finding.
func (c *check) add(code string, err error) {
	if err == nil {
		return
	}
	var findings source.Findings
	if errors.As(err, &findings) {
		c.findings = append(c.findings, findings...)
		return
	}
	message, hint, _ := strings.Cut(err.Error(), "\n  hint: ")
	c.findings.Add(code, source.Origin{}, "", hint, "%s", message)
}

// printVerification prints what was found, and fails where that is something.
func (a *app) printVerification(output string, opened source.Findings, checks []*check) error {
	out := verification{Findings: []findingJSON{}}
	var texts []string
	errs, warnings := 0, 0
	say := func(name string, findings source.Findings) {
		if name != "" && len(checks) > 1 && len(findings) > 0 {
			texts = append(texts, "context "+name+":")
		}
		for _, f := range findings.Sorted() {
			severity := "error"
			if f.Severity == source.Warning {
				severity = "warning"
				warnings++
			} else {
				errs++
			}
			out.Findings = append(out.Findings, findingJSON{
				Context: name, Severity: severity, Code: f.Code, File: source.Readable(f.Origin.File), Line: f.Origin.Line, Column: f.Origin.Column,
				Path: f.Path, Message: f.Message, Hint: f.Hint,
			})
			texts = append(texts, f.String())
		}
	}
	say("", opened)
	for _, c := range checks {
		out.Releases += len(c.releases)
		// What is wrong with the workspace itself is said once.
		say(c.name, slices.DeleteFunc(slices.Clone(c.findings), func(f source.Finding) bool { return slices.Contains(opened, f) }))
	}
	err := a.print(output, out, func() {
		for _, text := range texts {
			fmt.Fprintln(a.stdout, text)
		}
		summary := fmt.Sprintf("verify: %s, %s", count(out.Releases, "release", "releases"), count(errs, "finding", "findings"))
		if warnings > 0 {
			summary += ", " + count(warnings, "warning", "warnings")
		}
		fmt.Fprintln(a.stdout, summary)
	})
	if err == nil && errs > 0 {
		return &saidError{code: exitFailed}
	}
	return err
}
