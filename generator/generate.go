// Package generator pours a resolved service into a flavor and gives a Helm
// chart. It is pure: no disk, no network, no clock; the same input gives the
// same bytes.
//
// A flavor's templates are copied as they are, but for the names of its helper
// templates: "flavor.…" and "kai.…" become names with a digest in them, because
// Helm's template names are global and a parent chart's would replace those of
// its subcharts. What varies from service to service stands in values.yaml.
// The objects that follow from friends and secrets come from the generator, so
// that every flavor has them.
package generator

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

//go:embed all:templates
var templates embed.FS

// FlavorAnnotation is the annotation of a chart that says which flavor it was made
// with. Charts of others have none.
const FlavorAnnotation = "chart.kai/flavor"

// Input is all that a chart is made from.
type Input struct {
	Name        string // of the chart and of its objects
	Version     string // of the chart
	Description string
	Workspace   string // name of the workspace, or ""
	Context     string // name of the context that the chart is for
	Namespace   string // that it is installed into, or "" where nothing says
	Resolved    *descriptor.Resolved
	ValuesTypes *descriptor.Types // of schemas/values.yaml
	Templates   *Templates        // shared with other charts, or nil

	Friends []Friend
	// Secret names the Secret that holds the chart's own keys; "" is NAME-secrets.
	Secret string
	// SecretGiven says that another chart makes that Secret.
	SecretGiven bool
	// SecretKeys are keys that the Secret has even where nothing refers to them.
	SecretKeys []SecretKey
	Delivery   Delivery

	Callers    []string // namespaces whose pods may be friends
	Ingress    *source.Value
	Gateway    *source.Value
	Istio      *source.Value
	Monitoring []string
	// Guarded charts, a database say, let monitoring in to metrics alone.
	Guarded   bool
	Subcharts []Subchart
}

// Friend is a service that the chart's pods talk to.
type Friend struct {
	Name      string // among the service's friends
	Object    string // name of its objects; callers carry the label friend.kai/OBJECT
	Namespace string // "" is the chart's own
	PodLabels map[string]string
	Ports     []Port
	// External friends have no pods here: CIDRs say where they are.
	External bool
	CIDRs    []string
	// Secret is the name of the Secret with its credentials, Keys what it holds.
	Secret string
	Keys   []SecretKey
	Owned  bool // this chart makes the Secret
}

// Port is a port that a friend's pods listen on.
type Port struct {
	Number   int
	Protocol string
}

// SecretKey is a key of a Secret and the reference that its value comes from.
type SecretKey struct {
	Key       string
	Reference *source.Value // {secret: KEY, …} as it was written
}

// Subchart is a chart to vendor.
type Subchart struct {
	Chart  Chart
	Values *source.Value // what the parent's values say to it, or nil
	// Asks says that the chart is another tool's, and may have any value.
	Foreign bool
}

// Role says what a Secret is to a chart.
type Role uint8

// A chart's Secrets hold its own keys, a friend's credentials or a certificate.
const (
	RoleOwn Role = iota
	RoleFriend
	RoleTLS
)

// Secret is a Secret that a chart refers to.
type Secret struct {
	Name    string
	Role    Role
	Of      string // the friend, or the certificate's key in the chart's values
	Keys    []SecretKey
	Created bool // by the chart, where it is given the values
	Written bool // its values stand in files of the chart as well
	// External says that of a Secret which is Created the chart makes an
	// ExternalSecret, and needs no values.
	External bool
	// Elsewhere says that there is no such Secret: kai-run reads its keys.
	Elsewhere bool
}

// Result is a chart and what has to be known about it later.
type Result struct {
	Chart   Chart
	Secrets []Secret
	Values  *source.Value // what values.yaml says, with the origins
}

// Generate makes a chart. Where findings hold errors, the result is nil.
func Generate(in Input) (*Result, source.Findings) {
	if in.Templates == nil {
		in.Templates = NewTemplates()
	}
	g := &generation{in: in, fields: in.Resolved.Fields, files: map[string][]byte{}}
	g.secrets = newSecrets(in, &g.findings)
	values := g.values()
	g.flavorFiles()
	g.ownFiles()
	g.subcharts(values)
	g.put("Chart.yaml", g.chartYAML())
	described := describe(in)
	g.put("values.yaml", append([]byte(valuesHead(in)), source.AppendYAML(nil, values, described.comment)...))
	g.put("values.schema.json", g.schema(values))
	g.put("ci/default-values.yaml", source.AppendYAML(nil, g.secrets.example(), nil))
	g.put("README.md", g.readme(described))
	g.checkNumbers(values, "")
	if g.findings.Err() != nil {
		return nil, g.findings
	}
	chart := Chart{Name: in.Name, Version: in.Version}
	for name, data := range g.files {
		chart.Files = append(chart.Files, File{Path: name, Data: data})
	}
	sort.Slice(chart.Files, func(i, j int) bool { return chart.Files[i].Path < chart.Files[j].Path })
	return &Result{Chart: chart, Secrets: g.secrets.list(), Values: values}, g.findings
}

type generation struct {
	in       Input
	fields   *source.Value
	files    map[string][]byte
	routes   []route
	secrets  *secrets
	mounts   mountSet
	doors    []string // namespaces of the gateways in front of the exposed routes; "" is unknown
	wrapped  bool     // a container starts through kai-run
	findings source.Findings
}

func (g *generation) put(name string, data []byte) { g.files[name] = data }

func (g *generation) fail(code string, at source.Origin, path, hint, format string, args ...any) {
	g.findings.Add(code, at, path, hint, format, args...)
}

// flavorFiles copies the flavor's files and the generator's templates.
func (g *generation) flavorFiles() {
	flavor := g.in.Resolved.Flavor
	files, findings := g.in.Templates.of(flavor)
	g.findings = append(g.findings, findings...)
	inside := !g.exposes() && ofLibrary(flavor)
	for _, f := range files {
		switch {
		case f.Path == externalSecretFile && !g.secrets.external():
		case inside && slices.Contains(routeFiles, f.Path):
		default:
			g.put(f.Path, f.Data)
		}
	}
}

// exposes says whether the chart has routes that are reached from outside. How they
// are may then be changed by values, so such a chart has the templates of all ways.
func (g *generation) exposes() bool {
	return slices.ContainsFunc(g.routes, func(r route) bool { return r.exposed })
}

// routeFiles are the library's templates for routes that are exposed, which no other
// chart needs.
var routeFiles = []string{
	"templates/_routes.tpl", "templates/gateway.yaml", "templates/grpcroute.yaml", "templates/httproute.yaml", "templates/ingress.yaml",
	"templates/istio-gateway.yaml", "templates/tcproute.yaml", "templates/tlsroute.yaml", "templates/virtualservice.yaml",
}

// ofLibrary says whether all of a flavor's templates are the library's. Those of a
// user's may call any of them.
func ofLibrary(flavor *descriptor.Flavor) bool {
	return !slices.ContainsFunc(flavor.Files, func(f descriptor.FlavorFileData) bool { return !f.Library })
}

// externalSecretFile is the template for Secrets that an operator makes, which no
// other chart needs.
const externalSecretFile = "templates/externalsecret.yaml"

// reserved are the files that only the generator writes.
var reserved = map[string]bool{
	"Chart.yaml": true, "Chart.lock": true, "values.yaml": true, "values.schema.json": true, ".helmignore": true, "README.md": true,
	"templates/_kai.tpl": true, "templates/secret.yaml": true, "templates/networkpolicy.yaml": true, "templates/objects.yaml": true,
	externalSecretFile: true,
}

// Reserved says whether only the generator writes a chart's file.
func Reserved(file string) bool { return reserved[file] }

// ownFiles adds the user's files: those of mounts and plain manifests.
func (g *generation) ownFiles() {
	for name, data := range g.mounts.files {
		g.put(name, data)
	}
}

// chartYAML writes the chart's metadata.
func (g *generation) chartYAML() []byte {
	at := source.Origin{}
	text := func(key, value string) source.Field {
		return source.Field{Key: key, Value: source.NewString(at, value)}
	}
	chart := source.NewMap(at, text("apiVersion", "v2"), text("name", g.in.Name), text("version", g.in.Version))
	image := g.fields.Get("image")
	if version := appVersion(image); version != "" {
		chart.Set("appVersion", source.NewString(at, version))
	}
	description := g.in.Description
	if description == "" {
		description = fmt.Sprintf("The service %s.", g.in.Name)
	}
	chart.Set("description", source.NewString(at, description))
	chart.Set("type", source.NewString(at, "application"))
	// unhealthyPodEvictionPolicy is on by default from 1.27, native sidecars from 1.29.
	kube := ">=1.27.0-0"
	if len(g.fields.Get("sidecars").ItemsOrNone()) > 0 {
		kube = ">=1.29.0-0"
	}
	chart.Set("kubeVersion", source.NewString(at, kube))
	keywords := source.NewList(at, source.NewString(at, g.in.Resolved.Flavor.Name))
	if g.in.Workspace != "" {
		keywords.Items = append(keywords.Items, source.NewString(at, g.in.Workspace))
	}
	chart.Set("keywords", keywords)
	chart.Set("annotations", source.NewMap(at, text("chart.kai/context", g.in.Context),
		text(FlavorAnnotation, g.in.Resolved.Flavor.Name+" "+g.in.Resolved.Flavor.Version)))
	if deps := g.dependencies(); deps != nil {
		chart.Set("dependencies", deps)
	}
	return source.AppendYAML(nil, chart, nil)
}

func appVersion(image *source.Value) string {
	if tag := image.Get("tag").Str(); tag != "" {
		return tag
	}
	if _, digest, ok := strings.Cut(image.Get("digest").Str(), ":"); ok && len(digest) >= 12 {
		return digest[:12]
	}
	return ""
}

// dependencies lists the vendored charts in the form of Chart.yaml.
func (g *generation) dependencies() *source.Value {
	if len(g.in.Subcharts) == 0 {
		return nil
	}
	at := source.Origin{}
	list := source.NewList(at)
	for _, s := range g.in.Subcharts {
		list.Items = append(list.Items, source.NewMap(at,
			source.Field{Key: "name", Value: source.NewString(at, s.Chart.Name)},
			source.Field{Key: "version", Value: source.NewString(at, s.Chart.Version)},
			source.Field{Key: "repository", Value: source.NewString(at, "")}))
	}
	return list
}

// subcharts vendors charts under charts/ and locks them in Chart.lock.
func (g *generation) subcharts(values *source.Value) {
	if len(g.in.Subcharts) == 0 {
		return
	}
	for _, s := range g.in.Subcharts {
		for _, f := range s.Chart.Files {
			g.put("charts/"+s.Chart.Name+"/"+f.Path, f.Data)
		}
		if s.Values != nil {
			values.Set(s.Chart.Name, s.Values)
		}
	}
	type dependency struct {
		Name       string `json:"name"`
		Version    string `json:"version,omitempty"`
		Repository string `json:"repository"`
	}
	var deps []dependency
	for _, s := range g.in.Subcharts {
		deps = append(deps, dependency{Name: s.Chart.Name, Version: s.Chart.Version})
	}
	// The digest is Helm's own: over the dependencies wanted and those locked,
	// so that `helm dependency build` finds the lock in order.
	data, err := json.Marshal([2][]dependency{deps, deps})
	if err != nil {
		g.fail("internal", source.Origin{}, "", "", "%s", err)
		return
	}
	sum := sha256.Sum256(data)
	at := source.Origin{}
	lock := source.NewMap(at,
		source.Field{Key: "dependencies", Value: g.dependencies()},
		source.Field{Key: "digest", Value: source.NewString(at, "sha256:"+hex.EncodeToString(sum[:]))})
	data = source.AppendYAML(nil, lock, nil)
	// Helm wants a time; a chart that is the same on every run has none to give.
	g.put("Chart.lock", append(data, "generated: \"0001-01-01T00:00:00Z\"\n"...))
}

// generated are the values that the generator writes for every flavor.
var generated = map[string]bool{
	"fullnameOverride": true, "nameOverride": true, "partOf": true, "friends": true, "networkPolicy": true, "secrets": true, "objects": true,
	"workingDir": true, "envOrder": true, "volumes": true,
}

// outputFields gives the shape of a chart's values: what the generator writes,
// and the flavor's own fields.
func outputFields(in Input) ([]descriptor.Field, *descriptor.Types) {
	var fields []descriptor.Field
	shapes := in.ValuesTypes.Get("values")
	seen := map[string]bool{}
	for _, f := range shapes.Fields {
		if generated[f.Name] && !in.Resolved.Takes(f.Name) || in.Resolved.BuiltIn(f.Name) {
			fields = append(fields, f)
			seen[f.Name] = true
		}
	}
	types := in.ValuesTypes
	for _, f := range in.Resolved.Flavor.Fields {
		if !seen[f.Name] {
			fields = append(fields, f)
			types = in.Resolved.Types
		}
	}
	if types != in.ValuesTypes {
		types = in.Resolved.Types.With(in.ValuesTypes)
	}
	return fields, types
}

// checkNumbers finds numbers that Helm would change, because it reads every
// number of values.yaml as a 64-bit float.
func (g *generation) checkNumbers(v *source.Value, path string) {
	switch v.Kind {
	case source.Number:
		if _, exact := v.Float(); !exact {
			g.fail("number", v.Origin, path, "quote it, where text will do", "Helm cannot carry the number %s exactly", v.Text)
		}
	case source.List:
		for i, item := range v.Items {
			g.checkNumbers(item, fmt.Sprintf("%s[%d]", path, i))
		}
	case source.Map:
		for _, f := range v.Fields {
			if f.Value != nil {
				g.checkNumbers(f.Value, strings.TrimPrefix(path+"."+f.Key, "."))
			}
		}
	}
}
