package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
)

// marks stand in the loaded files for the values of variables that look like
// secrets, and for variables that nothing sets: so it is known where those end up,
// and none is written in clear.
type marks struct {
	known []mark
	index map[mark]int // in known
	// bare are variables whose values have to be what they say.
	bare map[string]bool
}

// mark is a variable and the value that it has, if any.
type mark struct {
	name, value string
	set         bool
}

const markPrefix = "kaisecretmark"

var markText = regexp.MustCompile(markPrefix + `([0-9]{6})x`)

// of gives the mark of a variable.
func (m *marks) of(name, value string, set bool) string {
	k := mark{name, value, set}
	i, ok := m.index[k]
	if !ok {
		if m.index == nil {
			m.index = map[mark]int{}
		}
		i = len(m.known)
		m.known, m.index[k] = append(m.known, k), i
	}
	return fmt.Sprintf(markPrefix+"%06dx", i)
}

// at gives the variable of a mark. Text that only looks like a mark is none.
func (m *marks) at(text string) (mark, bool) {
	found := markText.FindStringSubmatch(text)
	if found == nil {
		return mark{}, false
	}
	i, err := strconv.Atoi(found[1])
	if err != nil || i >= len(m.known) {
		return mark{}, false
	}
	return m.known[i], true
}

// secret says whether the value of a variable looks like a secret.
func (m *marks) secret(name, value string) bool {
	return !m.bare[name] && value != "" && !markText.MatchString(value) && (looksSecret(name) || anyUserinfo.MatchString(value))
}

// looksSecret says whether a variable is called like a secret.
func looksSecret(name string) bool {
	return secretName.MatchString(name) && !publicName.MatchString(name)
}

var simpleValue = regexp.MustCompile(`^(?:[0-9.]+[a-zA-Z]{0,2}|true|false|yes|no|on|off)$`)

// relent has values be what they say that may have to be a number or a size, of
// variables that stand where one may have to be. It says whether there are any.
func (m *marks) relent(there map[string]bool) bool {
	some := false
	m.bare = map[string]bool{}
	for _, k := range m.known {
		if there[k.name] && (!k.set || simpleValue.MatchString(k.value)) {
			m.bare[k.name], some = true, true
		}
	}
	return some
}

// bared gives a text in which marks of values that have to be what they say are these.
func (m *marks) bared(text string) string {
	if len(m.bare) == 0 {
		return text
	}
	return m.replaced(text, func(k mark, _ string) string {
		if m.bare[k.name] && k.set {
			return k.value
		}
		return m.of(k.name, k.value, k.set)
	})
}

// substitute puts values in the place of variables, as Compose does, and marks in
// the place of some. A variable that has to be set and is not is empty: the
// report asks for it.
func (m *marks) substitute(text string, values template.Mapping) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	used := template.ExtractVariables(map[string]any{"": text}, nil)
	value := func(name string) (string, bool) {
		v, ok := values(name)
		v = m.bared(v)
		use := used[name]
		switch {
		case ok && m.secret(name, v):
			return m.of(name, v, true), true
		case v != "" || use.DefaultValue != "" || use.PresenceValue != "" || !use.Required && (ok || !looksSecret(name)):
			return v, ok
		case strings.Contains(text, name+":-") || strings.Contains(text, name+"-") || strings.Contains(text, name+"+") || strings.Contains(text, name+":+"):
			return v, ok
		case m.bare[name] && use.Required:
			return "0", true
		case m.bare[name]:
			return v, ok
		}
		return m.of(name, "", false), true
	}
	return template.SubstituteWithOptions(text, value, template.WithoutLogging)
}

// passwordAlone says whether a mark is the password of a URL, and stands nowhere else
// in it.
func (m *marks) passwordAlone(text string) bool {
	found := anyUserinfo.FindStringSubmatch(text)
	return found != nil && markText.FindString(found[1]) == found[1] && len(markText.FindAllString(text, 2)) == 1
}

// hidden gives a text in which names of variables take the place of marks.
func (m *marks) hidden(text string) string {
	if !strings.Contains(text, markPrefix) {
		return text
	}
	return markText.ReplaceAllStringFunc(text, func(s string) string {
		if k, ok := m.at(s); ok {
			return "${" + k.name + "}"
		}
		return s
	})
}

// names gives the variables that are marked in a text.
func (m *marks) names(text string) []mark {
	var out []mark
	for _, s := range markText.FindAllString(text, -1) {
		if k, ok := m.at(s); ok && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// whole gives the variable that a text is the mark of, with nothing else.
func (m *marks) whole(text string) (mark, bool) {
	if markText.FindString(text) != text || text == "" {
		return mark{}, false
	}
	return m.at(text)
}

// replaced puts something else in the place of marks.
func (m *marks) replaced(text string, by func(k mark, after string) string) string {
	var b strings.Builder
	last := 0
	for _, loc := range markText.FindAllStringIndex(text, -1) {
		if k, ok := m.at(text[loc[0]:loc[1]]); ok {
			b.WriteString(text[last:loc[0]])
			b.WriteString(by(k, text[loc[1]:]))
			last = loc[1]
		}
	}
	b.WriteString(text[last:])
	return b.String()
}
