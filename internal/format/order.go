package format

import (
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/schemas"
)

// Kinds of files, each with an order of its own. Other has none: it is a file of
// types or variables, or another tool's.
const (
	Descriptor = "descriptor"
	Workspace  = "workspace"
	Flavor     = "flavor"
	Friend     = "friend"
	Other      = "other"
)

// Ours says whether a document is one of the files that kai reads by its format's
// version.
func Ours(v *source.Value) bool { return strings.HasPrefix(v.Get("apiVersion").Str(), "kai/") }

// Kind gives the kind of a file, by its name, and else by its keys.
func Kind(name string, v *source.Value) string {
	if !Ours(v) {
		return Other
	}
	switch path.Base(name) {
	case source.DescriptorFile:
		return Descriptor
	case source.WorkspaceFile:
		return Workspace
	case source.FlavorFile:
		return Flavor
	}
	for _, k := range []struct {
		kind string
		keys []string
	}{
		{Workspace, []string{"services", "flavors", "friends", "variables"}},
		{Friend, []string{"chart", "config", "credentials", "values", "from", "type", "podLabels", "egress"}},
		{Flavor, []string{"abstract", "context", "defaults", "extends"}},
	} {
		if slices.ContainsFunc(k.keys, func(key string) bool { return v.Get(key) != nil }) {
			return k.kind
		}
	}
	return Descriptor
}

// head are the keys that every file of ours begins with.
var head = []string{"apiVersion", "name", "version", "description"}

// contextKeys are the fields of a context: what it is, what runs, when and how often, how
// it is reached, what it needs, and then the rest.
var contextKeys = []string{
	"name", "extends", "flavor", "image", "command", "args",
	"schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "suspend", "job",
	"perNode", "replicas", "scaling", "disruption", "updates",
	"initContainers", "sidecars", "probes", "lifecycle", "gracePeriod",
	"routes", "expose", "mounts", "volumes", rest, "friends", "env",
	"resources", "security", "scheduling", "serviceAccount", "labels", "annotations", "workload", "service",
	"networkPolicy", "egress", "test", "objects", "patches",
}

// friendKeys are the fields of a friend.
var friendKeys = []string{"type", "from", "chart", "values", "config", "credentials", "env", "mounts", rest, "egress", "podLabels"}

// orders are those of each kind of file.
var orders = sync.OnceValue(func() map[string]*order {
	types, _ := source.ReadYAML(schemas.FS, "types.yaml") // a part of the program
	instances := map[string]*order{}
	for _, t := range types.FieldsOrNone() {
		if t.Key != "context" && t.Key != "common" {
			instances[t.Key] = &order{keys: append([]string{"name", "from"}, t.Value.Keys()...)}
		}
	}
	list := func(o *order) *order { return &order{below: map[string]*order{"[]": o}} }
	container := instances["container"]
	container.below = map[string]*order{
		"image": instances["image"], "command": instances["command"], "routes": list(instances["route"]), "mounts": list(instances["mount"]),
	}
	context := &order{keys: contextKeys, below: map[string]*order{
		"image": instances["image"], "command": instances["command"], "routes": list(instances["route"]), "mounts": list(instances["mount"]),
		"initContainers": list(container), "sidecars": list(container),
	}}
	context.below["friends"] = list(&order{keys: append([]string{"from", "service", "name", "needs"}, friendKeys...)})
	target := &order{keys: []string{
		"name", "extends", "namespace", "cluster", "confirm", "variables", "versions", "only", "except", "uses",
		"ingress", "gateway", "istio", "monitoring", "dependencies", "secrets", rest, "values",
	}, below: map[string]*order{"values": context}}
	descriptor := &order{keys: slices.Concat(head, []string{"types", "images", "commands", "probes", "routes", "mounts", "containers", rest, "contexts", "offers"}),
		below: map[string]*order{"contexts": list(context), "offers": {keys: []string{"config", "credentials", "env"}}}}
	for name, o := range instances {
		descriptor.below[name+"s"] = list(o) // none of the built-in types has another plural
	}
	friend := &order{keys: slices.Concat(head, friendKeys, []string{"contexts"})}
	friend.below = map[string]*order{"contexts": list(&order{keys: append([]string{"name", "extends"}, friendKeys...)})}
	return map[string]*order{
		Descriptor: descriptor,
		Workspace: {keys: slices.Concat(head, []string{"services", "flavors", "friends", "defaults", "variables", "validate", rest, "contexts"}),
			below: map[string]*order{"defaults": context, "contexts": list(target)}},
		Flavor: {keys: slices.Concat(head, []string{"abstract", "extends", "types", "context", rest, "defaults"}),
			below: map[string]*order{"defaults": context}},
		Friend: friend,
	}
})

// ofKind gives the order of a kind of file, or nil.
func ofKind(kind string) *order { return orders()[kind] }

// Known gives the keys that the order of a kind of file names, by the path of the map
// that they stand in, with "[]" for the items of a list.
func Known(kind string) map[string][]string {
	out := map[string][]string{}
	var visit func(o *order, path string)
	visit = func(o *order, path string) {
		if len(o.keys) > 0 {
			out[path] = slices.DeleteFunc(slices.Clone(o.keys), func(key string) bool { return key == rest })
		}
		for _, key := range slices.Sorted(maps.Keys(o.below)) {
			visit(o.below[key], strings.TrimPrefix(path+"."+key, "."))
		}
	}
	visit(ofKind(kind), "")
	return out
}
