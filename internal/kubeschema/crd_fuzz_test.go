package kubeschema_test

import (
	"testing"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
)

// FuzzAddCRD: no definition of a kind makes it fall over, nor do objects that are
// checked by what was read of it.
func FuzzAddCRD(f *testing.F) {
	const object = "{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, spec: {size: 1, more: [a, {b: null}]}}"
	f.Add(crd, object)
	f.Add("{kind: CustomResourceDefinition, apiVersion: apiextensions.k8s.io/v1, spec: {group: example.com, names: {kind: Thing}, versions: [{name: v1, schema: {openAPIV3Schema: "+
		"{type: object, properties: {spec: {type: object, additionalProperties: {type: array, items: {x-kubernetes-int-or-string: true}}}, a: {pattern: '(', enum: [1, null], minimum: 1e400}}}}}]}}", object)
	f.Add("{kind: CustomResourceDefinition, spec: {group: a, names: {kind: b}, versions: [{name: v1}]}}", "{apiVersion: a/v1, kind: b}")
	f.Add("{kind: CustomResourceDefinition, spec: {group: example.com, names: {kind: Thing}, versions: [{name: v1, schema: {openAPIV3Schema: {properties: {spec: {type: [a]}, a: null, b: {anyOf: [null, {items: 1}]}}}}}]}}", object)
	f.Add(celDefinition, "{apiVersion: example.com/v1, kind: Light, metadata: {name: l}, spec: {size: 1Gi, hosts: [a, b], labels: {a: bcdef}, address: 1}}")
	f.Fuzz(func(t *testing.T, definition, object string) {
		definitions, err := manifest.Parse(definition)
		if err != nil {
			return
		}
		objects, err := manifest.Parse(object)
		if err != nil {
			return
		}
		schemas := load(t, "")
		for _, d := range definitions {
			if _, err := schemas.AddCRD(d.Fields); err != nil {
				return
			}
		}
		for _, o := range objects {
			schemas.Validate(o.Fields)
		}
	})
}

// FuzzAddJSONSchema: no schema of a user's makes it fall over, nor does an object
// that is checked by it; and none is fetched from elsewhere.
func FuzzAddJSONSchema(f *testing.F) {
	const object = "{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, spec: {size: 1}}"
	f.Add(`{"type": "object", "properties": {"spec": {"$ref": "#/definitions/spec"}}, "definitions": {"spec": {"properties": {"size": {"type": "integer", "minimum": 1}}}}}`, object)
	f.Add(`{"$ref": "#"}`, object)
	f.Add(`{"$ref": "https://example.com/schema.json"}`, object)
	f.Add(`{"$ref": "file:///etc/hosts"}`, object)
	f.Add(`{"allOf": [{"$ref": "#"}], "patternProperties": {"(": {}}}`, object)
	f.Fuzz(func(t *testing.T, schema, object string) {
		objects, err := manifest.Parse(object)
		if err != nil {
			return
		}
		schemas, err := kubeschema.Load("")
		if err != nil {
			t.Fatal(err)
		}
		if schemas.AddJSONSchema("example.com/v1", "Thing", []byte(schema)) != nil {
			return
		}
		for _, o := range objects {
			schemas.Validate(o.Fields)
		}
	})
}
