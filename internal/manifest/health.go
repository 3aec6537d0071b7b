package manifest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// State is how a live object is.
type State string

// The states. Progressing may become Ready by itself, Failed will not; Unknown
// is what nobody reports on yet.
const (
	Ready       State = "Ready"
	Progressing State = "Progressing"
	Failed      State = "Failed"
	Unknown     State = "Unknown"
	Gone        State = "Gone"
)

// Paused is the reason of a rollout that somebody has stopped on purpose.
const Paused = "Paused"

// Health is the judgement on a live object.
type Health struct {
	State State `json:"state"`
	// Reason is one word for programs. It is kai's own, or the one that the
	// cluster gives with a condition; Message is for people.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Judge gives the health of a live object: nil is Gone. An object for which
// nothing is known is ready once it is there. The rules follow those of kubectl
// rollout status (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go), of
// Helm 3's --wait (pkg/kube/ready.go) and, for custom resources, of kstatus.
func Judge(o map[string]any) Health {
	if o == nil {
		return Health{Gone, "NotFound", "it is not there"}
	}
	kind, group := text(o["kind"]), Ref{APIVersion: text(o["apiVersion"])}.Group()
	if at(o, "metadata", "deletionTimestamp") != nil {
		return deleting(o)
	}
	if rule, ok := rules[group+"/"+kind]; ok {
		return rule(live{o})
	}
	if builtin(group) {
		return ready("Exists", "")
	}
	return judgeCustom(live{o})
}

// rules are the judgements by group and kind. Kinds of Kubernetes' own groups
// that are not among them are ready once they are there.
var rules = map[string]func(live) Health{
	"/Pod":                   judgePod,
	"/Service":               judgeService,
	"/PersistentVolumeClaim": judgeClaim,
	"/PersistentVolume":      judgeVolume,
	"/Namespace":             judgeNamespace,
	"/ReplicationController": judgeReplicaSet,
	"apps/Deployment":        judgeDeployment,
	"apps/StatefulSet":       judgeStatefulSet,
	"apps/DaemonSet":         judgeDaemonSet,
	"apps/ReplicaSet":        judgeReplicaSet,
	"batch/Job":              judgeJob,
	"apiextensions.k8s.io/CustomResourceDefinition": judgeDefinition,
	"apiregistration.k8s.io/APIService":             judgeAPIService,
	"gateway.networking.k8s.io/GatewayClass":        accepted("Accepted"),
	"gateway.networking.k8s.io/Gateway":             accepted("Accepted", "Programmed"),
	"gateway.networking.k8s.io/HTTPRoute":           judgeRoute,
	"gateway.networking.k8s.io/GRPCRoute":           judgeRoute,
	"gateway.networking.k8s.io/TLSRoute":            judgeRoute,
	"gateway.networking.k8s.io/TCPRoute":            judgeRoute,
	"gateway.networking.k8s.io/UDPRoute":            judgeRoute,
	"gateway.networking.k8s.io/ReferenceGrant":      func(live) Health { return ready("Exists", "") },
	"external-secrets.io/ExternalSecret":            judgeExternalSecret,
}

// builtin says whether a group is one of Kubernetes' own: others have a domain
// that is not under k8s.io, or are built on it by CustomResourceDefinitions.
func builtin(group string) bool {
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") && !strings.HasSuffix(group, ".x-k8s.io") &&
		group != "gateway.networking.k8s.io" && group != "snapshot.storage.k8s.io"
}

func ready(reason, format string, args ...any) Health {
	return Health{Ready, reason, fmt.Sprintf(format, args...)}
}

func progressing(reason, format string, args ...any) Health {
	return Health{Progressing, reason, fmt.Sprintf(format, args...)}
}

func failed(reason, format string, args ...any) Health {
	return Health{Failed, reason, fmt.Sprintf(format, args...)}
}

// live is a live object, read leniently: what is not there is zero.
type live struct{ fields map[string]any }

func (o live) number(otherwise int64, path ...string) int64 {
	switch n := at(o.fields, path...).(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	case int:
		return int64(n)
	}
	return otherwise
}

func (o live) text(path ...string) string { return text(at(o.fields, path...)) }

func (o live) is(path ...string) bool {
	b, _ := at(o.fields, path...).(bool)
	return b
}

func (o live) list(path ...string) []any {
	l, _ := at(o.fields, path...).([]any)
	return l
}

// maps gives the maps of a list.
func (o live) maps(path ...string) []live {
	var out []live
	for _, item := range o.list(path...) {
		if m, ok := item.(map[string]any); ok {
			out = append(out, live{m})
		}
	}
	return out
}

// condition gives a condition of the status by its type.
func (o live) condition(kind string) (status, reason, message string) {
	for _, c := range o.maps("status", "conditions") {
		if c.text("type") == kind {
			return c.text("status"), c.text("reason"), c.text("message")
		}
	}
	return "", "", ""
}

// observed says whether the controller has seen the object as it is.
func (o live) observed() (Health, bool) {
	generation := o.number(0, "metadata", "generation")
	if seen := o.number(0, "status", "observedGeneration"); seen < generation {
		return progressing("NotObserved", "its controller has not seen generation %d yet", generation), false
	}
	return Health{}, true
}

func deleting(o map[string]any) Health {
	l := live{o}
	for _, c := range l.maps("status", "conditions") {
		// A namespace says so what keeps it.
		if c.text("status") == "True" && strings.HasPrefix(c.text("type"), "Namespace") &&
			(strings.HasSuffix(c.text("type"), "Failure") || strings.HasSuffix(c.text("type"), "Remaining")) {
			return progressing("Terminating", "it is being deleted: %s", c.text("message"))
		}
	}
	var finalizers []string
	for _, f := range l.list("metadata", "finalizers") {
		finalizers = append(finalizers, text(f))
	}
	if len(finalizers) > 0 {
		return progressing("Terminating", "it is being deleted, and waits for the finalizers %s", strings.Join(finalizers, ", "))
	}
	return progressing("Terminating", "it is being deleted")
}

func judgeDeployment(o live) Health {
	if h, ok := o.observed(); !ok {
		return h
	}
	if o.is("spec", "paused") {
		return progressing(Paused, "its rollout is paused")
	}
	if status, reason, message := o.condition("Progressing"); status == "False" && reason == "ProgressDeadlineExceeded" {
		return failed(reason, "%s", message)
	}
	wanted := o.number(1, "spec", "replicas")
	updated := o.number(0, "status", "updatedReplicas")
	total := o.number(0, "status", "replicas")
	available := o.number(0, "status", "availableReplicas")
	if status, _, message := o.condition("ReplicaFailure"); status == "True" && updated < wanted {
		return progressing("ReplicaFailure", "%s", message)
	}
	switch {
	case updated < wanted:
		return progressing("Updating", "%d of %d replicas are updated", updated, wanted)
	case total > updated:
		return progressing("OldReplicas", "%d old replicas are still there", total-updated)
	case available < updated:
		return progressing("NotAvailable", "%d of %d replicas are available", available, updated)
	}
	return ready("Available", "%d of %d replicas are available", available, wanted)
}

func judgeStatefulSet(o live) Health {
	if h, ok := o.observed(); !ok {
		return h
	}
	wanted := o.number(1, "spec", "replicas")
	pods := o.number(0, "status", "readyReplicas")
	if pods < wanted {
		return progressing("NotReady", "%d of %d replicas are ready", pods, wanted)
	}
	if o.text("spec", "updateStrategy", "type") == "OnDelete" {
		return ready("OnDelete", "%d replicas are ready; a change reaches a pod when it is deleted", pods)
	}
	updated := o.number(0, "status", "updatedReplicas")
	if partition := o.number(0, "spec", "updateStrategy", "rollingUpdate", "partition"); partition > 0 {
		expected := max(wanted-partition, 0)
		if updated < expected {
			return progressing("Updating", "%d of %d replicas above partition %d are updated", updated, expected, partition)
		}
		return ready("Partitioned", "%d replicas are ready, %d of them are updated", pods, updated)
	}
	if o.text("status", "currentRevision") != o.text("status", "updateRevision") {
		return progressing("Updating", "%d of %d replicas are updated", updated, wanted)
	}
	if available, counted := at(o.fields, "status", "availableReplicas").(int64); counted && available < wanted && o.number(0, "spec", "minReadySeconds") > 0 {
		return progressing("NotAvailable", "%d of %d replicas are available", available, wanted)
	}
	return ready("Ready", "%d of %d replicas are ready", pods, wanted)
}

func judgeDaemonSet(o live) Health {
	if h, ok := o.observed(); !ok {
		return h
	}
	wanted := o.number(0, "status", "desiredNumberScheduled")
	updated := o.number(0, "status", "updatedNumberScheduled")
	available := o.number(0, "status", "numberAvailable")
	onDelete := o.text("spec", "updateStrategy", "type") == "OnDelete"
	switch {
	case updated < wanted && !onDelete:
		return progressing("Updating", "%d of %d pods are updated", updated, wanted)
	case available < wanted:
		return progressing("NotAvailable", "%d of %d pods are available", available, wanted)
	case onDelete && updated < wanted:
		return ready("OnDelete", "%d pods are available; a change reaches a pod when it is deleted", available)
	}
	return ready("Available", "%d of %d pods are available", available, wanted)
}

func judgeReplicaSet(o live) Health {
	if h, ok := o.observed(); !ok {
		return h
	}
	wanted := o.number(1, "spec", "replicas")
	available := o.number(0, "status", "availableReplicas")
	if status, _, message := o.condition("ReplicaFailure"); status == "True" && available < wanted {
		return progressing("ReplicaFailure", "%s", message)
	}
	switch total := o.number(0, "status", "replicas"); {
	case available < wanted:
		return progressing("NotAvailable", "%d of %d replicas are available", available, wanted)
	case total > wanted:
		return progressing("OldReplicas", "%d replicas too many are still there", total-wanted)
	}
	return ready("Available", "%d of %d replicas are available", available, wanted)
}

func judgeJob(o live) Health {
	for _, kind := range []string{"Failed", "FailureTarget"} {
		if status, reason, message := o.condition(kind); status == "True" {
			return failed(orElse(reason, "Failed"), "%s", message)
		}
	}
	succeeded := o.number(0, "status", "succeeded")
	if status, _, _ := o.condition("Complete"); status == "True" {
		return ready("Complete", "%d pods have succeeded", succeeded)
	}
	if o.is("spec", "suspend") {
		return progressing("Suspended", "the job is suspended")
	}
	if n := o.number(0, "status", "failed"); n > 0 {
		return progressing("Retrying", "%d pods are active, %d have failed", o.number(0, "status", "active"), n)
	}
	return progressing("Running", "%d pods are active, %d of %d have succeeded", o.number(0, "status", "active"), succeeded, o.number(1, "spec", "completions"))
}

func judgePod(o live) Health {
	reason, message, restarts := PodTrouble(o.fields)
	switch o.text("status", "phase") {
	case "Succeeded":
		return ready("Succeeded", "")
	case "Failed":
		return failed(orElse(o.text("status", "reason"), orElse(reason, "Failed")), "%s", orElse(o.text("status", "message"), message))
	case "":
		return Health{Unknown, "NoStatus", "nothing is reported about it yet"}
	}
	if status, _, _ := o.condition("Ready"); status == "True" {
		return ready("Ready", "")
	}
	if reason != "" {
		if restarts > 0 {
			message = strings.TrimPrefix(fmt.Sprintf("%s, %d restarts", message, restarts), ", ")
		}
		return progressing(reason, "%s", message)
	}
	if _, conditionReason, text := o.condition("Ready"); conditionReason != "" {
		return progressing(conditionReason, "%s", text)
	}
	return progressing("NotReady", "its phase is %s", o.text("status", "phase"))
}

// PodTrouble gives the first thing that keeps a pod from being ready, in the
// words of the kubelet or the scheduler (ImagePullBackOff, CrashLoopBackOff,
// Unschedulable, OOMKilled, …), or "", and how often its containers were
// restarted, all together.
func PodTrouble(pod map[string]any) (reason, message string, restarts int) {
	o := live{pod}
	note := func(r, m string) {
		if reason == "" && r != "" {
			reason, message = r, m
		}
	}
	if status, r, m := o.condition("PodScheduled"); status == "False" {
		note(orElse(r, "Unschedulable"), m)
	}
	sidecar := map[string]bool{}
	for _, c := range o.maps("spec", "initContainers") {
		sidecar[c.text("name")] = c.text("restartPolicy") == "Always"
	}
	var kept []live
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range o.maps("status", list) {
			restarts += int(c.number(0, "restartCount"))
			if list == "containerStatuses" || sidecar[c.text("name")] {
				kept = append(kept, c)
			}
			containerTrouble(c, list == "initContainerStatuses" && !sidecar[c.text("name")], note)
		}
	}
	if reason == "" && o.text("status", "phase") == "Running" {
		for _, c := range kept {
			if !c.is("ready") && at(c.fields, "state", "running") != nil {
				note("ContainerNotReady", fmt.Sprintf("container %s runs and is not ready", c.text("name")))
			}
		}
	}
	return reason, message, restarts
}

// containerTrouble notes what is wrong with a container, by its status. That an
// ordinary init container has come to its end is right.
func containerTrouble(c live, init bool, note func(reason, message string)) {
	name := c.text("name")
	if reason := c.text("state", "waiting", "reason"); reason != "" && reason != "ContainerCreating" && reason != "PodInitializing" {
		message := c.text("state", "waiting", "message")
		if last := mapAt(c.fields, "lastState", "terminated"); reason == "CrashLoopBackOff" && last != nil {
			message = ended(live{last})
		}
		note(reason, strings.TrimSuffix(fmt.Sprintf("container %s: %s", name, message), ": "))
	}
	if state := mapAt(c.fields, "state", "terminated"); state != nil {
		l := live{state}
		if code := l.number(0, "exitCode"); code != 0 || !init && l.text("reason") != "Completed" {
			note(orElse(l.text("reason"), "Error"), fmt.Sprintf("container %s: %s", name, ended(l)))
		}
	}
}

// ended words how a container ended.
func ended(terminated live) string {
	said := fmt.Sprintf("it ended with exit code %d", terminated.number(0, "exitCode"))
	if reason := terminated.text("reason"); reason != "" && reason != "Error" && reason != "Completed" {
		said += " (" + reason + ")"
	}
	if message := strings.TrimSpace(terminated.text("message")); message != "" {
		said += ": " + message
	}
	return said
}

func judgeService(o live) Health {
	switch o.text("spec", "type") {
	case "ExternalName":
		return ready("ExternalName", "")
	case "LoadBalancer":
		if len(o.list("status", "loadBalancer", "ingress")) == 0 && len(o.list("spec", "externalIPs")) == 0 {
			return progressing("NoAddress", "its load balancer has no address yet")
		}
	}
	if o.text("spec", "clusterIP") == "" {
		return progressing("NoAddress", "it has no cluster IP yet")
	}
	return ready("Exists", "")
}

func judgeClaim(o live) Health {
	switch phase := o.text("status", "phase"); phase {
	case "Bound":
		return ready("Bound", "")
	case "Lost":
		return failed("Lost", "its volume %s is gone", o.text("spec", "volumeName"))
	}
	return progressing("Pending", "it is not bound to a volume yet; with a storage class that waits for the first consumer, a pod has to use it")
}

func judgeVolume(o live) Health {
	switch phase := o.text("status", "phase"); phase {
	case "Available", "Bound", "Released":
		return ready(phase, "")
	case "Failed":
		return failed(phase, "%s", o.text("status", "message"))
	}
	return progressing("Pending", "")
}

func judgeNamespace(o live) Health {
	if o.text("status", "phase") == "Terminating" {
		return deleting(o.fields)
	}
	return ready("Active", "")
}

func judgeDefinition(o live) Health {
	if status, reason, message := o.condition("NamesAccepted"); status == "False" {
		return failed(orElse(reason, "NamesNotAccepted"), "%s", message)
	}
	if status, reason, message := o.condition("Established"); status != "True" {
		return progressing(orElse(reason, "NotEstablished"), "%s", message)
	}
	return ready("Established", "")
}

func judgeAPIService(o live) Health {
	status, reason, message := o.condition("Available")
	if status != "True" {
		return progressing(orElse(reason, "NotAvailable"), "%s", message)
	}
	return ready("Available", "")
}

// accepted judges by conditions that all have to be true.
func accepted(conditions ...string) func(live) Health {
	return func(o live) Health {
		for _, kind := range conditions {
			if h, ok := o.holds(o, kind); !ok {
				return h
			}
		}
		return ready(conditions[len(conditions)-1], "")
	}
}

// holds says whether a condition in the status is true for the object as it is
// now; the status may be a part of the object's, as a route has for each parent.
func (o live) holds(status live, kind string) (Health, bool) {
	for _, c := range status.maps("status", "conditions") {
		if c.text("type") != kind {
			continue
		}
		if c.number(o.number(0, "metadata", "generation"), "observedGeneration") < o.number(0, "metadata", "generation") {
			break
		}
		if c.text("status") == "True" {
			return Health{}, true
		}
		return progressing(orElse(c.text("reason"), "Not"+kind), "%s", c.text("message")), false
	}
	return progressing("Not"+kind, "no controller has said yet that it is %s", strings.ToLower(kind)), false
}

// judgeRoute wants every parent to have accepted the route.
func judgeRoute(o live) Health {
	parents := o.maps("status", "parents")
	if wanted := len(o.list("spec", "parentRefs")); len(parents) < wanted || wanted > 0 && len(parents) == 0 {
		return progressing("NotAccepted", "%d of %d gateways have answered", len(parents), wanted)
	}
	for _, parent := range parents {
		status := live{map[string]any{"status": parent.fields}}
		for _, kind := range []string{"Accepted", "ResolvedRefs"} {
			if h, ok := o.holds(status, kind); !ok {
				h.Message = strings.TrimSuffix(fmt.Sprintf("gateway %s: %s", parent.text("parentRef", "name"), h.Message), ": ")
				return h
			}
		}
	}
	return ready("Accepted", "")
}

// judgeExternalSecret wants the operator to have read the store for the object as
// it is now. Its status begins with the generation that it has seen; one that it
// reads only once, it does not look at again.
func judgeExternalSecret(o live) Health {
	seen, _, _ := strings.Cut(o.text("status", "syncedResourceVersion"), "-")
	once := false
	if interval, err := time.ParseDuration(o.text("spec", "refreshInterval")); err == nil {
		once = interval == 0
	}
	generation := o.number(0, "metadata", "generation")
	if n, err := strconv.ParseInt(seen, 10, 64); err == nil && n < generation && !once {
		return progressing("NotObserved", "its operator has not read the store for generation %d yet", generation)
	}
	if h, ok := o.holds(o, "Ready"); !ok {
		return h
	}
	_, reason, message := o.condition("Ready")
	return ready(orElse(reason, "Ready"), "%s", message)
}

// judgeCustom judges a custom resource by the conventions that most controllers
// keep: observedGeneration, and the conditions Ready or Available; Stalled and
// Reconciling are kstatus' own. What says nothing is ready.
func judgeCustom(o live) Health {
	if at(o.fields, "status", "observedGeneration") != nil {
		if h, ok := o.observed(); !ok {
			return h
		}
	}
	if status, reason, message := o.condition("Stalled"); status == "True" {
		return failed(orElse(reason, "Stalled"), "%s", message)
	}
	if status, reason, message := o.condition("Reconciling"); status == "True" {
		return progressing(orElse(reason, "Reconciling"), "%s", message)
	}
	for _, kind := range []string{"Ready", "Available"} {
		for _, c := range o.maps("status", "conditions") {
			if c.text("type") != kind {
				continue
			}
			if h, ok := o.holds(o, kind); !ok {
				return h
			}
			return ready(orElse(c.text("reason"), kind), "%s", c.text("message"))
		}
	}
	return ready("Exists", "")
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func mapAt(o map[string]any, path ...string) map[string]any {
	m, _ := at(o, path...).(map[string]any)
	return m
}
