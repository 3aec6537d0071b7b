// Package render turns a chart into the manifests that `helm template` prints,
// byte for byte, and tells what `helm lint` and kai's own rules say about it.
//
// Values are merged, dependencies chosen and manifests sorted by Helm's own
// packages. The templates are executed here, over text/template and with
// Helm's set of functions, for two reasons: a chart's templates are parsed
// once however often it is rendered, and execution is bounded and can be
// cancelled, which Helm's engine cannot. A template that does not come to an
// end, or makes more and more text, ends with an error that names its file and
// line and the bound; it takes neither the process nor the machine with it.
//
// What the bounds do not count are the methods that a template may call, those
// of .Files above all: each gives no more than the chart's own files hold.
//
// Nothing here reads a disk, a network or a clock on its own account: lookup
// finds nothing, getHostByName resolves nothing, and a values schema that
// refers to a document elsewhere takes that part as permissive.
package render

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// What a rendering takes where the options are silent. DefaultKubeVersion is
// what the released Helm 3.22 takes; HelmVersion is what templates see as
// .Capabilities.HelmVersion.
const (
	DefaultReleaseName = "release-name"
	DefaultNamespace   = "default"
	DefaultKubeVersion = "v1.37.0"
	HelmVersion        = "v3.22.0"
)

const notesFile = "NOTES.txt"

// Options are the arguments of one rendering. The zero value renders the
// chart as `helm template` does without flags.
type Options struct {
	ReleaseName string
	Namespace   string
	KubeVersion string   // such as 1.31 or v1.31.4
	APIVersions []string // beside those that Helm knows of
	// ClusterAPIs says that APIVersions are all that there are, as a cluster's.
	ClusterAPIs bool
	IsUpgrade   bool
	Revision    int // of the release; 0 is the first

	// Values are the user's, merged already; they are not changed.
	Values map[string]any

	// Only names the one template that is executed, as Helm does in a manifest's
	// source, whatever the charts are called (Unnamed); "" is all.
	Only        string
	IncludeCRDs bool
	NoHooks     bool
	Limits      Limits
}

// Unnamed gives the source of a manifest without the names of the charts that it
// stands in, which differ between charts that are otherwise the same.
func Unnamed(source string) string {
	parts := strings.Split(source, "/")
	parts[0] = ""
	for i := 1; i < len(parts); i++ {
		if parts[i-1] == "charts" {
			parts[i] = ""
		}
	}
	return strings.Join(parts, "/")
}

// Limits bound one rendering; a zero stands for the default.
type Limits struct {
	// Output is the most that all templates of a chart may print, and the
	// most that one value inside of a template may hold, in bytes.
	Output int64
	// Work is the most that functions, include and tpl among them, may hand
	// from one step of a template to the next, in bytes.
	Work int64
	// Steps is how often templates may be called and loops may turn.
	Steps int64
	// Depth is how deep calls of templates may nest. Helm's own bound of
	// 1000 for one name holds beside it.
	Depth int
}

// DefaultLimits are far above what any chart needs that people have written.
func DefaultLimits() Limits {
	return Limits{Output: 64 << 20, Work: 1 << 30, Steps: 5_000_000, Depth: 2048}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.Output > 0 {
		d.Output = l.Output
	}
	if l.Work > 0 {
		d.Work = l.Work
	}
	if l.Steps > 0 {
		d.Steps = l.Steps
	}
	if l.Depth > 0 {
		d.Depth = l.Depth
	}
	return d
}

// Manifest is one document that came out of a chart.
type Manifest struct {
	Source     string // as Helm names it: CHART/templates/x.yaml
	Content    string // without the separator and the comment that names the source
	APIVersion string
	Kind       string
	Name       string
	CRD        bool     // from the folder crds/, so that it was not a template
	Hook       bool     // carries the annotation helm.sh/hook
	Events     []string // of a hook: pre-install, test, ...
	Weight     int      // of a hook
}

// String gives the manifest as `helm template` prints it.
func (m Manifest) String() string {
	return "---\n# Source: " + m.Source + "\n" + m.Content + "\n"
}

// Result is what a chart renders to.
type Result struct {
	// Manifests are CRDs where asked for, then objects, then hooks, each in
	// the order in which Helm would install them.
	Manifests []Manifest
	Notes     string
	// Chart is the chart as its dependencies' conditions left it, in Helm's own
	// type: what Helm writes into the record of a release.
	Chart *chart.Chart
}

// Text gives the manifests as `helm template` prints them.
func (r *Result) Text() string {
	var objects, hooks strings.Builder
	for _, m := range r.Manifests {
		if m.Hook {
			hooks.WriteString(m.String())
		} else {
			objects.WriteString(m.String())
		}
	}
	return strings.TrimSpace(objects.String()) + "\n" + hooks.String()
}

// Render executes the chart's templates. It can be called by several
// goroutines at once. An error about the chart is an *Error; a cancelled
// context gives an error that wraps ctx.Err().
func (c *Chart) Render(ctx context.Context, opts Options) (*Result, error) {
	files, own, err := c.render(ctx, opts, false)
	if err != nil {
		return nil, err
	}
	result, err := arrange(own, files, opts)
	if err != nil {
		return nil, err
	}
	result.Chart = own
	return result, nil
}

// render gives every template's output by its full name, and the chart as its
// dependencies' conditions left it.
func (c *Chart) render(ctx context.Context, opts Options, lint bool) (files map[string]string, own *chart.Chart, err error) {
	if !lint {
		if files, own, ok := c.quickly(ctx, opts); ok {
			return files, own, nil
		}
	}
	files, own, err = c.renderWith(ctx, opts, lint, c.program)
	var failed *Error
	if errors.As(err, &failed) && failed.ofTemplates() {
		// Once more, with templates that know whose they are.
		again, chart, worded := c.renderWith(ctx, opts, lint, c.ownProgram)
		if worded != nil {
			return nil, nil, worded
		}
		if failed.Code == CodeForbidden {
			return again, chart, nil // in a chart of somebody else's, who may
		}
	}
	return files, own, err
}

func (c *Chart) renderWith(ctx context.Context, opts Options, lint bool, parsed func(map[string]scoped) (*program, error)) (files map[string]string, own *chart.Chart, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Error{Code: CodeInternal, Message: fmt.Sprintf("rendering %s failed: %v", c.chart.Name(), r)}
		}
	}()
	own, templates, err := c.prepare(ctx, opts, lint)
	if err != nil {
		return nil, nil, err
	}
	p, err := parsed(templates)
	if err != nil {
		return nil, nil, err
	}
	files, err = p.execute(ctx, templates, opts, lint)
	return files, own, err
}

// prepare gives the chart as its dependencies' conditions leave it, and its
// templates with what they see.
func (c *Chart) prepare(ctx context.Context, opts Options, lint bool) (own *chart.Chart, templates map[string]scoped, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	release, capabilities, err := opts.release()
	if err != nil {
		return nil, nil, err
	}
	if err := c.installable(capabilities, lint); err != nil {
		return nil, nil, err
	}
	own = copyChart(c.chart)
	values, err := c.values(own, opts.Values, release, capabilities)
	if err != nil {
		return nil, nil, err
	}
	return own, collect(own, values), nil
}

// release gives the options in Helm's words.
func (o Options) release() (chartutil.ReleaseOptions, *chartutil.Capabilities, error) {
	r := chartutil.ReleaseOptions{
		Name: o.ReleaseName, Namespace: o.Namespace, Revision: max(o.Revision, 1),
		IsInstall: !o.IsUpgrade, IsUpgrade: o.IsUpgrade,
	}
	if r.Name == "" {
		r.Name = DefaultReleaseName
	}
	if r.Namespace == "" {
		r.Namespace = DefaultNamespace
	}
	if err := chartutil.ValidateReleaseName(r.Name); err != nil {
		return r, nil, &Error{Code: CodeOptions, Message: fmt.Sprintf("release name %q: %v", r.Name, err)}
	}
	wanted := o.KubeVersion
	if wanted == "" {
		wanted = DefaultKubeVersion
	}
	version, err := chartutil.ParseKubeVersion(wanted)
	if err != nil {
		return r, nil, &Error{Code: CodeOptions, Message: fmt.Sprintf("invalid kube version '%s': %v", wanted, err)}
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	if o.ClusterAPIs {
		capabilities.APIVersions = nil
	}
	capabilities.APIVersions = append(append(chartutil.VersionSet(nil), capabilities.APIVersions...), o.APIVersions...)
	capabilities.HelmVersion.Version = HelmVersion
	capabilities.HelmVersion.GoVersion = "" // of whatever built kai: no two machines would agree
	return r, capabilities, nil
}

// installable makes the checks that Helm makes before it renders.
func (c *Chart) installable(capabilities *chartutil.Capabilities, lint bool) error {
	if lint {
		return nil
	}
	md := c.chart.Metadata
	if md.Type != "" && md.Type != "application" {
		return c.errorf(CodeChart, "Chart.yaml", "%s charts are not installable", md.Type)
	}
	present := map[string]bool{}
	for _, d := range c.chart.Dependencies() {
		present[d.Name()] = true
	}
	var missing []string
	for _, d := range md.Dependencies {
		if !present[d.Name] {
			missing = append(missing, d.Name)
		}
	}
	if len(missing) > 0 {
		return c.errorf(CodeChart, "Chart.yaml", "found in Chart.yaml, but missing in charts/ directory: %s", strings.Join(missing, ", "))
	}
	if md.KubeVersion != "" && !chartutil.IsCompatibleRange(md.KubeVersion, capabilities.KubeVersion.String()) {
		return c.errorf(CodeKubeVersion, "Chart.yaml", "chart requires kubeVersion: %s which is incompatible with Kubernetes %s",
			md.KubeVersion, capabilities.KubeVersion.String())
	}
	return nil
}

// values lets the values choose the dependencies of own, and gives what its
// templates see.
func (c *Chart) values(own *chart.Chart, user map[string]any, release chartutil.ReleaseOptions, capabilities *chartutil.Capabilities) (chartutil.Values, error) {
	merged, ok := c.library.merged(own, user)
	if !ok {
		if err := chartutil.ProcessDependenciesWithMerge(own, user); err != nil {
			return nil, c.errorf(CodeValues, "values.yaml", "%v", err)
		}
		var err error
		if merged, err = chartutil.CoalesceValues(own, user); err != nil {
			return nil, c.errorf(CodeValues, "values.yaml", "%v", err)
		}
	}
	values := chartutil.Values{
		"Chart":        own.Metadata,
		"Capabilities": capabilities,
		"Release": map[string]any{
			"Name": release.Name, "Namespace": release.Namespace, "IsUpgrade": release.IsUpgrade, "IsInstall": release.IsInstall,
			"Revision": release.Revision, "Service": "Helm",
		},
		"Values": chartutil.Values(merged),
	}
	if text := c.schemas.validate(own, merged); text != "" {
		return nil, c.errorf(CodeSchema, "values.schema.json", "values don't meet the specifications of the schema(s) in the following chart(s):\n%s", text)
	}
	return values, nil
}
