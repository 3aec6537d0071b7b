package kubeschema

import (
	"encoding/json"
	"testing"
)

const openAPI = `{"definitions": {
  "io.k8s.api.apps.v1.Thing": {
    "type": "object", "description": "long", "required": ["spec"],
    "properties": {
      "apiVersion": {"type": "string"}, "kind": {"type": "string"},
      "spec": {"$ref": "#/definitions/io.k8s.api.apps.v1.ThingSpec"}
    },
    "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Thing"}, {"group": "", "version": "v1", "kind": "Thing"}]
  },
  "io.k8s.api.apps.v1.ThingSpec": {
    "type": "object",
    "properties": {
      "port": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
      "self": {"$ref": "#/definitions/io.k8s.api.apps.v1.ThingSpec"},
      "labels": {"type": "object", "additionalProperties": {"type": "string"}},
      "properties": {"type": "string", "description": "a field with the name of a keyword"}
    }
  },
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
  "io.k8s.api.apps.v1.Unused": {"type": "object"}
}}`

const openAPIWant = `{
  "additionalProperties": false,
  "definitions": {
    "io.k8s.api.apps.v1.ThingSpec": {
      "additionalProperties": false,
      "properties": {
        "labels": {"additionalProperties": {"type": "string"}, "type": "object"},
        "port": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
        "properties": {"type": "string"},
        "self": {"$ref": "#/definitions/io.k8s.api.apps.v1.ThingSpec"}
      },
      "type": "object"
    },
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]}
  },
  "properties": {
    "apiVersion": {"const": "apps/v1"},
    "kind": {"const": "Thing"},
    "metadata": {"type": "object"},
    "spec": {"$ref": "#/definitions/io.k8s.api.apps.v1.ThingSpec"}
  },
  "required": ["apiVersion", "kind", "spec"],
  "type": "object",
  "x-kubernetes-group-version-kind": [{"group": "apps", "kind": "Thing", "version": "v1"}, {"group": "", "kind": "Thing", "version": "v1"}]
}`

func TestFromOpenAPI(t *testing.T) {
	t.Parallel()
	schemas, err := FromOpenAPI([]byte(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, schemas["thing-apps-v1.json"], openAPIWant)
	core, ok := schemas["thing-v1.json"]["properties"].(map[string]any)
	if !ok {
		t.Fatalf("no schema for the same kind in the core group: %v", schemas)
	}
	equal(t, core["apiVersion"], `{"const": "v1"}`)
	if len(schemas) != 2 {
		t.Errorf("got %d schemas, want one for each of the two kinds", len(schemas))
	}
}

const crd = `
spec:
  group: gateway.example.com
  names: {kind: Road}
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              properties:
                to: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                free: {type: object, properties: {a: {type: string}}, x-kubernetes-preserve-unknown-fields: true}
                maybe: {type: string, nullable: true}
`

const crdWant = `{
  "additionalProperties": false,
  "properties": {
    "apiVersion": {"const": "gateway.example.com/v1"},
    "kind": {"const": "Road"},
    "metadata": {"type": "object"},
    "spec": {
      "additionalProperties": false,
      "properties": {
        "free": {"properties": {"a": {"type": "string"}}, "type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "maybe": {"nullable": true, "type": ["string", "null"]},
        "to": {"type": ["string", "integer"], "x-kubernetes-int-or-string": true}
      },
      "type": "object"
    }
  },
  "required": ["apiVersion", "kind", "spec"],
  "type": "object"
}`

func TestFromCRD(t *testing.T) {
	t.Parallel()
	schemas, err := FromCRD([]byte(crd))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, schemas["road-gateway-v1.json"], crdWant)
}

func TestMalformedInputIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := FromOpenAPI([]byte("{")); err == nil {
		t.Error("half an OpenAPI document is accepted")
	}
	if _, err := FromCRD([]byte("spec: [")); err == nil {
		t.Error("half a CustomResourceDefinition is accepted")
	}
}

func equal(t *testing.T, got any, want string) {
	t.Helper()
	var parsed any
	if err := json.Unmarshal([]byte(want), &parsed); err != nil {
		t.Fatal(err)
	}
	gotJSON, wantJSON := indent(t, got), indent(t, parsed)
	if gotJSON != wantJSON {
		t.Errorf("got:\n%s\nwant:\n%s", gotJSON, wantJSON)
	}
}

func indent(t *testing.T, value any) string {
	t.Helper()
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
