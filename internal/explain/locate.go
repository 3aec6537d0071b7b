package explain

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
	"github.com/helm-kai/helm-kai/schemas"
)

// Locator finds the one place in the files of a workspace that is to be changed
// where something is wrong with a field of a manifest. Other than Explainer it
// changes the values of the finished chart, in the order in which they are likely
// meant, and takes the first that alters the field: it costs a few renderings of one
// template. Where there is none it gives a place nearby.
//
// It is safe for concurrent use.
type Locator struct {
	w      *workspace.Workspace
	target *workspace.Target // nil where the context cannot be resolved
	known  *known            // enumerations

	mu       sync.Mutex
	own      map[string]bool // files, by whether they are the workspace's own
	constant map[string]int  // how often no value altered a field, by template and path
}

// NewLocator gives a locator for one context.
func NewLocator(w *workspace.Workspace, contextName string) *Locator {
	l := &Locator{w: w, known: &known{peers: map[string][]string{}}, own: map[string]bool{}, constant: map[string]int{}}
	l.target, _ = w.Target(contextName)
	for _, file := range []string{"types.yaml", "values.yaml"} {
		v, _ := source.ReadYAML(schemas.FS, file)
		l.known.enums(v)
	}
	return l
}

// The bounds on the renderings that are tried.
const (
	maxTriesOfField   = 40
	maxTriesOfRelease = 400
	maxConstant       = 2 // times until a field of a template counts as constant
)

// Located are the fields of one release. It is for one goroutine.
type Located struct {
	l       *Locator
	release build.Release
	loaded  *build.Loaded
	options render.Options
	objects *objects
	leaves  []leafValue
	tries   int
	files   map[string][]*source.Value // documents of the user's manifests, by file
	printed map[string]string          // what the templates print, by their names
}

// leafValue is a scalar, or an empty list or map, of the values of a chart.
type leafValue struct {
	chart string // that is vendored, or ""
	path  string
	steps []valueStep
	value *source.Value
	// above are the maps and lists that it stands in, the nearest first, with their
	// keys.
	above []keyed
}

type keyed struct {
	key string
	at  source.Origin
}

// valueStep is a key of a map or an index of a list.
type valueStep struct {
	key   string
	index int
}

// Release prepares the fields of a release, which was made with Trace. options are
// those with which objects were rendered.
func (l *Locator) Release(r build.Release, list []manifest.Object, o render.Options) *Located {
	p := &Located{l: l, release: r, options: o, objects: newObjects(list), tries: maxTriesOfRelease, files: map[string][]*source.Value{}}
	light := r
	light.Chart.Files = nil
	for _, f := range r.Chart.Files {
		if path.Base(f.Path) != "values.schema.json" {
			light.Chart.Files = append(light.Chart.Files, f)
		}
	}
	if loaded, err := build.Load(light); err == nil {
		p.loaded = loaded // without schemas any change may be tried
	}
	if r.Trace != nil {
		for _, f := range r.Trace.Values.FieldsOrNone() {
			if _, vendored := r.Trace.Uses[f.Key]; vendored && f.Key != "" {
				p.collect(f.Key, f.Value, "", nil, nil)
			} else {
				p.collect("", f.Value, f.Key, []valueStep{{key: f.Key}}, []keyed{{key: f.Key, at: f.Origin}})
			}
		}
	}
	return p
}

func (p *Located) collect(chart string, v *source.Value, at string, steps []valueStep, above []keyed) {
	switch {
	case v == nil:
	case v.Kind == source.Map && len(v.Fields) > 0:
		for _, f := range v.Fields {
			p.collect(chart, f.Value, joined(at, f.Key), append(slices.Clone(steps), valueStep{key: f.Key}),
				append([]keyed{{key: f.Key, at: cmp.Or(f.Origin, f.Value.OriginOrNone())}}, above...))
		}
	case v.Kind == source.List && len(v.Items) > 0:
		for i, item := range v.Items {
			name := item.Get("name").Str()
			p.collect(chart, item, at+segment(name, i), append(slices.Clone(steps), valueStep{index: i}),
				append([]keyed{{key: name, at: item.Origin}}, above...))
		}
	default:
		p.leaves = append(p.leaves, leafValue{chart: chart, path: at, steps: steps, value: v, above: above})
	}
}

// Field is what is wrong: a field of an object, or with an empty path the object.
type Field struct {
	Object manifest.Ref
	Source string // the template, as Helm names it
	Path   string
	// Rule and Message are words that tell which of several values is meant.
	Rule, Message string
}

// Place gives the place of the value that a field is made of. Where none is found it
// is, of these, the first that there is: the nearest value around it, the route,
// mount or variable of the same name, the friend in the descriptor, the template of
// a flavor of the workspace's own, the service's context, the workspace's file.
// coarse has nothing tried. Files are the workspace's own.
func (p *Located) Place(ctx context.Context, f Field, coarse bool) source.Position {
	object := slices.IndexFunc(p.objects.list, func(o manifest.Object) bool { return o.Ref == f.Object && o.Source == f.Source })
	if object >= 0 {
		if at, ok := p.inManifest(f); ok {
			return at
		}
		if at, ok := p.inPatch(f); ok {
			return at
		}
		if at, ok := p.inTemplate(ctx, f); ok {
			return at
		}
		if at, ok := p.tried(ctx, f, object, coarse); ok {
			return at
		}
	}
	for _, find := range []func(Field) (source.Position, bool){p.instance, p.friend, p.template, p.context} {
		if at, ok := find(f); ok {
			return at
		}
	}
	return source.Position{File: p.l.root(), Line: 1, Column: 1}
}

// root gives the file that stands for the workspace.
func (l *Locator) root() string {
	if l.isOwn(workspace.FileName) {
		return workspace.FileName
	}
	return descriptor.FileName
}

// isOwn says whether a file is the workspace's, and not the library's or one from
// elsewhere.
func (l *Locator) isOwn(file string) bool {
	if file == "" || source.TreeOf(file) != "" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	own, known := l.own[file]
	if !known {
		_, err := fs.Stat(l.w.FS, file)
		own = err == nil
		l.own[file] = own
	}
	return own
}

func (l *Locator) owned(at source.Origin) (source.Position, bool) {
	return at.Position, at.Line > 0 && l.isOwn(at.File)
}

// chartOf gives the vendored chart that a template belongs to, or "".
func chartOf(template string) string {
	_, file, _ := strings.Cut(template, "/")
	rest, ok := strings.CutPrefix(file, "charts/")
	if !ok {
		return ""
	}
	chart, _, _ := strings.Cut(rest, "/")
	return chart
}

// inManifest looks in the user's own manifests, which a chart has as they are.
func (p *Located) inManifest(f Field) (source.Position, bool) {
	if p.release.Trace == nil || !strings.HasSuffix(f.Source, "/templates/objects.yaml") {
		return source.Position{}, false
	}
	var same []*source.Value // of the kind
	for _, item := range p.release.Trace.Values.Get("objects").ItemsOrNone() {
		for _, doc := range p.documents(item) {
			if doc.Get("kind").Str() != f.Object.Kind {
				continue
			}
			if doc.At("metadata", "name").Str() == f.Object.Name {
				return p.l.owned(deepest(doc, f.Path))
			}
			same = append(same, doc)
		}
	}
	if len(same) == 1 { // its name has a variable in it
		return p.l.owned(deepest(same[0], f.Path))
	}
	return source.Position{}, false
}

// documents reads the files that an entry of objects names.
func (p *Located) documents(item *source.Value) []*source.Value {
	at := item.Origin.Position
	text := p.textAt(at)
	if text == "" {
		return nil
	}
	dir := path.Dir(at.File)
	if s := p.l.w.Service(p.release.App); s != nil {
		dir = s.Dir()
	}
	names, err := fs.Glob(p.l.w.FS, path.Join(dir, text))
	if err != nil {
		return nil
	}
	var out []*source.Value
	for _, name := range names {
		docs, known := p.files[name]
		if !known {
			if data, err := fs.ReadFile(p.l.w.FS, name); err == nil {
				docs = documents(name, data)
			}
			p.files[name] = docs
		}
		out = append(out, docs...)
	}
	return out
}

// textAt gives the scalar that stands at a place.
func (p *Located) textAt(at source.Position) string {
	root, _ := source.ReadYAML(p.l.w.FS, at.File)
	var find func(v *source.Value) string
	find = func(v *source.Value) string {
		if v.IsScalar() && v.Origin.Position == at {
			return v.Text
		}
		for _, f := range v.FieldsOrNone() {
			if text := find(f.Value); text != "" {
				return text
			}
		}
		for _, item := range v.ItemsOrNone() {
			if text := find(item); text != "" {
				return text
			}
		}
		return ""
	}
	return find(root)
}

// Manifests reads a file of manifests, each with the places in the file; none where it
// is no YAML.
func Manifests(name string, data []byte) []*source.Value { return documents(name, data) }

// Within gives the place of a field of a manifest, or of what it would stand in.
func Within(manifest *source.Value, path string) source.Position {
	return deepest(manifest, path).Position
}

// deepest follows a path as far as it leads, and gives the place of the last key.
func deepest(v *source.Value, path string) source.Origin {
	at := v.OriginOrNone()
	for path = strings.TrimPrefix(path, "."); v != nil && path != ""; path = strings.TrimPrefix(path, ".") {
		steps := stepsOf(v, path)
		if len(steps) == 0 {
			break
		}
		next := steps[0].value
		for _, f := range v.Fields {
			if f.Value == next {
				at = f.Origin
			}
		}
		if next.IsScalar() || v.Kind == source.List {
			at = next.Origin
		}
		v, path = next, steps[0].rest
	}
	return at
}

// inPatch looks among the patches of the context.
func (p *Located) inPatch(f Field) (source.Position, bool) {
	if p.release.Trace == nil || f.Path == "" {
		return source.Position{}, false
	}
	values := p.release.Trace.Values
	if chart := chartOf(f.Source); chart != "" {
		values = values.Get(chart)
	}
	patch := values.At("patches", strings.ToLower(f.Object.Kind))
	if v := find(patch, f.Path); v != nil {
		return p.l.owned(deepest(patch, f.Path))
	}
	return source.Position{}, false
}

// tried changes values until one alters the field.
func (p *Located) tried(ctx context.Context, f Field, object int, coarse bool) (source.Position, bool) {
	if p.loaded == nil || coarse {
		return source.Position{}, false
	}
	n, far, rest := p.objects.roots[object].find(f.Path)
	if n == nil {
		n = far
	}
	constant := templateKey(f)
	p.l.mu.Lock()
	hopeless := p.l.constant[constant] >= maxConstant
	p.l.mu.Unlock()
	if hopeless {
		return source.Position{}, false
	}
	tries := 0
	for _, candidate := range p.ranked(f, n, rest != "") {
		if tries++; tries > maxTriesOfField || p.tries <= 0 || ctx.Err() != nil {
			break
		}
		if !p.alters(ctx, candidate, n, object) {
			continue
		}
		if at, ok := p.placeOf(candidate, n, rest != ""); ok {
			return at, true
		}
	}
	p.l.mu.Lock()
	p.l.constant[constant]++
	p.l.mu.Unlock()
	return source.Position{}, false
}

var brackets = regexp.MustCompile(`\[[^\]]*\]`)

// templateKey names a field of a template, whichever release's it is.
func templateKey(f Field) string {
	_, file, _ := strings.Cut(f.Source, "/")
	if chart := chartOf(f.Source); chart != "" {
		file = strings.Replace(file, chart, "", 1)
	}
	return file + " " + f.Object.Kind + " " + brackets.ReplaceAllString(f.Path, "") + " " + f.Rule
}

// placeOf gives the place of a value, or of what stands around it. Where the field
// is missing, the value only shows what it would stand in.
func (p *Located) placeOf(v leafValue, n *node, missing bool) (source.Position, bool) {
	if !missing && len(n.fields)+len(n.items) == 0 {
		if at, ok := p.l.owned(v.value.Origin); ok {
			return at, true
		}
	}
	last := lastKey(n.path)
	if i := slices.IndexFunc(v.above, func(k keyed) bool { return k.key == last }); i >= 0 {
		if at, ok := p.l.owned(v.above[i].at); ok {
			return at, true
		}
	}
	if at, ok := p.l.owned(v.value.Origin); ok {
		return at, true
	}
	for _, k := range v.above {
		if at, ok := p.l.owned(k.at); ok {
			return at, true
		}
	}
	return source.Position{}, false
}

func lastKey(path string) string {
	path = brackets.ReplaceAllString(path, "")
	return path[strings.LastIndexByte(path, '.')+1:]
}

// fewLeaves is how many leaves a field has at most of which any value may be the
// cause. Of a larger one those are, that are called alike.
const fewLeaves = 4

// ranked gives the values that may be meant, the likeliest first.
func (p *Located) ranked(f Field, n *node, missing bool) []leafValue {
	var texts []string
	for _, l := range p.objects.leaves[n.first:n.last] {
		texts = append(texts, text(l.Value))
	}
	large := missing || n.last-n.first > fewLeaves
	chart, last := chartOf(f.Source), lastKey(f.Path)
	weights := map[string]int{}
	for weight, words := range []string{f.Message, f.Path, f.Rule} {
		for _, w := range wordsOf(words) {
			weights[w] = 1 + weight
		}
	}
	type ranked struct {
		leafValue
		score int
	}
	var out []ranked
	for _, v := range p.leaves {
		if v.chart != chart {
			continue
		}
		score, alike := 0, 0
		for _, w := range wordsOf(v.path) {
			alike += weights[w]
		}
		if large && alike == 0 {
			continue
		}
		if lastKey(v.path) == last {
			alike += 2
		}
		if own := v.value.Str(); own != "" && !large {
			switch {
			case slices.Contains(texts, own):
				score += 6
			case len(own) > 1 && slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, own) }):
				score += 3
			}
		}
		if _, ok := p.l.owned(v.value.Origin); ok {
			score++
		}
		out = append(out, ranked{v, score + 2*alike})
	}
	slices.SortStableFunc(out, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
	values := make([]leafValue, len(out))
	for i := range out {
		values[i] = out[i].leafValue
	}
	return values
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// wordsOf cuts paths and sentences into words in lower case, camel case too.
func wordsOf(s string) []string {
	var out []string
	var word strings.Builder
	end := func() {
		if word.Len() > 1 {
			out = append(out, strings.TrimSuffix(word.String(), "s"))
		}
		word.Reset()
	}
	for _, r := range s {
		switch {
		case unicode.IsUpper(r):
			end()
			word.WriteRune(unicode.ToLower(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			word.WriteRune(r)
		default:
			end()
		}
	}
	end()
	return out
}

// triesOfValue is how many texts are tried in place of one.
const triesOfValue = 3

// alters says whether a change of a value alters a field.
func (p *Located) alters(ctx context.Context, v leafValue, n *node, object int) bool {
	o := p.options
	o.Only = p.objects.list[object].Source
	for _, other := range p.others(v.value) {
		if p.tries--; p.tries < 0 || ctx.Err() != nil {
			return false
		}
		o.Values = p.overlay(v, other)
		result, err := p.loaded.Render(ctx, o)
		if err != nil {
			continue
		}
		list, err := manifest.Parse(result.Text())
		if err != nil {
			continue
		}
		partner := pairObjects(p.objects.list[object:object+1], list)
		if partner[0] < 0 {
			continue
		}
		var e effect
		e.compare(p.objects.roots[object], list[partner[0]].Fields)
		within := func(leaf int) bool { return leaf >= n.first && leaf < n.last }
		return slices.ContainsFunc(e.altered, within) || slices.ContainsFunc(e.gone, within)
	}
	return false
}

// others gives what a value is changed to; nil takes it away.
func (p *Located) others(v *source.Value) []any {
	var out []any
	switch v.Kind {
	case source.Bool:
		return []any{!v.True()}
	case source.Number:
		for _, n := range numbers(v.Text) {
			f, _ := source.NewString(source.Origin{}, n).Float()
			out = append(out, f)
		}
	case source.String:
		for _, peer := range p.l.known.peers[v.Text] {
			out = append(out, peer)
		}
		for _, other := range texts(v.Text) {
			out = append(out, other)
		}
	}
	return append(out[:min(len(out), triesOfValue)], nil)
}

// overlay gives values with one of them changed.
func (p *Located) overlay(v leafValue, other any) map[string]any {
	root := p.release.Trace.Values
	if v.chart != "" {
		root = root.Get(v.chart)
	}
	top := v.steps[0].key
	out := map[string]any{top: changedNative(root.Get(top), v.steps[1:], other)}
	if v.chart != "" {
		return map[string]any{v.chart: out}
	}
	return out
}

func changedNative(v *source.Value, steps []valueStep, other any) any {
	if len(steps) == 0 {
		return other
	}
	switch native := v.Native().(type) {
	case map[string]any:
		native[steps[0].key] = changedNative(v.Get(steps[0].key), steps[1:], other)
		return native
	case []any:
		native[steps[0].index] = changedNative(v.Items[steps[0].index], steps[1:], other)
		return native
	}
	return other
}

// instance looks for the instance or entry of a name that stands in the path or in
// the object's name.
func (p *Located) instance(f Field) (source.Position, bool) {
	if p.release.Trace == nil || chartOf(f.Source) != "" {
		return source.Position{}, false
	}
	var names []string
	for _, m := range brackets.FindAllString(f.Path, -1) {
		if name, ok := strings.CutPrefix(strings.Trim(m, "[]"), "name="); ok {
			names = append([]string{name}, names...)
		}
	}
	if name, ok := strings.CutPrefix(f.Object.Name, p.release.Name+"-"); ok {
		names = append(names, name)
	}
	if keys := wordsOf(f.Path); len(keys) > 0 && f.Object.Kind != "Deployment" && len(names) == 0 {
		names = append(names, lastKey(f.Path))
	}
	for _, name := range names {
		for _, root := range []*source.Value{p.release.Trace.Fields, p.release.Trace.Values} {
			if at, ok := p.entry(root, name, 0); ok && name != p.release.Name {
				return at, true
			}
		}
	}
	return source.Position{}, false
}

// entry finds an entry of a map, or an item of a list, that has a name.
func (p *Located) entry(v *source.Value, name string, depth int) (source.Position, bool) {
	if depth > 3 {
		return source.Position{}, false
	}
	for _, f := range v.FieldsOrNone() {
		if f.Key == name && depth > 0 {
			for _, at := range []source.Origin{f.Origin, f.Value.OriginOrNone()} {
				if at, ok := p.l.owned(at); ok {
					return at, true
				}
			}
		}
		if at, ok := p.entry(f.Value, name, depth+1); ok {
			return at, true
		}
	}
	for _, item := range v.ItemsOrNone() {
		if item.Get("name").Str() == name || item.Str() == name {
			if at, ok := p.l.owned(item.Origin); ok {
				return at, true
			}
		}
		if at, ok := p.entry(item, name, depth+1); ok {
			return at, true
		}
	}
	return source.Position{}, false
}

// friend gives where the friend is asked for whose chart brings the object.
func (p *Located) friend(f Field) (source.Position, bool) {
	if p.release.Trace == nil {
		return source.Position{}, false
	}
	at, ok := p.release.Trace.Uses[chartOf(f.Source)]
	if !ok {
		at, ok = p.release.Trace.Uses[""]
	}
	if !ok {
		return source.Position{}, false
	}
	return p.l.owned(at)
}

// quotedKey is a last key with dots in it, as paths have it.
var quotedKey = regexp.MustCompile(`\["([^"]+)"\]$`)

// template gives the line of the field in a template of the workspace's own.
func (p *Located) template(f Field) (source.Position, bool) {
	if p.release.Trace == nil || f.Source == "" {
		return source.Position{}, false
	}
	file, _, builtIn := p.release.Trace.Template(f.Source)
	if builtIn || !p.l.isOwn(file) {
		return source.Position{}, false
	}
	at := source.Position{File: file, Line: 1, Column: 1}
	data, err := fs.ReadFile(p.l.w.FS, file)
	if err != nil {
		return at, true
	}
	lines := strings.Split(string(data), "\n")
	keys := strings.FieldsFunc(brackets.ReplaceAllString(f.Path, ""), func(r rune) bool { return r == '.' })
	if m := quotedKey.FindStringSubmatch(f.Path); m != nil {
		keys = append(keys, m[1])
	}
	for i := len(keys) - 1; i >= 0; i-- {
		for n, line := range lines {
			if column := strings.Index(strings.ReplaceAll(line, `":`, ":"), keys[i]+":"); column >= 0 && strings.Trim(line[:column], ` -"`) == "" {
				at.Line, at.Column = n+1, column+1
				return at, true
			}
		}
	}
	return at, true
}

// Value gives the place of a value of the chart by its keys, or of what stands around
// it.
func (p *Located) Value(keys []string) (source.Position, bool) {
	if p.release.Trace == nil {
		return source.Position{}, false
	}
	v := p.release.Trace.Values
	var at source.Position
	found := false
	for _, key := range keys {
		next := v.Get(key)
		if i, err := strconv.Atoi(key); err == nil && next == nil && i < len(v.ItemsOrNone()) {
			next = v.Items[i]
		}
		if next == nil {
			break
		}
		if own, ok := p.l.owned(next.Origin); ok {
			at, found = own, true
		}
		v = next
	}
	return at, found
}

// context gives the service's entry of the context.
func (p *Located) context(Field) (source.Position, bool) { return p.l.Service(p.release.App) }

// Service gives where a service's descriptor says what it is in the context.
func (l *Locator) Service(name string) (source.Position, bool) {
	s := l.w.Service(name)
	if s == nil {
		return source.Position{}, false
	}
	if l.target != nil {
		if names := s.Contexts.Choose(l.target.Uses, l.target.Lineage); len(names) > 0 {
			return l.owned(s.Contexts.Get(names[len(names)-1]).Origin)
		}
	}
	return l.owned(s.Origin())
}
