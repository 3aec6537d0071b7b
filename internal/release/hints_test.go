package release

import (
	"encoding/base64"
	"math/rand"
	"strings"
	"testing"

	helm "helm.sh/helm/v3/pkg/release"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

// TestLargeSecretIsNamed says which secret makes a record too large, and of what is
// large without one that it is the chart.
func TestLargeSecretIsNamed(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 1<<20)
	rand.New(rand.NewSource(1)).Read(noise)
	text := base64.StdEncoding.EncodeToString(noise)
	secrets := map[string]any{"secrets": map[string]any{
		"name":    "a-secrets",
		"values":  map[string]any{"small": "x"},
		"friends": map[string]any{"db": map[string]any{"values": map[string]any{"password": text}}},
	}}
	for want, values := range map[string]map[string]any{
		"hint: secrets.friends.db.values.password has 1365 KiB": secrets,
		"hint: move large files out of the chart":               {"files": text, "secrets": map[string]any{"values": map[string]any{"small": "x"}}},
	} {
		_, err := encode(&helm.Release{Name: "a", Config: values})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), text[:20]) {
			t.Errorf("%.300v, and not %s", err, want)
		}
	}
}

// TestKindHint says what an unknown kind wants.
func TestKindHint(t *testing.T) {
	t.Parallel()
	for api, want := range map[string]string{
		"external-secrets.io/v1": "External Secrets has to be installed in the cluster first",
		"example.com/v1":         "install its CustomResourceDefinition first",
	} {
		if hint := kindHint(manifest.Ref{APIVersion: api, Kind: "X"}); !strings.Contains(hint, want) {
			t.Errorf("%s: %s", api, hint)
		}
	}
}
