package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
)

type templateFlags struct {
	selection
	namespace   string
	values      []string
	set         []string
	setString   []string
	setFile     []string
	showOnly    []string
	kubeVersion string
	apiVersions []string
	includeCRDs bool
	noHooks     bool
	isUpgrade   bool
	jobs        int
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
	f.addFlags(cmd, w)
	flags := cmd.Flags()
	flags.StringVarP(&f.namespace, "namespace", "n", a.getenv("HELM_NAMESPACE"), "namespace, where the workspace gives none")
	flags.StringArrayVarP(&f.values, "values", "f", nil, "file of chart values, - for standard input (several are laid over one another)")
	flags.StringArrayVar(&f.set, "set", nil, "chart value: KEY=VALUE")
	flags.StringArrayVar(&f.setString, "set-string", nil, "chart value that is text: KEY=VALUE")
	flags.StringArrayVar(&f.setFile, "set-file", nil, "chart value from a file: KEY=PATH")
	flags.StringArrayVarP(&f.showOnly, "show-only", "s", nil, "only the manifests of this template, such as templates/deployment.yaml")
	flags.StringVar(&f.kubeVersion, "kube-version", "", "version of Kubernetes that the charts are rendered for")
	flags.StringSliceVarP(&f.apiVersions, "api-versions", "a", nil, "API versions that the cluster has")
	flags.BoolVar(&f.includeCRDs, "include-crds", false, "print custom resource definitions too")
	flags.BoolVar(&f.noHooks, "no-hooks", false, "leave hooks and tests out")
	flags.BoolVar(&f.isUpgrade, "is-upgrade", false, "render as for an upgrade")
	flags.IntVarP(&f.jobs, "concurrency", "j", 0, "charts made at the same time (default: one for each CPU)")
	return cmd
}

func printManifests(ctx context.Context, a *app, w *workspaceFlags, f templateFlags, services []string) error {
	values, err := userValues(a, f)
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
	build.Each(ctx, f.jobs, len(releases), func(i int) {
		results[i], errs[i] = build.Render(ctx, releases[i], render.Options{
			Namespace: f.namespace, KubeVersion: f.kubeVersion, APIVersions: f.apiVersions, IsUpgrade: f.isUpgrade,
			Values: values, IncludeCRDs: f.includeCRDs, NoHooks: f.noHooks,
		})
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	var findings source.Findings
	var out strings.Builder
	shown := map[string]bool{}
	for i, r := range releases {
		if errs[i] != nil {
			findings = append(findings, renderFinding(r, errs[i]))
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

// renderFinding says which release does not render.
func renderFinding(r build.Release, err error) source.Finding {
	var positioned *render.Error
	if errors.As(err, &positioned) {
		f := positioned.Finding()
		f.Path = strings.TrimSuffix(r.Context+"/"+r.Name+": "+f.Path, ": ")
		f.Origin.File = r.Source(f.Origin.File)
		return f
	}
	return source.Finding{Path: r.Context + "/" + r.Name, Message: err.Error(), Code: "render"}
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

func userValues(a *app, f templateFlags) (map[string]any, error) {
	u := render.UserValues{Set: f.set, SetString: f.setString, SetFile: f.setFile, ReadFile: os.ReadFile}
	for _, name := range f.values {
		read := func() ([]byte, error) { return os.ReadFile(name) }
		if name == "-" {
			read = func() ([]byte, error) { return io.ReadAll(a.stdin) }
		}
		data, err := read()
		if err != nil {
			return nil, fmt.Errorf("--values: %w", err)
		}
		u.Files = append(u.Files, render.ValuesFile{Name: name, Data: data})
	}
	return u.Merge()
}
