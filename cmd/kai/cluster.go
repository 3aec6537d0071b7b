package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/helm-kai/helm-kai/internal/release"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// clusterFlags choose a cluster. They are kubectl's, but for the context of
// kubeconfig, which is --kube-context as in Helm. What Helm takes out of a
// plugin's arguments comes back by its variables.
type clusterFlags struct {
	app    *app
	config *genericclioptions.ConfigFlags
	cmd    *cobra.Command
}

func (f *clusterFlags) addFlags(cmd *cobra.Command, a *app) {
	f.app, f.cmd = a, cmd
	c := genericclioptions.NewConfigFlags(true)
	set := func(to *string, name string) {
		if v := a.getenv(name); v != "" {
			*to = v
		}
	}
	set(c.Context, "HELM_KUBECONTEXT")
	set(c.BearerToken, "HELM_KUBETOKEN")
	set(c.Impersonate, "HELM_KUBEASUSER")
	set(c.APIServer, "HELM_KUBEAPISERVER")
	set(c.CAFile, "HELM_KUBECAFILE")
	set(c.TLSServerName, "HELM_KUBETLS_SERVER_NAME")
	if groups := a.getenv("HELM_KUBEASGROUPS"); groups != "" {
		*c.ImpersonateGroup = strings.Split(groups, ",")
	}
	if insecure, err := strconv.ParseBool(a.getenv("HELM_KUBEINSECURE_SKIP_TLS_VERIFY")); err == nil {
		*c.Insecure = insecure
	}
	f.config = c
	kubeContext, cache := c.Context, c.CacheDir
	c.Context, c.CacheDir = nil, nil
	c.AddFlags(cmd.Flags())
	c.Context, c.CacheDir = kubeContext, cache
	cmd.Flags().StringVar(kubeContext, "kube-context", *kubeContext, "context of kubeconfig")
	cmd.Flags().Lookup("namespace").Usage = "namespace, where the workspace gives none"
	_ = cmd.RegisterFlagCompletionFunc("kube-context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		config, err := f.config.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for name := range config.Contexts {
			names = append(names, name)
		}
		slices.Sort(names)
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// clock is the machine's.
type clock struct{}

func (clock) Now() time.Time                         { return time.Now() }
func (clock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// at gives the flags with another context of kubeconfig. ConfigFlags remember what
// they have loaded, so that each cluster needs its own.
func (f *clusterFlags) at(kubeContext string) *genericclioptions.ConfigFlags {
	c, own := genericclioptions.NewConfigFlags(true), f.config
	c.Context = &kubeContext
	c.CacheDir, c.KubeConfig, c.ClusterName, c.AuthInfoName, c.Namespace = own.CacheDir, own.KubeConfig, own.ClusterName, own.AuthInfoName, own.Namespace
	c.APIServer, c.TLSServerName, c.Insecure, c.CertFile, c.KeyFile, c.CAFile = own.APIServer, own.TLSServerName, own.Insecure, own.CertFile, own.KeyFile, own.CAFile
	c.BearerToken, c.Impersonate, c.ImpersonateUID, c.ImpersonateGroup, c.ImpersonateUserExtra = own.BearerToken, own.Impersonate, own.ImpersonateUID, own.ImpersonateGroup, own.ImpersonateUserExtra
	c.Username, c.Password, c.Timeout, c.DisableCompression, c.ProxyURL = own.Username, own.Password, own.Timeout, own.DisableCompression, own.ProxyURL
	return c
}

// namespace gives where releases go for which the workspace says nothing, and
// whether somebody has said so: -n, or Helm's -n, which a plugin sees as a
// variable that is always set.
func (f *clusterFlags) namespace(config *genericclioptions.ConfigFlags) (name string, said bool) {
	if flag := f.cmd.Flags().Lookup("namespace"); flag != nil && flag.Changed {
		return *config.Namespace, true
	}
	own, _, err := config.ToRawKubeConfigLoader().Namespace()
	if err != nil || own == "" {
		own = "default"
	}
	if helm := f.app.getenv("HELM_NAMESPACE"); helm != "" && helm != own {
		return helm, helm != "default"
	}
	return own, false
}

// connect goes to the cluster that a context is bound to, or else to the one
// that the flags choose, and makes sure that it is the right one.
func (f *clusterFlags) connect(ctx context.Context, t *workspace.Target) (*release.Cluster, release.Target, error) {
	target := release.Target{Context: t.Context}
	config, err := f.bind(t)
	if err != nil {
		return nil, target, err
	}
	namespace, said := f.namespace(config)
	switch {
	case t.Namespace == "":
		target.Namespace = namespace
	case said && namespace != t.Namespace:
		return nil, target, guard(t.Origin, "leave -n out, or change the context in "+workspace.FileName, "the context %s is bound to the namespace %s, and -n says %s", t.Context, t.Namespace, namespace)
	default:
		target.Namespace = t.Namespace
	}
	options := release.ConnectOptions{Driver: f.app.getenv("HELM_DRIVER"), UserAgent: "kai/" + f.app.version, Clock: clock{}}
	if qps, err := strconv.ParseFloat(f.app.getenv("HELM_QPS"), 32); err == nil && qps > 0 {
		options.QPS = float32(qps)
		options.Burst = 100
		if burst, err := strconv.Atoi(f.app.getenv("HELM_BURST_LIMIT")); err == nil && burst > 0 {
			options.Burst = burst
		}
	}
	if err := f.configured(config); err != nil {
		return nil, target, err
	}
	cluster, err := release.Connect(config, options)
	if err != nil {
		return nil, target, err
	}
	target.Cluster, err = cluster.UID(ctx)
	switch {
	case apierrors.IsForbidden(err) && t.Cluster.UID == "":
		// Who may work in one namespace only has the address to tell clusters apart.
		target.Cluster = cluster.Server()
	case err != nil:
		return nil, target, err
	case t.Cluster.UID != "" && t.Cluster.UID != target.Cluster:
		return nil, target, guard(t.Cluster.Origin, "choose the other cluster with --kube-context",
			"the context %s is bound to the cluster %s, and %s is the cluster %s", t.Context, t.Cluster.UID, cluster.Server(), target.Cluster)
	}
	return cluster, target, nil
}

// guard words that a context is not where it belongs.
func guard(at source.Origin, hint, format string, args ...any) error {
	var findings source.Findings
	findings.Add("guard", at, "", hint, format, args...)
	return findings
}

// configured says so where nothing names a cluster, before the default of all
// clients is tried, which is a server on this machine.
func (f *clusterFlags) configured(config *genericclioptions.ConfigFlags) error {
	raw, err := config.ToRawKubeConfigLoader().RawConfig()
	if err != nil || len(raw.Contexts) > 0 || *config.APIServer != "" || f.app.getenv("KUBERNETES_SERVICE_HOST") != "" {
		return nil
	}
	return errors.New("there is no kubeconfig that names a cluster\n  hint: KUBECONFIG or --kubeconfig names one, --server an address")
}

// bind takes the context of kubeconfig from the workspace, where it names one.
// Where the cluster's uid is known, that decides, and the name is only where to
// look first.
func (f *clusterFlags) bind(t *workspace.Target) (*genericclioptions.ConfigFlags, error) {
	bound := t.Cluster.KubeContext
	if bound == "" {
		return f.at(*f.config.Context), nil
	}
	if said := *f.config.Context; said != "" {
		if said != bound && t.Cluster.UID == "" {
			return nil, guard(t.Cluster.Origin, "leave --kube-context out; or bind the context to the cluster's uid, for its name is everybody's own",
				"the context %s is bound to the context %s of kubeconfig, and --kube-context says %s", t.Context, bound, said)
		}
		return f.at(said), nil
	}
	config, err := f.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil && !clientcmd.IsEmptyConfig(err) {
		return nil, err
	}
	if _, known := config.Contexts[bound]; known {
		return f.at(bound), nil
	}
	if t.Cluster.UID != "" {
		return f.at(""), nil // the current one may be it under another name
	}
	return nil, guard(t.Cluster.Origin, "add it; or bind the context to the cluster's uid: cluster: {uid: …}",
		"the context %s is bound to the context %s of kubeconfig, which has none of that name", t.Context, bound)
}

// unreachable adds the way out to an error of a command that works without a
// cluster as well.
func unreachable(err error) error {
	var moved *release.MovedError
	if err == nil || errors.As(err, &moved) || strings.Contains(err.Error(), "hint:") {
		return err
	}
	return fmt.Errorf("%w\n  hint: --against git:REVISION or context:NAME compares without a cluster", err)
}
