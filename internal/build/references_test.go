package build

import (
	"context"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// TestListed holds which programs a reference executes: those of the list, word for
// word.
func TestListed(t *testing.T) {
	t.Parallel()
	executed := func(_ context.Context, argv []string) (secrets.Value, error) {
		return secrets.New(strings.Join(argv, " ")), nil
	}
	for _, test := range []struct {
		list, argv []string
		runs       bool
	}{
		{[]string{"op", "tools/tell"}, []string{"op", "read", "x"}, true},
		{[]string{"op", "tools/tell"}, []string{"tools/tell"}, true},
		{[]string{"op", "tools/tell"}, []string{"tell"}, false},
		{[]string{"op", "tools/tell"}, []string{"./tools/tell"}, false},
		{[]string{"op"}, []string{"/usr/bin/op"}, false},
		{[]string{"op"}, []string{"op read"}, false},
		{[]string{"op"}, []string{"sh", "op"}, false},
		{nil, []string{"op"}, false},
	} {
		v, err := listed(test.list, executed)(t.Context(), test.argv)
		switch {
		case test.runs && (err != nil || v.Reveal() != strings.Join(test.argv, " ")):
			t.Errorf("%v of %v: %v", test.argv, test.list, err)
		case !test.runs && (err == nil || !v.IsZero() || !strings.Contains(err.Error(), "\n  hint: secrets: {exec: ["+test.argv[0]+"]}")):
			t.Errorf("%v of %v: got %v", test.argv, test.list, err)
		}
	}
}
