package validate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
)

// world is all objects, as the rules ask for them.
type world struct {
	schemas  *kubeschema.Schemas
	settings Settings
	objects  []*object
	kinds    map[string][]*object // by kind
	named    map[string]*object   // by kind, namespace and name
	pods     []*pod
	labelled map[string][]*pod // by namespace, key and value
}

// object is an object of a release, in the namespace that it comes to.
type object struct {
	manifest.Object
	release, namespace string
	order              int
	ignores            []ignore
}

// pod is what a workload makes.
type pod struct {
	*object
	path   string // of the template
	labels map[string]any
	spec   map[string]any
	// replicas is how many there are at least; -1 where nothing says it.
	replicas int
	// lasting pods serve; those of jobs and tests end.
	lasting    bool
	containers []container
}

// container is one of a pod's.
type container struct {
	path   string
	fields map[string]any
	init   bool
}

func newWorld(in Input) *world {
	w := &world{
		schemas: in.Schemas, settings: in.Settings, kinds: map[string][]*object{}, named: map[string]*object{}, labelled: map[string][]*pod{},
	}
	for _, r := range in.Releases {
		for _, o := range r.Objects {
			one := &object{Object: o, release: r.Name, namespace: cmp.Or(o.Ref.Namespace, r.Namespace), order: len(w.objects)}
			one.ignores = ignoresOf(o)
			w.objects = append(w.objects, one)
			w.kinds[o.Ref.Kind] = append(w.kinds[o.Ref.Kind], one)
			w.named[nameKey(o.Ref.Kind, one.namespace, o.Ref.Name)] = one
		}
	}
	for _, o := range w.objects {
		if p := podOf(o); p != nil {
			w.pods = append(w.pods, p)
			for k, v := range p.labels {
				at := labelKey(p.namespace, k, text(v))
				w.labelled[at] = append(w.labelled[at], p)
			}
		}
	}
	for _, p := range w.pods {
		w.scale(p)
	}
	return w
}

func nameKey(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

func labelKey(namespace, k, v string) string { return namespace + "/" + k + "=" + v }

// templates are the paths of the pods in workloads.
var templates = map[string]string{
	"Deployment": "spec.template", "StatefulSet": "spec.template", "DaemonSet": "spec.template", "ReplicaSet": "spec.template",
	"Job": "spec.template", "CronJob": "spec.jobTemplate.spec.template", "Pod": "",
}

func podOf(o *object) *pod {
	path, ok := templates[o.Ref.Kind]
	if !ok {
		return nil
	}
	template := dig(o.Fields, path)
	p := &pod{object: o, path: path, labels: dig(template, "metadata.labels"), spec: dig(template, "spec"), replicas: -1}
	if p.spec == nil {
		return nil
	}
	p.lasting = o.Ref.Kind != "Job" && o.Ref.Kind != "CronJob" && len(o.Hook) == 0 && text(p.spec["restartPolicy"]) != "Never"
	for _, field := range []string{"containers", "initContainers"} {
		for i, c := range items(p.spec[field]) {
			name := text(c["name"])
			if name == "" {
				name = strconv.Itoa(i)
			} else {
				name = "name=" + name
			}
			p.containers = append(p.containers, container{path: p.at("spec." + field + "[" + name + "]"), fields: c, init: field == "initContainers"})
		}
	}
	return p
}

// at gives the path of a field below the template.
func (p *pod) at(path string) string { return strings.TrimPrefix(p.path+"."+path, ".") }

// scale says how many pods there are at least.
func (w *world) scale(p *pod) {
	switch p.Ref.Kind {
	case "Deployment", "StatefulSet", "ReplicaSet":
		p.replicas = 1
		if n, ok := number(dig(p.Fields, "spec")["replicas"]); ok {
			p.replicas = n
		}
	case "Pod":
		p.replicas = 1
	}
	for _, hpa := range w.kinds["HorizontalPodAutoscaler"] {
		ref := dig(hpa.Fields, "spec.scaleTargetRef")
		if hpa.namespace == p.namespace && text(ref["kind"]) == p.Ref.Kind && text(ref["name"]) == p.Ref.Name {
			p.replicas = 1
			if n, ok := number(dig(hpa.Fields, "spec")["minReplicas"]); ok {
				p.replicas = n
			}
		}
	}
}

// selected gives the pods that labels select. No labels select none.
func (w *world) selected(namespace string, labels map[string]any) []*pod {
	var found []*pod
	for k, v := range labels {
		found = w.labelled[labelKey(namespace, k, text(v))]
		break
	}
	return slices.DeleteFunc(slices.Clone(found), func(p *pod) bool { return !hasAll(p.labels, labels) })
}

// matched gives the pods that a selector with expressions selects; an empty one
// selects all of the namespace.
func (w *world) matched(namespace string, selector map[string]any) []*pod {
	labels, expressions := dig(selector, "matchLabels"), items(selector["matchExpressions"])
	var found []*pod
	if len(labels) > 0 {
		found = w.selected(namespace, labels)
	} else {
		for _, p := range w.pods {
			if p.namespace == namespace {
				found = append(found, p)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(found), func(p *pod) bool {
		return slices.ContainsFunc(expressions, func(e map[string]any) bool { return !expressionHolds(e, p.labels) })
	})
}

// matches says whether a selector selects a pod.
func matches(selector, labels map[string]any) bool {
	if !hasAll(labels, dig(selector, "matchLabels")) {
		return false
	}
	return !slices.ContainsFunc(items(selector["matchExpressions"]), func(e map[string]any) bool { return !expressionHolds(e, labels) })
}

func expressionHolds(e, labels map[string]any) bool {
	v, there := labels[text(e["key"])]
	values := texts(e["values"])
	switch text(e["operator"]) {
	case "In":
		return there && slices.Contains(values, text(v))
	case "NotIn":
		return !there || !slices.Contains(values, text(v))
	case "Exists":
		return there
	case "DoesNotExist":
		return !there
	}
	return false
}

func hasAll(have, want map[string]any) bool {
	for k, v := range want {
		if h, ok := have[k]; !ok || text(h) != text(v) {
			return false
		}
	}
	return true
}

// opens says whether a container of the pod opens a port, given by number or name.
func (p *pod) opens(port any, protocol string) bool {
	return slices.ContainsFunc(p.containers, func(c container) bool { return c.opens(port, protocol) })
}

func (c container) opens(port any, protocol string) bool {
	n, isNumber := number(port)
	for _, one := range items(c.fields["ports"]) {
		if cmp.Or(text(one["protocol"]), "TCP") != protocol {
			continue
		}
		if open, _ := number(one["containerPort"]); isNumber && open == n || !isNumber && text(one["name"]) == text(port) {
			return true
		}
	}
	return false
}

// dig gives the object at a path of fields, nil where there is none.
func dig(m map[string]any, path string) map[string]any {
	if path == "" {
		return m
	}
	for field := range strings.SplitSeq(path, ".") {
		m, _ = m[field].(map[string]any)
	}
	return m
}

// items gives the objects in a list.
func items(v any) []map[string]any {
	list, _ := v.([]any)
	found := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			found = append(found, m)
		}
	}
	return found
}

// texts gives the texts in a list.
func texts(v any) []string {
	list, _ := v.([]any)
	var found []string
	for _, item := range list {
		found = append(found, text(item))
	}
	return found
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) (int, bool) {
	switch v := v.(type) {
	case int64:
		return int(v), true
	case int:
		return v, true
	case float64:
		return int(v), v == float64(int(v))
	}
	return 0, false
}

// written gives a value as a person wrote it.
func written(v any) string { return fmt.Sprint(v) }
