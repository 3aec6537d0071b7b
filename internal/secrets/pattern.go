package secrets

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// All is the word that stands for every app, scope or key in a pattern.
const All = "all"

// Pattern names places of a deployment. A part that is "" stands for all.
type Pattern struct{ App, Scope, Name string }

// ParsePattern reads APP, APP.SCOPE or APP.SCOPE.KEY. Each part may be all; what
// is not given is all. An app ends at the first dot, and a key is all that stands
// behind the scope, dots included. A part in double quotes is taken as it is: it
// may hold dots, and "all" is a name there. No error quotes the text, since it
// may be a value that got into the wrong place.
func ParsePattern(text string) (Pattern, error) {
	const shape = "\n  hint: write APP.SCOPE.KEY; the scopes are public, private, secret"
	var parts [3]string
	for i := range parts {
		name, rest, err := part(text, i == len(parts)-1)
		if err != nil {
			return Pattern{}, fmt.Errorf("part %d of the place %w%s", i+1, err, shape)
		}
		parts[i] = name
		if rest == "" {
			break
		}
		if i == len(parts)-1 {
			return Pattern{}, errors.New("the place has something behind the key's quotes" + shape)
		}
		if text = rest[1:]; text == "" {
			return Pattern{}, errors.New("the place ends with a dot" + shape)
		}
	}
	p := Pattern{parts[0], parts[1], parts[2]}
	if p.Scope != "" && !slices.Contains(Scopes(), p.Scope) {
		return Pattern{}, errors.New("the second part of the place is no scope" + shape)
	}
	return p, nil
}

// part cuts one part off; rest is empty or begins with a dot. all is "".
func part(text string, last bool) (name, rest string, err error) {
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		name, rest, ok = strings.Cut(quoted, `"`)
		switch {
		case !ok:
			return "", "", errors.New("has no closing quote")
		case strings.TrimSpace(name) == "":
			return "", "", errors.New("is empty")
		case rest != "" && rest[0] != '.':
			return "", "", errors.New("goes on behind its closing quote")
		}
		return name, rest, nil
	}
	name = text
	if i := strings.IndexByte(text, '.'); i >= 0 && !last {
		name, rest = text[:i], text[i:]
	}
	if strings.TrimSpace(name) == "" {
		return "", "", errors.New("is empty")
	}
	if name == All {
		name = ""
	}
	return name, rest, nil
}

// Key gives the one key that the pattern names, if it names one.
func (p Pattern) Key(deployment string) (Key, bool) {
	return Key{deployment, p.App, p.Scope, p.Name}, p.App != "" && p.Scope != "" && p.Name != ""
}

// Holds says whether a path may hold what the pattern names.
func (p Pattern) Holds(path Path) bool {
	return (p.App == "" || p.App == path.App) && (p.Scope == "" || p.Scope == path.Scope)
}

// String gives the pattern as ParsePattern reads it.
func (p Pattern) String() string {
	text := word(p.App, true) + "." + word(p.Scope, true) + "." + word(p.Name, false)
	return text
}

func word(name string, dots bool) string {
	switch {
	case name == "":
		return All
	case name == All, strings.HasPrefix(name, `"`), dots && strings.Contains(name, "."):
		return `"` + name + `"`
	}
	return name
}

// Parts gives how many parts a text has that ParsePattern reads.
func Parts(text string) int {
	for n := 1; ; n++ {
		_, rest, err := part(text, n == 3)
		if err != nil || rest == "" {
			return n
		}
		text = rest[1:]
	}
}
