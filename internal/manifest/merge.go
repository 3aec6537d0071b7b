package manifest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// Patch is what makes a live object the wanted one.
type Patch struct {
	// Data is what to send, nil where there is nothing to do.
	Data []byte
	Type types.PatchType
	// After is the object as it will be, but for what the server then sets by
	// itself; where there is nothing to do it is the live one. It shares nothing
	// with the wanted object.
	After map[string]any
}

// Merge computes what kubectl apply and Helm would send: fields of wanted win;
// what original had and wanted has not goes; what neither has, such as replicas
// that an autoscaler sets, stays as it is live. Kinds of Kubernetes itself are
// merged strategically, custom resources and CustomResourceDefinitions by JSON
// merge patch, as Helm does.
//
// original is the object as last applied. Where it is nil the object is taken
// over, and its live state is the baseline, as in Helm: what wanted does not have
// goes, but for defaults and for what belongs to the cluster.
//
// Spelling is no change: of quantities, of numbers, nulls, empty fields that the
// server leaves out, stringData of a Secret. A null in wanted means that nothing
// is said. status, and the metadata that the server keeps, are not compared.
//
// In lists that a patch replaces as a whole, elements keep what the server
// added: known defaults for Kubernetes' kinds; for others every field that
// neither original nor wanted has.
//
// The objects are not changed. An error says that live is another object.
func Merge(original, wanted, live map[string]any) (Patch, error) {
	for _, key := range []string{"apiVersion", "kind"} {
		if wanted[key] != live[key] {
			return Patch{}, fmt.Errorf("merge: the wanted object has %s %v, the live one %v; ask for it by the wanted one's", key, wanted[key], live[key])
		}
	}
	s := known.of(wanted)
	w, l := decided(wanted), decided(live)
	var o map[string]any
	if original != nil {
		o = decided(original)
	} else {
		w = field{shape: s}.restored(w, WithDefaults(w), l).(map[string]any)
		o = baseline(l)
	}
	if s.settledMap(o, w, l, false) {
		return Patch{After: live}, nil
	}
	return merge(s, o, w, l, live)
}

// merge is the full computation.
func merge(s *shape, o, w, l, live map[string]any) (Patch, error) {
	o, w, l = s.canonical(o, canonWanted).(map[string]any), s.canonical(w, canonWanted).(map[string]any), s.canonical(l, canonLive).(map[string]any)
	if w["kind"] == "Service" && w["apiVersion"] == "v1" {
		o = withRenumbered(o, w, l)
	}
	made, err := Patch{}, error(nil)
	done := false
	if s.typ != nil && !strings.HasPrefix(text(w["apiVersion"]), "apiextensions.k8s.io/") {
		made, err = strategic(s, o, w, l)
		// Some lists have elements with the same key, such as a port over TCP and
		// UDP, and fields may be newer than the types that are known here: there a
		// strategic merge fails, or gives something else than what is wanted.
		done = err == nil && s.settledMap(o, w, made.After, false)
	}
	if !done {
		if made, err = plain(s, o, w, l); err != nil {
			return Patch{}, fmt.Errorf("merge %v %v: %w", w["kind"], at(w, "metadata", "name"), err)
		}
	}
	// What a patch clears, the server sets to its default.
	after := field{shape: s}.restored(made.After, WithDefaults(made.After), l).(map[string]any)
	if s.sameMap(after, l) {
		return Patch{After: live}, nil
	}
	made.After = complete(after, live)
	return made, nil
}

// withRenumbered takes a Service's live ports that go by the name of a wanted one,
// and have another number, for ports that were applied: the number is the merge
// key, so that they would stay beside the wanted ones, and names are unique.
func withRenumbered(o, w, l map[string]any) map[string]any {
	wanted := map[any]any{} // name → number
	for _, p := range portsOf(w) {
		wanted[p["name"]] = p["port"]
	}
	var stale []any
	for _, p := range portsOf(l) {
		if number, named := wanted[p["name"]]; named && number != p["port"] && !slices.ContainsFunc(portsOf(w), func(q map[string]any) bool { return q["port"] == p["port"] }) {
			stale = append(stale, clone(p))
		}
	}
	if stale == nil {
		return o
	}
	out := maps.Clone(o)
	spec, _ := o["spec"].(map[string]any)
	spec = maps.Clone(spec)
	if spec == nil {
		spec = map[string]any{}
	}
	for _, p := range portsOf(o) {
		if !slices.ContainsFunc(stale, func(s any) bool { return s.(map[string]any)["port"] == p["port"] }) {
			stale = append(stale, p)
		}
	}
	spec["ports"] = stale
	out["spec"] = spec
	return out
}

func portsOf(service map[string]any) []map[string]any {
	spec, _ := service["spec"].(map[string]any)
	list, _ := spec["ports"].([]any)
	var out []map[string]any
	for _, item := range list {
		if p, ok := item.(map[string]any); ok {
			out = append(out, p)
		}
	}
	return out
}

// strategic computes a strategic merge patch.
func strategic(s *shape, o, w, l map[string]any) (Patch, error) {
	var data [3][]byte
	for i, m := range []map[string]any{o, w, l} {
		b, err := json.Marshal(m)
		if err != nil {
			return Patch{}, err
		}
		data[i] = b
	}
	meta := strategicpatch.PatchMetaFromStruct{T: s.typ}
	patch, err := strategicpatch.CreateThreeWayMergePatch(data[0], data[1], data[2], meta, true)
	if err != nil {
		return Patch{}, err
	}
	var fields map[string]any
	if err := utiljson.Unmarshal(patch, &fields); err != nil {
		return Patch{}, err
	}
	after, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(clone(l).(map[string]any), fields, meta)
	if err != nil {
		return Patch{}, err
	}
	return Patch{Data: patch, Type: types.StrategicMergePatchType, After: s.canonical(map[string]any(after), canonLive).(map[string]any)}, nil
}

// plain computes a JSON merge patch, in which lists are replaced.
func plain(s *shape, o, w, l map[string]any) (Patch, error) {
	w = field{shape: s}.aligned(o, w, l).(map[string]any)
	var data [3][]byte
	for i, m := range []map[string]any{o, w, l} {
		b, err := json.Marshal(m)
		if err != nil {
			return Patch{}, err
		}
		data[i] = b
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(data[0], data[1], data[2])
	if err != nil {
		return Patch{}, err
	}
	var fields map[string]any
	if err := utiljson.Unmarshal(patch, &fields); err != nil {
		return Patch{}, err
	}
	after := s.canonical(mergePatch(clone(l), fields), canonLive).(map[string]any)
	return Patch{Data: patch, Type: types.MergePatchType, After: after}, nil
}

// mergePatch applies a JSON merge patch (RFC 7396) to a value, which it changes.
func mergePatch(to any, patch map[string]any) any {
	m, ok := to.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(m, k)
		case map[string]any:
			m[k] = mergePatch(m[k], v)
		default:
			m[k] = v
		}
	}
	return m
}

// decided gives an object without what the server alone writes, and the
// stringData of a Secret as data. The object given is not changed.
func decided(o map[string]any) map[string]any {
	_, status := o["status"]
	if status {
		o = maps.Clone(o)
		delete(o, "status")
	}
	if metadata, ok := o["metadata"].(map[string]any); ok {
		for _, key := range serverMetadataFields {
			if _, there := metadata[key]; there {
				metadata = maps.Clone(metadata)
				for _, key := range serverMetadataFields {
					delete(metadata, key)
				}
				if !status {
					o = maps.Clone(o)
				}
				o["metadata"] = metadata
				break
			}
		}
	}
	if _, there := o["stringData"]; !there || o["kind"] != "Secret" || o["apiVersion"] != "v1" {
		return o
	}
	o = maps.Clone(o)
	data := map[string]any{}
	if m, ok := o["data"].(map[string]any); ok {
		maps.Copy(data, m)
	}
	if m, ok := o["stringData"].(map[string]any); ok {
		for k, v := range m {
			if s, ok := v.(string); ok {
				data[k] = base64.StdEncoding.EncodeToString([]byte(s))
			}
		}
	}
	delete(o, "stringData")
	o["data"] = data
	return o
}

// complete gives back to an object what decided took.
func complete(o, live map[string]any) map[string]any {
	if status, ok := live["status"]; ok {
		o["status"] = status
	}
	was, _ := live["metadata"].(map[string]any)
	metadata, ok := o["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
		o["metadata"] = metadata
	}
	for _, key := range serverMetadataFields {
		if v, ok := was[key]; ok {
			metadata[key] = v
		}
	}
	return o
}

// allocated are the fields that the cluster chooses and never lets go, by kind:
// an object that is taken over keeps them. The source is the strategies of
// Kubernetes' registries (pkg/registry/*/*/strategy.go). Replicas are kept too:
// Helm would set them to one while an autoscaler holds them.
var allocated = map[string][]string{
	"Service": {
		"spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy", "spec.healthCheckNodePort",
		"spec.ports.nodePort",
	},
	"PersistentVolumeClaim": {"spec.volumeName", "spec.storageClassName", "spec.volumeMode"},
	"PersistentVolume":      {"spec.claimRef"},
	"Job": {
		"spec.selector", "spec.manualSelector", "spec.template.metadata.labels",
		"metadata.labels.controller-uid", "metadata.labels.job-name",
	},
	"Namespace":      {"spec.finalizers"},
	"ServiceAccount": {"secrets"},
	"Pod":            {"spec"},
	"Deployment":     {"spec.replicas"},
	"StatefulSet":    {"spec.replicas"},
	"ReplicaSet":     {"spec.replicas"},
}

// baseline is what an object that is taken over is compared with in the place
// of the one last applied: its live state without what belongs to the cluster.
func baseline(live map[string]any) map[string]any {
	o := clone(live).(map[string]any)
	metadata, _ := o["metadata"].(map[string]any)
	for key := range metadata {
		if key != "labels" && key != "annotations" {
			delete(metadata, key)
		}
	}
	for _, key := range []string{"labels", "annotations"} {
		m, _ := metadata[key].(map[string]any)
		for name := range m {
			domain, _, _ := strings.Cut(name, "/")
			if domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io") ||
				strings.HasPrefix(name, "deprecated.daemonset.") {
				delete(m, name)
			}
		}
	}
	for _, path := range allocated[text(o["kind"])] {
		remove(o, strings.Split(path, "."))
	}
	prune(o)
	return o
}

// remove takes a path out of a value, in every item of the lists on its way.
func remove(v any, path []string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			remove(item, path)
		}
	case map[string]any:
		if len(path) == 1 {
			delete(v, path[0])
			return
		}
		remove(v[path[0]], path[1:])
	}
}

// prune takes what is empty out of the maps of a value, and says whether that is
// empty then.
func prune(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(_ string, item any) bool { return prune(item) })
		return len(v) == 0
	case []any:
		for _, item := range v {
			prune(item)
		}
		return len(v) == 0
	}
	return v == nil || v == ""
}

// restored gives a value with those of its defaults that are live too: what the
// server has set before, it sets again.
func (f field) restored(v, defaults, live any) any {
	switch v := v.(type) {
	case map[string]any:
		dm, ok := defaults.(map[string]any)
		lm, alsoLive := live.(map[string]any)
		if !ok || !alsoLive {
			return v
		}
		out := maps.Clone(v)
		for k, d := range dm {
			below := f.shape.field(k)
			switch mine, l := v[k], lm[k]; {
			case l == nil:
			case mine != nil && !(below.plain && below.zero(mine)):
				out[k] = below.restored(mine, d, l)
			case below.same(d, l):
				out[k] = l
			}
		}
		return out
	case []any:
		dl, ok := defaults.([]any)
		ll, alsoLive := live.([]any)
		if !ok || !alsoLive || len(dl) != len(v) {
			return v
		}
		places := map[any]int(nil)
		if f.merges && f.key != "" {
			places = index(ll, f.key)
		}
		elem := field{}
		if f.is(list) {
			elem.shape = f.elem
		}
		out := slices.Clone(v)
		for i := range v {
			j := i
			if places != nil {
				if j, ok = places[keyOf(v[i], f.key)]; !ok {
					continue
				}
			}
			if j < len(ll) {
				out[i] = elem.restored(v[i], dl[i], ll[j])
			}
		}
		return out
	}
	return v
}

// aligned gives wanted with the elements of its lists as they are live, where
// these are the wanted ones but for what a server has added to them. Where a
// value in an element has changed, and nothing else in it, the element keeps what
// was added too.
func (f field) aligned(o, w, l any) any {
	switch w := w.(type) {
	case map[string]any:
		om, _ := o.(map[string]any)
		lm, _ := l.(map[string]any)
		out := make(map[string]any, len(w))
		for k, v := range w {
			out[k] = f.shape.field(k).aligned(om[k], v, lm[k])
		}
		return out
	case []any:
		ol, _ := o.([]any)
		ll, _ := l.([]any)
		out := make([]any, len(w))
		for i, v := range w {
			out[i] = v
			wm, ok := v.(map[string]any)
			if !ok || i >= len(ll) {
				continue
			}
			lm, ok := ll[i].(map[string]any)
			if !ok {
				continue
			}
			var om map[string]any
			if len(ol) == len(w) {
				om, _ = ol[i].(map[string]any)
			}
			switch {
			case f.settledItem(om, wm, lm):
				out[i] = lm
			case f.shape == nil && om != nil && len(ll) == len(w) && alike(om, wm) && f.settledItem(nil, om, lm):
				out[i] = mergePatch(clone(lm), wm)
			}
		}
		return out
	}
	return w
}

// settledItem says whether an item of the list is as wanted.
func (f field) settledItem(o, w, l map[string]any) bool {
	var elem *shape
	if f.is(list) {
		elem = f.elem
	}
	if f.shape != nil && !f.merges {
		return elem.sameMap(w, l)
	}
	return elem.settledMap(o, w, l, f.retains)
}

// alike says whether two values have the same fields, whatever stands in them.
func alike(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			other, ok := b[k]
			if !ok || !alike(v, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !alike(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	_, isMap := b.(map[string]any)
	_, isList := b.([]any)
	return !isMap && !isList
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = clone(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = clone(item)
		}
		return out
	}
	return v
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// at gives the value at a path of maps, nil where there is none.
func at(o map[string]any, path ...string) any {
	var v any = o
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}
