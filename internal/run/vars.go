package run

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Named is a variable that is one key of a store, under a name of its own.
type Named struct {
	Name            string
	App, Scope, Key string
}

// of gives the place of its key in a deployment, in an app.
func (n Named) of(deployment, app string) secrets.Key {
	return secrets.Key{Deployment: deployment, App: app, Scope: n.Scope, Name: n.Key}
}

// parseNamed reads NAME=APP.SCOPE.KEY, several on lines of their own or with
// commas between, which count as any other character inside of double quotes. No
// error quotes more than a name: what stands behind it may be a value that got
// into the wrong place.
func parseNamed(text string) ([]Named, error) {
	var out []Named
	var wrong []error
	for i, entry := range entries(text) {
		name, place, ok := strings.Cut(entry, "=")
		if !ok || !nameable(name) {
			wrong = append(wrong, fmt.Errorf("variable %d is not NAME=APP.SCOPE.KEY", i+1))
			continue
		}
		fail := func(format string, args ...any) {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, fmt.Errorf(format, args...)))
		}
		p, err := secrets.ParsePattern(place)
		key, one := p.Key("")
		switch {
		case err != nil:
			fail("%w", err)
		case !one:
			fail("the place is not that of one key\n  hint: write APP.SCOPE.KEY; one that is called all stands in double quotes")
		case strings.Contains(key.App, "/"):
			fail("%q is no app", key.App)
		case slices.ContainsFunc(out, func(n Named) bool { return fold(n.Name) == fold(name) }):
			fail("there are two variables of this name")
		default:
			out = append(out, Named{name, key.App, key.Scope, key.Name})
		}
	}
	return out, errors.Join(wrong...)
}

// nameable says whether a text can be the name of a variable in a container.
func nameable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '=' || r == '"' || r == '$' || r == '(' || r == ')'
	})
}

// entries takes a list apart. A quote begins where a part of a place does.
func entries(text string) []string {
	var out []string
	quoted, begin := false, 0
	add := func(end int) {
		if entry := strings.TrimSpace(text[begin:end]); entry != "" {
			out = append(out, entry)
		}
		begin = end + 1
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' && quoted:
			quoted = false
		case c == '"':
			quoted = i > 0 && (text[i-1] == '=' || text[i-1] == '.')
		case c == '\n':
			add(i)
			quoted = false
		case c == ',' && !quoted:
			add(i)
		}
	}
	if begin <= len(text) {
		add(len(text))
	}
	return out
}

// fallback gives the paths of the app global that are read for want of a key in
// what was read.
func (c Config) fallback(docs map[secrets.Path]secrets.Doc) []secrets.Path {
	var out []secrets.Path
	for _, n := range c.Vars {
		path := n.of(c.Deployment, secrets.Global).Path()
		own := n.of(c.Deployment, n.App)
		if _, there := docs[own.Path()].Values[n.Key]; there || c.NoGlobal || n.App == secrets.Global {
			continue
		}
		if !slices.Contains(out, path) && !slices.Contains(c.asked(), path) {
			out = append(out, path)
		}
	}
	return out
}

// named sets the variables of --var, over all but the host's that are to win.
func (b *builder) named(docs map[secrets.Path]secrets.Doc) {
	for _, n := range b.config.Vars {
		own, shared := n.of(b.config.Deployment, n.App), n.of(b.config.Deployment, secrets.Global)
		key := own
		value, there := docs[own.Path()].Values[n.Key]
		if !there && !b.config.NoGlobal {
			key = shared
			value, there = docs[shared.Path()].Values[n.Key]
		}
		switch {
		case there:
			if value, ok := b.text(key, value, "keep it in base64, or give it by a file"); ok {
				b.put(n.Name, value, key)
			}
		case own == shared || b.config.NoGlobal:
			b.wrong = append(b.wrong, fmt.Errorf("%s: there is no %s", n.Name, place(own)))
		default:
			b.wrong = append(b.wrong, fmt.Errorf("%s: there is neither %s nor %s", n.Name, place(own), place(shared)))
		}
	}
}

// expand puts values in place of $(NAME) for the variables of --var that came from
// the store, wherever it stands, as in the $(…) of a shell that Kubernetes has made of
// $$(…). Two dollars before the parenthesis are one that stays, and all else is left as
// it is.
func (e *Environment) expand(text string) string {
	if len(e.named) == 0 || !strings.Contains(text, "$(") {
		return text
	}
	var b strings.Builder
	for text != "" {
		at := strings.IndexByte(text, '$')
		if at < 0 {
			break
		}
		b.WriteString(text[:at])
		text = text[at:]
		dollars := len(text) - len(strings.TrimLeft(text, "$"))
		length := strings.IndexByte(text[dollars:], ')')
		var value secrets.Value
		ours := false
		if length > 0 && text[dollars] == '(' {
			value, ours = e.named[text[dollars+1:dollars+length]]
		}
		if !ours {
			b.WriteString(text[:dollars])
			text = text[dollars:]
			continue
		}
		b.WriteString(strings.Repeat("$", dollars/2))
		if dollars%2 == 0 {
			b.WriteString(text[dollars : dollars+length+1])
		} else {
			b.WriteString(value.Reveal())
		}
		text = text[dollars+length+1:]
	}
	return b.String() + text
}

// argv gives a command with its references expanded.
func (e *Environment) argv(command []string) []string {
	out := make([]string, len(command))
	for i, word := range command {
		out[i] = e.expand(word)
	}
	return out
}
