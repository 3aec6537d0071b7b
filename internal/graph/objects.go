package graph

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

// builder collects what the objects say.
type builder struct {
	nodes    []Node
	pods     []pod
	policies []policy
	services map[string]*service // by namespace/name
	routes   []route
	own      map[string]int  // the first node of a release
	names    map[int][]named // what callers call whom, by node
	outside  map[string]int  // nodes outside, by all that is known of them
	edges    map[[2]int]*Edge
	index    map[string][]int // pods by label
}

// pod stands for the pods of a workload.
type pod struct {
	node      int
	namespace string
	labels    labels.Set
	ports     []corev1.ContainerPort
	// hostNetwork pods are held by no policy.
	hostNetwork bool
	in, out     [][]rule // of each policy that holds it, for calls to it and from it
}

// service is a Service, and the node whose pods it leads to.
type service struct {
	node      int
	namespace string
	name      string
	spec      corev1.ServiceSpec
}

// route is an object that leads to a Service from outside.
type route struct {
	node      int
	namespace string
	object    manifest.Object
}

// named is whom a caller may call, as its values name it.
type named struct {
	Name      string                           `json:"name"`
	To        []networkingv1.NetworkPolicyPeer `json:"to"`
	CIDRs     []string                         `json:"cidrs"`
	Namespace string                           `json:"namespace"`
	PodLabels map[string]string                `json:"podLabels"`
	Ports     []networkingv1.NetworkPolicyPort `json:"ports"`
}

// release takes the objects of a release.
func (b *builder) release(r *Release) error {
	kind := Service
	if r.Shared {
		kind = Dependency
	}
	own := len(b.nodes)
	b.nodes = append(b.nodes, Node{Name: r.Name, Kind: kind, Release: r.Name, Namespace: r.Namespace, labels: r.Labels})
	b.own[r.Name] = own
	parts := map[string]int{"": own}
	for _, chart := range chartsOf(r) {
		if parts[chart] = own; !r.Shared {
			parts[chart] = len(b.nodes)
			b.nodes = append(b.nodes, Node{Name: chart, Kind: Requirement, Release: r.Name, Namespace: r.Namespace, labels: r.Labels})
			b.edge(own, parts[chart]).Needs = true
		}
	}
	for _, chart := range slices.Sorted(maps.Keys(r.Values)) {
		names, err := namesIn(r.Values[chart])
		if err != nil {
			return fmt.Errorf("%s: values.yaml: %w", path.Join(r.Name, chart), err)
		}
		b.names[parts[chart]] = append(b.names[parts[chart]], names...)
	}
	for _, object := range r.Objects {
		if len(object.Hook) > 0 && !slices.ContainsFunc(object.Hook, func(event string) bool { return event != "test" }) {
			continue
		}
		if err := b.object(r, parts[chartOf(object.Source)], object); err != nil {
			return fmt.Errorf("%s: %s: %w", r.Name, object.Ref, err)
		}
	}
	return nil
}

// chartsOf lists the charts in a release's chart.
func chartsOf(r *Release) []string {
	charts := slices.Collect(maps.Keys(r.Values))
	for _, o := range r.Objects {
		charts = append(charts, chartOf(o.Source))
	}
	slices.Sort(charts)
	return slices.DeleteFunc(slices.Compact(charts), func(chart string) bool { return chart == "" })
}

// chartOf gives the chart in a release's chart that a template belongs to:
// "carts-db" for carts/charts/carts-db/templates/service.yaml, "" for the chart
// itself.
func chartOf(source string) string {
	parts := strings.SplitN(source, "/", 4)
	if len(parts) > 3 && parts[1] == "charts" {
		return parts[2]
	}
	return ""
}

// namesIn reads the names of a chart's values.
func namesIn(values []byte) ([]named, error) {
	var v struct {
		NetworkPolicy any `json:"networkPolicy"`
	}
	if err := yaml.Unmarshal(values, &v); err != nil {
		return nil, err
	}
	policy, _ := v.NetworkPolicy.(map[string]any)
	list, _ := policy["egress"].([]any)
	var out []named
	for _, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			continue
		}
		var n named
		// A chart of somebody else may mean something else by it.
		if runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &n) == nil {
			out = append(out, n)
		}
	}
	return out, nil
}

// object takes what one object says.
func (b *builder) object(r *Release, node int, o manifest.Object) error {
	namespace := o.Ref.Namespace
	if namespace == "" {
		namespace = r.Namespace
	}
	switch o.Ref.Kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "ReplicationController":
		return b.pod(node, namespace, at(o.Fields, "spec", "template"))
	case "CronJob":
		return b.pod(node, namespace, at(o.Fields, "spec", "jobTemplate", "spec", "template"))
	case "Pod":
		return b.pod(node, namespace, o.Fields)
	case "NetworkPolicy":
		if o.Ref.Group() == "networking.k8s.io" {
			return b.policy(namespace, o.Fields)
		}
	case "Service":
		if o.Ref.Group() == "" {
			s := &service{node: node, namespace: namespace, name: o.Ref.Name}
			b.services[namespace+"/"+o.Ref.Name] = s
			return into(at(o.Fields, "spec"), &s.spec)
		}
	case "Ingress", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "VirtualService":
		b.routes = append(b.routes, route{node, namespace, o})
	}
	return nil
}

func (b *builder) pod(node int, namespace string, template map[string]any) error {
	var t struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
		Spec     podSpec           `json:"spec"`
	}
	if err := into(template, &t); err != nil {
		return err
	}
	p := pod{node: node, namespace: namespace, labels: t.Metadata.Labels, hostNetwork: t.Spec.HostNetwork}
	for _, c := range slices.Concat(t.Spec.Containers, t.Spec.InitContainers) {
		p.ports = append(p.ports, c.Ports...)
	}
	b.pods = append(b.pods, p)
	return nil
}

// podSpec is what is read of a pod: fields that a later Kubernetes adds must not
// make a pod unreadable.
type podSpec struct {
	HostNetwork    bool        `json:"hostNetwork"`
	Containers     []container `json:"containers"`
	InitContainers []container `json:"initContainers"`
}

type container struct {
	Ports []corev1.ContainerPort `json:"ports"`
}

// into reads an object's fields as a type.
func into(fields map[string]any, to any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(fields, to)
}

// at gives the map at a path, or an empty one.
func at(fields map[string]any, path ...string) map[string]any {
	for _, key := range path {
		fields, _ = fields[key].(map[string]any)
	}
	if fields == nil {
		return map[string]any{}
	}
	return fields
}

// name makes the names of nodes unique: charts of two releases may have one name,
// and so may what two services call from outside.
func (b *builder) name() {
	count := map[string]int{}
	for _, n := range b.nodes {
		count[n.Name]++
	}
	for i, n := range b.nodes {
		switch {
		case count[n.Name] < 2:
		case n.Kind == Requirement:
			b.nodes[i].Name = n.Release + "/" + n.Name
		case n.Kind == Outside:
			b.nodes[i].Name = fmt.Sprintf("%s (%s)", n.Name, n.whereabouts())
		}
	}
	seen := map[string]bool{}
	for i, n := range b.nodes {
		for next := 2; seen[b.nodes[i].Name]; next++ {
			b.nodes[i].Name = fmt.Sprintf("%s (%d)", n.Name, next)
		}
		seen[b.nodes[i].Name] = true
	}
}

// whereabouts says where a node outside is.
func (n Node) whereabouts() string {
	switch {
	case len(n.Addresses) > 0:
		return strings.Join(n.Addresses, ", ")
	case n.Namespace != "":
		return "namespace " + n.Namespace
	}
	return "any address"
}
