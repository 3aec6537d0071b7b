package kubeschema_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
)

// celDefinition has rules of all kinds: on an object, a list, a map and a value; with
// and without words of their own; that speak of defaults, of what was there before,
// and of what nobody knows.
const celDefinition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lights.example.com}
spec:
  group: example.com
  names: {kind: Light, plural: lights}
  versions:
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
          type: object
          x-kubernetes-validations:
            - {rule: "self.metadata.name.startsWith('l')", message: "its name begins with l", fieldPath: .metadata.name}
          properties:
            spec:
              type: object
              x-kubernetes-validations:
                - {rule: self.low <= self.high, messageExpression: "'low is ' + string(self.low) + ', high ' + string(self.high)"}
                - {rule: "!has(self.old) || self.old == oldSelf.old", message: it stays}
                - {rule: "!oldSelf.hasValue() || self.low == oldSelf.value().low", optionalOldSelf: true, message: it stays too}
                - {rule: self.nobody.knows(this), message: nobody knows}
                - {rule: "!has(self.colour) || self.colour.namespace != 'x'", message: a keyword}
              properties:
                low: {type: integer, default: 1}
                high: {type: integer, default: 2}
                old: {type: string}
                size: {type: string, x-kubernetes-validations: [{rule: "isQuantity(self) && quantity(self).isLessThan(quantity('1Gi'))", message: less than 1Gi}]}
                time: {type: string, x-kubernetes-validations: [{rule: duration(self) > duration('1s')}]}
                address: {x-kubernetes-int-or-string: true, x-kubernetes-validations: [{rule: "type(self) == int || isIP(self)", message: no address}]}
                link: {type: string, x-kubernetes-validations: [{rule: "url(self).getScheme() == 'https'", message: https only}]}
                colour: {type: object, properties: {namespace: {type: string}}}
                hosts:
                  type: array
                  x-kubernetes-list-type: set
                  x-kubernetes-validations: [{rule: "self.all(h, self.exists_one(o, o.endsWith(h)))", message: hosts overlap}]
                  items: {type: string, maxLength: 20, x-kubernetes-validations: [{rule: "self != 'bad'", message: no bad host}]}
                labels:
                  type: object
                  additionalProperties: {type: string, x-kubernetes-validations: [{rule: self.size() < 4, message: too long}]}
                long: {type: string, x-kubernetes-validations: [{rule: "self.matches('LONG')", message: too dear}]}
`

func TestRulesInCEL(t *testing.T) {
	t.Parallel()
	schemas, err := kubeschema.Load("")
	if err != nil {
		t.Fatal(err)
	}
	var definition map[string]any
	// What a match costs grows with both texts.
	text := strings.Replace(celDefinition, "LONG", strings.Repeat("x", 500), 1)
	if err := yaml.Unmarshal([]byte(text), &definition); err != nil {
		t.Fatal(err)
	}
	if _, err := schemas.AddCRD(definition); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, spec, want string }{
		{"l", "{}", ""},
		{"a", "{}", "metadata.name: its name begins with l"},
		{"l", "{low: 3}", "spec: low is 3, high 2"},
		{"l", "{low: null}", ""},
		{"l", "{old: a}", ""},
		{"l", "{size: 1Mi}", ""},
		{"l", "{size: 2Gi}", "spec.size: less than 1Gi"},
		{"l", "{size: big}", "spec.size: less than 1Gi"},
		{"l", "{time: 2s}", ""},
		{"l", "{time: 1ms}", "spec.time: does not hold: duration(self) > duration('1s')"},
		{"l", "{time: soon}", "spec.time: does not hold: duration(self) > duration('1s'): type conversion error"},
		{"l", "{address: 10.0.0.1}", ""},
		{"l", "{address: 1}", ""},
		{"l", "{address: here}", "spec.address: no address"},
		{"l", "{link: 'https://example.com'}", ""},
		{"l", "{link: 'http://example.com'}", "spec.link: https only"},
		{"l", "{colour: {namespace: x}}", "spec: a keyword"},
		{"l", "{hosts: [a, b]}", ""},
		{"l", "{hosts: [a.b, b]}", "spec.hosts: hosts overlap"},
		{"l", "{hosts: [a, bad]}", "spec.hosts[1]: no bad host"},
		{"l", "{labels: {a: abc}}", ""},
		{"l", "{labels: {a: abcd}}", "spec.labels.a: too long"},
		{"l", "{long: y}", "spec.long: too dear"},
		{"l", "{long: " + strings.Repeat("y", 200_000) + "}", ""},
		// The schema speaks first, as on the server.
		{"a", "{low: high}", "spec.low: must be a whole number"},
	} {
		var object map[string]any
		text := "apiVersion: example.com/v1\nkind: Light\nmetadata: {name: " + c.name + "}\nspec: " + c.spec + "\n"
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprint(object)
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				problems := schemas.Validate(object)
				got := ""
				for _, p := range problems {
					got += p.Path + ": " + p.Message
				}
				if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || len(problems) > 1 {
					t.Errorf("%s %s: got %q, want %q", c.name, c.spec[:min(len(c.spec), 60)], got, c.want)
				}
			})
		}
		wait.Wait()
		if after := fmt.Sprint(object); after != before {
			t.Errorf("the object is changed: %s", after)
		}
	}
}

// TestFlaws: what of a definition cannot be used is said by its path, and the rest
// holds.
func TestFlaws(t *testing.T) {
	t.Parallel()
	const at = ".spec.versions[0].schema.openAPIV3Schema"
	for _, c := range []struct{ name, schema, want string }{
		{"right", "{type: object, properties: {a: {type: string, x-kubernetes-validations: [{rule: self == oldSelf}]}}}", ""},
		{"syntax", "{type: object, properties: {a: {type: string, x-kubernetes-validations: [{rule: self ==}]}}}",
			at + ".properties.a.x-kubernetes-validations[0].rule: the rule cannot be compiled, and is not checked: Syntax error"},
		{"unknown field", "{type: object, properties: {a: {type: object, properties: {b: {type: string}}, x-kubernetes-validations: [{rule: 'true'}, {rule: self.c == ''}]}}}",
			at + ".properties.a.x-kubernetes-validations[1].rule: the rule cannot be compiled, and is not checked: undefined field 'c'"},
		{"no bool", "{type: object, properties: {a: {type: array, items: {type: string, x-kubernetes-validations: [{rule: self}]}}}}",
			at + ".properties.a.items.x-kubernetes-validations[0].rule: the rule cannot be compiled, and is not checked: it gives string, and must give bool"},
		{"message", "{type: object, properties: {a: {type: object, additionalProperties: {type: string, x-kubernetes-validations: [{rule: self != '', messageExpression: self.b}]}}}}",
			at + ".properties.a.additionalProperties.x-kubernetes-validations[0].messageExpression: the message of the rule cannot be compiled, and is not used: "},
		{"no type", "{type: object, properties: {a: {x-kubernetes-validations: [{rule: 'true'}]}}}",
			at + ".properties.a.x-kubernetes-validations: the rules cannot be compiled, and are not checked: the schema has no type"},
		{"pattern", "{type: object, properties: {a: {type: string, pattern: '(?=a)'}}}", at + ".properties.a.pattern: the pattern cannot be read, and is not checked: "},
		{"wrong type", "{type: object, properties: {b: {type: string}, a: {anyOf: [{}, {items: {maxLength: many}}]}}}",
			at + ".properties.a.anyOf[1].items.maxLength: the schema cannot be read, and is not checked: maxLength is of the wrong type"},
		{"no map", "{type: object, properties: {a: text}}", at + ".properties.a: the schema cannot be read, and is not checked: it is no map"},
		{"values", "{type: object, properties: {a: {additionalProperties: {items: {required: a}}}}}",
			at + ".properties.a.additionalProperties.items.required: the schema cannot be read, and is not checked: required is of the wrong type"},
	} {
		schemas := load(t, "")
		flaws, err := schemas.AddCRD(parse(t, "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: lights.example.com}, spec: "+
			"{group: example.com, names: {kind: Light}, versions: [{name: v1, schema: {openAPIV3Schema: "+c.schema+"}}]}}"))
		if err != nil {
			t.Errorf("%s: %s", c.name, err)
		}
		got := ""
		for _, flaw := range flaws {
			got += flaw.String()
		}
		if len(flaws) > 1 || c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || got != "" && !strings.Contains(got, "\n  hint: ") {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if problems := schemas.Validate(parse(t, "{apiVersion: example.com/v1, kind: Light, metadata: {name: a}}")); len(problems) > 0 {
			t.Errorf("%s: a right object: %v", c.name, problems)
		}
	}
}

// TestServed: a version that a definition does not serve is refused, and what is
// served is named.
func TestServed(t *testing.T) {
	t.Parallel()
	schemas := load(t, "")
	for range 2 { // the workspace and a flag may give the same
		if _, err := schemas.AddCRD(parse(t, "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: lights.example.com}, spec: "+
			"{group: example.com, names: {kind: Light}, versions: [{name: v1}, {name: v2, served: true}, {name: v1alpha1, served: false}]}}")); err != nil {
			t.Fatal(err)
		}
	}
	for apiVersion, want := range map[string]string{
		"example.com/v1": "", "example.com/v2": "",
		"example.com/v1alpha1": "the CustomResourceDefinition of Light does not serve example.com/v1alpha1; it serves example.com/v1, example.com/v2",
		"example.com/v3":       "the CustomResourceDefinition of Light does not serve example.com/v3; it serves example.com/v1, example.com/v2",
		"example.org/v1":       "there is no schema of example.org/v1 Light",
	} {
		got := ""
		for _, problem := range schemas.Validate(parse(t, "{apiVersion: "+apiVersion+", kind: Light, metadata: {name: a}}")) {
			got += problem.String()
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" || strings.Count(got, "example.com/v2") > 1 {
			t.Errorf("%s: got %q, want %q", apiVersion, got, want)
		}
		if _, refused := schemas.Refused(apiVersion, "Light"); refused != strings.Contains(want, "does not serve") {
			t.Errorf("%s: refused: %v", apiVersion, refused)
		}
	}
}
