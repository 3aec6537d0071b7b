package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/refs"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/store"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// References gives what reads references such as ref+vault://PATH#/KEY for a
// context. Vault is the one of the context's store, or else that of the
// environment. Nothing is asked yet.
func References(target *workspace.Target, access Access) *refs.Resolver {
	o := StoreOptions(target, access)
	v := &vaults{options: o, listed: target.Secrets.Vaults, getenv: access.Getenv, pool: access.Pool, known: map[refs.VaultAt]vaultReader{}}
	open := refs.Openers{
		Vault: v.read,
		Kubernetes: func(ctx context.Context, kind, namespace, name string) (map[string]secrets.Value, error) {
			s, err := o.KubernetesStore(ctx)
			if err != nil {
				return nil, err
			}
			return s.Object(ctx, kind, namespace, name)
		},
	}
	if access.Getenv != nil {
		open.Env = func(name string) (secrets.Value, bool) {
			text := access.Getenv(name)
			return secrets.New(text), text != ""
		}
	}
	if access.Dir != "" {
		open.File = refs.FileIn(access.Dir, target.Secrets.Files)
		v.file = open.File
		open.Exec = listed(target.Secrets.Exec, refs.Command(access.Dir, access.Environ))
	}
	return refs.New(open)
}

// listed gives what executes commands, but only the programs of a list, by the word
// that a reference begins with: a name is looked up in PATH, a path taken as it is.
func listed(programs []string, execute func(context.Context, []string) (secrets.Value, error)) func(context.Context, []string) (secrets.Value, error) {
	return func(ctx context.Context, argv []string) (secrets.Value, error) {
		if !slices.Contains(programs, argv[0]) {
			return secrets.Value{}, fmt.Errorf("the context does not list the program %.80q\n  hint: secrets: {exec: [%.80[1]s]} in the workspace's context lets whoever writes a descriptor run it, with any arguments", argv[0])
		}
		return execute(ctx, argv)
	}
}

// vaultReader is a connection to Vault.
type vaultReader interface {
	io.Closer
	Read(ctx context.Context, paths []string) (map[string]map[string]secrets.Value, error)
}

// vaults are the connections that references need, one each.
type vaults struct {
	options store.Options
	getenv  func(string) string
	listed  []string                                                      // addresses that references may name
	file    func(ctx context.Context, path string) (secrets.Value, error) // nil gives none
	pool    *store.Pool

	mu    sync.Mutex
	known map[refs.VaultAt]vaultReader
}

func (v *vaults) read(ctx context.Context, at refs.VaultAt, path string) (map[string]secrets.Value, error) {
	client, err := v.client(ctx, at)
	if err != nil {
		return nil, err
	}
	entries, err := client.Read(ctx, []string{path})
	return entries[path], err
}

func (v *vaults) client(ctx context.Context, at refs.VaultAt) (vaultReader, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if client := v.known[at]; client != nil {
		return client, nil
	}
	o, err := v.at(ctx, at)
	if err != nil {
		return nil, err
	}
	client, err := o.VaultClient()
	if err != nil {
		return nil, err
	}
	v.known[at] = client
	v.pool.Keep(client)
	return client, nil
}

// at gives the options of a Vault. Of the credentials that are configured, another
// address than the configured one gets none, and what a reference names for a token
// goes only to addresses that the context lists.
func (v *vaults) at(ctx context.Context, at refs.VaultAt) (store.Options, error) {
	o := v.options
	if at == (refs.VaultAt{}) {
		return o, nil
	}
	configured := o.Credential
	if configured == nil {
		configured = func(string) (secrets.Value, bool) { return secrets.Value{}, false }
	}
	namespace := cmp.Or(at.Namespace, o.Namespace)
	if o.Provider != store.Vault {
		o.Provider, o.Address = store.Vault, ""
		namespace = at.Namespace
	}
	o.Namespace = namespace
	own, ok := configured("VAULT_ADDR")
	if o.Address != "" {
		own, ok = secrets.New(o.Address), true
	}
	named, foreign := at.TokenEnv != "" || at.TokenFile != "", at.Address != "" && (!ok || !sameAddress(own.Reveal(), at.Address))
	if address := cmp.Or(at.Address, own.Reveal()); (named || foreign) && address != "" && !slices.ContainsFunc(v.listed, func(known string) bool { return sameAddress(known, address) }) {
		return o, fmt.Errorf("the context does not list the Vault %.200s, and a reference that names another one, or a token, needs that\n  hint: secrets: {vaults: [%.200[1]q]} in the workspace's context lets whoever writes a descriptor send it what a variable or a file holds", address)
	}
	if !named {
		if foreign {
			return o, errors.New("the reference names another Vault than the configured one, and no token for it\n  hint: add token_env=VARIABLE or token_file=FILE to it")
		}
		return o, nil
	}
	token, err := v.token(ctx, at)
	if err != nil {
		return o, err
	}
	o.Address = cmp.Or(at.Address, own.Reveal())
	o.Credential = func(name string) (secrets.Value, bool) {
		switch {
		case name == "VAULT_TOKEN":
			return token, !token.IsZero()
		case slices.Contains([]string{"VAULT_CACERT", "VAULT_TLS_SERVER_NAME"}, name):
			return configured(name)
		}
		return secrets.Value{}, false
	}
	return o, nil
}

// sameAddress says whether two addresses are of one Vault.
func sameAddress(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// token gives the token that a reference names. It is sent to an address that the
// reference names too, so that it is read as other references are: none of kai's own.
func (v *vaults) token(ctx context.Context, at refs.VaultAt) (secrets.Value, error) {
	var none secrets.Value
	switch {
	case at.TokenEnv != "" && refs.Private(at.TokenEnv):
		return none, fmt.Errorf("the variable %s is one that kai itself, or what it works with, logs in with, and token_env does not read it\n  hint: give the token in a variable of another name, or leave out token_env and address", at.TokenEnv)
	case at.TokenEnv != "" && v.getenv != nil:
		return secrets.New(v.getenv(at.TokenEnv)), nil
	case at.TokenEnv == "" && v.file != nil:
		token, err := v.file(ctx, at.TokenFile)
		return secrets.New(strings.TrimSpace(token.Reveal())), err
	}
	return none, nil
}

// tlsReference gives the reference to one of the two keys of a certificate, which
// in the reference stand for one another: tls.crt or tls.key.
func tlsReference(text, key string) string {
	switch {
	case strings.Contains(text, "#"), strings.Contains(text, "+k8s://"):
		return text + "/" + key
	}
	return text + "#/" + key
}

// resolve reads the references among slots, if there is what reads them.
func (o DesireOptions) resolve(ctx context.Context, releases []Release, all [][]slot) (map[string]secrets.Value, source.Findings, error) {
	var findings source.Findings
	users := map[string][]func(err error){}
	var texts []string
	for i, r := range releases {
		for _, s := range all[i] {
			if !refs.Is(s.ref.Name) {
				continue
			}
			if users[s.ref.Name] == nil {
				texts = append(texts, s.ref.Name)
			}
			users[s.ref.Name] = append(users[s.ref.Name], func(err error) {
				message, hint, _ := strings.Cut(err.Error(), "\n  hint: ")
				findings.Add("reference", s.reference.OriginOrNone(), r.Name, hint, "the Secret %s wants %s: %s", s.secret, s.ref.Name, message)
			})
		}
	}
	if len(texts) == 0 || o.References == nil {
		return nil, nil, nil
	}
	values, wrong := o.References.Resolve(ctx, texts)
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	for _, e := range wrong {
		for _, text := range e.Refs {
			for _, say := range users[text] {
				say(e)
			}
		}
	}
	return values, findings, nil
}
