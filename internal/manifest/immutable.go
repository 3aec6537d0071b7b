package manifest

import (
	"slices"
	"strings"
)

// immutable are the fields that the API server does not let change in place, by
// group and kind: a path stands for all that is below it; a path that begins
// with ! is let change though the one that it is below is not. The source is the
// ValidateXUpdate functions in pkg/apis/*/validation/validation.go of Kubernetes.
var immutable = map[string][]string{
	"/PersistentVolumeClaim": {
		"spec", "!spec.resources.requests.storage", "!spec.volumeAttributesClassName",
	},
	"/PersistentVolume": {"spec.volumeMode", "spec.csi", "spec.nfs", "spec.hostPath", "spec.local", "spec.iscsi", "spec.nodeAffinity"},
	"/Secret":           {"type"},
	"/Service":          {"spec.clusterIP", "spec.clusterIPs"},
	"/Pod": {
		"spec", "!spec.containers[].image", "!spec.initContainers[].image", "!spec.activeDeadlineSeconds",
		"!spec.tolerations", "!spec.terminationGracePeriodSeconds",
	},
	"apps/Deployment": {"spec.selector"},
	"apps/DaemonSet":  {"spec.selector"},
	"apps/ReplicaSet": {"spec.selector"},
	"apps/StatefulSet": {
		"spec", "!spec.replicas", "!spec.ordinals", "!spec.template", "!spec.updateStrategy", "!spec.revisionHistoryLimit",
		"!spec.persistentVolumeClaimRetentionPolicy", "!spec.minReadySeconds",
	},
	"batch/Job":                                    {"spec.selector", "spec.template", "spec.completions", "spec.completionMode", "spec.podFailurePolicy", "spec.successPolicy", "spec.backoffLimitPerIndex", "spec.managedBy", "spec.podReplacementPolicy"},
	"storage.k8s.io/StorageClass":                  {"provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"},
	"storage.k8s.io/CSIDriver":                     {"spec.attachRequired", "spec.volumeLifecycleModes", "spec.fsGroupPolicy"},
	"storage.k8s.io/VolumeAttributesClass":         {"driverName", "parameters"},
	"rbac.authorization.k8s.io/RoleBinding":        {"roleRef"},
	"rbac.authorization.k8s.io/ClusterRoleBinding": {"roleRef"},
	"scheduling.k8s.io/PriorityClass":              {"value", "preemptionPolicy"},
	"networking.k8s.io/IngressClass":               {"spec.controller"},
	"node.k8s.io/RuntimeClass":                     {"handler"},
	"discovery.k8s.io/EndpointSlice":               {"addressType"},
	"apiextensions.k8s.io/CustomResourceDefinition": {
		"spec.group", "spec.scope", "spec.names.plural", "spec.names.kind",
	},
}

// Immutable gives the paths among fields that the API server will not change in
// place, in their order. What a Secret or a ConfigMap with immutable: true does
// not let change is known only where that field changes too; see ImmutableIn.
func Immutable(ref Ref, fields []Field) []string {
	return ImmutableIn(nil, ref, fields)
}

// ImmutableIn is Immutable for an object whose live fields are known.
func ImmutableIn(live map[string]any, ref Ref, fields []Field) []string {
	paths := immutable[ref.Group()+"/"+ref.Kind]
	if ref.Group() == "" && (ref.Kind == "Secret" || ref.Kind == "ConfigMap") && sealed(live, fields) {
		paths = append([]string{"data", "binaryData", "stringData", "immutable"}, paths...)
	}
	var out []string
	for _, f := range fields {
		if covered(paths, f) {
			out = append(out, f.Path)
		}
	}
	return out
}

// sealed says whether a Secret or ConfigMap has immutable: true before the
// change.
func sealed(live map[string]any, fields []Field) bool {
	if live["immutable"] == true {
		return true
	}
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Path == "immutable" && f.Before == true })
}

// covered says whether a path forbids the change of a field. A service may be
// given its first cluster IP, and what was empty before may be filled, where the
// field is the cluster's to choose.
func covered(paths []string, f Field) bool {
	path := plainPath(f.Path)
	found := false
	for _, p := range paths {
		if p, allowed := strings.CutPrefix(p, "!"); below(path, p) {
			if allowed {
				return false
			}
			found = true
		}
	}
	if found && strings.HasPrefix(path, "spec.clusterIP") {
		return f.Before != nil && f.After != nil && f.Before != ""
	}
	return found
}

// plainPath gives a path with [] in the place of what is in brackets.
func plainPath(path string) string {
	var b strings.Builder
	depth, quoted := 0, false
	for i := range len(path) {
		switch c := path[i]; {
		case quoted:
			quoted = c != '"' || path[i-1] == '\\'
		case c == '"' && depth > 0:
			quoted = true
		case c == '[':
			if depth == 0 {
				b.WriteString("[]")
			}
			depth++
		case c == ']':
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// below says whether a path is another one or below it.
func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
