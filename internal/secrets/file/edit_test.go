package file

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
)

// edited gives a text after some edits of one scope: KEY=value sets a text, -KEY
// removes, and KEY:=value sets a value of JSON.
func edited(t *testing.T, text, app, scope string, edits ...string) string {
	t.Helper()
	c, findings := parse("x.yaml", []byte(text))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	todo := change{app: app, scope: scope}
	for _, e := range edits {
		if name, ok := strings.CutPrefix(e, "-"); ok {
			todo.remove = append(todo.remove, name)
			continue
		}
		name, value, _ := strings.Cut(e, "=")
		v := source.NewString(source.Origin{}, value)
		if json, ok := strings.CutSuffix(name, ":"); ok {
			name = json
			if v, findings = source.ParseYAML("x", []byte(value)); len(findings) > 0 {
				t.Fatal(findings)
			}
		}
		todo.set = append(todo.set, source.Field{Key: name, Value: v})
	}
	out, after := rewrite("x.yaml", []byte(text), c, []change{todo}, nil)
	if after == nil {
		return "cannot"
	}
	return string(out)
}

func TestEdit(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: kai/v1\napps:\n"
	const block = `# of the shop
apiVersion: kai/v1   # the format

apps:
    # the carts
    carts:
        secret:     # kept apart
            # the database
            DB:   "example-old"   # since 2024
            MAIL: 'it''s'

            KEY: |   # a certificate
              -----BEGIN-----
                x
              -----END-----

            # the last one
            LAST: example last
        public: {URL: "http://example.com", PORT: 80}
    # everyone's
    global:
        private:
            LICENSE: >-
              example
              license
# the end
`
	for _, tt := range []struct {
		name, text, app, scope string
		edits                  []string
		from, to               string // what is replaced in text
	}{
		{"set", block, "carts", "secret", []string{"DB=example-new"}, `DB:   "example-old"   # since`, `DB:   example-new   # since`},
		{"set a plain text", block, "carts", "secret", []string{"LAST=example-new"}, "LAST: example last", "LAST: example-new"},
		{"set lines behind a comment", block, "carts", "secret", []string{"DB=a\nb\n"}, `DB:   "example-old"   # since`, `DB:   "a\nb\n"   # since`},
		{"set lines", block, "carts", "secret", []string{"LAST=a\n  b\n\nc"}, "LAST: example last", "LAST: |-\n              a\n                b\n\n              c"},
		{"set what was lines", block, "carts", "secret", []string{"KEY=x"}, "KEY: |   # a certificate\n              -----BEGIN-----\n                x\n              -----END-----\n", "KEY: x\n"},
		{"set lines for lines", block, "carts", "secret", []string{"KEY=a\nb\n"}, "KEY: |   # a certificate\n              -----BEGIN-----\n                x\n              -----END-----\n", "KEY: |\n              a\n              b\n"},
		{"set what was folded", block, "global", "private", []string{"LICENSE=x"}, "LICENSE: >-\n              example\n              license\n", "LICENSE: x\n"},
		{"set a map", block, "carts", "secret", []string{"LAST:={b: [1, x], a: {}}"}, "LAST: example last", "LAST:\n              b:\n                - 1\n                - x\n              a: {}"},
		{"set a map behind a comment", block, "carts", "secret", []string{"DB:={b: [1, x]}"}, `DB:   "example-old"   # since`, `DB:   {b: [1, "x"]}   # since`},
		{"set in a flow", block, "carts", "public", []string{"URL=a, b: {c}"}, `{URL: "http://example.com", PORT: 80}`, `{URL: "a, b: {c}", PORT: 80}`},
		{"set the last in a flow", block, "carts", "public", []string{"PORT:=90"}, `PORT: 80}`, `PORT: 90}`},
		{"add", block, "carts", "secret", []string{"NEW=example", "SWITCH=on"}, "LAST: example last\n", "LAST: example last\n            NEW: example\n            SWITCH: \"on\"\n"},
		{"add behind folded text", block, "global", "private", []string{"NEW=example"}, "              license\n", "              license\n            NEW: example\n"},
		{"add in a flow", block, "carts", "public", []string{"NEW=x", "a,b=y"}, `PORT: 80}`, `PORT: 80, NEW: "x", "a,b": "y"}`},
		{"add a scope", block, "carts", "private", []string{"NEW=x"}, "PORT: 80}\n", "PORT: 80}\n        private:\n          NEW: x\n"},
		{"add an app", block, "orders", "secret", []string{"NEW=x", "B=v"}, "              license\n", "              license\n    orders:\n      secret:\n        NEW: x\n        B: v\n"},
		{"remove", block, "carts", "secret", []string{"-DB"}, "            DB:   \"example-old\"   # since 2024\n", ""},
		{"remove lines", block, "carts", "secret", []string{"-KEY"}, "            KEY: |   # a certificate\n              -----BEGIN-----\n                x\n              -----END-----\n", ""},
		{"remove the last", block, "carts", "secret", []string{"-LAST"}, "            LAST: example last\n", ""},
		{"remove and add", block, "carts", "secret", []string{"-LAST", "NEW=x"}, "              -----END-----\n\n            # the last one\n            LAST: example last\n", "              -----END-----\n            NEW: x\n\n            # the last one\n"},
		{"remove all of a block", block, "global", "private", []string{"-LICENSE"}, "private:\n            LICENSE: >-\n              example\n              license\n", "private: {}\n"},
		{"replace all of a block", block, "global", "private", []string{"-LICENSE", "NEW=x"}, "LICENSE: >-\n              example\n              license\n", "NEW: x\n"},
		{"remove the first of a flow", block, "carts", "public", []string{"-URL"}, `{URL: "http://example.com", PORT: 80}`, `{PORT: 80}`},
		{"remove the last of a flow", block, "carts", "public", []string{"-PORT"}, `{URL: "http://example.com", PORT: 80}`, `{URL: "http://example.com"}`},
		{"remove all of a flow", block, "carts", "public", []string{"-PORT", "-URL"}, `{URL: "http://example.com", PORT: 80}`, `{}`},
		{"replace all of a flow", block, "carts", "public", []string{"-PORT", "-URL", "A=x", "B=v"}, `{URL: "http://example.com", PORT: 80}`, `{A: "x", B: "v"}`},
		{"first app", "apiVersion: kai/v1\napps: {}\n", "carts", "secret", []string{"A=x"}, "apps: {}\n", "apps:\n  carts:\n    secret:\n      A: x\n"},
		{"first app without a line's end", "apiVersion: kai/v1\napps: {}", "carts", "secret", []string{"A=x"}, "apps: {}", "apps:\n  carts:\n    secret:\n      A: x"},
		{"first app beside a comment", "apiVersion: kai/v1\napps: {} # none\n", "carts", "secret", []string{"A=x"}, "{} #", `{carts: {secret: {A: "x"}}} #`},
		{"first key", head + "  carts:\n    secret: {}\n    public: {}\n", "carts", "secret", []string{"A=x"}, "secret: {}\n", "secret:\n      A: x\n"},
		{"no line's end", head + "  carts:\n    secret:\n      A: x", "carts", "secret", []string{"A=v", "B=z"}, "A: x", "A: v\n      B: z"},
		{"remove without a line's end", head + "  carts:\n    secret:\n      B: y\n      A: x", "carts", "secret", []string{"-A"}, "      A: x", ""},
		{"all in a flow", "{apiVersion: kai/v1, apps: {carts: {secret: {A: x}}}}", "carts", "secret", []string{"A=v", "B=z"}, "A: x", `A: "v", B: "z"`},
		{"new app in a flow", "{apiVersion: kai/v1, apps: {carts: {secret: {A: x}}}}", "orders", "secret", []string{"A=v"}, "A: x}}", `A: x}}, orders: {secret: {A: "v"}}`},
		{"flow of lines", head + "  carts:\n    secret: {\n      A: x, # a\n      B: y, # b\n      C: z  # c\n    }\n", "carts", "secret", []string{"-B", "D=d"}, "B: y, # b\n      C: z  # c", " # b\n      C: z, D: \"d\"  # c"},
		{"end of a flow of lines", head + "  carts:\n    secret: {\n      A: x, # a\n      C: z  # c\n    }\n", "carts", "secret", []string{"-C"}, "A: x, # a\n      C: z  # c", "A: x # a\n        # c"},
		{"json", `{"apiVersion":"kai/v1","apps":{"carts":{"secret":{"A":"x","B":[1,{"c":2}]}}}}`, "carts", "secret", []string{"B=v"}, `[1,{"c":2}]`, ` "v"`},
		{"crlf", "apiVersion: kai/v1\r\napps:\r\n  carts:\r\n    secret:\r\n      A: x\r\n", "carts", "secret", []string{"B=a\nb", "C=z"}, "A: x\r\n", "A: x\r\n      B: |-\r\n        a\r\n        b\r\n      C: z\r\n"},
		{"BOM", "\xef\xbb\xbfapiVersion: kai/v1\napps: {carts: {secret: {A: x}}}\n", "carts", "secret", []string{"A=v"}, "A: x", `A: "v"`},
		{"many lines of plain text", head + "  carts:\n    secret:\n      A: some words\n        go on,  it's\n\n        here # c\n      B: y\n", "carts", "secret", []string{"A=z"}, "some words\n        go on,  it's\n\n        here", "z"},
		{"quoted lines", head + "  carts:\n    secret:\n      A: \"some \\\"words\n        go\\\\\" # c\n      B: y\n", "carts", "secret", []string{"A=z"}, "\"some \\\"words\n        go\\\\\"", "z"},
		{"lists", head + "  carts:\n    secret:\n      A:\n      - x\n      - y: 1\n        z: [a, 'b'' ]', {c: d, }]\n      B: y\n", "carts", "secret", []string{"A=z"}, "A:\n      - x\n      - y: 1\n        z: [a, 'b'' ]', {c: d, }]\n", "A: z\n"},
		{"remove a map", head + "  carts:\n    secret:\n      A:\n        b:\n          c: |+\n            x\n\n      B: y\n", "carts", "secret", []string{"-A"}, "      A:\n        b:\n          c: |+\n            x\n\n", ""},
		{"behind lines that are kept", head + "  carts:\n    secret:\n      A: |+\n        x\n\n\n    public: {}\n", "carts", "secret", []string{"B=v"}, "x\n\n\n", "x\n\n\n      B: v\n"},
		{"indented comment behind", head + "  carts:\n    secret:\n      A: x\n        # of A\n      B: y\n", "carts", "secret", []string{"A=a\nb"}, "A: x\n", `A: "a\nb"` + "\n"},
		{"indicated block", head + "  carts:\n    secret:\n      A: |2-\n          x\n        y\n      B: y\n", "carts", "secret", []string{"A=z"}, "A: |2-\n          x\n        y\n", "A: z\n"},
		{"empty block", head + "  carts:\n    secret:\n      A: |\n      B: y\n", "carts", "secret", []string{"A=z"}, "A: |\n", "A: z\n"},
		{"many ends", head + "  carts:\n    secret:\n      A: x\n\n    public: {}\n", "carts", "secret", []string{"A=v\n\n\n"}, "A: x\n", `A: "v\n\n\n"` + "\n"},
		{"unicode", head + "  carts:\n    secret:\n      \"ключ ☃\": 'ä' # 🔑\n      B: y\n", "carts", "secret", []string{"ключ ☃=ö", "B=\u0085\ufeff🔑"}, "'ä' # 🔑\n      B: y", "\"ö\" # 🔑\n      B: \"\\u0085\\ufeff🔑\""},
		{"tag", head + "  carts:\n    secret:\n      A: !!str 12 # c\n      B: y\n", "carts", "secret", []string{"A=z"}, "!!str 12", "z"},
		{"anchor that nobody uses", head + "  carts:\n    secret:\n      A: &a x\n      B: y\n", "carts", "secret", []string{"A=z"}, "&a x", "z"},
		{"end of the document", "---\n" + head + "  carts:\n    secret:\n      A: x\n...\n", "carts", "secret", []string{"B=v"}, "A: x\n", "A: x\n      B: v\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(tt.text, tt.from) != 1 {
				t.Fatalf("the text has %q %d times", tt.from, strings.Count(tt.text, tt.from))
			}
			want := strings.Replace(tt.text, tt.from, tt.to, 1)
			if got := edited(t, tt.text, tt.app, tt.scope, tt.edits...); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestEditRefuses has what cannot be edited without a loss.
func TestEditRefuses(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: kai/v1\napps:\n"
	for name, tt := range map[string]struct {
		text  string
		edits []string
	}{
		"an anchor that is used":   {head + "  carts:\n    secret:\n      A: &a x\n      B: *a\n", []string{"A=v"}},
		"a scope that is an alias": {head + "  a: {secret: &s {A: x}}\n  carts:\n    secret: *s\n", []string{"A=v"}},
		"what is merged":           {head + "  a: {secret: &s {A: x}}\n  carts:\n    secret:\n      <<: *s\n      B: y\n", []string{"-A"}},
		"an app that is merged":    {"apiVersion: kai/v1\napps:\n  x: &x {secret: {A: x, B: y}}\n  carts: {<<: *x}\n", []string{"A=v"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := edited(t, tt.text, "carts", "secret", tt.edits...); got != "cannot" {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func TestEditRecipients(t *testing.T) {
	t.Parallel()
	var to []string
	for range 3 {
		_, r := identity(t)
		to = append(to, r)
	}
	a, b, c := to[0], to[1], to[2]
	for _, tt := range []struct {
		name, text string
		recipients []string
		want       string
	}{
		{"first", "apiVersion: kai/v1 # x\n# y\napps: {}\n", []string{a}, "apiVersion: kai/v1 # x\nrecipients:\n  - A\n# y\napps: {}\n"},
		{"second", "apiVersion: kai/v1\nrecipients:\n# ops\n- A # alice\n# end\napps: {}\n", []string{a, b}, "apiVersion: kai/v1\nrecipients:\n# ops\n- A # alice\n- B\n# end\napps: {}\n"},
		{"swap", "apiVersion: kai/v1\nrecipients:\n  - A # alice\n  - B # bob\napps: {}\n", []string{b, c}, "apiVersion: kai/v1\nrecipients:\n  - B # bob\n  - C\napps: {}\n"},
		{"flow", "apiVersion: kai/v1\nrecipients: [A, B] # both\napps: {}\n", []string{b, c}, "apiVersion: kai/v1\nrecipients: [\"B\", \"C\"] # both\napps: {}\n"},
		{"empty", "apiVersion: kai/v1\nrecipients: []\napps: {}\n", []string{a}, "apiVersion: kai/v1\nrecipients:\n  - A\napps: {}\n"},
		{"root in a flow", "{apiVersion: kai/v1, apps: {}}\n", []string{a}, "{apiVersion: kai/v1, recipients: [\"A\"], apps: {}}\n"},
		{"all others", "apiVersion: kai/v1\nrecipients:\n  - A\napps: {}\n", []string{b}, "cannot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			names := strings.NewReplacer("- A", "- "+a, "- B", "- "+b, "- C", "- "+c, "[A, B]", "["+a+", "+b+"]", `"A"`, `"`+a+`"`, `"B"`, `"`+b+`"`, `"C"`, `"`+c+`"`)
			text := names.Replace(tt.text)
			content, findings := parse("x.yaml", []byte(text))
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			out, after := rewrite("x.yaml", []byte(text), content, nil, tt.recipients)
			if after == nil {
				out = []byte("cannot")
			}
			if want := names.Replace(tt.want); string(out) != want {
				t.Errorf("got\n%s\nwant\n%s", out, want)
			}
		})
	}
}

// kept fails where a line of an entry that was not edited has changed, or a
// comment between the lines is gone.
func kept(t *testing.T, old, now []byte, ch change) {
	t.Helper()
	before, _ := parse("x", old)
	after, _ := parse("x", now)
	lines := func(text []byte) []string { return strings.Split(string(text), "\n") }
	oldLines, newLines := lines(old), lines(now)
	touched := map[int]bool{}
	edited := map[string]bool{}
	for _, name := range ch.remove {
		edited[name] = true
	}
	for _, f := range ch.set {
		edited[f.Key] = true
	}
	isEdited := func(e secrets.Entry) bool { return e.App == ch.app && e.Scope == ch.scope && edited[e.Name] }
	for _, e := range before.entries {
		if isEdited(e) {
			touched[e.Value.Origin.Line] = true
		}
	}
	where := map[place]int{}
	for _, e := range after.entries {
		where[place{e.App, e.Scope, e.Name}] = e.Value.Origin.Line
	}
	for _, e := range before.entries {
		n := e.Value.Origin.Line
		if isEdited(e) || touched[n] || n > len(oldLines) || strings.ContainsAny(string(old), "\r\u0085\u2028\u2029") {
			continue
		}
		m := where[place{e.App, e.Scope, e.Name}]
		if m > len(newLines) || oldLines[n-1] != newLines[m-1] && !strings.Contains(oldLines[n-1], "{") {
			t.Fatalf("the line of %s.%s.%s changed in\n%s\ninto\n%s", e.App, e.Scope, e.Name, old, now)
		}
	}
}

// TestEditAtRandom edits files of many forms again and again.
func TestEditAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range int64(15) {
		r := rand.New(rand.NewSource(seed))
		text := []byte(randomFile(r))
		for range 30 {
			c, findings := parse("x", text)
			if len(findings) > 0 {
				t.Fatalf("%v in\n%s", findings, text)
			}
			ch := change{app: pick(r, "carts", "orders", "global", "new-"+pick(r, "a", "b", "c")), scope: pick(r, secrets.Scopes()...)}
			have := map[string]bool{}
			for _, e := range c.entries {
				if e.App == ch.app && e.Scope == ch.scope {
					have[e.Name] = true
				}
			}
			for _, name := range []string{"A", "B", "C", "with.dot", "with space", "{odd}", "yes", "12"} {
				switch {
				case r.Intn(3) == 0:
					v, err := secrets.YAMLOf(secrets.New(randomText(r)))
					if err != nil {
						t.Fatal(err)
					}
					if r.Intn(4) == 0 {
						v, _ = source.ParseYAML("x", []byte(`{b: [1, "x\ny\n", {}], a: "", "c,d": {e: null}}`))
					}
					ch.set = append(ch.set, source.Field{Key: name, Value: v})
				case have[name] && r.Intn(3) == 0:
					ch.remove = append(ch.remove, name)
				}
			}
			if len(ch.set)+len(ch.remove) == 0 {
				continue
			}
			out, after := rewrite("x", text, c, []change{ch}, nil)
			if after == nil {
				t.Fatalf("seed %d: %s cannot be done in\n%s", seed, show(ch), text)
			}
			kept(t, text, out, ch)
			if n := bytes.Count(text, []byte("# kept")); bytes.Count(out, []byte("# kept")) != n {
				t.Fatalf("seed %d: a comment is gone: %s in\n%s\ngives\n%s", seed, show(ch), text, out)
			}
			text = out
		}
	}
}

func show(ch change) string {
	text := fmt.Sprintf("%s.%s: remove %q, set", ch.app, ch.scope, ch.remove)
	for _, f := range ch.set {
		text += fmt.Sprintf(" %q: %q", f.Key, source.AppendYAML(nil, f.Value, nil))
	}
	return text
}

func pick(r *rand.Rand, of ...string) string { return of[r.Intn(len(of))] }

func randomText(r *rand.Rand) string {
	return pick(r, "", "x", "example text", "on", "12", "a\nb", "a\nb\n", "a\n\n", "\n", " x ", "it's", `"q"`, "# no", "a: b", "- a", "{a", "\tx\ty", "age:x", "ключ ☃", "a\r\nb", "\x01", strings.Repeat("long ", 50), "a\n  b\n c\n", "\n a\n", "- a\n- b\n")
}

// randomFile gives a file in one of many styles. Comments that must stay say so.
func randomFile(r *rand.Rand) string {
	var b strings.Builder
	step := 1 + r.Intn(4)
	note := func(indent int) {
		if r.Intn(3) == 0 {
			b.WriteString(strings.Repeat(" ", indent) + "# kept\n")
		}
		if r.Intn(4) == 0 {
			b.WriteString("\n")
		}
	}
	note(0)
	b.WriteString("apiVersion: kai/v1\n")
	note(0)
	b.WriteString("apps:\n")
	for _, app := range []string{"carts", "orders", "global"} {
		note(step)
		fmt.Fprintf(&b, "%*s%s:\n", step, "", app)
		for _, scope := range secrets.Scopes() {
			note(2 * step)
			switch r.Intn(4) {
			case 0:
				fmt.Fprintf(&b, "%*s%s: {}\n", 2*step, "", scope)
			case 1:
				fmt.Fprintf(&b, "%*s%s: {A: x, \"B\" : [1, 'y'],C: \"z\"%s} # kept\n", 2*step, "", scope, pick(r, "", ",", " , "))
			default:
				fmt.Fprintf(&b, "%*s%s:\n", 2*step, "", scope)
				in := strings.Repeat(" ", 3*step)
				for _, name := range []string{"A", "B", "C", "with.dot"} {
					note(3 * step)
					b.WriteString(in + name + ":" + pick(r,
						" x\n", " 'it''s'\n", " \"a\\\"b\" \n", " |\n"+in+" a\n"+in+"   b\n", " |-\n"+in+"  a\n\n"+in+"  b\n", " |+\n"+in+" a\n\n",
						" >\n"+in+"  a\n"+in+"  b\n", "\n"+in+"- a\n"+in+"- b: 1\n", "\n"+in+" - a\n"+in+" -\n"+in+"   c: d\n", "\n"+in+" a: b\n"+in+" c: {d: e}\n",
						" words and\n"+in+" more words\n", " [a,\n"+in+"  b]\n", " \"a\n"+in+"  b\"\n", " !!str 12\n", " 1.50\n", " true\n", " {a: [b, {c: 'd'}, ], e: }\n"))
				}
			}
		}
	}
	note(0)
	return b.String()
}

// FuzzEdit edits whatever is a file of secrets: the result, if there is one,
// holds what is wanted, and other lines stay.
func FuzzEdit(f *testing.F) {
	for seed := range int64(20) {
		f.Add(randomFile(rand.New(rand.NewSource(seed))), "carts", "A", "x", uint8(seed))
	}
	f.Add("apiVersion: kai/v1\napps: {carts: {secret: {? a : b, c, [d]: e}}}", "carts", "a", "a\nb", uint8(0))
	f.Add("apiVersion: kai/v1\napps:\n  ? carts\n  : secret:\n     A: &a !!str\n     B: *a\n", "carts", "A", "x", uint8(1))
	f.Fuzz(func(t *testing.T, text, app, name, value string, how uint8) {
		c, findings := parse("x", []byte(text))
		if len(findings) > 0 {
			t.Skip()
		}
		ch := change{app: app, scope: secrets.Scopes()[how%3]}
		path := secrets.Path{App: app, Scope: ch.scope}
		if secrets.CheckNames(path, name) != nil {
			t.Skip()
		}
		v, err := secrets.YAMLOf(secrets.New(value))
		if err != nil {
			t.Skip()
		}
		have := false
		for _, e := range c.entries {
			have = have || e.App == app && e.Scope == ch.scope && e.Name == name
		}
		if how&4 != 0 && have {
			ch.remove = []string{name}
		} else {
			ch.set = []source.Field{{Key: name, Value: v}}
		}
		out, after := rewrite("x", []byte(text), c, []change{ch}, nil)
		if after == nil {
			return
		}
		kept(t, []byte(text), out, ch)
	})
}
