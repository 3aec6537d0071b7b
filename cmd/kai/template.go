package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
)

type templateFlags struct {
	selection
	chartValues
	rendering
	showOnly    []string
	includeCRDs bool
	noHooks     bool
	isUpgrade   bool
}

func newTemplate(a *app, w *workspaceFlags) *cobra.Command {
	var f templateFlags
	cmd := &cobra.Command{
		Use:   "template [SERVICE…]",
		Short: "Print the manifests of a context",
		Long: `Prints the manifests that the charts of a context render to, byte for byte as
helm template does, without writing the charts.

No secret is read: where a chart wants the value of one, the manifests hold a mark,
kai-placeholder, that no installation accepts. Values given with -f and --set are the
chart's own.`,
		Example:           a.example("template -c prod", "template -c dev carts --show-only templates/deployment.yaml", "template -c prod --set replicas=5 front-end"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return printManifests(cmd.Context(), a, w, f, args)
		},
	}
	f.selection.addFlags(cmd, w)
	flags := cmd.Flags()
	f.chartValues.addFlags(cmd)
	f.rendering.addFlags(a, cmd, "charts made")
	flags.StringArrayVarP(&f.showOnly, "show-only", "s", nil, "only the manifests of this template, such as templates/deployment.yaml")
	flags.BoolVar(&f.includeCRDs, "include-crds", false, "print custom resource definitions too")
	flags.BoolVar(&f.noHooks, "no-hooks", false, "leave hooks and tests out")
	flags.BoolVar(&f.isUpgrade, "is-upgrade", false, "render as for an upgrade")
	return cmd
}

func printManifests(ctx context.Context, a *app, w *workspaceFlags, f templateFlags, services []string) error {
	values, err := f.chartValues.read(a)
	if err != nil {
		return err
	}
	options := f.options(values)
	options.IsUpgrade, options.IncludeCRDs, options.NoHooks = f.isUpgrade, f.includeCRDs, f.noHooks
	type rendered struct {
		manifests []render.Manifest
		findings  source.Findings
	}
	built, _, err := gatherContexts(ctx, a, w, f.selection, services, f.jobs, func(r build.Release) rendered {
		result, err := build.Render(ctx, r, options)
		if err != nil {
			return rendered{findings: source.Findings{build.Finding(r, err)}}
		}
		return rendered{manifests: result.Manifests}
	})
	if err := cmp.Or(ctx.Err(), err); err != nil {
		return err
	}
	var findings source.Findings
	var texts []string
	shown := map[string]bool{}
	for _, g := range built {
		for _, r := range g.releases {
			findings = append(findings, r.findings...)
			if len(f.showOnly) > 0 {
				if r.manifests = only(r.manifests, f.showOnly, shown); len(r.manifests) == 0 {
					continue
				}
			}
			texts = append(texts, (&render.Result{Manifests: r.manifests}).Text())
		}
	}
	if findings.Err() != nil {
		return findings.Sorted()
	}
	for _, name := range f.showOnly {
		if !shown[name] {
			return fmt.Errorf("--show-only %s: no chart has a manifest of this template", name)
		}
	}
	for _, text := range texts {
		if _, err := io.WriteString(a.stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// only keeps the manifests of some templates, and notes which were there.
func only(manifests []render.Manifest, templates []string, shown map[string]bool) []render.Manifest {
	var kept []render.Manifest
	for _, m := range manifests {
		_, file, _ := strings.Cut(m.Source, "/")
		for _, name := range templates {
			if file == path.Clean(name) {
				shown[name] = true
				kept = append(kept, m)
				break
			}
		}
	}
	return kept
}
