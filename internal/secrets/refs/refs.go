// Package refs reads references to secrets that other stores keep, in the form
// that many tools share:
//
//	ref+SCHEME://PATH[?NAME=VALUE&…][#/KEY/KEY…][+]
//
// secretref+ means the same. Schemes are
//
//	vault  ref+vault://MOUNT/PATH#/KEY
//	k8s    ref+k8s://v1/Secret/NAMESPACE/NAME/KEY, also of a ConfigMap
//	file   ref+file://PATH, in a folder that the caller chooses, or in one that it lists
//	env    ref+env://NAME, but none that kai itself logs in with
//	exec   ref+exec://COMMAND ARGUMENT…, only where the caller allows it
//
// Percent-encoding gives what has a meaning here (%23 for #, %3F for ?, %2B for
// +). The keys go into what stands there: into the fields of Vault's entry, and
// else into the maps and lists of YAML or JSON; ~1 is a slash in a key, ~0 a ~, as
// in a JSON pointer. Without keys it is all of it: of Vault's entry and of a map or a
// list in another its JSON, and of a file and of what a command prints the text, without
// one line's end at its end, which editors and programs put there.
//
// No error shows what was read.
package refs

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/source"
)

// The schemes.
const (
	Vault = "vault"
	File  = "file"
	Env   = "env"
	K8s   = "k8s"
	Exec  = "exec"
)

// parameters are those that each scheme has.
var parameters = map[string][]string{
	Vault: {"address", "namespace", "token_env", "token_file"},
	File:  nil,
	Env:   nil,
	K8s:   nil,
	Exec:  nil,
}

// Schemes lists the schemes.
func Schemes() []string { return []string{Vault, File, Env, K8s, Exec} }

// maxText bounds a reference, maxKeys how deep it goes.
const (
	maxText = 4096
	maxKeys = 50
)

// Ref is a reference that Parse has read.
type Ref struct {
	Scheme string
	// Path is what is read: of vault and file a path, of env a variable, of k8s
	// KIND/NAMESPACE/NAME, of exec the command's words, each after a NUL but the
	// first.
	Path   string
	Params map[string]string
	// Keys lead into what was read.
	Keys []string
}

// Is says whether a text is meant as a reference.
func Is(text string) bool {
	return strings.HasPrefix(text, "ref+") || strings.HasPrefix(text, "secretref+")
}

// SyntaxError says what is wrong in a reference's text.
type SyntaxError struct {
	Offset  int // in bytes, from the text's begin
	Message string
	Hint    string
}

func (e *SyntaxError) Error() string {
	text := fmt.Sprintf("character %d: %s", e.Offset+1, e.Message)
	if e.Hint != "" {
		text += "\n  hint: " + e.Hint
	}
	return text
}

// shapes are the forms of the schemes' references, for hints.
var shapes = map[string]string{
	Vault: "ref+vault://MOUNT/PATH#/KEY",
	File:  "ref+file://PATH#/KEY",
	Env:   "ref+env://NAME",
	K8s:   "ref+k8s://v1/Secret/NAMESPACE/NAME/KEY",
	Exec:  "ref+exec://COMMAND ARGUMENT…",
}

// parser is where the reading of a text stands.
type parser struct {
	text string
	at   int
}

func (p *parser) fail(at int, hint, format string, args ...any) error {
	return &SyntaxError{Offset: at, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Parse reads a reference. Every error is a *SyntaxError.
func Parse(text string) (Ref, error) {
	p := &parser{text: text}
	switch {
	case len(text) > maxText:
		return Ref{}, p.fail(maxText, "", "a reference has at most %d bytes", maxText)
	case !utf8.ValidString(text):
		return Ref{}, p.fail(0, "", "a reference is text in UTF-8")
	}
	if at := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }); at >= 0 {
		return Ref{}, p.fail(at, "write it percent-encoded", "a control character cannot stand in a reference")
	}
	if err := p.ends(); err != nil {
		return Ref{}, err
	}
	r := Ref{}
	if err := p.scheme(&r); err != nil {
		return Ref{}, err
	}
	start := p.at
	end := len(p.text)
	if i := strings.IndexAny(p.text[start:], "?#"); i >= 0 {
		end = start + i
	}
	p.at = end
	if err := p.params(&r); err != nil {
		return Ref{}, err
	}
	if err := p.keys(&r); err != nil {
		return Ref{}, err
	}
	if err := p.path(&r, start, end); err != nil {
		return Ref{}, err
	}
	return r, nil
}

// ends takes the + off that may end a reference, behind which nothing stands.
func (p *parser) ends() error {
	_, after, ok := strings.Cut(p.text, "+")
	if !ok {
		return nil // scheme says so
	}
	begin := len(p.text) - len(after)
	i := strings.IndexByte(after, '+')
	switch {
	case i < 0:
	case i == len(after)-1:
		p.text = p.text[:begin+i]
	default:
		return p.fail(begin+i+1, "a reference is a value of its own; write a + in it as %2B", "text stands behind the + that ends the reference")
	}
	return nil
}

func (p *parser) scheme(r *Ref) error {
	rest, ok := strings.CutPrefix(p.text, "secretref+")
	if !ok {
		rest, ok = strings.CutPrefix(p.text, "ref+")
	}
	if !ok {
		return p.fail(0, "write "+shapes[Vault], "a reference begins with ref+")
	}
	at := len(p.text) - len(rest)
	scheme, rest, ok := strings.Cut(rest, "://")
	switch {
	case !slices.Contains(Schemes(), scheme):
		if !ok || len(scheme) > 30 {
			return p.fail(at, "write "+shapes[Vault], "the scheme is not followed by ://")
		}
		return p.fail(at, source.Nearest(scheme, Schemes()), "kai reads no references of the scheme %q", scheme)
	case !ok:
		return p.fail(at+len(scheme), "write "+shapes[scheme], "the scheme is not followed by ://")
	}
	r.Scheme = scheme
	p.at = len(p.text) - len(rest)
	return nil
}

// credentials are parameters of other tools that kai takes from where it runs.
var credentials = []string{"auth_method", "role_id", "secret_id", "role_id_env", "secret_id_env", "username", "password", "password_env", "password_file", "token", "inCluster", "kubeContext", "kubeConfigPath"}

// params reads ?NAME=VALUE&…. What a value is, no error says.
func (p *parser) params(r *Ref) error {
	if p.at == len(p.text) || p.text[p.at] != '?' {
		return nil
	}
	end := len(p.text)
	if i := strings.IndexByte(p.text[p.at:], '#'); i >= 0 {
		end = p.at + i
	}
	at := p.at + 1
	p.at = end
	r.Params = map[string]string{}
	for _, pair := range strings.Split(p.text[at:end], "&") {
		name, value, ok := strings.Cut(pair, "=")
		known := parameters[r.Scheme]
		decoded, err := url.PathUnescape(value)
		_, twice := r.Params[name]
		switch {
		case slices.Contains(credentials, name):
			return p.fail(at, "remove it: how kai logs in is set where it runs, not in a reference", "the parameter %s is not kai's", name)
		case !slices.Contains(known, name):
			hint := source.Nearest(name, known)
			if len(known) == 0 {
				hint = "references of the scheme " + r.Scheme + " have no parameters; a ? of the path is written %3F"
			}
			return p.fail(at, hint, "the parameter %.40q is not known", name)
		case !ok || value == "":
			return p.fail(at, "write "+name+"=VALUE", "the parameter %s has no value", name)
		case twice:
			return p.fail(at, "keep one of the two", "the parameter %s stands there twice", name)
		case err != nil || !clean(decoded):
			return p.fail(at+len(name)+1, "write a % as %25", "the value of the parameter %s is not percent-encoded", name)
		}
		r.Params[name] = decoded
		at += len(pair) + 1
	}
	if r.Params["token_env"] != "" && r.Params["token_file"] != "" {
		return p.fail(strings.Index(p.text, "token_file"), "keep one of the two", "token_env and token_file exclude one another")
	}
	return nil
}

// keys reads #/KEY/KEY….
func (p *parser) keys(r *Ref) error {
	if p.at == len(p.text) {
		return nil
	}
	at := p.at + 1
	rest := p.text[at:]
	if strings.HasPrefix(rest, "/") {
		rest, at = rest[1:], at+1
	}
	if rest == "" {
		return p.fail(p.at, "write #/KEY, or leave out the #", "no key stands behind the #")
	}
	for _, part := range strings.Split(rest, "/") {
		key, err := url.PathUnescape(part)
		switch {
		case err != nil || !clean(key):
			return p.fail(at, "write a % as %25", "this key is not percent-encoded")
		case key == "":
			return p.fail(at, "write #/KEY/KEY; a slash in a key is ~1", "a key is empty")
		case len(r.Keys) == maxKeys:
			return p.fail(at, "", "it has more than %d keys", maxKeys)
		}
		r.Keys = append(r.Keys, strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~"))
		at += len(part) + 1
	}
	p.at = len(p.text)
	return nil
}

// clean says whether a decoded text can be one: nothing is named by control
// characters.
func clean(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// path reads what stands between the scheme and its parameters.
func (p *parser) path(r *Ref, start, end int) error {
	decoded, err := url.PathUnescape(p.text[start:end])
	switch {
	case err != nil || !clean(decoded):
		return p.fail(start, "write a % as %25", "the path is not percent-encoded")
	case strings.TrimSpace(decoded) == "":
		return p.fail(start, "write "+shapes[r.Scheme], "nothing stands behind ://")
	}
	r.Path = decoded
	switch r.Scheme {
	case Vault:
		return p.vault(r, start)
	case File:
		r.Path = path.Clean(decoded)
		if base := path.Base(r.Path); decoded[len(decoded)-1] == '/' || strings.Trim(base, "/ \t") == "" || base == "." || base == ".." {
			return p.fail(start, "write "+shapes[File], "this is a folder, and no file")
		}
	case Env:
		if strings.ContainsAny(decoded, "=/") {
			return p.fail(start, "write "+shapes[Env], "this is no name of a variable")
		}
	case K8s:
		return p.k8s(r, start)
	case Exec:
		words, at := Words(decoded)
		if at >= 0 {
			return p.fail(start, "close the quotes", "a quote is not closed")
		}
		if len(words) == 0 || words[0] == "" {
			return p.fail(start, "write "+shapes[Exec], "there is no command")
		}
		r.Path = strings.Join(words, "\x00")
	}
	return nil
}

func (p *parser) vault(r *Ref, start int) error {
	r.Path = strings.Trim(r.Path, "/")
	parts := strings.Split(r.Path, "/")
	for _, part := range parts {
		if part == "" || part == "." || part == ".." {
			return p.fail(start, "write "+shapes[Vault], "the path has an empty part, or one of dots")
		}
	}
	if len(parts) < 2 {
		return p.fail(start, "write "+shapes[Vault], "the path names a mount, and nothing in it")
	}
	return nil
}

// kinds are the objects of a cluster that hold values.
var kinds = []string{"Secret", "ConfigMap"}

// k8s reads v1/KIND/NAMESPACE/NAME/KEY, of which the key comes before others.
func (p *parser) k8s(r *Ref, start int) error {
	parts := strings.Split(strings.Trim(r.Path, "/"), "/")
	switch {
	case len(parts) != 5 || slices.Contains(parts, ""):
		return p.fail(start, "write "+shapes[K8s], "the path does not have five parts")
	case parts[0] != "v1":
		return p.fail(start, "write "+shapes[K8s], "kai reads objects of v1 alone")
	case !slices.Contains(kinds, parts[1]):
		return p.fail(start+len("v1/"), source.Nearest(parts[1], kinds), "kai reads no %.40q", parts[1])
	}
	for _, name := range parts[2:4] {
		if strings.Trim(name, "-.abcdefghijklmnopqrstuvwxyz0123456789") != "" || strings.Trim(name, "-.") != name {
			return p.fail(start, "lower-case letters, digits, dots and dashes", "%.40q is no name of Kubernetes", name)
		}
	}
	r.Path = strings.Join(parts[1:4], "/")
	r.Keys = append([]string{parts[4]}, r.Keys...)
	return nil
}

// Words splits a command as a shell does, without a shell's other meanings: at
// blanks that stand in no quotes. A backslash takes the next character as it is,
// but not in single quotes. It gives where a quote begins that does not end, or -1.
func Words(text string) (words []string, open int) {
	var word strings.Builder
	var quote rune
	began, escaped := false, false
	open = -1
	for i, c := range text {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, began = true, true
		case quote != 0 && c == quote:
			quote, open = 0, -1
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, open, began = c, i, true
		case c == ' ' || c == '\t':
			if began {
				words = append(words, word.String())
			}
			word.Reset()
			began = false
		default:
			word.WriteRune(c)
			began = true
		}
	}
	if escaped {
		word.WriteByte('\\')
	}
	if began {
		words = append(words, word.String())
	}
	return words, open
}

// Argv gives the words of a command that is executed.
func (r Ref) Argv() []string { return strings.Split(r.Path, "\x00") }

// source gives what is read, without where it goes into: references of one
// source are read together.
func (r Ref) source() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\x01%s", r.Scheme, r.Path)
	for _, name := range parameters[r.Scheme] {
		fmt.Fprintf(&b, "\x01%s", r.Params[name])
	}
	return b.String()
}

// place says what is read, for messages. Of a command it is its name alone: what
// follows may be secret.
func (r Ref) place() string {
	switch r.Scheme {
	case Vault:
		return r.Path + " in Vault"
	case File:
		return "the file " + r.Path
	case Env:
		return "the variable " + r.Path
	case K8s:
		parts := strings.Split(r.Path, "/")
		return fmt.Sprintf("the %s %s in the namespace %s", parts[0], parts[2], parts[1])
	}
	return "the command " + r.Argv()[0]
}

// String gives the reference in its plainest form.
func (r Ref) String() string {
	var b strings.Builder
	b.WriteString("ref+" + r.Scheme + "://")
	keys := r.Keys
	switch r.Scheme {
	case K8s:
		b.WriteString("v1/" + escape(r.Path) + "/" + escape(keys[0]))
		keys = keys[1:]
	case Exec:
		for i, word := range r.Argv() {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(escape(quote(word)))
		}
	default:
		b.WriteString(escape(r.Path))
	}
	separator := byte('?')
	for _, name := range parameters[r.Scheme] {
		if r.Params[name] != "" {
			b.WriteByte(separator)
			b.WriteString(name + "=" + strings.ReplaceAll(escape(r.Params[name]), "&", "%26"))
			separator = '&'
		}
	}
	if len(keys) > 0 {
		b.WriteByte('#')
	}
	for _, key := range keys {
		b.WriteString("/" + escape(strings.NewReplacer("~", "~0", "/", "~1").Replace(key)))
	}
	return b.String()
}

// escape writes what has a meaning in a reference percent-encoded.
func escape(text string) string {
	return strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23", "+", "%2B").Replace(text)
}

// quote writes a word of a command so that Words gives it.
func quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t'\"\\") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
