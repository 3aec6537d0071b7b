package importer

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// pligos is one service's configuration, of any generation, in the form of the
// last: contexts by name, instances by type.
type pligos struct {
	p         *project
	tree      Tree
	dir       string
	name      string
	root      *source.Value
	contexts  []source.Field // by name: flavor, spec, dependencies, friends, configs, secrets
	instances *source.Value
	types     *source.Value
	library   string // folder of friends, of the oldest generation
	charts    []*source.Value
	draft     *draft
	context   string
}

// Pligos imports configurations of Pligos: a folder with a pligos.yaml, and in
// the two older generations a values.yaml beside it.
func Pligos(o Options) (*Result, source.Findings) {
	p := newProject(o)
	p.contexts = nil
	var findings source.Findings
	var all []*pligos
	for _, t := range o.Trees {
		names, more := t.files(func(name string) bool { return name == "pligos.yaml" })
		findings = append(findings, more...)
		for _, name := range names {
			s, more := p.readPligos(t, name)
			findings = append(findings, more...)
			if s != nil {
				all = append(all, s)
			}
		}
	}
	if findings.Err() != nil {
		return nil, findings.Sorted()
	}
	if len(all) == 0 {
		findings.Add("empty", source.Origin{}, "", "name the folder that holds the services' folders and their flavors", "there is no pligos.yaml in what is imported")
		return nil, findings
	}
	taken := map[string]bool{}
	for _, s := range all {
		s.name = unique(cmp.Or(slug(s.name), "service"), taken)
	}
	for _, s := range all {
		for _, c := range s.contexts {
			s.write(c, all)
		}
	}
	if len(p.drafts) == 0 {
		findings.Add("empty", all[0].root.Origin, "contexts", "", "no context stands in what is imported")
		return nil, findings
	}
	return p.result(findings)
}

// readPligos reads the configuration of one service.
func (p *project) readPligos(t Tree, name string) (*pligos, source.Findings) {
	root, findings := t.document(name)
	if findings.Err() != nil || root.IsNull() {
		return nil, findings
	}
	if root.Kind != source.Map {
		findings.Add("pligos", root.Origin, "", "", "the file must be a map, and is %s", root.Kind)
		return nil, findings
	}
	s := &pligos{p: p, tree: t, dir: path.Dir(name), root: root}
	chart, _ := t.document(path.Join(s.dir, "Chart.yaml"))
	values := root.Get("values")
	var more source.Findings
	if values == nil {
		file := path.Join(s.dir, "values.yaml")
		if _, err := fs.Stat(t.FS, file); err == nil {
			values, more = t.document(file)
			findings = append(findings, more...)
		}
	}
	s.name = cmp.Or(root.Get("name").Str(), root.At("deployment", "name").Str(), chart.Get("name").Str(), path.Base(path.Join("/", t.Name, s.dir)))
	generation := "third"
	switch {
	case root.Has("pligos"):
		s.known(root, "", "pligos", "contexts", "values")
		s.types = s.typesOf(root.At("pligos", "types"))
		s.contexts = append(s.contexts, root.Get("contexts").FieldsOrNone()...)
	case root.Get("contexts") != nil && root.Get("contexts").Kind == source.List:
		generation = "first"
		known := []string{"name", "description", "chartVersion", "secrets", "codeGen", "friendsLibrary", "taskfile", "friends", "types", "contexts"}
		if root.Has("deployment") {
			generation = "second"
			known = []string{"version", "deployment", "types", "secrets", "codeGen", "chartDependencies", "contexts"}
			s.charts = root.Get("chartDependencies").ItemsOrNone()
		}
		s.known(root, "", known...)
		s.types = s.typesOf(root.Get("types"))
		s.library = root.Get("friendsLibrary").Str()
		for _, item := range root.Get("contexts").Items {
			name := item.Get("name").Str()
			c := item.Shallow()
			spec := values.At("contexts", name)
			if spec == nil {
				spec = values.At("contexts", "base")
			}
			c.Set("spec", spec)
			s.contexts = append(s.contexts, source.Field{Key: name, Origin: item.Origin, Value: c})
		}
	case root.Get("contexts") != nil:
		// The instances and contexts of the first generation, alone.
		generation = "first"
		values = root
		s.types = source.NewMap(source.Origin{})
		for _, f := range root.Get("contexts").FieldsOrNone() {
			s.contexts = append(s.contexts, source.Field{Key: f.Key, Origin: f.Origin, Value: mapOf(entry("spec", f.Value))})
		}
	default:
		findings.Add("pligos", root.Origin, "", "it has contexts, and pligos:, deployment: or name:", "the file has no shape that Pligos had")
		return nil, findings
	}
	s.instances = values
	for _, key := range []string{"codeGen", "taskfile"} {
		if v := root.Get(key); v != nil {
			p.report.add(LeftOut, v.Origin, s.name, "", key, "Pligos wrote it, and never ran it; kai has no place for it")
		}
	}
	if v := root.Get("secrets"); v != nil {
		p.report.add(Changed, v.Origin, s.name, "", "secrets", "the secrets are in a store: say where under secrets of the workspace's contexts")
	}
	p.report.add(Carried, root.Origin, s.name, "", t.place(name), "a configuration of Pligos' %s generation", generation)
	return s, findings
}

// known reports the keys of a map that nobody reads.
func (s *pligos) known(v *source.Value, where string, keys ...string) {
	for _, f := range v.FieldsOrNone() {
		if !slices.Contains(keys, f.Key) {
			s.p.report.add(LeftOut, f.Origin, s.name, s.context, strings.TrimPrefix(where+"."+f.Key, "."), "Pligos did not know the key, or kai has no place for it")
		}
	}
}

// typesOf reads files of types; a later one decides.
func (s *pligos) typesOf(files *source.Value) *source.Value {
	out := source.NewMap(source.Origin{})
	for _, item := range files.ItemsOrNone() {
		s.addTypes(out, path.Join(s.dir, item.Str()), item.Origin, false)
	}
	return out
}

// addTypes adds the types of a file; that of a flavor has the type context too.
func (s *pligos) addTypes(out *source.Value, file string, at source.Origin, flavor bool) {
	if !fs.ValidPath(file) {
		s.p.report.add(Decide, at, s.name, s.context, file, "it lies outside of the folder that is imported: name the folder above")
		return
	}
	v, findings := s.tree.document(file)
	if findings.Err() != nil || v == nil {
		s.p.report.add(Decide, at, s.name, s.context, file, "it cannot be read: fields are taken for what they are called")
		return
	}
	for _, f := range v.FieldsOrNone() {
		if f.Key != "context" || flavor {
			out.Set(f.Key, f.Value)
		}
	}
}

// write makes the draft of a service in one context.
func (s *pligos) write(c source.Field, all []*pligos) {
	name := cmp.Or(slug(c.Key), DefaultContext)
	if name == "base" {
		name = DefaultContext
		s.p.report.add(Changed, c.Origin, s.name, name, "context "+c.Key, "base is what all contexts have in common, so it is called %s", name)
	}
	s.context = name
	s.p.environment(name)
	d := newDraft(s.name, name, "webservice")
	s.draft = d
	s.p.drafts = append(s.p.drafts, d)
	d.description = cmp.Or(s.root.Get("description").Str(), s.root.At("deployment", "description").Str())
	d.version = cmp.Or(s.root.Get("chartVersion").Str(), s.root.At("deployment", "chartVersion").Str())
	if chart, _ := s.tree.document(path.Join(s.dir, "Chart.yaml")); chart != nil {
		d.description = cmp.Or(d.description, chart.Get("description").Str())
		d.version = cmp.Or(d.version, chart.Get("version").Str())
	}
	s.known(c.Value, "contexts."+c.Key, "name", "flavor", "output", "spec", "dependencies", "configs", "secrets", "friends")
	types := s.types.Shallow()
	if f := c.Value.Get("flavor"); f != nil {
		s.addTypes(types, path.Join(s.dir, f.Str(), "schema.yaml"), f.Origin, true)
		s.p.report.add(Changed, f.Origin, s.name, name, "flavor "+f.Str(), "kai's webservice takes its place: its templates are not carried over (docs/flavors.md says how to write a flavor)")
	}
	spec := s.resolve(c.Value.Get("spec"), types.Get("context"), types, "contexts."+c.Key, 0)
	s.fields(spec)
	s.configs(c.Value)
	s.friends(c.Value, all)
	if !d.fields.Has("image") {
		s.p.report.add(Decide, c.Origin, s.name, name, "image", "no container names an image: give the context one")
		d.set("image", imageOf(s.name))
		d.notes["image"] = "The source names no image. Give it."
	}
}

// resolve puts instances in the place of their names. shape is the type's
// fields, or nil where it is not known; then a key is taken for its type.
func (s *pligos) resolve(v, shape, types *source.Value, where string, depth int) *source.Value {
	if v == nil || v.Kind != source.Map || depth > 20 {
		return v
	}
	out := source.NewMap(v.Origin)
	for _, f := range v.Fields {
		if f.Value.IsNull() {
			continue
		}
		expr := shape.Get(f.Key)
		if shape != nil && expr == nil && f.Key != "name" {
			s.p.report.add(Changed, f.Origin, s.name, s.context, where+"."+f.Key, "Pligos dropped it in silence, because its type has no such field; kai takes it where it knows it")
		}
		if expr != nil && expr.Kind == source.Map {
			out.Set(f.Key, s.resolve(f.Value, expr, types, where+"."+f.Key, depth+1))
			continue
		}
		words := strings.Fields(expr.Str())
		name := strings.TrimSuffix(f.Key, "Probe")
		if name != f.Key {
			name = "probe"
		}
		if len(words) > 0 {
			name = words[len(words)-1]
		}
		value := s.instance(f.Value, name, types, where+"."+f.Key, depth)
		if slices.Contains(words, "embedded") && value.Kind == source.Map {
			for _, inner := range value.Fields {
				if inner.Key != "name" {
					out.Set(inner.Key, inner.Value)
				}
			}
			continue
		}
		out.Set(f.Key, value)
	}
	return out
}

var primitives = []string{"string", "numeric", "bool", "object", "scalar", "any"}

// instance gives the instance, or the instances, that a value names.
func (s *pligos) instance(v *source.Value, kind string, types *source.Value, where string, depth int) *source.Value {
	if slices.Contains(primitives, kind) || depth > 20 {
		return v
	}
	switch v.Kind {
	case source.List:
		out := source.NewList(v.Origin)
		for _, item := range v.Items {
			out.Items = append(out.Items, s.instance(item, kind, types, where, depth+1))
		}
		return out
	case source.Map:
		shape := types.Get(kind)
		if shape != nil && shape.Kind != source.Map {
			shape = nil
		}
		return s.resolve(v, shape, types, where, depth+1)
	case source.String:
		for _, key := range []string{kind, kind + "s", strings.TrimSuffix(kind, "s")} {
			for _, item := range s.instances.Get(key).ItemsOrNone() {
				if item.Get("name").Str() == v.Text {
					return s.instance(item, strings.TrimSuffix(key, "s"), types, where, depth+1)
				}
			}
		}
	}
	return v
}

// fields carries over a resolved context in kai's words.
func (s *pligos) fields(spec *source.Value) {
	d := s.draft
	kind := ""
	routes := listOf()
	for _, f := range spec.FieldsOrNone() {
		switch f.Key {
		case "serviceType":
			kind = f.Value.Str()
		case "routes", "route":
			routes.Items = append(routes.Items, s.listed(f.Value)...)
		case "container", "containers":
			for i, c := range s.listed(f.Value) {
				s.container(c, i == 0, routes)
			}
		case "image":
			d.set("image", s.image(f.Value))
		case "command":
			d.set("command", s.command(f.Value))
		case "probes":
			d.set("probes", s.probes(f.Value))
		case "env":
			d.set("env", s.env(f.Value))
		case "resources", "labels", "annotations", "replicas", "args":
			d.set(f.Key, literal(f.Value))
		case "replicaCount":
			d.set("replicas", f.Value)
		case "mounts":
			d.add("mounts", s.mounts(f.Value)...)
		case "ingress":
			s.ingress(f.Value)
		default:
			s.left(f, "contexts")
		}
	}
	all := listOf()
	taken := map[string]bool{}
	for _, r := range routes.Items {
		v := s.route(r, kind)
		name := v.Get("name").Str()
		if v == nil || taken[name] {
			continue
		}
		taken[name] = true
		all.Items = append(all.Items, v)
	}
	if len(all.Items) == 0 && kind == "" {
		d.flavor = "worker"
	}
	d.set("routes", all)
}

// left reports a field that kai's flavors have not.
func (s *pligos) left(f source.Field, where string) {
	if f.Key == "name" || f.Key == "enabled" {
		return
	}
	s.p.report.add(LeftOut, f.Origin, s.name, s.context, where+" "+f.Key, "kai's flavors have no such field; a flavor and a type of your own may have it (docs/types.md)")
}

// listed gives the items of a list, or a map's values under their names.
func (s *pligos) listed(v *source.Value) []*source.Value {
	if v.Kind == source.List {
		return v.Items
	}
	var out []*source.Value
	for _, f := range v.FieldsOrNone() {
		if f.Value.Kind == source.Map {
			item := f.Value.Shallow()
			if !item.Has("name") {
				item.Set("name", text(f.Key))
			}
			out = append(out, item)
		}
	}
	return out
}

// container carries over a container: the first is the main one.
func (s *pligos) container(c *source.Value, main bool, routes *source.Value) {
	if c.Kind != source.Map {
		s.p.report.add(LeftOut, c.Origin, s.name, s.context, "container "+c.Str(), "there is no such instance")
		return
	}
	out := s.draft.fields
	if !main {
		out = mapOf(entry("name", text(cmp.Or(slug(c.Get("name").Str()), "sidecar"))))
	}
	probes := source.NewMap(source.Origin{})
	for _, f := range c.FieldsOrNone() {
		switch f.Key {
		case "name":
		case "image":
			setIn(out, "image", s.image(f.Value))
		case "command":
			setIn(out, "command", s.command(f.Value))
		case "routes", "route":
			if main {
				routes.Items = append(routes.Items, s.listed(f.Value)...)
				continue
			}
			all := listOf()
			for _, r := range s.listed(f.Value) {
				if v := s.route(r, ""); v != nil {
					all.Items = append(all.Items, v)
				}
			}
			setIn(out, "routes", all)
		case "probes":
			for _, p := range s.probes(f.Value).Fields {
				probes.Set(p.Key, p.Value)
			}
		case "livenessProbe", "readinessProbe", "startupProbe":
			setIn(probes, strings.TrimSuffix(f.Key, "Probe"), s.probe(f.Value))
		case "env":
			setIn(out, "env", s.env(f.Value))
		case "resources", "args", "lifecycle":
			setIn(out, f.Key, literal(f.Value))
		case "mounts":
			if main {
				s.draft.add("mounts", s.mounts(f.Value)...)
			} else {
				setIn(out, "mounts", listOf(s.mounts(f.Value)...))
			}
		default:
			s.left(f, "container "+c.Get("name").Str())
		}
	}
	setIn(out, "probes", probes)
	if !main {
		s.draft.add("sidecars", out)
	}
}

func (s *pligos) image(v *source.Value) *source.Value {
	if v.Kind == source.String {
		return imageOf(v.Text)
	}
	out := source.NewMap(source.Origin{})
	for _, f := range v.FieldsOrNone() {
		switch f.Key {
		case "name":
			out.Set("name", f.Value)
		case "registry", "repository", "digest", "pullPolicy":
			if f.Value.Str() != "" && !(f.Key == "registry" && f.Value.Str() == "docker.io") && !(f.Key == "pullPolicy" && f.Value.Str() == "Always") {
				out.Set(f.Key, f.Value)
			}
		case "tag":
			tag := *f.Value
			tag.Kind = source.String
			out.Set("tag", &tag)
		default:
			s.left(f, "image")
		}
	}
	return out
}

// command carries over a command; a script lies in the folder script of the
// service.
func (s *pligos) command(v *source.Value) *source.Value {
	out := source.NewMap(source.Origin{})
	for _, f := range v.FieldsOrNone() {
		switch f.Key {
		case "name":
			out.Set(f.Key, f.Value)
		case "command", "interpreter":
			out.Set(f.Key, literal(f.Value))
		case "script", "fileName":
			name := strings.TrimPrefix(path.Clean("/"+f.Value.Str()), "/")
			for _, candidate := range []string{name, path.Join("script", name)} {
				data, err := source.ReadFile(s.tree.FS, path.Join(s.dir, candidate), source.MaxFile)
				if err != nil {
					continue
				}
				s.draft.file(path.Dir(candidate), path.Base(candidate), data)
				out.Set("fileName", text(candidate))
				break
			}
			if !out.Has("fileName") {
				s.p.report.add(Decide, f.Origin, s.name, s.context, "command "+f.Value.Str(), "the script is not there")
			}
		case "type":
		default:
			s.left(f, "command")
		}
	}
	return out
}

func (s *pligos) probes(v *source.Value) *source.Value {
	out := source.NewMap(source.Origin{})
	for _, f := range v.FieldsOrNone() {
		if kind := strings.TrimSuffix(f.Key, "Probe"); slices.Contains(probeKinds, kind) {
			setIn(out, kind, s.probe(f.Value))
		} else {
			s.left(f, "probes")
		}
	}
	return out
}

// probe carries over a probe, whose definition the type may have embedded.
func (s *pligos) probe(v *source.Value) *source.Value {
	out := source.NewMap(source.Origin{})
	setIn(out, "name", v.Get("name"))
	if definition := v.Get("definition"); definition != nil && definition.Kind == source.Map {
		v = definition
	}
	for _, f := range v.FieldsOrNone() {
		switch f.Key {
		case "name":
		case "http":
			out.Set("httpGet", literal(f.Value))
		default:
			out.Set(f.Key, literal(f.Value))
		}
	}
	if handler(out) == "" {
		s.p.report.add(LeftOut, v.OriginOrNone(), s.name, s.context, "probe", "it says nothing to try, or names an instance that is not there")
		return nil
	}
	return out
}

func (s *pligos) route(r *source.Value, kind string) *source.Value {
	if r.Kind != source.Map {
		s.p.report.add(LeftOut, r.Origin, s.name, s.context, "route "+r.Str(), "there is no such instance")
		return nil
	}
	out := mapOf(entry("name", text(cmp.Or(slug(r.Get("name").Str()), "http"))))
	for _, f := range r.Fields {
		switch f.Key {
		case "name":
		case "port", "containerPort", "nodePort":
			if n := *f.Value; n.Text != "" {
				n.Kind = source.Number
				if _, ok := n.Int(); ok {
					out.Set(f.Key, &n)
				}
			}
		case "protocol":
			if f.Value.Str() != "TCP" {
				out.Set("protocol", f.Value)
			}
		case "hostname", "host":
			setIn(out, "hostname", f.Value)
		case "type":
			switch {
			case f.Value.Str() == "grpc" && cmp.Or(r.Get("hostname").Str(), r.Get("host").Str()) != "":
				s.p.report.add(Decide, f.Origin, s.name, s.context, "route "+r.Get("name").Str()+" type", "an Ingress cannot carry gRPC: expose it by gateway or istio, and say speaks: grpc")
			case f.Value.Str() == "grpc":
				out.Set("speaks", text("grpc"))
			}
		case "tls":
			if f.Value.True() {
				s.p.report.add(Decide, f.Origin, s.name, s.context, "route "+r.Get("name").Str()+" tls", "say where the certificate is: tls: {secretName: …}, {secret: …} or {issuer: …}")
			}
		case "paths":
			setIn(out, "paths", literal(f.Value))
		default:
			s.left(f, "route")
		}
	}
	if out.Get("port").Str() != "" && out.Get("port").Str() == out.Get("containerPort").Str() {
		out.Delete("containerPort")
	}
	if slices.Contains([]string{"NodePort", "LoadBalancer"}, kind) && out.Has("port") {
		out.Set("type", text(kind))
	}
	if !out.Has("port") && !out.Has("containerPort") {
		return nil
	}
	return out
}

// env carries over variables, as a map or as a list of names and values. What looks
// like a secret is one: it is read from the store.
func (s *pligos) env(v *source.Value) *source.Value {
	out := source.NewMap(v.Origin)
	for _, f := range append(slices.Clone(v.FieldsOrNone()), namedValues(v)...) {
		value := f.Value.Str()
		clear := secretName.MatchString(f.Key) && !publicName.MatchString(f.Key) && value != "" && value != "true" && value != "false"
		if !clear && !userinURL.MatchString(value) && !s.p.speaks(f.Key, f.Value) {
			out.Set(f.Key, literal(f.Value))
			continue
		}
		key := notKey.ReplaceAllString(strings.ToLower(f.Key), "_")
		path := s.name + ".secret." + key
		s.p.hidden = append(s.p.hidden, value)
		s.p.report.add(Changed, f.Origin, s.name, s.context, "env "+f.Key, "it looks like a secret that stands in the source in clear: it is read from the store")
		s.p.report.store(s.context, path, s.p.kai+" secrets set -c "+s.context+" "+path, f.Origin)
		out.Set(f.Key, mapOf(entry("secret", text(key))))
	}
	return out
}

// namedValues gives a list of {name, value} as the fields of a map.
func namedValues(v *source.Value) []source.Field {
	var out []source.Field
	for _, item := range v.ItemsOrNone() {
		if name := item.Get("name").Str(); name != "" {
			value := item.Get("value")
			if item.Has("valueFrom") {
				value = mapOf(entry("valueFrom", item.Get("valueFrom")))
			}
			out = append(out, source.Field{Key: name, Origin: item.Origin, Value: cmp.Or(value, text(""))})
		}
	}
	return out
}

// mounts carries over mounts.
func (s *pligos) mounts(v *source.Value) []*source.Value {
	var all []*source.Value
	for _, m := range s.listed(v) {
		where := cmp.Or(m.Get("path").Str(), m.Get("mountPath").Str())
		out := mapOf(entry("name", text(cmp.Or(slug(m.Get("name").Str()), "mount"))), entry("path", escaped(text(where))))
		switch {
		case !strings.HasPrefix(where, "/"):
			s.p.report.add(LeftOut, m.Origin, s.name, s.context, "mount "+m.Get("name").Str(), "it has no path")
			continue
		case m.Has("volume") && m.Get("volume").Kind == source.Map:
			out.Set("volume", literal(m.Get("volume")))
		default:
			s.p.report.add(Decide, m.Origin, s.name, s.context, "mount "+m.Get("name").Str(), "it does not say what is mounted: an empty folder, for now")
			out.Set("volume", mapOf(entry("emptyDir", source.NewMap(source.Origin{}))))
		}
		all = append(all, out)
	}
	return all
}

func (s *pligos) ingress(v *source.Value) {
	if v.Has("enabled") && !v.Get("enabled").True() {
		s.draft.set("expose", text("none"))
		return
	}
	settings := source.NewMap(source.Origin{})
	for _, f := range v.FieldsOrNone() {
		switch f.Key {
		case "annotations", "className":
			setIn(settings, f.Key, literal(f.Value))
		default:
			s.left(f, "ingress")
		}
	}
	if len(settings.Fields) > 0 {
		s.draft.set("expose", mapOf(entry("ingress", settings)))
	}
}

// configs carries over the files of a configuration. In the last generation they
// are those of the folder config, in the older two the context lists them. Those
// of secrets are never copied.
func (s *pligos) configs(c *source.Value) {
	lists := map[string][]string{}
	for _, kind := range []string{"configs", "secrets"} {
		for _, item := range c.Get(kind).ItemsOrNone() {
			lists[kind] = append(lists[kind], path.Join(s.dir, item.Str()))
		}
		if c.Get(kind) != nil {
			continue
		}
		dir := map[string]string{"configs": "config", "secrets": cmp.Or(s.root.At("secrets", "path").Str(), "secrets")}[kind]
		full := path.Join(s.dir, dir)
		if !fs.ValidPath(full) {
			continue
		}
		entries, err := fs.ReadDir(s.tree.FS, full)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") && len(lists[kind]) < 1000 {
				lists[kind] = append(lists[kind], path.Join(full, e.Name()))
			}
		}
	}
	var files []string
	for _, name := range lists["configs"] {
		at := source.Origin{Position: source.Position{File: s.tree.place(name), Line: 1}}
		if path.Base(path.Dir(name)) == "script" {
			continue
		}
		data, err := source.ReadFile(s.tree.FS, name, 1<<20)
		if err != nil || !fileKey.MatchString(path.Base(name)) {
			s.p.report.add(LeftOut, at, s.name, s.context, name, "it cannot be read")
			continue
		}
		if strings.Contains(string(data), "{{") {
			s.p.report.add(Decide, at, s.name, s.context, name, "it is a template of Helm's; with template: true kai substitutes ${…} in it")
		}
		s.draft.file("config", path.Base(name), data)
		files = append(files, path.Join("config", path.Base(name)))
	}
	if len(files) > 0 {
		s.draft.add("mounts", mapOf(entry("name", text("config")), entry("path", text("/etc/"+s.name)), entry("files", texts(files...))))
	}
	for _, name := range lists["secrets"] {
		at := source.Origin{Position: source.Position{File: s.tree.place(name), Line: 1}}
		s.p.report.add(LeftOut, at, s.name, s.context, path.Join("secrets", path.Base(name)), "secrets are not copied; give the service its keys as variables ({secret: KEY}) after they are stored")
		v, findings := s.tree.document(name)
		if findings.Err() != nil {
			continue
		}
		for _, leaf := range leaves(v, "", 0) {
			key := s.name + ".secret." + leaf
			s.p.report.store(s.context, key, s.p.kai+" secrets set -c "+s.context+" "+key, at)
		}
	}
}

// leaves gives the paths of the scalars in a map, joined by _.
func leaves(v *source.Value, where string, depth int) []string {
	if depth > 10 {
		return nil
	}
	if v != nil && v.Kind == source.Map {
		var out []string
		for _, f := range v.Fields {
			out = append(out, leaves(f.Value, strings.TrimPrefix(where+"_"+notKey.ReplaceAllString(f.Key, "_"), "_"), depth+1)...)
		}
		return out
	}
	if where == "" || v.IsNull() {
		return nil
	}
	return []string{where}
}

// friends carries over whom a service talks to: other services of Pligos', the
// friends of a library, charts.
func (s *pligos) friends(c *source.Value, all []*pligos) {
	add := func(v *source.Value) {
		if !slices.ContainsFunc(s.draft.fields.Get("friends").ItemsOrNone(), func(o *source.Value) bool { return itemName(o) == itemName(v) }) {
			s.draft.add("friends", v)
		}
	}
	for _, item := range append(c.Get("dependencies").ItemsOrNone(), c.Get("friends").ItemsOrNone()...) {
		where := cmp.Or(item.Get("path").Str(), item.Get("pligos").Str())
		i := slices.IndexFunc(all, func(o *pligos) bool { return o.dir == path.Join(s.dir, where) })
		if i < 0 || all[i] == s {
			s.p.report.add(LeftOut, item.Origin, s.name, s.context, "dependency "+where, "the service is not among those imported")
			continue
		}
		add(mapOf(entry("service", text(all[i].name))))
	}
	for _, chart := range s.charts {
		add(s.p.chartFriend(chart.Get("name").Str(), chart, s))
	}
	if s.library == "" {
		return
	}
	dir := path.Join(s.dir, s.library)
	entries, err := fs.ReadDir(s.tree.FS, dir)
	if !fs.ValidPath(dir) || err != nil {
		s.p.report.add(Decide, s.root.Get("friendsLibrary").OriginOrNone(), s.name, s.context, "friendsLibrary", "it lies outside of the folder that is imported, or is not there")
		return
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		name := path.Join(dir, e.Name())
		data, err := source.ReadFile(s.tree.FS, name, source.MaxFile)
		if err != nil {
			continue
		}
		docs, findings := source.ParseYAMLStream(s.tree.place(name), data)
		for _, f := range findings {
			s.p.report.add(LeftOut, f.Origin, s.name, s.context, s.tree.place(name), "%s", f.Message)
		}
		for _, friend := range docs {
			if friend.Get("name").Str() == "" {
				continue
			}
			if v := s.p.libraryFriend(friend, s); v != nil {
				add(v)
			}
		}
	}
}

// chartFriend makes a friend of a chart that Helm knows, or takes the library's.
func (p *project) chartFriend(name string, chart *source.Value, s *pligos) *source.Value {
	name = cmp.Or(slug(name), "friend")
	for _, known := range servers {
		if known.friend == name || slices.Contains(known.images, name) {
			p.report.add(Changed, chart.Origin, s.name, s.context, "chart "+name, "it is the friend %s of kai's library", known.friend)
			return text(known.friend)
		}
	}
	v := source.NewMap(source.Origin{})
	ref := source.NewMap(source.Origin{})
	for _, key := range []string{"repository", "name", "version"} {
		setIn(ref, key, chart.Get(key))
	}
	v.Set("type", text("dependency"))
	v.Set("chart", ref)
	p.addFriend(name, v)
	p.report.add(Decide, chart.Origin, s.name, s.context, "chart "+name, "give its consumers the address under config in friends/%s.yaml, and pin it: kai lock", name)
	return text(name)
}

// libraryFriend makes a friend of one of Pligos' library.
func (p *project) libraryFriend(friend *source.Value, s *pligos) *source.Value {
	name := slug(friend.Get("name").Str())
	for _, f := range friend.Get("credentials").FieldsOrNone() {
		path := s.name + ".secret." + name + "_" + f.Key
		p.report.store(s.context, path, p.kai+" secrets set -c "+s.context+" "+path, f.Origin)
	}
	for _, known := range servers {
		if known.friend == name || slices.Contains(known.images, name) {
			p.report.add(Changed, friend.Origin, s.name, s.context, "friend "+name, "it is the friend %s of kai's library, which has its own chart, values and outputs", known.friend)
			return text(known.friend)
		}
	}
	v := source.NewMap(source.Origin{})
	v.Set("type", text(cmp.Or(map[string]string{"requirement": "requirement", "local": "requirement"}[friend.Get("type").Str()], "dependency")))
	ref := source.NewMap(source.Origin{})
	for _, key := range []string{"repository", "name", "version"} {
		setIn(ref, key, friend.At("chartReference", key))
	}
	if len(ref.Fields) == 0 {
		v.Set("chart", null())
	} else {
		v.Set("chart", ref)
		p.report.add(Decide, friend.Origin, s.name, s.context, "friend "+name, "pin its chart: kai lock")
	}
	setIn(v, "values", literal(friend.Get("values")))
	config := source.NewMap(source.Origin{})
	for _, f := range friend.Get("config").FieldsOrNone() {
		if strings.Contains(f.Value.Str(), "{{") {
			p.report.add(Decide, f.Origin, s.name, s.context, "friend "+name+" config."+f.Key, "it is a template of Helm's: say the value, or ${self.address}")
			continue
		}
		config.Set(f.Key, literal(f.Value))
	}
	setIn(v, "config", config)
	credentials := source.NewMap(source.Origin{})
	for _, f := range friend.Get("credentials").FieldsOrNone() {
		credentials.Set(f.Key, mapOf(entry("secret", text(name+"_"+f.Key))))
	}
	setIn(v, "credentials", credentials)
	p.addFriend(name, v)
	return text(name)
}

// addFriend adds a friend's file, unless it is there.
func (p *project) addFriend(name string, v *source.Value) {
	if !slices.ContainsFunc(p.friends, func(f *friendFile) bool { return f.name == name }) {
		p.friends = append(p.friends, &friendFile{name: name, value: v})
	}
}
