// Package flavortest runs the test cases of flavors. A case is a folder below the
// flavor's tests: a descriptor, or a whole workspace, as users write them. Each of
// its contexts is rendered and held to manifests/CONTEXT.yaml; the objects are held to
// Kubernetes' schemas, to the rules whose findings are errors, and to helm lint. A
// case with an error.txt has to be refused, in these words.
//
// Running reads the workspace's files and writes none: what the golden files should
// have been is part of the result.
package flavortest

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// Names in a case's folder.
const (
	// Manifests is the folder of what the contexts render to, each in CONTEXT.yaml.
	Manifests = "manifests"
	// Refused is the file of what kai says of a case that it must refuse.
	Refused = "error.txt"
)

// Namespace is the one of a case whose workspace gives none.
const Namespace = "default"

// maxGolden bounds a golden file, in bytes.
const maxGolden = 16 << 20

// Options say how cases are run.
type Options struct {
	// Run chooses cases by FLAVOR/CASE; nil is all.
	Run *regexp.Regexp
	// Schemas are those that objects are held to, and Settings those of the rules.
	Schemas  *kubeschema.Schemas
	Settings validate.Settings
	// KubeVersion is what the templates see; "" is render's.
	KubeVersion string
	// Jobs is how many cases run at the same time; 0 is one per CPU.
	Jobs int
}

// Report is what the cases of one flavor came to.
type Report struct {
	Flavor string `json:"flavor"`
	// Dir is the flavor's folder.
	Dir   string `json:"dir"`
	Cases []Case `json:"cases"`
	// Coverage is nil where not all cases have run.
	Coverage *Coverage `json:"coverage,omitempty"`
}

// Case is a test case that has run.
type Case struct {
	Name     string    `json:"name"`
	Dir      string    `json:"dir"`
	Contexts []string  `json:"contexts"`
	Problems []Problem `json:"problems,omitempty"`
	// Goldens are the case's golden files that are not as they should be.
	Goldens []Golden `json:"-"`

	releases []build.Release // of all contexts, for the coverage
	fields   []*source.Value // that they set, or say where kai refuses them
}

// Kinds of problems.
const (
	KindGolden  = "golden"  // a golden file says something else
	KindRefused = "refused" // kai refuses the case, or does not and should
	KindRule    = "rule"    // an object breaks a rule, schemas included
	KindLint    = "lint"
	KindCase    = "case" // its folder has no descriptor
)

// Problem is why a case fails.
type Problem struct {
	Kind    string `json:"kind"`
	Context string `json:"context,omitempty"`
	// File is the golden file that the problem is about, or "".
	File    string `json:"file,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Diff leads from what the golden file says to what there is.
	Diff Diff `json:"diff,omitempty"`
}

// Diff is a unified diff, in JSON a text.
type Diff []manifest.Line

// MarshalText gives it as a text.
func (d Diff) MarshalText() ([]byte, error) {
	var out []byte
	for _, line := range d {
		if line.Op != '@' {
			out = append(out, line.Op)
		}
		out = append(append(out, line.Text...), '\n')
	}
	return out, nil
}

// Golden is a golden file that is not as it should be.
type Golden struct {
	File string
	// Data is what it should say; nil is that it should not be there.
	Data []byte
}

// Run runs the cases of the flavor in a folder of the workspace's tree.
func Run(ctx context.Context, w *workspace.Workspace, dir string, o Options) (*Report, error) {
	report := &Report{Flavor: path.Base(dir), Dir: dir, Cases: []Case{}}
	all, err := names(w.FS, dir)
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		if o.Run == nil || o.Run.MatchString(report.Flavor+"/"+name) {
			report.Cases = append(report.Cases, Case{Name: name, Dir: path.Join(dir, descriptor.FlavorTests, name), Contexts: []string{}})
		}
	}
	coverage := render.NewCoverage()
	r := runner{w: w, flavor: dir, options: o, kit: build.NewCoveredKit(coverage)}
	errs := make([]error, len(report.Cases))
	build.Each(ctx, o.Jobs, len(report.Cases), func(i int) { errs[i] = r.run(ctx, &report.Cases[i]) })
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	if len(all) == len(report.Cases) && len(all) > 0 {
		report.Coverage, err = r.coverage(coverage, report.Cases)
	}
	return report, err
}

// Failed says whether a case has problems.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Cases, func(c Case) bool { return len(c.Problems) > 0 })
}

// Refuses says whether a case is one that kai has to refuse.
func Refuses(fsys fs.FS, dir, name string) bool {
	return hasAny(fsys, path.Join(dir, descriptor.FlavorTests, name), Refused) != ""
}

// Names lists the cases of the flavor in a folder.
func Names(fsys fs.FS, dir string) ([]string, error) { return names(fsys, dir) }

// names lists the cases of a flavor: the folders below its tests. Where the name
// begins with a dot or an underscore, only one with a descriptor or a workspace is
// a case, so that cases can have files in common.
func names(fsys fs.FS, dir string) ([]string, error) {
	tests := path.Join(dir, descriptor.FlavorTests)
	entries, err := fs.ReadDir(fsys, tests)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		named := e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), "_")
		if named || hasAny(fsys, path.Join(tests, e.Name()), workspace.FileName, descriptor.FileName) != "" {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// hasAny gives the first of these files that a folder has, or "".
func hasAny(fsys fs.FS, dir string, files ...string) string {
	for _, file := range files {
		if _, err := fs.Stat(fsys, path.Join(dir, file)); err == nil {
			return file
		}
	}
	return ""
}

// runner runs the cases of one flavor.
type runner struct {
	w       *workspace.Workspace
	flavor  string
	options Options
	kit     *build.Kit
}

// run runs one case.
func (r *runner) run(ctx context.Context, c *Case) error {
	if hasAny(r.w.FS, c.Dir, workspace.FileName, descriptor.FileName) == "" {
		c.Problems = append(c.Problems, r.noCase(c))
		return nil
	}
	ws, findings := r.w.Within(c.Dir, path.Dir(r.flavor))
	r.said(c, ws)
	wanted := map[string][]byte{}
	var refusals []string
	if ws == nil || findings.Err() != nil {
		refusals = []string{r.refusal(c, findings)}
	} else {
		c.Contexts = append(c.Contexts, ws.ContextNames()...)
		for _, name := range ws.ContextNames() {
			text, findings, err := r.context(ctx, c, ws, name)
			switch {
			case err != nil:
				return err
			case findings.Err() == nil:
				wanted[name+".yaml"] = []byte(text)
			default:
				refusals = append(refusals, r.refusal(c, findings))
			}
		}
	}
	slices.Sort(refusals)
	return r.judge(c, wanted, strings.Join(slices.Compact(refusals), ""))
}

// noCase says of a folder that nothing in it can be run.
func (r *runner) noCase(c *Case) Problem {
	p := Problem{
		Kind: KindCase, File: c.Dir, Message: "there is neither " + descriptor.FileName + " nor " + workspace.FileName + " in the folder",
		Hint: "write a " + descriptor.FileName + "; a folder that is no case has a name that begins with _",
	}
	for _, name := range []string{workspace.FileName, descriptor.FileName} {
		if short := strings.TrimSuffix(name, ".yaml") + ".yml"; hasAny(r.w.FS, c.Dir, short) != "" {
			p.Hint = "rename " + short + " to " + name
		}
	}
	return p
}

// said notes what the files of a case say of contexts, those included that kai
// refuses. ws is nil where they cannot be read as a workspace.
func (r *runner) said(c *Case, ws *workspace.Workspace) {
	var roots []*source.Value
	for _, name := range []string{workspace.FileName, descriptor.FileName} {
		if hasAny(r.w.FS, c.Dir, name) != "" {
			root, _ := source.ReadYAML(r.w.FS, path.Join(c.Dir, name)) // the case has failed with the findings
			roots = append(roots, root)
		}
	}
	if ws != nil {
		for _, s := range ws.Services {
			roots = append(roots, s.Root())
		}
	}
	for _, root := range roots {
		c.fields = append(c.fields, root.Get("defaults"))
		c.fields = append(c.fields, root.Get("contexts").ItemsOrNone()...)
	}
}

// context renders a context of a case and looks at its objects. The findings are why
// kai refuses it.
func (r *runner) context(ctx context.Context, c *Case, ws *workspace.Workspace, name string) (string, source.Findings, error) {
	releases, findings := build.Charts(ctx, ws, name, build.Options{Kit: r.kit, Jobs: 1, Trace: true})
	if findings.Err() != nil || ctx.Err() != nil {
		return "", findings, ctx.Err()
	}
	var text strings.Builder
	var objects []validate.Release
	for _, release := range releases {
		manifests, err := r.release(ctx, c, name, release)
		if ctx.Err() != nil {
			return "", nil, ctx.Err()
		}
		if err != nil {
			return "", source.Findings{build.Finding(release, err)}, nil
		}
		text.WriteString(manifests)
		parsed, err := manifest.Parse(manifests)
		if err != nil {
			return "", source.Findings{build.Finding(release, err)}, nil
		}
		objects = append(objects, validate.Release{Name: release.Name, Namespace: cmp.Or(release.Namespace, Namespace), Objects: parsed})
		c.releases = append(c.releases, release)
		if release.Trace != nil {
			c.fields = append(c.fields, release.Trace.Fields)
		}
	}
	for _, f := range validate.Check(validate.Input{Releases: objects, Schemas: r.options.Schemas, Settings: r.options.Settings}) {
		if f.Severity == validate.Error && f.Ignored == "" {
			c.Problems = append(c.Problems, Problem{Kind: KindRule, Context: name, Message: strings.TrimSpace(f.Object.String()+" "+f.Path) + ": " + f.Message + " (" + f.Rule + ")", Hint: f.Hint})
		}
	}
	return text.String(), nil, nil
}

// release renders a release, as helm template does, and lints its chart.
func (r *runner) release(ctx context.Context, c *Case, name string, release build.Release) (string, error) {
	o := render.Options{Namespace: Namespace, KubeVersion: r.options.KubeVersion}
	loaded, err := build.Load(release)
	if err != nil {
		return "", err
	}
	result, err := loaded.Render(ctx, o)
	if err != nil {
		return "", err
	}
	findings, err := loaded.Lint(ctx, o)
	for _, f := range findings {
		f.Origin.File = release.Source(f.Origin.File)
		c.Problems = append(c.Problems, Problem{Kind: KindLint, Context: name, Message: release.Name + ": " + r.short(c, source.Findings{f}.Error())})
	}
	return result.Text(), err
}

// refusal words findings without the folders of the case and the flavor, which are
// not the same wherever the tests run.
func (r *runner) refusal(c *Case, findings source.Findings) string {
	return strings.TrimSpace(r.short(c, findings.Sorted().Error())) + "\n"
}

func (r *runner) short(c *Case, text string) string {
	return strings.NewReplacer(c.Dir+"/", "", r.flavor+"/", "").Replace(text)
}

// judge holds what a case came to against its golden files.
func (r *runner) judge(c *Case, wanted map[string][]byte, refused string) error {
	said, err := r.read(path.Join(c.Dir, Refused))
	if err != nil {
		return err
	}
	if said == nil && refused != "" {
		c.Problems = append(c.Problems, Problem{Kind: KindRefused, Message: "kai refuses it:\n" + refused, Hint: "if it should, make an empty " + path.Join(c.Dir, Refused) + ", and --update fills it"})
		return nil // its manifests stay as they were
	}
	if said != nil && len(wanted) > 0 {
		c.Problems = append(c.Problems, Problem{Kind: KindRefused, File: path.Join(c.Dir, Refused), Message: "kai should refuse it, and does not", Hint: "if that is right, remove " + path.Join(c.Dir, Refused)})
		return nil
	}
	if said != nil {
		r.compare(c, path.Join(c.Dir, Refused), said, []byte(refused))
	}
	dir := path.Join(c.Dir, Manifests)
	entries, err := fs.ReadDir(r.w.FS, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if _, ok := wanted[e.Name()]; ok || !isGolden(e) {
			continue
		}
		file := path.Join(dir, e.Name())
		if said != nil { // its contexts are refused, not gone
			c.Problems = append(c.Problems, Problem{Kind: KindRefused, File: file, Message: "nothing renders to it: the case has an " + Refused, Hint: "remove one of the two"})
			continue
		}
		c.Goldens = append(c.Goldens, Golden{File: file})
		c.Problems = append(c.Problems, Problem{Kind: KindGolden, File: file, Message: "nothing renders to it: the case has no such context"})
	}
	for _, name := range c.Contexts {
		data, ok := wanted[name+".yaml"]
		if !ok {
			continue
		}
		file := path.Join(dir, name+".yaml")
		have, err := r.read(file)
		if err != nil {
			return err
		}
		r.compare(c, file, have, data)
	}
	return nil
}

// isGolden says whether a file in the folder of manifests can be that of a context.
// What else authors keep there is theirs.
func isGolden(e fs.DirEntry) bool {
	name, ok := strings.CutSuffix(e.Name(), ".yaml")
	if !ok || e.IsDir() {
		return false
	}
	_, ok = descriptor.InvalidName(name)
	return ok
}

// compare holds a golden file to what it should say.
func (r *runner) compare(c *Case, file string, have, want []byte) {
	if have != nil && string(have) == string(want) {
		return
	}
	c.Goldens = append(c.Goldens, Golden{File: file, Data: want})
	p := Problem{Kind: KindGolden, File: file, Message: "it is not there yet", Hint: "--update writes it"}
	if have != nil {
		p.Message, p.Hint, p.Diff = "what comes out differs", "--update takes it over", manifest.DiffText(string(have), string(want), 3)
	}
	c.Problems = append(c.Problems, p)
}

// read gives a golden file, nil where there is none.
func (r *runner) read(file string) ([]byte, error) {
	data, err := source.ReadFile(r.w.FS, file, maxGolden)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && data == nil {
		data = []byte{}
	}
	return data, err
}
