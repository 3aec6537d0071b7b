package importer

import (
	"cmp"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// env writes a container's variables.
func (w *work) env(c *source.Value) *source.Value {
	out := source.NewMap(source.Origin{})
	for _, v := range c.Get("env").ItemsOrNone() {
		name := v.Get("name").Str()
		if !descriptor.EnvName(name) {
			w.c.p.report.add(LeftOut, v.Origin, w.d.service, w.d.context, "env "+name, "that cannot be the name of a variable")
			continue
		}
		if x := w.variable(name, v); x != nil {
			out.Set(name, x)
		}
	}
	return out
}

// variable writes one variable.
func (w *work) variable(name string, v *source.Value) *source.Value {
	from := v.Get("valueFrom")
	switch {
	case from.IsNull():
		value := v.Get("value")
		if value == nil || value.Kind == source.Null {
			value = text("")
		}
		word := *value
		word.Kind = source.String
		if strings.Contains(word.Text, "\x00") {
			w.c.p.report.add(LeftOut, v.Origin, w.d.service, w.d.context, "env "+name, "no variable can hold a NUL")
			return nil
		}
		return w.plain(name, &word, v.Origin)
	case from.Has("configMapKeyRef"):
		ref := from.Get("configMapKeyRef")
		o := w.c.find("ConfigMap", ref.Get("name").Str())
		if o == nil {
			break
		}
		data := o.v.Get("data").Get(ref.Get("key").Str())
		if data == nil {
			if ref.Get("optional").True() {
				return nil
			}
			w.c.p.report.add(Decide, v.Origin, w.d.service, w.d.context, "env "+name, "%s has no text under %s, so the pod does not start; the variable stays as it is", o.ref(), ref.Get("key").Str())
			break
		}
		o.used = true
		w.c.environments(o, w.d)
		return w.verbatim(name, o, source.Field{Key: ref.Get("key").Str(), Origin: data.Origin, Value: data})
	case from.Has("secretKeyRef"):
		ref := from.Get("secretKeyRef")
		if o := w.c.find("Secret", ref.Get("name").Str()); o != nil {
			if reference := w.credential(name, secretMark+o.name+"/"+ref.Get("key").Str()); reference != nil {
				o.used = true
				w.c.p.report.add(Changed, o.origin(), w.d.service, w.d.context, o.ref(), "its keys are credentials of a friend, which the store has")
				return reference
			}
			if ref.Get("optional").True() && !slices.ContainsFunc(o.keys(), func(f source.Field) bool { return f.Key == ref.Get("key").Str() }) {
				return nil
			}
			return w.stored(o, ref.Get("key").Str())
		}
	case from.Has("fieldRef"):
		field := from.Get("fieldRef").Shallow()
		if field.Get("apiVersion").Str() == "v1" {
			field.Delete("apiVersion")
		}
		return mapOf(entry("valueFrom", mapOf(entry("fieldRef", field))))
	}
	return mapOf(entry("valueFrom", w.asIs(from)))
}

// verbatim writes a variable that comes from a ConfigMap's key. Kubernetes takes
// its text as it is, and what stands in the place of a variable's value not: there
// $(NAME) is another variable. Nil is a text that no variable can hold.
func (w *work) verbatim(name string, o *object, f source.Field) *source.Value {
	content := f.Value.Str()
	if strings.Contains(content, "\x00") {
		w.c.p.report.add(LeftOut, f.Origin, w.d.service, w.d.context, o.ref()+" "+f.Key, "no variable can hold a NUL: %s", name)
		return nil
	}
	return w.plain(name, text(unexpanded(content)), f.Origin)
}

// unexpanded doubles each $ by which Kubernetes would put a variable in a text.
func unexpanded(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteByte(text[i])
		if text[i] == '$' && i+1 < len(text) && (text[i+1] == '$' || text[i+1] == '(') {
			b.WriteByte('$')
		}
	}
	return b.String()
}

// environments says that a ConfigMap is variables of a service now.
func (c *cluster) environments(o *object, d *draft) {
	c.p.report.add(Changed, o.origin(), d.service, d.context, o.ref(), "its keys are variables of the service, without a ConfigMap")
}

// secretName are names of variables that hold a secret, and publicName those
// among them that do not.
var (
	secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|api_?key|access_?key|private_?key|credential|_pass$|_pwd$)`)
	publicName = regexp.MustCompile(`(?i)(file|path|url|uri|host|port|name|user|id|enabled|ttl|expir\w*|timeout|length|_allow_\w*|allow_empty_\w*|random_\w*|endpoint|issuer|type|header|algorithm)$`)
	// anyUserinfo is a password in a URL.
	anyUserinfo = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/@\s:]*:([^/@\s]+)@`)
	userinURL   = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://[^/@\s:]*:([^/@\s]+)@`)
)

// plain writes a variable whose value stands in the source. What looks like a
// secret is one: it is read from the store.
func (w *work) plain(name string, v *source.Value, at source.Origin) *source.Value {
	if reference := w.credential(name, v.Text); reference != nil {
		w.c.p.hidden = append(w.c.p.hidden, v.Text)
		return reference
	}
	addressed := w.addressed(name, v)
	secret := secretName.MatchString(name) && !publicName.MatchString(name) && v.Text != "" && !strings.Contains(v.Text, "$(")
	for _, m := range anyUserinfo.FindAllStringSubmatch(addressed.Text, -1) {
		secret = secret || !strings.HasPrefix(m[1], "$(") && !strings.HasPrefix(m[1], "${friends.")
	}
	if secret = secret || w.c.p.speaks(name, addressed); !secret || slices.Contains([]string{"true", "false", "yes", "no"}, strings.ToLower(v.Text)) {
		return addressed
	}
	key := strings.ToLower(name)
	w.c.p.report.add(Changed, at, w.d.service, w.d.context, "env "+name, "it looks like a secret that stands in the source in clear: it is read from the store")
	w.c.p.hidden = append(w.c.p.hidden, v.Text)
	w.wanted(key, at)
	return mapOf(entry("secret", text(key)))
}

// notKey is what the key of a secret has not.
var notKey = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// stored refers to a key of a Secret of the source. Two Secrets of one service
// may have the same key.
func (w *work) stored(o *object, key string) *source.Value {
	o.used = true
	w.c.p.report.add(Changed, o.origin(), w.d.service, w.d.context, o.ref(), "its keys are read from the store, and the chart makes the Secret %s-secrets of them", w.d.service)
	name := notKey.ReplaceAllString(key, "_")
	if w.secrets == nil {
		w.secrets = map[string]string{}
	}
	if owner, ok := w.secrets[name]; ok && owner != o.name {
		name = notKey.ReplaceAllString(o.name, "_") + "_" + name
	}
	w.secrets[name] = o.name
	place := o.origin()
	for _, f := range o.keys() {
		if f.Key == key {
			place = f.Origin
		}
	}
	w.wanted(name, place)
	return mapOf(entry("secret", text(name)))
}

// wanted says that a key has to be in the store.
func (w *work) wanted(key string, at source.Origin) {
	path := w.d.service + ".secret." + key
	w.c.p.report.store(w.c.environment.name, path, w.c.p.kai+" secrets set -c "+w.c.environment.name+" "+path, at)
}

// envFrom writes the variables of a whole ConfigMap or Secret that the source
// has, or gives back the item where it has not.
func (w *work) envFrom(from, out *source.Value) *source.Value {
	prefix := from.Get("prefix").Str()
	for _, kind := range []string{"configMap", "secret"} {
		ref := from.Get(kind + "Ref")
		if ref == nil {
			continue
		}
		o := w.c.find(map[string]string{"configMap": "ConfigMap", "secret": "Secret"}[kind], ref.Get("name").Str())
		if o == nil {
			return from
		}
		o.used = true
		all := source.NewMap(source.Origin{})
		for _, f := range o.keys() {
			name := prefix + f.Key
			var value *source.Value
			switch {
			case !descriptor.EnvName(name):
				w.c.p.report.add(LeftOut, f.Origin, w.d.service, w.d.context, o.ref()+" "+f.Key, "%s cannot be the name of a variable", name)
			case kind == "secret":
				value = w.stored(o, f.Key)
			case o.v.Get("data").Get(f.Key) == nil:
				w.c.p.report.add(LeftOut, f.Origin, w.d.service, w.d.context, o.ref()+" "+f.Key, "Kubernetes makes no variable of binaryData")
			default:
				value = w.verbatim(name, o, f)
			}
			if value != nil {
				all.Set(name, value)
			}
		}
		if kind == "configMap" {
			w.c.environments(o, w.d)
		}
		// What env says itself, and what later items say, comes last, and decides.
		for _, f := range out.Get("env").FieldsOrNone() {
			all.Set(f.Key, f.Value)
		}
		setIn(out, "env", all)
	}
	return nil
}

// hostPort finds what may be the address of another service.
var hostPort = regexp.MustCompile(`[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?`)

// addressName are names of variables whose whole value is a host.
var addressName = regexp.MustCompile(`(?i)(host|hostname|addr|address|server|servers|service|endpoint|url|uri|broker|brokers|upstream|backend|peer)(_?name)?$`)

// addressed gives a text in which the names of other services of the source are
// references to friends, and notes them. name is the variable, or "" for an
// argument.
func (w *work) addressed(name string, v *source.Value) *source.Value {
	in := v.Text
	var b strings.Builder
	last, found := 0, false
	for _, loc := range hostPort.FindAllStringIndex(in, -1) {
		host := in[loc[0]:loc[1]]
		to := w.c.addressee(host)
		if to == nil || to == w || to.primary == nil {
			continue
		}
		before, after := in[:loc[0]], in[loc[1]:]
		port, rest := cutPort(after)
		url := strings.HasSuffix(before, "://") || strings.HasSuffix(before, "@") && strings.Contains(before, "://")
		alone := before == "" && (after == "" || port != "")
		list := (before == "" || strings.HasSuffix(before, ",") || strings.HasSuffix(before, "=") || strings.HasSuffix(before, " ") || strings.HasSuffix(before, "(")) && port != ""
		switch {
		case url, list:
		case alone && after == "" && (name == "" || !addressName.MatchString(name)) && !strings.Contains(host, ".svc"):
			continue
		case alone:
		case strings.HasSuffix(before, "=") && strings.HasPrefix(before, "-") && addressName.MatchString(strings.TrimRight(before, "=")):
		default:
			continue
		}
		found = true
		friend := w.befriend(to)
		b.WriteString(strings.ReplaceAll(in[last:loc[0]], "${", "$${"))
		b.WriteString("${friends." + friend + ".address}")
		if port != "" {
			b.WriteString(":" + to.portReference(friend, port))
		}
		last = len(in) - len(rest)
	}
	if !found {
		w.outside(in, v.Origin)
		return escaped(v)
	}
	b.WriteString(strings.ReplaceAll(in[last:], "${", "$${"))
	out := text(w.withCredentials(b.String(), v.Origin))
	out.Origin = v.Origin
	return out
}

// cutPort cuts :PORT off the beginning of what follows a host.
func cutPort(after string) (port, rest string) {
	if !strings.HasPrefix(after, ":") {
		return "", after
	}
	n := 1
	for n < len(after) && after[n] >= '0' && after[n] <= '9' {
		n++
	}
	if n == 1 || n > 6 {
		return "", after
	}
	return after[1:n], after[n:]
}

// addressee gives the workload that a host name means, or nil.
func (c *cluster) addressee(host string) *work {
	name, rest, dotted := strings.Cut(host, ".")
	if dotted {
		namespace, suffix, _ := strings.Cut(rest, ".")
		if suffix != "" && suffix != "svc" && suffix != "svc.cluster.local" || c.namespace == "" || namespace != c.namespace {
			return nil
		}
	}
	if alias := c.aliases[name]; alias != "" && !dotted {
		name = slug(alias)
	}
	return c.byService(name)
}

// replicaOf gives the workload of which a host name means one replica,
// REPLICA.SERVICE, or nil.
func (c *cluster) replicaOf(host string) *work {
	_, rest, _ := strings.Cut(host, ".")
	if to := c.addressee(rest); to != nil && to.is("StatefulSet") {
		return to
	}
	service, _, _ := strings.Cut(rest, ".")
	for _, w := range c.works {
		if service != "" && w.is("StatefulSet") && w.spec().Get("serviceName").Str() == service {
			return w
		}
	}
	return nil
}

// portReference writes a port of a service by the name of its route. The one that
// is called port is the first of the descriptor's, where those of the main container
// come before all others; a friend of the library's has one, its own.
func (w *work) portReference(friend, port string) string {
	routes := slices.DeleteFunc(slices.Clone(w.routes), func(r routeOf) bool { return r.port == 0 })
	if w.friend != nil {
		own := serverPorts[w.friend.friend]
		i := slices.IndexFunc(routes, func(r routeOf) bool { return r.containerPort == own })
		if i = max(i, 0); i < len(routes) && strconv.Itoa(routes[i].port) == port {
			return "${friends." + friend + ".port}"
		}
		return port
	}
	slices.SortStableFunc(routes, func(a, b routeOf) int { return cmp.Compare(w.containerRank(a), w.containerRank(b)) })
	for i, r := range routes {
		switch {
		case strconv.Itoa(r.port) != port:
		case i == 0:
			return "${friends." + friend + ".port}"
		default:
			return "${friends." + friend + ".ports." + r.name + "}"
		}
	}
	return port
}

// containerRank says how far behind the main container's a route stands in the
// descriptor: sidecars are written in the order of the init containers, and then of
// the others.
func (w *work) containerRank(r routeOf) int {
	if r.container == nil || r.container == w.main {
		return -1
	}
	return slices.Index(append(slices.Clone(w.pod.Get("initContainers").ItemsOrNone()), w.pod.Get("containers").ItemsOrNone()...), r.container)
}

// url is the host of a URL.
var urlHost = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/@\s]*@)?([a-zA-Z0-9][-a-zA-Z0-9.]*)`)

// clusterHost is the address of a service with its namespace.
var clusterHost = regexp.MustCompile(`[a-z0-9][-a-z0-9]*\.([a-z0-9][-a-z0-9]*)\.svc(?:\.cluster\.local)?\b`)

// outside notes that a text names a host outside of the cluster: the
// NetworkPolicy that kai makes has to let it through.
func (w *work) outside(text string, at source.Origin) {
	for _, host := range hostPort.FindAllString(text, -1) {
		if to := w.c.replicaOf(host); to != nil && to != w {
			w.use(to)
		}
	}
	for _, m := range clusterHost.FindAllStringSubmatch(text, -1) {
		if m[1] == w.c.namespace || w.elsewhere {
			continue
		}
		w.elsewhere = true
		w.c.p.report.add(Changed, at, w.d.service, w.d.context, "egress", "it names %s, so its NetworkPolicy lets it reach the cluster's other namespaces", m[0])
	}
	for _, m := range urlHost.FindAllStringSubmatch(text, -1) {
		host := m[1]
		if !strings.Contains(host, ".") || w.c.replicaOf(host) != nil || net.ParseIP(host) != nil || strings.Contains(host, ".svc") || strings.HasSuffix(host, ".local") {
			continue
		}
		if w.internet {
			return
		}
		w.internet = true
		w.c.p.report.add(Changed, at, w.d.service, w.d.context, "egress", "it names %s, so its NetworkPolicy lets it reach the internet", host)
		return
	}
}
