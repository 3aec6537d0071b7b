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

// TestImport imports manifests, renders what comes out, and has a real API server fill its defaults into both. Each leaf of the
// source then stands in what kai makes, or the report names it; and what the report says is another is another. KAI_IMPORT
// names a folder with more sources, of the layout of testdata/import: NAME/CONTEXT.yaml.
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
	own := filepath.Join(root(t), "internal", "importer", "testdata")
	sources := []importSource{
		{"shop", map[string]string{"dev": filepath.Join(own, "shop", "dev", "all.yaml"), "prod": filepath.Join(own, "shop", "prod", "all.yaml")}},
		{"reviews", map[string]string{"default": filepath.Join(own, "reviews", "reviews.yaml")}},
	}
	for _, dir := range []string{filepath.Join("testdata", "import"), os.Getenv("KAI_IMPORT")} {
		if dir == "" {
			continue
		}
		files, err := filepath.Glob(filepath.Join(dir, "*", "*.yaml"))
		must(t, err)
		for _, file := range files {
			name := filepath.Base(filepath.Dir(file))
			i := slices.IndexFunc(sources, func(s importSource) bool { return s.name == name })
			if i < 0 {
				i = len(sources)
				sources = append(sources, importSource{name, map[string]string{}})
			}
			sources[i].contexts[strings.TrimSuffix(filepath.Base(file), ".yaml")] = file
		}
	}
	for _, s := range sources {
		t.Run(s.name, func(t *testing.T) { s.test(t, c, kubectl) })
	}
}

// importSource is what one import reads.
type importSource struct {
	name     string
	contexts map[string]string // by name, the file
}

// importEntry is what a report says of an object, or of a field of it.
type importEntry struct {
	Outcome, Context, What, Path, Why string
	After                             any
}

var namespaceOfManifests = regexp.MustCompile(`(?m)^(?:metadata: .*|  )\bnamespace: ([-a-z0-9]+)`)

func (s importSource) test(t *testing.T, c command, kubectl string) {
	dir := t.TempDir()
	out, report := filepath.Join(dir, "imported"), filepath.Join(dir, "report.json")
	arguments := []string{"import", "manifests", "-o", out, "--report", report}
	manifests, namespaces := map[string][]byte{}, map[string]string{}
	for name, file := range s.contexts {
		data, err := os.ReadFile(file)
		must(t, err)
		// The server takes no privileged containers.
		manifests[name] = []byte(strings.Replace(string(data), "privileged: true, ", "", 1))
		namespaces[name] = s.name + "-" + name
		if m := namespaceOfManifests.FindSubmatch(data); m != nil {
			namespaces[name] = string(m[1])
		}
		write(t, filepath.Join(dir, name+".yaml"), string(manifests[name]))
		arguments = append(arguments, "--context", name+"="+filepath.Join(dir, name+".yaml"))
		with := c
		with.stdin = []byte("{apiVersion: v1, kind: Namespace, metadata: {name: " + namespaces[name] + "}}")
		with.run(t, kubectl, "apply", "-f", "-")
	}
	c.run(t, kaiBinary(t), arguments...)
	data, err := os.ReadFile(report)
	must(t, err)
	var said struct{ Entries []importEntry }
	must(t, json.Unmarshal(data, &said))
	for name := range s.contexts {
		var entries []importEntry
		for _, e := range said.Entries {
			if e.Context == name {
				entries = append(entries, e)
			}
		}
		rendered := c.run(t, kaiBinary(t), "template", "-c", name, "-w", out, "-n", namespaces[name])
		before := defaulted(t, c, kubectl, namespaces[name], manifests[name])
		after := defaulted(t, c, kubectl, namespaces[name], []byte(rendered))
		compared, leaves := 0, 0
		for ref, was := range before {
			if compareImported(t, name, ref, was, after, entries) {
				compared++
				leaves += countLeaves(was)
			}
		}
		t.Logf("%s: %d of %d objects of %s are on both sides, with %d leaves", s.name, compared, len(before), name, leaves)
		if compared < 4 {
			t.Errorf("%s: only %d objects are on both sides", s.name, compared)
		}
	}
}

// compareImported compares an object of the source with the one that kai makes in its place, and says whether there is one. Where
// there is none, the report has to say what became of it.
func compareImported(t *testing.T, contextName, ref string, was map[string]any, after map[string]map[string]any, entries []importEntry) bool {
	t.Helper()
	kind, name, _ := strings.Cut(ref, "/")
	told, gone := false, false
	var got []string
	for _, e := range entries {
		if e.What != ref {
			continue
		}
		told = true
		if e.Path == "" {
			gone = gone || e.Outcome == "left out" || strings.Contains(e.Why, "which is the friend") || strings.HasPrefix(e.Why, "it is the friend")
			continue
		}
		_, path, _ := strings.Cut(e.Path, " ")
		got = append(got, generalPath(path))
		if path == "metadata.name" {
			name = fmt.Sprint(e.After)
		}
	}
	slices.Sort(got)
	if !told {
		t.Errorf("%s in %s: the report says nothing about it", ref, contextName)
	}
	is, ok := after[kind+"/"+name]
	if !ok || gone || kind == "Secret" { // no secret is copied, and the report lists what is to store
		return false
	}
	if containers := containersOf(was); containers != nil {
		// The report has the main container's new name by itself.
		for _, e := range entries {
			_, service, ok := strings.Cut(e.Why, "is called like the service, ")
			if ok && (service == name || kind == "Job" && strings.HasPrefix(name, service+"-")) {
				for _, container := range containers {
					if fields := container.(map[string]any); "container "+fmt.Sprint(fields["name"]) == e.What {
						fields["name"] = service
					}
				}
			}
		}
	}
	want := differing(was, is)
	for _, path := range want {
		if !slices.Contains(got, path) {
			t.Errorf("%s in %s: %s differs on the server, and the report does not name it", ref, contextName, path)
		}
	}
	for _, path := range slices.Compact(got) {
		// A rule that is at another place of its list is another, and its leaves are the same.
		moved := (kind == "NetworkPolicy" || kind == "Ingress") && strings.Contains(path, "[]") || strings.HasSuffix(path, ".initContainers")
		if !slices.Contains(want, path) && !ofServer.MatchString(path) && !moved {
			t.Errorf("%s in %s: the report names %s, which is the same on the server", ref, contextName, path)
		}
	}
	return true
}

// containersOf gives the containers of a workload's pods, or nil.
func containersOf(object map[string]any) []any {
	at := object
	for _, key := range []string{"spec", "jobTemplate", "spec", "template", "spec"} {
		next, ok := at[key].(map[string]any)
		if !ok && (key == "jobTemplate" || key == "spec") && at["containers"] == nil && at["template"] != nil {
			continue // not a CronJob
		}
		if !ok {
			return nil
		}
		at = next
	}
	containers, _ := at["containers"].([]any)
	return containers
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
		out[fmt.Sprintf("%s/%s", object["kind"], name)] = object
	}
	return out
}

// ofServer are the paths that the server decides by itself, each time anew, and one that it leaves out where it has its default.
var ofServer = regexp.MustCompile(`^(status|metadata\.(uid|creationTimestamp|generation|resourceVersion|managedFields|namespace|finalizers)|.*\.labels\.(batch\.kubernetes\.io/)?(controller-uid|job-name)|spec\.(selector\..*controller-uid|updateStrategy\.rollingUpdate\.partition|clusterIPs?|ipFamil\w+|healthCheckNodePort|ports\[\]\.nodePort))`)

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

// countLeaves gives the number of an object's leaves that are not the server's own.
func countLeaves(object map[string]any) int {
	all := map[string][]string{}
	leavesOf(object, "", all)
	n := 0
	for path, values := range all {
		if !ofServer.MatchString(path) {
			n += len(values)
		}
	}
	return n
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
