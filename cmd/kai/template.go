package main

import (
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
	built, _, err := buildContexts(ctx, a, w, f.selection, services, f.jobs)
	if err != nil {
		return err
	}
	var releases []build.Release
	for _, g := range built {
		releases = append(releases, g.releases...)
	}
	results := make([]*render.Result, len(releases))
	errs := make([]error, len(releases))
	options := f.options(values)
	options.IsUpgrade, options.IncludeCRDs, options.NoHooks = f.isUpgrade, f.includeCRDs, f.noHooks
	build.Each(ctx, f.jobs, len(releases), func(i int) {
		results[i], errs[i] = build.Render(ctx, releases[i], options)
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	var findings source.Findings
	var out strings.Builder
	shown := map[string]bool{}
	for i, r := range releases {
		if errs[i] != nil {
			findings = append(findings, build.Finding(r, errs[i]))
			continue
		}
		if len(f.showOnly) > 0 {
			results[i].Manifests = only(results[i].Manifests, f.showOnly, shown)
			if len(results[i].Manifests) == 0 {
				continue
			}
		}
		out.WriteString(results[i].Text())
	}
	if findings.Err() != nil {
		return findings.Sorted()
	}
	for _, name := range f.showOnly {
		if !shown[name] {
			return fmt.Errorf("--show-only %s: no chart has a manifest of this template", name)
		}
	}
	_, err = io.WriteString(a.stdout, out.String())
	return err
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
