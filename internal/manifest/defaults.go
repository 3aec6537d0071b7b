package manifest

import (
	"maps"
	"strings"
)

// defaulting says what the API server fills into a map of an object.
type defaulting struct {
	// set are fields with their values, for those that are missing.
	set map[string]any
	// in are the maps below, and each the items of lists below.
	in, each map[string]*defaulting
	// more fills in what depends on other fields.
	more func(m map[string]any)
}

// WithDefaults gives a copy of an object with the fields that the API server
// would fill in, for rendered objects that are compared with one another: that
// one chart writes `protocol: TCP` and another leaves it out is no difference.
// It knows the kinds of kindDefaults; others come back as they are. What a
// cluster decides by its own settings, such as a Service's IP families, is not
// filled in.
func WithDefaults(fields map[string]any) map[string]any {
	kind, _ := fields["kind"].(string)
	apiVersion, _ := fields["apiVersion"].(string)
	return fillIn(fields, kindDefaults[Ref{APIVersion: apiVersion}.Group()+"/"+kind])
}

func fillIn(m map[string]any, d *defaulting) map[string]any {
	if d == nil || m == nil {
		return m
	}
	out := maps.Clone(m)
	for k, v := range d.set {
		if out[k] == nil {
			out[k] = clone(v)
		}
	}
	if d.more != nil {
		d.more(out)
	}
	for k, below := range d.in {
		if inner, ok := out[k].(map[string]any); ok {
			out[k] = fillIn(inner, below)
		}
	}
	for k, below := range d.each {
		list, ok := out[k].([]any)
		if !ok {
			continue
		}
		items := make([]any, len(list))
		for i, item := range list {
			items[i] = item
			if inner, ok := item.(map[string]any); ok {
				items[i] = fillIn(inner, below)
			}
		}
		out[k] = items
	}
	return out
}

// The defaults are those of SetDefaults_* in pkg/apis/*/v*/defaults.go of
// Kubernetes, and of the tags +default in k8s.io/api.
var (
	httpGet    = &defaulting{set: map[string]any{"path": "/", "scheme": "HTTP"}}
	probe      = &defaulting{set: map[string]any{"timeoutSeconds": int64(1), "periodSeconds": int64(10), "successThreshold": int64(1), "failureThreshold": int64(3)}, in: map[string]*defaulting{"httpGet": httpGet, "grpc": {set: map[string]any{"service": ""}}}}
	handler    = &defaulting{in: map[string]*defaulting{"httpGet": httpGet}}
	fieldRef   = &defaulting{set: map[string]any{"apiVersion": "v1"}}
	divided    = &defaulting{set: map[string]any{"divisor": "0"}}
	envVar     = &defaulting{more: emptyValue, in: map[string]*defaulting{"valueFrom": {in: map[string]*defaulting{"fieldRef": fieldRef, "resourceFieldRef": divided}}}}
	tcp        = map[string]any{"protocol": "TCP"}
	fileMode   = map[string]any{"defaultMode": int64(0o644)}
	downward   = &defaulting{set: fileMode, each: map[string]*defaulting{"items": {in: map[string]*defaulting{"fieldRef": fieldRef, "resourceFieldRef": divided}}}}
	container  = &defaulting{set: map[string]any{"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}, more: pullPolicyAndRequests, in: map[string]*defaulting{"livenessProbe": probe, "readinessProbe": probe, "startupProbe": probe, "lifecycle": {in: map[string]*defaulting{"postStart": handler, "preStop": handler}}}, each: map[string]*defaulting{"ports": {set: tcp}, "env": envVar}}
	volume     = &defaulting{more: emptyVolume, in: map[string]*defaulting{"configMap": {set: fileMode}, "secret": {set: fileMode}, "downwardAPI": downward, "hostPath": {set: map[string]any{"type": ""}}, "projected": {set: fileMode, each: map[string]*defaulting{"sources": {in: map[string]*defaulting{"serviceAccountToken": {set: map[string]any{"expirationSeconds": int64(3600)}}}}}}, "ephemeral": {in: map[string]*defaulting{"volumeClaimTemplate": {in: map[string]*defaulting{"spec": claimSpec}}}}}}
	podSpec    = &defaulting{set: map[string]any{"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": int64(30), "schedulerName": "default-scheduler", "enableServiceLinks": true}, more: accountAlias, each: map[string]*defaulting{"containers": container, "initContainers": container, "volumes": volume}}
	podIn      = map[string]*defaulting{"template": {in: map[string]*defaulting{"spec": podSpec}}}
	claimSpec  = &defaulting{set: map[string]any{"volumeMode": "Filesystem"}}
	jobSpec    = &defaulting{set: map[string]any{"backoffLimit": int64(6), "completionMode": "NonIndexed", "suspend": false}, more: jobCounts, in: podIn}
	accessRule = &defaulting{set: map[string]any{"apiGroup": "rbac.authorization.k8s.io"}}
	binding    = &defaulting{in: map[string]*defaulting{"roleRef": accessRule}, each: map[string]*defaulting{"subjects": {more: subjectGroup}}}
	webhook    = &defaulting{set: map[string]any{"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": int64(10), "namespaceSelector": map[string]any{}, "objectSelector": map[string]any{}}, in: map[string]*defaulting{"clientConfig": {in: map[string]*defaulting{"service": {set: map[string]any{"port": int64(443)}}}}}, each: map[string]*defaulting{"rules": {set: map[string]any{"scope": "*"}}}}
	mutating   = &defaulting{set: maps.Collect(mapsOver(webhook.set, map[string]any{"reinvocationPolicy": "Never"})), in: webhook.in, each: webhook.each}
	policyPeer = &defaulting{each: map[string]*defaulting{"ports": {set: tcp}}}
)

// kindDefaults are the defaults of an object by its group and kind.
var kindDefaults = map[string]*defaulting{
	"/Pod":                                  spec(podSpec),
	"apps/Deployment":                       spec(&defaulting{set: map[string]any{"replicas": int64(1), "revisionHistoryLimit": int64(10), "progressDeadlineSeconds": int64(600)}, more: rolling("strategy", map[string]any{"maxUnavailable": "25%", "maxSurge": "25%"}), in: podIn}),
	"apps/ReplicaSet":                       spec(&defaulting{set: map[string]any{"replicas": int64(1)}, in: podIn}),
	"apps/StatefulSet":                      spec(&defaulting{set: map[string]any{"replicas": int64(1), "revisionHistoryLimit": int64(10), "podManagementPolicy": "OrderedReady", "persistentVolumeClaimRetentionPolicy": map[string]any{"whenDeleted": "Retain", "whenScaled": "Retain"}}, more: rolling("updateStrategy", map[string]any{"partition": int64(0)}), in: podIn, each: map[string]*defaulting{"volumeClaimTemplates": {set: map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim"}, in: map[string]*defaulting{"spec": claimSpec}}}}),
	"apps/DaemonSet":                        spec(&defaulting{set: map[string]any{"revisionHistoryLimit": int64(10)}, more: rolling("updateStrategy", map[string]any{"maxUnavailable": int64(1), "maxSurge": int64(0)}), in: podIn}),
	"batch/Job":                             spec(jobSpec),
	"batch/CronJob":                         spec(&defaulting{set: map[string]any{"concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": int64(3), "failedJobsHistoryLimit": int64(1)}, in: map[string]*defaulting{"jobTemplate": {in: map[string]*defaulting{"spec": {in: podIn}}}}}),
	"/Service":                              spec(&defaulting{set: map[string]any{"type": "ClusterIP", "sessionAffinity": "None"}, more: serviceTraffic, each: map[string]*defaulting{"ports": {set: tcp, more: targetPort}}}),
	"/PersistentVolumeClaim":                spec(claimSpec),
	"/PersistentVolume":                     spec(&defaulting{set: map[string]any{"volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain"}}),
	"/Secret":                               {set: map[string]any{"type": "Opaque"}},
	"networking.k8s.io/NetworkPolicy":       spec(&defaulting{more: policyTypes, each: map[string]*defaulting{"ingress": policyPeer, "egress": policyPeer}}),
	"autoscaling/HorizontalPodAutoscaler":   spec(&defaulting{set: map[string]any{"minReplicas": int64(1)}}),
	"storage.k8s.io/StorageClass":           {set: map[string]any{"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}},
	"rbac.authorization.k8s.io/RoleBinding": binding,
	"rbac.authorization.k8s.io/ClusterRoleBinding":                binding,
	"admissionregistration.k8s.io/ValidatingWebhookConfiguration": {each: map[string]*defaulting{"webhooks": webhook}},
	"admissionregistration.k8s.io/MutatingWebhookConfiguration":   {each: map[string]*defaulting{"webhooks": mutating}},
	"apiextensions.k8s.io/CustomResourceDefinition":               spec(&defaulting{set: map[string]any{"conversion": map[string]any{"strategy": "None"}}, in: map[string]*defaulting{"names": {more: definedNames}}}),
}

func spec(d *defaulting) *defaulting {
	return &defaulting{in: map[string]*defaulting{"spec": d}}
}

func mapsOver(all ...map[string]any) func(yield func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for _, m := range all {
			for k, v := range m {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// rolling fills in the strategy under a key: a rolling update with its limits.
// (The API server leaves those of a StatefulSet out where the type alone is
// given; they hold all the same.)
func rolling(key string, limits map[string]any) func(map[string]any) {
	return func(m map[string]any) {
		strategy, ok := m[key].(map[string]any)
		if !ok && m[key] != nil {
			return
		}
		strategy = maps.Clone(strategy)
		if strategy == nil {
			strategy = map[string]any{}
		}
		if strategy["type"] == nil {
			strategy["type"] = "RollingUpdate"
		}
		if strategy["type"] == "RollingUpdate" {
			given, _ := strategy["rollingUpdate"].(map[string]any)
			strategy["rollingUpdate"] = fillIn(maps.Collect(mapsOver(given)), &defaulting{set: limits})
		}
		m[key] = strategy
	}
}

// pullPolicyAndRequests fills in what depends on the image's tag, and requests
// from limits.
func pullPolicyAndRequests(m map[string]any) {
	if image, ok := m["image"].(string); ok && m["imagePullPolicy"] == nil {
		m["imagePullPolicy"] = "IfNotPresent"
		name := image[strings.LastIndexByte(image, '/')+1:]
		if !strings.Contains(name, "@") && (!strings.Contains(name, ":") || strings.HasSuffix(name, ":latest")) {
			m["imagePullPolicy"] = "Always"
		}
	}
	resources, _ := m["resources"].(map[string]any)
	if limits, ok := resources["limits"].(map[string]any); ok && len(limits) > 0 {
		requests, _ := resources["requests"].(map[string]any)
		resources = maps.Clone(resources)
		resources["requests"] = maps.Collect(mapsOver(limits, requests))
		m["resources"] = resources
	}
}

func emptyValue(m map[string]any) {
	if m["value"] == nil && m["valueFrom"] == nil {
		m["value"] = ""
	}
}

func emptyVolume(m map[string]any) {
	if len(m) == 1 && m["name"] != nil {
		m["emptyDir"] = map[string]any{}
	}
}

// accountAlias fills in the field by which the service account was once named.
func accountAlias(m map[string]any) {
	if m["serviceAccount"] == nil && m["serviceAccountName"] != nil {
		m["serviceAccount"] = m["serviceAccountName"]
	}
}

func jobCounts(m map[string]any) {
	if m["completions"] == nil && m["parallelism"] == nil {
		m["completions"] = int64(1)
	}
	if m["parallelism"] == nil {
		m["parallelism"] = int64(1)
	}
	if m["podReplacementPolicy"] == nil {
		m["podReplacementPolicy"] = "TerminatingOrFailed"
		if m["podFailurePolicy"] != nil {
			m["podReplacementPolicy"] = "Failed"
		}
	}
}

func serviceTraffic(m map[string]any) {
	outside := m["type"] == "LoadBalancer" || m["type"] == "NodePort"
	if outside && m["externalTrafficPolicy"] == nil {
		m["externalTrafficPolicy"] = "Cluster"
	}
	if m["type"] != "ExternalName" && m["internalTrafficPolicy"] == nil {
		m["internalTrafficPolicy"] = "Cluster"
	}
	if m["type"] == "LoadBalancer" && m["allocateLoadBalancerNodePorts"] == nil {
		m["allocateLoadBalancerNodePorts"] = true
	}
}

func targetPort(m map[string]any) {
	if m["targetPort"] == nil && m["port"] != nil {
		m["targetPort"] = m["port"]
	}
}

func policyTypes(m map[string]any) {
	if m["policyTypes"] != nil {
		return
	}
	types := []any{"Ingress"}
	if egress, _ := m["egress"].([]any); len(egress) > 0 {
		types = append(types, "Egress")
	}
	m["policyTypes"] = types
}

func subjectGroup(m map[string]any) {
	if m["apiGroup"] == nil && (m["kind"] == "User" || m["kind"] == "Group") {
		m["apiGroup"] = "rbac.authorization.k8s.io"
	}
}

func definedNames(m map[string]any) {
	kind, ok := m["kind"].(string)
	if !ok {
		return
	}
	if m["listKind"] == nil {
		m["listKind"] = kind + "List"
	}
	if m["singular"] == nil {
		m["singular"] = strings.ToLower(kind)
	}
}
