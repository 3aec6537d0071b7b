//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
)

// TestImport imports manifests, renders what comes out, and has a real API server fill its defaults into both: the fields that
// differ then are exactly those that the import's report names.
func TestImport(t *testing.T) {
	t.Parallel()
	cluster := controlplane.ForTest(t, cache(t), root(t))
	binaries, err := controlplane.Build(t.Context(), cache(t), filepath.Join(root(t), "e2e", "controlplane", "build"))
	must(t, err)
	kubectl := filepath.Join(binaries, "kubectl")
	c := command{env: []string{"HOME=" + t.TempDir(), "KUBECONFIG=" + cluster.Kubeconfig, "NO_COLOR=1"}}
	for _, path := range routeDefinitions(t, gatewayNewest) {
		c.run(t, kubectl, "apply", "--server-side", "-f", path)
	}
	c.run(t, kubectl, "wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s")
	for _, namespace := range []string{"shop-dev", "shop", "reviews"} {
		c.run(t, kubectl, "create", "namespace", namespace)
	}
	// The server takes no privileged containers.
	sources := t.TempDir()
	for _, name := range []string{"shop/dev/all.yaml", "shop/prod/all.yaml", "reviews/reviews.yaml"} {
		data, err := os.ReadFile(filepath.Join(root(t), "internal", "importer", "testdata", filepath.FromSlash(name)))
		must(t, err)
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(sources, name)), 0o755))
		write(t, filepath.Join(sources, name), strings.Replace(string(data), "privileged: true, ", "", 1))
	}
	for _, test := range []struct {
		name      string
		arguments []string
		contexts  map[string][2]string // by name, the file and the namespace
	}{
		{"shop", []string{"--context", "dev=" + filepath.Join(sources, "shop", "dev"), "--context", "prod=" + filepath.Join(sources, "shop", "prod")},
			map[string][2]string{"dev": {"shop/dev/all.yaml", "shop-dev"}, "prod": {"shop/prod/all.yaml", "shop"}}},
		{"reviews", []string{filepath.Join(sources, "reviews")}, map[string][2]string{"default": {"reviews/reviews.yaml", "reviews"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			out, report := filepath.Join(dir, "imported"), filepath.Join(dir, "report.json")
			c.run(t, kaiBinary(t), append([]string{"import", "manifests", "-o", out, "--report", report}, test.arguments...)...)
			data, err := os.ReadFile(report)
			must(t, err)
			var said struct {
				Entries []struct{ Context, What, Path string }
			}
			must(t, json.Unmarshal(data, &said))
			for name, at := range test.contexts {
				source, err := os.ReadFile(filepath.Join(sources, filepath.FromSlash(at[0])))
				must(t, err)
				rendered := c.run(t, kaiBinary(t), "template", "-c", name, "-w", out, "-n", at[1])
				before, after := defaulted(t, c, kubectl, at[1], source), defaulted(t, c, kubectl, at[1], []byte(rendered))
				compared := 0
				for ref, was := range before {
					is, ok := after[ref]
					if !ok || strings.HasPrefix(ref, "Secret/") || strings.HasSuffix(ref, "/orders-db") || strings.HasSuffix(ref, "/sessions") {
						continue // what the report lists as to store, and as friends
					}
					compared++
					want := differing(was, is)
					var got []string
					for _, e := range said.Entries {
						if e.Context == name && e.What == ref && e.Path != "" {
							_, path, _ := strings.Cut(e.Path, " ")
							got = append(got, generalPath(path))
						}
					}
					slices.Sort(got)
					for _, path := range want {
						if !slices.Contains(got, path) {
							t.Errorf("%s in %s: %s differs on the server, and the report does not name it", ref, name, path)
						}
					}
					for _, path := range slices.Compact(got) {
						// A rule that is at another place of its list is another, and its leaves are the same.
						moved := strings.HasPrefix(ref, "NetworkPolicy/") && strings.Contains(path, "[]")
						if !slices.Contains(want, path) && !ofServer.MatchString(path) && !moved {
							t.Errorf("%s in %s: the report names %s, which is the same on the server", ref, name, path)
						}
					}
				}
				t.Logf("%s: %d objects of %s compared", test.name, compared, name)
				if compared < 4 {
					t.Errorf("%s: only %d objects are on both sides", name, compared)
				}
			}
		})
	}
}

// defaulted gives objects as the API server would store them, by KIND/NAME.
func defaulted(t *testing.T, c command, kubectl, namespace string, manifests []byte) map[string]map[string]any {
	t.Helper()
	var known []string
	for _, doc := range strings.Split(string(manifests), "\n---\n") {
		// The server has no such kind, and the namespace is there.
		if !strings.Contains(doc, "kind: ServiceMonitor") && !strings.Contains(doc, "kind: Namespace") {
			known = append(known, doc)
		}
	}
	with := c
	with.stdin = []byte(strings.Join(known, "\n---\n"))
	var list struct{ Items []map[string]any }
	objects := with.run(t, kubectl, "apply", "--server-side", "--dry-run=server", "-n", namespace, "-o", "json", "-f", "-")
	must(t, json.Unmarshal([]byte(objects), &list))
	out := map[string]map[string]any{}
	for _, object := range list.Items {
		metadata := object["metadata"].(map[string]any)
		name := metadata["name"].(string)
		metadata["namespace"] = nil
		if object["kind"] == "Deployment" {
			// The report has the main container's new name by itself.
			containers := object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)
			containers[0].(map[string]any)["name"] = name
		}
		out[fmt.Sprintf("%s/%s", object["kind"], name)] = object
	}
	return out
}

// ofServer are the paths that the server decides by itself, each time anew, and one that it leaves out where it has its default.
var ofServer = regexp.MustCompile(`^(status|metadata\.(uid|creationTimestamp|generation|resourceVersion|managedFields|namespace|finalizers)|spec\.(updateStrategy\.rollingUpdate\.partition|clusterIPs?|ipFamil\w+|healthCheckNodePort|ports\[\]\.nodePort))`)

// differing gives the general paths at which two objects have other leaves.
func differing(a, b map[string]any) []string {
	before, after := map[string][]string{}, map[string][]string{}
	leavesOf(a, "", before)
	leavesOf(b, "", after)
	var out []string
	for _, leaves := range []map[string][]string{before, after} {
		for path := range leaves {
			x, y := slices.Sorted(slices.Values(before[path])), slices.Sorted(slices.Values(after[path]))
			if !slices.Equal(x, y) && !ofServer.MatchString(path) && !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	slices.Sort(out)
	return out
}

// leavesOf collects the leaves of a value by their general path: items of a list have no name in it.
func leavesOf(v any, path string, out map[string][]string) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for key, value := range v {
			leavesOf(value, strings.TrimPrefix(path+"."+key, "."), out)
		}
		// The server fills some maps with nothing.
		if len(v) == 0 && !strings.HasSuffix(path, "resources") && !strings.HasSuffix(path, "securityContext") && !strings.HasSuffix(path, "metadata") {
			out[path] = append(out[path], "{}")
		}
	case []any:
		for _, item := range v {
			leavesOf(item, path+"[]", out)
		}
	default:
		out[path] = append(out[path], fmt.Sprint(v))
	}
}

var (
	quotedKey = regexp.MustCompile(`\["([^"]*)"\]`)
	listItem  = regexp.MustCompile(`\[[^\]]*\]`)
)

// generalPath gives a path of the report as leavesOf writes it.
func generalPath(path string) string {
	return listItem.ReplaceAllString(quotedKey.ReplaceAllString(path, ".$1"), "[]")
}
