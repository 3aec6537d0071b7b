package generator

import (
	"path"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// What delivery: runtime adds to a pod: an init container puts kai-run into an
// empty volume, from which the containers that read secrets start.
const (
	runnerName    = "kai-run" // of the volume, and of the init container
	runnerFolder  = "/kai"
	runnerPath    = runnerFolder + "/kai-run"
	tokenName     = "kai-run-token"
	tokenFolder   = "/var/run/secrets/kai"
	accountName   = "kai-run-account"
	accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"
	// lifetime is that of the pod's tokens in seconds; the kubelet renews them.
	lifetime = 3600
)

// laterKey marks a variable that kai-run sets, with its place in the store.
const laterKey = "runtime"

// elsewhere says whether a friend's credentials are read at run time: where pods of
// its own in the cluster read the same Secret, there has to be one.
func (s *secrets) elsewhere(f Friend) bool {
	return s.in.Delivery.Runtime != nil && (f.External || f.Owned && f.Namespace != "")
}

// friend gives a friend by its name.
func (g *generation) friend(name string) (Friend, bool) {
	i := slices.IndexFunc(g.in.Friends, func(f Friend) bool { return f.Name == name })
	if i < 0 {
		return Friend{}, false
	}
	return g.in.Friends[i], true
}

// later gives the variable that kai-run sets to what a reference names, nil where a
// Secret has it.
func (e *environment) later(role Role, of string, reference *source.Value, key, where string, at source.Origin) *source.Value {
	d := e.g.in.Delivery
	if d.Runtime == nil {
		return nil
	}
	place := d.Place(role, of, reference, key)
	text, ok := place.text()
	origin := reference.Get("secret").OriginOrNone()
	switch {
	case place.Other != "":
		e.g.fail("runtime", origin, where, "keep it in the context's store: {secret: KEY}; or use delivery: chart for the context", "kai-run reads the context's store, and no reference to another one")
	case !ok:
		e.g.fail("runtime", origin, where, "rename it: letters, digits, ., _ and -", "kai-run cannot be given the place of the key %q", place.Key)
	}
	return source.NewMap(at, source.Field{Key: laterKey, Value: source.NewString(at, text)})
}

// text gives a place as kai-run reads it, APP.SCOPE.KEY.
func (p Place) text() (string, bool) {
	word := func(name, separators string) string {
		if name == "all" || strings.ContainsAny(name, separators) {
			return `"` + name + `"`
		}
		return name
	}
	return word(p.App, ".,") + "." + p.Scope + "." + word(p.Key, ","), !strings.ContainsAny(p.App+p.Key, "\"\n$")
}

// credentialPrefix begins the variables that are made for credentials in text. None
// may be a setting of kai-run's, as that of a friend sql with a password would be.
func (g *generation) credentialPrefix() string {
	if g.in.Delivery.Runtime != nil {
		return "KAI_CREDENTIAL_"
	}
	return "KAI_"
}

// takeLater removes the variables that kai-run sets, and gives them as it reads
// them.
func (e *environment) takeLater() (vars []string, names map[string]bool) {
	names = map[string]bool{}
	kept := source.NewMap(e.vars.Origin)
	for _, f := range e.vars.Fields {
		if place := f.Value.Get(laterKey); place != nil {
			vars = append(vars, f.Key+"="+place.Text)
			names[f.Key] = true
		} else {
			kept.Fields = append(kept.Fields, f)
		}
	}
	if len(vars) > 0 {
		e.vars = kept
		e.order = slices.DeleteFunc(e.order, func(name string) bool { return names[name] })
	}
	return vars, names
}

// wrap has a container start through kai-run where kai-run sets variables for it,
// and says whether it does. out has its command and arguments.
func (g *generation) wrap(c *source.Value, where, name string, env *environment, out *source.Value) bool {
	vars, names := env.takeLater()
	if len(vars) == 0 {
		return false
	}
	r := g.in.Delivery.Runtime
	g.wrapped = true
	if name == "" {
		for _, field := range []string{"command", "mounts", "initContainers", "volumes"} {
			if !g.in.Resolved.BuiltIn(field) && (field != "volumes" || g.in.Resolved.Takes(field)) {
				g.fail("runtime", c.Origin, field, "have the flavor extend one of the library, or use delivery: chart for the context", "the flavor %s does not take %s as the library's flavors do, and delivery runtime needs it", g.in.Resolved.Flavor.Name, field)
				return true
			}
		}
	}
	command := out.Get("command")
	if command == nil {
		g.fail("runtime", c.Origin, under(where, "command"), "write what the image starts by itself: command: {command: [/program]}", "delivery runtime needs the command, since it starts it")
		return true
	}
	at := source.Origin{Because: "delivery: runtime"}
	for _, f := range env.vars.Fields {
		if f.Value.OriginOrNone().Because == "" && (strings.HasPrefix(f.Key, "KAI_") || strings.HasPrefix(f.Key, "KAIGARA_")) {
			g.fail("runtime", f.Origin, under(where, "env")+"."+f.Key, "rename it; what is meant for kai-run stands in the workspace's context: secrets: {runtime: {env: …}}", "kai-run takes %s for a setting of its own, and does not pass it on", f.Key)
		}
		if f.Value.Kind == source.String {
			env.set(f.Key, kept(f.Value, names))
		}
	}
	words := source.NewList(command.Origin, source.NewString(at, runnerPath), source.NewString(at, "--"))
	for _, word := range command.Items {
		words.Items = append(words.Items, kept(word, names))
	}
	out.Set("command", words)
	if args := out.Get("args"); args != nil {
		args = args.Shallow()
		for i, word := range args.Items {
			args.Items[i] = kept(word, names)
		}
		out.Set("args", args)
	}
	text := func(value string) *source.Value { return source.NewString(at, value) }
	for _, f := range r.Store.FieldsOrNone() {
		env.set(f.Key, f.Value)
	}
	env.set("KAI_VARS", text(strings.Join(vars, "\n")))
	if r.Watch {
		env.set("KAI_WATCH", text("true"))
	}
	if r.Audience != "" {
		env.set("KAI_VAULT_JWT_FILE", text(path.Join(tokenFolder, "token")))
	}
	for _, f := range r.Env.FieldsOrNone() {
		v := f.Value
		if v.IsScalar() {
			v = source.NewString(v.Origin, v.Text)
		}
		env.set(f.Key, v)
	}
	return true
}

// kept gives text that has, after Kubernetes and kai-run, what it had after
// Kubernetes alone if that knew the names. Kubernetes makes one dollar of two, takes
// all up to the next ) for a name, and leaves $(NAME) to kai-run where it knows no such
// variable. Kai-run makes one of two before (NAME), and leaves all else.
func kept(v *source.Value, names map[string]bool) *source.Value {
	var b strings.Builder
	changed := false
	for text := v.Text; text != ""; {
		at := strings.IndexByte(text, '$')
		if at < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:at])
		text = text[at:]
		dollars := len(text) - len(strings.TrimLeft(text, "$"))
		end := strings.IndexByte(text, ')') + 1
		if end == 0 || text[dollars] != '(' {
			b.WriteString(text[:dollars])
			text = text[dollars:]
			continue
		}
		name := text[dollars+1 : end-1]
		switch {
		case names[name]:
			changed = true
			b.WriteString(strings.Repeat("$", 2*dollars-1) + text[dollars:end])
		case dollars%2 == 0: // no reference, so one may begin in it
			end = dollars + 1
			b.WriteString(text[:end])
		default:
			inside := swallowed(name, names)
			changed = changed || inside != name
			b.WriteString(text[:dollars+1] + inside + ")")
		}
		text = text[end:]
	}
	if !changed {
		return v
	}
	out := *v
	out.Text = b.String()
	return &out
}

// swallowed gives what Kubernetes takes for a name. What looks like a reference at its
// end is none, to kai-run neither.
func swallowed(name string, names map[string]bool) string {
	at := strings.LastIndex(name, "$(")
	if at < 0 || !names[name[at+2:]] {
		return name
	}
	before := strings.TrimRight(name[:at], "$")
	dollars := at + 1 - len(before)
	return before + strings.Repeat("$", 2*dollars) + name[at+1:]
}

// addition is a volume that delivery: runtime adds to a pod.
type addition struct {
	name, folder string
	volume       *source.Value
}

// additions lists them. The token for the cluster's API stands where every client
// looks for it, in those containers alone that read Secrets: what the service
// account's own mount would give to all of the pod.
func (r *Runtime) additions() []addition {
	at := source.Origin{Because: "delivery: runtime"}
	text := func(value string) *source.Value { return source.NewString(at, value) }
	one := func(key string, v *source.Value) *source.Value {
		return source.NewMap(at, source.Field{Key: key, Value: v})
	}
	token := func(fields ...source.Field) *source.Value {
		return one("serviceAccountToken", source.NewMap(at, append(fields,
			source.Field{Key: "expirationSeconds", Value: source.NewInt(at, lifetime)},
			source.Field{Key: "path", Value: text("token")})...))
	}
	projected := func(sources ...*source.Value) *source.Value {
		return one("projected", one("sources", source.NewList(at, sources...)))
	}
	out := []addition{{runnerName, runnerFolder, one("emptyDir", one("sizeLimit", text("64Mi")))}}
	if r.Audience != "" {
		out = append(out, addition{tokenName, tokenFolder, projected(token(source.Field{Key: "audience", Value: text(r.Audience)}))})
	}
	if r.Kubernetes {
		item := source.NewMap(at, source.Field{Key: "key", Value: text("ca.crt")}, source.Field{Key: "path", Value: text("ca.crt")})
		namespace := source.NewMap(at, source.Field{Key: "path", Value: text("namespace")}, source.Field{Key: "fieldRef", Value: one("fieldPath", text("metadata.namespace"))})
		out = append(out, addition{accountName, accountFolder, projected(token(),
			one("configMap", source.NewMap(at, source.Field{Key: "name", Value: text("kube-root-ca.crt")}, source.Field{Key: "items", Value: source.NewList(at, item)})),
			one("downwardAPI", one("items", source.NewList(at, namespace))))})
	}
	return out
}

// mountRunner adds to a container what it starts through.
func (g *generation) mountRunner(out *source.Value, where string) {
	mounts := out.Get("mounts")
	if mounts == nil {
		mounts = source.NewMap(source.Origin{})
	} else {
		mounts = mounts.Shallow()
	}
	for _, a := range g.in.Delivery.Runtime.additions() {
		at := a.volume.Origin
		for _, f := range mounts.Fields {
			switch mounted := f.Value.Get("path"); {
			case f.Key == a.name:
				g.taken(f.Origin, where+"."+f.Key, "volume", a.name)
			case path.Clean(mounted.Str()) == a.folder:
				g.fail("mount-conflict", mounted.Origin, where+"."+f.Key+".path", "give it another path", "delivery runtime mounts %s at %s", a.name, a.folder)
			}
		}
		mounts.Set(a.name, source.NewMap(at,
			source.Field{Key: "path", Value: source.NewString(at, a.folder)},
			source.Field{Key: "readOnly", Value: source.NewBool(at, true)}))
	}
	out.Set("mounts", mounts)
}

// taken finds a name that is not the user's to give.
func (g *generation) taken(at source.Origin, where, what, name string) {
	g.fail("duplicate-name", at, where, "rename it", "delivery runtime adds a %s %q", what, name)
}

// runner adds to the pod what its containers start through. Whatever they may do,
// the init container gets no more than restricted pods are allowed.
func (g *generation) runner(values *source.Value) {
	if !g.wrapped {
		return
	}
	r := g.in.Delivery.Runtime
	at := source.Origin{Because: "delivery: runtime"}
	for _, a := range r.additions() {
		if v := g.mounts.from[a.name]; v != nil {
			g.taken(v.Origin, "mounts."+a.name, "volume", a.name)
			continue
		}
		if f := g.fields.Get("volumes").Get(a.name); f != nil {
			g.taken(f.Origin, "volumes."+a.name, "volume", a.name)
			continue
		}
		g.define(a.name, a.volume, a.volume, "volumes."+a.name)
	}
	for _, list := range []string{"initContainers", "sidecars"} {
		for i, c := range g.fields.Get(list).ItemsOrNone() {
			if c.Get("name").Str() == runnerName {
				g.taken(c.Get("name").Origin, descriptor.Index(list, i)+".name", "container", runnerName)
			}
		}
	}
	text := func(value string) *source.Value { return source.NewString(at, value) }
	fields := func(pairs ...any) *source.Value {
		m := source.NewMap(at)
		for i := 0; i < len(pairs); i += 2 {
			v, ok := pairs[i+1].(*source.Value)
			if !ok {
				v = text(pairs[i+1].(string))
			}
			m.Set(pairs[i].(string), v)
		}
		return m
	}
	security := fields(
		"runAsNonRoot", source.NewBool(at, true),
		"allowPrivilegeEscalation", source.NewBool(at, false),
		"readOnlyRootFilesystem", source.NewBool(at, true),
		"capabilities", fields("drop", source.NewList(at, text("ALL"))),
		"seccompProfile", fields("type", "RuntimeDefault"))
	if user := g.fields.Get("security").Get("runAsUser"); user.Str() == "0" {
		security.Set("runAsUser", source.NewInt(at, 65532))
	}
	if g.fields.Get("security").Get("privileged").True() {
		security.Set("privileged", source.NewBool(at, false))
	}
	containers := source.NewList(at, fields(
		"name", runnerName,
		"image", r.Image,
		"command", source.NewList(at, text("/kai-run"), text("--install"), text(runnerPath)),
		"mounts", fields(runnerName, fields("path", runnerFolder)),
		"resources", fields(
			"requests", fields("cpu", "10m", "memory", "32Mi", "ephemeral-storage", "32Mi"),
			"limits", fields("cpu", "500m", "memory", "64Mi", "ephemeral-storage", "64Mi")),
		"security", security))
	containers.Items = append(containers.Items, values.Get("initContainers").ItemsOrNone()...)
	values.Set("initContainers", containers)
}

// storeEgress gives what the pods have to reach for the store.
func (g *generation) storeEgress() []*source.Value {
	r := g.in.Delivery.Runtime
	switch {
	case !g.wrapped:
		return nil
	case r.Kubernetes:
		return []*source.Value{g.egress(source.NewString(source.Origin{Because: "delivery: runtime"}, "kubernetes"), "egress")}
	case len(r.Ports) == 0:
		return nil
	}
	return []*source.Value{friendEgress(Friend{Name: "secrets", External: true, Ports: r.Ports, CIDRs: r.CIDRs})}
}
