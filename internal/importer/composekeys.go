package importer

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"

	"github.com/helm-kai/helm-kai/internal/source"
)

// composeBecomes says what becomes of the keys of a service that are carried over,
// by their path: [] is an item of a list and * any key. What stands below the last
// is, too.
var composeBecomes = map[string]string{
	"image": "the image", "pull_policy": "the image's pullPolicy",
	"entrypoint": "the command", "command": "the arguments", "working_dir": "the command's workingDir",
	"environment.*": "env", "environment.[]": "env", "env_file": "env, by the variables of the file",
	"env_file.[].path": "env, by the variables of the file", "env_file.[].required": "env, by the variables of the file", "env_file.[].format": "env, by the variables of the file",
	"ports.[]": "routes", "ports.[].target": "routes", "ports.[].published": "routes", "ports.[].protocol": "routes", "expose": "routes",
	"volumes.[]": "mounts", "volumes.[].type": "mounts", "volumes.[].source": "mounts", "volumes.[].target": "mounts", "volumes.[].read_only": "mounts",
	"tmpfs": "mounts", "configs.[]": "mounts", "configs.[].source": "mounts", "configs.[].target": "mounts",
	"secrets.[]": "mounts of secrets", "secrets.[].source": "mounts of secrets", "secrets.[].target": "mounts of secrets",
	"healthcheck.test": "the readiness probe", "healthcheck.interval": "the readiness probe", "healthcheck.timeout": "the readiness probe",
	"healthcheck.retries": "the readiness probe", "healthcheck.start_period": "the readiness probe", "healthcheck.disable": "the readiness probe",
	"depends_on.[]": "friends", "depends_on.*.condition": "friends", "depends_on.*.required": "friends", "links": "friends",
	"extends": "what it extends is laid below it", "extends.service": "what it extends is laid below it", "extends.file": "what it extends is laid below it",
	"profiles": "contexts",
	"user":     "security", "read_only": "security", "cap_add": "security", "cap_drop": "security", "privileged": "security",
	"tty": "the container", "stdin_open": "the container",
	"stop_grace_period": "gracePeriod", "scale": "replicas", "deploy.replicas": "replicas", "deploy.mode": "the kind of the workload",
	"mem_limit": "resources", "mem_reservation": "resources", "cpus": "resources",
	"deploy.resources.limits.cpus": "resources", "deploy.resources.limits.memory": "resources",
	"deploy.resources.reservations.cpus": "resources", "deploy.resources.reservations.memory": "resources",
	"networks.[]":        "who may call whom follows from friends, and each is called by its own name",
	"networks.*":         "who may call whom follows from friends, and each is called by its own name",
	"networks.*.aliases": "what names the service so calls it by its own name now",
}

// composeFriend says what becomes of the keys of a service that is a friend of the
// library's now. What is not here the friend has in its own way.
var composeFriend = map[string]struct {
	outcome Outcome
	why     string
}{
	"image":       {Changed, "the friend %s has the library's image; another stands under its values.image"},
	"ports":       {Changed, "the friend %s has a Service and ports of its own"},
	"expose":      {Changed, "the friend %s has a Service and ports of its own"},
	"volumes":     {Changed, "the friend %s has a volume of its own: bring the data over"},
	"healthcheck": {Changed, "the friend %s has probes of its own"},
	"depends_on":  {LeftOut, "the friend %s starts by itself"},
	"profiles":    {Carried, "contexts"},
	"extends":     {Carried, "what it extends is laid below it"},
}

// composeResources are the keys of a service that say resources.
var composeResources = []string{
	"mem_limit", "mem_reservation", "cpus", "deploy.resources.limits.cpus", "deploy.resources.limits.memory",
	"deploy.resources.reservations.cpus", "deploy.resources.reservations.memory",
}

// composeReasons say why a key is left out, where it is not simply that kai has
// none for it.
var composeReasons = map[string]string{
	"build":          "kai builds no images: push what Compose builds under the image's name",
	"restart":        "kai starts again whatever ends; what is meant to end has the flavor job",
	"hostname":       "others call it by the name of its service",
	"container_name": "others call it by the name of its service",
	"networks":       "who may call whom follows from friends, and each is called by its own name",
	"labels":         "they are those of Docker's objects; say what a tool reads in them in the way of Kubernetes",
	"label_file":     "they are those of Docker's objects; say what a tool reads in them in the way of Kubernetes",
	"logging":        "the cluster collects what is written to stdout",
	"provider":       "it is made by a command, and an import starts none",
	"develop":        "it is for building, and kai builds no images",
	"pre_start":      "kai runs nothing beside a container: make it an init container",
	"post_start":     "kai runs nothing beside a container: a patch may add lifecycle",
	"pre_stop":       "kai runs nothing beside a container: a patch may add lifecycle",
	"extends":        "what it extends is laid below it",
}

// shape is a tree of keys; one without any is handled with all that it holds.
type shape map[string]shape

func shapeOf(paths ...string) shape {
	root := shape{}
	for _, p := range paths {
		at := root
		for key := range strings.SplitSeq(p, ".") {
			if at[key] == nil {
				at[key] = shape{}
			}
			at = at[key]
		}
	}
	return root
}

// unhandled calls back for each part of v that the shape does not have. What says
// no or nothing is none.
func (s shape) unhandled(v *source.Value, where string, found func(path string, v *source.Value)) {
	s.walk(v, where, "", func(where, _ string, handled bool, v *source.Value) {
		if !handled && !saysNothing(v) {
			found(where, v)
		}
	})
}

// walk calls back for each part of v, as small as the shape has it, with its path,
// and with the shape's path where it has it. Extensions (x-) are no parts.
func (s shape) walk(v *source.Value, where, general string, found func(where, general string, handled bool, v *source.Value)) {
	if len(s) == 0 || v.IsNull() {
		return
	}
	part := func(below shape, at, general string, ok bool, v *source.Value) {
		switch {
		case !ok || len(below) == 0 || v.IsNull() || v.IsScalar():
			found(at, general, ok, v)
		case saysNothing(v):
			found(at, general, true, v)
		default:
			below.walk(v, at, general, found)
		}
	}
	for _, f := range v.FieldsOrNone() {
		key := f.Key
		below, ok := s[key]
		if !ok {
			key = "*"
			below, ok = s[key]
		}
		if strings.HasPrefix(f.Key, "x-") {
			continue
		}
		v := *f.Value
		v.Origin = f.Origin
		part(below, strings.TrimPrefix(where+"."+f.Key, "."), strings.TrimPrefix(general+"."+key, "."), ok, &v)
	}
	for _, item := range v.ItemsOrNone() {
		below, ok := s["[]"]
		part(below, where, strings.TrimPrefix(general+".[]", "."), ok, item)
	}
}

func saysNothing(v *source.Value) bool {
	switch v.Kind {
	case source.Bool:
		return !v.True()
	case source.Map:
		return len(v.Fields) == 0
	case source.List:
		return len(v.Items) == 0
	case source.String:
		return v.Text == ""
	}
	return v.IsNull()
}

var composeHandled = shapeOf(func() []string {
	var out []string
	for key := range composeBecomes {
		out = append(out, key)
	}
	return out
}()...)

// ownOfFriend are parts of a service that are asked about, or changed, unless it is
// a friend.
var ownOfFriend = regexp.MustCompile(`^(healthcheck($|\.)|volumes |ports |expose |tmpfs |user |file |configs |links |deploy\.resources$)`)

// keys reports every key of every service: what it is now, or why it is nothing.
// What is said already of a key is not said again.
func (m *composeCluster) keys() {
	friends := map[string]*work{}
	for _, w := range m.c.works {
		if w.friend != nil && w.used {
			friends[w.d.service] = w
		}
	}
	// Nothing is asked of what a friend of the library's has in its own way.
	m.p.report.Entries = slices.DeleteFunc(m.p.report.Entries, func(e Entry) bool {
		path := strings.Split(e.What, ".")
		return e.Context == m.c.environment.name && friends[e.Service] != nil && path[0] == "services" && ownOfFriend.MatchString(strings.Join(path[min(2, len(path)):], "."))
	})
	said := map[string]bool{}
	for _, e := range m.p.report.Entries {
		if e.Context == m.c.environment.name && e.Outcome != Decide {
			said[e.What] = true
			if name, ok := strings.CutPrefix(e.What, "env "); ok {
				said["services."+e.Service+".environment."+name] = true
			}
		}
	}
	m.sharedSecrets(friends)
	for _, f := range m.model.Get("services").Fields {
		if !m.active(f.Value) || f.Value.Has("provider") {
			continue
		}
		for _, l := range m.layers(f.Key) {
			composeHandled.walk(l.v, "", "", func(where, general string, handled bool, v *source.Value) {
				if general == "environment.[]" {
					name, _, _ := strings.Cut(v.Str(), "=")
					where += "." + name
				}
				if said["services."+f.Key+"."+where] {
					return
				}
				outcome, why := m.becomes(f.Key, where, general, handled, v, f.Value)
				if w := friends[slug(f.Key)]; w != nil {
					outcome, why = m.ofFriend(w, where, v, outcome, why)
				}
				m.say(outcome, v.Origin, f.Key, "."+where, "%s", why)
			})
		}
	}
}

// sharedSecrets asks about files that are secrets of a service and of a server which
// is a friend now: the friend has a password of its own.
func (m *composeCluster) sharedSecrets(friends map[string]*work) {
	services := m.model.Get("services").FieldsOrNone()
	for _, server := range services {
		w := friends[slug(server.Key)]
		if w == nil || w.friend.secret == "" || !w.friend.locked {
			continue
		}
		for _, its := range server.Value.Get("secrets").ItemsOrNone() {
			for _, f := range services {
				if friends[slug(f.Key)] != nil || !m.active(f.Value) {
					continue
				}
				for _, item := range f.Value.Get("secrets").ItemsOrNone() {
					if name := item.Get("source").Str(); name == its.Get("source").Str() {
						m.say(Decide, item.Origin, f.Key, ".secrets "+name, "%s has it as well, which is the friend %s now, with a password of its own: the two have to be the same; read ${friends.%s.credentials.%s} in a variable, or store one for both", server.Key, w.friend.friend, w.d.service, w.friend.secret)
					}
				}
			}
		}
	}
}

// becomes says what becomes of a key of a service.
func (m *composeCluster) becomes(service, where, general string, handled bool, v, s *source.Value) (Outcome, string) {
	first, _, _ := strings.Cut(where, ".")
	switch {
	case first == "env_file" && m.unread[service+"/"+v.Str()]:
		return LeftOut, "the file is not read, as is to be decided above"
	case m.jobs[service] && slices.Contains([]string{"healthcheck", "ports", "expose"}, first):
		return LeftOut, "a job is asked for nothing while it runs: it has no probes and no routes"
	case handled && s.Get(first) == nil && first != "extends":
		return Changed, "another file takes it away"
	case handled && saysNothing(v) && !strings.HasPrefix(general, "environment."):
		return Carried, "it says nothing"
	case handled:
		return Carried, cmp.Or(composeBecomes[general], "it is carried over")
	case (first == "hostname" || first == "container_name") && v.Str() == service,
		first == "restart" && slices.Contains([]string{"always", "unless-stopped"}, v.Str()),
		first == "restart" && v.Str() == "no" && m.jobs[service]:
		return Carried, "it is so in Kubernetes"
	case saysNothing(v):
		return Carried, "it says nothing"
	case first == "build" && !s.Has("image"):
		return LeftOut, "Compose builds the image: push it to a registry, and give its name"
	}
	return LeftOut, cmp.Or(composeReasons[first], "kai has no place for it; a patch may do it")
}

// ofFriend says what becomes of a key of a service that is a friend now.
func (m *composeCluster) ofFriend(w *work, where string, v *source.Value, outcome Outcome, why string) (Outcome, string) {
	first, _, _ := strings.Cut(where, ".")
	known, ok := composeFriend[first]
	switch {
	case outcome != Carried, why == "it is so in Kubernetes", why == "it says nothing":
		return outcome, why
	case ok && strings.Contains(known.why, "%s"):
		return known.outcome, strings.Replace(known.why, "%s", w.friend.friend, 1)
	case ok:
		return known.outcome, known.why
	case slices.Contains(composeResources, where):
		return Carried, "resources of the friend, under values"
	case first == "environment" && w.friend.knows(where[strings.LastIndexByte(where, '.')+1:]):
		return Changed, "the friend " + w.friend.friend + " has it by its credentials and its config"
	case first == "command" && w.friend.locked && v != nil:
		return LeftOut, "the friend " + w.friend.friend + " has a command of its own, with its password: what else it says stands under its values.args"
	}
	return LeftOut, "the friend " + w.friend.friend + " of kai's library has it in its own way; give it what it still needs under values"
}

// unset asks for the variables of a service that nothing sets.
func (m *composeCluster) unset(key string) {
	for _, l := range m.layers(key) {
		everyText(l.v, "", func(where string, v *source.Value) {
			first, _, _ := strings.Cut(where, ".")
			stored := slices.Contains([]string{"environment", "command", "entrypoint", "healthcheck"}, first)
			for _, used := range unsetIn(v.Text, l.doc.env) {
				if stored && looksSecret(used) {
					continue
				}
				m.say(Decide, v.Origin, key, "."+where, "the variable %s is set nowhere: it is empty, as Compose has it; give the contexts the variable, and write ${%s}", used, strings.ToUpper(used))
			}
		})
	}
}

// unsetInFile asks for the variables that a file of variables names and nothing sets.
func (m *composeCluster) unsetInFile(data, place, key string, missing func(name string) bool) {
	n := 0
	for line := range strings.Lines(data) {
		n++
		for _, used := range unsetIn(line, nil) {
			if missing(used) {
				at := source.Origin{Position: source.Position{File: place, Line: n}}
				m.say(Decide, at, key, ".env_file", "the variable %s is set nowhere: it is empty, as Compose has it; give the contexts the variable, and write ${%s}", used, strings.ToUpper(used))
			}
		}
	}
}

// unsetIn gives the variables of a text that have neither a value nor a default.
func unsetIn(s string, env map[string]string) []string {
	if !strings.Contains(s, "$") {
		return nil
	}
	var out []string
	for name, v := range template.ExtractVariables(map[string]any{"": s}, nil) {
		value, set := env[name]
		plain := strings.Contains(s, "$"+name) || strings.Contains(s, "${"+name+"}") || v.Required
		if (!set || v.Required && value == "") && plain && v.DefaultValue == "" && v.PresenceValue == "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// rest reports the parts of the files that no service is.
func (c *composeProject) rest() {
	used := map[string]bool{}
	for _, f := range c.model.Get("services").Fields {
		for _, kind := range []string{"configs", "secrets"} {
			for _, item := range f.Value.Get(kind).ItemsOrNone() {
				used[kind+item.Get("source").Str()] = true
			}
		}
	}
	for _, d := range c.all() {
		for _, root := range d.roots {
			for _, f := range root.Fields {
				c.part(d, f, used)
			}
		}
	}
}

// part reports a part of a file that no service is.
func (c *composeProject) part(d *composeDoc, f source.Field, used map[string]bool) {
	say := func(outcome Outcome, at source.Origin, what, why string) {
		c.p.report.add(outcome, at, "", "", what, "%s", why)
	}
	switch {
	case strings.HasPrefix(f.Key, "x-"), f.Key == "services":
	case f.Key == "version":
		say(Carried, f.Origin, "version", "Compose itself takes no notice of it")
	case f.Key == "name" && c.p.name == slug(c.name()) && slices.Contains(c.main, d):
		say(Carried, f.Origin, "name", "the workspace's name")
	case f.Key == "name":
		say(Changed, f.Origin, "name "+f.Value.Str(), "the workspace is called "+c.p.name+"; --name says another")
	case f.Key == "networks":
		say(LeftOut, f.Origin, "networks", "who may call whom follows from friends")
	case f.Key == "include":
		say(Carried, f.Origin, "include", "the services of the files")
	case f.Key == "jobs":
		say(LeftOut, f.Origin, "jobs", "write a service of the flavor job or cronjob for each")
	case f.Key == "volumes":
		for _, v := range f.Value.FieldsOrNone() {
			if saysNothing(v.Value) {
				say(Carried, v.Origin, "volumes."+v.Key, "a claim of the service that mounts it")
			} else {
				say(LeftOut, v.Origin, "volumes."+v.Key, "a claim takes its place: say its storageClassName, and bring the data over")
			}
		}
	case f.Key == "configs", f.Key == "secrets":
		for _, v := range f.Value.FieldsOrNone() {
			switch {
			case !used[f.Key+v.Key]:
				say(LeftOut, v.Origin, f.Key+"."+v.Key, "no service uses it")
			case f.Key == "secrets":
				say(Changed, v.Origin, "secrets."+v.Key, "no secret is copied: it is what is to be stored")
			default:
				say(Carried, v.Origin, "configs."+v.Key, "a file of the services that mount it")
			}
		}
	default:
		say(LeftOut, f.Origin, f.Key, "kai has no place for it")
	}
}
