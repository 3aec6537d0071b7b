package file

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

func open(text string) (*Provider, source.Findings) {
	return Open(fstest.MapFS{"secrets/dev.yaml": {Data: []byte(text)}}, "secrets/dev.yaml")
}

func TestGet(t *testing.T) {
	t.Parallel()
	p, findings := open(`
apiVersion: kai/v1
apps:
  carts:
    secret:
      text: example-carts-db
      quoted: "0123"
      number: 0x1F
      octal: 0644
      float: 1.50
      big: 123456789012345678901234567890
      bool: True
      "on": on
      empty: ""
      lines: |
        example
        lines
      map: {b: 1, a: [x, true, null, 0644, .5, 1.50, 99999999999999999999, "<&>"]}
      list: []
    public: {}
  global:
    private: {LICENSE: example-license}
`)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	want := map[secrets.Key]string{
		{App: "carts", Scope: "secret", Name: "text"}:      "example-carts-db",
		{App: "carts", Scope: "secret", Name: "quoted"}:    "0123",
		{App: "carts", Scope: "secret", Name: "number"}:    "0x1F",
		{App: "carts", Scope: "secret", Name: "octal"}:     "0644",
		{App: "carts", Scope: "secret", Name: "float"}:     "1.50",
		{App: "carts", Scope: "secret", Name: "big"}:       "123456789012345678901234567890",
		{App: "carts", Scope: "secret", Name: "bool"}:      "true",
		{App: "carts", Scope: "secret", Name: "on"}:        "on",
		{App: "carts", Scope: "secret", Name: "empty"}:     "",
		{App: "carts", Scope: "secret", Name: "lines"}:     "example\nlines\n",
		{App: "carts", Scope: "secret", Name: "map"}:       `{"a":["x",true,null,420,0.5,1.50,99999999999999999999,"<&>"],"b":1}`,
		{App: "carts", Scope: "secret", Name: "list"}:      "[]",
		{App: "global", Scope: "private", Name: "LICENSE"}: "example-license",
	}
	keys := []secrets.Key{{App: "carts", Scope: "private", Name: "text"}, {App: "orders", Scope: "secret", Name: "text"}, {App: "carts", Scope: "secret", Name: "none"}}
	for k := range want {
		keys = append(keys, k)
	}
	got, err := p.Get(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%d keys were found, want %d", len(got), len(want))
	}
	for k, text := range want {
		if v, ok := got[k]; !ok || v.Reveal() != text {
			t.Errorf("%v is %q, want %q", k, v.Reveal(), text)
		}
	}
	// The deployment is the file.
	if got, err := p.Get(t.Context(), []secrets.Key{{Deployment: "dev", App: "carts", Scope: "secret", Name: "text"}}); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	kinds := map[string]secrets.Kind{"text": secrets.Text, "quoted": secrets.Text, "octal": secrets.Text, "float": secrets.Number, "bool": secrets.Bool, "map": secrets.Map, "list": secrets.List}
	for name, kind := range kinds {
		if v := got[secrets.Key{App: "carts", Scope: "secret", Name: name}]; v.Kind() != kind {
			t.Errorf("%s is a %s", name, v.Kind())
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if out := fmt.Sprintf(verb, p); strings.Contains(out, "example-") {
			t.Errorf("%s of a provider is %s", verb, out)
		}
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: kai/v1\napps:\n"
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", `secrets/dev.yaml:1:1: must be a map, and is null
  hint: write apiVersion: kai/v1 and apps: {APP: {secret: {KEY: value}}}`},
		{"list", "- canary", `secrets/dev.yaml:1:1: must be a map, and is a list
  hint: write apiVersion: kai/v1 and apps: {APP: {secret: {KEY: value}}}`},
		{"version", "apiVersion: canary\napps: {}", `secrets/dev.yaml:1:13: apiVersion: is not a version of this format that kai knows
  hint: write apiVersion: kai/v1`},
		{"no version, unknown key", "app: {}", `secrets/dev.yaml:1:1: app: the key is not known here
  hint: did you mean "apps"? (apiVersion, apps, recipients)
secrets/dev.yaml:1:1: apiVersion: is missing
  hint: write apiVersion: …
secrets/dev.yaml:1:1: apps: is missing
  hint: write apps: …`},
		{"apps", "apiVersion: kai/v1\napps: canary", `secrets/dev.yaml:2:7: apps: must be a map, and is text
  hint: write apps: {APP: {secret: {KEY: value}}}, or apps: {} for none`},
		{"app", head + "  carts: canary", `secrets/dev.yaml:3:10: apps.carts: must be a map, and is text
  hint: write SCOPE: {KEY: value}; the scopes are public, private, secret`},
		{"scope", head + "  carts:\n    secrets: {a: canary}\n    KEY: canary\n    public: canary", `secrets/dev.yaml:4:5: apps.carts.secrets: there is no such scope
  hint: did you mean "secret"? (public, private, secret)
secrets/dev.yaml:5:5: apps.carts.KEY: there is no such scope
  hint: known: public, private, secret
secrets/dev.yaml:6:13: apps.carts.public: must be a map, and is text
  hint: write KEY: value, or {} for none`},
		{"null", head + "  carts: {secret: {a: , b: ~, '': canary}}", `secrets/dev.yaml:3:23: apps.carts.secret.a: has no value
  hint: write "" for an empty text, or remove the key
secrets/dev.yaml:3:28: apps.carts.secret.b: has no value
  hint: write "" for an empty text, or remove the key
secrets/dev.yaml:3:31: apps.carts.secret.: a key has no name
  hint: give it a name`},
		{"tag", head + "  carts: {secret: {a: !canary x}}", `secrets/dev.yaml:3:23: this is not the YAML of a value
  hint: put a value that begins with one of ! & * into quotes`},
		{"alias", head + "  carts: {secret: {a: *canary }}", `secrets/dev.yaml:3:23: this is not the YAML of a value
  hint: put a value that begins with one of ! & * into quotes`},
		{"twice", head + "  carts:\n    secret:\n      a:\n        canary: 1\n        canary: 2", `secrets/dev.yaml:7:9: a key stands here twice; first in line 6
  hint: keep one of the two`},
		{"syntax", head + "  carts: {secret: {a: canary", `secrets/dev.yaml:3:19: the { is not closed, or a comma is missing between its entries
  hint: write {A: 1, B: 2}`},
		{"two documents", head + "  a: {}\n---\ncanary", `secrets/dev.yaml:4:1: the file holds more than one document
  hint: one file, one document: remove the line ---`},
		{"deep", head + "  carts: {secret: {a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}}", `secrets/dev.yaml:3:120: values are nested deeper than the bound of 100
  hint: is it the right file? kai reads descriptions, not data`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, findings := open(tt.text)
			if p != nil {
				t.Error("there is a provider")
			}
			if got := findings.Error(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestOpenOfAFileThatIsNot(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{"big.yaml": {Data: make([]byte, source.MaxFile+1)}, "dir": {Mode: fs.ModeDir}}
	for name, want := range map[string]string{
		"none.yaml": "none.yaml: there is no such file\n  hint: is the name right?",
		"dir":       "dir: is a folder\n  hint: name a file with text in it",
		"big.yaml":  "big.yaml: the file is larger than the bound of 4096 KiB\n  hint: is it the right file? kai reads descriptions, not data",
	} {
		if _, findings := Open(fsys, name); findings.Error() != want {
			t.Errorf("%s: %s", name, findings.Error())
		}
	}
}

// TestExamples reads the files of the example workspaces.
func TestExamples(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../../../testdata")
	files, err := fs.Glob(root, "*/secrets/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		p, findings := Open(root, file)
		if len(findings) > 0 {
			t.Error(findings)
			continue
		}
		for where, v := range p.values {
			if !strings.HasPrefix(v.Reveal(), "example-") {
				t.Errorf("%s: the value of %v does not say that it is an example", file, where)
			}
		}
	}
}

// FuzzNoValueInAMessage puts a text where values stand, in many ways that are
// and are not YAML, and looks for it in what is said about the file.
func FuzzNoValueInAMessage(f *testing.F) {
	for _, s := range []string{"", "canary", "!canary", "!!canary x", "*canary", "&canary", "&canary x: *y", "{canary", "[canary", "canary: canary: x", "\tcanary", `"canary`, `"\canary"`, "'canary", "|canary", "%canary", "@canary", "`canary", "canary\n  canary: 1\n canary", "!<canary>", "{canary: 1, canary: 2}", "? canary", "- canary", "canary #", "--- canary", "{<<: canary}", "<<: [canary]", "\x00canary", "canary\xff", "%TAG ! tag:canary:", "!e!canary"} {
		f.Add(s, "KEY")
	}
	const mark = "Zq7canaryQz9"
	f.Fuzz(func(t *testing.T, value, key string) {
		if strings.Contains(key, "canary") || strings.Count(value, "canary") > 100 {
			t.Skip("keys are named")
		}
		value = strings.ReplaceAll(value, "canary", mark)
		quoted := strings.ReplaceAll(value, "\n", " ")
		for _, text := range []string{
			"apiVersion: kai/v1\napps:\n  carts:\n    secret:\n      " + key + ": " + quoted + "\n",
			"apiVersion: kai/v1\napps:\n  carts:\n    secret:\n      KEY: " + quoted + "\n      KEY: " + quoted + "\n",
			"apiVersion: kai/v1\napps: {carts: {secret: {KEY: " + quoted + "}}}\n",
			"apiVersion: kai/v1\napps:\n  carts:\n    secret:\n      KEY:\n        x: " + quoted + "\n        x: 1\n",
			"apiVersion: kai/v1\napps:\n  carts:\n    secret: " + quoted + "\n    " + key + ": " + quoted,
			"apiVersion: " + quoted + "\napps: " + quoted + "\n",
		} {
			// What reads as more structure has made names out of the value.
			if root, _ := source.ParseYAML("x", []byte(text)); keyed(root, 1, mark) || keyed(root.Get("apps"), 3, mark) {
				continue
			}
			p, findings := open(text)
			if out := findings.Error() + fmt.Sprintf("%v %#v", p, p); strings.Contains(out, mark) {
				t.Errorf("%q gives\n%s", text, out)
			}
		}
	})
}

// keyed says whether a name of an app, a scope or a key holds a text.
func keyed(v *source.Value, levels int, mark string) bool {
	for _, f := range v.FieldsOrNone() {
		if strings.Contains(f.Key, mark) || levels > 1 && keyed(f.Value, levels-1, mark) {
			return true
		}
	}
	return false
}

// FuzzOpen wants no panic, and either a provider or findings.
func FuzzOpen(f *testing.F) {
	f.Add("apiVersion: kai/v1\napps: {carts: {secret: {a: {b: [1, 0x2, .5, 1e400, ~]}}}}")
	f.Fuzz(func(t *testing.T, text string) {
		p, findings := open(text)
		if (p == nil) != (len(findings) > 0) {
			t.Fatalf("%v %v", p, findings)
		}
	})
}
