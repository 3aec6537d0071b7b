//go:build unix

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
)

// TestRoutes moves four services from Ingress to Gateway API and on to Istio, by one word in their context, on an API server
// that has the definitions of both. Pods and Services stay as they are on the way. What every context makes is accepted there.
func TestRoutes(t *testing.T) {
	t.Parallel()
	cluster := controlplane.ForTest(t, cache(t), root(t))
	binaries, err := controlplane.Build(t.Context(), cache(t), filepath.Join(root(t), "e2e", "controlplane", "build"))
	must(t, err)
	config, err := cluster.KubeconfigFor("routes")
	must(t, err)
	home, dir := t.TempDir(), filepath.Join(t.TempDir(), "routes")
	must(t, os.WriteFile(filepath.Join(home, "kubeconfig"), config, 0o600))
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(root(t), "testdata", "routes"))))
	c := command{dir: dir, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "kubeconfig"), "NO_COLOR=1"}}
	kubectl := filepath.Join(binaries, "kubectl")
	for _, path := range routeDefinitions(t, gatewayNewest) {
		c.run(t, kubectl, "apply", "--server-side", "-f", path)
	}
	c.run(t, kubectl, "wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s")
	c.run(t, kubectl, "create", "namespace", "routes")

	for _, context := range []string{"ingress", "gateway", "istio", "moving", "own-gateway", "own-istio"} {
		t.Run("accepted/"+context, func(t *testing.T) {
			kai := c.try(t, kaiBinary(t), "template", "-c", context)
			if kai.code != 0 {
				t.Fatalf("kai template: %s", kai.stderr)
			}
			with := c
			with.stdin = kai.stdout
			got := with.try(t, kubectl, "apply", "--server-side", "--dry-run=server", "-f", "-")
			if got.code != 0 {
				t.Errorf("the API server refuses what %s makes:\n%s", context, got.stderr)
			}
			t.Logf("%s: %d objects are accepted", context, bytes.Count(got.stdout, []byte("\n")))
		})
	}

	const objects = "ingresses.networking.k8s.io,httproutes.gateway.networking.k8s.io,virtualservices.networking.istio.io"
	expose := func(way string, arguments ...string) {
		t.Helper()
		file := filepath.Join(dir, "kai-workspace.yaml")
		data, err := os.ReadFile(filepath.Join(root(t), "testdata", "routes", "kai-workspace.yaml"))
		must(t, err)
		moved := strings.Replace(string(data), "name: ingress, extends: base, values: {expose: ingress}", "name: ingress, extends: base, values: {expose: "+way+"}", 1)
		must(t, os.WriteFile(file, []byte(moved), 0o644))
		c.run(t, kaiBinary(t), append([]string{"install", "-c", "ingress"}, arguments...)...)
	}
	kinds := func() string {
		t.Helper()
		out := c.run(t, kubectl, "get", objects, "-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name}{"\n"}{end}`)
		return strings.TrimSpace(out)
	}
	stays := func() string {
		t.Helper()
		return c.run(t, kubectl, "get", "deployments,services", "-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.generation}{"\n"}{end}`)
	}
	expose("ingress", "--wait", "--timeout=2m")
	before := stays()
	for _, step := range []struct{ way, want string }{
		{"ingress", "Ingress/gate\nIngress/podinfo\nIngress/productpage\nIngress/wiki"},
		{"[ingress, gateway]", "Ingress/gate\nIngress/podinfo\nIngress/productpage\nIngress/wiki\n" +
			"HTTPRoute/gate-http\nHTTPRoute/podinfo-http\nHTTPRoute/productpage-http\nHTTPRoute/wiki-files\nHTTPRoute/wiki-http"},
		{"gateway", "HTTPRoute/gate-http\nHTTPRoute/podinfo-http\nHTTPRoute/productpage-http\nHTTPRoute/wiki-files\nHTTPRoute/wiki-http"},
		{"istio", "VirtualService/gate-gate.example.com\nVirtualService/podinfo-podinfo.example.com\nVirtualService/productpage-bookinfo.example.com\nVirtualService/wiki-wiki.example.com"},
		{"ingress", "Ingress/gate\nIngress/podinfo\nIngress/productpage\nIngress/wiki"},
	} {
		expose(step.way)
		// What has no finalizers is gone at once, but deletion is in the background.
		for end := time.Now().Add(2 * time.Minute); kinds() != step.want; time.Sleep(200 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("exposed by %s there are:\n%s\nwant:\n%s", step.way, kinds(), step.want)
			}
		}
		c.run(t, kaiBinary(t), "diff", "-c", "ingress", "--detailed-exitcode")
	}
	if after := stays(); after != before {
		t.Errorf("moving routes has changed Deployments or Services:\n%s\nbefore:\n%s", after, before)
	}
	// Nobody reports on a VirtualService, so nobody waits for a report.
	expose("istio", "--wait", "--timeout=1m")
}
