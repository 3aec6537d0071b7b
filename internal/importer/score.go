package importer

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// scoreVersion is the version of Score's workload files that is read.
const scoreVersion = "score.dev/v1b1"

// workload is a workload of Score.
type workload struct {
	p         *project
	tree      Tree
	root      *source.Value
	d         *draft
	name      string
	resources map[string]*resourceOf
}

// resourceOf is a resource, and what it is in kai.
type resourceOf struct {
	name, kind string
	v          *source.Value
	friend     string // of the library
	service    string // another workload
	port       string // of it
	used       bool
}

// scoreFriends are the library's friends by the types of Score's resources, and
// what their outputs are called there.
var scoreFriends = map[string]struct {
	friend  string
	outputs map[string]string
}{
	"postgres":          {"postgresql", databaseOutputs},
	"postgres-instance": {"postgresql", databaseOutputs},
	"mysql":             {"mysql", databaseOutputs},
	"mysql-instance":    {"mysql", databaseOutputs},
	"mongodb":           {"mongodb", databaseOutputs},
	"redis":             {"redis", serverOutputs},
	"amqp":              {"rabbitmq", serverOutputs},
	"rabbitmq":          {"rabbitmq", serverOutputs},
	"kafka-topic":       {"kafka", serverOutputs},
	"elasticsearch":     {"opensearch", serverOutputs},
	"opensearch":        {"opensearch", serverOutputs},
	"s3": {"minio", map[string]string{
		"endpoint": "config.endpoint", "region": "config.region", "access_key_id": "credentials.accessKey",
		"aws_access_key_id": "credentials.accessKey", "secret_key": "credentials.secretKey", "aws_secret_key": "credentials.secretKey",
	}},
}

var (
	serverOutputs   = map[string]string{"host": "config.host", "port": "config.port", "username": "credentials.username", "password": "credentials.password"}
	databaseOutputs = map[string]string{"host": "config.host", "port": "config.port", "name": "config.database", "database": "config.database", "username": "credentials.username", "password": "credentials.password"}
)

// Score imports workload files of Score.
func Score(o Options) (*Result, source.Findings) {
	p := newProject(o)
	var findings source.Findings
	var all []*workload
	for _, t := range o.Trees {
		docs, more := t.documents()
		findings = append(findings, more...)
		taken := map[string]bool{}
		for _, doc := range docs {
			version := doc.Get("apiVersion")
			name := doc.At("metadata", "name")
			switch {
			case doc.Kind != source.Map || version == nil && doc.Get("containers") == nil:
				continue
			case version.Str() != scoreVersion:
				findings.Add("score", doc.Origin, "apiVersion", "", "the version %q is none that kai reads: %s", version.Str(), scoreVersion)
				continue
			case slug(name.Str()) == "":
				findings.Add("score", doc.Origin, "metadata.name", "", "the workload has no name")
				continue
			case taken[name.Str()]:
				findings.Add("duplicate-name", name.Origin, "metadata.name", "are these two environments? give each its own: --context NAME=PATH", "the workload %s stands here twice", name.Str())
				continue
			}
			taken[name.Str()] = true
			e := p.environment(t.Context)
			w := &workload{p: p, tree: t, root: doc, name: slug(name.Str()), resources: map[string]*resourceOf{}}
			w.d = newDraft(w.name, e.name, "webservice")
			all = append(all, w)
			p.drafts = append(p.drafts, w.d)
		}
	}
	if findings.Err() != nil {
		return nil, findings.Sorted()
	}
	if len(all) == 0 {
		findings.Add("empty", source.Origin{}, "", "name the workload files (apiVersion: "+scoreVersion+")", "there is no workload of Score in what is imported")
		return nil, findings
	}
	for _, w := range all {
		w.write(all)
	}
	for _, t := range o.Trees {
		t.comments(func(path string, at source.Origin) {
			p.report.add(LeftOut, at, "", p.environment(t.Context).name, "comment at "+cmp.Or(path, "the file"), "comments are not carried over: write anew what still holds")
		})
	}
	return p.result(findings)
}

// say reports a part of the workload.
func (w *workload) say(outcome Outcome, at source.Origin, what, format string, args ...any) {
	w.p.report.add(outcome, at, w.name, w.d.context, what, format, args...)
}

// scoreHandled are the keys of a workload that are carried over.
var scoreHandled = shapeOf(
	"apiVersion", "metadata.name", "metadata.annotations", "service.ports.*.port", "service.ports.*.targetPort", "service.ports.*.protocol",
	"containers.*.image", "containers.*.command", "containers.*.args", "containers.*.variables", "containers.*.resources.requests", "containers.*.resources.limits",
	"containers.*.livenessProbe", "containers.*.readinessProbe",
	"containers.*.files.*.content", "containers.*.files.*.binaryContent", "containers.*.files.*.source", "containers.*.files.*.mode", "containers.*.files.*.noExpand",
	"containers.*.files.[].content", "containers.*.files.[].source", "containers.*.files.[].mode", "containers.*.files.[].noExpand", "containers.*.files.[].target",
	"containers.*.volumes.*.source", "containers.*.volumes.*.path", "containers.*.volumes.*.readOnly",
	"containers.*.volumes.[].source", "containers.*.volumes.[].path", "containers.*.volumes.[].readOnly", "containers.*.volumes.[].target",
	"resources.*.type", "resources.*.params",
)

// scoreParams are the parameters of resources that are carried over, by their
// type; of what kai has nothing for at all, none is asked about.
var scoreParams = map[string][]string{"service-port": {"workload", "port"}, "service": {"workload", "port"}, "route": {"host", "path", "port"}}

func (w *workload) write(all []*workload) {
	w.say(Carried, w.root.Origin, "workload "+w.name, "a service of the flavor webservice")
	scoreHandled.unhandled(w.root, "", func(where string, v *source.Value) {
		w.say(LeftOut, v.Origin, where, "Score %s has no such key, or kai no place for it", scoreVersion)
	})
	w.d.set("annotations", w.root.At("metadata", "annotations"))
	for _, f := range w.root.Get("resources").FieldsOrNone() {
		w.resource(f, all)
	}
	w.ports()
	containers := w.root.Get("containers").FieldsOrNone()
	main := slices.IndexFunc(containers, func(f source.Field) bool { return slug(f.Key) == w.name })
	type sidecarOf struct {
		key source.Field
		out *source.Value
	}
	var sidecars []sidecarOf // whose variables are compared with the main container's, which may come later
	for i, f := range containers {
		if i == max(main, 0) {
			w.container(f, w.d.fields)
			w.p.noLimits(f.Origin, w.name, w.d.context, "containers."+f.Key+".resources", f.Value.Get("resources"))
			continue
		}
		out := mapOf(entry("name", text(cmp.Or(slug(f.Key), "sidecar"))))
		w.container(f, out)
		sidecars = append(sidecars, sidecarOf{f, out})
		w.d.add("sidecars", out)
	}
	for _, c := range sidecars {
		w.p.sees(c.key.Origin, w.d, c.key.Key, c.out.Get("env"))
	}
	if len(containers) == 0 {
		w.say(Decide, w.root.Origin, "containers", "the workload has no container")
	}
	w.exposure()
	w.uses()
}

// resource finds out what a resource is in kai.
func (w *workload) resource(f source.Field, all []*workload) {
	r := &resourceOf{name: cmp.Or(slug(f.Key), "friend"), kind: f.Value.Get("type").Str(), v: f.Value}
	w.resources[f.Key] = r
	if known, ok := scoreFriends[r.kind]; ok {
		r.friend = known.friend
	}
	switch r.kind {
	case "service-port", "service":
		to := slug(cmp.Or(f.Value.At("params", "workload").Str(), r.name))
		if !slices.ContainsFunc(all, func(o *workload) bool { return o.name == to && o != w }) {
			w.say(LeftOut, f.Origin, "resources."+f.Key, "the workload %s is not among those imported", to)
			break
		}
		r.service, r.port = to, f.Value.At("params", "port").Str()
	case "volume", "dns", "route", "environment":
	default:
		if r.friend == "" {
			w.say(LeftOut, f.Origin, "resources."+f.Key, "kai's library has no friend of the type %q; write one (docs/friends.md) and name it", r.kind)
			return
		}
	}
	for _, param := range f.Value.Get("params").FieldsOrNone() {
		if !slices.Contains(scoreParams[r.kind], param.Key) {
			w.say(LeftOut, param.Origin, "resources."+f.Key+".params."+param.Key, "kai has no place for it; a friend's values may say it")
		}
	}
}

func (w *workload) ports() {
	for _, f := range w.root.At("service", "ports").FieldsOrNone() {
		v := mapOf(entry("name", text(cmp.Or(slug(f.Key), "http"))))
		port, target := f.Value.Get("port"), f.Value.Get("targetPort")
		n, ok := port.Int()
		if !ok || n == 0 {
			w.say(LeftOut, f.Origin, "service.ports."+f.Key, "it has no port")
			continue
		}
		v.Set("port", port)
		if m, ok := target.Int(); ok && m != n {
			v.Set("containerPort", target)
		}
		if p := f.Value.Get("protocol").Str(); p != "" && p != "TCP" {
			v.Set("protocol", text(p))
		}
		w.d.add("routes", v)
	}
	if w.d.fields.Get("routes") == nil {
		w.d.flavor = "worker"
	}
}

func (w *workload) container(f source.Field, out *source.Value) {
	where := "containers." + f.Key
	if image := f.Value.Get("image").Str(); image == "." || image == "" {
		w.say(Decide, f.Origin, where+".image", "the source leaves the image to the one who deploys: give it")
		out.Set("image", imageOf(w.name))
		w.d.notes["image"] = "The source leaves the image to the one who deploys. Give it."
	} else {
		v := imageOf(image)
		if tag := v.Get("tag").Str(); (tag == "" || tag == "latest") && !v.Has("digest") {
			w.say(Decide, f.Value.Get("image").OriginOrNone(), where+".image", "it has no version: give the tag or the digest that runs now")
		}
		out.Set("image", v)
	}
	if words := f.Value.Get("command"); len(words.ItemsOrNone()) > 0 {
		out.Set("command", mapOf(entry("command", w.words(words, where+".command"))))
	}
	if words := f.Value.Get("args"); len(words.ItemsOrNone()) > 0 {
		out.Set("args", w.words(words, where+".args"))
	}
	env := source.NewMap(source.Origin{})
	for _, v := range f.Value.Get("variables").FieldsOrNone() {
		env.Set(v.Key, w.variable(v, where+".variables."+v.Key))
	}
	setIn(out, "env", env)
	probes := source.NewMap(source.Origin{})
	for _, kind := range []string{"liveness", "readiness"} {
		if probe := f.Value.Get(kind + "Probe"); probe != nil && probe.Kind == source.Map {
			setIn(probes, kind, w.probe(probe))
		}
	}
	setIn(out, "probes", probes)
	resources := source.NewMap(source.Origin{})
	for _, key := range []string{"requests", "limits"} {
		setIn(resources, key, f.Value.At("resources", key))
	}
	setIn(out, "resources", resources)
	mounts := listOf()
	w.files(f.Value.Get("files"), where, mounts)
	w.volumes(f.Value.Get("volumes"), where, mounts)
	setIn(out, "mounts", mounts)
}

func (w *workload) words(list *source.Value, where string) *source.Value {
	out := listOf()
	for _, item := range list.Items {
		out.Items = append(out.Items, text(w.placeholders(item.Str(), item.Origin, where)))
	}
	return out
}

// variable writes a variable. What looks like a secret is read from the store.
func (w *workload) variable(f source.Field, where string) *source.Value {
	value := f.Value.Str()
	named := secretName.MatchString(f.Key) && !publicName.MatchString(f.Key) || w.p.speaks(f.Key, f.Value)
	if named && value != "" && !strings.Contains(value, "${") {
		w.p.hidden = append(w.p.hidden, value)
		key := strings.ToLower(f.Key)
		place := w.name + ".secret." + key
		w.say(Changed, f.Origin, where, "it looks like a secret that stands in the source in clear: it is read from the store")
		w.p.report.store(w.d.context, place, w.p.kai+" secrets set -c "+w.d.context+" "+place, f.Origin)
		return mapOf(entry("secret", text(key)))
	}
	return text(w.placeholders(value, f.Value.Origin, where))
}

var placeholder = regexp.MustCompile(`\$(\$+|\{[^}]*\})`)

// placeholders puts kai's references in the place of Score's.
func (w *workload) placeholders(s string, at source.Origin, where string) string {
	return placeholder.ReplaceAllStringFunc(s, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m // $${ means the same to both
		}
		name := m[2 : len(m)-1]
		parts := strings.Split(name, ".")
		switch {
		case name == "metadata.name":
			return "${service.name}"
		case parts[0] == "resources" && len(parts) > 1 && w.resources[parts[1]] != nil:
			if out := w.output(w.resources[parts[1]], strings.Join(parts[2:], ".")); out != "" {
				return out
			}
		}
		w.say(Decide, at, where, "kai has nothing for %s; it stands there as text", m)
		return "$" + m
	})
}

// output gives kai's reference to an output of a resource, or "".
func (w *workload) output(r *resourceOf, name string) string {
	switch {
	case r.friend != "":
		if out := scoreFriends[r.kind].outputs[name]; out != "" {
			r.used = true
			return "${friends." + r.name + "." + out + "}"
		}
	case r.service != "" && (name == "hostname" || name == "host" || name == "name"):
		r.used = true
		return "${friends." + r.service + ".address}"
	case r.service != "" && name == "port":
		r.used = true
		if slug(r.port) == "" {
			return "${friends." + r.service + ".port}"
		}
		return "${friends." + r.service + ".ports." + slug(r.port) + "}"
	case r.kind == "environment" && name != "":
		variable := strings.ToUpper(notKey.ReplaceAllString(strings.NewReplacer(".", "_", "-", "_").Replace(name), "_"))
		w.say(Decide, r.v.Origin, "resources "+r.name, "give the workspace's contexts the variable %s", variable)
		return "${" + variable + ":-}"
	case r.kind == "dns" && name == "host":
		w.say(Decide, r.v.Origin, "resources "+r.name, "give the workspace's contexts the variable DOMAIN")
		return "${DOMAIN:-" + w.name + ".example.com}"
	}
	return ""
}

func (w *workload) probe(v *source.Value) *source.Value {
	out := source.NewMap(source.Origin{})
	get := v.Get("httpGet")
	if get != nil && get.Kind == source.Map {
		action := get.Shallow()
		for _, r := range w.d.fields.Get("routes").ItemsOrNone() {
			number := r.Get("containerPort")
			if number == nil {
				number = r.Get("port")
			}
			if number.Str() == action.Get("port").Str() {
				action.Set("port", r.Get("name"))
			}
		}
		if action.Get("scheme").Str() == "HTTP" {
			action.Delete("scheme")
		}
		out.Set("httpGet", inOrder(action, "path", "port"))
	}
	setIn(out, "exec", v.Get("exec"))
	for _, f := range v.Fields {
		if f.Key != "httpGet" && f.Key != "exec" {
			w.say(LeftOut, f.Origin, "probe "+f.Key, "Score has no such key")
		}
	}
	return out
}

// targets gives what stands under files or volumes by where it is mounted: a map,
// or in older files a list with targets.
func targets(v *source.Value) []source.Field {
	if v == nil || v.Kind == source.Map {
		return v.FieldsOrNone()
	}
	var out []source.Field
	for _, item := range v.ItemsOrNone() {
		out = append(out, source.Field{Key: item.Get("target").Str(), Origin: item.Origin, Value: item})
	}
	return out
}

func (w *workload) files(v *source.Value, where string, mounts *source.Value) {
	taken := map[string]bool{}
	for _, item := range mounts.Items {
		taken[item.Get("name").Str()] = true
	}
	for _, f := range targets(v) {
		var data []byte
		switch {
		case f.Value.Has("content") && f.Value.Get("content").Kind == source.List:
			data = []byte(strings.Join(f.Value.Get("content").Strings(), "\n"))
		case f.Value.Has("content"):
			data = []byte(f.Value.Get("content").Str())
		case f.Value.Has("binaryContent"):
			raw, err := base64.StdEncoding.DecodeString(f.Value.Get("binaryContent").Str())
			if err != nil {
				w.say(LeftOut, f.Origin, where+".files "+f.Key, "its content is no base64")
				continue
			}
			data = raw
		default:
			dir := path.Dir(strings.TrimPrefix(strings.TrimPrefix(f.Origin.File, w.tree.Name), "/"))
			name := path.Join(dir, f.Value.Get("source").Str())
			raw, err := source.ReadFile(w.tree.FS, name, 1<<20)
			if !fs.ValidPath(name) || path.IsAbs(f.Value.Get("source").Str()) || err != nil {
				w.say(Decide, f.Origin, where+".files "+f.Key, "the file %s is not there, or outside of the folder that is imported", f.Value.Get("source").Str())
				continue
			}
			data = raw
		}
		base := path.Base(f.Key)
		if !strings.HasPrefix(f.Key, "/") || !fileKey.MatchString(base) || strings.Trim(base, ".") == "" {
			w.say(LeftOut, f.Origin, where+".files "+f.Key, "it has no path that kai can mount a file at")
			continue
		}
		name := unique(cmp.Or(slug(strings.TrimSuffix(base, path.Ext(base))), "file"), taken)
		mount := mapOf(entry("name", text(name)), entry("path", text(f.Key)), entry("files", texts(path.Join("config", base))))
		content := string(data)
		if !f.Value.Get("noExpand").True() && !f.Value.Has("binaryContent") && strings.Contains(content, "${") {
			content = w.placeholders(content, f.Value.Origin, where+".files "+f.Key)
			mount.Set("template", source.NewBool(source.Origin{}, true))
		}
		if mode := f.Value.Get("mode").Str(); regexp.MustCompile(`^0?[0-7]{3}$`).MatchString(mode) {
			mount.Set("mode", text(mode))
		}
		unit := "config"
		if _, ok := w.d.units[unit][base]; ok {
			unit = path.Join("config", name)
			mount.Set("files", texts(path.Join(unit, base)))
		}
		w.d.file(unit, base, []byte(content))
		mounts.Items = append(mounts.Items, mount)
	}
}

func (w *workload) volumes(v *source.Value, where string, mounts *source.Value) {
	taken := map[string]bool{}
	for _, item := range mounts.Items {
		taken[item.Get("name").Str()] = true
	}
	for _, f := range targets(v) {
		from := strings.TrimSuffix(strings.TrimPrefix(f.Value.Get("source").Str(), "${resources."), "}")
		if !strings.HasPrefix(f.Key, "/") {
			w.say(LeftOut, f.Origin, where+".volumes "+f.Key, "it has no path")
			continue
		}
		name := unique(cmp.Or(slug(from), "volume"), taken)
		mount := mapOf(entry("name", text(name)), entry("path", text(f.Key)))
		claim := mapOf(entry("accessModes", texts("ReadWriteOnce")), entry("resources", mapOf(entry("requests", mapOf(entry("storage", text("1Gi")))))))
		mount.Set("volume", mapOf(entry("volumeClaimTemplate", claim)))
		setIn(mount, "subPath", f.Value.Get("path"))
		if f.Value.Get("readOnly").True() {
			mount.Set("readOnly", source.NewBool(source.Origin{}, true))
		}
		w.d.flavor = "stateful"
		w.say(Decide, f.Origin, where+".volumes "+f.Key, "it keeps data, so the service is of the flavor stateful, with a claim of 1Gi: say how much, or take an emptyDir")
		mounts.Items = append(mounts.Items, mount)
	}
}

// exposure carries over the resources that are ways in.
func (w *workload) exposure() {
	for _, f := range w.root.Get("resources").FieldsOrNone() {
		r := w.resources[f.Key]
		if r.kind != "route" {
			continue
		}
		params := f.Value.Get("params")
		port := params.Get("port").Str()
		i := slices.IndexFunc(w.d.fields.Get("routes").ItemsOrNone(), func(v *source.Value) bool {
			return v.Get("port").Str() == port || v.Get("name").Str() == slug(port) || v.Get("containerPort").Str() == port
		})
		if i < 0 {
			w.say(LeftOut, f.Origin, "resources."+f.Key, "the service has no port %q", port)
			continue
		}
		route := w.d.fields.Get("routes").Items[i]
		host := w.placeholders(params.Get("host").Str(), params.Get("host").OriginOrNone(), "resources."+f.Key+".params.host")
		if host != "" {
			route.Set("hostname", text(host))
		}
		if p := params.Get("path").Str(); p != "" && (p != "/" || host == "") {
			route.Set("paths", texts(p))
		}
		w.say(Carried, f.Origin, "resources."+f.Key, "a route with a host")
	}
}

// uses writes the friends.
func (w *workload) uses() {
	for _, f := range w.root.Get("resources").FieldsOrNone() {
		r := w.resources[f.Key]
		switch {
		case r.service != "":
			w.d.add("friends", mapOf(entry("service", text(r.service))))
			w.say(Carried, f.Origin, "resources."+f.Key, "the service %s as a friend", r.service)
		case r.friend != "":
			v := mapOf(entry("from", text(r.friend)), entry("name", text(r.name)))
			if r.used {
				v.Set("env", null())
			}
			if !r.used && r.name == r.friend {
				v = text(r.friend)
			}
			w.d.add("friends", v)
			w.say(Carried, f.Origin, "resources."+f.Key, "%s", fmt.Sprintf("the friend %s of kai's library", r.friend))
		}
	}
}
