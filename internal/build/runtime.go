package build

import (
	"cmp"
	"net/url"
	"strconv"

	"github.com/helm-kai/helm-kai/generator"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/store"
)

// runtime says how kai-run reads the context's store in a pod.
func (r *run) runtime() *generator.Runtime {
	s := r.target.Secrets
	out := running{&generator.Runtime{
		Image: s.Runtime.Image, Env: s.Runtime.Env, Watch: s.Runtime.Watch, Audience: s.Runtime.Audience,
		Store: r.storeVariables(), CIDRs: s.Runtime.CIDRs, Kubernetes: s.Provider == store.Kubernetes,
	}}
	for _, port := range []int{out.vaultPort(), out.databasePort()} {
		if port != 0 {
			out.Ports = append(out.Ports, generator.Port{Number: port, Protocol: "TCP"})
		}
	}
	return out.Runtime
}

// running is what kai-run is told in a pod.
type running struct{ *generator.Runtime }

// setting gives what kai-run takes for one: of variables that mean the same, the first
// that is set, and of what the context says to kai-run and of its store the former. A
// database may be encrypted by a Vault, which is named there alone.
func (r running) setting(names ...string) *source.Value {
	for _, name := range names {
		own, at := r.Env.Get(name), r.Store.Get(name)
		if own.IsScalar() || at == nil {
			at = own
		}
		if !at.IsNull() && (!at.IsScalar() || at.Text != "") {
			return at
		}
	}
	return nil
}

// vaultPort gives the port of Vault, 0 where there is none.
func (r running) vaultPort() int {
	return portOf(r.setting("KAI_VAULT_ADDR", "KAIGARA_VAULT_ADDR", "VAULT_ADDR"), 8200)
}

// databasePort gives the port of the database, 0 where there is none.
func (r running) databasePort() int {
	port := schemePorts[r.setting("KAI_SQL_DRIVER", "KAIGARA_DATABASE_DRIVER").Str()]
	if port == 0 {
		port = schemePorts["postgres"]
	}
	if address := r.setting("KAI_SQL_URL"); address != nil {
		return portOf(address, port)
	}
	if r.setting("KAI_SQL_HOST", "KAIGARA_DATABASE_HOST") == nil {
		return 0
	}
	if n, err := strconv.Atoi(r.setting("KAI_SQL_PORT", "KAIGARA_DATABASE_PORT").Str()); err == nil {
		return n
	}
	return port
}

// storeVariables gives the variables by which kai-run knows the context's store.
func (r *run) storeVariables() *source.Value {
	s := r.target.Secrets
	vars := []struct{ name, value string }{{"KAI_STORE", s.Provider}, {"KAI_DEPLOYMENT", s.Deployment}}
	add := func(name, value string) {
		vars = append(vars, struct{ name, value string }{name, value})
	}
	switch s.Provider {
	case store.Vault:
		add("KAI_VAULT_ADDR", s.Address)
		add("KAI_VAULT_NAMESPACE", s.Namespace)
		add("KAI_VAULT_MOUNT", s.Mount)
		add("KAI_VAULT_PREFIX", s.Prefix)
	case store.SQL:
		add("KAI_SQL_URL", s.URL)
	case store.Kubernetes:
		add("KAI_NAMESPACE", cmp.Or(s.Namespace, r.target.Namespace))
	}
	at := source.Origin{Position: s.Origin.Position, Because: "delivery: runtime"}
	out := source.NewMap(at)
	for _, v := range vars {
		if v.value != "" {
			out.Set(v.name, source.NewString(at, v.value))
		}
	}
	return out
}

// schemePorts are those that a scheme means where an address names none.
var schemePorts = map[string]int{"https": 443, "http": 80, "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306}

// portOf gives the port of a store's address, 0 for none. An address that is only
// known in the cluster is taken to have the usual one.
func portOf(address *source.Value, usual int) int {
	if address.IsNull() {
		return 0
	}
	if !address.IsScalar() {
		return usual
	}
	u, err := url.Parse(address.Text)
	if err != nil || u.Host == "" {
		return 0
	}
	if n, err := strconv.Atoi(u.Port()); err == nil {
		return n
	}
	return schemePorts[u.Scheme]
}
