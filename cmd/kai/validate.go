package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

type validateFlags struct {
	selection
	output      string
	namespace   string
	kubeVersion string
	crds        []string
	rules       string
	jobs        int
}

// validateFormats are those of kai validate.
var validateFormats = []string{"text", "json"}

func newValidate(a *app, w *workspaceFlags) *cobra.Command {
	var f validateFlags
	cmd := &cobra.Command{
		Use:   "validate [SERVICE…]",
		Short: "Find what is wrong with what is rendered",
		Long: `Renders the charts of all contexts, or of those that are named, and checks the objects:
against Kubernetes' schemas as strictly as an API server does, against one another
across releases, and by rules of good practice. No cluster is asked, and no secret is
read.

Custom resources are checked where --crds gives files with their definitions. --rules
names a file that gives rules another severity and says what is ignored, and why.
docs/rules.md lists the rules.

Exit codes: 0 no errors, 1 errors.`,
		Example: a.example("validate", "validate -c prod", "validate -c prod carts orders", "validate --kube-version 1.34 --crds gateway-api.yaml",
			"validate --rules rules.yaml -o json"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return validateContexts(cmd.Context(), a, w, f, args)
		},
	}
	f.selection.addFlags(cmd, w)
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", validateFormats[0], "format: "+strings.Join(validateFormats, ", "))
	flags.StringVarP(&f.namespace, "namespace", "n", cmp.Or(a.getenv("HELM_NAMESPACE"), "default"), "namespace, where the workspace gives none")
	flags.StringVar(&f.kubeVersion, "kube-version", "", "minor of Kubernetes: "+strings.Join(kubeschema.Minors(), ", ")+" (default: the newest)")
	flags.StringSliceVar(&f.crds, "crds", nil, "files with CustomResourceDefinitions")
	flags.StringVar(&f.rules, "rules", "", "file of settings for the rules")
	flags.IntVarP(&f.jobs, "concurrency", "j", 0, "charts made at the same time (default: one for each CPU)")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(validateFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("kube-version", cobra.FixedCompletions(kubeschema.Minors(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// contextFindings are those of one context.
type contextFindings struct {
	Context  string             `json:"context"`
	Findings []validate.Finding `json:"findings"`
}

func validateContexts(ctx context.Context, a *app, w *workspaceFlags, f validateFlags, services []string) error {
	if !slices.Contains(validateFormats, f.output) {
		return fmt.Errorf("--output %q: there is no such format\n  hint: %s", f.output, source.Nearest(f.output, validateFormats))
	}
	schemas, settings, err := f.read()
	if err != nil {
		return err
	}
	match, err := f.matcher(services)
	if err != nil {
		return err
	}
	// The objects of a service refer to those of others.
	built, _, err := buildContexts(ctx, a, w, selection{contexts: f.contexts, all: f.all || len(f.contexts) == 0}, nil, f.jobs)
	if err != nil {
		return err
	}
	if err := known(built, services); err != nil {
		return err
	}
	all := []contextFindings{}
	for _, g := range built {
		releases, err := f.render(ctx, g)
		if err != nil {
			return err
		}
		found := validate.Check(validate.Input{Releases: releases, Schemas: schemas, Settings: settings})
		wanted := map[string]bool{}
		for _, r := range g.releases {
			wanted[r.Name] = match == nil || match(r.Labels)
		}
		found = slices.DeleteFunc(found, func(f validate.Finding) bool { return !wanted[f.Release] })
		all = append(all, contextFindings{g.context, append([]validate.Finding{}, found...)})
	}
	return printFindings(a.stdout, f.output, all)
}

// read gives the schemas and the settings that the flags name.
func (f *validateFlags) read() (*kubeschema.Schemas, validate.Settings, error) {
	var settings validate.Settings
	schemas, err := kubeschema.Load(f.kubeVersion)
	if err != nil {
		return nil, settings, fmt.Errorf("--kube-version: %w", err)
	}
	for _, file := range f.crds {
		if err := addDefinitions(schemas, file); err != nil {
			return nil, settings, fmt.Errorf("--crds %s: %w", file, err)
		}
	}
	if f.rules == "" {
		return schemas, settings, nil
	}
	data, err := os.ReadFile(f.rules)
	if err != nil {
		return nil, settings, fmt.Errorf("--rules: %w", err)
	}
	settings, findings := validate.ReadSettings(f.rules, data)
	return schemas, settings, findings.Err()
}

func addDefinitions(schemas *kubeschema.Schemas, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	objects, err := manifest.Parse(string(data))
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.Ref.Kind == "CustomResourceDefinition" {
			if err := schemas.AddCRD(o.Fields); err != nil {
				return err
			}
		}
	}
	return nil
}

// render gives the objects of a context.
func (f *validateFlags) render(ctx context.Context, g generation) ([]validate.Release, error) {
	releases, errs := make([]validate.Release, len(g.releases)), make([]error, len(g.releases))
	build.Each(ctx, f.jobs, len(g.releases), func(i int) {
		r := g.releases[i]
		releases[i] = validate.Release{Name: r.Name, Namespace: cmp.Or(r.Namespace, f.namespace)}
		result, err := build.Render(ctx, r, render.Options{Namespace: f.namespace, KubeVersion: f.kubeVersion})
		if err == nil {
			releases[i].Objects, err = manifest.Parse(result.Text())
		}
		errs[i] = err
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var findings source.Findings
	for i, err := range errs {
		if err != nil {
			findings = append(findings, build.Finding(g.releases[i], err))
		}
	}
	if findings.Err() != nil {
		return nil, findings.Sorted()
	}
	return releases, nil
}

// printFindings writes the findings, and ends with exit code 1 where there are
// errors among them that are not ignored.
func printFindings(out io.Writer, format string, all []contextFindings) error {
	counts := map[validate.Severity]int{}
	ignored := 0
	for _, c := range all {
		for _, f := range c.Findings {
			if f.Ignored != "" {
				ignored++
			} else {
				counts[f.Severity]++
			}
		}
	}
	var err error
	if format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(all)
	} else {
		_, err = io.WriteString(out, findingsText(all, counts, ignored))
	}
	if err == nil && counts[validate.Error] > 0 {
		err = &saidError{code: exitFailed}
	}
	return err
}

// findingsText groups findings by the template that made the object.
func findingsText(all []contextFindings, counts map[validate.Severity]int, ignored int) string {
	var b strings.Builder
	for _, c := range all {
		at := ""
		for _, f := range c.Findings {
			if f.Ignored != "" {
				continue
			}
			if where := c.Context + ": " + cmp.Or(f.Source, f.Release); where != at {
				at = where
				fmt.Fprintf(&b, "%s\n", at)
			}
			fmt.Fprintf(&b, "  %s\n", f)
			if f.Hint != "" {
				fmt.Fprintf(&b, "    hint: %s\n", f.Hint)
			}
		}
	}
	fmt.Fprintf(&b, "%s, %s, %s, ", count(counts[validate.Error], "error", "errors"), count(counts[validate.Warning], "warning", "warnings"),
		count(counts[validate.Info], "info", "infos"))
	fmt.Fprintf(&b, "%d ignored\n", ignored)
	return b.String()
}
