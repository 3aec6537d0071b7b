package generator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// values makes what stands in values.yaml.
func (g *generation) values() *source.Value {
	at := source.Origin{}
	out := source.NewMap(at, source.Field{Key: "fullnameOverride", Value: source.NewString(at, g.in.Name)})
	if g.in.Workspace != "" {
		out.Set("partOf", source.NewString(at, g.in.Workspace))
	}
	g.readRoutes()
	main := g.container(g.fields, "", "")
	if g.in.Resolved.BuiltIn("resources") {
		g.checkResources(g.fields.Get("resources"), "resources")
	}
	for _, path := range [][]string{{"labels"}, {"workload", "labels"}, {"service", "labels"}} {
		if g.in.Resolved.BuiltIn(path[0]) {
			g.checkLabels(g.fields.At(path...), strings.Join(path, "."))
		}
	}
	g.checkScaling(g.fields.Get("scaling"))
	g.checkUpdates()
	g.checkJob()
	g.checkDropped()
	var rest []source.Field
	for _, f := range g.fields.Fields {
		builtIn := g.in.Resolved.BuiltIn(f.Key)
		switch {
		case common[f.Key] || builtIn && written[f.Key]:
		case builtIn && (f.Key == "initContainers" || f.Key == "sidecars"):
			rest = append(rest, source.Field{Key: f.Key, Value: g.containers(f.Key, f.Value)})
		default:
			rest = append(rest, f)
		}
	}
	for _, f := range main.Fields {
		out.Set(f.Key, f.Value)
	}
	if routes := g.routeValues(); routes != nil {
		out.Set("routes", routes)
	}
	if exposed := g.expose(); exposed != nil {
		out.Set("expose", exposed)
	}
	for _, f := range rest {
		out.Set(f.Key, f.Value)
	}
	g.runner(out)
	for _, path := range textMaps {
		if v := out.Get(path[0]); v != nil && g.in.Resolved.BuiltIn(path[0]) {
			out.Set(path[0], g.texts(v, path[1:], path[0]))
		}
	}
	if volumes := g.volumes(); volumes != nil {
		out.Set("volumes", volumes)
	}
	if friends := g.friendLabels(); friends != nil {
		out.Set("friends", friends)
	}
	if policy := g.networkPolicy(); policy != nil {
		out.Set("networkPolicy", policy)
	}
	if secrets := g.secrets.values(); secrets != nil {
		out.Set("secrets", secrets)
	}
	if objects := g.objects(); objects != nil {
		out.Set("objects", objects)
	}
	return out
}

// textMaps are the fields whose values Kubernetes takes as text alone.
var textMaps = [][]string{
	{"labels"}, {"annotations"}, {"workload", "labels"}, {"workload", "annotations"}, {"service", "labels"}, {"service", "annotations"},
	{"serviceAccount", "annotations"}, {"scheduling", "nodeSelector"}, {"expose", "ingress", "annotations"},
	{"expose", "gateway", "annotations"}, {"expose", "istio", "annotations"}, {"expose", "istio", "selector"},
}

// texts writes the values of maps of text as they stand in the file: a label
// 1.10 is not 1.1, nor is 0777 another number.
func (g *generation) texts(v *source.Value, path []string, where string) *source.Value {
	if v == nil || v.Kind != source.Map {
		return v
	}
	if len(path) > 0 {
		inner := v.Get(path[0])
		if got := g.texts(inner, path[1:], where+"."+path[0]); got != inner {
			v = v.Shallow()
			v.Set(path[0], got)
		}
		return v
	}
	out := v.Shallow()
	for i, f := range out.Fields {
		switch {
		case f.Value.IsScalar():
			text := *f.Value
			text.Kind = source.String
			out.Fields[i].Value = &text
		case !f.Value.IsNull():
			g.fail("wrong-type", f.Value.Origin, where+"."+f.Key, source.Instead("text", f.Value.Kind), "expected text, got %s", f.Value.Kind)
		}
	}
	return out
}

// common are the fields that the generator acts on itself.
var common = map[string]bool{"flavor": true, "friends": true, "networkPolicy": true, "egress": true, "objects": true}

// written are the built-in fields that have another shape in values.yaml.
var written = map[string]bool{
	"image": true, "command": true, "args": true, "env": true, "probes": true, "mounts": true,
	"routes": true, "expose": true, "volumes": true,
}

// containers writes init containers or sidecars.
func (g *generation) containers(path string, list *source.Value) *source.Value {
	out := list.Shallow()
	seen := map[string]bool{g.in.Name: true}
	for i, c := range list.Items {
		name := c.Get("name").Str()
		here := fmt.Sprintf("%s[%d]", path, i)
		if !portName.MatchString(name) || len(name) > maxName {
			g.fail("name", c.Get("name").Origin, here+".name", "use a to z, 0 to 9 and -, at most 63 characters", "%q cannot be a container's name", name)
		}
		if seen[name] {
			g.fail("duplicate-name", c.Get("name").Origin, here+".name", "rename one of the two", "the pod has two containers %q", name)
		}
		seen[name] = true
		values := source.NewMap(c.Origin, source.Field{Key: "name", Value: c.Get("name")})
		for _, f := range g.container(c, here, name).Fields {
			values.Set(f.Key, f.Value)
		}
		for _, key := range []string{"resources", "security", "lifecycle"} {
			v := c.Get(key)
			if v == nil && key == "resources" && path == "sidecars" {
				// Init containers take the main container's; a sidecar runs beside it.
				v = g.in.Resolved.Flavor.Defaults.Get(key)
			}
			if v != nil {
				values.Set(key, v)
			}
		}
		g.checkResources(values.Get("resources"), here+".resources")
		g.checkUser(c.Get("security"), g.fields.Get("security"), here+".security")
		out.Items[i] = values
	}
	return out
}

// container writes what the main container and the others have in common. name
// is empty for the main one.
func (g *generation) container(c *source.Value, path, name string) *source.Value {
	builtIn := func(key string) bool { return c.Has(key) && (name != "" || g.in.Resolved.BuiltIn(key)) }
	out := source.NewMap(c.Origin)
	env := g.newEnvironment()
	if name != "" && g.in.Resolved.BuiltIn("env") {
		env.add(g.fields.Get("env"), "env")
	}
	if builtIn("image") {
		out.Set("image", g.image(c.Get("image"), under(path, "image")))
	}
	if builtIn("command") {
		g.command(c.Get("command"), under(path, "command"), env, out)
	}
	if builtIn("args") {
		out.Set("args", g.arguments(c.Get("args"), under(path, "args"), env))
	}
	if builtIn("env") {
		env.add(c.Get("env"), under(path, "env"))
	}
	wrapped := g.wrap(c, path, name, env, out)
	if vars, order := env.values(under(path, "env")); vars != nil {
		out.Set("env", vars)
		if order != nil {
			out.Set("envOrder", order)
		}
	}
	if builtIn("probes") {
		out.Set("probes", g.probes(c.Get("probes"), under(path, "probes")))
	}
	if builtIn("mounts") {
		out.Set("mounts", g.containerMounts(c.Get("mounts"), under(path, "mounts")))
	}
	if wrapped {
		g.mountRunner(out, under(path, "mounts"))
	}
	return out
}

func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (g *generation) image(image *source.Value, path string) *source.Value {
	g.imageName(image, path)
	if image.Get("tag").Str() == "" && image.Get("digest").Str() == "" {
		g.fail("image", image.Origin, path, "give it a tag or a digest, here or in the context's version file", "the image %s has neither tag nor digest", image.Get("repository").Str())
	}
	if tag := image.Get("tag"); tag.Str() == "latest" && image.Get("digest").Str() == "" {
		g.findings = append(g.findings, source.Finding{Origin: tag.Origin, Path: path + ".tag", Code: "latest-tag", Severity: source.Warning,
			Message: "the tag latest names another image tomorrow", Hint: "give a version, or a digest beside it"})
	}
	return image
}

// command writes the container's command. A script is read and handed to its
// interpreter as the last argument.
func (g *generation) command(c *source.Value, path string, env *environment, out *source.Value) {
	script := c.Get("type").Str() == "script" || c.Get("type") == nil && c.Has("fileName")
	switch {
	case script && !c.Has("fileName"):
		g.fail("required", c.Origin, path+".fileName", "write fileName: script.sh", "a script needs a fileName")
	case script:
		name := c.Get("fileName")
		data, ok := g.readFile(name, path+".fileName")
		if !ok {
			return
		}
		interpreter := c.Get("interpreter")
		if len(interpreter.ItemsOrNone()) == 0 {
			g.fail("required", c.Origin, path+".interpreter", "write interpreter: [sh, -c]", "a script needs an interpreter")
			return
		}
		command := interpreter.Shallow()
		command.Items = append(command.Items, source.NewString(name.Origin, literalExpansion(string(data))))
		out.Set("command", command)
	case c.Get("type").Str() == "executable" && len(c.Get("command").ItemsOrNone()) == 0:
		g.fail("required", c.Origin, path+".command", "write command: [/program]", "an executable needs a command")
	case c.Has("command"):
		out.Set("command", g.arguments(c.Get("command"), path+".command", env))
	}
	if dir := c.Get("workingDir"); dir.Str() != "" {
		out.Set("workingDir", dir)
	}
}

// literalExpansion keeps Kubernetes from expanding $(NAME) in a script, where
// the shell's own meaning of it is wanted.
func literalExpansion(script string) string {
	var b strings.Builder
	for i, c := range []byte(script) {
		if c == '$' && i+1 < len(script) && (script[i+1] == '$' || script[i+1] == '(') {
			b.WriteByte('$')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// arguments writes a list of text. A credential in it becomes a variable that
// Kubernetes expands, so that no secret stands in the pod's spec.
func (g *generation) arguments(list *source.Value, path string, env *environment) *source.Value {
	out := list.Shallow()
	for i, item := range list.Items {
		if parts, ok := g.in.Resolved.Mixed[item]; ok {
			item = source.NewString(item.Origin, env.mixed(parts))
		}
		text := *item
		text.Kind = source.String
		out.Items[i] = &text
	}
	return out
}

// environment collects the variables of one container.
type environment struct {
	g     *generation
	vars  *source.Value
	order []string
}

func (g *generation) newEnvironment() *environment {
	return &environment{g: g, vars: source.NewMap(source.Origin{})}
}

func (e *environment) set(name string, v *source.Value) {
	if e.vars.Get(name) == nil {
		e.order = append(e.order, name)
	}
	e.vars.Set(name, v)
}

// add takes over variables as they stand in a context.
func (e *environment) add(env *source.Value, path string) {
	if env == nil {
		return
	}
	for _, f := range env.Fields {
		here := path + "." + f.Key
		if !descriptor.EnvName(f.Key) {
			e.g.fail("env-name", f.Origin, here, "use letters, digits, _, - and ., and begin with none of 0 to 9 and ..", "%q cannot be the name of a variable", f.Key)
			continue
		}
		switch v := f.Value; {
		case v.IsScalar():
			if parts, ok := e.g.in.Resolved.Mixed[v]; ok {
				e.set(f.Key, e.composed(parts, v.Origin))
				continue
			}
			text := *v
			text.Kind = source.String
			e.set(f.Key, &text)
		case v.Get("secret").IsScalar():
			onlyKeys(e.g, v, here, "secret", "scope", "app")
			for _, part := range []string{"scope", "app"} {
				if p := v.Get(part); !p.IsNull() && !p.IsScalar() {
					e.g.fail("wrong-type", p.Origin, here+"."+part, "write text", "the %s of a secret cannot be %s", part, described(p))
				}
			}
			descriptor.CheckPlace(v, here, &e.g.findings)
			if key := v.Get("secret"); !isReference(key.Text) && !secretKey.MatchString(key.Text) {
				e.g.fail("constraint", key.Origin, here+".secret", "use letters, digits, ., _ and -, or a reference such as ref+vault://PATH#/KEY", "%q cannot be the key of a secret", key.Text)
			}
			name := e.g.secrets.key(v)
			if later := e.later(RoleOwn, "", v, name, here+".secret", v.Origin); later != nil {
				e.set(f.Key, later)
				continue
			}
			e.set(f.Key, source.NewMap(v.Origin, source.Field{Key: "secret", Value: source.NewString(v.Origin, name)}))
		case v.Get("valueFrom") != nil && v.Get("valueFrom").Kind == source.Map && len(v.Fields) == 1:
			onlyKeys(e.g, v.Get("valueFrom"), here+".valueFrom", "fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
			e.set(f.Key, v)
		default:
			e.g.fail("wrong-type", v.Origin, here, "write text, {secret: KEY}, or {valueFrom: {fieldRef: …}}", "a variable cannot be %s", described(v))
		}
	}
}

func described(v *source.Value) string {
	if v.Kind == source.Map && len(v.Fields) > 0 {
		return "a map with the key " + v.Fields[0].Key
	}
	return v.Kind.String()
}

func onlyKeys(g *generation, v *source.Value, path string, known ...string) {
	for _, f := range v.Fields {
		if !slices.Contains(known, f.Key) {
			g.fail("unknown-key", f.Origin, path+"."+f.Key, source.Nearest(f.Key, known), "the key %q is not known here", f.Key)
		}
	}
}

// composed gives the value of a variable that has credentials in it: the
// credential itself where it is nothing else, and else text that names
// variables.
func (e *environment) composed(parts []descriptor.Part, at source.Origin) *source.Value {
	if len(parts) == 1 && parts[0].Credential != nil {
		return e.credential(*parts[0].Credential, at)
	}
	return source.NewString(at, e.mixed(parts))
}

func (e *environment) credential(c descriptor.Credential, at source.Origin) *source.Value {
	if c.Friend == "" {
		// The chart's own Secret: a friend that reads its own credentials.
		return source.NewMap(at, source.Field{Key: "secret", Value: source.NewString(at, c.Key)})
	}
	e.g.secrets.credential(c.Friend, c.Key)
	if f, ok := e.g.friend(c.Friend); ok && e.g.secrets.elsewhere(f) {
		i := slices.IndexFunc(f.Keys, func(k SecretKey) bool { return k.Key == c.Key })
		if i >= 0 {
			return e.later(RoleFriend, f.Name, f.Keys[i].Reference, c.Key, "friends."+f.Name+".credentials."+c.Key, at)
		}
	}
	return source.NewMap(at,
		source.Field{Key: "credential", Value: source.NewString(at, c.Friend)},
		source.Field{Key: "key", Value: source.NewString(at, c.Key)})
}

// mixed gives text in which each credential is $(VARIABLE), and makes the
// variables.
func (e *environment) mixed(parts []descriptor.Part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Credential == nil {
			b.WriteString(p.Text)
			continue
		}
		name := e.g.credentialPrefix() + strings.Trim(notVarName.ReplaceAllString(strings.ToUpper(p.Credential.Friend+"_"+p.Credential.Key), "_"), "_")
		e.set(name, e.credential(*p.Credential, source.Origin{Because: "a credential in text"}))
		b.WriteString("$(" + name + ")")
	}
	return b.String()
}

// values gives the variables, and their order where one names another.
func (e *environment) values(path string) (vars, order *source.Value) {
	if len(e.vars.Fields) == 0 {
		return nil, nil
	}
	sorted, refer := e.sorted(path)
	if !refer {
		return e.vars, nil
	}
	order = source.NewList(source.Origin{})
	for _, name := range sorted {
		order.Items = append(order.Items, source.NewString(source.Origin{}, name))
	}
	return e.vars, order
}

// sorted puts every variable after those that it names with $(NAME), and keeps
// the order of the files otherwise.
func (e *environment) sorted(path string) (order []string, refer bool) {
	state := map[string]int{}
	var visit func(name string)
	visit = func(name string) {
		v := e.vars.Get(name)
		state[name] = 1
		for _, other := range references(v) {
			if e.vars.Get(other) == nil || other == name {
				continue
			}
			refer = true
			switch state[other] {
			case 0:
				visit(other)
			case 1:
				e.g.fail("cycle", v.Origin, path+"."+name, "break the circle", "the variables %s and %s name one another", name, other)
			}
		}
		state[name] = 2
		order = append(order, name)
	}
	for _, name := range e.order {
		if state[name] == 0 {
			visit(name)
		}
	}
	return order, refer
}

// references gives the names in $(NAME); $$( is literal.
func references(v *source.Value) []string {
	if v == nil || v.Kind != source.String {
		return nil
	}
	var names []string
	for text := v.Text; ; {
		i := strings.IndexByte(text, '$')
		if i < 0 || i+1 >= len(text) {
			return names
		}
		if text[i+1] != '(' {
			text = text[i+2:]
			continue
		}
		end := strings.IndexByte(text[i:], ')')
		if end < 0 {
			return names
		}
		names = append(names, text[i+2:i+end])
		text = text[i+end+1:]
	}
}

// probes writes the probes, their routes' names as ports.
func (g *generation) probes(probes *source.Value, path string) *source.Value {
	g.checkReadiness(probes, path)
	out := probes.Shallow()
	for i, f := range probes.Fields {
		here := path + "." + f.Key
		handler := ""
		for _, h := range []string{"httpGet", "tcpSocket", "grpc", "exec"} {
			if f.Value.Has(h) {
				handler = h
			}
		}
		if handler == "" {
			g.fail("required", f.Value.Origin, here, "write httpGet, tcpSocket, grpc or exec", "the probe does not say what to try")
			continue
		}
		if handler == "exec" {
			continue
		}
		probe := f.Value.Shallow()
		action := probe.Get(handler).Shallow()
		action.Set("port", g.probePort(action.Get("port"), handler == "grpc", here+"."+handler+".port"))
		probe.Set(handler, action)
		out.Fields[i].Value = probe
	}
	return out
}

// probePort turns a route's name into what Kubernetes wants: the port's name,
// or its number for gRPC.
func (g *generation) probePort(port *source.Value, number bool, path string) *source.Value {
	if port == nil || port.Kind == source.Number {
		if n, ok := port.Int(); port != nil && (!ok || n < 1 || n > 65535) {
			g.fail("constraint", port.Origin, path, "write a route's name, or the number of a port that the container opens", "expected 1 to 65535, got %s", port.Text)
		}
		return port
	}
	var known []string
	for _, r := range g.routes {
		known = append(known, r.name)
		if r.name != port.Str() {
			continue
		}
		if number {
			return source.NewInt(port.Origin, r.containerPort)
		}
		return source.NewString(port.Origin, r.portName)
	}
	hint := source.Nearest(port.Str(), known)
	if hint == "" {
		hint = "the context has no routes; write the number of a port"
	}
	g.fail("unknown-route", port.Origin, path, hint, "there is no route %q", port.Str())
	return port
}
