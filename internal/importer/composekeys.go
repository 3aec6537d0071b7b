package importer

import (
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// composeHandled are the keys of a service that are carried over, by their path:
// [] is an item of a list and * any key. What stands below the last is, too.
var composeHandled = shapeOf(
	"image", "command", "entrypoint", "environment", "working_dir", "user", "read_only", "cap_add", "cap_drop", "privileged", "tty", "stdin_open",
	"stop_grace_period", "profiles", "pull_policy", "scale", "mem_limit", "mem_reservation", "cpus", "expose", "extends", "tmpfs", "links",
	"env_file.[].path", "env_file.[].required", "env_file.path", "env_file.required",
	"ports.[].target", "ports.[].published", "ports.[].protocol",
	"volumes.[].type", "volumes.[].source", "volumes.[].target", "volumes.[].read_only",
	"configs.[].source", "configs.[].target", "secrets.[].source", "secrets.[].target",
	"healthcheck.test", "healthcheck.interval", "healthcheck.timeout", "healthcheck.retries", "healthcheck.start_period", "healthcheck.disable",
	"depends_on.[]", "depends_on.*.condition", "depends_on.*.required", "networks.[]",
	"deploy.mode", "deploy.replicas", "deploy.resources.limits.cpus", "deploy.resources.limits.memory",
	"deploy.resources.reservations.cpus", "deploy.resources.reservations.memory",
)

// composeReasons say why a key is left out, where it is not simply that kai has
// none for it.
var composeReasons = map[string]string{
	"build":          "kai builds no images: push what Compose builds under the image's name",
	"restart":        "kai starts again whatever ends; what is meant to end has the flavor job",
	"hostname":       "others call it by the name of its service",
	"container_name": "others call it by the name of its service",
	"networks":       "who may call whom follows from friends, and each is called by its own name",
	"labels":         "they are those of Docker's objects; say what a tool reads in them in the way of Kubernetes",
	"logging":        "the cluster collects what is written to stdout",
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
	if len(s) == 0 || v.IsNull() {
		return
	}
	for _, f := range v.FieldsOrNone() {
		below, ok := s[f.Key]
		if !ok {
			below, ok = s["*"]
		}
		at := strings.TrimPrefix(where+"."+f.Key, ".")
		switch {
		case strings.HasPrefix(f.Key, "x-"), saysNothing(f.Value):
		case !ok:
			at := at
			v := *f.Value
			v.Origin = f.Origin
			found(at, &v)
		default:
			below.unhandled(f.Value, at, found)
		}
	}
	for _, item := range v.ItemsOrNone() {
		s["[]"].unhandled(item, where, found)
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

// leftOut reports the keys of a service that are not carried over.
func (m *composeFile) leftOut(key, name string, s *source.Value) {
	composeHandled.unhandled(s, "", func(where string, v *source.Value) {
		first, _, _ := strings.Cut(where, ".")
		switch {
		case (first == "hostname" || first == "container_name") && v.Str() == key,
			first == "restart" && slices.Contains([]string{"always", "unless-stopped"}, v.Str()),
			first == "networks" && v.Kind == source.Map && len(v.Fields) == 0,
			first == "build" && !s.Has("image"):
			return
		}
		why := composeReasons[first]
		if why == "" {
			why = "kai has no place for it; a patch may do it"
		}
		m.p.report.add(LeftOut, v.Origin, name, m.c.environment.name, "services."+key+"."+where, "%s", why)
	})
}

// rest reports the parts of the file that no service is.
func (m *composeFile) rest() {
	used := map[string]bool{}
	for _, f := range m.root.Get("services").Fields {
		for _, kind := range []string{"configs", "secrets"} {
			for _, item := range f.Value.Get(kind).ItemsOrNone() {
				used[kind+item.Str()+item.Get("source").Str()] = true
			}
		}
	}
	for _, f := range m.root.Fields {
		switch {
		case strings.HasPrefix(f.Key, "x-"), f.Key == "version", f.Key == "services":
		case f.Key == "name":
			m.p.report.add(Changed, f.Origin, "", "", "name "+f.Value.Str(), "the workspace is called %s; --name says another", m.p.name)
		case f.Key == "networks":
			m.p.report.add(LeftOut, f.Origin, "", "", "networks", "who may call whom follows from friends")
		case f.Key == "include":
			m.p.report.add(Decide, f.Origin, "", "", "include", "other files are not read: import what docker compose config prints")
		case f.Key == "volumes":
			for _, v := range f.Value.FieldsOrNone() {
				if !saysNothing(v.Value) {
					m.p.report.add(LeftOut, v.Origin, "", "", "volumes."+v.Key, "a claim takes its place: say its storageClassName, and bring the data over")
				}
			}
		case f.Key == "configs", f.Key == "secrets":
			for _, v := range f.Value.FieldsOrNone() {
				switch {
				case !used[f.Key+v.Key]:
					m.p.report.add(LeftOut, v.Origin, "", "", f.Key+"."+v.Key, "no service uses it")
				case f.Key == "secrets":
					m.p.report.add(Changed, v.Origin, "", "", "secrets."+v.Key, "no secret is copied: it is what is to be stored")
				}
			}
		default:
			m.p.report.add(LeftOut, f.Origin, "", "", f.Key, "Compose has no such key, or kai no place for it")
		}
	}
}

// variableIn reads the reference to a variable at the beginning of a text, as
// Compose writes them: its name, what follows it in braces, and how long it is.
// A dollar that is doubled has no name; one that is none of these has no length.
func variableIn(s string) (name, rest string, length int) {
	if strings.HasPrefix(s, "$$") {
		return "", "", 2
	}
	braces := strings.HasPrefix(s, "${")
	begin := 1
	if braces {
		begin = 2
	}
	end := begin
	for end < len(s) && (isLetter(s[end]) || end > begin && s[end] >= '0' && s[end] <= '9') {
		end++
	}
	switch {
	case end == begin:
		return "", "", 0
	case !braces:
		return s[begin:end], "", end
	}
	for depth, i := 0, end; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == '}':
			rest := s[end:i]
			if rest != "" && !strings.ContainsAny(strings.TrimPrefix(rest, ":")[:min(1, len(strings.TrimPrefix(rest, ":")))], "-+?") {
				return "", "", 0
			}
			return s[begin:end], rest, i + 1
		}
	}
	return "", "", 0
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// maxNested is how deep a default may have a default.
const maxNested = 20

// interpolated substitutes as Compose does: from .env, by a default, and else by
// nothing, of which unset is told.
func (m *composeFile) interpolated(s string, depth int, unset func(name string)) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		s = "$" + after
		name, rest, length := variableIn(s)
		switch {
		case length == 0 || depth > maxNested:
			b.WriteByte('$')
			s = after
			continue
		case name == "":
			b.WriteByte('$')
		default:
			b.WriteString(m.value(name, rest, depth, unset))
		}
		s = s[length:]
	}
}

// value gives a variable's value, or what stands for it.
func (m *composeFile) value(name, rest string, depth int, unset func(name string)) string {
	value, ok := m.vars[name]
	word := strings.TrimPrefix(rest, ":")
	set := ok && (value != "" || word == rest)
	switch {
	case strings.HasPrefix(word, "+"):
		if set {
			return m.interpolated(word[1:], depth+1, unset)
		}
		return ""
	case set:
		return value
	case strings.HasPrefix(word, "-"):
		return m.interpolated(word[1:], depth+1, unset)
	}
	unset(name)
	return ""
}

// expand substitutes in a text of the file.
func (m *composeFile) expand(v *source.Value, where string) string {
	return m.interpolated(v.Str(), 0, func(name string) {
		m.p.report.add(Decide, v.Origin, "", m.c.environment.name, where, "the variable %s is set nowhere: it is empty, as Compose has it; give the contexts the variable, and write ${%s}", name, strings.ToUpper(name))
	})
}

// expanded gives a part of the file with all texts substituted, except variables
// of containers, which may turn out to be secrets.
func (m *composeFile) expanded(v *source.Value, where string) *source.Value {
	switch v.Kind {
	case source.String:
		if !strings.Contains(v.Text, "$") {
			return v
		}
		out := *v
		out.Text = m.expand(v, where)
		return &out
	case source.List:
		out := v.Shallow()
		for i, item := range out.Items {
			out.Items[i] = m.expanded(item, where)
		}
		return out
	case source.Map:
		out := v.Shallow()
		for i, f := range out.Fields {
			if f.Key != "environment" && !f.Value.IsNull() {
				out.Fields[i].Value = m.expanded(f.Value, where+"."+f.Key)
			}
		}
		return out
	}
	return v
}

// unset says whether a value is nothing but a variable that nothing sets.
func (m *composeFile) unset(s string) bool {
	if !strings.HasPrefix(s, "$") {
		return false
	}
	name, rest, length := variableIn(s)
	if name == "" || length != len(s) || m.vars[name] != "" {
		return false
	}
	return !strings.ContainsAny(strings.TrimPrefix(rest, ":")[:min(1, len(strings.TrimPrefix(rest, ":")))], "-+")
}
