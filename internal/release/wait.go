package release

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

// How often waiting asks: soon at first, as most things are ready at once, and
// seldom later. The reasons are looked for only where it takes a while.
const (
	firstPoll  = 100 * time.Millisecond
	lastPoll   = 2 * time.Second
	findReason = 2 * time.Second
)

// wait waits until objects are ready, and says what it waits for.
func (a *apply) wait(ctx context.Context, s *Step, objects []manifest.Object) error {
	var pending []manifest.Object
	for _, o := range objects {
		if a.awaited(s, o) {
			pending = append(pending, o)
		}
	}
	start := a.c.clock.Now()
	said := ""
	last := map[string]string{} // why each object is not ready
	for pause := firstPoll; len(pending) > 0; pause = min(pause*3/2, lastPoll) {
		var still []manifest.Object
		var lines []string
		for _, o := range pending {
			live, err := a.c.get(ctx, o.Ref, s.Namespace)
			if err != nil {
				if ctx.Err() != nil {
					return notReady(ctx, pending, last)
				}
				return err
			}
			h := manifest.Judge(live)
			if h.State == manifest.Ready || h.Reason == manifest.Paused {
				continue // a rollout that somebody has paused goes on when they say so
			}
			why := h.Message
			if a.c.clock.Now().Sub(start) >= findReason || h.State == manifest.Failed {
				why = strings.Join(slices.DeleteFunc([]string{why, a.c.trouble(ctx, live)}, func(t string) bool { return t == "" }), "; ")
			}
			if h.State == manifest.Failed {
				return fmt.Errorf("%s will not become ready: %s", o.Ref, why)
			}
			last[o.Ref.Key()] = why
			lines = append(lines, strings.TrimSuffix(o.Ref.String()+": "+why, ": "))
			still = append(still, o)
		}
		if pending = still; len(pending) == 0 {
			break
		}
		if text := strings.Join(lines, ", "); text != said {
			said = text
			a.event(s.Release, PhaseWaiting, "waiting for %s", a.maskText(s.Release, text))
		}
		select {
		case <-ctx.Done():
			return notReady(ctx, pending, last)
		case <-a.c.clock.After(pause):
		}
	}
	return nil
}

// awaited says whether an object can be anything but ready. Jobs of a release
// may run for long and are awaited on request, or where another release needs
// this one: it needs what they have done.
func (a *apply) awaited(s *Step, o manifest.Object) bool {
	if o.Ref.Kind == "Job" {
		return a.options.WaitForJobs || slices.ContainsFunc(a.plan.Steps, func(other Step) bool { return slices.Contains(other.Needs, s.Release) })
	}
	return !slices.Contains(atOnce, o.Ref.Kind)
}

// atOnce are kinds that are ready as soon as they are there.
var atOnce = []string{
	"ConfigMap", "Secret", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
	"NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler", "LimitRange", "ResourceQuota", "CronJob",
	"StorageClass", "PriorityClass",
}

func notReady(ctx context.Context, pending []manifest.Object, why map[string]string) error {
	var lines []string
	for _, o := range pending {
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%s is not ready: %s", o.Ref, why[o.Ref.Key()]), ": "))
	}
	return fmt.Errorf("%s: %w", strings.Join(lines, "\n"), context.Cause(ctx))
}

func (a *apply) maskText(release, text string) string {
	for i, s := range a.plan.Steps {
		if s.Release == release {
			return a.maskOf(&a.plan.work[i]).Text(text)
		}
	}
	return text
}

// trouble finds why a workload is not ready: what its pods wait for, how often
// they were started, and what the cluster warns of.
func (c *Cluster) trouble(ctx context.Context, o map[string]any) string {
	u := unstructured.Unstructured{Object: o}
	var said []string
	match, _, _ := unstructured.NestedStringMap(o, "spec", "selector", "matchLabels")
	ids := map[types.UID]bool{u.GetUID(): true}
	if len(match) > 0 && u.GetNamespace() != "" {
		pods, err := c.dynamic.Resource(podResource).Namespace(u.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: labels.Set(match).String(), Limit: 50})
		if err == nil {
			for _, pod := range pods.Items {
				ids[pod.GetUID()] = true
				reason, message, restarts := manifest.PodTrouble(pod.Object)
				if reason == "" {
					continue
				}
				text := fmt.Sprintf("%s in pod %s", reason, pod.GetName())
				if restarts > 0 {
					text += fmt.Sprintf(", %d restarts", restarts)
				}
				if message != "" {
					text += ": " + message
				}
				said = append(said, text)
			}
		}
	}
	reason, message, of := c.warning(ctx, u.GetNamespace(), u.GetName(), ids)
	known := func(text string) bool { return strings.Contains(text, message) }
	if reason != "" && (message == "" || !slices.ContainsFunc(said, known)) {
		said = append(said, strings.TrimSuffix(fmt.Sprintf("%s of %s: %s", reason, of, message), ": "))
	}
	if len(said) > 3 {
		said = append(said[:3], fmt.Sprintf("and %d more", len(said)-3))
	}
	return strings.Join(said, "; ")
}

// warning gives the newest warning about a workload, its pods or its ReplicaSets,
// whose names begin with its own. What had the same names before does not count.
func (c *Cluster) warning(ctx context.Context, namespace, name string, ids map[types.UID]bool) (reason, message, object string) {
	events, err := c.core.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning", Limit: 200})
	if err != nil {
		return "", "", ""
	}
	var newest time.Time
	for _, e := range events.Items {
		of := e.InvolvedObject.Name
		replicas := e.InvolvedObject.Kind == "ReplicaSet" && strings.HasPrefix(of, name+"-")
		if !ids[e.InvolvedObject.UID] && !replicas {
			continue
		}
		when := e.LastTimestamp.Time
		if when.IsZero() {
			when = e.EventTime.Time
		}
		if when.Before(newest) {
			continue
		}
		newest = when
		reason, message, object = e.Reason, strings.TrimSpace(e.Message), of
	}
	return reason, message, object
}
