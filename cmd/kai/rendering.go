package main

import (
	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/render"
)

// rendering is what manifests are rendered for by a command that asks no cluster.
type rendering struct {
	namespace   string
	kubeVersion string
	apiVersions []string
	jobs        int
}

// addFlags adds the flags; made says what is made at the same time.
func (r *rendering) addFlags(a *app, cmd *cobra.Command, made string) {
	flags := cmd.Flags()
	flags.StringVarP(&r.namespace, "namespace", "n", a.getenv("HELM_NAMESPACE"), "namespace, where the workspace gives none")
	flags.StringVar(&r.kubeVersion, "kube-version", "", "version of Kubernetes that the charts are rendered for")
	flags.StringSliceVarP(&r.apiVersions, "api-versions", "a", nil, "API versions that the cluster has")
	flags.IntVarP(&r.jobs, "concurrency", "j", 0, made+" at the same time (default: one for each CPU)")
}

// options gives the flags as the renderer takes them, for some values.
func (r *rendering) options(values map[string]any) render.Options {
	return render.Options{Namespace: r.namespace, KubeVersion: r.kubeVersion, APIVersions: r.apiVersions, Values: values}
}
