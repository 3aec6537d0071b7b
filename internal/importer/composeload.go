package importer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Bounds of what one Compose project reads: files that it includes or extends,
// how deep they name one another, their services, and texts with variables.
const (
	maxComposeFiles = 200
	maxComposeDepth = 20
	maxServices     = maxObjects / 4
	maxNested       = 20
	maxSubstituted  = 1 << 28 // bytes of a text times its variables
)

// composeProject is what the Compose files of one environment say together.
// compose-go lays them over one another; where something stands is known from
// the files themselves, since compose-go forgets it.
type composeProject struct {
	p     *project
	tree  Tree   // the project's folder
	first string // its first file, which says where paths begin
	main  []*composeDoc
	docs  map[string]*composeDoc // that are included or extended, by where and how
	// order has the files as they were read.
	order []string
	bytes int
	marks marks
	// temp has copies of the files that compose-go opens by itself.
	temp string

	model    *source.Value // services, configs and all, with places
	services types.Services
	said     map[string][]layer // by service
	findings source.Findings
}

// composeDoc is a Compose file as it stands.
type composeDoc struct {
	file     string // in the tree
	place    string
	dir      string        // where its relative paths begin
	env      types.Mapping // that its variables get their values from
	data     []byte
	roots    []*source.Value // its documents
	model    map[string]any  // with its variables substituted, and nothing laid over it
	included [][]*composeDoc // for each include, a file and those that lie over it
}

// composeFile is a file that the user names, or that a folder named has.
type composeFile struct {
	tree Tree
	name string
}

// loadCompose reads the files of a project, the later ones over the first. Nil
// is a project that cannot be read, of which the findings tell.
func loadCompose(p *project, files []composeFile) (*composeProject, source.Findings) {
	logrus.SetLevel(logrus.PanicLevel) // compose-go writes its warnings to stderr; the report has them
	c := &composeProject{p: p, tree: files[0].tree, first: files[0].name, docs: map[string]*composeDoc{}, said: map[string][]layer{}}
	temp, err := os.MkdirTemp("", "kai-import-")
	if err != nil {
		c.findings.Add("compose", at(c.tree.place(files[0].name)), "", "", "%v", err)
		return nil, c.findings
	}
	defer os.RemoveAll(temp)
	c.temp = temp
	dir := path.Dir(c.first)
	dotEnv := path.Join(dir, ".env")
	env := c.dotEnv(nil, []string{dotEnv}, false)
	for name, what := range map[string]string{
		"COMPOSE_FILE":     "Compose takes the files that it names where none is named, and an import does not: name them",
		"COMPOSE_PROFILES": "Compose starts the services of these profiles, and here each profile is a context: put the services that always run where no profile is",
	} {
		if env[name] != "" {
			data, _ := source.ReadFile(c.tree.FS, dotEnv, 1<<20) // it was read before
			p.report.add(Decide, lineOfVariable(data, c.tree.place(dotEnv), name), "", files[0].tree.Context, name+" in .env", "%s", what)
		}
	}
	for _, f := range files {
		if d := c.read(f.tree, f.name, dir, env); d != nil {
			c.main = append(c.main, d)
		}
	}
	if len(c.findings) > 0 {
		return nil, c.findings
	}
	if first := c.main[0]; !slices.ContainsFunc(c.main, func(d *composeDoc) bool { return d.model["services"] != nil || d.model["include"] != nil }) {
		c.findings.Add("compose", first.roots[0].Origin, "services", "name a Compose file: its services stand under services", "this is no Compose file: it has no services")
		return nil, c.findings
	}
	for _, d := range c.main {
		c.follow(d, true, nil)
		for _, root := range d.roots {
			for _, f := range root.Get("services").FieldsOrNone() {
				if slug(f.Key) == "" {
					c.findings.Add("compose", f.Origin, "services."+f.Key, "rename it", "the service %q cannot be named so", f.Key)
				}
			}
		}
	}
	for _, d := range c.all() {
		c.cycles(d)
	}
	if len(c.findings) > 0 {
		return nil, c.findings
	}
	c.load()
	return c, c.findings
}

// read reads a file that stands for itself: its documents with their places, and
// what compose-go makes of it alone.
func (c *composeProject) read(t Tree, file, dir string, env types.Mapping) *composeDoc {
	d := &composeDoc{file: file, place: t.place(file), dir: dir, env: env}
	data, err := source.ReadFile(t.FS, file, source.MaxFile)
	if err != nil {
		c.findings = append(c.findings, source.FileFinding(d.place, err))
		return nil
	}
	if c.bytes += len(data); c.bytes > MaxBytes {
		c.findings.Add("limit", at(d.place), "", "", "the files have more than the bound of %d MiB", MaxBytes>>20)
		return nil
	}
	d.data = data
	if !slices.Contains(c.order, d.place) {
		c.order = append(c.order, d.place)
	}
	// Compose's own tags take away what a file below says.
	docs, findings := source.ParseYAMLStream(d.place, composeTag.ReplaceAllFunc(data, func(tag []byte) []byte {
		return append(tag[:1:1], bytes.Repeat([]byte(" "), len(tag)-1)...)
	}))
	if findings.Err() != nil {
		c.findings = append(c.findings, findings...)
		return nil
	}
	for _, doc := range docs {
		if doc.Kind == source.Map {
			d.roots = append(d.roots, doc)
		}
	}
	if len(d.roots) == 0 || len(d.roots) < len(docs) {
		c.findings.Add("compose", source.Origin{Position: source.Position{File: d.place, Line: 1, Column: 1}}, "services", "name a Compose file: its services stand under services", "this is no Compose file: it has no services")
		return nil
	}
	for _, root := range d.roots {
		// compose-go takes long for more of them than are imported.
		if services := root.Get("services"); len(services.FieldsOrNone()) > maxServices {
			c.findings.Add("limit", services.Origin, "services", "", "there are more services than the bound of %d", maxServices)
			return nil
		}
	}
	if c.tooManyVariables(d) {
		return nil
	}
	model, err := c.compose([]*composeDoc{d}, env, func(o *loader.Options) {
		o.SkipInclude, o.SkipExtends, o.SkipValidation = true, true, true
	})
	if err != nil {
		c.failed(err, d)
		return nil
	}
	d.model = model
	return d
}

var composeTag = regexp.MustCompile(`[ \t\[{,:-]!(?:reset|override)\b`)

// tooManyVariables says whether a text would take too long to substitute.
func (c *composeProject) tooManyVariables(d *composeDoc) bool {
	found := false
	for _, root := range d.roots {
		everyText(root, "", func(where string, v *source.Value) {
			n := strings.Count(v.Text, "$")
			if !found && (n*len(v.Text) > maxSubstituted || nested(v.Text) > maxNested) {
				found = true
				c.findings.Add("limit", v.Origin, where, "", "the text has more variables, or variables deeper in one another, than the bound")
			}
		})
	}
	return found
}

// nested is how deep variables stand in the defaults of others.
func nested(s string) int {
	depth, most := 0, 0
	for i := range len(s) {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			depth++
			most = max(most, depth)
		case s[i] == '}' && depth > 0:
			depth--
		}
	}
	return most
}

// everyText calls back for each text of a value, with its path.
func everyText(v *source.Value, where string, found func(where string, v *source.Value)) {
	if v == nil {
		return
	}
	if v.Kind == source.String {
		found(where, v)
	}
	for _, item := range v.Items {
		everyText(item, where, found)
	}
	for _, f := range v.Fields {
		everyText(f.Value, strings.TrimPrefix(where+"."+f.Key, "."), found)
	}
}

// compose has compose-go load files, later ones over earlier ones.
func (c *composeProject) compose(docs []*composeDoc, env types.Mapping, more func(*loader.Options)) (map[string]any, error) {
	var model map[string]any
	err := c.relenting(docs, func() (err error) {
		model, err = c.loaded(docs, env, more)
		return err
	})
	return model, err
}

// relenting does something with files, and again if it fails since what only looks
// like a secret has to be a number, or true.
func (c *composeProject) relenting(docs []*composeDoc, do func() error) error {
	err := do()
	if err == nil {
		return nil
	}
	before := c.marks.bare
	if c.marks.relent(c.numbers(docs)) && do() == nil {
		return nil
	}
	c.marks.bare = before
	return err
}

// textKeys are the keys of services, and of configs, that take any text.
var textKeys = []string{"environment", "command", "entrypoint", "labels", "content"}

var variableName = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// numbers gives the variables that stand where a number may have to be: not in text.
func (c *composeProject) numbers(docs []*composeDoc) map[string]bool {
	there := map[string]bool{}
	for _, d := range append(slices.Clone(docs), c.all()...) {
		for _, root := range d.roots {
			for _, part := range root.Fields {
				for _, one := range part.Value.FieldsOrNone() {
					for _, f := range one.Value.FieldsOrNone() {
						if slices.Contains(textKeys, f.Key) {
							continue
						}
						everyText(f.Value, "", func(_ string, v *source.Value) {
							for _, found := range variableName.FindAllStringSubmatch(v.Text, -1) {
								there[found[1]] = true
								for _, k := range c.marks.names(d.env[found[1]]) {
									there[k.name] = true
								}
							}
						})
					}
				}
			}
		}
	}
	return there
}

// loaded is compose without a second try. What compose-go panics of is an error:
// the files come from anywhere.
func (c *composeProject) loaded(docs []*composeDoc, env types.Mapping, more func(*loader.Options)) (model map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			model, err = nil, fmt.Errorf("compose-go cannot read it: %v", r)
		}
	}()
	details := types.ConfigDetails{WorkingDir: filepath.Join(c.temp, filepath.FromSlash(path.Dir(c.first))), Environment: env.Clone()}
	if details.Environment == nil {
		details.Environment = types.Mapping{}
	}
	for _, d := range docs {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: filepath.Join(c.temp, filepath.FromSlash(d.file)), Content: d.data})
	}
	return loader.LoadModelWithContext(context.Background(), details, func(o *loader.Options) {
		o.SkipNormalization, o.SkipResolveEnvironment, o.SkipResolveLabels, o.SkipDefaultValues = true, true, true, true
		o.ResolvePaths = false
		o.MaxNodeVisits = source.MaxNodes
		o.Interpolate.Substitute = c.marks.substitute
		o.ResourceLoaders = []loader.ResourceLoader{elsewhere{}}
		o.SetProjectName("project", true)
		more(o)
	})
}

// load has compose-go lay everything over one another, and gives what comes out
// its places.
func (c *composeProject) load() {
	err := c.relenting(c.main, func() error {
		model, err := c.loaded(c.main, c.main[0].env, func(*loader.Options) {})
		if err != nil {
			return err
		}
		c.model = c.placedModel(model)
		return c.typed(model)
	})
	switch {
	case err != nil:
		c.failed(err, c.main[0])
	case len(c.services) == 0:
		c.findings.Add("compose", c.main[0].roots[0].Origin, "services", "name a Compose file: its services stand under services", "this is no Compose file: it has no services")
	}
}

// typed has compose-go read the texts of the model: commands, sizes, durations.
func (c *composeProject) typed(model map[string]any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("compose-go cannot read it: %v", r)
		}
	}()
	// Of what Compose normalizes this is wanted alone: the network default is there
	// without being said. The rest would put values in the place of marks.
	networks, _ := model["networks"].(map[string]any)
	networks = maps.Clone(networks)
	if networks == nil {
		networks = map[string]any{}
	}
	if _, ok := networks["default"]; !ok {
		networks["default"] = nil
	}
	model["networks"] = networks
	o := &loader.Options{SkipNormalization: true, SkipResolveEnvironment: true, SkipResolveLabels: true, Profiles: []string{"*"}}
	project, err := loader.ModelToProject(model, o, types.ConfigDetails{})
	if err != nil {
		return err
	}
	c.services = project.Services
	return nil
}

// elsewhere takes the files that are not on this machine, and gives none of them.
type elsewhere struct{}

// errElsewhere is what is said of a file that would have to be fetched.
var errElsewhere = errors.New("it stands elsewhere, and an import fetches nothing: fetch it, and name the copy")

// Accept says whether a file is of another machine, or named from its root.
func (elsewhere) Accept(name string) bool { return isElsewhere(name) || filepath.IsAbs(name) }

// Load gives no file.
func (elsewhere) Load(context.Context, string) (string, error) { return "", errElsewhere }

// Dir is asked for no file.
func (elsewhere) Dir(string) string { return "" }

var remoteName = regexp.MustCompile(`^(?:[a-zA-Z][a-zA-Z0-9+.-]*:|[^/]+@[^/]+:|(?:github|gitlab|bitbucket)\.(?:com|org)/)`)

// isElsewhere says whether Compose would fetch a file: from git, a registry, the web.
func isElsewhere(name string) bool { return remoteName.MatchString(name) }

// follow reads the files that a file includes, and those whose services it
// extends; above are those that lead to it. Of a file that is extended, whole is
// false: Compose takes the service alone. Only files of the project's folder are
// read, and compose-go finds copies of those alone.
func (c *composeProject) follow(d *composeDoc, whole bool, above []string) {
	if len(above) > maxComposeDepth {
		c.findings.Add("limit", at(d.place), "", "", "files name one another deeper than the bound of %d: %s", maxComposeDepth, strings.Join(above, " → "))
		return
	}
	above = append(above[:len(above):len(above)], d.place)
	list, _ := d.model["include"].([]any)
	for i, item := range list {
		if !whole {
			break
		}
		c.include(d, item, d.said("include", strconv.Itoa(i)), above)
	}
	for _, kind := range []string{"services", "jobs"} {
		services, _ := d.model[kind].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(services)) {
			s, _ := services[name].(map[string]any)
			from, _ := s["extends"].(map[string]any)
			if file, ok := from["file"].(string); ok {
				c.extended(d, file, d.said(kind, name, "extends"), above)
			}
		}
	}
}

// extended reads a file of which a service is extended.
func (c *composeProject) extended(d *composeDoc, file string, at source.Origin, above []string) {
	full, ok := c.within(d.dir, file, at, "extends")
	if !ok || full == d.file {
		return // a service of the same file, which a name says as well
	}
	if base := c.copied(full, path.Dir(full), d.env, at); base != nil && !base.includes(above) {
		c.follow(base, false, above)
	}
}

func (d *composeDoc) includes(above []string) bool { return slices.Contains(above, d.place) }

// cycles finds services that extend themselves.
func (c *composeProject) cycles(d *composeDoc) {
	for _, root := range d.roots {
		for _, f := range root.Get("services").FieldsOrNone() {
			in, name, chain := d, f.Key, []string{f.Key}
			for in != nil && len(chain) <= maxObjects {
				file, next, ok := in.extends(name)
				if !ok {
					break
				}
				to := in
				if file != "" {
					to = c.docOf(path.Join(in.dir, file))
				}
				if to == d && slices.Contains(chain, next) {
					c.findings.Add("cycle", in.said("services", name, "extends"), "services."+name+".extends", "", "the service %s extends itself: %s", next, strings.Join(append(chain, next), " → "))
					return
				}
				in, name, chain = to, next, append(chain, next)
			}
		}
	}
}

// extends gives the service that one extends, and its file where it is another.
func (d *composeDoc) extends(name string) (file, service string, ok bool) {
	services, _ := d.model["services"].(map[string]any)
	s, _ := services[name].(map[string]any)
	from, ok := s["extends"].(map[string]any)
	service, _ = from["service"].(string)
	file, _ = from["file"].(string)
	return filepath.ToSlash(file), service, ok
}

// docOf gives a file of the folder that was read, or nil.
func (c *composeProject) docOf(file string) *composeDoc {
	for _, d := range c.all() {
		if d.file == file {
			return d
		}
	}
	return nil
}

// include reads the files of one item of include.
func (c *composeProject) include(d *composeDoc, item any, at source.Origin, above []string) {
	fields, ok := item.(map[string]any)
	if !ok {
		fields = map[string]any{"path": item}
	}
	names := textsOf(fields["path"])
	if len(names) == 0 {
		c.findings.Add("compose", at, "include", "", "it names no file")
		return
	}
	var dir string
	var files []string
	for _, name := range names {
		full, ok := c.within(d.dir, name, at, "include")
		if !ok {
			return
		}
		files = append(files, full)
	}
	dir = path.Dir(files[0])
	if from, ok := fields["project_directory"].(string); ok && from != "" {
		if dir, ok = c.within(d.dir, from, at, "include.project_directory"); !ok {
			return
		}
	}
	envFiles, required := []string{path.Join(dir, ".env")}, false
	if own := textsOf(fields["env_file"]); len(own) > 0 {
		envFiles, required = nil, true
		for _, name := range own {
			if name == "/dev/null" {
				continue
			}
			full, ok := c.within(d.dir, name, at, "include.env_file")
			if !ok {
				return
			}
			envFiles = append(envFiles, full)
		}
	}
	env := c.dotEnv(d.env, envFiles, required)
	var group []*composeDoc
	for _, full := range files {
		if slices.Contains(above, c.tree.place(full)) {
			c.findings.Add("cycle", at, "include", "", "the file includes itself: %s", strings.Join(append(above, c.tree.place(full)), " → "))
			return
		}
		doc := c.copied(full, dir, env, at)
		if doc == nil {
			return
		}
		group = append(group, doc)
	}
	d.included = append(d.included, group)
	for _, doc := range group {
		if doc.included == nil {
			c.follow(doc, true, above)
		}
	}
}

// textsOf gives a text, or a list of them.
func textsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// within gives the path of a file in the project's folder that a file names.
func (c *composeProject) within(dir, name string, at source.Origin, where string) (string, bool) {
	slashed := filepath.ToSlash(name)
	full := path.Join(dir, slashed)
	switch {
	case isElsewhere(name):
		c.findings.Add("compose", at, where, "fetch it, and name the copy; or import what docker compose config prints", "%s stands elsewhere, and an import fetches nothing", c.marks.hidden(shownURL(name)))
	case filepath.IsAbs(name) || path.IsAbs(slashed) || strings.HasPrefix(name, "~") || !fs.ValidPath(full):
		c.findings.Add("compose", at, where, "name the folder that holds both, or import what docker compose config prints", "the file %s is outside of the folder that is imported", c.marks.hidden(name))
	default:
		return full, true
	}
	return "", false
}

// shownURL gives an address without what stands before its host, which may be a
// secret.
func shownURL(name string) string {
	if scheme, rest, ok := strings.Cut(name, "://"); ok {
		if i := strings.LastIndexByte(strings.SplitN(rest, "/", 2)[0], '@'); i >= 0 {
			return scheme + "://" + rest[i+1:]
		}
	}
	return name
}

// copied reads a file of the folder, and puts a copy where compose-go finds it.
func (c *composeProject) copied(file, dir string, env types.Mapping, from source.Origin) *composeDoc {
	key := fmt.Sprintf("%q %q %q", file, dir, fmt.Sprint(env))
	if d, ok := c.docs[key]; ok {
		return d
	}
	if len(c.docs) >= maxComposeFiles {
		c.findings.Add("limit", from, "", "", "more files are included or extended than the bound of %d", maxComposeFiles)
		return nil
	}
	if _, err := fs.Stat(c.tree.FS, file); err != nil {
		c.findings.Add("compose", from, "", "name the folder that holds it, or import what docker compose config prints", "the file %s is not there, or outside of the folder that is imported", c.marks.hidden(c.tree.place(file)))
		return nil
	}
	d := c.read(c.tree, file, dir, env)
	if d == nil {
		return nil
	}
	c.docs[key] = d
	if err := c.put(file, d.data); err != nil {
		c.findings.Add("compose", from, "", "", "%v", err)
		return nil
	}
	return d
}

// put writes a copy of a file.
func (c *composeProject) put(file string, data []byte) error {
	full := filepath.Join(c.temp, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return err
	}
	return os.WriteFile(full, data, 0o600)
}

// dotEnv reads files of variables, and gives them with those of the one that
// includes, which decide. compose-go reads them again where a file is included:
// its copy has marks for what looks like a secret.
func (c *composeProject) dotEnv(above types.Mapping, files []string, required bool) types.Mapping {
	own := types.Mapping{}
	for _, file := range files {
		data, err := source.ReadFile(c.tree.FS, file, 1<<20)
		if err != nil {
			if required || !errors.Is(err, fs.ErrNotExist) {
				c.findings = append(c.findings, source.FileFinding(c.tree.place(file), err))
			}
			continue
		}
		if err := c.variables(data, c.tree.place(file), own, func(name string) (string, bool) { v, ok := above[name]; return v, ok }, ""); err != nil {
			c.findings = append(c.findings, *err)
			continue
		}
		c.repeating(data, own, func(name string) (string, bool) {
			v, ok := above[name]
			if c.marks.secret(name, v) {
				v = c.marks.of(name, v, true)
			}
			return v, ok
		})
		if above != nil {
			var b strings.Builder
			for _, name := range slices.Sorted(maps.Keys(own)) {
				value := own[name]
				if c.marks.secret(name, value) || !harmless.MatchString(value) {
					value = c.marks.of(name, value, true)
				}
				fmt.Fprintf(&b, "%s='%s'\n", name, value)
			}
			if err := c.put(file, []byte(b.String())); err != nil {
				c.findings.Add("compose", at(c.tree.place(file)), "", "", "%v", err)
			}
		}
	}
	return above.Clone().Merge(own)
}

// repeating puts marks into those variables of a file that name others which look
// like secrets: what they are called themselves does not tell it.
func (c *composeProject) repeating(data []byte, vars map[string]string, lookup dotenv.LookupFn) {
	if !bytes.ContainsRune(data, '$') {
		return
	}
	marked := map[string]string{}
	_ = c.variables(data, "", marked, func(name string) (string, bool) { // it was read before
		if v, ok := lookup(name); ok {
			return v, true
		}
		if v := vars[name]; c.marks.secret(name, v) {
			return c.marks.of(name, v, true), true
		}
		return "", false
	}, "")
	for name, v := range marked {
		if markText.MatchString(v) && !c.marks.secret(name, vars[name]) {
			vars[name] = v
		}
	}
}

// harmless is a value that single quotes hold.
var harmless = regexp.MustCompile(`^[^'\\\x00]*$`)

// variables reads a file NAME=VALUE as Compose does, into a map.
func (c *composeProject) variables(data []byte, place string, into map[string]string, lookup dotenv.LookupFn, format string) (problem *source.Finding) {
	begin := source.Origin{Position: source.Position{File: place}}
	if strings.Count(string(data), "$")*len(data) > maxSubstituted || nested(string(data)) > maxNested {
		return &source.Finding{Origin: begin, Code: "limit", Message: "the file has more variables than the bound"}
	}
	defer func() {
		if r := recover(); r != nil {
			problem = &source.Finding{Origin: begin, Code: "compose", Message: "it cannot be read: a line is NAME=VALUE"}
		}
	}()
	if format == "raw" {
		for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
			name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
			if name = strings.TrimSpace(name); name == "" || strings.HasPrefix(name, "#") {
				continue
			}
			if !ok {
				if value, ok = lookup(name); !ok {
					continue
				}
			}
			into[name] = value
		}
		return nil
	}
	err := dotenv.ParseWithFormat(bytes.NewReader(data), place, into, lookup, format)
	if err == nil {
		return nil
	}
	// What it says of a line has the line's text, which may be a secret.
	f := &source.Finding{Origin: begin, Code: "compose", Message: "it cannot be read: a line is NAME=VALUE, and quotes that are opened are closed"}
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
		f.Origin.Line, _ = strconv.Atoi(m[1])
	}
	return f
}

var lineOf = regexp.MustCompile(`\bline (\d+)\b`)

// failed words an error of compose-go's: where it is, and never with a value.
func (c *composeProject) failed(err error, d *composeDoc) {
	message := err.Error()
	where, origin := c.whereOf(message, d)
	var invalid *template.InvalidTemplateError
	switch {
	case errors.As(err, &invalid):
		c.findings.Add("compose", origin, where, "a $ that means itself is written $$", "Compose cannot substitute the variables of this text")
		return
	case errors.Is(err, errElsewhere):
		c.findings.Add("compose", origin, where, "fetch it, and name the copy; or import what docker compose config prints", "a file stands elsewhere, and an import fetches nothing")
		return
	}
	message = strings.ReplaceAll(message, c.temp+string(filepath.Separator), "")
	message = strings.TrimPrefix(strings.TrimPrefix(message, "validating "), d.file+": ")
	if i := strings.IndexByte(message, '\n'); i >= 0 && strings.TrimSpace(message[:i]) == "" {
		message = strings.TrimSpace(message)
	}
	message = c.marks.hidden(c.withoutValues(message))
	if where != "" && strings.HasSuffix(message, "false schema") {
		message = "it knows no such key"
	}
	c.findings.Add("compose", origin, where, "docker compose config says the same", "Compose does not take it: %s", strings.ReplaceAll(message, "\n", "; "))
}

// withoutValues takes out of a message what the files say as values that may be
// secrets.
func (c *composeProject) withoutValues(message string) string {
	var values []string
	for _, d := range c.all() {
		for _, v := range d.env {
			values = append(values, v)
		}
		for _, root := range d.roots {
			everyText(root.Get("services"), "", func(where string, v *source.Value) {
				name, value, pair := strings.Cut(v.Text, "=")
				key := where[strings.LastIndexByte(where, '.')+1:]
				switch {
				case secretName.MatchString(key), strings.Contains(where, "environment"), anyUserinfo.MatchString(v.Text):
					values = append(values, v.Text)
					fallthrough
				case pair && secretName.MatchString(name):
					if pair {
						values = append(values, value)
					}
				}
			})
		}
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, v := range values {
		if len(v) >= 4 {
			message = strings.ReplaceAll(message, v, "…")
		}
	}
	return message
}

// all gives every file that was read.
func (c *composeProject) all() []*composeDoc {
	out := slices.Clone(c.main)
	for _, key := range slices.Sorted(maps.Keys(c.docs)) {
		out = append(out, c.docs[key])
	}
	return out
}

var (
	// pathIn is a path as compose-go names it, and quotedName a name.
	pathIn     = regexp.MustCompile(`\b(?:services|jobs|volumes|networks|configs|secrets|include|name)(?:\.[^\s:,'"\x60]+)*`)
	quotedName = regexp.MustCompile(`\bservice "([^"]+)"`)
)

// whereOf finds the place that a message of compose-go's is about.
func (c *composeProject) whereOf(message string, d *composeDoc) (string, source.Origin) {
	var paths []string
	for _, found := range pathIn.FindAllString(message, -1) {
		paths = append(paths, strings.TrimRight(found, ".;)"))
	}
	for _, m := range quotedName.FindAllStringSubmatch(message, -1) {
		paths = append(paths, "services."+m[1])
	}
	best, origin, depth := "", d.roots[0].Origin, 0
	for _, p := range paths {
		for _, doc := range append([]*composeDoc{d}, c.all()...) {
			for _, root := range doc.roots {
				v, n := root, 0
				at := root.Origin
				for _, key := range strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(p), ".") {
					next := v.Get(key)
					if i, err := strconv.Atoi(key); err == nil && v.Kind == source.List && i >= 0 && i < len(v.Items) {
						next = v.Items[i]
					}
					if next == nil {
						break
					}
					at = next.Origin
					for _, f := range v.FieldsOrNone() {
						if f.Key == key {
							at = f.Origin
						}
					}
					v, n = next, n+1
				}
				if n > depth {
					best, origin, depth = p, at, n
				}
			}
		}
	}
	return best, origin
}

// said gives the place of a key of the file.
func (d *composeDoc) said(keys ...string) source.Origin {
	origin := d.roots[0].Origin
	depth := 0
	for _, root := range d.roots {
		v := root
		for i, key := range keys {
			if n, err := strconv.Atoi(key); err == nil && v.Kind == source.List && n < len(v.Items) {
				v = v.Items[n]
			} else {
				v = v.Get(key)
			}
			if v == nil {
				break
			}
			if i >= depth {
				origin, depth = v.Origin, i
			}
		}
	}
	return origin
}

// layer is what one file says of a service.
type layer struct {
	doc *composeDoc
	key source.Origin // of the service's name
	v   *source.Value
}

// layers gives what the files say of a service, that which decides first: the
// last file, what it extends, what is included.
func (c *composeProject) layers(name string) []layer {
	out, ok := c.said[name]
	if !ok {
		out = c.layersIn(c.main, name, map[string]bool{})
		c.said[name] = out
	}
	return out
}

// maxLayers bounds the layers of a service: below those, a key has the service's
// place.
const maxLayers = 100

func (c *composeProject) layersIn(docs []*composeDoc, name string, seen map[string]bool) []layer {
	var out []layer
	for _, d := range slices.Backward(docs) {
		key := fmt.Sprintf("%p %s", d, name)
		if seen[key] || len(seen) > maxLayers {
			continue
		}
		seen[key] = true
		for _, root := range slices.Backward(d.roots) {
			for _, f := range root.Get("services").FieldsOrNone() {
				if f.Key == name && f.Value.Kind == source.Map {
					out = append(out, layer{d, f.Origin, f.Value})
				}
			}
		}
		if file, ref, ok := d.extends(name); ok {
			base := d
			if file != "" {
				base = c.docOf(path.Join(d.dir, file))
			}
			if base != nil {
				out = append(out, c.layersIn([]*composeDoc{base}, ref, seen)...)
			}
		}
		for _, group := range d.included {
			out = append(out, c.layersIn(group, name, seen)...)
		}
	}
	return out
}

// placedModel gives the loaded model with the places of the files.
func (c *composeProject) placedModel(model map[string]any) *source.Value {
	root := c.main[0].roots[0]
	out := source.NewMap(root.Origin)
	for _, kind := range []string{"services", "configs", "secrets", "volumes"} {
		all, _ := model[kind].(map[string]any)
		part := source.NewMap(root.Origin)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			f := source.Field{Key: name, Origin: root.Origin}
			var said []*source.Value
			if kind == "services" {
				layers := c.layers(name)
				for i, l := range layers {
					said = append(said, l.v)
					// It stands in the first of the files that are named.
					if i == 0 || slices.Contains(c.main, l.doc) {
						f.Origin = l.key
					}
				}
			} else {
				for _, d := range slices.Backward(c.all()) {
					for _, top := range d.roots {
						for _, own := range top.Get(kind).FieldsOrNone() {
							if own.Key == name {
								said = append(said, own.Value)
								f.Origin = own.Origin
							}
						}
					}
				}
			}
			f.Value = c.placed(all[name], f.Origin, said)
			part.Fields = append(part.Fields, f)
		}
		c.sort(part.Fields)
		out.Fields = append(out.Fields, source.Field{Key: kind, Origin: root.Origin, Value: part})
	}
	return out
}

// sort brings fields into the order of the files.
func (c *composeProject) sort(fields []source.Field) {
	file := func(o source.Origin) int {
		if i := slices.Index(c.order, o.File); i >= 0 {
			return i
		}
		return math.MaxInt
	}
	slices.SortStableFunc(fields, func(a, b source.Field) int {
		return cmp.Or(cmp.Compare(file(a.Origin), file(b.Origin)), cmp.Compare(a.Origin.Line, b.Origin.Line), cmp.Compare(a.Origin.Column, b.Origin.Column), cmp.Compare(a.Key, b.Key))
	})
}

// placed gives a part of the loaded model with its places: said is what the files
// say there, that which decides first.
func (c *composeProject) placed(v any, at source.Origin, said []*source.Value) *source.Value {
	if len(said) > 0 {
		at = said[0].Origin
	}
	switch v := v.(type) {
	case map[string]any:
		out := source.NewMap(at)
		for key, x := range v {
			f := source.Field{Key: key, Origin: at}
			below, origin := saidOf(key, said)
			if len(below) > 0 {
				f.Origin = origin
			}
			if pairs, ok := x.([]any); ok && key == "environment" {
				x = fromPairs(pairs)
			}
			f.Value = c.placed(x, f.Origin, below)
			out.Fields = append(out.Fields, f)
		}
		c.sort(out.Fields)
		return out
	case []any:
		out := source.NewList(at)
		for i, x := range v {
			out.Items = append(out.Items, c.placed(x, at, saidOfItem(x, i, len(v), said)))
		}
		return out
	case nil:
		return &source.Value{Kind: source.Null, Origin: at}
	case bool:
		return source.NewBool(at, v)
	case string:
		return source.NewString(at, v)
	case float64, float32, int, int64, uint64:
		return &source.Value{Kind: source.Number, Text: fmt.Sprint(v), Origin: at}
	}
	return source.NewString(at, fmt.Sprint(v))
}

// fromPairs gives a list of NAME=VALUE as a map; a name alone has no value.
func fromPairs(pairs []any) map[string]any {
	out := map[string]any{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(fmt.Sprint(pair), "=")
		out[name] = value
		if !ok {
			out[name] = nil
		}
	}
	return out
}

// saidOf gives what the files say under a key, and where; that may be an item
// KEY=VALUE.
func saidOf(key string, said []*source.Value) (below []*source.Value, at source.Origin) {
	add := func(v *source.Value, origin source.Origin) {
		if len(below) == 0 {
			at = origin
		}
		below = append(below, v)
	}
	for _, s := range said {
		switch s.Kind {
		case source.Map:
			for _, f := range s.Fields {
				if f.Key == key {
					add(f.Value, f.Origin)
				}
			}
		case source.List:
			for _, item := range s.Items {
				if item.Str() == key || strings.HasPrefix(item.Str(), key+"=") {
					add(item, item.Origin)
				}
			}
		default:
			add(s, s.Origin)
		}
	}
	return below, at
}

// saidOfItem gives what the files say for an item of a list: the item that says
// most of the same, or else the one at the same place.
func saidOfItem(v any, i, n int, said []*source.Value) []*source.Value {
	for _, s := range said {
		if s.Kind != source.List {
			return []*source.Value{s}
		}
	}
	var best *source.Value
	most := 0
	if n <= 200 {
		for _, s := range said {
			for _, item := range s.Items[:min(len(s.Items), 200)] {
				if like := likeness(v, item); like > max(most, 2) {
					best, most = item, like
				}
			}
		}
	}
	if best != nil {
		return []*source.Value{best}
	}
	for _, s := range said {
		if i < len(s.Items) && len(s.Items) == n {
			return []*source.Value{s.Items[i]}
		}
	}
	return said
}

// likeness says how much of an item of the loaded model an item of a file says:
// it may be in its short form.
func likeness(v any, item *source.Value) int {
	fields, ok := v.(map[string]any)
	if !ok {
		if item.Str() == fmt.Sprint(v) {
			return 3
		}
		return 0
	}
	n := 0
	for key, x := range fields {
		weight := map[string]int{"target": 8, "path": 8, "source": 4, "published": 4}[key]
		text := fmt.Sprint(x)
		switch {
		case item.Kind == source.Map && item.Get(key).Str() == text:
			n += weight + 1
		case item.IsScalar() && text != "" && item.Str() == text:
			n += weight + 1
		case item.IsScalar() && text != "" && strings.Contains(item.Str(), text):
			n += weight
		}
	}
	return n
}
