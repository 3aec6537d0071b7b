package workspace

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// delivery reads how secrets reach workloads. Kai's own store of a folder is out of
// reach for anything in a cluster.
func (r storeReader) delivery(s *Secrets) {
	s.Delivery = r.text("delivery")
	s.Exec = r.words(r.from.Get("exec"), r.here+".exec", "write programs as references name them: [op, pass]")
	s.Files = r.words(r.from.Get("files"), r.here+".files", "write folders: [/run/secrets]")
	s.Vaults = r.vaults()
	if s.Delivery != "" && !slices.Contains(deliveries, s.Delivery) {
		r.findings.Add("unsupported", r.from.Get("delivery").Origin, r.here+".delivery", source.Nearest(s.Delivery, deliveries), "there is no delivery %q", s.Delivery)
		return
	}
	for _, d := range []struct{ delivery, field string }{{DeliverExternal, "externalSecrets"}, {DeliverRuntime, "runtime"}} {
		at := r.from.Get(d.field)
		if at.IsNull() || s.Delivery == d.delivery {
			continue
		}
		r.findings.Add("unused", at.Origin, r.here+"."+d.field, "write delivery: "+d.delivery+", or remove it", "%s has no effect without delivery: %s", d.field, d.delivery)
	}
	switch s.Delivery {
	case DeliverExternal:
		r.reachable(s, "External Secrets reads", "vault", "kubernetes")
		s.ExternalSecrets = r.externalSecrets()
	case DeliverRuntime:
		r.reachable(s, "a pod reaches", "vault", "kubernetes", "sql")
		s.Runtime = r.runtime()
		named := s.Runtime.Env
		if s.Provider == "sql" && r.from.Get("url").IsNull() && named.Get("KAI_SQL_URL") == nil && named.Get("KAI_SQL_HOST") == nil {
			r.findings.Add("required", r.from.Origin, r.here+".url", "name a database on a server, or use delivery: chart", "a pod does not reach a file of SQLite on this machine")
		}
		if s.Provider == "vault" && r.from.Get("address").IsNull() && named.Get("KAI_VAULT_ADDR") == nil && named.Get("VAULT_ADDR") == nil {
			r.findings.Add("required", r.from.Origin, r.here+".address", "write address: https://vault.example.com:8200, as pods reach it", "a pod does not know the VAULT_ADDR of this machine")
		}
	}
}

// vaults reads the addresses that references may name.
func (r storeReader) vaults() []string {
	out := r.words(r.from.Get("vaults"), r.here+".vaults", "write addresses: [https://vault.example.com:8200]")
	for i, address := range out {
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			r.findings.Add("value", r.from.Get("vaults").ItemsOrNone()[i].Origin, descriptor.Index(r.here+".vaults", i), "write https://vault.example.com:8200", "this is no address of a Vault")
		}
	}
	return out
}

// reachable says where a delivery cannot be with the store.
func (r storeReader) reachable(s *Secrets, who string, providers ...string) {
	if slices.Contains(providers, s.Provider) {
		return
	}
	provider := "the store of this folder"
	if s.Provider != "" {
		provider = "the provider " + s.Provider
	}
	r.findings.Add("exclusive", r.from.Get("delivery").Origin, r.here+".delivery", who+" the providers "+strings.Join(providers, ", ")+"; for any other use delivery: chart", "%s cannot be delivered by %s", provider, s.Delivery)
}

// objectName is the form of most objects' names: a DNS subdomain.
var objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func (r storeReader) externalSecrets() ExternalSecrets {
	const hint = "write externalSecrets: {store: NAME}, the SecretStore or ClusterSecretStore of the cluster"
	out := ExternalSecrets{Kind: "ClusterSecretStore", RefreshInterval: "1h"}
	in, ok := r.block("externalSecrets", hint, "store", "kind", "refreshInterval")
	if !ok {
		return out
	}
	if out.Store = in.text("store"); out.Store == "" {
		in.findings.Add("required", in.from.Origin, in.here+".store", hint, "delivery: %s needs the name of a store", DeliverExternal)
	} else if len(out.Store) > 253 || !objectName.MatchString(out.Store) {
		in.findings.Add("name", in.from.Get("store").Origin, in.here+".store", "use a to z, 0 to 9, - and .", "%q cannot be the name of a store", out.Store)
	}
	kinds := []string{"ClusterSecretStore", "SecretStore"}
	if kind := in.text("kind"); kind != "" {
		if out.Kind = kind; !slices.Contains(kinds, kind) {
			in.findings.Add("value", in.from.Get("kind").Origin, in.here+".kind", source.Nearest(kind, kinds), "a store is no %q", kind)
		}
	}
	if interval := in.text("refreshInterval"); interval != "" {
		out.RefreshInterval = interval
		if d, err := time.ParseDuration(interval); err != nil || d < 0 {
			in.findings.Add("value", in.from.Get("refreshInterval").Origin, in.here+".refreshInterval", "write it as 30m or 1h; 0s reads once", "%q is no length of time", interval)
		}
	}
	return out
}

func (r storeReader) runtime() Runtime {
	const hint = "write runtime: {image: {repository: …, tag: …}}, an image that has /kai-run"
	out := Runtime{}
	in, ok := r.block("runtime", hint, "image", "env", "watch", "audience", "cidrs")
	if !ok {
		return out
	}
	if out.Image = in.from.Get("image"); out.Image.IsNull() || out.Image.Kind != source.Map || out.Image.Get("repository").Str() == "" {
		in.findings.Add("required", in.from.Origin, in.here+".image", hint, "delivery: %s needs the image that kai-run comes from", DeliverRuntime)
		out.Image = nil
	} else {
		descriptor.UnknownKeys(out.Image, in.here+".image", []string{"registry", "repository", "tag", "digest", "pullPolicy", "pullSecrets"}, in.findings)
		if out.Image.Get("tag").Str() == "" && out.Image.Get("digest").Str() == "" {
			in.findings.Add("image", out.Image.Origin, in.here+".image", "give it a tag or a digest", "the image %s has neither tag nor digest", out.Image.Get("repository").Str())
		}
	}
	if out.Env = in.from.Get("env"); !out.Env.IsNull() && out.Env.Kind != source.Map {
		in.findings.Add("wrong-type", out.Env.Origin, in.here+".env", "write {NAME: text}", "expected a map, got %s", out.Env.Kind)
		out.Env = nil
	}
	for _, f := range out.Env.FieldsOrNone() {
		switch {
		case !descriptor.EnvName(f.Key):
			in.findings.Add("env-name", f.Origin, in.here+".env."+f.Key, "use letters, digits, _, - and ., and begin with none of 0 to 9 and ..", "%q cannot be the name of a variable", f.Key)
		case f.Value.IsScalar() && isCredential(f.Key, f.Value.Text):
			in.findings.Add("plain-secret", f.Value.OriginOrNone(), in.here+".env."+f.Key, "write {valueFrom: {secretKeyRef: {name: …, key: …}}}, of a Secret in the cluster; or log in by KAI_VAULT_AUTH: kubernetes, which needs no secret", "%s is a credential, and would stand as text in the chart and in the repository", f.Key)
		case !f.Value.IsScalar() && f.Value.Get("valueFrom") == nil:
			in.findings.Add("wrong-type", f.Value.OriginOrNone(), in.here+".env."+f.Key, "write text, or {valueFrom: {secretKeyRef: {name: …, key: …}}}", "a variable cannot be %s", f.Value.Kind)
		}
	}
	if v := in.from.Get("watch"); !v.IsNull() {
		if v.Kind != source.Bool {
			in.findings.Add("wrong-type", v.Origin, in.here+".watch", "write true or false", "expected true or false, got %s", v.Kind)
		}
		out.Watch = v.True()
	}
	out.Audience = in.text("audience")
	out.CIDRs = in.words(in.from.Get("cidrs"), in.here+".cidrs", "write [10.0.0.0/8]")
	for i, c := range out.CIDRs {
		if _, err := netip.ParsePrefix(c); err != nil {
			in.findings.Add("value", in.from.Get("cidrs").Items[i].Origin, descriptor.Index(in.here+".cidrs", i), "write 10.0.0.0/8 or 10.1.2.3/32", "%q is no range of addresses", c)
		}
	}
	return out
}

// credentials are the variables of kai-run that hold what nobody else may know.
var credentials = []string{
	"KAI_VAULT_TOKEN", "KAI_VAULT_SECRET_ID", "KAI_SQL_PASSWORD", "KAI_AGE_KEY", "KAI_ENCRYPTION_KEYS", "KAI_OFFLINE_KEY",
	"VAULT_TOKEN", "KAIGARA_VAULT_TOKEN", "KAIGARA_DATABASE_PASS", "KAIGARA_ENCRYPTOR_AES_KEY",
}

// isCredential says whether a variable with a text holds what nobody else may know.
func isCredential(name, text string) bool {
	if name == "KAI_SQL_URL" {
		u, err := url.Parse(text)
		if err != nil {
			return true // and it may be one because of the password
		}
		_, has := u.User.Password()
		return has
	}
	return text != "" && slices.Contains(credentials, name)
}

// block gives a map among the fields, whose keys are known.
func (r storeReader) block(name, hint string, known ...string) (storeReader, bool) {
	v, here := r.from.Get(name), r.here+"."+name
	if v.IsNull() || v.Kind != source.Map {
		at := r.from.Origin
		if v != nil {
			at = v.Origin
		}
		r.findings.Add("required", at, here, hint, "delivery: %s needs %s", r.text("delivery"), name)
		return r, false
	}
	descriptor.UnknownKeys(v, here, known, r.findings)
	return storeReader{v, here, r.findings}, true
}

// words gives a list of texts.
func (r storeReader) words(v *source.Value, where, hint string) []string {
	if v.IsNull() {
		return nil
	}
	var out []string
	for i, item := range descriptor.ListOf(v, where, r.findings) {
		if !item.IsScalar() || item.Str() == "" {
			r.findings.Add("wrong-type", item.OriginOrNone(), descriptor.Index(where, i), hint, "expected text, got %s", item.Kind)
			return nil
		}
		out = append(out, item.Str())
	}
	return out
}

// deliverySchema are the schemas of the fields that say how secrets are delivered.
func deliverySchema() object {
	external := closed(object{
		"store":           text("name of the operator's SecretStore or ClusterSecretStore"),
		"kind":            object{"enum": []string{"ClusterSecretStore", "SecretStore"}, "description": "kind of that store (default ClusterSecretStore)"},
		"refreshInterval": text("how often the operator reads (default 1h)"),
	})
	external["description"] = "objects ExternalSecret, for delivery: external-secrets"
	runtime := closed(object{
		"image":    object{"type": "object", "description": "image that has /kai-run"},
		"env":      object{"type": "object", "description": "variables for kai-run, such as KAI_VAULT_AUTH and KAI_VAULT_ROLE"},
		"watch":    object{"type": "boolean", "description": "start a container's command anew when a secret changes"},
		"audience": text("audience of a token of the pod's service account, with which kai-run logs in"),
		"cidrs":    object{"type": "array", "items": object{"type": "string"}, "description": "where the store is; none opens its port to all"},
	})
	runtime["description"] = "containers start through kai-run, for delivery: runtime"
	return object{
		"delivery":        object{"enum": deliveries, "description": "how secrets reach workloads (default chart)"},
		"externalSecrets": external,
		"runtime":         runtime,
		"exec":            object{"type": "array", "items": object{"type": "string"}, "description": "programs that references ref+exec may run"},
		"files":           object{"type": "array", "items": object{"type": "string"}, "description": "folders, beside the workspace's own, that references ref+file may read"},
		"vaults":          object{"type": "array", "items": object{"type": "string"}, "description": "addresses that references ref+vault may name beside the context's Vault, or send a token to that they name"},
	}
}
