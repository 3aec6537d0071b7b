package importer

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// fill writes a workload's draft from its pods.
func (w *work) fill() {
	d := w.d
	w.updates()
	w.batch()
	w.container(w.main, d.fields, "")
	w.scheduling()
	w.setMetadata()
	w.account()
	var sidecar *source.Value
	for _, c := range w.pod.Get("initContainers").ItemsOrNone() {
		d.add(w.listOf(c), w.extra(c))
		if w.listOf(c) == "sidecars" {
			sidecar = c
		} else if sidecar != nil {
			w.c.p.report.add(Decide, c.Origin, d.service, d.context, "initContainers "+c.Get("name").Str(), "it starts when %s runs, and kai starts all sidecars after the init containers: make it a sidecar's work, or a job that the service needs", sidecar.Get("name").Str())
		}
	}
	for _, c := range w.pod.Get("containers").ItemsOrNone() {
		if c != w.main {
			d.add(w.listOf(c), w.extra(c))
			w.c.p.report.add(Changed, c.Origin, d.service, d.context, "container "+c.Get("name").Str(), "it is a sidecar: it starts before the main container and ends after it")
		}
	}
	w.gracePeriod()
	w.security()
	w.podPatches()
}

// kindOf is the workload's kind as patches name it.
func (w *work) kindOf() string { return strings.ToLower(w.kind) }

// podPatch gives the map of the pod's spec in the patch of the workload.
func (w *work) podPatch() *source.Value {
	keys := []string{"patches", w.kindOf(), "spec", "template", "spec"}
	if w.is("CronJob") {
		keys = []string{"patches", w.kindOf(), "spec", "jobTemplate", "spec", "template", "spec"}
	}
	return child(w.d.fields, keys...)
}

// podKnown are the fields of a pod that kai has fields for, or decides.
var podKnown = []string{
	"containers", "initContainers", "volumes", "serviceAccountName", "serviceAccount", "automountServiceAccountToken", "securityContext",
	"restartPolicy", "terminationGracePeriodSeconds", "imagePullSecrets", "enableServiceLinks", "hostIPC", "hostNetwork", "hostPID", "hostUsers",
	"nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName", "schedulerName", "runtimeClassName", "nodeName",
	"dnsPolicy", "dnsConfig", "hostAliases",
}

// podDefaults are fields whose value is what Kubernetes takes anyway.
var podDefaults = map[string]string{"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}

// podPatches carries over what kai has no field for.
func (w *work) podPatches() {
	for _, f := range w.pod.FieldsOrNone() {
		if slices.Contains(podKnown, f.Key) || f.Value.IsNull() {
			continue
		}
		w.podPatch().Set(f.Key, w.asIs(f.Value))
	}
	if links := w.pod.Get("enableServiceLinks"); links.True() {
		w.podPatch().Set("enableServiceLinks", links)
	}
}

// containerKnown are the fields of a container that kai has fields for.
var containerKnown = []string{
	"name", "image", "imagePullPolicy", "command", "args", "workingDir", "ports", "env", "envFrom", "resources", "volumeMounts",
	"livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "securityContext", "restartPolicy",
}

// containerDefaults are fields whose value Kubernetes fills in.
var containerDefaults = map[string]string{"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}

// container writes the fields that the main container and the others share. name
// is "" for the main one.
func (w *work) container(c, out *source.Value, name string) {
	setIn(out, "image", w.image(c))
	if words := c.Get("command"); len(words.ItemsOrNone()) > 0 || c.Has("workingDir") {
		command := source.NewMap(words.OriginOrNone())
		setIn(command, "command", w.words(words))
		setIn(command, "workingDir", escaped(c.Get("workingDir")))
		out.Set("command", command)
	}
	setIn(out, "args", w.words(c.Get("args")))
	probes := source.NewMap(source.Origin{})
	for _, kind := range probeKinds {
		if probe := c.Get(kind + "Probe"); probe != nil && probe.Kind == source.Map {
			setIn(probes, kind, w.probe(probe, c))
		}
	}
	setIn(out, "probes", probes)
	if name == "" {
		w.mainRoutes()
	} else {
		w.sideRoutes(c, out)
	}
	setIn(out, "mounts", w.mounts(c, name))
	env := w.env(c)
	for _, f := range w.d.extraEnv {
		if env.Get(f.Key) == nil {
			env.Set(f.Key, f.Value)
		}
	}
	w.d.extraEnv = nil
	setIn(out, "env", env)
	setIn(out, "resources", w.resources(c, name))
	setIn(out, "lifecycle", w.lifecycle(c))
	for _, f := range c.Fields {
		if slices.Contains(containerKnown, f.Key) || f.Value.IsNull() || containerDefaults[f.Key] == f.Value.Str() && f.Value.Str() != "" {
			continue
		}
		w.containerField(name, f.Key, f.Value)
	}
	w.devices(c)
	w.wholeEnv(c, out, name)
}

// wholeEnv writes the variables that come from whole ConfigMaps and Secrets. Each
// item decides over those before it, and all variables over what stays an item:
// so one that stays keeps those before it.
func (w *work) wholeEnv(c, out *source.Value, name string) {
	items := c.Get("envFrom").ItemsOrNone()
	first := 0
	for i, from := range slices.Backward(items) {
		if rest := w.envFrom(from, out); rest != nil {
			first = i + 1
			break
		}
	}
	for _, from := range items[:first] {
		w.containerPatch(name, "envFrom", from)
	}
}

// extra writes an init container or a sidecar.
func (w *work) extra(c *source.Value) *source.Value {
	name := w.extraName(c)
	if slug(c.Get("name").Str()) == w.d.service {
		w.c.p.report.add(Changed, c.Origin, w.d.service, w.d.context, "container "+c.Get("name").Str(), "it is called %s: the main container is called like the service", name)
	}
	out := mapOf(entry("name", text(name)))
	w.container(c, out, name)
	w.c.p.sees(c.Origin, w.d, c.Get("name").Str(), out.Get("env"))
	security := c.Get("securityContext")
	setIn(out, "security", containerSecurity(security))
	// It sees the main container's variables anyway.
	if env := without(out.Get("env"), w.d.fields.Get("env"), false); env != nil {
		out.Set("env", env)
	} else {
		out.Delete("env")
	}
	return out
}

// sees asks about the main container's variables that another container has not in
// the source: kai gives them to all containers.
func (p *project) sees(at source.Origin, d *draft, container string, own *source.Value) {
	var more []string
	for _, f := range d.fields.Get("env").FieldsOrNone() {
		if own.Get(f.Key) == nil {
			more = append(more, f.Key)
		}
	}
	if n := len(more); n > maxNamed {
		more = append(more[:maxNamed], fmt.Sprintf("%d more", n-maxNamed))
	}
	if len(more) > 0 {
		p.report.add(Decide, at, d.service, d.context, "container "+container+" env "+strings.Join(more, ", "), "a container has the main container's variables in kai, and in the source it has them not: env: {NAME: null} in it takes one away")
	}
}

// extraName gives the name of an init container or a sidecar: the main container
// has the service's.
func (w *work) extraName(c *source.Value) string {
	name := cmp.Or(slug(c.Get("name").Str()), "extra")
	if name == w.d.service {
		name += "-2"
	}
	return name
}

// image cuts an image's reference.
func (w *work) image(c *source.Value) *source.Value {
	ref := c.Get("image")
	out := imageOf(ref.Str())
	if out == nil {
		w.c.p.report.add(Decide, c.Origin, w.d.service, w.d.context, "container "+c.Get("name").Str(), "it names no image: give it one")
		return nil
	}
	policy := c.Get("imagePullPolicy").Str()
	tag := out.Get("tag").Str()
	if out.Get("digest") == nil && (tag == "" || tag == "latest") {
		w.c.p.report.add(Decide, ref.Origin, w.d.service, w.d.context, "image "+ref.Str(), "it has no version: give the tag or the digest that runs now")
		w.d.notes[w.listOf(c)] = "The source names no version of the image. Give the one that runs now."
	}
	if policy != "" && policy != "Always" {
		out.Set("pullPolicy", text(policy))
	}
	var secrets []string
	for _, s := range w.pullSecrets() {
		secrets = append(secrets, s.Get("name").Str())
	}
	setIn(out, "pullSecrets", texts(secrets...))
	return out
}

// pullSecrets gives the references to what opens the registries: where the pod has
// none, Kubernetes takes those of its ServiceAccount.
func (w *work) pullSecrets() []*source.Value {
	if own := w.pod.Get("imagePullSecrets").ItemsOrNone(); len(own) > 0 {
		return own
	}
	if o := w.c.find("ServiceAccount", w.accountName()); o != nil {
		return o.v.Get("imagePullSecrets").ItemsOrNone()
	}
	return nil
}

// listOf gives the field of a context that a container stands in: image for the
// main one.
func (w *work) listOf(c *source.Value) string {
	switch {
	case c == w.main:
		return "image"
	case slices.Contains(w.pod.Get("initContainers").ItemsOrNone(), c) && c.Get("restartPolicy").Str() != "Always":
		return "initContainers"
	}
	return "sidecars"
}

// imageOf cuts REGISTRY/REPOSITORY:TAG@DIGEST, or gives nil where there is none.
// The first part is a registry where it looks like a host.
func imageOf(ref string) *source.Value {
	rest, digest, _ := strings.Cut(strings.TrimSpace(ref), "@")
	tag := ""
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, tag = rest[:i], rest[i+1:]
	}
	if rest == "" {
		return nil
	}
	out := source.NewMap(source.Origin{})
	if host, name, ok := strings.Cut(rest, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		out.Set("registry", text(host))
		rest = name
	}
	out.Set("repository", text(rest))
	if tag == "" && digest == "" {
		tag = "latest"
	}
	if tag != "" {
		out.Set("tag", text(tag))
	}
	if digest != "" {
		out.Set("digest", text(digest))
	}
	return out
}

// escaped keeps kai from substituting in text that is meant as it is.
func escaped(v *source.Value) *source.Value {
	if v == nil || v.Kind != source.String || !strings.Contains(v.Text, "${") {
		return v
	}
	out := *v
	out.Text = strings.ReplaceAll(v.Text, "${", "$${")
	return &out
}

// asIs gives a value of the source as a descriptor has it: its text means itself,
// and containers have their new names.
func (w *work) asIs(v *source.Value) *source.Value { return w.asIsIn("", v) }

func (w *work) asIsIn(key string, v *source.Value) *source.Value {
	if v == nil || v.IsScalar() {
		return escaped(v)
	}
	out := v.Shallow()
	for i, f := range out.Fields {
		if f.Key == "containerName" || key == "containerResource" && f.Key == "container" {
			out.Fields[i].Value = w.newContainer(f.Value)
			continue
		}
		out.Fields[i].Value = w.asIsIn(f.Key, f.Value)
	}
	for i, item := range out.Items {
		out.Items[i] = w.asIsIn("", item)
	}
	return out
}

// newContainer gives the name that a container has now.
func (w *work) newContainer(name *source.Value) *source.Value {
	for _, c := range append(slices.Clone(w.pod.Get("containers").ItemsOrNone()), w.pod.Get("initContainers").ItemsOrNone()...) {
		switch {
		case c.Get("name").Str() != name.Str():
		case c == w.main:
			return text(w.d.service)
		default:
			return text(w.extraName(c))
		}
	}
	return name
}

// lifecycle writes a container's hooks, whose ports are called like their routes.
func (w *work) lifecycle(c *source.Value) *source.Value {
	hooks := c.Get("lifecycle")
	if hooks == nil || hooks.Kind != source.Map {
		return nil
	}
	out := w.asIs(hooks)
	for _, hook := range out.Fields {
		for _, f := range hook.Value.FieldsOrNone() {
			if port := f.Value.Get("port"); port != nil {
				f.Value.Set("port", w.probePort(port, c))
			}
		}
	}
	return out
}

// literal gives a value whose text means itself in a descriptor.
func literal(v *source.Value) *source.Value {
	if v == nil || v.IsScalar() {
		return escaped(v)
	}
	out := v.Shallow()
	for i, f := range out.Fields {
		out.Fields[i].Value = literal(f.Value)
	}
	for i, item := range out.Items {
		out.Items[i] = literal(item)
	}
	return out
}

// words writes a list of arguments, in which other services' addresses are
// names.
func (w *work) words(list *source.Value) *source.Value {
	if list == nil {
		return nil
	}
	out := listOf()
	for _, item := range list.Items {
		word := *item
		word.Kind = source.String
		out.Items = append(out.Items, w.argument(&word))
	}
	return out
}

// secretFlag is an argument that says a secret.
var secretFlag = regexp.MustCompile(`^(--?([A-Za-z][-_A-Za-z0-9]*)=)(.+)$`)

// argument writes one argument. What looks like a secret becomes a variable, which
// Kubernetes puts in its place.
func (w *work) argument(word *source.Value) *source.Value {
	m := secretFlag.FindStringSubmatch(word.Text)
	if m == nil || strings.Contains(m[3], "$(") {
		return w.addressed("", word)
	}
	name := strings.ToUpper(strings.ReplaceAll(m[2], "-", "_"))
	if !secretName.MatchString(name) || publicName.MatchString(name) {
		return w.addressed("", word)
	}
	taken := map[string]bool{}
	for _, c := range append(w.pod.Get("containers").ItemsOrNone(), w.pod.Get("initContainers").ItemsOrNone()...) {
		for _, v := range c.Get("env").ItemsOrNone() {
			taken[v.Get("name").Str()] = true
		}
	}
	for taken[name] {
		name = "ARG_" + name
	}
	value := source.NewString(word.Origin, m[3])
	reference := w.plain(name, value, word.Origin)
	if reference.Kind == source.String {
		return text(m[1] + reference.Text)
	}
	w.d.extraEnv = append(w.d.extraEnv, entry(name, reference))
	return text(m[1] + "$(" + name + ")")
}

// probe writes a probe; a port that a route opens is the route's name.
func (w *work) probe(probe, c *source.Value) *source.Value {
	out := source.NewMap(probe.Origin)
	for _, f := range probe.Fields {
		v := f.Value
		switch f.Key {
		case "httpGet", "tcpSocket", "grpc":
			action := w.asIs(v)
			if port := action.Get("port"); port != nil {
				action.Set("port", w.probePort(port, c))
			}
			if action.Get("scheme").Str() == "HTTP" {
				action.Delete("scheme")
			}
			if f.Key == "grpc" && action.Has("service") && action.Get("service").Str() == "" {
				action.Delete("service")
			}
			if f.Key == "httpGet" {
				action = inOrder(action, "path", "port")
			}
			out.Set(f.Key, action)
		case "exec":
			action := v.Shallow()
			if words := action.Get("command"); words != nil {
				action.Set("command", escapedWords(words))
			}
			out.Set(f.Key, action)
		default:
			if n, ok := v.Int(); ok && probeDefaults[f.Key] == n {
				continue
			}
			out.Set(f.Key, v)
		}
	}
	return inOrder(out, "httpGet", "tcpSocket", "grpc", "exec")
}

// probeDefaults are Kubernetes' own.
var probeDefaults = map[string]int{"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}

func escapedWords(list *source.Value) *source.Value {
	out := listOf()
	for _, item := range list.Items {
		word := *item
		word.Kind = source.String
		out.Items = append(out.Items, escaped(&word))
	}
	return out
}

// inOrder gives a map with some keys first.
func inOrder(v *source.Value, first ...string) *source.Value {
	out := source.NewMap(v.Origin)
	for _, key := range first {
		if x := v.Get(key); x != nil {
			out.Set(key, x)
		}
	}
	for _, f := range v.Fields {
		if !slices.Contains(first, f.Key) {
			out.Set(f.Key, f.Value)
		}
	}
	return out
}

// resources writes requests and limits. Where limits stand without requests,
// Kubernetes takes them for requests, and the flavor would not.
func (w *work) resources(c *source.Value, name string) *source.Value {
	r := c.Get("resources")
	if r == nil || r.Kind != source.Map || len(r.Fields) == 0 {
		return nil
	}
	out := r.Shallow()
	requests, limits := r.Get("requests"), r.Get("limits")
	if limits != nil && limits.Kind == source.Map {
		all := source.NewMap(limits.Origin)
		for _, f := range requests.FieldsOrNone() {
			all.Set(f.Key, f.Value)
		}
		for _, f := range limits.Fields {
			if all.Get(f.Key) == nil && flavorLimits[f.Key] != "" {
				all.Set(f.Key, f.Value)
			}
		}
		requests = all
	}
	above := source.NewMap(source.Origin{})
	for _, f := range limits.FieldsOrNone() {
		above.Set(f.Key, f.Value)
	}
	for _, f := range requests.FieldsOrNone() {
		// A limit of the flavor's may be lower than what the service asks for.
		if limits.Get(f.Key) == nil && moreThan(f.Value, flavorLimits[f.Key]) && name == "" {
			above.Set(f.Key, &source.Value{Kind: source.Null})
			w.c.p.report.add(Decide, f.Origin, w.d.service, w.d.context, "resources.limits."+f.Key, "the source sets no limit, and the flavor's is lower than the request: it is taken away; set one")
		}
	}
	limits = above
	out.Delete("requests")
	out.Delete("limits")
	setIn(out, "requests", requests)
	setIn(out, "limits", limits)
	return inOrder(out, "requests", "limits")
}

// noLimits reports the limits that the flavors give a service whose source says
// none.
func (p *project) noLimits(at source.Origin, service, context, what string, resources *source.Value) {
	var those []string
	for _, key := range []string{"cpu", "memory"} {
		if resources.Get("limits").Get(key) == nil && !moreThan(resources.Get("requests").Get(key), flavorLimits[key]) {
			those = append(those, key+" "+flavorLimits[key])
		}
	}
	if len(those) > 0 {
		p.report.add(Changed, at, service, context, what, "the source sets no such limit, and the flavor does: %s; say resources.limits where the service needs more", strings.Join(those, ", "))
	}
}

// flavorLimits are the limits of the library's flavors.
var flavorLimits = map[string]string{"cpu": "1", "memory": "256Mi", "ephemeral-storage": "256Mi"}

// security writes the security settings of the pod and of its main container in
// one map, as kai has them.
func (w *work) security() {
	out := source.NewMap(source.Origin{})
	pod := w.pod.Get("securityContext")
	for _, f := range pod.FieldsOrNone() {
		out.Set(f.Key, w.asIs(f.Value))
	}
	for _, key := range []string{"hostIPC", "hostNetwork", "hostPID", "hostUsers"} {
		if v := w.pod.Get(key); v.True() || key == "hostUsers" && v != nil {
			out.Set(key, v)
		}
	}
	for _, f := range containerSecurity(w.main.Get("securityContext")).FieldsOrNone() {
		out.Set(f.Key, f.Value)
	}
	user, known := out.Get("runAsUser").Int()
	if known && user == 0 {
		out.Set("runAsNonRoot", source.NewBool(source.Origin{}, false))
		if !out.Has("runAsGroup") {
			out.Set("runAsGroup", source.NewInt(source.Origin{}, 0))
		}
	}
	if out.Get("privileged").True() && !out.Has("allowPrivilegeEscalation") {
		out.Set("allowPrivilegeEscalation", source.NewBool(source.Origin{}, true))
	}
	w.d.set("security", out)
	switch {
	case w.friend != nil:
	case !known && !out.Get("runAsNonRoot").True():
		w.c.p.report.add(Decide, w.main.Origin, w.d.service, w.d.context, "security", "the source names no user: kai runs it as 65532, with a read-only root file system and no privileges; try it, and say security: {…} where it needs more")
	case !out.Has("readOnlyRootFilesystem"):
		w.c.p.report.add(Decide, w.main.Origin, w.d.service, w.d.context, "security.readOnlyRootFilesystem", "the source lets it write to its root file system, and kai does not: mount an emptyDir where it writes")
	}
}

// containerSecurity gives a container's security settings; capabilities are
// written as Pod Security wants them.
func containerSecurity(v *source.Value) *source.Value {
	if v == nil || v.Kind != source.Map {
		return nil
	}
	out := v.Shallow()
	if capabilities := v.Get("capabilities"); capabilities != nil && capabilities.Kind == source.Map {
		all := capabilities.Shallow()
		for _, key := range []string{"drop", "add"} {
			if list := capabilities.Get(key); list != nil {
				names := listOf()
				for _, item := range list.ItemsOrNone() {
					names.Items = append(names.Items, text(strings.TrimPrefix(strings.ToUpper(item.Str()), "CAP_")))
				}
				all.Delete(key)
				setIn(all, key, names)
			}
		}
		out.Set("capabilities", all)
	}
	return out
}

func (w *work) gracePeriod() {
	if v := w.pod.Get("terminationGracePeriodSeconds"); v != nil {
		w.d.set("gracePeriod", v)
	}
}

// scheduling carries over where the pods may run.
func (w *work) scheduling() {
	out := source.NewMap(source.Origin{})
	for _, key := range []string{"nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName", "schedulerName", "runtimeClassName", "nodeName", "dnsPolicy", "dnsConfig", "hostAliases"} {
		v := w.pod.Get(key)
		if v == nil || podDefaults[key] != "" && podDefaults[key] == v.Str() {
			continue
		}
		if key == "affinity" || key == "topologySpreadConstraints" {
			v = w.placed(v)
		}
		setIn(out, key, w.asIs(v))
	}
	w.d.set("scheduling", out)
}

// placed gives a rule of scheduling in which pods are selected by the labels that
// they have now: kai's, where they are those of one service.
func (w *work) placed(v *source.Value) *source.Value {
	out := v.Shallow()
	for i, f := range out.Fields {
		if f.Key == "labelSelector" && !v.Has("namespaces") && !v.Has("namespaceSelector") {
			out.Fields[i].Value = w.c.newSelector(f.Value)
			continue
		}
		out.Fields[i].Value = w.placed(f.Value)
	}
	for i, item := range out.Items {
		out.Items[i] = w.placed(item)
	}
	return out
}

// newSelector gives kai's selector for the pods of one service. Those of several
// keep their labels (looksAt), and so the selector stays.
func (c *cluster) newSelector(selector *source.Value) *source.Value {
	those := c.selectedBy(selector)
	if len(those) != 1 {
		return selector
	}
	if those[0].friend != nil {
		c.p.report.add(Decide, selector.Origin, "", c.environment.name, "labelSelector", "it selects the pods of %s, which is a friend now, and has other labels", those[0].ref())
		return selector
	}
	name := text(those[0].d.service)
	return mapOf(entry("matchLabels", mapOf(entry("app.kubernetes.io/name", name), entry("app.kubernetes.io/instance", name))))
}

// selectedBy gives the workloads whose pods a LabelSelector fits.
func (c *cluster) selectedBy(selector *source.Value) []*work {
	var out []*work
	for _, w := range c.works {
		if selectsBy(selector, w.labels) {
			out = append(out, w)
		}
	}
	return out
}

// placing gives the LabelSelectors of a rule of scheduling.
func placing(v *source.Value) []*source.Value {
	var out []*source.Value
	for _, f := range v.FieldsOrNone() {
		if f.Key == "labelSelector" {
			out = append(out, f.Value)
			continue
		}
		out = append(out, placing(f.Value)...)
	}
	for _, item := range v.ItemsOrNone() {
		out = append(out, placing(item)...)
	}
	return out
}

// ownLabels are labels that kai writes by itself, or that only a tool reads.
var ownLabels = regexp.MustCompile(`^(app\.kubernetes\.io/(name|instance|version|managed-by|part-of|created-by)|helm\.sh/.*|heritage|release|chart|pod-template-hash|controller-revision-hash|kustomize\.toolkit\.fluxcd\.io/.*|argocd\.argoproj\.io/.*)$`)

// ownAnnotations are annotations of the tools that applied the source.
var ownAnnotations = regexp.MustCompile(`^(kubectl\.kubernetes\.io/.*|meta\.helm\.sh/.*|helm\.sh/.*|deployment\.kubernetes\.io/.*|checksum/.*|kompose\..*|autoscaling\.alpha\.kubernetes\.io/.*)$`)

// setMetadata carries over labels and annotations that somebody else may read.
func (w *work) setMetadata() {
	d := w.d
	selector := w.spec().At("selector", "matchLabels")
	pods := source.NewMap(source.Origin{})
	for _, f := range w.labels.FieldsOrNone() {
		name := f.Value.Str()
		own := ownLabels.MatchString(f.Key) || (selector.Get(f.Key) != nil || f.Key == "app" || f.Key == "name") && (name == w.name || name == d.service)
		if !own || w.c.looksAt(f.Key, name, w) {
			pods.Set(f.Key, f.Value)
		}
	}
	d.set("labels", pods)
	template := w.v.At("spec", "template")
	if w.is("CronJob") {
		template = w.v.At("spec", "jobTemplate", "spec", "template")
	}
	d.set("annotations", foreign(template.At("metadata", "annotations"), ownAnnotations))
	about := source.NewMap(source.Origin{})
	labels := source.NewMap(source.Origin{})
	for _, f := range w.object.labels().FieldsOrNone() {
		if !ownLabels.MatchString(f.Key) && w.labels.Get(f.Key).Str() != f.Value.Str() && f.Value.Str() != w.name && f.Value.Str() != d.service {
			labels.Set(f.Key, f.Value)
		}
	}
	setIn(about, "labels", labels)
	setIn(about, "annotations", foreign(w.annotations(), ownAnnotations))
	d.set("workload", about)
}

func foreign(v *source.Value, own *regexp.Regexp) *source.Value {
	out := source.NewMap(source.Origin{})
	for _, f := range v.FieldsOrNone() {
		if !own.MatchString(f.Key) {
			out.Set(f.Key, escaped(f.Value))
		}
	}
	return out
}

// looksAt says whether a selector of several workloads has a label, so that the
// pods have to keep it.
func (c *cluster) looksAt(key, value string, w *work) bool {
	for _, s := range c.whole("Service") {
		if s.spec().Get("selector").Get(key).Str() == value && value != "" && s != w.primary && !slices.Contains(w.more, s) && selects(s.spec().Get("selector"), w.labels) {
			return true
		}
	}
	for _, s := range c.placings() {
		if selectsBy(s, w.labels) && (s.At("matchLabels", key) != nil || slices.ContainsFunc(s.Get("matchExpressions").ItemsOrNone(), func(e *source.Value) bool { return e.Get("key").Str() == key })) {
			return true
		}
	}
	return false
}

// placings gives the selectors by which rules of scheduling mean the pods of
// several workloads.
func (c *cluster) placings() []*source.Value {
	if c.placed == nil {
		c.placed = []*source.Value{}
		for _, w := range c.works {
			for _, key := range []string{"affinity", "topologySpreadConstraints"} {
				for _, s := range placing(w.pod.Get(key)) {
					if len(c.selectedBy(s)) > 1 {
						c.placed = append(c.placed, s)
					}
				}
			}
		}
	}
	return c.placed
}

// updates carries over how many pods there are and how they are replaced.
func (w *work) updates() {
	spec := w.spec()
	out := source.NewMap(source.Origin{})
	keys := map[string][]string{
		"Deployment":  {"minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"},
		"StatefulSet": {"minReadySeconds", "revisionHistoryLimit", "podManagementPolicy", "persistentVolumeClaimRetentionPolicy"},
		"DaemonSet":   {"minReadySeconds", "revisionHistoryLimit"},
	}[w.kind]
	if keys == nil {
		return
	}
	strategy := spec.Get("updateStrategy")
	if w.is("Deployment") {
		strategy = spec.Get("strategy")
	}
	if strategy != nil {
		setIn(out, "type", strategy.Get("type"))
		rolling := strategy.Get("rollingUpdate")
		if rolling != nil && rolling.Kind == source.Map && w.is("Deployment") {
			// What the source leaves out is Kubernetes' own.
			both := source.NewMap(rolling.Origin, entry("maxSurge", text("25%")), entry("maxUnavailable", text("25%")))
			for _, f := range rolling.Fields {
				both.Set(f.Key, f.Value)
			}
			rolling = both
		}
		setIn(out, "rollingUpdate", rolling)
	}
	if w.is("Deployment", "DaemonSet") && out.Get("type").Str() == "RollingUpdate" {
		out.Delete("type")
	}
	for _, key := range keys {
		if v := spec.Get(key); v != nil && !(key == "minReadySeconds" && v.Str() == "0") {
			out.Set(key, v)
		}
	}
	w.d.set("updates", out)
	if w.is("DaemonSet") {
		w.d.set("perNode", source.NewBool(source.Origin{}, true))
	} else if v := spec.Get("replicas"); v != nil {
		w.d.set("replicas", v)
	}
	for _, f := range spec.FieldsOrNone() {
		if !slices.Contains(append([]string{"selector", "template", "replicas", "strategy", "updateStrategy", "serviceName", "volumeClaimTemplates"}, keys...), f.Key) && !f.Value.IsNull() {
			child(w.d.fields, "patches", w.kindOf(), "spec").Set(f.Key, w.asIs(f.Value))
		}
	}
}

// batch carries over how a job is carried out, and when.
func (w *work) batch() {
	if !w.is("Job", "CronJob") {
		return
	}
	spec := w.spec()
	if w.is("CronJob") {
		for _, key := range []string{"schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "suspend"} {
			if v := spec.Get(key); v != nil && !(key == "suspend" && !v.True()) {
				w.d.set(key, v)
			}
		}
		if !spec.Has("timeZone") {
			w.c.p.report.add(Decide, spec.Get("schedule").OriginOrNone(), w.d.service, w.d.context, "timeZone", "the source leaves it to the controller's time zone, and kai says Etc/UTC")
		}
		if !spec.Has("concurrencyPolicy") {
			w.d.set("concurrencyPolicy", text("Allow"))
		}
		about := source.NewMap(source.Origin{})
		setIn(about, "labels", foreign(spec.At("jobTemplate", "metadata", "labels"), ownLabels))
		setIn(about, "annotations", foreign(spec.At("jobTemplate", "metadata", "annotations"), ownAnnotations))
		if len(about.Fields) > 0 {
			child(w.d.fields, "patches", "cronjob", "spec", "jobTemplate").Set("metadata", about)
		}
		spec = spec.At("jobTemplate", "spec")
	}
	out := source.NewMap(source.Origin{})
	known := []string{"restartPolicy", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "parallelism", "completions", "completionMode", "backoffLimitPerIndex", "maxFailedIndexes", "podReplacementPolicy", "podFailurePolicy", "successPolicy"}
	for _, key := range known {
		v := spec.Get(key)
		if key == "restartPolicy" {
			v = w.pod.Get(key)
		}
		if v == nil || (key == "parallelism" || key == "completions") && v.Str() == "1" || key == "completionMode" && v.Str() == "NonIndexed" {
			continue
		}
		out.Set(key, w.asIs(v))
	}
	// What Kubernetes takes where the source says nothing.
	switch {
	case spec.Has("backoffLimit"):
	case spec.Has("backoffLimitPerIndex"):
		out.Set("backoffLimit", source.NewInt(source.Origin{}, math.MaxInt32))
	case w.is("CronJob"):
		out.Set("backoffLimit", source.NewInt(source.Origin{}, 6))
	}
	w.d.set("job", out)
	for _, f := range spec.FieldsOrNone() {
		if slices.Contains(known, f.Key) || f.Value.IsNull() || f.Key == "suspend" && !f.Value.True() {
			continue
		}
		if f.Key == "selector" || f.Key == "template" || f.Key == "manualSelector" {
			continue
		}
		keys := []string{"patches", "job", "spec"}
		if w.is("CronJob") {
			keys = []string{"patches", "cronjob", "spec", "jobTemplate", "spec"}
		}
		child(w.d.fields, keys...).Set(f.Key, w.asIs(f.Value))
	}
}

// portName gives a route's name for a port that the source does not name.
func portName(name string, number int, protocol string, http bool) string {
	if s := slug(name); s != "" {
		return s
	}
	if s := wellKnown[number]; s != "" && protocol != "UDP" {
		return s
	}
	switch {
	case protocol == "UDP" && number == 53:
		return "dns"
	case protocol == "UDP", protocol == "SCTP":
		return strings.ToLower(protocol)
	case http:
		return "http"
	}
	return "tcp"
}

var wellKnown = map[int]string{
	80: "http", 8080: "http", 8000: "http", 3000: "http", 5000: "http", 443: "https", 8443: "https", 22: "ssh", 25: "smtp", 53: "dns", 389: "ldap",
	1883: "mqtt", 3306: "mysql", 5432: "postgresql", 6379: "redis", 27017: "mongo", 5672: "amqp", 9092: "kafka", 4222: "nats", 9090: "metrics", 9200: "http", 50051: "grpc",
}
