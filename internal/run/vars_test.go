package run

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

func TestVars(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"dev/one/secret/key": "one", "dev/one/secret/all": "named all", "dev/one/public/key": "public", "dev/one/secret/other": "not asked for",
		"dev/one/secret/tls.key": "dots", "dev/my.app/private/a,b": "quoted", "dev/one/secret/list": []any{"x"},
		"dev/global/secret/key": "global", "dev/global/secret/shared": "global", "dev/global/public/H": "not asked for", "dev/two/secret/key": "two", "dev/two/secret/tOKEN": "of an app",
	}
	host := []string{"TOKEN=host", "X=host"}
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"one":             {[]string{"--var=TOKEN=one.secret.key"}, "TOKEN=one X=host"},
		"as it is called": {[]string{"--var", "token=one.secret.key"}, "TOKEN=host X=host token=one"},
		"a scope":         {[]string{"--var=TOKEN=one.public.key"}, "TOKEN=public X=host"},
		"many":            {[]string{"--var=A=one.secret.key, B=two.secret.key", "--var=C=one.secret.tls.key"}, "A=one B=two C=dots TOKEN=host X=host"},
		"quoted":          {[]string{`--var=A="my.app".private."a,b",B=one.secret."all"`}, "A=quoted B=named all TOKEN=host X=host"},
		"lines":           {[]string{"--var=\nA=one.secret.key\n\n  B=two.secret.key\n"}, "A=one B=two TOKEN=host X=host"},
		"global":          {[]string{"--var=A=one.secret.shared,B=global.secret.key"}, "A=global B=global TOKEN=host X=host"},
		"list":            {[]string{"--var=A=one.secret.list"}, "A=WyJ4Il0= TOKEN=host X=host"},
		"list as it is":   {[]string{"--var=A=one.secret.list", "--json=raw"}, `A=["x"] TOKEN=host X=host`},
		"host wins":       {[]string{"--var=TOKEN=one.secret.key", "--host-wins"}, "TOKEN=host X=host"},
		"pristine":        {[]string{"--var=TOKEN=one.secret.key", "--pristine"}, "TOKEN=one"},
		"over an app":     {[]string{"--var=TOKEN=one.secret.key", "--app=two", "--scope=secret"}, "KEY=two SHARED=global TOKEN=one X=host"},
		"without global":  {[]string{"--var=TOKEN=one.secret.key", "--no-global"}, "TOKEN=one X=host"},
	} {
		env, err := built(t, values, host, c.flags...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(env.Environ(), " "); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestVarsThatAreNowhere(t *testing.T) {
	t.Parallel()
	values := map[string]any{"dev/one/secret/key": "example", "dev/global/public/other": "example", "dev/one/secret/zero": "example\x00"}
	_, err := built(t, values, nil, "--var=A=one.secret.key,B=one.secret.other,C=two.public.key,D=global.secret.key,E=one.secret.zero")
	const want = `B: there is neither dev/one/secret/other nor dev/global/secret/other
C: there is neither dev/two/public/key nor dev/global/public/key
D: there is no dev/global/secret/key
dev/one/secret/zero: a variable cannot hold a zero byte
  hint: keep it in base64, or give it by a file`
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v", err)
	}
	if _, err = built(t, values, nil, "--var=A=one.public.other", "--no-global"); err == nil || err.Error() != "A: there is no dev/one/public/other" {
		t.Errorf("the error is %v", err)
	}
}

func TestMistakesInVars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"TOKEN":                            "--var: variable 1 is not NAME=APP.SCOPE.KEY",
		"A=one.secret.key,example-canary":  "--var: variable 2 is not NAME=APP.SCOPE.KEY",
		"TOKEN=example-canary":             "--var: TOKEN: the place is not that of one key\n  hint: write APP.SCOPE.KEY",
		"TOKEN=one.example-canary.key":     "--var: TOKEN: the second part of the place is no scope",
		"TOKEN=one.secret":                 "--var: TOKEN: the place is not that of one key",
		"TOKEN=one.secret.all":             "--var: TOKEN: the place is not that of one key",
		"TOKEN=all.secret.key":             "--var: TOKEN: the place is not that of one key",
		`TOKEN="one.secret.key`:            "--var: TOKEN: part 1 of the place has no closing quote",
		"=one.secret.key":                  "--var: variable 1 is not NAME=APP.SCOPE.KEY",
		"A B=one.secret.key":               "--var: variable 1 is not NAME=APP.SCOPE.KEY",
		"A=one.secret.a,A=one.secret.b":    "--var: A: there are two variables of this name",
		"A=a/b.secret.key":                 `--var: A: "a/b" is no app`,
		"A=one.secret.key,,B,C=one.secret": "--var: variable 2 is not NAME=APP.SCOPE.KEY\n--var: C: the place",
	} {
		_, err := Parse([]string{"kai-run", "--deployment=dev", "--var", text, "cmd"}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error is %v", text, err)
		}
	}
	if _, err := Parse([]string{"kai-run", "--deployment=dev", "--no-global", "cmd"}, []string{"KAI_VARS=A=global.secret.key"}); err == nil || err.Error() != "KAI_VARS: A is of the app global, which is not to be read" {
		t.Errorf("the error is %v", err)
	}
}

// TestVarsReadEachPathOnce: what is not asked for is not read, and global only
// where an app lacks a key.
func TestVarsReadEachPathOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		flags []string
		want  string
	}{
		"one app":      {[]string{"--var=A=one.secret.key,B=one.secret.more"}, "dev/one/secret"},
		"two apps":     {[]string{"--var=A=one.secret.key,B=two.public.key"}, "dev/one/secret dev/two/public"},
		"global":       {[]string{"--var=A=one.secret.shared,B=two.secret.shared,C=two.public.shared"}, "dev/one/secret dev/two/secret dev/two/public dev/global/secret dev/global/public"},
		"global again": {[]string{"--var=A=global.secret.shared,B=one.secret.shared"}, "dev/global/secret dev/one/secret"},
		"with an app":  {[]string{"--var=A=one.secret.shared,B=one.public.key", "--app=one", "--scope=secret"}, "dev/global/secret dev/one/secret dev/one/public"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse(append(append([]string{"kai-run", "--deployment=dev"}, test.flags...), "cmd"), nil)
			if err != nil {
				t.Fatal(err)
			}
			m := stored(t, map[string]any{
				"dev/one/secret/key": "x", "dev/one/secret/more": "x", "dev/two/public/key": "x", "dev/one/public/key": "x",
				"dev/global/secret/shared": "x", "dev/global/public/shared": "x",
			})
			m.asked = nil
			from := &origin{config: c, store: m}
			docs, err := from.read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Build(c, docs); err != nil {
				t.Error(err)
			}
			if got := strings.Join(m.asked, " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			for _, path := range m.asked {
				if !slices.ContainsFunc(c.Paths(), func(p secrets.Path) bool { return p.String() == path }) {
					t.Errorf("a copy for --offline-ok would lack %s", path)
				}
			}
		})
	}
}

// TestExpansion: what Kubernetes has left for want of a variable is expanded as it
// would have been.
func TestExpansion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":                              "plain",
		"$(TOKEN)":                           "t$(OTHER)$x",
		"redis://:$(TOKEN)@$(HOST)/$(OTHER)": "redis://:t$(OTHER)$x@$(HOST)/o",
		"$(OTHER)$(OTHER)":                   "oo",
		"$$(OTHER)":                          "$(OTHER)",
		"$$$(OTHER)":                         "$o",
		"$$$$(OTHER)":                        "$$(OTHER)",
		"$$(HOST) $$5 $ $$":                  "$$(HOST) $$5 $ $$",
		"$(HOST$(OTHER)":                     "$(HOSTo",
		"$(HOST$$(OTHER)":                    "$(HOST$(OTHER)",
		"$(curl -H $(OTHER))":                "$(curl -H o)",
		"$(curl $(HOST) $(OTHER)":            "$(curl $(HOST) o",
		"$$(HOST$(OTHER)":                    "$$(HOSTo",
		"$(OTHER":                            "$(OTHER",
		"$() ${OTHER} $OTHER (OTHER)":        "$() ${OTHER} $OTHER (OTHER)",
		"$(other)":                           "$(other)",
		"$(WON)":                             "$(WON)",
		"$(KEY)":                             "$(KEY)",
	} {
		env, err := built(t, map[string]any{"dev/a/secret/token": "t$(OTHER)$x", "dev/a/secret/other": "o", "dev/b/secret/key": "k"}, []string{"TEXT=" + text, "WON=$(OTHER)"},
			"--host-wins", "--app=b", "--var=TOKEN=a.secret.token,OTHER=a.secret.other,WON=a.secret.token")
		if err != nil {
			t.Fatal(err)
		}
		if got := env.Environ(); !slices.Contains(got, "TEXT="+want) || !slices.Contains(got, "WON=o") || !slices.Contains(got, "KEY=k") || !slices.Contains(got, "TOKEN=t$(OTHER)$x") {
			t.Errorf("%s: got %q", text, got)
		}
		if got := env.argv([]string{text, "x"}); !slices.Equal(got, []string{want, "x"}) {
			t.Errorf("%s: got %q", text, got)
		}
	}
}

func TestExplainVars(t *testing.T) {
	t.Parallel()
	env, err := built(t, map[string]any{"dev/a/secret/token": "example", "dev/global/secret/other": "example"}, []string{"TOKEN=host", "URL=x$(TOKEN)"}, "--var=TOKEN=a.secret.token,OTHER=a.secret.other")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := env.Explain(&b); err != nil {
		t.Fatal(err)
	}
	if want := "OTHER  dev/global/secret/other\nTOKEN  dev/a/secret/token  over host\nURL    host\n"; b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	if text := fmt.Sprintf("%v %+v %#v", env, env, env); strings.Contains(text, "example") {
		t.Error("a value can be printed")
	}
}
