package secrets_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// show writes docs with the kinds of their values.
func show(docs []secrets.Doc) string {
	var b strings.Builder
	for _, doc := range docs {
		names := make([]string, 0, len(doc.Values))
		for name := range doc.Values {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			v := doc.Values[name]
			fmt.Fprintf(&b, "%s.%s.%s %s %s\n", doc.Path.App, doc.Path.Scope, name, v.Kind(), v.Reveal())
		}
	}
	return b.String()
}

func TestParseImport(t *testing.T) {
	t.Parallel()
	const values = "carts.private.LIST list [1,\"a\",null]\ncarts.secret.DB text example\ncarts.secret.N number 12\nglobal.public.ON bool true\n"
	for _, tt := range []struct{ name, text, shape, want, notes string }{
		{"kai", "apiVersion: kai/v1\napps:\n  carts: {secret: {DB: example, N: 12}, private: {LIST: [1, a, ~]}, public: {}}\n  global: {public: {ON: true}}\n", "kai", values, ""},
		{"older", "carts: {secret: {DB: example, N: 12}, private: {LIST: [1, a, ~]}, public: {}}\nglobal: {public: {ON: true}}\n", "older", values, ""},
		{"oldest", "secrets:\n  carts: {scopes: {secret: {DB: example, N: 12}, private: {LIST: [1, a, ~]}, public: {}}}\n  global: {scopes: {public: {ON: true}}}\n", "oldest", values, ""},
		{"older with versions", "carts:\n  secret: {DB: example, version: 3}\n  public: {version: 0}\n", "older", "carts.secret.DB text example\n", "x.yaml:2:34: warning: carts.secret.version: is left out: the older system counts its writes there\nx.yaml:3:21: warning: carts.public.version: is left out: the older system counts its writes there"},
		{"oldest with versions", "secrets: {carts: {scopes: {secret: {DB: example, version: 3}}}}", "oldest", "carts.secret.DB text example\n", "x.yaml:1:59: warning: secrets.carts.secret.version: is left out: the older system counts its writes there"},
		{"kai with a key version", "apiVersion: kai/v1\napps: {carts: {secret: {version: \"3\"}}}", "kai", "carts.secret.version text 3\n", ""},
		{"an app called secrets", "secrets: {public: {A: x}}\ncarts: {public: {B: y}}\n", "older", "carts.public.B text y\nsecrets.public.A text x\n", ""},
		{"an app called apps", "apps: {public: {A: x}}\n", "older", "apps.public.A text x\n", ""},
		{"apps called as scopes", "secrets: {x: {scopes: {public: {A: x}}}, y: {scopes: {secret: {A: z}}}}", "oldest", "x.public.A text x\ny.secret.A text z\n", ""},
		{"no apps of the oldest", "secrets: {}", "oldest", "", ""},
		{"no apps of kai", "apiVersion: kai/v1\napps: {}", "kai", "", ""},
		{"merged", "x: &x {public: {A: x}}\ny: *x\nz: {<<: *x, secret: {B: y}}", "older", "x.public.A text x\ny.public.A text x\nz.public.A text x\nz.secret.B text y\n", ""},
		{"kinds", "a: {public: {A: \"12\", B: 0012, C: 1.50, D: 0x1f, E: yes, F: \"\", G: {b: 1, a: 2}, H: 2024-01-01, I: |\n  x\n  }}", "", "", "any"},
		{"kinds in block", "a:\n  public:\n    A: \"12\"\n    B: 0012\n    C: 1.50\n    D: 0x1f\n    E: yes\n    F: \"\"\n    G: {b: 1, a: 0x1f}\n    H: 2024-01-01\n    I: |\n      x\n", "older", "a.public.A text 12\na.public.B text 0012\na.public.C number 1.50\na.public.D text 0x1f\na.public.E text yes\na.public.F text \na.public.G map {\"a\":31,\"b\":1}\na.public.H text 2024-01-01\na.public.I text x\n\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			docs, shape, findings := secrets.ParseImport("x.yaml", []byte(tt.text))
			if tt.notes == "any" {
				if len(findings) == 0 || docs != nil {
					t.Errorf("got %v", docs)
				}
				return
			}
			if findings.Err() != nil || shape != tt.shape || show(docs) != tt.want || findings.Error() != tt.notes {
				t.Errorf("shape %s\n%s%s\nwant %s\n%s%s", shape, show(docs), findings.Error(), tt.shape, tt.want, tt.notes)
			}
		})
	}
}

func TestParseImportRefuses(t *testing.T) {
	t.Parallel()
	const hint = "\n  hint: kai imports apiVersion: kai/v1 with apps: {APP: {SCOPE: {KEY: value}}}, and the older APP: {SCOPE: {KEY: value}} and secrets: {APP: {scopes: {SCOPE: {KEY: value}}}}"
	sealed := "age:YWdlLWVuY3J5cHRpb24ub3JnL3YxCg"
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "x.yaml:1:1: the file must be a map of apps, and is null" + hint},
		{"nothing", "{}", "x.yaml:1:1: the file must be a map of apps, and is empty" + hint},
		{"text", "canary", "x.yaml:1:1: the file must be a map of apps, and is text" + hint},
		{"list", "- canary", "x.yaml:1:1: the file must be a map of apps, and is a list" + hint},
		{"no scopes", "carts: {DB: canary}", "x.yaml:1:1: the file has no shape of secrets that kai knows" + hint + "\nx.yaml:1:9: carts.DB: there is no such scope\n  hint: known: public, private, secret"},
		{"scope misspelt", "carts: {secrets: {DB: canary}, public: {A: canary}}", "x.yaml:1:9: carts.secrets: there is no such scope\n  hint: did you mean \"secret\"? (public, private, secret)"},
		{"scope of nothing", "carts: {secret: , public: {A: canary}}", "x.yaml:1:17: carts.secret: must be a map, and is null\n  hint: write KEY: value, or {} for none"},
		{"value of nothing", "carts: {secret: {A: }}", "x.yaml:1:1: the file has no shape of secrets that kai knows" + hint + "\nx.yaml:1:21: carts.secret.A: has no value\n  hint: write \"\" for an empty text, or remove the key"},
		{"mixture of old and older", "secrets: {carts: {scopes: {secret: {A: canary}}}}\norders: {secret: {A: canary}}", "x.yaml:2:1: orders: the file mixes two shapes: this app stands beside secrets: {APP: {scopes: …}}\n  hint: import the two in two files"},
		{"mixture inside", "secrets:\n  carts: {scopes: {secret: {A: canary}}}\n  orders: {secret: {A: canary}}", "x.yaml:3:3: secrets.orders.scopes: is missing\n  hint: write scopes: {secret: {KEY: value}}\nx.yaml:3:12: secrets.orders.secret: the key is not known beside scopes\n  hint: known: scopes"},
		{"mixture with kai", "apiVersion: kai/v1\napps: {}\norders: {secret: {A: canary}}", "x.yaml:3:1: orders: the key is not known here\n  hint: known: apiVersion, apps, recipients"},
		{"two ways", "secrets: {public: {scopes: {secret: {A: canary}}}}", "x.yaml:1:11: secrets.public: this is an app or a scope: the file can be read in two ways\n  hint: write the file in kai's own shape: apiVersion: kai/v1 and apps: {APP: {SCOPE: {KEY: value}}}"},
		{"an object", "apiVersion: v1\nkind: Secret\nstringData: {A: canary}", "x.yaml:1:1: apps: is missing\n  hint: write apps: …\nx.yaml:1:13: apiVersion: is not a version of this format that kai knows\n  hint: write apiVersion: kai/v1\nx.yaml:2:1: kind: the key is not known here\n  hint: known: apiVersion, apps, recipients\nx.yaml:3:1: stringData: the key is not known here\n  hint: known: apiVersion, apps, recipients"},
		{"encrypted", "apiVersion: kai/v1\nrecipients: []\napps: {carts: {secret: {A: " + sealed + "}}}", "x.yaml:2:13: recipients: the file is encrypted, and is not imported\n  hint: make it the context's store (secrets: {provider: file, path: …}), and copy from there: helm kai secrets copy\nx.yaml:3:28: apps.carts.secret.A: the value is encrypted, and is not imported\n  hint: make the file the context's store, and copy from there: helm kai secrets copy"},
		{"no name", "carts: {secret: {\" \": canary}, public: {A: x}}", "x.yaml:1:18: carts.secret. : a key has no name\n  hint: give it a name"},
		{"yaml", "carts: {secret: {A: *canary }}", "x.yaml:1:21: this is not the YAML of a value\n  hint: put a value that begins with one of ! & * into quotes"},
		{"twice", "carts: {secret: {A: x}}\ncarts: {secret: {B: x}}", "x.yaml:2:1: a key stands here twice; first in line 1\n  hint: keep one of the two"},
		{"two documents", "carts: {secret: {A: x}}\n---\norders: {secret: {A: x}}", "x.yaml:2:1: the file holds more than one document\n  hint: one file, one document: remove the line ---"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			docs, _, findings := secrets.ParseImport("x.yaml", []byte(tt.text))
			if docs != nil || findings.Error() != tt.want || strings.Contains(findings.Error(), "canary") {
				t.Errorf("%d docs, got\n%s\nwant\n%s", len(docs), findings.Error(), tt.want)
			}
		})
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	values := map[string]secrets.Value{
		"text": secrets.New("example"), "on": secrets.New("on"), "lines": secrets.New("a\nb\n"), "digits": secrets.New("0012"),
		"n": must(t, 1.5), "b": must(t, true), "m": must(t, map[string]any{"b": []any{1, "x", nil}, "a": "☃"}), "with space": secrets.New(""),
	}
	docs := []secrets.Doc{
		{Path: secrets.Path{Deployment: "dev", App: "orders", Scope: "private"}, Values: map[string]secrets.Value{"A": secrets.New("x")}, Version: "7"},
		{Path: secrets.Path{Deployment: "dev", App: "carts", Scope: "secret"}, Values: values},
		{Path: secrets.Path{Deployment: "dev", App: "carts", Scope: "public"}},
	}
	out, err := secrets.Export(docs)
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: kai/v1
apps:
  carts:
    secret:
      b: true
      digits: "0012"
      lines: |
        a
        b
      m:
        a: "☃"
        b:
          - 1
          - x
          - null
      "n": 1.5
      "on": "on"
      text: example
      with space: ""
  orders:
    private:
      A: x
`
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	back, shape, findings := secrets.ParseImport("x", out)
	if len(findings) > 0 || shape != secrets.ShapeKai || show(back) != show([]secrets.Doc{docs[1], docs[0]}) {
		t.Errorf("comes back as\n%s%v", show(back), findings)
	}
	if out, err := secrets.Export(nil); err != nil || string(out) != "apiVersion: kai/v1\napps: {}\n" {
		t.Errorf("nothing gives %s, %v", out, err)
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	path := secrets.Path{Deployment: "dev", App: "carts", Scope: "secret"}
	other, scope, app := path, path, path
	other.Deployment, scope.Scope, app.App = "prod", "elsewhere", " "
	ok := map[string]secrets.Value{"A": secrets.New(canary)}
	for want, docs := range map[string][]secrets.Doc{
		"dev/carts/secret and prod/carts/secret cannot stand in one file: it holds one deployment": {{Path: path, Values: ok}, {Path: other, Values: ok}},
		"dev/carts/secret is given twice": {{Path: path, Values: ok}, {Path: path, Values: ok}},
		"dev/carts/elsewhere: A stands in a scope that files have not\n  hint: the scopes are public, private, secret":                        {{Path: scope, Values: ok}},
		"dev/carts/secret: A is not a text in UTF-8, which alone stands in YAML\n  hint: encode it in base64, and decode it where it is used": {{Path: path, Values: map[string]secrets.Value{"A": secrets.New(canary + "\xff")}}},
		"dev/ /secret: A has no name, or its app has none":                                                                                    {{Path: app, Values: ok}},
	} {
		if out, err := secrets.Export(docs); err == nil || out != nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// FuzzParseImport wants no panic and no value in a message, and what was read
// comes back from what is written of it.
func FuzzParseImport(f *testing.F) {
	for _, text := range []string{
		"apiVersion: kai/v1\napps: {carts: {secret: {A: b, C: [1, 0x2, {d: ~}]}}}", "carts: {secret: {A: b, version: 1}}", "secrets: {carts: {scopes: {secret: {A: b}}}}",
		"secrets: {public: {scopes: {secret: {A: b}}}}", "a:\n  public:\n    A: |+\n      x\n\n", "a: {public: {A: !!str 1, \"\\u0001\": \"\\u0000\\ud7ff\"}}", "", "- a", "a: &a {public: {x: 1}}\nb: *a", "apps: {}", "secrets: {}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		docs, shape, findings := secrets.ParseImport("x", text)
		if findings.Err() != nil {
			if docs != nil {
				t.Fatal("docs of a file with mistakes")
			}
			return
		}
		if shape == "" {
			t.Fatal("no shape")
		}
		out, err := secrets.Export(docs)
		if err != nil {
			if !strings.Contains(err.Error(), "bytes") {
				t.Fatal(err)
			}
			return
		}
		back, _, again := secrets.ParseImport("x", out)
		if slices.ContainsFunc(again, func(f source.Finding) bool { return f.Code == "limit" }) {
			return
		}
		if len(again) > 0 || show(back) != show(docs) {
			t.Fatalf("%s\ncomes back as\n%s%v, by\n%s", show(docs), show(back), again, out)
		}
	})
}
