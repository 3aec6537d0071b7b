package manifest

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Normalize gives a copy of an object without what a cluster adds and nobody
// decides: the status, metadata of the API server's, annotations that kubectl
// and controllers keep their books in, null, and what the API does not tell from
// nothing: empty lists, and empty maps in the places of emptyMaps. Others stay:
// `emptyDir: {}` and `namespaceSelector: {}` mean something. In custom resources
// an empty list stays as well. stringData of a Secret becomes data, quantities
// have their canonical form, as the API server writes them.
func Normalize(fields map[string]any) map[string]any {
	if fields == nil {
		return nil
	}
	kind, _ := fields["kind"].(string)
	apiVersion, _ := fields["apiVersion"].(string)
	group := Ref{APIVersion: apiVersion}.Group()
	n := normalizer{
		builtin:  slices.Contains(builtinGroups, group),
		freeform: kind == "ConfigMap" || kind == "Secret" || kind == "CustomResourceDefinition",
	}
	out := make(map[string]any, len(fields))
	for k, v := range fields {
		switch k {
		case "status":
		case "metadata":
			out[k] = normalMetadata(v)
		default:
			if v = n.value(v, "", k); v != nil {
				out[k] = v
			}
		}
	}
	if kind == "Secret" && group == "" {
		secretData(out)
	}
	return out
}

// builtinGroups are the API's own groups. Their objects are stored as protocol
// buffers, which do not tell an empty list from none.
var builtinGroups = []string{
	"", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "autoscaling", "batch",
	"certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "extensions", "flowcontrol.apiserver.k8s.io",
	"networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
}

// serverMetadataFields are what the API server writes into metadata.
var serverMetadataFields = []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// bookkeeping are annotations that say nothing about what is wanted.
var bookkeeping = []string{lastApplied, "deployment.kubernetes.io/revision"}

// emptyMaps are the names of maps that mean nothing when they are empty: the API
// server fills them with {} or drops them.
var emptyMaps = map[string]bool{
	"annotations": true, "labels": true, "matchLabels": true, "nodeSelector": true, "metadata": true,
	"resources": true, "limits": true, "requests": true, "hard": true, "capacity": true,
	"securityContext": true, "strategy": true, "updateStrategy": true, "rollingUpdate": true,
	"data": true, "binaryData": true, "stringData": true, "parameters": true,
}

// quantityMaps are maps whose values are quantities; quantityFields are fields
// that are, by the name of the map that they stand in.
var (
	quantityMaps = map[string]bool{
		"requests": true, "limits": true, "hard": true, "capacity": true, "podFixed": true,
		"default": true, "defaultRequest": true, "min": true, "max": true, "maxLimitRequestRatio": true,
	}
	quantityFields = map[string][]string{
		"emptyDir":         {"sizeLimit"},
		"target":           {"averageValue", "value"},
		"resourceFieldRef": {"divisor"},
	}
)

type normalizer struct {
	builtin  bool // of the API's own groups
	freeform bool // its maps have keys of the user's
}

// value gives v, which stands under key in the map parent, or nil for nothing.
func (n normalizer) value(v any, parent, key string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			if k == "status" && key == "volumeClaimTemplates" {
				continue
			}
			if item = n.value(item, key, k); item != nil {
				out[k] = item
			}
		}
		if len(out) == 0 && emptyMaps[key] && (n.builtin && !n.freeform || parent == "") {
			return nil
		}
		return out
	case []any:
		if len(v) == 0 && n.builtin && !n.freeform {
			return nil
		}
		out := make([]any, 0, len(v))
		for _, item := range v {
			// In a list, null has a place, and an item its list's name.
			if item != nil {
				item = n.item(item, parent, key)
			}
			out = append(out, item)
		}
		return out
	}
	if !n.freeform && (quantityMaps[parent] || slices.Contains(quantityFields[parent], key)) {
		return n.quantity(v)
	}
	return v
}

// item is value for an item of a list, which is never dropped.
func (n normalizer) item(v any, parent, key string) any {
	out := n.value(v, parent, key)
	if out != nil {
		return out
	}
	if _, ok := v.([]any); ok {
		return []any{}
	}
	return map[string]any{}
}

// quantity gives the canonical form of a quantity, and anything else as it is.
// In a custom resource only text is known to be one.
func (n normalizer) quantity(v any) any {
	text, ok := v.(string)
	if !ok {
		if !n.builtin {
			return v
		}
		text = plainText(v)
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return v
	}
	// The first String of a parsed quantity is the text that was parsed where
	// that is canonical.
	return q.String()
}

// normalMetadata gives an object's metadata without the API server's.
func normalMetadata(v any) any {
	metadata, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(metadata))
	for k, v := range metadata {
		switch {
		case v == nil || slices.Contains(serverMetadataFields, k):
		case k == "annotations" || k == "labels":
			if m, ok := v.(map[string]any); ok {
				if v = normalAnnotations(m); v == nil {
					continue
				}
			}
			out[k] = v
		default:
			if list, ok := v.([]any); ok && len(list) == 0 {
				continue
			}
			out[k] = clone(v)
		}
	}
	return out
}

func normalAnnotations(m map[string]any) any {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(k string, v any) bool { return v == nil || slices.Contains(bookkeeping, k) })
	if len(out) == 0 {
		return nil
	}
	return out
}

// secretData moves stringData of a Secret, which is the caller's own, to data,
// over what stands there, as the API server does, and gives data its one form.
func secretData(fields map[string]any) {
	data, ok := fields["data"].(map[string]any)
	if !ok && fields["data"] != nil {
		return
	}
	for k, v := range data {
		if text, ok := v.(string); ok {
			if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
				data[k] = base64.StdEncoding.EncodeToString(raw)
			}
		}
	}
	plain, ok := fields["stringData"].(map[string]any)
	if !ok {
		return
	}
	if data == nil {
		data = make(map[string]any, len(plain))
	}
	for k, v := range plain {
		data[k] = base64.StdEncoding.EncodeToString([]byte(plainText(v)))
	}
	delete(fields, "stringData")
	if len(data) > 0 {
		fields["data"] = data
	}
}
