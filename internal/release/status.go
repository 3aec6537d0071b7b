package release

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

// NotInstalled is the status of a release that is not there.
const NotInstalled = "not-installed"

// ReleaseStatus is how a release is: what its record says, and how its objects
// are in the cluster. It holds no secret.
type ReleaseStatus struct {
	// Revision is the newest; its context and workspace are those that the release
	// was installed from, where kai has installed it.
	Revision
	// Target is what was asked for.
	Target Target `json:"target"`
	// Health is that of the object that is worst off.
	Health  manifest.Health `json:"health"`
	Objects []ObjectStatus  `json:"objects"`
}

// ObjectStatus is how one object of a release is.
type ObjectStatus struct {
	Object manifest.Ref `json:"object"`
	manifest.Health
	// Troubles are why it is not ready, as far as the cluster says.
	Troubles []Trouble `json:"troubles,omitempty"`
}

// Trouble is something that keeps an object from being ready: the state of a pod
// of it, or a warning of the cluster.
type Trouble struct {
	Of       string `json:"of"` // Pod/carts-7d9…
	Reason   string `json:"reason"`
	Message  string `json:"message,omitempty"`
	Restarts int    `json:"restarts,omitempty"`
}

func (t Trouble) String() string {
	text := t.Of + ": " + t.Reason
	if t.Restarts > 0 {
		text += fmt.Sprintf(", %d restarts", t.Restarts)
	}
	return strings.TrimSuffix(text+": "+t.Message, ": ")
}

// Good says whether the release is there and in order.
func (s *ReleaseStatus) Good() bool {
	return s.Status == helm.StatusDeployed.String() && s.Health.State == manifest.Ready
}

// Broken says whether something has failed that will not come right by itself:
// the last change of the release, or one of its objects.
func (s *ReleaseStatus) Broken() bool {
	return s.Status != helm.StatusDeployed.String() && !helm.Status(s.Status).IsPending() || badness(s.Health.State) >= badness(manifest.Gone)
}

// Status says how releases of a target are, in their order: those that are not
// installed too.
func (c *Cluster) Status(ctx context.Context, target Target, releases []Removal) ([]ReleaseStatus, error) {
	var namespaces []string
	for _, r := range releases {
		namespaces = append(namespaces, r.Namespace)
	}
	there, err := c.Installed(ctx, namespaces)
	if err != nil {
		return nil, err
	}
	out := make([]ReleaseStatus, len(releases))
	masks := make([]*manifest.Mask, len(releases))
	var refs []manifest.Ref
	for i, r := range releases {
		state := there.states[releaseKey{r.Namespace, r.Name}]
		if !state.installed() {
			out[i] = ReleaseStatus{
				Revision: Revision{Release: r.Name, Namespace: r.Namespace, Status: NotInstalled}, Target: target,
				Health:  manifest.Health{State: manifest.Gone, Reason: "NotInstalled", Message: "it is not installed"},
				Objects: []ObjectStatus{},
			}
			continue
		}
		if out[i], masks[i], err = c.recorded(state.last); err != nil {
			return nil, err
		}
		out[i].Target = target
		for _, o := range out[i].Objects {
			refs = append(refs, o.Object)
		}
	}
	live, denied, err := c.readable(ctx, refs)
	if err != nil {
		return nil, err
	}
	var unready []*ObjectStatus
	for i := range out {
		for j := range out[i].Objects {
			o := &out[i].Objects[j]
			if why := denied[o.Object.Key()]; why != "" {
				o.Health = manifest.Health{State: manifest.Unknown, Reason: "Forbidden", Message: why}
				continue
			}
			o.Health = manifest.Judge(live.get(o.Object))
			if o.State != manifest.Ready && o.State != manifest.Gone {
				unready = append(unready, o)
			}
		}
	}
	c.troubles(ctx, live, unready)
	for i := range out {
		if masks[i] != nil {
			out[i].mask(masks[i])
			out[i].Health = worst(out[i].Objects)
		}
	}
	return out, ctx.Err()
}

// readable reads objects as read does, and says why for those that the caller may
// not see.
func (c *Cluster) readable(ctx context.Context, refs []manifest.Ref) (found *live, denied map[string]string, err error) {
	if found, err = c.read(ctx, refs, 0); !isForbidden(err) {
		return found, nil, err
	}
	byKind := map[manifest.Ref][]manifest.Ref{}
	for _, r := range refs {
		kind := manifest.Ref{APIVersion: r.APIVersion, Kind: r.Kind, Namespace: r.Namespace}
		byKind[kind] = append(byKind[kind], r)
	}
	found, denied = &live{objects: map[string]map[string]any{}}, map[string]string{}
	for _, some := range byKind {
		part, err := c.read(ctx, some, 0)
		switch {
		case isForbidden(err):
			for _, r := range some {
				denied[r.Key()] = short(err)
			}
		case err != nil:
			return nil, nil, err
		default:
			maps.Copy(found.objects, part.objects)
		}
	}
	return found, denied, nil
}

// recorded gives what a record says of a release: the objects as they were sent
// last, wherever that has come to.
func (c *Cluster) recorded(r *Record) (ReleaseStatus, *manifest.Mask, error) {
	s := ReleaseStatus{Revision: r.revision(), Objects: []ObjectStatus{}}
	objects, err := manifest.Parse(r.Manifest)
	if err != nil {
		return s, nil, fmt.Errorf("the record of %s, revision %d: %w", r.Name, r.Revision, err)
	}
	p := &planner{c: c}
	mask := manifest.NewMask(nil)
	for _, o := range objects {
		mask.Learn(o)
		s.Objects = append(s.Objects, ObjectStatus{Object: p.place(o.Ref, r.Namespace)})
	}
	return s, mask, nil
}

// mask takes secrets out of what the cluster says.
func (s *ReleaseStatus) mask(m *manifest.Mask) {
	s.Description = m.Text(s.Description)
	for i := range s.Objects {
		o := &s.Objects[i]
		o.Message = m.Text(o.Message)
		for j := range o.Troubles {
			o.Troubles[j].Message = m.Text(o.Troubles[j].Message)
		}
	}
}

// badness orders states from good to bad. An object that should be there and is
// not comes before one that has not started yet.
func badness(s manifest.State) int {
	return slices.Index([]manifest.State{manifest.Ready, manifest.Unknown, manifest.Progressing, manifest.Gone, manifest.Failed}, s)
}

// worst gives the health of the object that is worst off; the first one of them
// speaks.
func worst(objects []ObjectStatus) manifest.Health {
	out := manifest.Health{State: manifest.Ready, Reason: "Ready"}
	for _, o := range objects {
		if badness(o.State) > badness(out.State) {
			out = manifest.Health{State: o.State, Reason: o.Reason, Message: strings.TrimSuffix(o.Object.String()+": "+o.Message, ": ")}
		}
	}
	return out
}

// maxTroubles bounds what is told of one object.
const maxTroubles = 5

// troubles finds why objects are not ready, as far as the caller may see it: the
// warnings of each namespace are read once, and the pods of each workload.
func (c *Cluster) troubles(ctx context.Context, live *live, unready []*ObjectStatus) {
	namespaces := map[string]int{}
	var order []string
	for _, o := range unready {
		if _, known := namespaces[o.Object.Namespace]; !known && o.Object.Namespace != "" {
			namespaces[o.Object.Namespace] = len(order)
			order = append(order, o.Object.Namespace)
		}
	}
	warnings := make([][]corev1.Event, len(order))
	each(ctx, 0, len(order), func(i int) { warnings[i] = c.warnings(ctx, order[i]) })
	each(ctx, 0, len(unready), func(i int) {
		o := unready[i]
		if i, known := namespaces[o.Object.Namespace]; known {
			ids := map[types.UID]bool{}
			o.Troubles = c.podTroubles(ctx, live.get(o.Object), ids)
			for _, w := range warningsOf(warnings[i], o.Object, ids) {
				// A pod says of itself what the scheduler has warned of.
				if !slices.ContainsFunc(o.Troubles, func(t Trouble) bool { return t.Of == w.Of && t.Message == w.Message }) {
					o.Troubles = append(o.Troubles, w)
				}
			}
			if len(o.Troubles) > maxTroubles {
				o.Troubles = o.Troubles[:maxTroubles]
			}
		}
	})
}

// podTroubles finds what keeps the pods of a workload from being ready, and notes
// its uid and theirs.
func (c *Cluster) podTroubles(ctx context.Context, o map[string]any, ids map[types.UID]bool) []Trouble {
	u := unstructured.Unstructured{Object: o}
	ids[u.GetUID()] = true
	raw, found, _ := unstructured.NestedMap(o, "spec", "selector")
	if !found || raw["matchLabels"] == nil && raw["matchExpressions"] == nil {
		return nil
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil
	}
	chosen, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil || chosen.Empty() {
		return nil
	}
	pods, err := c.dynamic.Resource(podResource).Namespace(u.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: chosen.String(), Limit: 50})
	if err != nil {
		return nil
	}
	var out []Trouble
	for _, pod := range pods.Items {
		ids[pod.GetUID()] = true
		if reason, message, restarts := manifest.PodTrouble(pod.Object); reason != "" {
			out = append(out, Trouble{Of: "Pod/" + pod.GetName(), Reason: reason, Message: message, Restarts: restarts})
		}
	}
	return out
}

// warnings reads the warnings of a namespace; none where the caller may not see
// them.
func (c *Cluster) warnings(ctx context.Context, namespace string) []corev1.Event {
	events, err := c.core.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning", Limit: 500})
	if err != nil {
		return nil
	}
	slices.SortStableFunc(events.Items, func(a, b corev1.Event) int { return happened(b).Compare(happened(a)) })
	return events.Items
}

func happened(e corev1.Event) time.Time {
	if e.LastTimestamp.IsZero() {
		return e.EventTime.Time
	}
	return e.LastTimestamp.Time
}

// warningsOf gives the newest warnings about objects that are there now, by their
// uids, and about the ReplicaSets of a Deployment: each reason once.
func warningsOf(events []corev1.Event, r manifest.Ref, ids map[types.UID]bool) []Trouble {
	var out []Trouble
	said := map[string]bool{}
	for _, e := range events {
		of := e.InvolvedObject
		replicas := r.Kind == "Deployment" && of.Kind == "ReplicaSet" && setOf(of.Name, r.Name)
		if said[e.Reason] || !ids[of.UID] && !replicas {
			continue
		}
		said[e.Reason] = true
		out = append(out, Trouble{Of: of.Kind + "/" + of.Name, Reason: e.Reason, Message: strings.TrimSpace(e.Message)})
	}
	return out
}

// setOf says whether a name is that of a Deployment's ReplicaSet: what its
// controller appends is a hash in letters and digits of its own choice.
// Source: k8s.io/apimachinery/pkg/util/rand.SafeEncodeString.
func setOf(name, deployment string) bool {
	hash, ok := strings.CutPrefix(name, deployment+"-")
	return ok && hash != "" && strings.Trim(hash, "bcdfghjklmnpqrstvwxz2456789") == ""
}
