package run

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Environment is what a command is started with.
type Environment struct {
	Vars     []Var // sorted by name
	Files    []File
	Warnings []string

	named map[string]secrets.Value // what $(NAME) is expanded to
}

// Var is a variable.
type Var struct {
	Name  string
	Value secrets.Value
	// From is the key that it comes from; without a name it is the host.
	From secrets.Key
	// Over are those that it won over, the strongest first.
	Over []secrets.Key
}

// File is a file.
type File struct {
	Name    string // as in KFILE_NAME_PATH
	Path    string // below the folder that files are confined to
	Mode    fs.FileMode
	Content secrets.Value
	From    secrets.Key
	Over    []secrets.Key
}

// Paths gives the paths that a run may read, each once, those whose keys become
// variables first, the weakest of these before the others.
func (c Config) Paths() []secrets.Path { return append(c.asked(), c.fallback(nil)...) }

// asked gives the paths that are read whatever they hold.
func (c Config) asked() []secrets.Path {
	paths := c.wholes()
	for _, n := range c.Vars {
		if path := n.of(c.Deployment, n.App).Path(); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// wholes gives the paths whose keys all become variables, the weakest first.
func (c Config) wholes() []secrets.Path {
	apps := c.Apps
	switch {
	case len(c.Vars) > 0 && len(c.Apps) == 0:
		return nil
	case !c.NoGlobal:
		apps = append([]string{secrets.Global}, apps...)
	}
	paths := make([]secrets.Path, 0, len(apps)*len(c.Scopes))
	for _, app := range apps {
		for _, scope := range c.Scopes {
			paths = append(paths, secrets.Path{Deployment: c.Deployment, App: app, Scope: scope})
		}
	}
	return paths
}

// Build makes the environment of what a store holds at c.Paths. Its error names
// every key that cannot be used.
func Build(c Config, docs map[secrets.Path]secrets.Doc) (*Environment, error) {
	b := &builder{config: c, vars: map[string]*Var{}, files: map[string]*parts{}}
	if !c.Pristine && !c.HostWins {
		b.host()
	}
	filled := map[string]bool{}
	for _, path := range c.wholes() {
		if values := docs[path].Values; len(values) > 0 {
			filled[path.App] = true
			b.path(path, values)
		}
	}
	for _, app := range c.Apps {
		if !filled[app] {
			b.warn("%s/%s holds nothing in %s", c.Deployment, app, strings.Join(c.Scopes, ", "))
		}
	}
	b.named(docs)
	if c.HostWins {
		b.host()
	}
	env := &Environment{Warnings: b.warnings, named: map[string]secrets.Value{}}
	for _, n := range c.Vars {
		if v := b.vars[fold(n.Name)]; v != nil && v.From.Name != "" {
			env.named[n.Name] = v.Value
		}
	}
	for _, v := range b.vars {
		if v.From.Name == "" {
			v.Value = secrets.New(env.expand(v.Value.Reveal()))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.vars)) {
		env.Vars = append(env.Vars, *b.vars[name])
	}
	env.Files = b.allFiles()
	return env, errors.Join(b.wrong...)
}

type builder struct {
	config   Config
	vars     map[string]*Var // by the folded name
	files    map[string]*parts
	wrong    []error
	warnings []string
}

func (b *builder) fail(key secrets.Key, format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Errorf("%s: %s", place(key), fmt.Sprintf(format, args...)))
}

func (b *builder) warn(format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf(format, args...))
}

// place gives a key as DEPLOYMENT/APP/SCOPE/NAME; none is the host.
func place(k secrets.Key) string {
	if k == (secrets.Key{}) {
		return "host"
	}
	return k.Path().String() + "/" + plain(k.Name)
}

// plain gives a name as it is, or quoted where a terminal or a reader would be
// misled.
func plain(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

func (b *builder) host() {
	for _, entry := range b.config.Host {
		// Windows has names that begin with =.
		if at := strings.IndexByte(entry[min(1, len(entry)):], '=') + 1; at > 0 {
			b.put(entry[:at], secrets.New(entry[at+1:]), secrets.Key{})
		}
	}
}

// put sets a variable over what it may have been.
func (b *builder) put(name string, value secrets.Value, from secrets.Key) {
	v := &Var{Name: name, Value: value, From: from}
	if old := b.vars[fold(name)]; old != nil {
		v.Over = append([]secrets.Key{old.From}, old.Over...)
	}
	b.vars[fold(name)] = v
}

// path takes the values of a path. A key that cannot be the name of a variable, as the
// two of a certificate cannot, is left out with a warning. Of keys that differ by case alone the one in
// upper case wins, else the last in the order of bytes.
func (b *builder) path(path secrets.Path, values map[string]secrets.Value) {
	keys := slices.SortedFunc(maps.Keys(values), func(x, y string) int {
		if c := strings.Compare(strings.ToUpper(x), strings.ToUpper(y)); c != 0 {
			return c
		}
		// Upper case comes first by its bytes, and is to be the last.
		if x == strings.ToUpper(x) || y == strings.ToUpper(y) {
			return strings.Compare(y, x)
		}
		return strings.Compare(x, y)
	})
	var left []secrets.Key
	for i, name := range keys {
		key := secrets.Key{Deployment: path.Deployment, App: path.App, Scope: path.Scope, Name: name}
		upper := strings.ToUpper(name)
		switch {
		case b.config.Older && name == "version":
			continue // the older system keeps its count there
		case !valid(name):
			if !b.config.names(key) {
				left = append(left, key)
			}
			continue
		case i+1 < len(keys) && strings.ToUpper(keys[i+1]) == upper:
			next := key
			next.Name = keys[i+1]
			b.warn("%s and %s differ by case alone: the latter is used", place(key), place(next))
			continue
		}
		if file, part, ok := filePart(upper); ok {
			if b.files[file] == nil {
				b.files[file] = &parts{}
			}
			b.files[file].put(part, values[name], key)
			continue
		}
		if text, ok := b.text(key, values[name], "keep it in base64, or make it a file: KFILE_"+upper+"_PATH and KFILE_"+upper+"_CONTENT in base64; with --var NAME=APP.SCOPE.KEY only the keys that it names are read"); ok {
			b.put(upper, text, key)
		}
	}
	if len(left) > 0 {
		names := make([]string, len(left))
		for i, key := range left {
			names[i] = plain(key.Name)
		}
		b.warn("%s: left out, for they cannot be names of variables: %s\n  hint: --var gives one a name: --var %s=%s", path, strings.Join(names, ", "), suggested(left[0].Name), secrets.Pattern{App: path.App, Scope: path.Scope, Name: left[0].Name})
	}
}

// names says whether --var gives a key a name.
func (c Config) names(key secrets.Key) bool {
	return slices.ContainsFunc(c.Vars, func(n Named) bool { return n.of(c.Deployment, n.App) == key })
}

// suggested makes a name of a variable of a key.
func suggested(key string) string {
	name := strings.Map(func(r rune) rune {
		if !valid("_" + string(r)) {
			return '_'
		}
		return unicode.ToUpper(r)
	}, key)
	if !valid(name) {
		name = "_" + name
	}
	return name
}

// text gives a value as a variable holds it; hint is the way out where none can.
func (b *builder) text(key secrets.Key, value secrets.Value, hint string) (secrets.Value, bool) {
	if kind := value.Kind(); (kind == secrets.List || kind == secrets.Map) && !b.config.RawJSON {
		value = secrets.New(base64.StdEncoding.EncodeToString([]byte(value.Reveal())))
	}
	if strings.ContainsRune(value.Reveal(), 0) {
		b.fail(key, "a variable cannot hold a zero byte\n  hint: %s", hint)
		return value, false
	}
	return value, true
}

// valid says whether a key can be a variable that every shell can read.
func valid(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9' || i == 0) {
			return false
		}
	}
	return name != ""
}

// The parts of a file.
const (
	partPath = iota
	partContent
	partMode
)

// filePart takes KFILE_NAME_PART apart.
func filePart(upper string) (name string, part int, ok bool) {
	rest, ok := strings.CutPrefix(upper, "KFILE_")
	if !ok {
		return "", 0, false
	}
	for part, suffix := range []string{"_PATH", "_CONTENT", "_MODE"} {
		if name, ok := strings.CutSuffix(rest, suffix); ok && name != "" {
			return name, part, true
		}
	}
	return "", 0, false
}

// parts are the keys that make a file.
type parts [3]struct {
	value secrets.Value
	from  secrets.Key
	over  []secrets.Key
}

func (p *parts) put(part int, value secrets.Value, from secrets.Key) {
	x := &p[part]
	if x.from.Name != "" {
		x.over = append([]secrets.Key{x.from}, x.over...)
	}
	x.value, x.from = value, from
}

// allFiles gives the files by name.
func (b *builder) allFiles() []File {
	var out []File
	owner := map[string]secrets.Key{}
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		p := b.files[name]
		file, ok := b.file(name, p)
		if !ok {
			continue
		}
		if other, taken := owner[file.Path]; taken {
			b.fail(p[partPath].from, "this is the path of %s too", place(other))
			continue
		}
		owner[file.Path] = p[partPath].from
		out = append(out, file)
	}
	return out
}

func (b *builder) file(name string, p *parts) (File, bool) {
	before := len(b.wrong)
	path, content, mode := p[partPath], p[partContent], p[partMode]
	some := path.from
	for _, x := range p {
		if some.Name == "" {
			some = x.from
		}
	}
	for part, missing := range map[string]secrets.Key{"PATH": path.from, "CONTENT": content.from} {
		if missing.Name == "" {
			b.fail(some, "there is no KFILE_%s_%s beside it", name, part)
			return File{}, false
		}
	}
	f := File{Name: name, Mode: 0o640, From: content.from, Over: content.over}
	if content.from.Scope == secrets.Secret {
		f.Mode = 0o600
	}
	if mode.from.Name != "" {
		bits, err := strconv.ParseUint(mode.value.Reveal(), 8, 32)
		if err != nil || bits > 0o777 || mode.value.Kind() != secrets.Text && mode.value.Kind() != secrets.Number {
			b.fail(mode.from, "this is no mode of a file\n  hint: a text of octal digits, up to 0777")
		}
		f.Mode = fs.FileMode(bits)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content.value.Reveal()), ""))
	if err != nil || content.value.Kind() != secrets.Text {
		b.fail(content.from, "this is no text in base64")
	}
	f.Content = secrets.New(string(raw))
	if f.Path, err = b.config.below(path.value.Reveal()); err != nil {
		b.fail(path.from, "%v", err)
	}
	return f, len(b.wrong) == before
}

// below gives a path below the root of files, slashes and all; it does not say
// the path in its error, which is a value.
func (c Config) below(path string) (string, error) {
	root, err := filepath.Abs(c.FileRoot)
	if err != nil {
		return "", fmt.Errorf("the folder that we are in is not known: %w", err)
	}
	if !filepath.IsAbs(path) {
		base, err := filepath.Abs(c.FileBase)
		if err != nil {
			return "", fmt.Errorf("the folder that we are in is not known: %w", err)
		}
		path = filepath.Join(base, path)
	}
	rel, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(rel) || rel == "." || strings.ContainsRune(rel, 0) {
		return "", fmt.Errorf("this is no path of a file below %s\n  hint: --file-root names the folder that files are confined to", c.FileRoot)
	}
	return rel, nil
}

// Environ gives the variables as NAME=VALUE.
func (e *Environment) Environ() []string {
	out := make([]string, 0, len(e.Vars))
	for _, v := range e.Vars {
		out = append(out, v.Name+"="+v.Value.Reveal())
	}
	return out
}

// Explain prints the names and where they come from, and no value.
func (e *Environment) Explain(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, from secrets.Key, over []secrets.Key) {
		line := name + "\t" + place(from)
		for i, k := range over {
			if i == 0 {
				line += "\tover "
			} else {
				line += ", "
			}
			line += place(k)
		}
		_, _ = fmt.Fprintln(tab, line)
	}
	for _, v := range e.Vars {
		row(plain(v.Name), v.From, v.Over)
	}
	for _, f := range e.Files {
		row("file "+f.Name, f.From, f.Over)
	}
	return tab.Flush()
}

// digest tells two environments apart by content: the values of the store and
// the files, global's only if asked for.
func (e *Environment) digest(noGlobal bool) [sha256.Size]byte {
	h := sha256.New()
	for _, v := range e.Vars {
		if v.From.Name != "" && !(noGlobal && v.From.App == secrets.Global) {
			field(h, v.Name)
			field(h, v.Value.Reveal())
		}
	}
	field(h, "files")
	for _, f := range e.Files {
		if !(noGlobal && f.From.App == secrets.Global) {
			field(h, f.Name)
			field(h, f.Path)
			field(h, f.Mode.String())
			field(h, f.Content.Reveal())
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// field adds a text with its length before it.
func field(h hash.Hash, text string) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(text)))
	_, _ = h.Write(size[:])
	_, _ = io.WriteString(h, text)
}

// biggest names the biggest variable.
func (e *Environment) biggest() (name string, size int) {
	for _, v := range e.Vars {
		if n := len(v.Name) + 1 + len(v.Value.Reveal()); n > size {
			name, size = v.Name, n
		}
	}
	return name, size
}
