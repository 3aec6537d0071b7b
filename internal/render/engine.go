package render

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"text/template"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/helm-kai/helm-kai/generator"
)

const (
	// engineName is the name under which Helm runs text given to tpl.
	engineName = "gotpl"
	// includeBound is how often Helm lets one name stand in a chain of
	// includes.
	includeBound = 1000
	// noValue is what text/template prints for a missing value, and what
	// Helm then takes out.
	noValue = "<no value>"
	// programsKept is how many choices of dependencies stay parsed.
	programsKept = 16
)

// scoped is a template with the values that its chart may see.
type scoped struct {
	text     []byte
	values   map[string]any
	basePath string
}

// chartOf is what a template sees as .Chart. It has no name, for a template may
// print its type.
type chartOf = struct {
	chart.Metadata
	IsRoot bool
}

// collect gives the templates of a chart and of its subcharts by their full
// names, each with the values of its scope.
func collect(c *chart.Chart, values chartutil.Values) map[string]scoped {
	templates := map[string]scoped{}
	collectInto(templates, c, values)
	return templates
}

func collectInto(templates map[string]scoped, c *chart.Chart, values chartutil.Values) map[string]any {
	subcharts := map[string]any{}
	scope := map[string]any{
		"Chart":        chartOf{*c.Metadata, c.IsRoot()},
		"Files":        newFiles(c.Files),
		"Release":      values["Release"],
		"Capabilities": values["Capabilities"],
		"Values":       make(chartutil.Values),
		"Subcharts":    subcharts,
	}
	if c.IsRoot() {
		scope["Values"] = values["Values"]
	} else if own, err := values.Table("Values." + c.Name()); err == nil {
		scope["Values"] = own
	}
	for _, d := range c.Dependencies() {
		subcharts[d.Name()] = collectInto(templates, d, scope)
	}
	folder := c.ChartFullPath()
	library := strings.EqualFold(c.Metadata.Type, "library")
	for _, t := range c.Templates {
		if library && !strings.HasPrefix(filepath.Base(t.Name), "_") {
			continue
		}
		templates[path.Join(folder, t.Name)] = scoped{
			text: t.Data, values: scope, basePath: path.Join(folder, "templates"),
		}
	}
	return scope
}

// parseOrder sorts names as Helm does: the deeply nested first, so that a
// parent's definition replaces a subchart's.
func parseOrder(templates map[string]scoped) []string {
	names := make([]string, 0, len(templates))
	for name := range templates {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := strings.Count(names[i], "/"), strings.Count(names[j], "/")
		if a != b {
			return a > b
		}
		return names[i] > names[j]
	})
	return names
}

// program is the parsed templates of a chart for one choice of dependencies.
type program struct {
	root      string
	names     []string
	template  *template.Template
	functions template.FuncMap
	idle      sync.Pool // of *executor
}

// program gives the parsed form of templates, parsing them only where the
// choice of dependencies is a new one.
func (c *Chart) program(templates map[string]scoped) (*program, error) {
	names := parseOrder(templates)
	key := strings.Join(names, "\n")
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.programs[key]; ok {
		return p, nil
	}
	p, err := newProgram(c.Name(), c.library, c.library.parse, names, templates)
	if err != nil {
		return nil, err
	}
	if len(c.programs) >= programsKept {
		clear(c.programs)
	}
	c.programs[key] = p
	return p, nil
}

// ownProgram parses templates for this chart alone.
func (c *Chart) ownProgram(templates map[string]scoped) (*program, error) {
	return newProgram(c.Name(), c.library, c.library.parser.parseFile, parseOrder(templates), templates)
}

// newProgram parses templates. The library's parse shares what it can; the
// parser's own gives trees that know the names of their files.
func newProgram(root string, l *Library, parse func(name string, text []byte) (trees, error), names []string, templates map[string]scoped) (*program, error) {
	p := &program{root: root, names: names, functions: l.functions}
	p.template = template.New(engineName).Option("missingkey=zero").Funcs(p.functions)
	for _, name := range names {
		trees, err := parse(name, templates[name].text)
		if err != nil {
			return nil, parseError(root, name, err)
		}
		file := p.template.New(name)
		for tree, parsed := range trees {
			if _, err := file.AddParseTree(tree, parsed); err != nil {
				return nil, parseError(root, name, err)
			}
		}
	}
	p.idle.New = func() any { return newExecutor(p, l.parser) }
	return p, nil
}

// execute runs every template that is no partial.
func (p *program) execute(ctx context.Context, templates map[string]scoped, opts Options, lint bool) (map[string]string, error) {
	e := p.idle.Get().(*executor)
	e.run = newRun(ctx, opts.Limits.orDefault(), lint)
	e.templates = templates
	files := make(map[string]string, len(p.names))
	for _, name := range p.names {
		if !opts.wants(name) {
			continue
		}
		t := templates[name]
		t.values["Template"] = chartutil.Values{"Name": name, "BasePath": t.basePath}
		out := &sink{run: e.run, printed: true}
		if err := e.template.ExecuteTemplate(out, name, chartutil.Values(t.values)); err != nil {
			return nil, executionError(p.root, name, err, e.run.at)
		}
		files[name] = strings.ReplaceAll(out.String(), noValue, "")
	}
	// Only an executor that came to its end goes back: one that failed has
	// counters, and perhaps values, that the next should not meet.
	e.run, e.templates = nil, nil
	p.idle.Put(e)
	return files, nil
}

// executor is a program's templates bound to the counters of one rendering at
// a time.
type executor struct {
	template  *template.Template
	parser    *parser
	run       *run
	templates map[string]scoped
}

func newExecutor(p *program, parser *parser) *executor {
	e := &executor{parser: parser}
	// Clone fails for templates of html/template alone.
	e.template = template.Must(p.template.Clone())
	e.template.Funcs(e.bounded(p.functions)).Funcs(e.rendering(e.template))
	return e
}

// rendering gives the functions that render templates: they belong to the set
// of templates that they are called in.
func (e *executor) rendering(t *template.Template) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, data any) (string, error) { return e.include(t, name, data) },
		"tpl":     func(text string, data any) (string, error) { return e.tpl(t, text, data) },
	}
}

// include is Helm's: a template's output as a value.
func (e *executor) include(t *template.Template, name string, data any) (string, error) {
	if e.run.includes[name] > includeBound {
		return "", &limitError{"rendering template has a nested reference name: " + name + ": unable to execute template"}
	}
	e.run.includes[name]++
	out := &sink{run: e.run}
	err := t.ExecuteTemplate(out, name, data)
	e.run.includes[name]--
	return out.String(), err
}

// maxTpl bounds tpl inside of tpl. Each level may copy the templates around it,
// and repeats all that the levels below say of an error.
const maxTpl = 100

// tpl is Helm's: a text executed as a template, which sees the templates
// around it and whose own definitions end with it.
func (e *executor) tpl(around *template.Template, text string, data any) (string, error) {
	if !strings.Contains(text, "{{") {
		return strings.ReplaceAll(text, noValue, ""), nil
	}
	if e.run.nested++; e.run.nested > maxTpl {
		return "", limited("tpl is called inside of tpl more than %d deep (limit depth)", maxTpl)
	}
	defer func() { e.run.nested-- }()
	parsed, err := e.parsed(text)
	if err != nil {
		return "", fmt.Errorf("cannot parse template %q: %w", text, err)
	}
	if parsed.forbidden != nil && e.decides(e.run.file()) {
		return "", parsed.forbidden
	}
	t, err := e.assemble(around, parsed.trees)
	if err != nil {
		return "", fmt.Errorf("cannot parse template %q: %w", text, err)
	}
	out := &sink{run: e.run}
	if err := t.Execute(out, data); err != nil {
		return "", fmt.Errorf("error during tpl function execution for %q: %w", text, err)
	}
	return strings.ReplaceAll(out.String(), noValue, ""), nil
}

// decides says whether a file of templates is one of those whose results the
// chart's files have to decide: of a chart that kai has made. Where files have no
// names all count as such; those that have are asked again.
func (e *executor) decides(file string) bool {
	t, ok := e.templates[file]
	if !ok {
		return true
	}
	of, _ := t.values["Chart"].(chartOf)
	return of.Annotations[generator.FlavorAnnotation] != ""
}

// tplText is a text that tpl is given, and what in it may not be in a flavor.
type tplText struct {
	trees     trees
	forbidden *forbiddenError
}

// parsed gives the trees of a text, which charts tend to hand to tpl again and
// again. They live as long as the rendering, for a text may hold a secret.
func (e *executor) parsed(text string) (tplText, error) {
	if known, ok := e.run.texts[text]; ok {
		return known, nil
	}
	trees, err := e.parser.parse(engineName, text)
	if err != nil {
		return tplText{}, err
	}
	e.run.texts[text] = tplText{trees, e.parser.forbidden(trees, text)}
	return e.run.texts[text], nil
}

// assemble gives an executable template of a text's trees. A text that defines
// nothing needs no copy of the templates around it.
func (e *executor) assemble(around *template.Template, trees trees) (*template.Template, error) {
	if main, ok := trees[engineName]; ok && len(trees) == 1 {
		t := around.New(engineName)
		t.Tree = main
		return t, nil
	}
	own, err := around.Clone()
	if err != nil {
		return nil, err
	}
	own.Funcs(e.rendering(own))
	t := own.New(engineName)
	for name, tree := range trees {
		if _, err := t.AddParseTree(name, tree); err != nil {
			return nil, err
		}
	}
	return t, nil
}
