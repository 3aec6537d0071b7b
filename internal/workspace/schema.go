package workspace

import (
	"maps"
	"reflect"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/source"
)

// SchemaKinds are the file formats that have a JSON Schema, each with the
// function that makes it.
var SchemaKinds = map[string]func(w *Workspace) (map[string]any, error){
	"descriptor": (*Workspace).descriptorSchema,
	"workspace":  (*Workspace).workspaceSchema,
	"flavor":     (*Workspace).flavorSchema,
	"friend":     (*Workspace).friendSchema,
	"lock":       (*Workspace).lockSchema,
}

// Schema gives the JSON Schema (2020-12) of a file format.
func (w *Workspace) Schema(kind string) (map[string]any, error) { return SchemaKinds[kind](w) }

type object = map[string]any

func text(description string) object { return object{"type": "string", "description": description} }

// closed gives the schema of a map that has these keys and no others.
func closed(properties object, required ...any) object {
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// file gives the schema of one of our files.
func file(title string, schema, defs object) object {
	schema["$schema"] = descriptor.Draft2020
	schema["title"] = title
	if len(defs) > 0 {
		schema["$defs"] = defs
	}
	properties := schema["properties"].(object)
	properties["apiVersion"] = object{"const": descriptor.APIVersion}
	schema["required"] = []any{"apiVersion", "name"}
	return schema
}

var stringList = object{"type": "array", "items": object{"type": "string"}}

// contextSchema gives the schema of what a context may set in any flavor, the
// types it is written in, and their definitions.
func (w *Workspace) contextSchema() (schema, defs object, types *descriptor.Types, err error) {
	types = w.Types
	var flavors []*descriptor.Flavor
	for _, name := range w.FlavorNames() {
		f, findings := w.Flavor(source.NewString(source.Origin{}, name))
		if f == nil {
			return nil, nil, nil, findings
		}
		flavors = append(flavors, f)
		types = types.With(f.Types)
	}
	properties, defs := object{}, object{}
	for _, f := range flavors {
		one, more := descriptor.InputSchema(types, f.AllFields())
		maps.Copy(defs, more)
		for key, value := range one["properties"].(object) {
			properties[key] = either(properties[key], value)
		}
	}
	return closed(properties), defs, types, nil
}

// either gives the schema of what one flavor or another takes.
func either(a, b any) any {
	if a == nil || reflect.DeepEqual(a, b) {
		return b
	}
	known, ok := a.(object)["anyOf"].([]any)
	if !ok || len(a.(object)) > 1 {
		known = []any{a}
	}
	for _, k := range known {
		if reflect.DeepEqual(k, b) {
			return a
		}
	}
	return object{"anyOf": append(known[:len(known):len(known)], b)}
}

// namedContext adds name and extends to a schema of fields.
func namedContext(schema object) object {
	properties := schema["properties"].(object)
	properties["name"] = text("name of the context")
	properties["extends"] = object{"description": "contexts that this one starts from", "anyOf": []any{object{"type": "string"}, stringList}}
	schema["required"] = []any{"name"}
	return schema
}

func (w *Workspace) descriptorSchema() (map[string]any, error) {
	context, defs, types, err := w.contextSchema()
	if err != nil {
		return nil, err
	}
	properties := object{
		"name":        text("name of the service"),
		"version":     text("version of the chart (default: the workspace's)"),
		"description": text("what the service does"),
		"types":       textList("files of types"),
		"contexts":    object{"type": "array", "items": namedContext(context), "description": "what the service is in each environment"},
		"offers": closed(object{
			"config":      anyMap("values for consumers"),
			"credentials": anyMap("secrets for consumers"),
			"env":         anyMap("variables for consumers"),
		}),
	}
	for _, name := range types.Names() {
		if name != "context" && name != "common" {
			properties[descriptor.Plural(name)] = descriptor.InstanceSchema(types, name, defs)
		}
	}
	return file("kai.yaml: what a service is", closed(properties), defs), nil
}

func (w *Workspace) workspaceSchema() (map[string]any, error) {
	fields, defs, _, err := w.contextSchema()
	if err != nil {
		return nil, err
	}
	defs["fields"] = fields
	ref := object{"$ref": "#/$defs/fields"}
	variables := object{"description": "file of variables, or a map of them", "anyOf": []any{object{"type": "string"}, object{"type": "object"}}}
	context := namedContext(closed(object{
		"namespace":    text("namespace that the services are installed into"),
		"variables":    variables,
		"versions":     text("folder of version files, SERVICE.yaml"),
		"cluster":      closed(object{"kubeContext": text("context of kubeconfig"), "uid": text("uid of the namespace kube-system")}),
		"secrets":      storeSchema(),
		"only":         textList("the services of this context"),
		"except":       textList("services that this context leaves out"),
		"values":       ref,
		"uses":         textList("contexts of the descriptors to apply, in this order"),
		"gateway":      closed(object{"name": text("Gateway that routes of Gateway API attach to"), "namespace": text("its namespace, where its pods are"), "sectionName": text("one of its listeners"), "className": text("class of a Gateway that each service makes for itself"), "annotations": anyMap("annotations of every route")}),
		"ingress":      closed(object{"className": text("class of the Ingresses"), "namespace": text("namespace of the ingress controller"), "annotations": anyMap("annotations of every Ingress")}),
		"istio":        closed(object{"gateway": text("Gateway of Istio that VirtualServices attach to: NAME or NAMESPACE/NAME"), "selector": anyMap("labels of Istio's gateway pods, for a Gateway that each service makes for itself"), "namespace": text("namespace of Istio's gateway pods"), "annotations": anyMap("annotations of every VirtualService")}),
		"monitoring":   closed(object{"namespace": text("namespace that may read metrics")}),
		"dependencies": object{"type": "array", "description": "where shared friends are installed", "items": closed(object{"name": text("friend"), "release": text("name of its release"), "context": text("its context"), "namespace": text("its namespace")}, "name")},
		"confirm":      object{"type": "boolean", "description": "ask before anything is changed"},
	}))
	properties := object{
		"name":      text("name of the workspace"),
		"services":  textList("folders with a kai.yaml, as patterns"),
		"flavors":   textList("folders of flavors: paths, or sources such as git+https://HOST/REPO.git//DIR?ref=REF"),
		"friends":   textList("folders of friends: paths, or sources such as git+https://HOST/REPO.git//DIR?ref=REF"),
		"defaults":  ref,
		"version":   text("version of charts whose descriptor gives none"),
		"variables": variables,
		"contexts":  object{"type": "array", "items": context, "description": "where services are installed"},
	}
	return file("kai-workspace.yaml: the services that are installed together", closed(properties), defs), nil
}

func (w *Workspace) flavorSchema() (map[string]any, error) {
	fields, defs, _, err := w.contextSchema()
	if err != nil {
		return nil, err
	}
	properties := object{
		"name":        text("name of the flavor"),
		"version":     text("version of the flavor"),
		"description": text("what the flavor is for"),
		"abstract":    object{"type": "boolean", "description": "only there to be extended"},
		"extends":     text("flavor that this one starts from: a name, a path or a source"),
		"types":       object{"description": "types, or files of types", "anyOf": []any{object{"type": "object"}, stringList}},
		"context":     object{"description": "fields that a context may set, or the name of a type that has them", "anyOf": []any{object{"type": "object"}, object{"type": "string"}}},
		"defaults":    fields,
	}
	return file("flavor.yaml: how a context becomes a chart", closed(properties), defs), nil
}

func (w *Workspace) friendSchema() (map[string]any, error) {
	properties := object{
		"type": object{"enum": []any{"requirement", "dependency"}, "description": "requirement: one for each service; dependency: one for all"},
		"from": text("friend that this one changes"),
		"chart": object{"description": "what installs it; null where it is elsewhere", "anyOf": []any{
			object{"type": "null"},
			closed(object{"flavor": text("a flavor")}, "flavor"),
			closed(object{"path": text("a chart's folder, relative to this file")}, "path"),
			closed(object{"repository": text("a chart repository: https://… or oci://…"), "name": text("a chart of it"), "version": chartVersion}, "repository", "name"),
			closed(object{"oci": text("a chart in a registry: oci://HOST/REPO, or with a tag or digest"), "version": chartVersion}, "oci"),
			closed(object{"git": text("a chart in a git repository: git+https://HOST/REPO.git//DIR?ref=REF")}, "git"),
		}},
		"values":      anyMap("for a flavor: fields of a context; for a chart: its values"),
		"config":      anyMap("values for consumers"),
		"credentials": anyMap("secrets for consumers: KEY: {secret: …, generate: …}"),
		"env":         anyMap("variables for consumers"),
		"mounts":      object{"type": "array", "description": "mounts for consumers"},
		"egress":      textList("CIDRs where a friend outside of the cluster is"),
		"podLabels":   anyMap("labels of its pods, where another tool's chart sets them"),
	}
	context := object{}
	for k, v := range properties {
		context[k] = v
	}
	properties["name"] = text("name of the friend, and of its file")
	properties["description"] = text("what the friend is")
	properties["contexts"] = object{"type": "array", "items": namedContext(closed(context)), "description": "what changes from context to context"}
	return file("a friend: a service that others depend on", closed(properties), nil), nil
}

var chartVersion = text("a version, or a range such as ^1.2; without it the newest")

func (w *Workspace) lockSchema() (map[string]any, error) {
	kinds := []any{}
	for _, kind := range lock.Kinds() {
		kinds = append(kinds, kind)
	}
	pin := closed(object{
		"kind":     object{"enum": kinds, "description": "what is pinned; flavors and friends are folders of them elsewhere"},
		"name":     text("its name"),
		"source":   text("library, a path in the workspace, or where it stands elsewhere"),
		"resolved": text("what the source stood for: a commit, a digest, VERSION@DIGEST; for the library the version of kai"),
		"digest":   object{"type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "description": "of the files"},
	}, "kind", "name", "source")
	schema := file("kai.lock: what the workspace's flavors, friends and charts are pinned to", closed(object{
		"pins": object{"type": "array", "items": pin, "description": "sorted by kind, name and source"},
	}), nil)
	schema["required"] = []any{"apiVersion"}
	return schema, nil
}

func anyMap(description string) object {
	return object{"type": []any{"object", "null"}, "description": description}
}

func textList(description string) object {
	return object{"type": "array", "items": object{"type": "string"}, "description": description}
}
