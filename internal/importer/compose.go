package importer

import (
	"cmp"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Compose imports Compose files. Each service is written as the objects of
// Kubernetes that it would be, with the places of the Compose file, and then goes
// the way of manifests: so addresses, friends and secrets are found alike.
//
// The format is read here and not by compose-go: that knows no places, which a
// report needs, and would bring a second YAML library along.
func Compose(o Options) (*Result, source.Findings) {
	p := newProject(o)
	var findings source.Findings
	var clusters []*cluster
	for _, t := range o.Trees {
		files, more := composeFiles(t)
		findings = append(findings, more...)
		for _, file := range files {
			root, more := t.document(file)
			findings = append(findings, more...)
			if root == nil {
				continue
			}
			services := root.Get("services")
			if root.Kind != source.Map || services == nil || services.Kind != source.Map {
				findings.Add("compose", root.Origin, "services", "name a Compose file: its services stand under services", "this is no Compose file: it has no services")
				continue
			}
			for _, name := range []string{"compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"} {
				over := path.Join(path.Dir(file), name)
				if _, err := fs.Stat(t.FS, over); err == nil && file != t.Path {
					p.report.add(Decide, at(t.place(over)), "", "", name, "Compose lays it over the file, and the import does not: import what docker compose config prints, or make it a context (--context NAME=PATH)")
				}
			}
			m := &composeFile{p: p, t: t, dir: path.Dir(file), root: root, vars: map[string]string{}}
			m.dotEnv()
			m.rest()
			for _, name := range m.contexts() {
				c := &cluster{environment: p.environment(name), p: p, index: map[string]*object{}, renamed: map[string]string{}, depends: map[string][]string{}, published: map[string]bool{}}
				m.c = c
				m.write(&findings)
				clusters = append(clusters, c)
			}
		}
	}
	seen := map[*environment]bool{}
	for _, c := range clusters {
		if seen[c.environment] {
			findings.Add("compose", c.origin(), "", "give each file its own: --context NAME=PATH", "two files describe the context %s", c.environment.name)
		}
		seen[c.environment] = true
	}
	if findings.Err() != nil {
		return nil, findings.Sorted()
	}
	p.clusters(clusters)
	p.clustersRead = nil // there are no manifests to compare with
	if len(p.drafts) == 0 {
		findings.Add("empty", source.Origin{}, "", "name a Compose file, or a folder with one", "there is no service in what is imported")
		return nil, findings
	}
	words := strings.NewReplacer("Deployment/", "service ", "StatefulSet/", "service ", "DaemonSet/", "service ", "Service/", "ports of ", "ConfigMap/", "config ", "Secret/", "secret ")
	for i := range p.report.Entries {
		e := &p.report.Entries[i]
		e.What, e.Why = words.Replace(e.What), words.Replace(e.Why)
	}
	p.report.sort()
	return p.result(), findings
}

func (c *cluster) origin() source.Origin {
	if len(c.objects) == 0 {
		return source.Origin{}
	}
	return c.objects[0].origin()
}

// composeNames are what Compose looks for, in its order.
var composeNames = []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}

// composeFiles gives the Compose file of a tree: itself, or the one in a folder.
func composeFiles(t Tree) ([]string, source.Findings) {
	root := cmp.Or(t.Path, ".")
	info, err := fs.Stat(t.FS, root)
	if err != nil {
		return nil, source.Findings{source.FileFinding(t.place(root), err)}
	}
	if !info.IsDir() {
		return []string{root}, nil
	}
	for _, name := range composeNames {
		if _, err := fs.Stat(t.FS, path.Join(root, name)); err == nil {
			return []string{path.Join(root, name)}, nil
		}
	}
	return nil, source.Findings{{Origin: at(t.place(root)), Code: "empty", Message: "there is no Compose file in the folder", Hint: "name the file"}}
}

// composeFile is a Compose file in one context.
type composeFile struct {
	p    *project
	t    Tree
	dir  string
	root *source.Value
	vars map[string]string
	c    *cluster
}

// dotEnv reads the file .env, which gives variables of the file their values.
func (m *composeFile) dotEnv() {
	data, err := source.ReadFile(m.t.FS, path.Join(m.dir, ".env"), 1<<20)
	if err != nil {
		return
	}
	for _, v := range dotEnv(string(data)) {
		if v.set {
			m.vars[v.name] = v.value
		}
	}
}

// dotVariable is a line of a file NAME=VALUE; one without a value is that of
// Compose's own environment.
type dotVariable struct {
	name, value string
	set         bool
	line        int
}

// dotEnv gives the variables of a file NAME=VALUE.
func dotEnv(text string) []dotVariable {
	var out []dotVariable
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if name == "" || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		} else if i := strings.Index(value, " #"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		out = append(out, dotVariable{name, value, ok, n})
	}
	return out
}

// file reads a file that the Compose file names, of the folder that is imported.
func (m *composeFile) file(name string) (full string, data []byte, err error) {
	full = path.Join(m.dir, name)
	if path.IsAbs(name) || strings.HasPrefix(name, "~") || !fs.ValidPath(full) {
		return full, nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	data, err = source.ReadFile(m.t.FS, full, 1<<20)
	return full, data, err
}

// contexts gives the contexts of the file: its own, and one for each profile.
func (m *composeFile) contexts() []string {
	own := cmp.Or(m.t.Context, DefaultContext)
	names := []string{own}
	for _, s := range m.root.Get("services").Fields {
		for _, profile := range s.Value.Get("profiles").ItemsOrNone() {
			name := slug(profile.Str())
			if name == "" || name == "base" || slices.Contains(names, name) || len(names) > 20 {
				continue
			}
			names = append(names, name)
			m.p.report.add(Changed, profile.Origin, "", name, "profile "+profile.Str(), "it is a context, which has the services of the profile beside those of none")
		}
	}
	return names
}

// active says whether a service is in the context.
func (m *composeFile) active(s *source.Value) bool {
	profiles := s.Get("profiles").ItemsOrNone()
	if len(profiles) == 0 {
		return true
	}
	return slices.ContainsFunc(profiles, func(p *source.Value) bool { return slug(p.Str()) == m.c.environment.name })
}

// write makes the objects of all services.
func (m *composeFile) write(findings *source.Findings) {
	services := m.root.Get("services")
	names := map[string]bool{}
	for _, f := range services.Fields {
		if slug(f.Key) == "" || names[slug(f.Key)] {
			findings.Add("compose", f.Origin, "services."+f.Key, "rename it", "the service %q cannot be named so, or another has that name", f.Key)
		}
		names[slug(f.Key)] = true
	}
	if len(services.Fields) > maxObjects/4 {
		findings.Add("limit", services.Origin, "services", "", "there are more services than the bound of %d", maxObjects/4)
	}
	if len(*findings) > 0 {
		return
	}
	called := m.called()
	var docs []*source.Value
	for _, f := range services.Fields {
		s := m.extended(f.Value, []string{f.Key}, findings)
		if s == nil || s.Kind != source.Map || !m.active(s) {
			continue
		}
		docs = append(docs, m.service(f, s, called)...)
	}
	m.c.read(docs, findings)
}

// extended lays a service over the one that it extends; seen are those that
// extend it.
func (m *composeFile) extended(s *source.Value, seen []string, findings *source.Findings) *source.Value {
	from := s.Get("extends")
	if from.IsNull() {
		return s
	}
	name := cmp.Or(from.Get("service").Str(), from.Str())
	parent := m.root.At("services", name)
	if from.Has("file") || parent == nil || parent.Kind != source.Map {
		m.p.report.add(Decide, from.Origin, "", m.c.environment.name, "extends "+name, "there is no such service in this file, and other files are not read: import what docker compose config prints")
		return s
	}
	if slices.Contains(seen, name) {
		findings.Add("cycle", from.Origin, "services."+seen[len(seen)-1]+".extends", "", "the service %s extends itself: %s", name, strings.Join(append(seen, name), " → "))
		return s
	}
	out := m.extended(parent, append(seen, name), findings).Shallow()
	for _, f := range s.Fields {
		out.Set(f.Key, overlaid(f.Key, out.Get(f.Key), f.Value))
	}
	out.Delete("extends")
	return out
}

// overlaid lays a field of a service over that of the one that it extends, as
// Compose does: maps are merged and lists put together, but for those that are
// one thing.
func overlaid(key string, below, v *source.Value) *source.Value {
	if key == "environment" {
		below, v = variables(below), variables(v)
	}
	switch {
	case below == nil || below.Kind != v.Kind:
	case v.Kind == source.Map:
		merged := below.Shallow()
		for _, f := range v.Fields {
			merged.Set(f.Key, overlaid(f.Key, merged.Get(f.Key), f.Value))
		}
		return merged
	case v.Kind == source.List && !slices.Contains([]string{"command", "entrypoint", "test"}, key):
		both := v.Shallow()
		both.Items = nil
		for _, item := range append(slices.Clone(below.Items), v.Items...) {
			if !slices.ContainsFunc(both.Items, func(o *source.Value) bool { return source.Equal(o, item) }) {
				both.Items = append(both.Items, item)
			}
		}
		return both
	}
	return v
}

// variables gives a service's environment as a map; it may be a list.
func variables(v *source.Value) *source.Value {
	if v == nil || v.Kind != source.List {
		return v
	}
	out := source.NewMap(v.Origin)
	for _, item := range v.Items {
		name, value, ok := strings.Cut(item.Str(), "=")
		x := source.NewString(item.Origin, value)
		if !ok {
			x = &source.Value{Kind: source.Null, Origin: item.Origin}
		}
		out.Fields = append(out.Fields, source.Field{Key: name, Origin: item.Origin, Value: x})
	}
	return out
}

// called gives the ports by which services name one another, which need not be
// said in a Compose file.
func (m *composeFile) called() map[string][]int {
	out := map[string][]int{}
	names := m.root.Get("services")
	pattern := regexp.MustCompile(`([a-zA-Z0-9][-_.a-zA-Z0-9]*):([0-9]{2,5})\b`)
	var visit func(v *source.Value, depth int)
	visit = func(v *source.Value, depth int) {
		if v == nil || depth > source.MaxDepth {
			return
		}
		for _, found := range pattern.FindAllStringSubmatch(v.Str(), -1) {
			if names.Get(found[1]) != nil {
				n, _ := strconv.Atoi(found[2])
				if !slices.Contains(out[found[1]], n) && n < 65536 && len(out[found[1]]) < 20 {
					out[found[1]] = append(out[found[1]], n)
				}
			}
		}
		for _, item := range v.Items {
			visit(item, depth+1)
		}
		for _, f := range v.Fields {
			visit(f.Value, depth+1)
		}
	}
	for _, f := range names.Fields {
		for _, key := range []string{"environment", "command", "entrypoint"} {
			visit(f.Value.Get(key), 0)
		}
	}
	return out
}

// serverPorts are the ports of the library's friends.
var serverPorts = map[string]int{
	"postgresql": 5432, "mysql": 3306, "mongodb": 27017, "redis": 6379, "valkey": 6379, "rabbitmq": 5672, "nats": 4222, "kafka": 9092, "opensearch": 9200, "minio": 9000,
}

// service makes the objects of one service.
func (m *composeFile) service(f source.Field, s *source.Value, called map[string][]int) []*source.Value {
	name := slug(f.Key)
	env := m.c.environment.name
	s = m.expanded(s, "services."+f.Key)
	m.leftOut(f.Key, name, s)
	container := mapAt(f.Origin, entry("name", text(name)))
	pod := mapAt(f.Origin)
	var docs []*source.Value
	if image := s.Get("image"); image != nil {
		ref := *image
		ref.Kind, ref.Text = source.String, image.Str()
		container.Set("image", &ref)
	} else {
		m.p.report.add(Decide, f.Origin, name, env, "services."+f.Key+".build", "Compose builds the image: push it to a registry, and give its name")
		container.Set("image", text(name))
	}
	setIn(container, "command", words(s.Get("entrypoint")))
	setIn(container, "args", words(s.Get("command")))
	setIn(container, "workingDir", s.Get("working_dir"))
	setIn(container, "env", m.environmentOf(s, f.Key, name))
	if policy := map[string]string{"always": "Always", "missing": "IfNotPresent", "if_not_present": "IfNotPresent", "never": "Never"}[s.Get("pull_policy").Str()]; policy != "" {
		container.Set("imagePullPolicy", text(policy))
	} else if v := s.Get("pull_policy"); !v.IsNull() {
		m.p.report.add(LeftOut, v.Origin, name, env, "services."+f.Key+".pull_policy", "Kubernetes pulls always, or what is missing, or never")
	}
	ports := m.ports(s, f.Key, name)
	for _, n := range called[f.Key] {
		ports = addPort(ports, n, "TCP")
	}
	if known := serverOf(imageOf(container.Get("image").Str())); known != nil && len(ports) == 0 {
		ports = addPort(ports, serverPorts[known.friend], "TCP")
	}
	if len(ports) == 0 {
		m.p.report.add(Decide, f.Origin, name, env, "services."+f.Key, "it says no port: give it a route, where others call it")
	}
	containerPorts, servicePorts := listOf(), listOf()
	for _, p := range ports {
		number := source.NewInt(f.Origin, p.number)
		containerPorts.Items = append(containerPorts.Items, mapAt(f.Origin, entry("containerPort", number), entry("protocol", text(p.protocol))))
		servicePorts.Items = append(servicePorts.Items, mapAt(f.Origin, entry("port", number), entry("protocol", text(p.protocol))))
	}
	setIn(container, "ports", containerPorts)
	setIn(container, "readinessProbe", m.healthcheck(s.Get("healthcheck"), f.Key, name))
	setIn(container, "resources", m.resources(s, f.Key, name))
	setIn(container, "securityContext", m.security(s, f.Key, name))
	for _, key := range []string{"tty", "stdin_open"} {
		if s.Get(key).True() {
			container.Set(map[string]string{"tty": "tty", "stdin_open": "stdin"}[key], s.Get(key))
		}
	}
	v := &composeVolumes{m: m, service: name, key: f.Key, mounts: listOf(), volumes: listOf(), claims: listOf(), taken: map[string]bool{}}
	v.all(s)
	docs = append(docs, v.docs...)
	setIn(container, "volumeMounts", v.mounts)
	setIn(pod, "volumes", v.volumes)
	if n := m.seconds(s.Get("stop_grace_period"), f.Key+".stop_grace_period", name); n > 0 {
		pod.Set("terminationGracePeriodSeconds", source.NewInt(f.Origin, n))
	}
	pod.Set("containers", listOf(container))
	labels := mapOf(entry("app", text(name)))
	spec := mapAt(f.Origin, entry("selector", mapOf(entry("matchLabels", labels))), entry("template", mapOf(entry("metadata", mapOf(entry("labels", labels))), entry("spec", pod))))
	if n, ok := cmp.Or(s.At("deploy", "replicas"), s.Get("scale")).Int(); ok {
		spec.Set("replicas", source.NewInt(f.Origin, n))
	}
	kind := "Deployment"
	switch {
	case s.At("deploy", "mode").Str() == "global":
		kind = "DaemonSet"
		spec.Delete("replicas")
	case len(v.claims.Items) > 0:
		kind = "StatefulSet"
		spec.Set("volumeClaimTemplates", v.claims)
	}
	docs = append(docs, mapAt(f.Origin, entry("apiVersion", text("apps/v1")), entry("kind", text(kind)), entry("metadata", mapOf(entry("name", text(name)))), entry("spec", spec)))
	if len(servicePorts.Items) > 0 {
		docs = append(docs, mapAt(f.Origin, entry("apiVersion", text("v1")), entry("kind", text("Service")), entry("metadata", mapOf(entry("name", text(name)))),
			entry("spec", mapOf(entry("selector", labels), entry("ports", servicePorts)))))
	}
	m.depends(s, name)
	return docs
}

func mapAt(at source.Origin, fields ...source.Field) *source.Value {
	return source.NewMap(at, fields...)
}

// words gives a command as a list; text is cut as a shell does it.
func words(v *source.Value) *source.Value {
	if v == nil {
		return nil
	}
	out := source.NewList(v.Origin)
	if v.Kind == source.List {
		for _, item := range v.Items {
			out.Items = append(out.Items, source.NewString(item.Origin, item.Str()))
		}
		return out
	}
	for _, word := range shellWords(v.Str()) {
		out.Items = append(out.Items, source.NewString(v.Origin, word))
	}
	return out
}

// shellWords cuts a line at white space outside of quotes.
func shellWords(line string) []string {
	var out []string
	var word strings.Builder
	quote, some := rune(0), false
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		c := runes[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(runes):
			i++
			word.WriteRune(runes[i])
			some = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, some = c, true
		case quote == 0 && strings.ContainsRune(" \t\n", c):
			if some {
				out = append(out, word.String())
			}
			word.Reset()
			some = false
		default:
			word.WriteRune(c)
			some = true
		}
	}
	if some {
		out = append(out, word.String())
	}
	return out
}

// environmentOf gives a service's variables: of its files, and over them its own.
func (m *composeFile) environmentOf(s *source.Value, key, service string) *source.Value {
	all := source.NewMap(source.Origin{})
	files := s.Get("env_file")
	list := files.ItemsOrNone()
	if files != nil && files.Kind != source.List {
		list = []*source.Value{files}
	}
	for _, file := range list {
		name := cmp.Or(file.Get("path").Str(), file.Str())
		full, data, err := m.file(name)
		if err != nil {
			if v := file.Get("required"); v == nil || v.True() {
				m.p.report.add(Decide, file.Origin, service, m.c.environment.name, "services."+key+".env_file", "the file %s is not there, or outside of the folder that is imported", name)
			}
			continue
		}
		for _, v := range dotEnv(string(data)) {
			at := source.Origin{Position: source.Position{File: m.t.place(full), Line: v.line}}
			if !v.set {
				m.variable(all, v.name, &source.Value{Kind: source.Null, Origin: at}, key)
				continue
			}
			all.Set(v.name, source.NewString(at, v.value))
		}
	}
	for _, f := range variables(s.Get("environment")).FieldsOrNone() {
		m.variable(all, f.Key, f.Value, key)
	}
	out := listOf()
	for _, f := range all.Fields {
		at := f.Value.Origin
		v := mapAt(at, entry("name", text(f.Key)))
		if f.Value.Kind == source.Map {
			v.Set("valueFrom", f.Value)
		} else {
			v.Set("value", f.Value)
		}
		out.Items = append(out.Items, v)
	}
	return out
}

// variable sets one variable. One that Compose takes from its own environment
// may be a secret; then it is one that the store has.
func (m *composeFile) variable(all *source.Value, name string, v *source.Value, key string) {
	passed := v.IsNull()
	if passed {
		v = source.NewString(v.Origin, "${"+name+"}")
	}
	if m.unset(v.Str()) && secretName.MatchString(name) && !publicName.MatchString(name) {
		all.Set(name, mapAt(v.Origin, entry("secretKeyRef", mapOf(entry("name", text(slug(key)+"-environment")), entry("key", text(strings.ToLower(name)))))))
		m.secret(slug(key)+"-environment", strings.ToLower(name), v.Origin)
		return
	}
	all.Set(name, source.NewString(v.Origin, m.expand(v, "services."+key+".environment."+name)))
}

// secret adds a key to a Secret that stands for what Compose is given from
// outside.
func (m *composeFile) secret(name, key string, at source.Origin) {
	o := m.c.find("Secret", name)
	if o == nil {
		o = &object{v: mapAt(at, entry("apiVersion", text("v1")), entry("kind", text("Secret")), entry("metadata", mapOf(entry("name", text(name)))), entry("stringData", source.NewMap(at))), kind: "Secret", name: name}
		m.c.objects = append(m.c.objects, o)
		m.c.index[o.ref()] = o
	}
	data := o.v.Get("stringData")
	if data.Get(key) == nil {
		data.Fields = append(data.Fields, source.Field{Key: key, Origin: at, Value: source.NewString(at, "")})
	}
}

// port is a port of a service.
type port struct {
	number   int
	protocol string
}

func addPort(ports []port, number int, protocol string) []port {
	p := port{number, protocol}
	if number < 1 || number > 65535 || slices.Contains(ports, p) {
		return ports
	}
	return append(ports, p)
}

// ports gives the ports that a service opens. Inside of a Compose network others
// call the container's port, whatever it is published as.
func (m *composeFile) ports(s *source.Value, key, name string) []port {
	var out []port
	for _, item := range append(s.Get("ports").ItemsOrNone(), s.Get("expose").ItemsOrNone()...) {
		target, published, protocol := item.Get("target").Str(), item.Get("published").Str(), cmp.Or(item.Get("protocol").Str(), "tcp")
		if item.IsScalar() {
			words, p, ok := strings.Cut(item.Str(), "/")
			if ok {
				protocol = p
			}
			parts := strings.Split(words, ":")
			target = parts[len(parts)-1]
			if len(parts) > 1 {
				published = parts[len(parts)-2]
			}
		}
		number, err := strconv.Atoi(target)
		if err != nil || number < 1 || number > 65535 {
			m.p.report.add(LeftOut, item.Origin, name, m.c.environment.name, "services."+key+".ports "+target, "a route has one port; write a route for each")
			continue
		}
		out = addPort(out, number, strings.ToUpper(protocol))
		if published != "" {
			m.c.published[name] = true
			m.p.report.add(Decide, item.Origin, name, m.c.environment.name, "services."+key+".ports "+published+":"+target, "it is published on the host: give the route a hostname, or the type LoadBalancer, where it is called from outside")
		}
	}
	return out
}

var localURL = regexp.MustCompile(`https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::([0-9]+))?(/[^\s'"|;&]*)?`)

// healthcheck makes a probe. One that fetches a URL of its own is a GET.
func (m *composeFile) healthcheck(v *source.Value, key, name string) *source.Value {
	if v == nil || v.Get("disable").True() {
		return nil
	}
	var words []string
	switch test := v.Get("test"); {
	case test == nil:
		return nil
	case test.Kind == source.List:
		for _, item := range test.Items {
			words = append(words, item.Str())
		}
	default:
		words = []string{"CMD-SHELL", test.Str()}
	}
	if len(words) == 0 || words[0] == "NONE" {
		return nil
	}
	out := mapAt(v.Origin)
	line := strings.Join(words[1:], " ")
	found := localURL.FindStringSubmatch(line)
	switch {
	case found != nil && (strings.Contains(line, "curl") || strings.Contains(line, "wget")) && !strings.HasPrefix(found[0], "https"):
		number, err := strconv.Atoi(cmp.Or(found[1], "80"))
		if err != nil {
			return nil
		}
		out.Set("httpGet", mapOf(entry("path", text(cmp.Or(found[2], "/"))), entry("port", source.NewInt(v.Origin, number))))
	case words[0] == "CMD":
		out.Set("exec", mapOf(entry("command", texts(words[1:]...))))
	default:
		out.Set("exec", mapOf(entry("command", texts("/bin/sh", "-c", line))))
	}
	for from, to := range map[string]string{"interval": "periodSeconds", "timeout": "timeoutSeconds", "start_period": "initialDelaySeconds"} {
		if n := m.seconds(v.Get(from), key+".healthcheck."+from, name); n > 0 {
			out.Set(to, source.NewInt(v.Origin, n))
		}
	}
	if n, ok := v.Get("retries").Int(); ok && n > 0 {
		out.Set("failureThreshold", source.NewInt(v.Origin, n))
	}
	m.p.report.add(Changed, v.Origin, name, m.c.environment.name, "services."+key+".healthcheck", "it is the readiness probe: until it succeeds, nobody is led to the service")
	return inOrder(out, "httpGet", "exec", "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold")
}

var composeSize = regexp.MustCompile(`(?i)^([0-9]+)\s*(b|k|kb|m|mb|g|gb)?$`)

// seconds gives a duration in whole seconds, which are Kubernetes' unit, or 0.
func (m *composeFile) seconds(v *source.Value, where, name string) int {
	if v.IsNull() {
		return 0
	}
	d, err := time.ParseDuration(v.Str())
	n := int(min(d.Seconds(), 1e6))
	if err != nil || n < 0 || time.Duration(n)*time.Second != d {
		m.p.report.add(Changed, v.Origin, name, m.c.environment.name, "services."+where, "Kubernetes counts in whole seconds: %s is %d", v.Str(), max(n, 0))
	}
	return max(n, 0)
}

// resources gives requests and limits.
func (m *composeFile) resources(s *source.Value, key, name string) *source.Value {
	out := source.NewMap(source.Origin{})
	set := func(which, what string, v *source.Value) {
		if v == nil {
			return
		}
		value := v.Str()
		if what == "memory" {
			found := composeSize.FindStringSubmatch(value)
			if found == nil {
				m.p.report.add(LeftOut, v.Origin, name, m.c.environment.name, "services."+key+" memory "+value, "it is no size")
				return
			}
			value = found[1] + map[string]string{"": "", "b": "", "k": "Ki", "m": "Mi", "g": "Gi"}[strings.ToLower(found[2][:min(1, len(found[2]))])]
		} else if n, err := strconv.ParseFloat(value, 64); err == nil && n > 0 && n < 1e6 {
			value = strconv.Itoa(int(n*1000)) + "m"
			if int(n*1000)%1000 == 0 {
				value = strconv.Itoa(int(n))
			}
		} else {
			m.p.report.add(LeftOut, v.Origin, name, m.c.environment.name, "services."+key+" cpus "+value, "it is no number of CPUs")
			return
		}
		child(out, which).Set(what, source.NewString(v.Origin, value))
	}
	limits, reservations := s.At("deploy", "resources", "limits"), s.At("deploy", "resources", "reservations")
	set("requests", "cpu", reservations.Get("cpus"))
	set("requests", "memory", cmp.Or(reservations.Get("memory"), s.Get("mem_reservation")))
	set("limits", "cpu", cmp.Or(limits.Get("cpus"), s.Get("cpus")))
	set("limits", "memory", cmp.Or(limits.Get("memory"), s.Get("mem_limit")))
	return out
}

// security gives what a service may do.
func (m *composeFile) security(s *source.Value, key, name string) *source.Value {
	out := source.NewMap(source.Origin{})
	user, group, _ := strings.Cut(s.Get("user").Str(), ":")
	for field, id := range map[string]string{"runAsUser": user, "runAsGroup": group} {
		if n, err := strconv.Atoi(id); err == nil && n >= 0 {
			out.Set(field, source.NewInt(s.Get("user").Origin, n))
		} else if id != "" {
			m.p.report.add(Decide, s.Get("user").Origin, name, m.c.environment.name, "services."+key+".user "+id, "Kubernetes knows users by their numbers: say which it is under security")
		}
	}
	if s.Get("read_only").True() {
		out.Set("readOnlyRootFilesystem", s.Get("read_only"))
	}
	if s.Get("privileged").True() {
		out.Set("privileged", s.Get("privileged"))
	}
	capabilities := source.NewMap(source.Origin{})
	setIn(capabilities, "drop", s.Get("cap_drop"))
	setIn(capabilities, "add", s.Get("cap_add"))
	setIn(out, "capabilities", capabilities)
	return inOrder(out, "runAsUser", "runAsGroup")
}

// depends notes whom a service starts after.
func (m *composeFile) depends(s *source.Value, name string) {
	for _, key := range []string{"depends_on", "links"} {
		v := s.Get(key)
		for _, item := range v.ItemsOrNone() {
			to, alias, _ := strings.Cut(item.Str(), ":")
			if alias != "" && alias != to {
				m.p.report.add(LeftOut, item.Origin, name, m.c.environment.name, "links "+item.Str(), "a friend is called by its own name, and not %s", alias)
			}
			m.c.depends[name] = appendNew(m.c.depends[name], slug(to))
		}
		for _, f := range v.FieldsOrNone() {
			m.c.depends[name] = appendNew(m.c.depends[name], slug(f.Key))
			if f.Value.Get("condition").Str() == "service_completed_successfully" {
				m.p.report.add(Decide, f.Origin, name, m.c.environment.name, "depends_on "+f.Key, "it waits for the end of %s: give that one the flavor job, and say needs: true", f.Key)
			}
		}
	}
}

// composeVolumes collects what a service mounts.
type composeVolumes struct {
	m                       *composeFile
	service, key            string
	mounts, volumes, claims *source.Value
	docs                    []*source.Value
	taken                   map[string]bool
}

func (v *composeVolumes) say(outcome Outcome, at source.Origin, what, format string, args ...any) {
	v.m.p.report.add(outcome, at, v.service, v.m.c.environment.name, "services."+v.key+"."+what, format, args...)
}

func (v *composeVolumes) all(s *source.Value) {
	for _, item := range s.Get("volumes").ItemsOrNone() {
		v.volume(item)
	}
	tmpfs := s.Get("tmpfs")
	list := tmpfs.ItemsOrNone()
	if tmpfs.IsScalar() {
		list = []*source.Value{tmpfs}
	}
	for _, item := range list {
		target, options, _ := strings.Cut(item.Str(), ":")
		v.mount(slug(path.Base(target)), target, mapOf(entry("emptyDir", mapOf(entry("medium", text("Memory"))))), item.Origin)
		v.options("tmpfs "+target, options, item.Origin)
	}
	for _, item := range s.Get("configs").ItemsOrNone() {
		name := cmp.Or(item.Get("source").Str(), item.Str())
		v.config(name, cmp.Or(item.Get("target").Str(), "/"+name), item)
	}
	for _, item := range s.Get("secrets").ItemsOrNone() {
		name := cmp.Or(item.Get("source").Str(), item.Str())
		target := cmp.Or(item.Get("target").Str(), name)
		if !strings.HasPrefix(target, "/") {
			target = "/run/secrets/" + target
		}
		object := cmp.Or(slug(v.service+"-"+name), "secret")
		v.m.secret(object, notKey.ReplaceAllString(name, "_"), item.Origin)
		v.mount(slug(name), target, mapOf(entry("secret", mapOf(entry("secretName", text(object))))), item.Origin)
		v.mounts.Items[len(v.mounts.Items)-1].Set("subPath", text(notKey.ReplaceAllString(name, "_")))
	}
}

// options reports the options of a mount that a volume has not.
func (v *composeVolumes) options(what, options string, at source.Origin) {
	var none []string
	for option := range strings.SplitSeq(options, ",") {
		if option != "" && option != "rw" && option != "ro" {
			none = append(none, option)
		}
	}
	if len(none) > 0 {
		v.say(LeftOut, at, what+" "+strings.Join(none, ","), "a volume of Kubernetes' has no such option; sizeLimit says how large an emptyDir may be")
	}
}

// mount adds a volume and its place.
func (v *composeVolumes) mount(name, target string, volume *source.Value, at source.Origin) {
	name = unique(cmp.Or(name, "volume"), v.taken)
	v.mounts.Items = append(v.mounts.Items, mapAt(at, entry("name", text(name)), entry("mountPath", text(target))))
	if claim := volume.Get("volumeClaimTemplate"); claim != nil {
		v.claims.Items = append(v.claims.Items, mapOf(entry("metadata", mapOf(entry("name", text(name)))), entry("spec", claim)))
		return
	}
	whole := mapAt(at, entry("name", text(name)))
	for _, f := range volume.Fields {
		whole.Set(f.Key, f.Value)
	}
	v.volumes.Items = append(v.volumes.Items, whole)
}

// volume carries over a mount: a named volume is a claim, a file beside the
// Compose file a file of the service's.
func (v *composeVolumes) volume(item *source.Value) {
	kind, from, target := item.Get("type").Str(), item.Get("source").Str(), item.Get("target").Str()
	readOnly := item.Get("read_only").True()
	if item.IsScalar() {
		parts := strings.Split(item.Str(), ":")
		target = parts[0]
		if len(parts) > 1 {
			from, target = parts[0], parts[1]
		}
		if len(parts) > 2 {
			readOnly = slices.Contains(strings.Split(parts[2], ","), "ro")
			v.options("volumes "+target, parts[2], item.Origin)
		}
	}
	switch {
	case !strings.HasPrefix(target, "/"):
		v.say(LeftOut, item.Origin, "volumes "+target, "it has no absolute path in the container")
	case kind == "tmpfs":
		v.mount(slug(path.Base(target)), target, mapOf(entry("emptyDir", mapOf(entry("medium", text("Memory"))))), item.Origin)
	case from == "":
		v.mount(slug(path.Base(target)), target, mapOf(entry("emptyDir", source.NewMap(source.Origin{}))), item.Origin)
	case kind == "bind" || strings.HasPrefix(from, ".") || strings.HasPrefix(from, "/") || strings.HasPrefix(from, "~"):
		v.bind(from, target, item)
	default:
		v.say(Decide, item.Origin, "volumes "+from, "it keeps data: a claim of 1Gi for every replica; say how much")
		claim := mapOf(entry("accessModes", texts("ReadWriteOnce")), entry("resources", mapOf(entry("requests", mapOf(entry("storage", text("1Gi")))))))
		v.mount(slug(from), target, mapOf(entry("volumeClaimTemplate", claim)), item.Origin)
		if readOnly {
			v.mounts.Items[len(v.mounts.Items)-1].Set("readOnly", source.NewBool(source.Origin{}, true))
		}
	}
}

// bind carries over a file of the folder.
func (v *composeVolumes) bind(from, target string, item *source.Value) {
	full := path.Join(v.m.dir, from)
	info, err := fs.Stat(v.m.t.FS, full)
	if path.IsAbs(from) || strings.HasPrefix(from, "~") || !fs.ValidPath(full) || err != nil || !info.Mode().IsRegular() {
		v.say(LeftOut, item.Origin, "volumes "+from, "a folder of the machine is not carried over, nor a file outside of the folder that is imported")
		return
	}
	v.files(from, target, item.Origin)
}

// config carries over a config of the file.
func (v *composeVolumes) config(name, target string, item *source.Value) {
	c := v.m.root.At("configs", name)
	switch {
	case c.Has("content"):
		v.content(name, target, []byte(v.m.expand(c.Get("content"), "configs."+name)), item.Origin)
	case c.Has("file"):
		v.files(v.m.expand(c.Get("file"), "configs."+name), target, item.Origin)
	default:
		v.say(LeftOut, item.Origin, "configs "+name, "it is not in the file; mount its content as files")
	}
}

// files mounts a file of the tree.
func (v *composeVolumes) files(name, target string, at source.Origin) {
	full, data, err := v.m.file(name)
	if err != nil {
		v.say(LeftOut, at, "file "+name, "it is not there, too large, or outside of the folder that is imported")
		return
	}
	v.content(path.Base(full), target, data, at)
}

// content mounts a text as a file, by a ConfigMap of one key.
func (v *composeVolumes) content(name, target string, data []byte, at source.Origin) {
	key := path.Base(target)
	if !fileKey.MatchString(key) || strings.Trim(key, ".") == "" {
		v.say(LeftOut, at, "file "+name, "it has no path that kai can mount a file at")
		return
	}
	short := cmp.Or(slug(strings.TrimSuffix(key, path.Ext(key))), "file")
	object := v.service + "-" + short
	if slices.ContainsFunc(v.docs, func(o *source.Value) bool { return o.At("metadata", "name").Str() == object }) {
		object += "-" + strconv.Itoa(len(v.docs))
	}
	v.docs = append(v.docs, mapAt(at, entry("apiVersion", text("v1")), entry("kind", text("ConfigMap")), entry("metadata", mapOf(entry("name", text(object)))), entry("data", mapOf(entry(key, source.NewString(at, string(data)))))))
	v.mount(short, target, mapOf(entry("configMap", mapOf(entry("name", text(object))))), at)
	v.mounts.Items[len(v.mounts.Items)-1].Set("subPath", text(key))
}
