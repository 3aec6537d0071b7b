package workspace

import (
	"maps"
	"reflect"
	"slices"
	"strings"

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

func explained(schema object, description string) object {
	schema["description"] = description
	return schema
}

// file gives the schema of one of our files.
func file(about string, schema, defs object) object {
	schema["$schema"] = descriptor.Draft2020
	schema["description"] = about // editors put a title above all that they say
	if len(defs) > 0 {
		schema["$defs"] = defs
	}
	properties := schema["properties"].(object)
	properties["apiVersion"] = object{"type": "string", "enum": []any{descriptor.APIVersion}, "description": "version of the format"}
	schema["required"] = []any{"apiVersion", "name"}
	return schema
}

// named gives the schema of a name that Kubernetes takes.
func named(description string) object {
	return object{
		"type": []any{"string", "number"}, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 253, "description": description,
		"patternErrorMessage": "write lower case letters, digits and dashes, with no dash at either end",
	}
}

var stringList = object{"type": "array", "items": object{"type": "string"}}

// contextFields are the schemas of what contexts may set.
type contextFields struct {
	// union is what they may set in one flavor or another, and flavors what each
	// takes: schemas of maps without the keys that only contexts have.
	union   object
	flavors map[string]object
	types   *descriptor.Types
	defs    object
}

// contextFields gives the schemas of what a context may set. A field stands in the
// definitions once, or as often as flavors differ in it.
func (w *Workspace) contextFields() (*contextFields, error) {
	c := &contextFields{flavors: map[string]object{}, types: w.Types, defs: object{}}
	var flavors []*descriptor.Flavor
	for _, name := range w.FlavorNames() {
		f, findings := w.Flavor(source.NewString(source.Origin{}, name))
		if f == nil {
			return nil, findings
		}
		flavors = append(flavors, f)
		c.types = c.types.With(f.Types)
	}
	for _, s := range w.Services {
		c.types = c.types.With(s.Types)
	}
	usable := w.usable()
	variants := map[string][]object{} // of a field
	refs := map[string][]any{}
	for _, f := range flavors {
		one, more := descriptor.InputSchema(c.types, f.AllFields())
		maps.Copy(c.defs, more)
		fields := object{}
		for key, value := range one["properties"].(object) {
			i := slices.IndexFunc(variants[key], func(o object) bool { return reflect.DeepEqual(o, value) })
			if i < 0 {
				i = len(variants[key])
				def := "field." + key
				if i > 0 {
					def += "." + f.Name
				}
				variants[key] = append(variants[key], value.(object))
				refs[key] = append(refs[key], object{"$ref": "#/$defs/" + def})
				c.defs[def] = illustrated(maps.Clone(value.(object)), ContextExamples[key])
			}
			fields[key] = withDefault(refs[key][i].(object), f, key, c.defs)
		}
		if slices.Contains(usable, f.Name) {
			c.flavors[f.Name] = fields
		}
	}
	c.union = object{}
	for key, r := range refs {
		c.union[key] = r[0]
		if len(r) > 1 {
			c.union[key] = object{"anyOf": r}
		}
	}
	c.defs["field.flavor"] = w.flavorName(usable)
	w.nameFriends(c.defs)
	c.defs["fields"] = closed(c.union)
	return c, nil
}

// withDefault gives the reference to a field with what the flavor says where nobody
// else does. What an editor shows for the field is then said anew, for it reads the
// words that stand nearest.
func withDefault(ref object, f *descriptor.Flavor, key string, defs object) object {
	v := f.Defaults.Get(key)
	if v.IsNull() {
		return ref
	}
	out := maps.Clone(ref)
	if v.IsScalar() {
		out["default"] = v.Native()
	}
	field := defs[strings.TrimPrefix(ref["$ref"].(string), "#/$defs/")].(object)
	text, _ := field["markdownDescription"].(string)
	if text == "" {
		text, _ = field["description"].(string)
	}
	yaml := source.AppendYAML(nil, source.NewMap(source.Origin{}, source.Field{Key: key, Value: v}), nil)
	out["markdownDescription"] = text + "\n\nDefault of " + f.Name + ":\n\n```yaml\n" + string(yaml) + "```"
	return out
}

// illustrated adds an example to a description, in Markdown, which editors show
// instead of it.
func illustrated(schema object, example string) object {
	if text, ok := schema["description"].(string); ok && example != "" {
		schema["markdownDescription"] = text + "\n\n```yaml\n" + example + "```"
	}
	return schema
}

// elsewhere is the form of what stands in another place than a library: a path, a
// source, or a substitution.
const elsewhere = `^\.{1,2}/|^git\+|^oci://|\$\{`

// flavorName gives the schema of a flavor's name.
func (w *Workspace) flavorName(usable []string) object {
	var words []any
	for _, name := range usable {
		f, _ := w.Flavor(source.NewString(source.Origin{}, name))
		words = append(words, f.Description)
	}
	return object{
		"description": "flavor that makes the chart: a name, a path that begins with ./ or ../, or a source elsewhere",
		"anyOf": []any{
			object{"enum": anyList(usable), "enumDescriptions": words},
			object{"type": "string", "pattern": elsewhere},
			object{"type": "null"},
		},
	}
}

// nameFriends puts the names that a friend can have into its schema: the library's
// and the workspace's. Where there is no workspace, others are taken too.
func (w *Workspace) nameFriends(defs object) {
	friend, ok := defs[descriptor.ShapeDefinition+"friend"].(object)
	if !ok {
		return
	}
	var words []any
	names := w.FriendNames()
	for _, name := range names {
		text := ""
		if f, _ := w.Friend(source.NewString(source.Origin{}, name), false); f != nil {
			text = f.Description()
		}
		words = append(words, text)
	}
	known := []any{object{"enum": anyList(names), "enumDescriptions": words}, object{"type": "string", "pattern": elsewhere}}
	if w.root == nil {
		known = append(known, object{"type": "string"})
	}
	name := object{"description": "friend of the library or the workspace", "anyOf": known}
	for _, part := range friend["anyOf"].([]any) {
		properties, ok := part.(object)["properties"].(object)
		if !ok {
			continue
		}
		properties["from"] = name
		if services := w.ServiceNames(); len(services) > 0 && w.root != nil {
			properties["service"] = object{"description": "service of the workspace", "anyOf": []any{
				object{"enum": anyList(services)}, object{"type": "string", "pattern": elsewhere}}}
		}
	}
	friend["anyOf"].([]any)[0] = name
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, item := range list {
		out[i] = item
	}
	return out
}

// context gives the schema of a descriptor's context: what its flavor takes, or, where
// it says none, what any does.
func (c *contextFields) context() object {
	own := func(fields object) object {
		out := maps.Clone(fields)
		out["name"], out["extends"] = object{"$ref": "#/$defs/context.name"}, object{"$ref": "#/$defs/context.extends"}
		return out
	}
	c.defs["context.name"] = named("name of the context")
	c.defs["context.extends"] = extends()
	c.defs["context"] = closed(own(c.union))
	choice := object{"$ref": "#/$defs/context"}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(c.flavors))) {
		def := "context." + name
		if name == "name" || name == "extends" {
			def += ".flavor"
		}
		c.defs[def] = closed(own(c.flavors[name]))
		choice = object{
			"if":   object{"properties": object{"flavor": object{"const": name}}, "required": []any{"flavor"}},
			"then": object{"$ref": "#/$defs/" + def},
			"else": choice,
		}
	}
	choice["type"], choice["required"] = "object", []any{"name"}
	return choice
}

func extends() object {
	return illustrated(object{"description": "contexts that this one starts from, in their order", "anyOf": []any{object{"type": "string"}, stringList}}, ContextExamples["extends"])
}

// namedContext adds name and extends to a schema of fields.
func namedContext(schema object) object {
	properties := schema["properties"].(object)
	properties["name"] = named("name of the context")
	properties["extends"] = extends()
	schema["required"] = []any{"name"}
	return schema
}

func (w *Workspace) descriptorSchema() (map[string]any, error) {
	fields, err := w.contextFields()
	if err != nil {
		return nil, err
	}
	defs := fields.defs
	properties := object{
		"name":        named("name of the service, its chart and its objects"),
		"version":     semantic("version of the chart (default: the workspace's)"),
		"description": text("what the service does, in a line"),
		"types":       textList("files of types, relative to the descriptor"),
		"contexts":    object{"type": "array", "items": fields.context(), "description": "what the service is in each environment"},
		"offers":      offers(),
	}
	for _, name := range fields.types.Names() {
		if name != "context" && name != "common" {
			list := descriptor.InstanceSchema(fields.types, name, defs)
			list["description"] = descriptor.Plural(name) + " by name, which contexts choose from"
			properties[descriptor.Plural(name)] = list
		}
	}
	for key, schema := range properties {
		illustrated(schema.(object), Examples[key])
	}
	delete(defs, "fields")
	return file("kai.yaml: what a service is", closed(properties), defs), nil
}

// offers gives the schema of what a service gives those who have it for a friend.
func offers() object {
	out := closed(object{
		"config":      anyMap("values that consumers refer to as ${friends.NAME.config.KEY}"),
		"credentials": anyMap("secrets for consumers, each {secret: KEY}"),
		"env":         anyMap("variables that consumers get"),
	})
	out["description"] = "what services get that have this one for a friend"
	return out
}

// semantic gives the schema of a version.
func semantic(description string) object {
	return object{"type": "string", "pattern": `^\d+\.\d+\.\d+`, "patternErrorMessage": "write MAJOR.MINOR.PATCH", "description": description}
}

func (w *Workspace) workspaceSchema() (map[string]any, error) {
	fields, err := w.contextFields()
	if err != nil {
		return nil, err
	}
	of := func(description string) object { return object{"$ref": "#/$defs/fields", "description": description} }
	variables := object{"description": "file of variables, or a map of them", "anyOf": []any{object{"type": "string"}, object{"type": "object"}}}
	context := namedContext(closed(object{
		"namespace":    text("namespace that the services are installed into"),
		"variables":    variables,
		"versions":     text("folder of version files, SERVICE.yaml"),
		"cluster":      explained(closed(object{"kubeContext": text("context of kubeconfig"), "uid": text("uid of the namespace kube-system")}), "the cluster that this context is installed in, and no other"),
		"secrets":      storeSchema(),
		"only":         textList("the services of this context"),
		"except":       textList("services that this context leaves out"),
		"values":       of("fields of a service's context, for all services here"),
		"uses":         textList("contexts of the descriptors to apply, in this order"),
		"gateway":      explained(closed(object{"name": text("Gateway that routes of Gateway API attach to"), "namespace": text("its namespace, where its pods are"), "sectionName": text("one of its listeners"), "className": text("class of a Gateway that each service makes for itself"), "annotations": anyMap("annotations of every route")}), "for services that are exposed by Gateway API"),
		"ingress":      explained(closed(object{"className": text("class of the Ingresses"), "namespace": text("namespace of the ingress controller"), "annotations": anyMap("annotations of every Ingress")}), "for services that are exposed by Ingress"),
		"istio":        explained(closed(object{"gateway": text("Gateway of Istio that VirtualServices attach to: NAME or NAMESPACE/NAME"), "selector": anyMap("labels of Istio's gateway pods, for a Gateway that each service makes for itself"), "namespace": text("namespace of Istio's gateway pods"), "annotations": anyMap("annotations of every VirtualService")}), "for services that are exposed by Istio"),
		"monitoring":   explained(closed(object{"namespace": text("namespace that may read metrics")}), "who may read metrics of all services"),
		"dependencies": object{"type": "array", "description": "where shared friends are installed", "items": closed(object{"name": text("friend"), "release": text("name of its release"), "context": text("its context"), "namespace": text("its namespace")}, "name")},
		"confirm":      object{"type": "boolean", "description": "ask before anything is changed"},
	}))
	properties := object{
		"name":      named("name of the workspace, which releases carry as a label"),
		"services":  textList("folders with a kai.yaml, as patterns"),
		"flavors":   textList("folders of flavors: paths, or sources such as git+https://HOST/REPO.git//DIR?ref=REF"),
		"friends":   textList("folders of friends: paths, or sources such as git+https://HOST/REPO.git//DIR?ref=REF"),
		"defaults":  of("fields of a context, for every service; what a flavor does not take is left out"),
		"version":   text("version of charts whose descriptor gives none"),
		"variables": variables,
		"validate":  validateSchema(),
		"contexts":  object{"type": "array", "items": context, "description": "where services are installed"},
	}
	return file("kai-workspace.yaml: the services that are installed together", closed(properties), fields.defs), nil
}

func (w *Workspace) flavorSchema() (map[string]any, error) {
	fields, err := w.contextFields()
	if err != nil {
		return nil, err
	}
	properties := object{
		"name":        named("name of the flavor, and of its folder"),
		"version":     semantic("version of the flavor"),
		"description": text("what the flavor is for"),
		"abstract":    object{"type": "boolean", "description": "only there to be extended"},
		"extends":     text("flavor that this one starts from: a name, a path or a source"),
		"types":       object{"description": "types, or files of types", "anyOf": []any{object{"type": "object"}, stringList}},
		"context":     object{"description": "fields that a context may set, or the name of a type that has them", "anyOf": []any{object{"type": "object"}, object{"type": "string"}}},
		"defaults":    object{"$ref": "#/$defs/fields", "description": "what fields of a context are when nothing is said"},
	}
	return file("flavor.yaml: how a context becomes a chart", closed(properties), fields.defs), nil
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
	properties["name"] = named("name of the friend, and of its file")
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
