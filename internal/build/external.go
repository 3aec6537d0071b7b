package build

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/refs"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// external says how External Secrets reads the context's store; nil where it cannot,
// which is said where the store is named.
func (r *run) external() *generator.External {
	if p := r.target.Secrets.Provider; p != store.Vault && p != store.Kubernetes {
		return nil
	}
	s := r.target.Secrets.ExternalSecrets
	return &generator.External{Store: s.Store, Kind: s.Kind, RefreshInterval: s.RefreshInterval, Remote: remotes{r.target}.of}
}

// remotes are the places of a context's secrets in the words of the operator, which
// reads one store by one login.
type remotes struct{ target *workspace.Target }

// of gives where the operator finds a secret.
func (r remotes) of(p generator.Place) (key, property string, err error) {
	if p.Other != "" {
		return r.reference(p.Other)
	}
	s := r.target.Secrets
	key, property, err = StoreOptions(r.target, Access{}).Entry(secrets.Key{Deployment: s.Deployment, App: p.App, Scope: p.Scope, Name: p.Key})
	if rest, ok := strings.CutPrefix(key, r.mount()+"/"); ok && s.Provider == store.Vault && strings.HasPrefix(rest, "data/") {
		return "", "", fmt.Errorf("the operator External Secrets cannot read %s: it takes the first data for a part of Vault's API\n  hint: put a folder of another name before it: secrets: {prefix: FOLDER}", key)
	}
	return key, property, err
}

// mount gives where Vault's engine is mounted.
func (r remotes) mount() string {
	return cmp.Or(strings.Trim(r.target.Secrets.Mount, "/"), "secret")
}

// reference gives where the operator finds what a reference names, if that is in
// the store which it reads.
func (r remotes) reference(text string) (key, property string, err error) {
	ref, err := refs.Parse(text)
	if err != nil {
		return "", "", err
	}
	switch provider := r.target.Secrets.Provider; {
	case provider == store.Vault && ref.Scheme == refs.Vault:
		key, err = r.inVault(ref)
	case provider == store.Kubernetes && ref.Scheme == refs.K8s:
		key, err = r.inCluster(ref)
	default:
		err = fmt.Errorf("the operator External Secrets reads nothing but the context's store, by its provider %s\n  hint: keep it there: {secret: KEY}; or use delivery: chart", provider)
	}
	switch {
	case err != nil:
		return "", "", err
	case len(ref.Keys) == 0:
		return "", "", errors.New("it names no key\n  hint: add #/KEY")
	case len(ref.Keys) > 1:
		return "", "", fmt.Errorf("it goes into the value of %s, which External Secrets gives as a whole\n  hint: keep that part under a key of its own", ref.Keys[0])
	}
	return key, ref.Keys[0], nil
}

// inVault gives the path of a reference into the context's Vault.
func (r remotes) inVault(ref refs.Ref) (string, error) {
	s := r.target.Secrets
	const hint = "\n  hint: keep it in the context's Vault, or use delivery: chart"
	switch at := ref.Params; {
	case at["address"] != "" && strings.TrimRight(at["address"], "/") != strings.TrimRight(s.Address, "/"):
		return "", errors.New("it names the address of another Vault than the context's, which External Secrets reads" + hint)
	case at["namespace"] != "" && at["namespace"] != s.Namespace:
		return "", errors.New("it names another namespace of Vault than the context's, which External Secrets reads" + hint)
	case at["token_env"] != "" || at["token_file"] != "":
		return "", errors.New("it names a token, and External Secrets logs in by itself\n  hint: remove token_env and token_file")
	case strings.Contains(r.mount(), "/") && !strings.HasPrefix(ref.Path, r.mount()+"/"):
		return "", fmt.Errorf("it is not below the mount %s, which External Secrets has to be told because of the slash in it%s", r.mount(), hint)
	}
	return ref.Path, nil
}

// inCluster gives the name of the Secret of a reference into the namespace of the
// context's store.
func (r remotes) inCluster(ref refs.Ref) (string, error) {
	own := cmp.Or(r.target.Secrets.Namespace, r.target.Namespace)
	parts := strings.Split(ref.Path, "/")
	kind, namespace, name := parts[0], parts[1], parts[2]
	switch {
	case kind != "Secret":
		return "", fmt.Errorf("it is in a %s, and External Secrets reads Secrets alone\n  hint: have the pod read it itself: {valueFrom: {configMapKeyRef: …}}", kind)
	case own == "":
		return "", errors.New("nothing says which namespace the store is in\n  hint: name it in the workspace's context: secrets: {provider: kubernetes, namespace: …}")
	case namespace != own:
		return "", fmt.Errorf("it is in the namespace %s, and the store that External Secrets reads is in %s\n  hint: keep it there, or use delivery: chart", namespace, own)
	}
	return name, nil
}
