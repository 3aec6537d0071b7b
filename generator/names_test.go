package generator

import (
	"regexp"
	"strings"
	"testing"
)

func TestShortenNeverCollides(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 70)
	seen := map[string]string{}
	for _, name := range []string{"short", strings.Repeat("b", 63), long, long + "b", long + "c", strings.Repeat("a-", 40)} {
		got := Shorten(name, 63)
		if len(got) > 63 {
			t.Errorf("%q has %d characters", got, len(got))
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q both become %q", name, other, got)
		}
		seen[got] = name
		if len(name) <= 63 && got != name {
			t.Errorf("%q became %q", name, got)
		}
		if strings.HasSuffix(got, "-") {
			t.Errorf("%q ends in a dash", got)
		}
	}
}

// TestPortNames holds port names to RFC 6335: at most 15 characters, lower case,
// a letter, and no dash at either end or beside another.
func TestPortNames(t *testing.T) {
	t.Parallel()
	valid := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]string{}
	for _, route := range []string{"http", "http-metrics", "a-route-with-a-long-name", "a-route-with-a-long-name-too", "8080", "9090", "HTTP", "x--y", "-", "_admin_"} {
		got := shortPortName(route)
		if len(got) > 15 || !valid.MatchString(got) || !regexp.MustCompile(`[a-z]`).MatchString(got) {
			t.Errorf("%q became %q", route, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q both become %q", route, other, got)
		}
		seen[got] = route
	}
	if got := shortPortName("http"); got != "http" {
		t.Errorf("http became %q", got)
	}
}

func TestLiteralExpansion(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"echo hi":     "echo hi",
		"echo $(pwd)": "echo $$(pwd)",
		"kill $$":     "kill $$$",
		"$$(x)":       "$$$$(x)",
		"$$$(x)":      "$$$$$$(x)",
		"${HOME} $":   "${HOME} $",
	} {
		got := literalExpansion(in)
		if got != want {
			t.Errorf("%q became %q, not %q", in, got, want)
		}
		if back := expand(got); back != in {
			t.Errorf("%q: Kubernetes makes %q of %q", in, back, got)
		}
	}
}

// expand does what Kubernetes does to a command: $$ is a dollar, and $(NAME)
// would be a variable's value.
func expand(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '$' && i+1 < len(text) {
			switch text[i+1] {
			case '$':
				b.WriteByte('$')
				i++
				continue
			case '(':
				b.WriteString("EXPANDED")
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
