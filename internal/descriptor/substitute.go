package descriptor

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Variables are the values of ${NAME} in a context, and whether the file that
// uses them is known to have them.
type Variables struct {
	values map[string]*source.Value
	// Partly says that some could not be read, so that a name that is not among them is
	// no mistake of its own.
	Partly bool
}

// NewVariables lays several files of variables over one another, the lowest
// first. Each is a map from an upper-case name to a scalar.
func NewVariables(layers ...*source.Value) (*Variables, source.Findings) {
	var fs source.Findings
	vs := &Variables{values: map[string]*source.Value{}}
	for _, layer := range layers {
		if layer.IsNull() {
			continue
		}
		if layer.Kind != source.Map {
			fs.Add("wrong-type", layer.Origin, "", "write NAME: value", "variables are a map, and this is %s", layer.Kind)
			continue
		}
		for _, f := range layer.Fields {
			switch {
			case !variableName.MatchString(f.Key):
				fs.Add("variable", f.Origin, f.Key, "use A to Z, 0 to 9 and _", "%q is no name of a variable", f.Key)
			case !f.Value.IsScalar():
				fs.Add("variable", f.Origin, f.Key, "give it text, a number, true or false", "a variable is a scalar, and this is %s", f.Value.Kind)
			default:
				vs.values[f.Key] = f.Value
			}
		}
	}
	return vs, fs
}

var variableName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// segment is a piece of text: literal, or what stands between ${ and }.
type segment struct {
	literal string
	expr    string
	isExpr  bool
	offset  int // of an expression in the text
}

// split cuts text at its substitutions. `$${` is the literal `${`.
func split(text string) ([]segment, error) {
	var out []segment
	var literal strings.Builder
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "$${"):
			literal.WriteString("${")
			i += 3
		case strings.HasPrefix(text[i:], "${"):
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, &unclosedError{offset: i}
			}
			if literal.Len() > 0 {
				out = append(out, segment{literal: literal.String()})
				literal.Reset()
			}
			out = append(out, segment{expr: text[i+2 : i+end], isExpr: true, offset: i})
			i += end + 1
		default:
			literal.WriteByte(text[i])
			i++
		}
	}
	if literal.Len() > 0 {
		out = append(out, segment{literal: literal.String()})
	}
	return out, nil
}

// unclosedError says that an expression has no end.
type unclosedError struct{ offset int }

func (e *unclosedError) Error() string { return "a ${ is not closed" }

const literalHint = "write $${ for the characters ${"

// apply substitutes the variables in every string of v; what refers to a
// service's or a friend's outputs stays for later.
func (vs *Variables) apply(v *source.Value, path string, fs *source.Findings) *source.Value {
	return mapStrings(v, path, bounded(fs, func(v *source.Value, path string) *source.Value {
		if !strings.Contains(v.Text, "${") {
			return v
		}
		segments, err := split(v.Text)
		if err != nil {
			fs.Add("substitution", v.Origin, path, literalHint, "%s", err)
			return v.Break()
		}
		var b strings.Builder
		changed := false
		for _, s := range segments {
			name, fallback, hasFallback := strings.Cut(s.expr, ":-")
			if !s.isExpr || !variableName.MatchString(name) {
				b.WriteString(again(s))
				continue
			}
			changed = true
			value := vs.get(name)
			switch {
			case value != nil:
			case hasFallback:
				value = &source.Value{Kind: source.PlainKind(fallback), Text: fallback, Origin: v.Origin}
				if value.Kind == source.Null {
					value.Kind = source.String
				}
			case vs != nil && vs.Partly:
				return v.Break()
			default:
				fs.Add("unknown-variable", v.Origin, path, vs.hint(name), "there is no variable %s", name)
				return v.Break()
			}
			if len(segments) == 1 {
				out := *value
				out.Origin = source.Origin{Position: v.Origin.Position, Because: "variable " + name + " of " + value.Origin.String()}
				out.Text = escape(value.Text)
				return &out
			}
			b.WriteString(escape(value.Text))
			if b.Len() > maxString {
				tooLong(v, path, fs)
				return v.Break()
			}
		}
		if !changed {
			return v
		}
		out := *v
		out.Text = b.String()
		return &out
	}))
}

// maxString bounds a text after substitution, in bytes: no object of Kubernetes
// holds more.
const maxString = 1 << 20

func tooLong(v *source.Value, path string, fs *source.Findings) {
	fs.Add("limit", v.Origin, path, "put large texts into files of a mount", "the text is longer than the bound of %d KiB after substitution", maxString>>10)
}

// again writes a segment as it stood, for the next round of substitution.
func again(s segment) string {
	if s.isExpr {
		return "${" + s.expr + "}"
	}
	return escape(s.literal)
}

// escape keeps text from being substituted in a later round.
func escape(text string) string { return strings.ReplaceAll(text, "${", "$${") }

func (vs *Variables) get(name string) *source.Value {
	if vs == nil {
		return nil
	}
	return vs.values[name]
}

func (vs *Variables) hint(name string) string {
	if vs == nil || len(vs.values) == 0 {
		return fmt.Sprintf("give the context a file of variables in kai-workspace.yaml, or a default: ${%s:-value}", name)
	}
	return source.Nearest(name, sortedKeys(vs.values))
}

// maxText bounds the text that substitutions bring into one value or one
// context, in bytes.
const maxText = 64 << 20

func tooMuch(v *source.Value, path string, fs *source.Findings) *source.Value {
	fs.Add("limit", v.Origin, path, "substitute in fewer places", "the substituted texts have more than the bound of %d MiB together", maxText>>20)
	return v.Break()
}

// bounded lets f make texts until they pass a bound together.
func bounded(fs *source.Findings, f func(v *source.Value, path string) *source.Value) func(v *source.Value, path string) *source.Value {
	made := 0
	return func(v *source.Value, path string) *source.Value {
		if made > maxText {
			return v.Break()
		}
		out := f(v, path)
		if out != v && out != nil {
			if made += len(out.Text); made > maxText {
				return tooMuch(v, path, fs)
			}
		}
		return out
	}
}

// mapStrings rebuilds v with every text value replaced by what f gives.
func mapStrings(v *source.Value, path string, f func(v *source.Value, path string) *source.Value) *source.Value {
	if v == nil {
		return nil
	}
	switch v.Kind {
	case source.String:
		return f(v, path)
	case source.List:
		var out *source.Value
		for i, item := range v.Items {
			if got := mapStrings(item, index(path, i), f); got != item {
				if out == nil {
					out = v.Shallow()
				}
				out.Items[i] = got
			}
		}
		if out != nil {
			return out
		}
	case source.Map:
		var out *source.Value
		for i, field := range v.Fields {
			if got := mapStrings(field.Value, join(path, field.Key), f); got != field.Value {
				if out == nil {
					out = v.Shallow()
				}
				out.Fields[i].Value = got
			}
		}
		if out != nil {
			return out
		}
	}
	return v
}

// Credential is a secret that a friend has: the friend's name among the
// consumer's friends, and the key in the friend's Secret. It stands for a value
// that nobody but the cluster knows.
type Credential struct {
	Friend string
	Key    string
}

// Part is a piece of substituted text: literal, or a credential.
type Part struct {
	Text       string
	Credential *Credential
}

// Names resolves what stands between ${ and } in a service's strings. A name
// whose outputs are nil belongs to a friend that is wrong in itself.
type Names map[string]*Outputs

// Outputs are what a service gives to those who call it.
type Outputs struct {
	Name      string
	Namespace string
	Routes    []RoutePorts
	// Config holds further values; Credentials the names of its secrets.
	Config      *source.Value
	Credentials map[string]Credential
	// Plain holds credentials that are no secret, such as a user's fixed name.
	Plain *source.Value
	// Partly says that what is said of the routes is wrong, so that a port that is not
	// among them is no mistake of who asks for it.
	Partly bool
	// External says that name, address and ports are not known, because the
	// friend is somewhere else.
	External bool
}

// RoutePorts are a route's ports; Port is zero where it opens the container only.
type RoutePorts struct {
	Name          string
	Port          int
	ContainerPort int
	Protocol      string
}

// Address gives NAME.NAMESPACE, or NAME where the namespace is not known.
func (o *Outputs) Address() string {
	if o.Namespace == "" {
		return o.Name
	}
	return o.Name + "." + o.Namespace
}

// lookup resolves a dotted expression such as friends.redis.config.host.
func (n Names) lookup(expr string) (*source.Value, *Credential, string) {
	head, rest, _ := strings.Cut(expr, ".")
	prefix := head
	switch head {
	case "config", "credentials":
		// Inside a friend's file, its own.
		prefix, rest = "self", expr
	case "friends":
		name, more, _ := strings.Cut(rest, ".")
		prefix, rest = "friends."+name, more
	}
	o, known := n[prefix]
	if known && o == nil {
		return &source.Value{Kind: source.String, Broken: true}, nil, ""
	}
	if o == nil {
		if prefix == "service" {
			return nil, nil, "services share this friend, so it cannot know one of them: give it a value of its own"
		}
		var known []string
		for _, k := range sortedKeys(n) {
			known = append(known, k+".…")
		}
		return nil, nil, source.Nearest(prefix+".…", known)
	}
	field, key, _ := strings.Cut(rest, ".")
	switch field {
	case "config":
		v := o.Config
		for k := range strings.SplitSeq(key, ".") {
			v = v.Get(k)
		}
		if v.IsScalar() {
			return v, nil, ""
		}
		return nil, nil, source.Nearest(key, o.Config.Keys())
	case "credentials":
		if c, ok := o.Credentials[key]; ok {
			return nil, &c, ""
		}
		if v := o.Plain.Get(key); v.IsScalar() {
			return v, nil, ""
		}
		return nil, nil, source.Nearest(key, sortedKeys(o.Credentials))
	}
	if o.External {
		return nil, nil, prefix + " is not installed by kai: give it what is needed under config"
	}
	return o.own(prefix, field, key)
}

// own resolves what follows from the service itself: its name and its ports.
func (o *Outputs) own(prefix, field, key string) (*source.Value, *Credential, string) {
	at := source.Origin{Because: prefix}
	switch field {
	case "name":
		return source.NewString(at, o.Name), nil, ""
	case "namespace":
		if o.Namespace == "" {
			return nil, nil, "the workspace gives this context no namespace"
		}
		return source.NewString(at, o.Namespace), nil, ""
	case "address":
		return source.NewString(at, o.Address()), nil, ""
	case "port", "ports", "containerPort", "containerPorts":
		var known []string
		for _, r := range o.Routes {
			port := r.Port
			if strings.HasPrefix(field, "container") {
				port = r.ContainerPort
			}
			if port == 0 {
				continue
			}
			if (key == "" && !strings.HasSuffix(field, "s")) || (key == r.Name && strings.HasSuffix(field, "s")) {
				return source.NewInt(at, port), nil, ""
			}
			known = append(known, r.Name)
		}
		if o.Partly {
			return &source.Value{Kind: source.String, Broken: true}, nil, ""
		}
		if len(known) == 0 {
			return nil, nil, prefix + " opens no port"
		}
		return nil, nil, source.Nearest(key, known)
	}
	return nil, nil, source.Nearest(field, []string{"name", "namespace", "address", "port", "ports.ROUTE", "containerPort", "containerPorts.ROUTE", "config.KEY", "credentials.KEY"})
}

// Parts substitutes all that is left to substitute in one string. A string that
// is one expression and nothing else keeps the kind of what it names.
func (n Names) Parts(v *source.Value, path string, fs *source.Findings) ([]Part, *source.Value) {
	if !strings.Contains(v.Text, "${") {
		return nil, v
	}
	segments, err := split(v.Text)
	if err != nil {
		fs.Add("substitution", v.Origin, path, literalHint, "%s", err)
		return nil, v.Break()
	}
	var parts []Part
	var text strings.Builder
	mixed := false
	for _, s := range segments {
		if !s.isExpr {
			parts = append(parts, Part{Text: s.literal})
			text.WriteString(s.literal)
			continue
		}
		value, credential, hint := n.lookup(s.expr)
		switch {
		case credential != nil:
			mixed = true
			parts = append(parts, Part{Credential: credential})
		case value == nil:
			if hint == "" {
				hint = literalHint
			}
			fs.Add("unknown-output", v.Origin, path, hint, "${%s} is not defined", s.expr)
			return nil, v.Break()
		case value.Broken:
			return nil, v.Break()
		case len(segments) == 1:
			out := *value
			out.Origin, out.Over = source.Origin{Position: v.Origin.Position, Because: "${" + s.expr + "} " + value.Origin.String()}, v.Over
			return nil, &out
		default:
			parts = append(parts, Part{Text: value.Text})
			text.WriteString(value.Text)
			if text.Len() > maxString {
				tooLong(v, path, fs)
				return nil, v.Break()
			}
		}
	}
	if mixed {
		return parts, v
	}
	out := *v
	out.Text = text.String()
	return nil, &out
}

// Apply substitutes in every string of v. Where a credential would have to be
// written as text, that is a finding.
func (n Names) Apply(v *source.Value, path string, fs *source.Findings) *source.Value {
	return mapStrings(v, path, bounded(fs, func(v *source.Value, path string) *source.Value {
		parts, out := n.Parts(v, path, fs)
		if parts != nil {
			fs.Add("credential", v.Origin, path, "a credential can stand in env, args, commands and files with template: true", "a credential cannot be written here")
			return v.Break()
		}
		return out
	}))
}

// Text substitutes in the text of a file. Credentials are handed to mark, which
// gives what is written in their place. Findings stand where in the file they
// are; path is of the value that names the file.
func (n Names) Text(file, text, path string, vars *Variables, mark func(Credential) string, fs *source.Findings) string {
	at := func(offset int) source.Origin {
		before := text[:offset]
		return source.Origin{Position: source.Position{
			File: file, Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]),
		}}
	}
	segments, err := split(text)
	var unclosed *unclosedError
	if errors.As(err, &unclosed) {
		fs.Add("substitution", at(unclosed.offset), path, literalHint, "%s", err)
		return text
	}
	var b strings.Builder
	for _, s := range segments {
		if !s.isExpr {
			b.WriteString(s.literal)
			continue
		}
		name, fallback, hasFallback := strings.Cut(s.expr, ":-")
		if variableName.MatchString(name) {
			switch v := vars.get(name); {
			case v != nil:
				b.WriteString(v.Text)
			case hasFallback:
				b.WriteString(fallback)
			default:
				fs.Add("unknown-variable", at(s.offset), path, vars.hint(name), "there is no variable %s", name)
			}
			continue
		}
		value, credential, hint := n.lookup(s.expr)
		switch {
		case credential != nil:
			b.WriteString(mark(*credential))
		case value != nil:
			b.WriteString(value.Text)
		default:
			if hint == "" {
				hint = literalHint
			}
			fs.Add("unknown-output", at(s.offset), path, hint, "${%s} is not defined", s.expr)
		}
	}
	return b.String()
}

// Apply substitutes the variables in every string of v and leaves all other
// substitutions as they stand.
func (vs *Variables) Apply(v *source.Value, path string, fs *source.Findings) *source.Value {
	return vs.apply(v, path, fs)
}

// And lays more variables over these.
func (vs *Variables) And(over *source.Value) (*Variables, source.Findings) {
	if over.IsNull() {
		return vs, nil
	}
	more, findings := NewVariables(over)
	out := &Variables{values: map[string]*source.Value{}, Partly: vs != nil && vs.Partly}
	for _, from := range []*Variables{vs, more} {
		if from != nil {
			for k, v := range from.values {
				out.values[k] = v
			}
		}
	}
	return out, findings
}
