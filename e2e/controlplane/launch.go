//go:build unix

package controlplane

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// startWithin is how long a start may take on a slow machine that does much else.
const startWithin = 3 * time.Minute

// Launch builds what a cluster needs, if the cache lacks it, and starts one in a folder. The build list is that of the
// checkout.
func Launch(ctx context.Context, cache tools.Cache, checkout, dir string) (*Cluster, error) {
	binaries, err := Build(ctx, cache, filepath.Join(checkout, "e2e", "controlplane", "build"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return Start(ctx, Options{Binaries: binaries, Dir: dir})
}

// ForTest is a cluster of a test's own, which ends with it. A process of it that ends earlier fails the test.
func ForTest(t testing.TB, cache tools.Cache, checkout string) *Cluster {
	t.Helper()
	c, err := Launch(t.Context(), cache, checkout, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}
