package render

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/asaskevich/govalidator"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/endpoints/deprecation"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/helm-kai/helm-kai/internal/source"
)

// CodeLint is the code of the findings of Helm's lint.
const CodeLint = "helm-lint"

// CodeDeprecated is the code of those among them that only say which Kubernetes has a
// kind no longer.
const CodeDeprecated = "deprecated-api"

// lintRelease is the name that Helm's lint gives the release.
const lintRelease = "test-release"

var (
	crdHook     = regexp.MustCompile(`"?helm\.sh/hook"?:\s+crd-install`)
	releaseTime = regexp.MustCompile(`\.Release\.Time`)
)

// Lint gives what `helm lint --strict` says about a chart: its errors, and as
// warnings what fails with --strict alone. Helm's own rules read folders, so
// they stand here again; what Helm merely notes, such as a missing icon, does
// not. A cancelled context gives an error.
func (c *Chart) Lint(ctx context.Context, opts Options) (source.Findings, error) {
	l := linter{chart: c, opts: opts}
	l.chartfile()
	l.valuesFile()
	err := l.templates(ctx)
	l.dependencies()
	return l.found, err
}

type linter struct {
	chart *Chart
	opts  Options
	found source.Findings
}

// say adds a finding unless err is nil, and says whether it was.
func (l *linter) say(severity source.Severity, file string, err error) bool {
	if err == nil {
		return true
	}
	finding := source.Finding{
		Origin: source.Origin{Position: position(file)}, Message: strings.TrimSpace(err.Error()), Code: CodeLint, Severity: severity,
	}
	var e *Error
	if errors.As(err, &e) && e.At.File != "" {
		finding.Origin.Position = e.At
	}
	l.found = append(l.found, finding)
	return false
}

func (l *linter) file(name string) ([]byte, bool) {
	for _, f := range l.chart.files {
		if f.Path == name {
			return f.Data, true
		}
	}
	return nil, false
}

// chartfile checks what Load lets pass in Chart.yaml. The file is read again,
// for Load fills in what is missing.
func (l *linter) chartfile() {
	data, _ := l.file("Chart.yaml")
	var md chart.Metadata
	if err := unmarshalYAML(data, &md); err != nil {
		l.say(source.Error, "Chart.yaml", fmt.Errorf("unable to parse YAML\n\t%w", err))
		return
	}
	types := map[string]any{}
	if err := unmarshalYAML(data, &types); err != nil {
		types = nil // the type of Metadata took the file, so no rule needs more
	}
	for _, err := range []error{
		lintAPIVersion(md.APIVersion), lintText(types, "version"), lintVersion(md.Version),
		lintText(types, "appVersion"), lintMaintainers(md.Maintainers), lintSources(md.Sources), lintIcon(md.Icon),
		lintV2(&md),
	} {
		l.say(source.Error, "Chart.yaml", err)
	}
}

func lintAPIVersion(version string) error {
	switch version {
	case chart.APIVersionV1, chart.APIVersionV2:
		return nil
	case "":
		return errors.New(`apiVersion is required. The value must be either "v1" or "v2"`)
	}
	return fmt.Errorf(`apiVersion '%s' is not valid. The value must be either "v1" or "v2"`, version)
}

func lintText(types map[string]any, key string) error {
	v, ok := types[key]
	if _, text := v.(string); !ok || text {
		return nil
	}
	return fmt.Errorf("%s should be of type string but it's of type %T", key, v)
}

// lintVersion refuses 0.0.0; Load has refused what is no version at all.
func lintVersion(text string) error {
	version, err := semver.NewVersion(text)
	if err != nil {
		return err
	}
	constraint, err := semver.NewConstraint(">0.0.0-0")
	if err != nil {
		return err
	}
	if ok, reasons := constraint.Validate(version); !ok && len(reasons) > 0 {
		return fmt.Errorf("version %w", reasons[0])
	}
	return nil
}

func lintMaintainers(maintainers []*chart.Maintainer) error {
	for _, m := range maintainers {
		switch {
		case m.Name == "":
			return errors.New("each maintainer requires a name")
		case m.Email != "" && !govalidator.IsEmail(m.Email):
			return fmt.Errorf("invalid email '%s' for maintainer '%s'", m.Email, m.Name)
		case m.URL != "" && !govalidator.IsURL(m.URL):
			return fmt.Errorf("invalid url '%s' for maintainer '%s'", m.URL, m.Name)
		}
	}
	return nil
}

func lintSources(sources []string) error {
	for _, s := range sources {
		if s == "" || !govalidator.IsRequestURL(s) {
			return fmt.Errorf("invalid source URL '%s'", s)
		}
	}
	return nil
}

func lintIcon(icon string) error {
	if icon != "" && !govalidator.IsRequestURL(icon) {
		return fmt.Errorf("invalid icon URL '%s'", icon)
	}
	return nil
}

// lintV2 checks for what charts of the first version may not have.
func lintV2(md *chart.Metadata) error {
	if md.APIVersion == chart.APIVersionV2 {
		return nil
	}
	if md.Type != "" {
		return fmt.Errorf("chart type is not valid in apiVersion '%s'. It is valid in apiVersion '%s'", md.APIVersion, chart.APIVersionV2)
	}
	if len(md.Dependencies) > 0 {
		return fmt.Errorf("dependencies are not valid in the Chart file with apiVersion '%s'. They are valid in apiVersion '%s'", md.APIVersion, chart.APIVersionV2)
	}
	return nil
}

// valuesFile holds values.yaml, with the user's values over it, against the
// chart's schema.
func (l *linter) valuesFile() {
	data, ok := l.file("values.yaml")
	if !ok {
		return
	}
	values, err := chartutil.ReadValues(data)
	if err != nil {
		l.say(source.Error, "values.yaml", fmt.Errorf("unable to parse YAML: %w", err))
		return
	}
	if len(l.chart.chart.Schema) > 0 {
		merged := chartutil.CoalesceTables(copyMaps(l.opts.Values), values)
		l.say(source.Error, "values.yaml", l.chart.schemas.check(pieces{l.chart.chart.Schema}, merged))
	}
}

// copyMaps gives maps that may be merged into.
func copyMaps(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for key, v := range m {
		if inner, ok := v.(map[string]any); ok {
			v = copyMaps(inner)
		}
		out[key] = v
	}
	return out
}

// templates renders the chart, leniently, and checks each file of its own.
func (l *linter) templates(ctx context.Context) error {
	opts := l.opts
	opts.ReleaseName = lintRelease
	files, own, err := l.chart.render(ctx, opts, true)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !l.say(source.Error, "templates/", err) {
		return nil
	}
	for _, t := range l.chart.chart.Templates {
		l.say(source.Error, t.Name, lintExtension(t.Name))
		l.say(source.Warning, t.Name, lintCRDHook(t.Data))
		l.say(source.Error, t.Name, lintReleaseTime(t.Data))
		if path.Ext(t.Name) == ".yaml" && !l.documents(t.Name, files[path.Join(own.Name(), t.Name)]) {
			return nil
		}
	}
	return nil
}

func lintExtension(name string) error {
	switch ext := path.Ext(name); ext {
	case ".yaml", ".yml", ".tpl", ".txt":
		return nil
	default:
		return fmt.Errorf("file extension '%s' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt", ext)
	}
}

func lintCRDHook(template []byte) error {
	if crdHook.Match(template) {
		return errors.New("manifest is a crd-install hook. This hook is no longer supported in v3 and all CRDs should also exist the crds/ directory at the top level of the chart")
	}
	return nil
}

func lintReleaseTime(template []byte) error {
	if releaseTime.Match(template) {
		return errors.New(".Release.Time has been removed in v3, please replace with the `now` function in your templates")
	}
	return nil
}

// lintedObject is the part of a manifest that the rules look at.
type lintedObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string
	Metadata   struct{ Namespace, Name string }
}

// documents checks what a template rendered to, and says whether it is YAML:
// Helm ends there if it is not.
func (l *linter) documents(file, text string) bool {
	if strings.TrimSpace(text) == "" {
		return true
	}
	l.say(source.Warning, file, lintIndent(text))
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var object *lintedObject
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			return l.say(source.Error, file, fmt.Errorf("unable to parse YAML: %w", err))
		}
		if object == nil {
			continue
		}
		l.say(source.Warning, file, lintObjectName(object))
		if !l.say(source.Warning, file, l.deprecated(object)) {
			l.found[len(l.found)-1].Code = CodeDeprecated
		}
		l.say(source.Error, file, lintSelector(object, text))
		l.say(source.Error, file, lintListAnnotations(object, text))
	}
}

// lintIndent refuses a file whose first line is indented.
func lintIndent(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			return fmt.Errorf("document starts with an illegal indent: %q, which may cause parsing problems", line)
		}
		return nil
	}
	return nil
}

func lintObjectName(o *lintedObject) error {
	var errs field.ErrorList
	for _, message := range nameRule(o.Kind)(o.Metadata.Name, false) {
		errs = append(errs, field.Invalid(field.NewPath("metadata").Child("name"), o.Metadata.Name, message))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("object name does not conform to Kubernetes naming requirements: %q: %w", o.Metadata.Name, errs.ToAggregate())
}

// nameRule gives the rule of a kind's names, which is that of a subdomain for
// most.
func nameRule(kind string) validation.ValidateNameFunc {
	switch strings.ToLower(kind) {
	case "service":
		return validation.NameIsDNS1035Label
	case "namespace":
		return validation.ValidateNamespaceName
	case "serviceaccount":
		return validation.ValidateServiceAccountName
	case "certificatesigningrequest":
		return func(string, bool) []string { return nil }
	case "role", "clusterrole", "rolebinding", "clusterrolebinding":
		return func(name string, _ bool) []string { return content.IsPathSegmentName(name) }
	}
	return validation.NameIsDNSSubdomain
}

// deprecated tells of a kind that the Kubernetes version counts as deprecated.
func (l *linter) deprecated(o *lintedObject) error {
	if o.APIVersion == "" || o.Kind == "" {
		return nil
	}
	object, err := scheme.Scheme.New(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
	if err != nil {
		return nil // no kind of Kubernetes' own, or none of those that kai knows
	}
	_, capabilities, err := l.opts.release()
	if err != nil {
		return err
	}
	version, err := semver.NewVersion(capabilities.KubeVersion.Version)
	if err != nil {
		return err
	}
	object.GetObjectKind().SetGroupVersionKind(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
	if !deprecation.IsDeprecated(object, int(version.Major()), int(version.Minor())) {
		return nil
	}
	return errors.New(deprecation.WarningMessage(object))
}

func lintSelector(o *lintedObject, text string) error {
	switch o.Kind {
	case "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet":
		if !strings.Contains(text, "matchLabels") && !strings.Contains(text, "matchExpressions") {
			return fmt.Errorf("a %s must contain matchLabels or matchExpressions, and %q does not", o.Kind, o.Metadata.Name)
		}
	}
	return nil
}

func lintListAnnotations(o *lintedObject, text string) error {
	if o.Kind != "List" {
		return nil
	}
	var list struct {
		Items []struct {
			Metadata struct{ Annotations map[string]string }
		}
	}
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		return fmt.Errorf("unable to parse YAML: %w", err)
	}
	for _, item := range list.Items {
		if _, ok := item.Metadata.Annotations["helm.sh/resource-policy"]; ok {
			//lint:ignore ST1005 these are Helm's words
			return errors.New("Annotation 'helm.sh/resource-policy' within List objects are ignored")
		}
	}
	return nil
}

// dependencies compares those that Chart.yaml names with those that are there.
// Load has refused a name that stands there twice.
func (l *linter) dependencies() {
	named, there := map[string]bool{}, map[string]bool{}
	var unnamed, missing []string
	for _, d := range l.chart.chart.Dependencies() {
		there[d.Name()] = true
	}
	for _, d := range l.chart.chart.Metadata.Dependencies {
		named[d.Name] = true
		if !there[d.Name] {
			missing = append(missing, d.Name)
		}
	}
	for _, d := range l.chart.chart.Dependencies() {
		if !named[d.Name()] {
			unnamed = append(unnamed, d.Name())
		}
	}
	if len(unnamed) > 0 {
		l.say(source.Error, "Chart.yaml", fmt.Errorf("chart metadata is missing these dependencies: %s", strings.Join(unnamed, ",")))
	}
	if len(missing) > 0 {
		l.say(source.Warning, "Chart.yaml", fmt.Errorf("chart directory is missing these dependencies: %s", strings.Join(missing, ",")))
	}
}
