package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

type valuesFlags struct {
	selection
	chartValues
	out    string
	reveal bool
}

func newValues(a *app, w *workspaceFlags) *cobra.Command {
	var f valuesFlags
	cmd := &cobra.Command{
		Use:   "values SERVICE",
		Short: "Print the values that a chart is installed with",
		Long: `Prints what install gives a chart beyond the values that stand in it: those of -f and
--set, and the secrets. With them, the generated chart makes the same release by Helm
alone:

` + a.example("generate -c prod carts", "values -c prod carts -o values.yaml") + `
  helm upgrade --install carts charts/prod/carts -n NAMESPACE -f values.yaml

Secrets are masked, unless --reveal or a file to write to asks for them. The file can
be read by its owner alone. No cluster is asked.`,
		Example:           a.example("values -c prod carts", "values -c prod carts -o values.yaml", "values -c prod carts --set replicas=5 --reveal"),
		Args:              servicesArg(1, 1, "values -c CONTEXT SERVICE"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return printValues(cmd.Context(), a, w, f, args)
		},
	}
	f.selection.addOneFlags(cmd, w)
	f.chartValues.addFlags(cmd)
	cmd.Flags().StringVarP(&f.out, "output-file", "o", "", "write to this file instead, secrets included")
	cmd.Flags().BoolVar(&f.reveal, "reveal", false, "print the secrets instead of [masked]")
	_ = cmd.MarkFlagFilename("output-file")
	return cmd
}

func printValues(ctx context.Context, a *app, w *workspaceFlags, f valuesFlags, services []string) error {
	if err := isFormat(f.out); err != nil {
		return err
	}
	values, err := f.chartValues.read(a)
	if err != nil {
		return err
	}
	r, err := walk(ctx, a, w, f.selection, nil, services, 0)
	if err != nil {
		return err
	}
	var findings source.Findings
	o := build.DesireOptions{Render: render.Options{Values: values}, Deployment: r.from.Secrets.Deployment, Strict: true}
	access := a.access(r.dir, r.from, nil)
	o.References = build.References(r.from, access)
	if o.Store, findings = build.Store(r.ws.FS, r.from, access); findings.Err() != nil {
		return findings
	}
	open := f.reveal || f.out != ""
	all, findings, err := build.Values(ctx, r.releases, o, func(v secrets.Value) string {
		if open {
			return v.Reveal()
		}
		return v.String()
	})
	if err != nil {
		return err
	}
	if findings.Err() != nil {
		return findings
	}
	i := slices.IndexFunc(r.releases, func(b build.Release) bool { return b.Labels["name"] == services[0] })
	text, err := yaml.Marshal(all[i])
	if err != nil {
		return err
	}
	if f.out != "" {
		return writePrivate(f.out, text)
	}
	_, err = fmt.Fprint(a.stdout, string(text))
	return err
}
