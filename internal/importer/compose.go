package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Compose imports Compose files. compose-go loads them; then each service is
// written as the objects of Kubernetes that it would be, with the places of the
// files, and goes the way of manifests: so addresses, friends and secrets are
// found alike.
func Compose(o Options) (*Result, source.Findings) {
	p := newProject(o)
	var findings source.Findings
	var clusters []*cluster
	var all []*composeCluster
	taken := map[string]bool{"base": true}
	for _, e := range p.contexts {
		taken[e.name] = true
	}
	for _, e := range slices.Clone(p.contexts) {
		files, more := composeFiles(o.Trees, e.name, p)
		findings = append(findings, more...)
		if len(files) == 0 {
			continue
		}
		project, more := loadCompose(p, files)
		findings = append(findings, more...)
		if len(more) > 0 {
			continue
		}
		if o.Name == "" {
			p.name = cmp.Or(slug(project.name()), p.name)
		}
		project.rest()
		for _, one := range project.contexts(e.name, taken) {
			c := &cluster{environment: p.environment(one.name), p: p, secretFiles: map[string]string{}, index: map[string]*object{}, renamed: map[string]string{}, depends: map[string][]string{}, published: map[string]bool{}}
			m := &composeCluster{composeProject: project, c: c, profile: one.profile}
			m.write(&findings)
			clusters, all = append(clusters, c), append(all, m)
		}
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
	for _, m := range all {
		m.keys()
	}
	words := strings.NewReplacer("Deployment/", "service ", "StatefulSet/", "service ", "DaemonSet/", "service ", "Service/", "ports of ", "ConfigMap/", "config ", "Secret/", "secret ")
	for i := range p.report.Entries {
		e := &p.report.Entries[i]
		e.What, e.Why = words.Replace(e.What), words.Replace(e.Why)
		for _, m := range all {
			e.What, e.Why = m.marks.hidden(e.What), m.marks.hidden(e.Why)
		}
	}
	return p.result(findings)
}

// composeNames are what Compose looks for, in its order.
var composeNames = []string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}

// overrideNames are the files that Compose lays over those, unless a file is
// named.
var overrideNames = []string{"compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"}

// composeFiles gives the Compose files of an environment: those named, in their
// order, or the one in a folder with the one that lies over it.
func composeFiles(trees []Tree, context string, p *project) ([]composeFile, source.Findings) {
	var out []composeFile
	var findings source.Findings
	var folder *Tree
	for i, t := range trees {
		if cmp.Or(t.Context, DefaultContext) != context {
			continue
		}
		root := cmp.Or(t.Path, ".")
		info, err := fs.Stat(t.FS, root)
		switch {
		case err != nil:
			findings = append(findings, source.FileFinding(t.place(root), err))
			continue
		case folder != nil:
			findings.Add("compose", at(t.place(root)), "", "give each its own: --context NAME=PATH; files are laid over one another, folders are not", "two projects describe the context %s", context)
			continue
		case !info.IsDir():
			out = append(out, composeFile{t, root})
			continue
		case len(out) > 0:
			findings.Add("compose", at(t.place(root)), "", "give each its own: --context NAME=PATH; files are laid over one another, folders are not", "two projects describe the context %s", context)
			continue
		}
		folder = &trees[i]
		file := firstOf(t, root, composeNames)
		if file == "" {
			findings.Add("empty", at(t.place(root)), "", "name the file", "there is no Compose file in the folder")
			continue
		}
		out = append(out, composeFile{t, file})
		if over := firstOf(t, root, overrideNames); over != "" {
			out = append(out, composeFile{t, over})
			p.report.add(Changed, at(t.place(over)), "", context, path.Base(over), "it is laid over %s, as Compose does it", path.Base(file))
		}
	}
	if len(out) == 1 && folder == nil {
		if over := firstOf(out[0].tree, path.Dir(out[0].name), overrideNames); over != "" && over != out[0].name {
			p.report.add(Decide, at(out[0].tree.place(over)), "", "", path.Base(over), "Compose lays it over the file where no file is named: name both, or the folder")
		}
	}
	return out, findings
}

func firstOf(t Tree, dir string, names []string) string {
	for _, name := range names {
		if _, err := fs.Stat(t.FS, path.Join(dir, name)); err == nil {
			return path.Join(dir, name)
		}
	}
	return ""
}

// composeCluster is a project in one context.
type composeCluster struct {
	*composeProject
	c       *cluster
	profile string // whose services it has beside those of none
	// claims are the volumes that are claims of their own, by name.
	claims map[string]bool
	// jobs says of services whether they are jobs.
	jobs map[string]bool
	// unread are files of variables that are not there, as SERVICE/FILE.
	unread map[string]bool
}

// name gives the project's name, as the last file says it.
func (c *composeProject) name() string {
	for _, d := range slices.Backward(c.main) {
		if name, ok := d.model["name"].(string); ok && name != "" {
			return c.marks.hidden(name)
		}
	}
	return ""
}

// file reads a file that the Compose file names, of the folder that is imported.
func (c *composeProject) file(name string) (full string, data []byte, err error) {
	full = path.Join(path.Dir(c.first), filepath.ToSlash(name))
	if path.IsAbs(name) || filepath.IsAbs(name) || strings.HasPrefix(name, "~") || !fs.ValidPath(full) {
		return full, nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	data, err = source.ReadFile(c.tree.FS, full, 1<<20)
	return full, data, err
}

// profileContext is a context of a project, and the profile whose services it has
// beside those of none.
type profileContext struct{ name, profile string }

// maxProfiles bounds the contexts of a project.
const maxProfiles = 20

// contexts gives the contexts of the project: its own, and one for each profile.
// Where there are several projects, such a one begins with the name of its
// project's. A profile that is called like a context is that one's alone.
func (c *composeProject) contexts(own string, taken map[string]bool) []profileContext {
	out := []profileContext{{own, own}}
	several := len(c.p.contexts) > 1
	seen := map[string]bool{own: true}
	for _, s := range c.model.Get("services").FieldsOrNone() {
		for _, v := range s.Value.Get("profiles").ItemsOrNone() {
			profile := c.profileOf(v)
			if profile == "" || profile == "base" || seen[profile] || len(out) > maxProfiles {
				continue
			}
			seen[profile] = true
			if slices.ContainsFunc(c.p.contexts, func(e *environment) bool { return e.name == profile && taken[e.name] }) {
				c.p.report.add(Changed, v.Origin, "", own, "profile "+profile, "a context is called so, which has the services of the profile beside those of none")
				continue
			}
			name := profile
			if several {
				name = own + "-" + profile
			}
			name = unique(name, taken)
			out = append(out, profileContext{name, profile})
			c.p.report.add(Changed, v.Origin, "", name, "profile "+profile, "it is a context, which has the services of the profile beside those of none")
		}
	}
	return out
}

// profileOf gives the name of a profile as a context has it.
func (c *composeProject) profileOf(v *source.Value) string { return slug(c.marks.hidden(v.Str())) }

// active says whether a service is in the context.
func (m *composeCluster) active(s *source.Value) bool {
	profiles := s.Get("profiles").ItemsOrNone()
	if len(profiles) == 0 {
		return true
	}
	return slices.ContainsFunc(profiles, func(p *source.Value) bool { return m.profileOf(p) == m.profile })
}

// say reports a part of a service.
func (m *composeCluster) say(outcome Outcome, at source.Origin, key, what, format string, args ...any) {
	m.p.report.add(outcome, at, slug(key), m.c.environment.name, "services."+key+what, format, args...)
}

// write makes the objects of all services.
func (m *composeCluster) write(findings *source.Findings) {
	services := m.model.Get("services")
	names := map[string]bool{}
	for _, f := range services.Fields {
		if slug(f.Key) == "" || names[slug(f.Key)] {
			findings.Add("compose", f.Origin, "services."+f.Key, "rename it", "the service %q cannot be named so, or another has that name", f.Key)
		}
		names[slug(f.Key)] = true
	}
	if len(services.Fields) > maxServices {
		findings.Add("limit", services.Origin, "services", "", "there are more services than the bound of %d", maxServices)
	}
	if len(*findings) > 0 {
		return
	}
	m.c.aliases = m.aliases()
	called := m.called()
	var docs []*source.Value
	for _, f := range services.Fields {
		if f.Value.Kind != source.Map || !m.active(f.Value) {
			continue
		}
		m.unset(f.Key)
		if provider := f.Value.Get("provider"); !provider.IsNull() {
			m.say(LeftOut, f.Origin, f.Key, "", "the provider %s makes it, and an import starts no commands: write a friend for it (docs/friends.md)", provider.Get("type").Str())
			continue
		}
		for _, doc := range m.service(f, called) {
			docs = append(docs, m.unmarked(doc, f.Key))
		}
	}
	m.c.read(docs, findings)
}

// unmarked gives a value without the marks that nothing else has taken out.
func (m *composeCluster) unmarked(v *source.Value, key string) *source.Value {
	switch {
	case v == nil || v.Kind == source.String && !markText.MatchString(v.Text):
		return v
	case v.Kind == source.String:
		return m.shown(v, key, "")
	}
	out := v.Shallow()
	for i, item := range out.Items {
		out.Items[i] = m.unmarked(item, key)
	}
	for i, f := range out.Fields {
		out.Fields[i].Key = m.marks.replaced(f.Key, func(k mark, _ string) string { return k.name })
		out.Fields[i].Value = m.unmarked(f.Value, key)
	}
	return out
}

// aliases gives the other names by which Compose's networks know services.
func (m *composeCluster) aliases() map[string]string {
	out := map[string]string{}
	services := m.model.Get("services")
	for _, f := range services.FieldsOrNone() {
		names := []string{f.Value.Get("container_name").Str()}
		for _, n := range f.Value.Get("networks").FieldsOrNone() {
			names = append(names, n.Value.Get("aliases").Strings()...)
		}
		for _, name := range names {
			if m.active(f.Value) && services.Get(name) == nil && out[name] == "" {
				out[name] = f.Key
			}
		}
	}
	delete(out, "")
	return out
}

// called gives the ports by which services name one another, which need not be
// said in a Compose file.
func (m *composeCluster) called() map[string][]int {
	out := map[string][]int{}
	names := m.model.Get("services")
	pattern := regexp.MustCompile(`([a-zA-Z0-9][-_.a-zA-Z0-9]*):([0-9]{2,5})\b`)
	for _, f := range names.Fields {
		for _, key := range []string{"environment", "command", "entrypoint"} {
			everyText(f.Value.Get(key), "", func(_ string, v *source.Value) {
				for _, found := range pattern.FindAllStringSubmatch(v.Text, -1) {
					n, _ := strconv.Atoi(found[2])
					name := cmp.Or(m.c.aliases[found[1]], found[1])
					if names.Get(name) != nil && !slices.Contains(out[name], n) && n < 65536 && len(out[name]) < 20 {
						out[name] = append(out[name], n)
					}
				}
			})
		}
	}
	return out
}

// serverPorts are the ports of the library's friends.
var serverPorts = map[string]int{
	"postgresql": 5432, "mysql": 3306, "mongodb": 27017, "redis": 6379, "valkey": 6379, "rabbitmq": 5672, "nats": 4222, "kafka": 9092, "opensearch": 9200, "minio": 9000,
}

// service makes the objects of one service.
func (m *composeCluster) service(f source.Field, called map[string][]int) []*source.Value {
	name, s, typed := slug(f.Key), f.Value, m.services[f.Key]
	container := mapAt(f.Origin, entry("name", text(name)))
	pod := mapAt(f.Origin)
	if image := s.Get("image"); image != nil {
		container.Set("image", m.shown(image, f.Key, ".image"))
	} else {
		m.say(Decide, f.Origin, f.Key, ".build", "Compose builds the image: push it to a registry, and give its name")
		container.Set("image", text(name))
	}
	env := m.environmentOf(f, s)
	setIn(container, "command", m.words(typed.Entrypoint, s.Get("entrypoint"), env))
	setIn(container, "args", m.words(typed.Command, s.Get("command"), env))
	if dir := s.Get("working_dir"); dir != nil {
		container.Set("workingDir", m.shown(dir, f.Key, ".working_dir"))
	}
	if policy := map[string]string{"always": "Always", "missing": "IfNotPresent", "if_not_present": "IfNotPresent", "never": "Never"}[s.Get("pull_policy").Str()]; policy != "" {
		container.Set("imagePullPolicy", text(policy))
	} else if v := s.Get("pull_policy"); !v.IsNull() {
		m.say(LeftOut, v.Origin, f.Key, ".pull_policy", "Kubernetes pulls always, or what is missing, or never")
	}
	ports := m.ports(s, f.Key)
	for _, n := range called[f.Key] {
		ports = addPort(ports, n, "TCP")
	}
	if known := serverOf(imageOf(container.Get("image").Str())); known != nil && len(ports) == 0 {
		ports = addPort(ports, serverPorts[known.friend], "TCP")
	}
	job := m.ends(f, ports)
	if m.jobs == nil {
		m.jobs = map[string]bool{}
	}
	m.jobs[f.Key] = job
	if len(ports) == 0 && !job {
		m.say(Decide, f.Origin, f.Key, "", "it says no port: give it a route, where others call it")
	}
	containerPorts, servicePorts := listOf(), listOf()
	for _, p := range ports {
		number := source.NewInt(f.Origin, p.number)
		containerPorts.Items = append(containerPorts.Items, mapAt(f.Origin, entry("containerPort", number), entry("protocol", text(p.protocol))))
		servicePorts.Items = append(servicePorts.Items, mapAt(f.Origin, entry("port", number), entry("protocol", text(p.protocol))))
	}
	if !job {
		probe := m.healthcheck(typed.HealthCheck, s.Get("healthcheck"), f.Key, env)
		setIn(container, "readinessProbe", probe)
		// A port that is asked is one that the container opens.
		if n, ok := probe.At("httpGet", "port").Int(); ok && !slices.Contains(ports, port{n, "TCP"}) {
			containerPorts.Items = append(containerPorts.Items, mapAt(f.Origin, entry("containerPort", source.NewInt(f.Origin, n)), entry("protocol", text("TCP"))))
		}
		setIn(container, "ports", containerPorts)
	}
	resources := m.resources(typed, s)
	setIn(container, "resources", resources)
	m.p.noLimits(f.Origin, name, m.c.environment.name, "services."+f.Key+".deploy.resources", resources)
	setIn(container, "securityContext", m.security(s, f.Key))
	for _, key := range []string{"tty", "stdin_open"} {
		if s.Get(key).True() {
			container.Set(map[string]string{"tty": "tty", "stdin_open": "stdin"}[key], s.Get(key))
		}
	}
	v := &composeVolumes{m: m, service: name, key: f.Key, job: job, mounts: listOf(), volumes: listOf(), claims: listOf(), taken: map[string]bool{}}
	v.all(s)
	setIn(container, "volumeMounts", v.mounts)
	setIn(pod, "volumes", v.volumes)
	setIn(container, "env", env.list())
	if n := m.seconds(typed.StopGracePeriod, s.Get("stop_grace_period"), f.Key, ".stop_grace_period"); n > 0 {
		pod.Set("terminationGracePeriodSeconds", source.NewInt(f.Origin, n))
	}
	pod.Set("containers", listOf(container))
	labels := mapOf(entry("app", text(name)))
	spec := mapAt(f.Origin, entry("selector", mapOf(entry("matchLabels", labels))), entry("template", mapOf(entry("metadata", mapOf(entry("labels", labels))), entry("spec", pod))))
	if typed.Scale != nil || typed.Deploy != nil && typed.Deploy.Replicas != nil {
		spec.Set("replicas", source.NewInt(f.Origin, typed.GetScale()))
	}
	kind, version := "Deployment", "apps/v1"
	switch {
	case job:
		kind, version = "Job", "batch/v1"
		for _, key := range []string{"selector", "replicas"} {
			spec.Delete(key)
		}
		pod.Set("restartPolicy", text("Never"))
	case s.At("deploy", "mode").Str() == "global":
		kind = "DaemonSet"
		spec.Delete("replicas")
	case len(v.claims.Items) > 0:
		kind = "StatefulSet"
		spec.Set("volumeClaimTemplates", v.claims)
	}
	docs := append(v.docs, mapAt(f.Origin, entry("apiVersion", text(version)), entry("kind", text(kind)), entry("metadata", mapOf(entry("name", text(name)))), entry("spec", spec)))
	if len(servicePorts.Items) > 0 && !job {
		docs = append(docs, mapAt(f.Origin, entry("apiVersion", text("v1")), entry("kind", text("Service")), entry("metadata", mapOf(entry("name", text(name)))),
			entry("spec", mapOf(entry("selector", labels), entry("ports", servicePorts)))))
	}
	m.depends(s, f.Key)
	return docs
}

func mapAt(at source.Origin, fields ...source.Field) *source.Value {
	return source.NewMap(at, fields...)
}

// shown gives a text without what looks like a secret in it: the variable's name
// stands there, and the report asks.
func (m *composeCluster) shown(v *source.Value, key, what string) *source.Value {
	out := *v
	out.Kind = source.String
	out.Text = m.marks.replaced(v.Str(), func(k mark, _ string) string {
		if !k.set {
			return ""
		}
		m.say(Decide, v.Origin, key, what, "the value of %s looks like a secret, and is not copied: write what belongs there", k.name)
		return k.name
	})
	return &out
}

// composeEnv is the environment of a service.
type composeEnv struct {
	m   *composeCluster
	all *source.Value
}

// list gives the variables as a container has them.
func (e *composeEnv) list() *source.Value {
	out := listOf()
	for _, f := range e.all.Fields {
		v := mapAt(f.Value.Origin, entry("name", text(f.Key)))
		if f.Value.Kind == source.Map {
			v.Set("valueFrom", f.Value)
		} else {
			v.Set("value", f.Value)
		}
		out.Items = append(out.Items, v)
	}
	return out
}

// environmentOf gives a service's variables: of its files, and over them its own.
func (m *composeCluster) environmentOf(f source.Field, s *source.Value) *composeEnv {
	e := &composeEnv{m: m, all: source.NewMap(source.Origin{})}
	values := map[string]*source.Value{}
	env := m.main[0].env
	if layers := m.layers(f.Key); len(layers) > 0 {
		env = layers[0].doc.env
	}
	own := s.Get("environment")
	lookup := func(name string) (string, bool) {
		if v, ok := env[name]; ok {
			if m.marks.secret(name, v) {
				v = m.marks.of(name, v, true)
			}
			return v, true
		}
		v := own.Get(name)
		return v.Str(), v.IsScalar()
	}
	for _, file := range s.Get("env_file").ItemsOrNone() {
		name := file.Get("path").Str()
		full, data, err := m.file(name)
		if err != nil {
			if v := file.Get("required"); v == nil || v.True() {
				if m.unread == nil {
					m.unread = map[string]bool{}
				}
				m.unread[f.Key+"/"+name] = true
				m.say(Decide, file.Origin, f.Key, ".env_file", "the file %s is not there, or outside of the folder that is imported", name)
			}
			continue
		}
		vars := map[string]string{}
		place := m.tree.place(full)
		missing := map[string]bool{}
		noting := func(name string) (string, bool) {
			v, ok := lookup(name)
			missing[name] = !ok
			return v, ok
		}
		if problem := m.variables(data, place, vars, noting, file.Get("format").Str()); problem != nil {
			m.p.report.add(Decide, problem.Origin, slug(f.Key), m.c.environment.name, "services."+f.Key+".env_file", "%s", problem.Message)
		}
		if file.Get("format").Str() != "raw" {
			m.repeating(data, vars, lookup)
			m.unsetInFile(string(data), place, f.Key, func(name string) bool { _, own := vars[name]; return missing[name] && !own })
		}
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			values[name] = source.NewString(lineOfVariable(data, place, name), vars[name])
		}
		for _, name := range bareNames.FindAllString(string(data), -1) {
			name = strings.TrimSpace(name)
			if _, ok := vars[name]; !ok {
				where := lineOfVariable(data, place, name)
				values[name] = m.ownVariable(source.Field{Key: name, Origin: where, Value: &source.Value{Kind: source.Null, Origin: where}}, f.Key, env)
			}
		}
	}
	for _, v := range own.FieldsOrNone() {
		values[v.Key] = m.ownVariable(v, f.Key, env)
	}
	fields := make([]source.Field, 0, len(values))
	for name, v := range values {
		fields = append(fields, source.Field{Key: name, Origin: v.Origin, Value: v})
	}
	m.sortEnv(fields)
	for _, v := range fields {
		e.set(v.Key, v.Value)
	}
	e.repeated(values)
	return e
}

// bareNames are lines of a file of variables that say no value.
var bareNames = regexp.MustCompile(`(?m)^[ \t]*[A-Za-z_][A-Za-z0-9_]*[ \t]*\r?$`)

// sortEnv puts the variables of files before a service's own, in their order.
func (m *composeCluster) sortEnv(fields []source.Field) {
	rank := func(o source.Origin) int {
		if slices.Contains(m.order, o.File) {
			return 1
		}
		return 0
	}
	m.sort(fields)
	slices.SortStableFunc(fields, func(a, b source.Field) int { return cmp.Compare(rank(a.Origin), rank(b.Origin)) })
}

// lineOfVariable finds where a file NAME=VALUE has a variable.
func lineOfVariable(data []byte, place, name string) source.Origin {
	out := source.Origin{Position: source.Position{File: place}}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		n++
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "export "))
		if rest, ok := strings.CutPrefix(line, name); ok && (rest == "" || strings.ContainsAny(rest[:1], "=: \t")) {
			out.Line = n // the last one decides
		}
	}
	return out
}

// ownVariable gives the value of a variable of the service's own. One that says
// none has that of Compose's environment.
func (m *composeCluster) ownVariable(f source.Field, key string, env map[string]string) *source.Value {
	if !f.Value.IsNull() {
		return source.NewString(f.Value.Origin, f.Value.Str())
	}
	value, ok := env[f.Key]
	switch {
	case ok && m.marks.secret(f.Key, value):
		value = m.marks.of(f.Key, value, true)
	case !ok && looksSecret(f.Key):
		value = m.marks.of(f.Key, "", false)
	case !ok:
		m.say(Decide, f.Origin, key, ".environment."+f.Key, "the variable %s is set nowhere: it is empty, as Compose has it; give the contexts the variable, and write ${%s}", f.Key, strings.ToUpper(f.Key))
	}
	return source.NewString(f.Origin, value)
}

// set sets one variable. Where its value is that of another variable which looks
// like a secret, it is read from the Secret that stands for those.
func (e *composeEnv) set(name string, v *source.Value) {
	if k, ok := e.m.marks.whole(v.Text); ok {
		switch {
		case !k.set && !looksSecret(name) && !looksSecret(k.name):
			e.all.Set(name, source.NewString(v.Origin, ""))
		case k.set && !strings.Contains(k.value, "$") && (looksSecret(name) || anyUserinfo.MatchString(k.value)):
			// What manifests say in clear is known for a secret, or for a friend's.
			e.m.p.hidden = append(e.m.p.hidden, k.value)
			e.all.Set(name, source.NewString(v.Origin, k.value))
		default:
			e.all.Set(name, e.m.secretRef(k, v.Origin))
		}
		return
	}
	marked := e.m.marks.names(v.Text)
	switch {
	case len(marked) == 0 && looksSecret(name) && strings.Contains(v.Text, "$"):
		e.all.Set(name, e.m.secretRef(mark{name, v.Text, true}, v.Origin))
	case len(marked) == 0:
		e.all.Set(name, source.NewString(v.Origin, unexpanded(v.Text)))
	case len(marked) == 1 && marked[0].set && strings.Count(v.Text, "://") == 1 && e.m.marks.passwordAlone(v.Text) && !strings.Contains(marked[0].value, "$"):
		e.m.p.hidden = append(e.m.p.hidden, marked[0].value)
		e.all.Set(name, source.NewString(v.Origin, e.m.marks.replaced(v.Text, func(k mark, _ string) string { return k.value })))
	default:
		e.all.Set(name, source.NewString(v.Origin, e.refer(v.Text, v.Origin)))
	}
}

// refer puts $(NAME) in the place of marks, and has the container have those
// variables.
func (e *composeEnv) refer(s string, at source.Origin) string {
	marked := e.m.marks.names(s)
	for i, k := range marked {
		s = strings.ReplaceAll(s, e.m.marks.of(k.name, k.value, k.set), fmt.Sprintf("\x00%d\x00", i))
	}
	s = unexpanded(s)
	for i, k := range marked {
		s = strings.ReplaceAll(s, fmt.Sprintf("\x00%d\x00", i), "$("+e.named(k, at)+")")
	}
	return s
}

// named gives the name of a variable of the container that has a marked value.
func (e *composeEnv) named(k mark, at source.Origin) string {
	ref := e.m.secretRef(k, at)
	name := k.name
	for v := e.all.Get(name); v != nil && !source.Equal(v, ref) && (v.Kind != source.String || v.Text != k.value || !k.set); v = e.all.Get(name) {
		name = "FROM_" + name
	}
	if e.all.Get(name) == nil {
		e.all.Fields = append(e.all.Fields, source.Field{Key: name, Origin: at, Value: ref})
	}
	return name
}

// repeated has variables that repeat the value of a secret one within their own
// name it.
func (e *composeEnv) repeated(values map[string]*source.Value) {
	for _, secret := range e.all.Fields {
		word := secret.Value.Str()
		if secret.Value.Kind != source.String || !looksSecret(secret.Key) || len(word) < 6 || strings.Contains(word, "$") {
			continue
		}
		for i, f := range e.all.Fields {
			if v := f.Value; f.Key != secret.Key && v.Kind == source.String && v.Text != word && strings.Contains(v.Text, word) && !anyUserinfo.MatchString(v.Text) {
				e.all.Fields[i].Value = source.NewString(v.Origin, strings.ReplaceAll(v.Text, word, "$("+secret.Key+")"))
			}
		}
	}
}

// words writes a command. Kubernetes puts in variables that are named $(NAME).
func (m *composeCluster) words(words []string, v *source.Value, env *composeEnv) *source.Value {
	out := source.NewList(v.OriginOrNone())
	for i, word := range words {
		at := v.OriginOrNone()
		if items := v.ItemsOrNone(); i < len(items) && len(items) == len(words) {
			at = items[i].Origin
		}
		out.Items = append(out.Items, source.NewString(at, env.refer(word, at)))
	}
	return out
}

// environmentSecret is the Secret that stands for what Compose's environment has.
const environmentSecret = "environment"

// secretRef refers to the value of a variable of Compose's own environment.
func (m *composeCluster) secretRef(k mark, at source.Origin) *source.Value {
	key := strings.ToLower(k.name)
	m.secret(environmentSecret, key, k.value, at)
	if k.set {
		m.p.hidden = append(m.p.hidden, k.value)
	}
	return mapAt(at, entry("secretKeyRef", mapOf(entry("name", text(environmentSecret)), entry("key", text(key)))))
}

// secret adds a key to a Secret that stands for what Compose is given from
// outside.
func (m *composeCluster) secret(name, key, value string, at source.Origin) {
	o := m.c.find("Secret", name)
	if o == nil {
		o = &object{v: mapAt(at, entry("apiVersion", text("v1")), entry("kind", text("Secret")), entry("metadata", mapOf(entry("name", text(name)))), entry("stringData", source.NewMap(at))), kind: "Secret", name: name}
		m.c.objects = append(m.c.objects, o)
		m.c.index[o.ref()] = o
	}
	data := o.v.Get("stringData")
	if data.Get(key) == nil {
		data.Fields = append(data.Fields, source.Field{Key: key, Origin: at, Value: source.NewString(at, value)})
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

// maxPorts bounds the ports of a service, which may be ranges: a route is one.
const maxPorts = 20

// ports gives the ports that a service opens. Inside of a Compose network others
// call the container's port, whatever it is published as.
func (m *composeCluster) ports(s *source.Value, key string) []port {
	var out []port
	protocol := func(p string) string { return strings.ToUpper(cmp.Or(p, "tcp")) }
	for i, item := range s.Get("ports").ItemsOrNone() {
		target, published := item.Get("target").Str(), item.Get("published").Str()
		number, err := strconv.Atoi(target)
		if err != nil || i >= maxPorts {
			m.say(LeftOut, item.Origin, key, ".ports "+target, "a service has at most %d ports: write routes for those that are called", maxPorts)
			continue
		}
		out = addPort(out, number, protocol(item.Get("protocol").Str()))
		if published != "" {
			m.c.published[slug(key)] = true
			m.say(Decide, item.Origin, key, ".ports "+published+":"+target, "it is published on the host: give the route a hostname, or the type LoadBalancer, where it is called from outside")
		}
	}
	for _, item := range s.Get("expose").ItemsOrNone() {
		words, p, _ := strings.Cut(item.Str(), "/")
		number, err := strconv.Atoi(words)
		if err != nil {
			m.say(LeftOut, item.Origin, key, ".expose "+item.Str(), "a route has one port: write a route for each")
			continue
		}
		out = addPort(out, number, protocol(p))
	}
	return out
}

var (
	localURL = regexp.MustCompile(`^['"]?http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::([0-9]+))?(/[^\s'"|;&<>$()*]*)?['"]?$`)
	// fetchEnd is what may follow a command that fetches a URL and say no more.
	fetchEnd = regexp.MustCompile(`(?:\s*[12&]?>\s*/dev/null|\s*2>&1)*\s*(?:\|\|\s*(?:exit(?:\s+[1-9][0-9]*)?|false)\s*)?;?\s*$`)
	// fetchFlag are flags of curl and wget by which what is asked stays the same,
	// fetchValued those among them that a value follows.
	fetchFlag   = regexp.MustCompile(`^(?:-[fsSqILv]+|-nv|-O-|-q?O-|-qO|--fail|--silent|--show-error|--head|--location|--quiet|--spider|--no-verbose|--no-check-certificate|--(?:tries|timeout|max-time|connect-timeout|retry|output|output-document)=\S+|-[TtmoO][0-9]+|-o/dev/null)$`)
	fetchValued = regexp.MustCompile(`^(?:-[fsSq]*[omOTt]|--(?:tries|timeout|max-time|connect-timeout|retry|output|output-document))$`)
)

// fetches gives the path and the port of a GET that a command does and nothing else:
// with no header, no login and no other method. The path is "" for any other command.
func fetches(line string) (path string, port int) {
	words := strings.Fields(fetchEnd.ReplaceAllString(line, ""))
	if len(words) < 2 || !slices.Contains([]string{"curl", "wget"}, words[0][strings.LastIndexByte(words[0], '/')+1:]) {
		return "", 0
	}
	for i := 1; i < len(words); i++ {
		found := localURL.FindStringSubmatch(words[i])
		switch {
		case found != nil && path == "":
			n, err := strconv.Atoi(cmp.Or(found[1], "80"))
			if err != nil || n < 1 || n > 65535 {
				return "", 0
			}
			path, port = cmp.Or(found[2], "/"), n
		case fetchValued.MatchString(words[i]) && i+1 < len(words):
			i++
		case !fetchFlag.MatchString(words[i]):
			return "", 0
		}
	}
	return path, port
}

// Compose's own: how often it asks, and how long it waits.
const healthEvery = 30 * time.Second

// healthcheck makes a probe. One that fetches a URL of its own is a GET.
func (m *composeCluster) healthcheck(typed *types.HealthCheckConfig, v *source.Value, key string, env *composeEnv) *source.Value {
	if typed == nil || typed.Disable || len(typed.Test) == 0 || typed.Test[0] == "NONE" {
		return nil
	}
	out := mapAt(v.OriginOrNone())
	at := v.OriginOrNone()
	line := strings.Join(typed.Test[1:], " ")
	fetched, httpPort := fetches(line)
	switch {
	case fetched != "" && markText.FindString(line) == "":
		out.Set("httpGet", mapOf(entry("path", text(fetched)), entry("port", source.NewInt(at, httpPort))))
	case typed.Test[0] == "CMD" && len(m.marks.names(line)) == 0:
		out.Set("exec", mapOf(entry("command", texts(typed.Test[1:]...))))
	case typed.Test[0] == "CMD":
		// In a probe's command Kubernetes puts no variables; a shell does.
		words := make([]string, len(typed.Test)-1)
		for i, word := range typed.Test[1:] {
			words[i] = word
			if !shellWord.MatchString(word) || markText.MatchString(word) {
				words[i] = `"` + shellQuoted.Replace(word) + `"`
			}
		}
		out.Set("exec", mapOf(entry("command", texts("/bin/sh", "-c", env.shell(strings.Join(words, " "), at)))))
	default:
		out.Set("exec", mapOf(entry("command", texts("/bin/sh", "-c", env.shell(line, at)))))
	}
	for _, field := range []struct {
		from, to string
		d        *types.Duration
	}{{"interval", "periodSeconds", typed.Interval}, {"timeout", "timeoutSeconds", typed.Timeout}, {"start_period", "initialDelaySeconds", typed.StartPeriod}} {
		if field.from != "start_period" && (field.d == nil || *field.d == 0) {
			out.Set(field.to, source.NewInt(at, int(healthEvery.Seconds())))
			m.say(Changed, at, key, ".healthcheck."+field.from, "Compose's own of %s is written down: Kubernetes has another", healthEvery)
			continue
		}
		if n := m.seconds(field.d, v.Get(field.from), key, ".healthcheck."+field.from); n > 0 {
			out.Set(field.to, source.NewInt(at, n))
		}
	}
	if typed.Retries != nil && *typed.Retries > 0 && *typed.Retries < 1e6 {
		out.Set("failureThreshold", source.NewInt(at, int(*typed.Retries)))
	}
	m.say(Changed, at, key, ".healthcheck", "it is the readiness probe: until it succeeds, nobody is led to the service")
	return inOrder(out, "httpGet", "exec", "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold")
}

// shellWord is what needs no quotes in a shell.
var shellWord = regexp.MustCompile(`^[-A-Za-z0-9_./:=@%+,]+$`)

var shellQuoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`")

// shell puts the shell's variables in the place of marks.
func (e *composeEnv) shell(line string, at source.Origin) string {
	return e.m.marks.replaced(line, func(k mark, after string) string {
		name := "$" + e.named(k, at)
		if after != "" && (after[0] == '_' || after[0] >= '0' && after[0] <= '9' || after[0] >= 'a' && after[0] <= 'z' || after[0] >= 'A' && after[0] <= 'Z') {
			return "${" + name[1:] + "}"
		}
		return name
	})
}

// seconds gives a duration in whole seconds, which are Kubernetes' unit, or 0.
func (m *composeCluster) seconds(d *types.Duration, v *source.Value, key, where string) int {
	if d == nil {
		return 0
	}
	whole := time.Duration(*d)
	n := int(math.Ceil(min(whole.Seconds(), 1e6)))
	if n < 0 || time.Duration(n)*time.Second != whole {
		m.say(Changed, v.OriginOrNone(), key, where, "Kubernetes counts in whole seconds: %s is %d", v.Str(), max(n, 0))
	}
	return max(n, 0)
}

// resources gives requests and limits.
func (m *composeCluster) resources(typed types.ServiceConfig, s *source.Value) *source.Value {
	out := source.NewMap(source.Origin{})
	set := func(which string, cpus types.NanoCPUs, memory types.UnitBytes, at source.Origin) {
		if n := int64(math.Round(float64(cpus) * 1000)); n > 0 && n < 1e9 {
			value := strconv.FormatInt(n, 10) + "m"
			if n%1000 == 0 {
				value = strconv.FormatInt(n/1000, 10)
			}
			child(out, which).Set("cpu", source.NewString(at, value))
		}
		if memory > 0 {
			child(out, which).Set("memory", source.NewString(at, byteSize(int64(memory))))
		}
	}
	var limits, reservations types.Resource
	if typed.Deploy != nil && typed.Deploy.Resources.Limits != nil {
		limits = *typed.Deploy.Resources.Limits
	}
	if typed.Deploy != nil && typed.Deploy.Resources.Reservations != nil {
		reservations = *typed.Deploy.Resources.Reservations
	}
	at := cmp.Or(s.At("deploy", "resources"), s.Get("mem_limit"), s.Get("cpus"), s.Get("mem_reservation")).OriginOrNone()
	set("requests", reservations.NanoCPUs, cmp.Or(reservations.MemoryBytes, typed.MemReservation), at)
	set("limits", cmp.Or(limits.NanoCPUs, types.NanoCPUs(typed.CPUS)), cmp.Or(limits.MemoryBytes, typed.MemLimit), at)
	return out
}

// byteSize writes a number of bytes in the largest unit that it is whole in.
func byteSize(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "Gi"}, {1 << 20, "Mi"}, {1 << 10, "Ki"}} {
		if n%unit.size == 0 {
			return strconv.FormatInt(n/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// security gives what a service may do.
func (m *composeCluster) security(s *source.Value, key string) *source.Value {
	out := source.NewMap(source.Origin{})
	user, group, _ := strings.Cut(s.Get("user").Str(), ":")
	for _, id := range []struct{ field, id string }{{"runAsUser", user}, {"runAsGroup", group}} {
		if n, err := strconv.Atoi(id.id); err == nil && n >= 0 {
			out.Set(id.field, source.NewInt(s.Get("user").Origin, n))
		} else if id.id != "" {
			m.say(Decide, s.Get("user").Origin, key, ".user "+id.id, "Kubernetes knows users by their numbers: say which it is under security")
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

// ends says whether a service is a job: others wait for its end, or it has no port
// and says that it is not started again.
func (m *composeCluster) ends(f source.Field, ports []port) bool {
	if f.Value.At("deploy", "mode").Str() == "global" {
		return false
	}
	for _, other := range m.model.Get("services").FieldsOrNone() {
		if m.active(other.Value) && other.Value.At("depends_on", f.Key, "condition").Str() == "service_completed_successfully" {
			return true
		}
	}
	return len(ports) == 0 && f.Value.Get("restart").Str() == "no"
}

// depends notes whom a service starts after.
func (m *composeCluster) depends(s *source.Value, key string) {
	name := slug(key)
	for _, item := range s.Get("links").ItemsOrNone() {
		to, alias, _ := strings.Cut(item.Str(), ":")
		if alias != "" && alias != to {
			m.say(LeftOut, item.Origin, key, ".links "+item.Str(), "a friend is called by its own name, and not %s", alias)
		}
		m.c.depends[name] = appendNew(m.c.depends[name], slug(to))
	}
	for _, f := range s.Get("depends_on").FieldsOrNone() {
		m.c.depends[name] = appendNew(m.c.depends[name], slug(f.Key))
		if f.Value.Get("condition").Str() == "service_completed_successfully" {
			m.say(Decide, f.Origin, key, ".depends_on "+f.Key, "it waits for the end of %s, which is a job: say {service: %s, needs: true} under friends", f.Key, slug(f.Key))
		}
	}
}

// composeVolumes collects what a service mounts.
type composeVolumes struct {
	m                       *composeCluster
	service, key            string
	mounts, volumes, claims *source.Value
	docs                    []*source.Value
	taken                   map[string]bool
	job                     bool
}

func (v *composeVolumes) say(outcome Outcome, at source.Origin, what, format string, args ...any) {
	v.m.say(outcome, at, v.key, "."+what, format, args...)
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
		name := item.Get("source").Str()
		v.config(name, cmp.Or(item.Get("target").Str(), "/"+name), item)
	}
	for _, item := range s.Get("secrets").ItemsOrNone() {
		name := item.Get("source").Str()
		target := cmp.Or(item.Get("target").Str(), name)
		if !strings.HasPrefix(target, "/") {
			target = "/run/secrets/" + target
		}
		v.secret(name, target, item.Origin)
	}
}

// secret mounts a file that is a secret.
func (v *composeVolumes) secret(name, target string, at source.Origin) {
	object := cmp.Or(slug(v.service+"-"+name), "secret")
	key := notKey.ReplaceAllString(name, "_")
	v.m.secret(object, key, "", at)
	if file := v.m.model.At("secrets", name, "file").Str(); file != "" {
		if full, _, err := v.m.file(file); err == nil || errors.Is(err, fs.ErrNotExist) {
			file = v.m.tree.place(full)
		}
		v.m.c.secretFiles[object+"/"+key] = v.m.marks.hidden(file)
	}
	v.mount(slug(name), target, mapOf(entry("secret", mapOf(entry("secretName", text(object))))), at)
	v.mounts.Items[len(v.mounts.Items)-1].Set("subPath", text(key))
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
	switch {
	case !strings.HasPrefix(target, "/"):
		v.say(LeftOut, item.Origin, "volumes "+target, "it has no absolute path in the container")
	case kind == "tmpfs":
		v.mount(slug(path.Base(target)), target, mapOf(entry("emptyDir", mapOf(entry("medium", text("Memory"))))), item.Origin)
	case kind == "bind":
		v.bind(from, target, item)
	case kind != "volume":
		v.say(LeftOut, item.Origin, "volumes "+target, "kai has no volume of the type %s", kind)
	case from == "":
		v.mount(slug(path.Base(target)), target, mapOf(entry("emptyDir", source.NewMap(source.Origin{}))), item.Origin)
	default:
		claim := mapOf(entry("accessModes", texts("ReadWriteOnce")), entry("resources", mapOf(entry("requests", mapOf(entry("storage", text("1Gi")))))))
		switch users := v.m.mounting(from); {
		case len(users) > 1 || v.job:
			v.claim(from, target, claim, users, item.Origin)
		default:
			v.say(Decide, item.Origin, "volumes "+from, "it keeps data: a claim of 1Gi for every replica; say how much")
			v.mount(slug(from), target, mapOf(entry("volumeClaimTemplate", claim)), item.Origin)
		}
		if item.Get("read_only").True() {
			v.mounts.Items[len(v.mounts.Items)-1].Set("readOnly", source.NewBool(source.Origin{}, true))
		}
	}
}

// mounting gives the services that mount a named volume, in any context: it is the
// same kind of claim in all.
func (m *composeCluster) mounting(volume string) []string {
	var out []string
	for _, f := range m.model.Get("services").FieldsOrNone() {
		for _, item := range f.Value.Get("volumes").ItemsOrNone() {
			if item.Get("type").Str() == "volume" && item.Get("source").Str() == volume {
				out = appendNew(out, f.Key)
			}
		}
	}
	return out
}

// claim mounts a named volume that is a claim of its own: several services share it,
// or it is a job's.
func (v *composeVolumes) claim(from, target string, spec *source.Value, users []string, at source.Origin) {
	name := cmp.Or(slug(from), "volume")
	if len(users) > 1 {
		v.say(Decide, at, "volumes "+from, "%s share it: it is one claim of 1Gi, ReadWriteOnce, which lets in the pods of one node; say how much, and ReadWriteMany where the storage class has it", strings.Join(users, ", "))
	} else {
		v.say(Decide, at, "volumes "+from, "it keeps data: a claim of 1Gi; say how much")
	}
	if v.m.claims == nil {
		v.m.claims = map[string]bool{}
	}
	if !v.m.claims[name] {
		v.m.claims[name] = true
		v.docs = append(v.docs, mapAt(at, entry("apiVersion", text("v1")), entry("kind", text("PersistentVolumeClaim")), entry("metadata", mapOf(entry("name", text(name)))), entry("spec", spec)))
	}
	v.mount(name, target, mapOf(entry("persistentVolumeClaim", mapOf(entry("claimName", text(name))))), at)
}

// bind carries over a file of the folder.
func (v *composeVolumes) bind(from, target string, item *source.Value) {
	full := path.Join(path.Dir(v.m.first), filepath.ToSlash(from))
	info, err := fs.Stat(v.m.tree.FS, full)
	if path.IsAbs(from) || filepath.IsAbs(from) || strings.HasPrefix(from, "~") || !fs.ValidPath(full) || err != nil || !info.Mode().IsRegular() {
		v.say(LeftOut, item.Origin, "volumes "+from, "a folder of the machine is not carried over, nor a file outside of the folder that is imported")
		return
	}
	v.files(from, target, item.Origin)
}

// config carries over a config of the file.
func (v *composeVolumes) config(name, target string, item *source.Value) {
	c := v.m.model.At("configs", name)
	switch {
	case c.Has("content"):
		v.content(name, target, []byte(c.Get("content").Str()), item.Origin)
	case c.Has("file"):
		v.files(c.Get("file").Str(), target, item.Origin)
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

// content mounts a text as a file, by a ConfigMap of one key. One in which there
// is a secret is a secret as a whole.
func (v *composeVolumes) content(name, target string, data []byte, at source.Origin) {
	key := path.Base(target)
	if !fileKey.MatchString(key) || strings.Trim(key, ".") == "" {
		v.say(LeftOut, at, "file "+name, "it has no path that kai can mount a file at")
		return
	}
	for _, k := range v.m.marks.names(string(data)) {
		if k.set {
			v.say(Changed, at, "configs "+name, "the value of %s in it looks like a secret: the whole file is one", k.name)
			v.secret(name, target, at)
			return
		}
	}
	data = []byte(v.m.marks.replaced(string(data), func(mark, string) string { return "" }))
	short := cmp.Or(slug(strings.TrimSuffix(key, path.Ext(key))), "file")
	object := v.service + "-" + short
	if slices.ContainsFunc(v.docs, func(o *source.Value) bool { return o.At("metadata", "name").Str() == object }) {
		object += "-" + strconv.Itoa(len(v.docs))
	}
	v.docs = append(v.docs, mapAt(at, entry("apiVersion", text("v1")), entry("kind", text("ConfigMap")), entry("metadata", mapOf(entry("name", text(object)))), entry("data", mapOf(entry(key, source.NewString(at, string(data)))))))
	v.mount(short, target, mapOf(entry("configMap", mapOf(entry("name", text(object))))), at)
	v.mounts.Items[len(v.mounts.Items)-1].Set("subPath", text(key))
}
