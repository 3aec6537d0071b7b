//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
)

// shared is the cluster of all tests that do not break one. The first that needs it starts it, TestMain ends it.
var shared struct {
	once    sync.Once
	cluster *controlplane.Cluster
	err     error
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kai-cache-")
	if err == nil {
		err = os.Setenv("KAI_CACHE", dir) // what programs remember goes with the tests
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: the shared cluster:", err)
		code = 1
	}
	os.Exit(code)
}

// cluster is the shared cluster. Who uses it keeps to namespaces of their own.
func cluster(t *testing.T) *controlplane.Cluster {
	t.Helper()
	cache, checkout := cache(t), root(t)
	shared.once.Do(func() {
		var dir string
		if dir, shared.err = os.MkdirTemp("", "kai-e2e-"); shared.err != nil {
			return
		}
		begin := time.Now()
		// Not the test's context: the cluster is for those after it too.
		shared.cluster, shared.err = controlplane.Launch(context.Background(), cache, checkout, dir)
		if shared.err == nil {
			cache.Log("the cluster is up after %v", time.Since(begin).Round(time.Millisecond))
		}
	})
	must(t, shared.err)
	return shared.cluster
}

func stopShared() error {
	if shared.cluster == nil {
		return nil
	}
	return errors.Join(shared.cluster.Stop(), os.RemoveAll(shared.cluster.Dir))
}

// newNamespace is a name that no other test has. Whoever needs the namespace creates it; deleteNamespace ends it.
func newNamespace(test string) string {
	name := strings.ToLower(strings.ReplaceAll(test, "_", "-"))
	return fmt.Sprintf("%.50s-%04x", name, rand.N(1<<16))
}

// deleteNamespace deletes what a test has left, without waiting for it.
func deleteNamespace(ctx context.Context, c *controlplane.Cluster, name string) error {
	err := c.Delete(ctx, "/api/v1/namespaces/"+name)
	if status := (*controlplane.StatusError)(nil); errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil
	}
	return err
}
