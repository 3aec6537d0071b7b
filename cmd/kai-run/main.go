// Kai-run is the entrypoint of a container: it starts a command with the secrets
// of a store. See internal/run for what it does.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/helm-kai/helm-kai/internal/run"
	"github.com/helm-kai/helm-kai/internal/secrets"
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

// open opens the store that a configuration names.
func open(_ context.Context, c run.Config) (secrets.Store, error) {
	if c.Store.Driver == "" {
		return nil, fmt.Errorf("no store is named\n  hint: --store or KAI_STORE: file, sql, vault, kubernetes")
	}
	return nil, fmt.Errorf("this build of kai-run has no store %s", c.Store.Driver)
}
