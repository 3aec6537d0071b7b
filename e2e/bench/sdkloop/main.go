// Sdkloop does with Helm's SDK, in one process, what people would script first: a loop over the charts of a folder, one
// release each. Make bench sets kai against it.
//
//	sdkloop diff|install|upgrade NAMESPACE CHARTS
//
// Diff lists the releases once, renders every chart and prints the names of the releases whose manifest differs. Install and
// upgrade hold all manifests to the cluster's schemas once and then have Helm send them unchecked, for its own check reads
// and parses these schemas anew for every release.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
)

// workers is how many releases are under way at the same time.
const workers = 8

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: sdkloop diff|install|upgrade NAMESPACE CHARTS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sdkloop:", err)
		os.Exit(1)
	}
}

func run(command, namespace, folder string, out io.Writer) error {
	l, err := open(namespace, folder)
	if err != nil {
		return err
	}
	switch command {
	case "diff":
		return l.diff(out)
	case "install", "upgrade":
		return l.send(command == "upgrade")
	}
	return fmt.Errorf("there is no command %s", command)
}

// loop is a connection that all releases share, and their charts.
type loop struct {
	config    *action.Configuration
	namespace string
	charts    []*chart.Chart
}

func open(namespace, folder string) (*loop, error) {
	settings := cli.New()
	settings.SetNamespace(namespace)
	settings.QPS = -1 // no limit of its own: kai has none either
	l := &loop{config: &action.Configuration{}, namespace: namespace}
	if err := l.config.Init(settings.RESTClientGetter(), namespace, "secret", func(string, ...any) {}); err != nil {
		return nil, err
	}
	if err := l.capabilities(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	l.charts = make([]*chart.Chart, len(entries))
	return l, l.each(len(entries), func(i int) (err error) {
		l.charts[i], err = loader.LoadDir(filepath.Join(folder, entries[i].Name()))
		return err
	})
}

// capabilities are asked for once, as actions that run at once would all ask.
func (l *loop) capabilities() error {
	client, err := l.config.RESTClientGetter.ToDiscoveryClient()
	if err != nil {
		return err
	}
	version, err := client.ServerVersion()
	if err != nil {
		return err
	}
	apis, err := action.GetVersionSet(client)
	if err != nil {
		return err
	}
	l.config.Capabilities = &chartutil.Capabilities{
		APIVersions: apis,
		KubeVersion: chartutil.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
	}
	return nil
}

// each calls f for 0 to n-1, some at a time, and gives all errors.
func (l *loop) each(n int, f func(int) error) error {
	errs := make([]error, n)
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// render gives what installing a chart would send. Each has a configuration of its own, which the action writes to.
func (l *loop) render(c *chart.Chart) (*release.Release, error) {
	own := *l.config
	install := action.NewInstall(&own)
	install.ReleaseName, install.Namespace = c.Name(), l.namespace
	install.DryRun, install.ClientOnly, install.Replace, install.IsUpgrade = true, true, true, true
	install.KubeVersion, install.APIVersions = &l.config.Capabilities.KubeVersion, l.config.Capabilities.APIVersions
	return install.Run(c, map[string]any{})
}

func (l *loop) diff(out io.Writer) error {
	releases, err := l.config.Releases.ListDeployed()
	if err != nil {
		return err
	}
	deployed := map[string]string{}
	for _, r := range releases {
		deployed[r.Name] = r.Manifest
	}
	differs := make([]bool, len(l.charts))
	err = l.each(len(l.charts), func(i int) error {
		r, err := l.render(l.charts[i])
		if err == nil {
			differs[i] = r.Manifest != deployed[r.Name]
		}
		return err
	})
	for i, c := range l.charts {
		if differs[i] {
			fmt.Fprintln(out, c.Name())
		}
	}
	return err
}

// check holds all manifests to the cluster's schemas.
func (l *loop) check() error {
	all := make([]string, len(l.charts))
	err := l.each(len(l.charts), func(i int) error {
		r, err := l.render(l.charts[i])
		if err == nil {
			all[i] = r.Manifest
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = l.config.KubeClient.Build(strings.NewReader(strings.Join(all, "\n---\n")), true)
	return err
}

func (l *loop) send(upgrade bool) error {
	kube.ManagedFieldsManager = "helm"
	if err := l.check(); err != nil {
		return err
	}
	return l.each(len(l.charts), func(i int) error {
		c := l.charts[i]
		if upgrade {
			do := action.NewUpgrade(l.config)
			do.Namespace, do.DisableOpenAPIValidation, do.MaxHistory = l.namespace, true, 10
			_, err := do.Run(c.Name(), c, map[string]any{})
			return err
		}
		do := action.NewInstall(l.config)
		do.ReleaseName, do.Namespace, do.DisableOpenAPIValidation = c.Name(), l.namespace, true
		_, err := do.Run(c, map[string]any{})
		return err
	})
}
