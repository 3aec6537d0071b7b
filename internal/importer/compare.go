package importer

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// Compare generates the imported workspace and compares what it renders with the
// source, both with the API server's defaults. Each difference becomes an entry
// of the report. What kai itself finds wrong in the import is to be decided.
// Sources without manifests are generated only.
func (r *Result) Compare(ctx context.Context) error {
	defer r.hide()
	w, findings := workspace.Open(FS(r.Files))
	if w == nil || findings.Err() != nil {
		r.refused("", findings)
		return nil
	}
	for _, e := range r.p.contexts {
		rendered, findings, err := renderAll(ctx, w, e.name)
		if err != nil {
			return err
		}
		r.refused(e.name, findings)
		if findings.Err() != nil {
			continue
		}
		for _, c := range r.p.clustersRead {
			if c.environment == e {
				r.compare(c, rendered)
			}
		}
	}
	r.Report.sort()
	return ctx.Err()
}

// refused reports what kai says of the imported files.
func (r *Result) refused(contextName string, findings source.Findings) {
	for _, f := range findings {
		what := f.Path
		if what == "" {
			what = f.Code
		}
		r.Report.add(Decide, f.Origin, "", contextName, what, "%s", strings.TrimSuffix(f.Message+"; "+f.Hint, "; "))
	}
}

// renderAll gives the objects of a context, those of shared friends left out.
func renderAll(ctx context.Context, w *workspace.Workspace, name string) ([]manifest.Object, source.Findings, error) {
	releases, findings := build.Charts(ctx, w, name, build.Options{})
	var out []manifest.Object
	for _, release := range releases {
		if release.Kind != build.KindService {
			continue
		}
		result, err := build.Render(ctx, release, render.Options{})
		if err != nil {
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			findings = append(findings, build.Finding(release, err))
			continue
		}
		objects, err := manifest.Parse(result.Text())
		if err != nil {
			return nil, nil, err
		}
		for _, o := range objects {
			// What friends bring stands below their chart.
			if !strings.Contains(o.Source, "/charts/") && !slices.Contains(o.Hook, "test") {
				out = append(out, o)
			}
		}
	}
	return out, findings, nil
}

// native gives a value as manifest.Parse does.
func native(v *source.Value) any {
	switch {
	case v == nil:
		return nil
	case v.Kind == source.Number:
		if n, ok := v.Int(); ok {
			return int64(n)
		}
		f, _ := v.Float()
		return f
	case v.Kind == source.List:
		out := make([]any, len(v.Items))
		for i, item := range v.Items {
			out[i] = native(item)
		}
		return out
	case v.Kind == source.Map:
		out := make(map[string]any, len(v.Fields))
		for _, f := range v.Fields {
			out[f.Key] = native(f.Value)
		}
		return out
	}
	return v.Native()
}

// compare reports what differs in one environment.
func (r *Result) compare(c *cluster, rendered []manifest.Object) {
	after := map[string]manifest.Object{}
	for _, o := range rendered {
		name := o.Ref.Name
		if o.Ref.Kind == "Job" {
			name = name[:max(strings.LastIndexByte(name, '-'), 0)] // its digest
		}
		after[o.Ref.Kind+"/"+name] = o
	}
	mask := manifest.NewMask(r.p.hidden)
	for _, o := range c.whole("Secret") {
		fields, _ := native(o.v).(map[string]any)
		mask.Learn(manifest.Object{Ref: manifest.Ref{APIVersion: "v1", Kind: "Secret", Name: o.name}, Fields: manifest.Normalize(fields)})
	}
	met := map[string]bool{}
	for _, o := range c.objects {
		// Its values are what the report lists as to store.
		if o.is("Secret") {
			continue
		}
		key := o.kind + "/" + cmp.Or(c.renamed[o.ref()], o.name)
		other, ok := after[key]
		if !ok {
			if !r.Report.names(o.ref(), c.environment.name) {
				r.Report.add(LeftOut, o.origin(), "", c.environment.name, o.ref(), "kai makes nothing in its place")
			}
			continue
		}
		met[key] = true
		r.differences(c, o, other, mask)
	}
	for _, o := range rendered {
		key := o.Ref.Kind + "/" + o.Ref.Name
		if o.Ref.Kind == "Job" || met[key] {
			continue
		}
		r.Report.add(Changed, source.Origin{}, serviceOf(o), c.environment.name, o.Ref.Kind, "the source has none: %s", cmp.Or(newObjects[o.Ref.Kind], "kai makes it for every service"))
	}
}

// newObjects say why a chart has an object that the source had not.
var newObjects = map[string]string{
	"NetworkPolicy":       "kai lets in friends, and lets out to friends, DNS and what egress says",
	"ServiceAccount":      "each service has an identity of its own, without a token",
	"PodDisruptionBudget": "several replicas do not go at once while nodes are drained",
	"ConfigMap":           "files of a mount are a ConfigMap of their own",
	"Secret":              "the keys that are read from the store",
	"Service":             "a route of another type has a Service of its own, and a StatefulSet one for the names of its replicas",
	"Ingress":             "each service has an Ingress of its own",
	"HTTPRoute":           "each route has an HTTPRoute of its own",
}

func serviceOf(o manifest.Object) string {
	metadata, _ := o.Fields["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	name, _ := labels["app.kubernetes.io/name"].(string)
	return name
}

// differences reports the leaves in which two objects differ.
func (r *Result) differences(c *cluster, o *object, other manifest.Object, mask *manifest.Mask) {
	fields, _ := native(o.v).(map[string]any)
	before := manifest.Normalize(manifest.WithDefaults(renamedContainer(c, o, fields)))
	change := manifest.Compare(other.Ref, before, manifest.Normalize(manifest.WithDefaults(other.Fields)), mask)
	for _, f := range change.Fields {
		if m := envValue.FindStringSubmatch(f.Path); m != nil && secretName.MatchString(m[1]) && f.Before != nil {
			f.Before = manifest.Masked
		}
		r.Report.Entries = append(r.Report.Entries, Entry{
			Outcome: Changed, Place: originAt(o.v, f.Path).String(), Service: serviceOf(other), Context: c.environment.name,
			What: o.ref(), Path: o.kind + " " + f.Path, Before: f.Before, After: f.After, Why: reason(o.kind, f),
		})
	}
}

// renamedContainer gives the main container of a workload the service's name, so
// that its fields are compared with one another; the name is reported by itself.
func renamedContainer(c *cluster, o *object, fields map[string]any) map[string]any {
	i := slices.IndexFunc(c.works, func(w *work) bool { return w.object == o })
	if i < 0 {
		return fields
	}
	w := c.works[i]
	pod := podOf(fields)
	if pod["serviceAccount"] != nil && pod["serviceAccountName"] == nil { // its old name
		pod["serviceAccountName"] = pod["serviceAccount"]
	}
	name := w.main.Get("name").Str()
	if name == w.d.service {
		return fields
	}
	c.p.report.add(Changed, w.main.Get("name").OriginOrNone(), w.d.service, c.environment.name, "container "+name, "the main container is called like the service, %s", w.d.service)
	containers, _ := pod["containers"].([]any)
	for _, x := range containers {
		if m, ok := x.(map[string]any); ok && m["name"] == name {
			m["name"] = w.d.service
		}
	}
	return fields
}

// podOf gives the spec of a workload's pods.
func podOf(fields map[string]any) map[string]any {
	at := fields
	for _, key := range []string{"spec", "jobTemplate", "spec", "template", "spec"} {
		next, ok := at[key].(map[string]any)
		if !ok && (key == "jobTemplate" || key == "spec") {
			continue // not a CronJob
		}
		at = next
	}
	return at
}

var (
	envValue = regexp.MustCompile(`env\[name=([^\]]+)\]\.value$`)
	pathStep = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^.\[\]"]+`)
)

// originAt finds the place in the source of a path as manifest.Compare writes it,
// or of what lies nearest above.
func originAt(v *source.Value, path string) source.Origin {
	at := v.Origin
	for _, step := range pathStep.FindAllString(path, -1) {
		var next *source.Value
		key, item := strings.CutPrefix(step, "[")
		if !item {
			if name, err := strconv.Unquote(step); err == nil {
				step = name
			}
			next = v.Get(step)
		} else {
			key = strings.TrimSuffix(key, "]")
			field, want, keyed := strings.Cut(strings.Split(key, ",")[0], "=")
			for i, x := range v.ItemsOrNone() {
				if keyed && x.Get(field).Str() == want || !keyed && strconv.Itoa(i) == key {
					next = x
					break
				}
			}
		}
		if next == nil {
			return at
		}
		v, at = next, next.Origin
	}
	return at
}

// reasons say why a leaf is another, by the path that it matches; the first one
// holds.
var reasons = []struct {
	path *regexp.Regexp
	why  string
}{
	{regexp.MustCompile(`^metadata\.name$`), "objects are called like the service"},
	{regexp.MustCompile(`^spec\.(clusterIPs?|ipFamil\w+)\b`), "the cluster gives the address"},
	{regexp.MustCompile(`^metadata\.namespace$`), "the release's namespace, which the workspace's context says"},
	{regexp.MustCompile(`(matchLabels|[sS]elector)\b`), "kai's labels select the pods"},
	{regexp.MustCompile(`labels\["(app\.kubernetes\.io/(name|instance|version|managed-by|part-of|created-by)|helm\.sh/.*)"`), "kai's labels"},
	{regexp.MustCompile(`volumeClaimTemplates\[[^\]]*\]\.metadata`), "a claim of kai's has no labels and annotations of its own"},
	{regexp.MustCompile(`labels\["friend\.kai/`), "the label by which a friend's NetworkPolicy lets its pods in"},
	{regexp.MustCompile(`labels([.\[]|$)`), "the label repeats the name, or one of the workload or its pods, or is a tool's"},
	{regexp.MustCompile(`annotations\["checksum/`), "a change of the configuration restarts the pods"},
	{regexp.MustCompile(`annotations([.\[]|$)`), "an annotation of the tool that applied the source"},
	{regexp.MustCompile(`securityContext`), "kai's default: Pod Security restricted, one security for the pod"},
	{regexp.MustCompile(`resources\.`), "the flavor's default, where the source says nothing"},
	{regexp.MustCompile(`imagePullPolicy`), "kai's default: Always, where the source says nothing"},
	{regexp.MustCompile(`\.image$`), "the same image, written by its parts"},
	{regexp.MustCompile(`volumeMounts\[.*\btmp\b|volumes\[name=tmp\]`), "a writable /tmp, for the root file system is read-only"},
	{regexp.MustCompile(`volumeMounts|volumes`), "files are a ConfigMap of the service's own, mounted read-only"},
	{regexp.MustCompile(`^spec\.template\.spec\.(serviceAccount|serviceAccountName)|automountServiceAccountToken`), "a ServiceAccount of the service's own, without a token where nothing asks for one"},
	{regexp.MustCompile(`(serviceAccount|serviceAccountName)$`), "a ServiceAccount of the service's own"},
	{regexp.MustCompile(`enableServiceLinks`), "kai's default: other services' addresses come as friends, not as variables"},
	{regexp.MustCompile(`env\[`), "a variable of another form: from the store, from a friend, or written in place"},
	{regexp.MustCompile(`envFrom`), "its keys are variables of their own"},
	{regexp.MustCompile(`affinity|topologySpreadConstraints`), "kai's default: several replicas keep apart"},
	{regexp.MustCompile(`(args|command)\[|\.(args|command)$`), "an argument names a friend"},
	{regexp.MustCompile(`Probe`), "the probe's port is a route's name"},
	{regexp.MustCompile(`ports`), "ports are called like their routes"},
	{regexp.MustCompile(`strategy|updateStrategy|revisionHistoryLimit|progressDeadlineSeconds|minReadySeconds|persistentVolumeClaimRetentionPolicy|podManagementPolicy`), "the flavor's default, where the source says nothing"},
	{regexp.MustCompile(`^spec\.(ingress|egress|policyTypes)`), "kai's policy: friends, DNS, and what egress says"},
	{regexp.MustCompile(`startingDeadlineSeconds|timeZone|concurrencyPolicy|HistoryLimit|backoffLimit`), "the flavor's default, where the source says nothing"},
	{regexp.MustCompile(`^spec\.serviceName$`), "the headless Service that kai makes"},
	{regexp.MustCompile(`^(roleRef|subjects)`), "a Role and a ServiceAccount of the service's own"},
	{regexp.MustCompile(`^spec\.(rules|tls|ingressClassName|parentRefs|hostnames)`), "the same routes, written by kai"},
	{regexp.MustCompile(`unhealthyPodEvictionPolicy`), "the flavor's default: pods that are not ready may always go"},
	{regexp.MustCompile(`template\.metadata|jobTemplate\.metadata`), "kai's metadata"},
	{regexp.MustCompile(`^spec\.replicas$`), "the autoscaler's"},
}

func reason(kind string, f manifest.Field) string {
	for _, r := range reasons {
		if r.path.MatchString(f.Path) {
			return r.why
		}
	}
	return fmt.Sprintf("kai's %s has it so", kind)
}
