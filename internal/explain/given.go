package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
)

// Given are the user's own values for charts, in Helm's forms. They are counted
// through: files, then --set, --set-string and --set-file.
type Given struct{ render.UserValues }

// merge lays the values over one another. edit changes what was given as the one
// of a number.
func (g Given) merge(number int, edit func(v *source.Value) *source.Value) (map[string]any, error) {
	u := g.UserValues
	if at := number; at >= 0 && at < len(u.Files) {
		u.Files = slices.Clone(u.Files)
		u.Files[at].Data = source.AppendYAML(nil, edit(g.document(at)), nil)
		return u.Merge()
	}
	at := number - len(u.Files)
	for _, list := range []*[]string{&u.Set, &u.SetString} {
		if at >= 0 && at < len(*list) {
			*list = slices.Clone(*list)
			(*list)[at] = edit(nil).Str()
		}
		at -= len(*list)
	}
	return u.Merge()
}

func (g Given) document(i int) *source.Value {
	// Helm has read it already; what only Helm takes has no values of its own here.
	v, _ := source.ParseYAML(g.Files[i].Name, g.Files[i].Data)
	return v
}

// units lists what was given.
func (g Given) units() []unit {
	in := &inputs{seen: map[spot]bool{}}
	for i := range g.Files {
		if doc := g.document(i); doc != nil {
			w := walker{in: in, unit: unit{file: g.Files[i].Name, root: doc, given: i}}
			w.walk(doc, "")
		}
	}
	number := len(g.Files)
	for _, s := range g.settings() {
		if s.flag == "--set-file" {
			continue
		}
		v := &source.Value{Kind: source.String, Text: s.value}
		if s.flag == "--set" {
			v.Kind = source.PlainKind(s.value)
		}
		in.units = append(in.units, unit{value: v, given: number + s.number, place: s.place(), arg: [2]string{s.before, s.after}})
	}
	return in.units
}

// setting is one KEY=VALUE of a flag, which may have several.
type setting struct {
	flag, path, value string
	before, after     string // of the value, in the flag's argument
	number            int
}

func (s setting) place() Place {
	p := Place{File: s.flag, Path: s.path, Value: s.value}
	if s.flag == "--set" {
		p.Value = (&source.Value{Kind: source.PlainKind(s.value), Text: s.value}).Native()
	}
	return p
}

// settings cuts the arguments of the flags.
func (g Given) settings() []setting {
	var out []setting
	number := 0
	for _, f := range []struct {
		flag string
		args []string
	}{{"--set", g.Set}, {"--set-string", g.SetString}, {"--set-file", g.SetFile}} {
		for _, arg := range f.args {
			for start, end := 0, 0; start < len(arg); start = end + 1 {
				end = start + comma(arg[start:])
				path, value, ok := strings.Cut(arg[start:end], "=")
				if ok {
					out = append(out, setting{flag: f.flag, path: path, value: value, before: arg[:start] + path + "=", after: arg[end:], number: number})
				}
			}
			number++
		}
	}
	return out
}

// comma finds the first comma that separates settings.
func comma(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '{':
			depth++
		case s[i] == '}':
			depth--
		case s[i] == ',' && depth <= 0:
			return i
		}
	}
	return len(s)
}

// layers gives what was given for a path of the chart's values, highest first.
func (g Given) layers(path string) []Place {
	var out []Place
	settings := g.settings()
	for i := len(settings) - 1; i >= 0; i-- {
		if settings[i].path == path {
			out = append(out, settings[i].place())
		}
	}
	for i := len(g.Files) - 1; i >= 0; i-- {
		if v := find(g.document(i), path); v != nil {
			p := placeOf(v.Origin)
			p.Path, p.Value = path, v.Native()
			out = append(out, p)
		}
	}
	for i := range out {
		if isSecret(path) {
			out[i].Value = masked
		}
	}
	return out
}

const masked = "[masked]"

// isSecret says whether a chart value is one: below secrets, in a map called
// values.
func isSecret(path string) bool {
	rest, ok := strings.CutPrefix(path, "secrets.")
	return ok && strings.Contains("."+rest, ".values.")
}

// secrets gives the texts of the secrets that were given.
func (g Given) secrets() []string {
	values, err := g.Merge()
	if err != nil {
		return nil
	}
	var out []string
	var walk func(v any, secret bool)
	walk = func(v any, secret bool) {
		switch v := v.(type) {
		case map[string]any:
			for key, below := range v {
				walk(below, secret || key == "values")
			}
		default:
			if secret {
				out = append(out, fmt.Sprint(v))
			}
		}
	}
	walk(values["secrets"], false)
	return out
}
