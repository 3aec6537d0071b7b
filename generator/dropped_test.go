package generator

import (
	"slices"
	"testing"

	"github.com/helm-kai/helm-kai/internal/descriptor"
)

// TestPatchedKinds: which kinds templates take patches for, and when these are all.
func TestPatchedKinds(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		text  string
		kinds []string
		all   bool
	}{
		{`{{ include "kai.patched" (dict "root" . "kind" "job" "object" "") }}`, []string{"job"}, true},
		{`{{ list (include "kai.patched" (dict "kind" "b")) (include "kai.patched" (dict "kind" "a")) }}`, []string{"a", "b"}, true},
		{`{{ include "kai.patched" (dict "root" . "kind" $kind) }}`, nil, false},
		{`{{ .Values.patches.limits }}`, nil, false},
		{`{{ index .Values "patches" }}`, nil, false},
	} {
		flavor := &descriptor.Flavor{Files: []descriptor.FlavorFileData{{Path: "templates/a.yaml", Data: []byte(one.text)}}}
		if kinds, all := patchedKinds(nil, flavor); !slices.Equal(kinds, one.kinds) || all != one.all {
			t.Errorf("%s: %v, %v", one.text, kinds, all)
		}
	}
}
