//go:build unix

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
	"github.com/helm-kai/helm-kai/e2e/mutate"
)

const (
	// regressions is the seed whose mutants are the same in every run; another is new, and printed.
	regressions = 6
	mutants     = 5000
	// How many of the server's refusals may be missed.
	missedPercent = 1.0
)

// TestServerAgrees sets internal/kubeschema against the strict dry run of a real API server: over all manifests that the
// examples render to, over some of kinds that they do not have, and over mutants of them. Nothing that the server takes may be
// called wrong, and hardly anything that it refuses right.
func TestServerAgrees(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	agrees(t, s)
}

// TestServerAgreesOnCustom does the same with custom resources, and the definitions that the server has of them, whose rules in
// CEL are part of it.
func TestServerAgreesOnCustom(t *testing.T) {
	t.Parallel()
	s := customServer(t)
	agrees(t, s)
}

func agrees(t *testing.T, s *server) {
	t.Helper()
	objects := s.corpus(t)
	t.Run("manifests", func(t *testing.T) {
		var whole []mutate.Mutant
		for _, object := range objects {
			whole = append(whole, mutate.Mutant{Object: object, Mistake: "none"})
		}
		for _, v := range s.verdicts(t, whole) {
			if v.refused() || len(v.problems) > 0 {
				t.Errorf("%s: the server says %q, kubeschema %v", v.mutant, v.reason, v.problems)
			}
		}
	})
	for _, seed := range []uint64{regressions, rand.Uint64N(1 << 32)} {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			made := make([]mutate.Mutant, mutants)
			for i := range made {
				made[i] = mutate.Make(r, objects)
			}
			count(t, s.verdicts(t, made))
		})
	}
}

// server is the oracle: the shared cluster, with a namespace for what is namespaced.
type server struct {
	cluster   *controlplane.Cluster
	namespace string
	resources map[string]resource // by apiVersion and kind
	judge     string
	crds      []string
}

type resource struct {
	Name, Kind string
	Namespaced bool
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := serverOf(t, cluster(t))
	s.discover(t)
	s.leaveOutCustom(t)
	return s
}

// leaveOutCustom forgets the kinds that other tests have defined on the shared cluster.
func (s *server) leaveOutCustom(t *testing.T) {
	t.Helper()
	var defined struct {
		Items []struct{ Spec struct{ Group string } }
	}
	must(t, s.cluster.Get(t.Context(), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &defined))
	for _, d := range defined.Items {
		maps.DeleteFunc(s.resources, func(name string, _ resource) bool { return strings.HasPrefix(name, d.Spec.Group+"/") })
	}
}

// customServer is a server that has the definitions of Gateway API and of Istio, and is asked about nothing else.
func customServer(t *testing.T) *server {
	t.Helper()
	s := serverOf(t, controlplane.ForTest(t, cache(t), root(t)))
	binaries, err := controlplane.Build(t.Context(), cache(t), filepath.Join(root(t), "e2e", "controlplane", "build"))
	must(t, err)
	s.crds = routeDefinitions(t, gatewayNewest)
	c := command{env: []string{"HOME=" + t.TempDir(), "KUBECONFIG=" + s.cluster.Kubeconfig}}
	for _, path := range s.crds {
		c.run(t, filepath.Join(binaries, "kubectl"), "apply", "--server-side", "-f", path)
	}
	c.run(t, filepath.Join(binaries, "kubectl"), "wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s")
	s.discover(t)
	for name := range s.resources {
		if !strings.HasPrefix(name, "gateway.networking.k8s.io/") && !strings.Contains(name, ".istio.io/") {
			delete(s.resources, name)
		}
	}
	return s
}

func serverOf(t *testing.T, c *controlplane.Cluster) *server {
	t.Helper()
	s := &server{cluster: c, namespace: newNamespace("server-agrees"), resources: map[string]resource{}}
	s.judge = filepath.Join(t.TempDir(), "judge")
	command{dir: root(t)}.run(t, "go", "build", "-o", s.judge, "./internal/kubeschema/judge")
	ctx := context.WithoutCancel(t.Context())
	must(t, s.cluster.Create(ctx, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": s.namespace}}))
	t.Cleanup(func() { must(t, deleteNamespace(ctx, s.cluster, s.namespace)) })
	return s
}

// discover asks the server for its kinds.
func (s *server) discover(t *testing.T) {
	t.Helper()
	var groups struct {
		Groups []struct {
			Versions []struct{ GroupVersion string }
		}
	}
	must(t, s.cluster.Get(t.Context(), "/apis", &groups))
	versions := []string{"v1"}
	for _, group := range groups.Groups {
		for _, version := range group.Versions {
			versions = append(versions, version.GroupVersion)
		}
	}
	for _, version := range versions {
		var list struct{ Resources []resource }
		must(t, s.cluster.Get(t.Context(), prefix(version), &list))
		for _, r := range list.Resources {
			if !strings.Contains(r.Name, "/") {
				s.resources[version+"/"+r.Kind] = r
			}
		}
	}
}

func prefix(apiVersion string) string {
	if strings.Contains(apiVersion, "/") {
		return "/apis/" + apiVersion
	}
	return "/api/" + apiVersion
}

// corpus is what the examples render to, and more kinds, each object once; only what the server has.
func (s *server) corpus(t *testing.T) []map[string]any {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "internal", "build", "testdata", "golden", "*.yaml"))
	must(t, err)
	seen := map[string]bool{}
	var objects []map[string]any
	for _, file := range append(files, filepath.Join("testdata", "kubernetes.yaml")) {
		data, err := os.ReadFile(file)
		must(t, err)
		decoder := yaml.NewDecoder(bytes.NewReader(data))
		for {
			var object map[string]any
			err := decoder.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			if _, known := s.resources[fmt.Sprintf("%v/%v", object["apiVersion"], object["kind"])]; !known {
				continue
			}
			object = s.prepared(t, object)
			text, err := json.Marshal(object)
			must(t, err)
			if !seen[string(text)] {
				seen[string(text)] = true
				objects = append(objects, object)
			}
		}
	}
	if len(objects) < 20 {
		t.Fatalf("there are only %d objects", len(objects))
	}
	return objects
}

// prepared is an object as JSON has it, in the test's namespace; the service account of a pod is made, which the server asks for.
func (s *server) prepared(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(object)
	must(t, err)
	var prepared map[string]any
	must(t, json.Unmarshal(text, &prepared))
	if s.resources[fmt.Sprintf("%v/%v", prepared["apiVersion"], prepared["kind"])].Namespaced {
		prepared["metadata"].(map[string]any)["namespace"] = s.namespace
	}
	if spec, ok := prepared["spec"].(map[string]any); ok && prepared["kind"] == "Pod" {
		delete(spec, "serviceAccountName")
		delete(spec, "serviceAccount")
		spec["automountServiceAccountToken"] = false
	}
	return prepared
}

// verdict is what both say of a mutant.
type verdict struct {
	mutant   mutate.Mutant
	code     int
	reason   string
	problems []problem
}

type problem struct{ Path, Code, Message string }

func (p problem) String() string { return p.Path + ": " + p.Message }

func (v verdict) refused() bool { return v.code != 0 }

// admission says whether not the object was refused, but what it needs is not there: that is not for a schema to see.
func (v verdict) admission() bool { return v.code == http.StatusForbidden }

func (s *server) verdicts(t *testing.T, made []mutate.Mutant) []verdict {
	t.Helper()
	verdicts := make([]verdict, len(made))
	var input bytes.Buffer
	encoder := json.NewEncoder(&input)
	for i, mutant := range made {
		verdicts[i].mutant = mutant
		must(t, encoder.Encode(mutant.Object))
	}
	answer := command{stdin: input.Bytes()}.run(t, s.judge, append([]string{"-kube-version", kubernetesVersion}, s.crds...)...)
	decoder := json.NewDecoder(strings.NewReader(answer))
	for i := range verdicts {
		must(t, decoder.Decode(&verdicts[i].problems))
	}
	var wait sync.WaitGroup
	next := make(chan int)
	for range 4 {
		wait.Go(func() {
			for i := range next {
				verdicts[i].code, verdicts[i].reason = s.ask(t, made[i].Object)
			}
		})
	}
	for i := range verdicts {
		next <- i
	}
	close(next)
	wait.Wait()
	return verdicts
}

// ask gives the code and the reason of a refusal, or 0.
func (s *server) ask(t *testing.T, object map[string]any) (int, string) {
	apiVersion, kind := fmt.Sprint(object["apiVersion"]), fmt.Sprint(object["kind"])
	r, ok := s.resources[apiVersion+"/"+kind]
	if !ok {
		return http.StatusNotFound, "the server has no " + apiVersion + " " + kind
	}
	path := prefix(apiVersion)
	if r.Namespaced {
		path += "/namespaces/" + s.namespace
	}
	err := s.cluster.Create(t.Context(), path+"/"+r.Name+"?dryRun=All&fieldValidation=Strict", object)
	var status *controlplane.StatusError
	switch {
	case errors.As(err, &status) && status.Code != http.StatusConflict:
		return status.Code, status.Message
	case err != nil && status == nil:
		t.Errorf("ask the server: %v", err)
	}
	return 0, ""
}

// count prints the table of a run, and fails it where the two differ too much.
func count(t *testing.T, verdicts []verdict) {
	t.Helper()
	type row struct{ made, refused, missed, wrong int }
	rows := map[string]*row{"all": {}}
	for _, v := range verdicts {
		if v.admission() {
			continue
		}
		if rows[v.mutant.Mistake] == nil {
			rows[v.mutant.Mistake] = &row{}
		}
		for _, r := range []*row{rows[v.mutant.Mistake], rows["all"]} {
			r.made++
			switch found := len(v.problems) > 0; {
			case v.refused() && found:
				r.refused++
			case v.refused():
				r.refused++
				r.missed++
			case found:
				r.wrong++
			}
		}
		switch found := len(v.problems) > 0; {
		case v.refused() && !found:
			t.Logf("missed: %s: %.300s", v.mutant, message(v.reason))
		case !v.refused() && found:
			t.Errorf("the server takes %s, kubeschema does not: %v", v.mutant, v.problems)
		}
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "mistake\tmutants\trefused\tmissed\twrongly refused\t")
	for _, name := range append(slices.Sorted(slices.Values(mutate.Kinds())), "all") {
		if r := rows[name]; r != nil {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\n", name, r.made, r.refused, r.missed, r.wrong)
		}
	}
	must(t, w.Flush())
	t.Logf("kubeschema against Kubernetes %s:\n%s", kubernetesVersion, table.String())
	all := rows["all"]
	if percent := 100 * float64(all.missed) / float64(all.refused); percent > missedPercent {
		t.Errorf("%d of %d refusals are missed: %.2f %%, and %.0f %% are allowed", all.missed, all.refused, percent, missedPercent)
	}
}

// message is the sentence in an answer of the server's.
func message(answer string) string {
	var status struct{ Message string }
	if json.Unmarshal([]byte(answer), &status) == nil {
		return status.Message
	}
	return answer
}
