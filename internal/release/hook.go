package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	helm "helm.sh/helm/v3/pkg/release"
	helmtime "helm.sh/helm/v3/pkg/time"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

var podResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// hooks runs the hooks of an event as Helm does: by weight, each to its end
// before the next, and deleted when their policy says so.
func (a *apply) hooks(ctx context.Context, s *Step, record *helm.Release, event helm.HookEvent) error {
	if a.options.NoHooks {
		return nil
	}
	return a.c.runHooks(ctx, record, event, func(format string, args ...any) { a.event(s.Release, PhaseHook, format, args...) })
}

func (c *Cluster) runHooks(ctx context.Context, record *helm.Release, event helm.HookEvent, say func(string, ...any)) error {
	var hooks []*helm.Hook
	for _, h := range record.Hooks {
		if slices.Contains(h.Events, event) {
			hooks = append(hooks, h)
		}
	}
	sort.SliceStable(hooks, func(i, j int) bool {
		if hooks[i].Weight == hooks[j].Weight {
			return hooks[i].Name < hooks[j].Name
		}
		return hooks[i].Weight < hooks[j].Weight
	})
	for i, h := range hooks {
		say("%s hook %s/%s", event, h.Kind, h.Name)
		err := c.runHook(ctx, record, h)
		if err == nil {
			continue
		}
		err = fmt.Errorf("%s hook %s/%s: %w", event, h.Kind, h.Name, err)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, c.deleteHook(last, record, h, helm.HookFailed))
		for _, done := range hooks[:i] {
			err = errors.Join(err, c.deleteHook(last, record, done, helm.HookSucceeded))
		}
		return err
	}
	for _, h := range slices.Backward(hooks) {
		if err := c.deleteHook(ctx, record, h, helm.HookSucceeded); err != nil {
			return err
		}
	}
	return nil
}

// runHook makes a hook's objects and waits until they have done their work.
func (c *Cluster) runHook(ctx context.Context, record *helm.Release, h *helm.Hook) (err error) {
	if len(h.DeletePolicies) == 0 {
		h.DeletePolicies = []helm.HookDeletePolicy{helm.HookBeforeHookCreation}
	}
	if err := c.deleteHook(ctx, record, h, helm.HookBeforeHookCreation); err != nil {
		return err
	}
	objects, err := manifest.Parse(h.Manifest)
	if err != nil {
		return err
	}
	h.LastRun = helm.HookExecution{StartedAt: helmtime.Time{Time: c.clock.Now()}, Phase: helm.HookPhaseRunning}
	if err := c.updateRecord(ctx, record); err != nil {
		return err
	}
	defer func() {
		h.LastRun.CompletedAt = helmtime.Time{Time: c.clock.Now()}
		h.LastRun.Phase = helm.HookPhaseSucceeded
		if err != nil {
			h.LastRun.Phase = helm.HookPhaseFailed
		}
	}()
	for _, o := range objects {
		client, err := c.resource(o.Ref, record.Namespace)
		if err != nil {
			return err
		}
		if _, err := client.Create(ctx, &unstructured.Unstructured{Object: o.Fields}, metav1.CreateOptions{FieldManager: FieldManager}); err != nil {
			return refused("create", o.Ref, err)
		}
	}
	for _, o := range objects {
		if err := c.finished(ctx, o.Ref, record.Namespace); err != nil {
			return err
		}
	}
	return nil
}

// finished waits until a Job or a Pod has come to its end; all other objects
// have nothing to finish.
func (c *Cluster) finished(ctx context.Context, r manifest.Ref, namespace string) error {
	if r.Kind != "Job" && r.Kind != "Pod" {
		return nil
	}
	for pause := firstPoll; ; pause = min(pause*3/2, lastPoll) {
		live, err := c.get(ctx, r, namespace)
		switch {
		case err != nil:
			return err
		case live == nil:
			return fmt.Errorf("%s was deleted before it was done", r)
		}
		switch end, message := ended(live); end {
		case manifest.Ready:
			return nil
		case manifest.Failed:
			return errors.New(strings.TrimSpace(message + "\n" + c.logs(ctx, live)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not done: %s: %w", r, c.trouble(context.WithoutCancel(ctx), live), context.Cause(ctx))
		case <-c.clock.After(pause):
		}
	}
}

// ended says whether a Job or a Pod is done: Ready for a success.
func ended(o map[string]any) (manifest.State, string) {
	u := unstructured.Unstructured{Object: o}
	if u.GetKind() == "Pod" {
		switch phase, _, _ := unstructured.NestedString(o, "status", "phase"); corev1.PodPhase(phase) {
		case corev1.PodSucceeded:
			return manifest.Ready, ""
		case corev1.PodFailed:
			message, _, _ := unstructured.NestedString(o, "status", "message")
			return manifest.Failed, strings.TrimSuffix("the pod "+u.GetName()+" has failed: "+message, ": ")
		}
		return manifest.Progressing, ""
	}
	conditions, _, _ := unstructured.NestedSlice(o, "status", "conditions")
	for _, item := range conditions {
		c, _ := item.(map[string]any)
		if c["status"] != "True" {
			continue
		}
		switch c["type"] {
		case "Complete":
			return manifest.Ready, ""
		case "Failed":
			return manifest.Failed, fmt.Sprintf("the job %s has failed: %v", u.GetName(), c["message"])
		}
	}
	return manifest.Progressing, ""
}

// logs gives the last lines of a failed hook's pods, as far as there are any.
func (c *Cluster) logs(ctx context.Context, o map[string]any) string {
	u := unstructured.Unstructured{Object: o}
	pods := []string{u.GetName()}
	if u.GetKind() == "Job" {
		list, err := c.core.CoreV1().Pods(u.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: "job-name=" + u.GetName(), Limit: 5})
		if err != nil {
			return ""
		}
		pods = pods[:0]
		for _, p := range list.Items {
			pods = append(pods, p.Name)
		}
	}
	lines, limit := int64(20), int64(16<<10)
	var out strings.Builder
	for _, name := range pods {
		stream, err := c.core.CoreV1().Pods(u.GetNamespace()).GetLogs(name, &corev1.PodLogOptions{TailLines: &lines, LimitBytes: &limit}).Stream(ctx)
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(io.LimitReader(stream, limit))
		stream.Close()
		if len(text) > 0 {
			fmt.Fprintf(&out, "last lines of pod %s:\n%s", name, text)
		}
	}
	return strings.TrimSpace(out.String())
}

// deleteHook deletes a hook's objects where a policy of the hook says so.
func (c *Cluster) deleteHook(ctx context.Context, record *helm.Release, h *helm.Hook, policy helm.HookDeletePolicy) error {
	// A definition takes all objects of its kind with it.
	if h.Kind == "CustomResourceDefinition" || !slices.Contains(h.DeletePolicies, policy) {
		return nil
	}
	objects, err := manifest.Parse(h.Manifest)
	if err != nil {
		return err
	}
	for _, o := range objects {
		m, err := c.mappingFor(o.Ref)
		if errors.Is(err, errNoKind) {
			continue
		}
		if err != nil {
			return err
		}
		o.Ref = placed(o.Ref, m, record.Namespace)
		live, err := c.get(ctx, o.Ref, record.Namespace)
		if err != nil {
			return err
		}
		if live == nil {
			continue
		}
		if err := c.remove(ctx, operation{ref: o.Ref, live: live}, metav1.DeletePropagationBackground); err != nil {
			return err
		}
		if err := c.gone(ctx, o.Ref, record.Namespace); err != nil {
			return err
		}
	}
	return nil
}
