package workspace

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Secrets says where a context's secrets are kept. Which of its fields a provider
// has is in the table stores.
type Secrets struct {
	Provider   string // "" for none
	Path       string // of a file, in the workspace
	URL        string // of a database
	Address    string // of Vault
	Mount      string // of Vault's engine
	Namespace  string // of Vault, or of Kubernetes
	Prefix     string // in Vault, before the deployment
	Deployment string
	Delivery   string // how they reach workloads: one of the deliveries, "" is DeliverChart
	// ExternalSecrets and Runtime say more about the deliveries of these names.
	ExternalSecrets ExternalSecrets
	Runtime         Runtime
	// Exec are the programs that references ref+exec may run, by the first word
	// that they write.
	Exec []string
	// Files are folders beside the workspace's own that references ref+file may read.
	Files []string
	// Vaults are addresses that references ref+vault may name, or send a token to that
	// they name.
	Vaults []string
	Origin source.Origin
}

// ExternalSecrets says which operator's store the objects ExternalSecret name.
type ExternalSecrets struct {
	Store           string // name of a SecretStore or ClusterSecretStore
	Kind            string // which of the two
	RefreshInterval string // such as 1h
}

// Runtime says how containers start through kai-run.
type Runtime struct {
	Image *source.Value // which has /kai-run, in the fields of the type image
	Env   *source.Value // variables for kai-run: how it logs in to the store; nil for none
	Watch bool          // whether the container's command is started anew when a secret changes
	// Audience is that of a token of the pod's service account, which kai-run finds
	// in KAI_VAULT_JWT_FILE; "" for none.
	Audience string
	// CIDRs are where the store is; none opens its port to all.
	CIDRs []string
}

// storeFields are those of a kind of store.
type storeFields struct {
	provider string
	fields   []string
	needs    string // a field that it cannot do without, "" for none
	hint     string // what that is
}

// stores are the kinds of stores that secrets are kept in, with the fields that
// each has of its own.
var stores = []storeFields{
	{"file", []string{"path"}, "path", "name the file, relative to the workspace"},
	{"sql", []string{"path", "url"}, "", ""},
	{"vault", []string{"address", "mount", "namespace", "prefix"}, "", ""},
	{"kubernetes", []string{"namespace"}, "", ""},
}

// anyStore are the fields that do not depend on the kind of store.
var anyStore = []string{"provider", "deployment", "delivery", "externalSecrets", "runtime", "exec", "files", "vaults"}

// Providers gives the kinds of stores that secrets are kept in.
func Providers() []string {
	var names []string
	for _, s := range stores {
		names = append(names, s.provider)
	}
	return names
}

// The ways in which secrets reach workloads: Secrets that the chart makes of
// values given at install, objects ExternalSecret, and kai-run in the containers.
const (
	DeliverChart    = "chart"
	DeliverExternal = "external-secrets"
	DeliverRuntime  = "runtime"
)

var deliveries = []string{DeliverChart, DeliverExternal, DeliverRuntime}

// readSecrets reads where a context's secrets are. A context that says it anew
// says it whole.
func readSecrets(v *source.Value, here string, findings *source.Findings) Secrets {
	s := Secrets{Origin: v.OriginOrNone()}
	if v.IsNull() {
		return s
	}
	if v.Kind != source.Map {
		findings.Add("wrong-type", v.Origin, here, "write {provider: …}", "expected a map, got %s", v.Kind)
		return s
	}
	r := storeReader{v, here, findings}
	s.Deployment = r.deployment()
	s.Provider = r.text("provider")
	r.delivery(&s)
	if !r.fields(s.Provider) {
		return s
	}
	s.Path, s.URL, s.Address = r.path(), r.url(), r.address()
	s.Mount, s.Prefix, s.Namespace = r.text("mount"), r.text("prefix"), r.text("namespace")
	switch {
	case s.Provider == "sql" && s.Path != "" && s.URL != "":
		findings.Add("exclusive", v.Get("url").Origin, here+".url", "path is of SQLite's file, url of a server: keep one", "path and url exclude one another")
	case s.Provider == "kubernetes" && s.Namespace != "":
		if why, ok := descriptor.InvalidName(s.Namespace); !ok {
			findings.Add("name", v.Get("namespace").Origin, here+".namespace", "use a to z, 0 to 9 and -", "%q cannot be a namespace: %s", s.Namespace, why)
		}
	}
	return s
}

// storeReader reads the fields of a store.
type storeReader struct {
	from     *source.Value
	here     string
	findings *source.Findings
}

// fields holds the fields against those of the provider, and says whether there
// is one.
func (r storeReader) fields(provider string) bool {
	i := slices.IndexFunc(stores, func(s storeFields) bool { return s.provider == provider })
	if i >= 0 {
		descriptor.UnknownKeys(r.from, r.here, slices.Concat(anyStore, stores[i].fields), r.findings)
		if need := stores[i].needs; need != "" && r.from.Get(need).IsNull() {
			r.findings.Add("required", r.from.Origin, r.here+"."+need, stores[i].hint, "the provider %s needs a %s", provider, need)
		}
		return true
	}
	var all []string
	lost := ""
	for _, s := range stores {
		for _, field := range s.fields {
			if !slices.Contains(all, field) {
				all = append(all, field)
			}
			if !r.from.Get(field).IsNull() && lost == "" {
				lost = field
			}
		}
	}
	descriptor.UnknownKeys(r.from, r.here, slices.Concat(anyStore, all), r.findings)
	switch at := r.from.Get("provider"); {
	case provider != "":
		r.findings.Add("unsupported", at.Origin, r.here+".provider", source.Nearest(provider, Providers()), "this version of kai has no secret provider %q", provider)
	case at.IsNull() && lost != "":
		r.findings.Add("required", r.from.Origin, r.here+".provider", strings.Join(Providers(), ", "), "%s is of a provider, and none is named", lost)
	}
	return false
}

// text gives a field that is a text, or "".
func (r storeReader) text(name string) string {
	v := r.from.Get(name)
	if v.IsNull() {
		return ""
	}
	if !v.IsScalar() {
		r.findings.Add("wrong-type", v.Origin, r.here+"."+name, source.Instead("text", v.Kind), "expected text, got %s", v.Kind)
		return ""
	}
	return v.Str()
}

func (r storeReader) deployment() string {
	name := r.text("deployment")
	if strings.ContainsAny(name, "/, \t\n") || name == "." || name == ".." {
		r.findings.Add("name", r.from.Get("deployment").Origin, r.here+".deployment", "use letters, digits, - and _", "%q cannot be a deployment", name)
		return ""
	}
	return name
}

func (r storeReader) path() string {
	v := r.from.Get("path")
	if v.IsNull() || r.text("path") == "" {
		return ""
	}
	path, _ := inside(v, r.here+".path", r.findings)
	return path
}

// url gives the address of a database. What it holds is not quoted: a password
// may stand anywhere in one with a mistake.
func (r storeReader) url() string {
	text := r.text("url")
	if text == "" {
		return ""
	}
	const shapes = "write postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE"
	v, where := r.from.Get("url"), r.here+".url"
	u, err := url.Parse(text)
	switch {
	case strings.HasPrefix(text, "sqlite:"):
		r.findings.Add("value", v.Origin, where, "write path: FILE", "a file of SQLite is named by its path")
	case err != nil || u.Host == "" && u.RawQuery == "" || !slices.Contains([]string{"postgres", "postgresql", "mysql", "mariadb"}, u.Scheme):
		r.findings.Add("value", v.Origin, where, shapes, "this is no address of a database that kai knows")
	default:
		if _, has := u.User.Password(); has {
			r.findings.Add("value", v.Origin, where, "take it out, change it, and give it in KAI_SQL_PASSWORD_FILE or KAI_SQL_PASSWORD", "the address holds a password, for everybody who reads this file")
			return ""
		}
		return text
	}
	return ""
}

// address gives the address of Vault, likewise.
func (r storeReader) address() string {
	text := r.text("address")
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		r.findings.Add("value", r.from.Get("address").Origin, r.here+".address", "write it as https://vault.example.com:8200; leave it out to have it from VAULT_ADDR", "this is no address of Vault")
		return ""
	}
	return text
}

// storeSchema is the schema of secrets in a context.
func storeSchema() object {
	fields := object{
		"provider":   object{"enum": Providers(), "description": "kind of store"},
		"path":       text("file of the provider file, or of SQLite, relative to the workspace"),
		"url":        text("address of a database, without a password"),
		"address":    text("address of Vault"),
		"mount":      text("mount of Vault's engine kv"),
		"namespace":  text("namespace of Vault, or of Kubernetes"),
		"prefix":     text("folders in Vault between the mount and the deployments"),
		"deployment": text("name of this set of secrets in the store"),
	}
	maps.Copy(fields, deliverySchema())
	out := closed(fields)
	out["description"] = "where secrets come from, and how they are delivered"
	return out
}
