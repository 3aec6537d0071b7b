package generator

import (
	"regexp"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/source"
)

// kubernetes expands $(NAME) as Kubernetes does in variables and arguments: what it
// does not know stays.
func kubernetes(text string, known map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch end := strings.IndexByte(text[i:], ')'); {
		case text[i] == '$':
			b.WriteByte('$')
		case text[i] == '(' && end > 0:
			name := text[i+1 : i+end]
			if value, ok := known[name]; ok {
				b.WriteString(value)
			} else {
				b.WriteString("$(" + name + ")")
			}
			i += end
		default:
			b.WriteString(text[i-1 : i+1])
		}
	}
	return b.String()
}

// TestKept holds that text is, after Kubernetes and kai-run, what Kubernetes alone
// would have made of it.
func TestKept(t *testing.T) {
	t.Parallel()
	ours := regexp.MustCompile(`\$+\(A\)`) // as internal/run has it
	kaiRun := func(text string) string {
		return ours.ReplaceAllStringFunc(text, func(found string) string {
			dollars := strings.Count(found, "$")
			if dollars%2 == 0 {
				return strings.Repeat("$", dollars/2) + "(A)"
			}
			return strings.Repeat("$", dollars/2) + "value"
		})
	}
	for text, want := range map[string]string{
		"plain": "plain", "$(A)": "$(A)", "$$(A)": "$$$(A)", "$$$(A)": "$$$$$(A)", "x$(B)$$(B)$$$(A) $5": "x$(B)$$(B)$$$$$(A) $5", "$(A": "$(A", "$$(B$$(A)": "$$(B$$$(A)",
		"$$(curl $(A))": "$$(curl $(A))", "$(curl $(A))": "$(curl $$(A))",
	} {
		if got := kept(source.NewString(source.Origin{}, text), map[string]bool{"A": true}).Text; got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	tried := 0
	var try func(text string, left int)
	try = func(text string, left int) {
		tried++
		manifest := kept(source.NewString(source.Origin{}, text), map[string]bool{"A": true}).Text
		if got, want := kaiRun(kubernetes(manifest, nil)), kubernetes(text, map[string]string{"A": "value"}); got != want {
			t.Fatalf("%s: as %s in the manifest it becomes %s, and not %s", text, manifest, got, want)
		}
		if left > 0 {
			for _, part := range []string{"$", "(A)", "(B)", "x", "("} {
				try(text+part, left-1)
			}
		}
	}
	try("", 6)
	if tried < 19000 {
		t.Errorf("only %d were tried", tried)
	}
}

func TestPlaceText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		place Place
		want  string
		ok    bool
	}{
		{Place{App: "carts", Scope: "secret", Key: "key"}, "carts.secret.key", true},
		{Place{App: "my.app", Scope: "public", Key: "tls.key"}, `"my.app".public.tls.key`, true},
		{Place{App: "all", Scope: "private", Key: "all"}, `"all".private."all"`, true},
		{Place{App: "a,b", Scope: "secret", Key: "a,b"}, `"a,b".secret."a,b"`, true},
		{Place{App: "carts", Scope: "secret", Key: `a"b`}, "", false},
		{Place{App: "carts", Scope: "secret", Key: "a\nb"}, "", false},
		{Place{App: "carts", Scope: "secret", Key: "$(A)"}, "", false},
	} {
		if got, ok := test.place.text(); ok != test.ok || ok && got != test.want {
			t.Errorf("%v: got %s, %v", test.place, got, ok)
		}
	}
}
