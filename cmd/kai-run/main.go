// Kai-run is the entrypoint of a container: it starts a command with the secrets
// of a store. See internal/run for what it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"

	"github.com/helm-kai/helm-kai/internal/run"
	"github.com/helm-kai/helm-kai/internal/runstore"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/kubernetes"
	"github.com/helm-kai/helm-kai/internal/store"
)

// version is set by the linker.
var version string

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(buildVersion())
		return
	}
	os.Exit(run.Run(context.Background(), os.Args, os.Environ(), run.World{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Open: open,
	}))
}

// buildVersion gives the version without a leading v.
func buildVersion() string {
	if version != "" {
		return strings.TrimPrefix(version, "v")
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "0.0.0-dev"
}

// open opens the store that a configuration names. Of clusters it knows the one
// that it runs in.
func open(ctx context.Context, c run.Config) (secrets.Store, error) {
	if c.Watch {
		// Whoever stays, stays small: with the default, garbage is left until the
		// heap has 4 MiB.
		debug.SetGCPercent(20)
	}
	return runstore.Open(ctx, c, func(context.Context) (*http.Client, string, string, error) {
		if c.Store.Kubeconfig != "" {
			return nil, "", "", store.Setting(errors.New("kai-run reads Secrets of the cluster that it runs in, and no kubeconfig\n  hint: unset KUBECONFIG; helm kai run reads one"))
		}
		return kubernetes.InCluster()
	})
}
