package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/kubernetes"
	"github.com/helm-kai/helm-kai/internal/secrets/refs"
	"github.com/helm-kai/helm-kai/internal/secrets/vault"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

type policyFlags struct {
	write, list bool
	scopes      []string
}

func newSecretsPolicy(a *app, s *storeFlags) *cobra.Command {
	var f policyFlags
	cmd := &cobra.Command{
		Use:   "policy [APP…]",
		Short: "Print the least that access to a context's secrets needs",
		Long: `Prints what somebody has to be allowed who reads the secrets of a context: a policy of
Vault, or a Role of Kubernetes. Without arguments it is for what the context's services
refer to, in those scopes of each app; with arguments, for all scopes of these apps. The
app global is read beside them. Of a database that Vault's transit encrypts, it is the
policy for transit.

The store is not asked. For references into Vault it is asked where their engines are
mounted; where it is not reached, they are taken for kv's second version, and a comment
says so. What a policy of Vault does not give, such as a Role for references into a
cluster, stands in comments, too.`,
		Example: a.example("secrets policy -c prod | vault policy write shop-prod -", "secrets policy -c prod carts --write",
			"secrets policy --provider vault -d prod carts orders"),
		ValidArgsFunction: s.workspace.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsPolicy(cmd.Context(), a, s, &f, args)
		},
	}
	cmd.Flags().BoolVar(&f.write, "write", false, "also write and delete, and see the history")
	cmd.Flags().StringSliceVar(&f.scopes, "scope", secrets.Scopes(), "only these scopes; run reads all of them unless told otherwise")
	_ = cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions(secrets.Scopes(), cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVar(&f.list, "list", false, "also list what the deployment has, as list and export do")
	return cmd
}

// needed is what a context's services refer to.
type needed struct {
	apps   []string
	scopes map[string]map[string]bool // by app; nil are all
	vault  []refs.Ref                 // into the context's Vault
	others []string                   // into others, as they were written
	// objects are the names of Secrets and ConfigMaps by namespace and kind.
	objects map[string]map[string][]string
}

func secretsPolicy(ctx context.Context, a *app, s *storeFlags, f *policyFlags, apps []string) error {
	if err := knownScopes(f.scopes); err != nil {
		return err
	}
	p, err := s.resolve()
	if err != nil {
		return err
	}
	provider := p.options.Provider
	transit, err := p.transit()
	if err != nil {
		return err
	}
	if provider != store.Vault && provider != store.Kubernetes && transit == nil {
		return &secrets.CannotError{Store: provider, What: "tell who may read what: it has no policies", Hint: "a file is read by those whose identities open it; in a database GRANT decides"}
	}
	n := needed{apps: apps}
	if len(apps) == 0 {
		all, err := contextWants(ctx, a, s, p, nil)
		if err != nil {
			return err
		}
		if n = p.needs(all); len(n.apps)+len(n.vault)+len(n.others)+len(n.objects) == 0 {
			return errors.New("nothing in this context refers to a secret\n  hint: name apps: policy APP…")
		}
	}
	slices.Sort(n.apps)
	text := ""
	if provider == store.Kubernetes {
		text, err = p.role(ctx, f, n)
	} else {
		text, err = p.vaultPolicy(ctx, f, n, transit)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.stdout, text)
	return err
}

// transit gives the keys by which Vault encrypts a database, nil where it does not. At
// run time that is what pods are told.
func (p *place) transit() (*vault.TransitKeys, error) {
	if p.options.Provider != store.SQL {
		return nil, nil
	}
	setting := func(name string) string {
		if p.target != nil && p.target.Secrets.Delivery == workspace.DeliverRuntime {
			if v := p.target.Secrets.Runtime.Env.Get("KAI_" + name); v.IsScalar() {
				return v.Text
			}
		}
		v, _ := p.options.Credential(name)
		return v.Reveal()
	}
	if setting("ENCRYPTOR") != "transit" {
		_, err := p.options.Encryptor()
		return nil, err
	}
	return &vault.TransitKeys{Mount: setting("TRANSIT_MOUNT"), Name: setting("TRANSIT_KEY")}, nil
}

// needs sorts what services refer to by who has to allow it.
func (p *place) needs(all []build.Want) needed {
	n := needed{scopes: map[string]map[string]bool{}, objects: map[string]map[string][]string{}}
	global := map[string]bool{}
	for _, w := range all {
		if w.Other == "" {
			if n.scopes[w.Key.App] == nil {
				n.scopes[w.Key.App] = map[string]bool{}
			}
			n.scopes[w.Key.App][w.Key.Scope] = true
			global[w.Key.Scope] = true
			continue
		}
		r, err := refs.Parse(w.Other)
		switch {
		case err != nil: // check says so
		case r.Scheme == refs.K8s:
			kind, rest, _ := strings.Cut(r.Path, "/")
			namespace, name, _ := strings.Cut(rest, "/")
			if n.objects[namespace] == nil {
				n.objects[namespace] = map[string][]string{}
			}
			if !slices.Contains(n.objects[namespace][kind], name) {
				n.objects[namespace][kind] = append(n.objects[namespace][kind], name)
			}
		case r.Scheme == refs.Vault && p.isOwn(r):
			n.vault = append(n.vault, r)
		case r.Scheme == refs.Vault && !slices.Contains(n.others, w.Other):
			n.others = append(n.others, w.Other)
		}
	}
	n.apps = slices.Collect(maps.Keys(n.scopes))
	if len(n.apps) > 0 {
		if n.scopes[secrets.Global] == nil {
			n.scopes[secrets.Global] = map[string]bool{}
		}
		maps.Copy(n.scopes[secrets.Global], global)
	}
	return n
}

// isOwn says whether a reference is read in the context's Vault, by its login.
func (p *place) isOwn(r refs.Ref) bool {
	own, _ := p.options.Credential("VAULT_ADDR")
	address, namespace := own.Reveal(), ""
	if v, ok := p.options.Credential("VAULT_NAMESPACE"); ok {
		namespace = v.Reveal()
	}
	if p.options.Provider == store.Vault {
		if p.options.Address != "" {
			address = p.options.Address
		}
		if p.options.Namespace != "" {
			namespace = p.options.Namespace
		}
	}
	other := r.Params["address"]
	return r.Params["token_env"]+r.Params["token_file"] == "" &&
		(other == "" || strings.TrimRight(other, "/") == strings.TrimRight(address, "/")) &&
		(r.Params["namespace"] == "" || r.Params["namespace"] == namespace)
}

// vaultPolicy gives a policy of Vault, and what that cannot say as comments.
func (p *place) vaultPolicy(ctx context.Context, f *policyFlags, n needed, transit *vault.TransitKeys) (string, error) {
	paths, guessed := p.apiPaths(ctx, n.vault)
	access := vault.Access{
		KV: vault.KV{Mount: p.options.Mount, Prefix: p.options.Prefix}, Deployment: p.deployment,
		Apps: n.apps, Scopes: f.scopes, Write: f.write, List: f.list && transit == nil,
		Paths: paths, Transit: transit, NoKV: p.options.Provider != store.Vault || len(n.apps) == 0,
	}
	if len(n.apps) == 0 { // without any it would be for all
		access.Transit = nil
	}
	if n.scopes != nil {
		access.Only = func(app, scope string) bool { return n.scopes[app][scope] }
	}
	text, err := vault.Policy(access)
	if err != nil {
		return "", err
	}
	if len(guessed) > 0 {
		text += "# Vault was not asked where these are mounted. They are taken for kv's second version:\n"
		for _, path := range guessed {
			text += "#   " + path + "\n"
		}
	}
	return text + comments("#", p.rest(n)), nil
}

// rest gives what no policy of the context's Vault gives, as lines.
func (p *place) rest(n needed) string {
	var b strings.Builder
	if len(n.others) > 0 {
		b.WriteString("In another Vault or namespace, or by another token, and not in this policy:\n")
	}
	for _, text := range n.others {
		b.WriteString("  " + text + "\n")
	}
	if len(n.objects) > 0 {
		b.WriteString("For references into a cluster, by Kubernetes:\n")
	}
	return b.String() + p.referencesRoles(n)
}

// referencesRoles gives the Roles that references into a cluster need.
func (p *place) referencesRoles(n needed) string {
	var roles []string
	for _, namespace := range slices.Sorted(maps.Keys(n.objects)) {
		objects := n.objects[namespace]
		slices.Sort(objects["Secret"])
		slices.Sort(objects["ConfigMap"])
		roles = append(roles, kubernetes.ReferencesRole(namespace, p.deployment, objects["Secret"], objects["ConfigMap"]))
	}
	return strings.Join(roles, "---\n")
}

// comments gives lines as comments.
func comments(sign, text string) string {
	out := ""
	for line := range strings.Lines(text) {
		out += sign + " " + line
	}
	return out
}

// askingMounts bounds how long Vault is asked where engines are mounted.
const askingMounts = 3 * time.Second

// apiPaths gives the paths of Vault's API that references read, sorted, and those
// references of which Vault did not say where they lie.
func (p *place) apiPaths(ctx context.Context, all []refs.Ref) (paths, guessed []string) {
	if len(all) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askingMounts)
	defer cancel()
	ask := func(string) (string, error) { return "", errors.New("no Vault is named") }
	if client, err := p.options.VaultClient(); err == nil {
		defer client.Close()
		ask = func(path string) (string, error) { return client.APIPath(ctx, path) }
	}
	for _, r := range all {
		path, err := ask(r.Path)
		if err != nil {
			mount, rest, _ := strings.Cut(r.Path, "/")
			path = mount + "/data/" + strings.TrimPrefix(rest, "data/")
			if !slices.Contains(guessed, r.Path) {
				guessed = append(guessed, r.Path)
			}
		}
		paths = append(paths, path)
	}
	slices.Sort(guessed)
	return slices.Compact(slices.Sorted(slices.Values(paths))), guessed
}

// role gives a Role of Kubernetes, and those that references need.
func (p *place) role(ctx context.Context, f *policyFlags, n needed) (string, error) {
	namespace := p.options.Namespace
	if namespace == "" && p.target != nil {
		namespace = p.target.Namespace
	}
	if namespace == "" {
		var err error
		if _, _, namespace, err = p.options.Kubernetes(ctx); err != nil {
			return "", err
		}
	}
	var roles []string
	switch {
	case f.list:
		roles = append(roles, kubernetes.Role(namespace, p.deployment, f.write))
	case len(n.apps) > 0:
		var paths []secrets.Path
		for _, app := range append(slices.Clone(n.apps), secrets.Global) {
			for _, scope := range f.scopes {
				if n.scopes == nil || n.scopes[app][scope] {
					paths = append(paths, secrets.Path{Deployment: p.deployment, App: app, Scope: scope})
				}
			}
		}
		if len(paths) > 0 { // without any it would be for all
			roles = append(roles, kubernetes.Role(namespace, p.deployment, f.write, paths...))
		}
	}
	if references := p.referencesRoles(n); references != "" {
		roles = append(roles, references)
	}
	text := strings.Join(roles, "---\n")
	paths, guessed := p.apiPaths(ctx, n.vault)
	if len(paths) > 0 {
		policy, err := vault.Policy(vault.Access{Deployment: p.deployment, NoKV: true, Paths: paths})
		if err != nil {
			return "", err
		}
		text += "# For references into Vault, a policy there:\n" + comments("#", policy)
		for _, path := range guessed {
			text += "# Vault was not asked where " + path + " is mounted: it is taken for kv's second version.\n"
		}
	}
	if len(n.others) > 0 {
		text += "# In another Vault or namespace, or by another token:\n" + comments("#", "  "+strings.Join(n.others, "\n  ")+"\n")
	}
	return text, nil
}
