package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/refs"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// access gives what the store of a context is opened with. f chooses the cluster
// of a store in one; nil leaves that to the workspace and to kubeconfig.
func (a *app) access(dir string, target *workspace.Target, f *clusterFlags) build.Access {
	if f == nil {
		f = &clusterFlags{}
		f.addFlags(&cobra.Command{}, a)
	}
	return build.Access{
		Dir: dir, Credential: a.credential, Getenv: a.getenv, Environ: othersEnviron(), Pool: &a.stores,
		Kubernetes: func(ctx context.Context) (*http.Client, string, string, error) { return f.client(ctx, target) },
	}
}

// credential gives a setting of a store from the environment: KAI_ and its name,
// or for Vault the variable that Vault's own programs read. See internal/store.
func (a *app) credential(name string) (secrets.Value, bool) {
	text := a.getenv("KAI_" + name)
	if text == "" && vaultsOwn[name] {
		text = a.getenv(name)
	}
	switch {
	case text != "":
	case name == "VAULT_TOKEN_FILE":
		text = a.vaultLogin()
	case name == "ENCRYPTION_KEYS_FILE" && a.getenv("KAI_ENCRYPTION_KEYS") == "":
		text = a.ownKeys()
	}
	return secrets.New(text), text != ""
}

// othersEnviron is this process's environment without what kai itself logs in with:
// who writes a reference says what the programs do, and is not who runs kai.
func othersEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return refs.Private(name)
	})
}

// vaultsOwn are the variables of Vault's own programs.
var vaultsOwn = map[string]bool{
	"VAULT_ADDR": true, "VAULT_NAMESPACE": true, "VAULT_TOKEN": true, "VAULT_CACERT": true,
	"VAULT_CLIENT_CERT": true, "VAULT_CLIENT_KEY": true, "VAULT_TLS_SERVER_NAME": true,
}

// vaultLogin gives the file in which vault login leaves a token, if it is there
// and nothing else gives one.
func (a *app) vaultLogin() string {
	home := a.getenv("HOME")
	if home == "" || a.getenv("KAI_VAULT_TOKEN") != "" || a.getenv("VAULT_TOKEN") != "" {
		return ""
	}
	file := filepath.Join(home, ".vault-token")
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return file
}

// ownKeys gives the user's own file of encryption keys, if it is there.
func (a *app) ownKeys() string {
	file, err := a.keyFile()
	if err != nil {
		return ""
	}
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// client gives a client of a context's cluster, the cluster's address and the
// namespace. Where the context is bound to a cluster by uid, it is asked for that.
func (f *clusterFlags) client(ctx context.Context, t *workspace.Target) (*http.Client, string, string, error) {
	flags, err := f.bind(t)
	if err == nil {
		err = f.configured(flags)
	}
	if err != nil {
		return nil, "", "", store.Setting(err)
	}
	if t.Cluster.UID != "" {
		if _, _, err := f.connect(ctx, t); err != nil {
			return nil, "", "", err
		}
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, "", "", store.Setting(err)
	}
	config = rest.CopyConfig(config)
	config.UserAgent = "kai/" + f.app.version
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, "", "", err
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, "", "", err
	}
	namespace := t.Namespace
	if namespace == "" {
		namespace, _ = f.namespace(flags)
	}
	return client, strings.TrimSuffix(base.String(), "/"), namespace, nil
}
