//go:build unix

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// killServices is how many services the workspace of TestInstallKilled has, beside the friend that some share.
const killServices = 20

// TestInstallKilled kills kai with SIGKILL at random moments of an install of 20 services, of first ones and of upgrades,
// and runs it again at once. That must converge to what an install that nobody disturbs makes. E2E_KILLS says how often.
func TestInstallKilled(t *testing.T) {
	t.Parallel()
	const workers = 2
	kills := int64(16)
	if testing.Short() {
		kills = 6
	}
	if text := os.Getenv("E2E_KILLS"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		must(t, err)
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var round, between atomic.Int64
	t.Run("workers", func(t *testing.T) {
		for i := range workers {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				k := newKilled(t, rand.New(rand.NewPCG(seed, uint64(i))))
				for !t.Failed() {
					n := round.Add(1) - 1
					if n >= kills {
						return
					}
					// The moments are spread over a whole run, each somewhere in its part.
					if k.round(t, (float64(n)+k.random.Float64())/float64(kills)) {
						between.Add(1)
					}
				}
			})
		}
	})
	t.Logf("%d kills, %d of them left a release pending", kills, between.Load())
}

// kaiRun is a workspace in a namespace, and how kai and Helm run there.
type kaiRun struct {
	command
	kai, helm string
	namespace string
	tmp       string
}

// newKaiRun gives an empty workspace folder, with an environment that points to the shared cluster. It ends with the test.
func newKaiRun(t *testing.T, namespace string) *kaiRun {
	t.Helper()
	r := &kaiRun{kai: kaiBinary(t), helm: tool(t, helm322), namespace: namespace, tmp: t.TempDir()}
	home := t.TempDir()
	kubeconfig, err := cluster(t).KubeconfigFor(namespace)
	must(t, err)
	write(t, filepath.Join(home, "kubeconfig"), string(kubeconfig))
	r.dir = t.TempDir()
	r.env = []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + r.tmp, "NO_COLOR=1", "KUBECONFIG=" + filepath.Join(home, "kubeconfig"),
		"HELM_CACHE_HOME=" + filepath.Join(home, "cache"), "HELM_CONFIG_HOME=" + filepath.Join(home, "config"), "HELM_DATA_HOME=" + filepath.Join(home, "data"),
	}
	t.Cleanup(func() { must(t, deleteNamespace(context.Background(), cluster(t), namespace)) })
	return r
}

// start starts kai in the background; its output is whole when wait has returned.
func (r *kaiRun) start(t *testing.T, args ...string) *background {
	t.Helper()
	b := &background{cmd: exec.Command(r.kai, args...)}
	b.cmd.Dir, b.cmd.Env, b.cmd.Stdout, b.cmd.Stderr = r.dir, r.env, &b.stdout, &b.stderr
	must(t, b.cmd.Start())
	t.Cleanup(func() { _ = b.cmd.Process.Kill() })
	return b
}

// background is a process that runs.
type background struct {
	cmd            *exec.Cmd
	stdout, stderr lockedBuffer
}

// wait gives what the process left; its exit code is -1 where a signal has ended it.
func (b *background) wait(t *testing.T) result {
	t.Helper()
	err := b.cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{b.stdout.Bytes(), b.stderr.Bytes(), b.cmd.ProcessState.ExitCode()}
}

// until waits until the process has written something to stderr.
func (b *background) until(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !bytes.Contains(b.stderr.Bytes(), []byte(text)); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute there is no %q:\n%s", text, b.stderr.Bytes())
		}
	}
}

// killed is a namespace in which kai is killed again and again.
type killed struct {
	*kaiRun
	random *rand.Rand
	// The time of an install and of an upgrade, and what they leave, by version.
	takes [2]time.Duration
	want  [3]map[string]string
	// at is the version that is there, 0 for none.
	at, rounds int
}

func newKilled(t *testing.T, random *rand.Rand) *killed {
	t.Helper()
	k := &killed{kaiRun: newKaiRun(t, newNamespace("killed")), random: random}
	for version := 1; version <= 2; version++ {
		killWorkspace(t, k.dir, k.namespace, version)
		start := time.Now()
		k.run(t, k.kai, "install", "-c", "dev", "--create-namespace")
		k.takes[version-1] = time.Since(start)
		k.want[version] = k.objects(t)
	}
	if maps.Equal(k.want[1], k.want[2]) {
		t.Fatal("the versions should differ")
	}
	k.at = 2
	return k
}

// round kills an install at a part of its time, runs another, and holds what is there against what should be. It says
// whether the kill has left a release pending.
func (k *killed) round(t *testing.T, part float64) bool {
	t.Helper()
	if k.rounds++; k.rounds%4 == 1 {
		// A namespace of its own for each first install.
		must(t, deleteNamespace(t.Context(), cluster(t), k.namespace))
		fresh := newKaiRun(t, newNamespace("killed"))
		k.kaiRun, k.at = fresh, 0
	}
	next := k.at%2 + 1
	killWorkspace(t, k.dir, k.namespace, next)
	takes := k.takes[min(k.at, 1)]
	delay := time.Duration(part * float64(takes))
	what := fmt.Sprintf("version %d after %d in %s, killed after %v of %v", next, k.at, k.namespace, delay.Round(time.Millisecond), takes.Round(time.Millisecond))

	first := k.start(t, "install", "-c", "dev", "--create-namespace")
	time.Sleep(delay)
	_ = first.cmd.Process.Signal(syscall.SIGKILL)
	first.wait(t)
	_, pending := k.records(t)

	got := k.try(t, k.kai, "install", "-c", "dev", "--create-namespace")
	if got.code != 0 {
		t.Errorf("%s: exit code %d\n%s%s", what, got.code, got.stdout, got.stderr)
		return false
	}
	// A Lease of which it can know that it is nobody's is not waited for: that would take 15 seconds.
	if bytes.Contains(got.stderr, []byte("waiting for another run")) {
		t.Errorf("%s: the second run has waited\n%s", what, got.stderr)
	}
	k.at = next
	k.settled(t, what, k.want[next])
	return len(pending) > 0
}

// settled holds that all is as if nothing had ever gone wrong.
func (k *killed) settled(t *testing.T, what string, want map[string]string) {
	t.Helper()
	deployed, pending := k.records(t)
	if len(pending) > 0 {
		t.Errorf("%s: pending: %v", what, pending)
	}
	if len(deployed) != killServices+1 {
		t.Errorf("%s: %d releases are deployed, want %d", what, len(deployed), killServices+1)
	}
	for name, n := range deployed {
		if n != 1 {
			t.Errorf("%s: %s has %d deployed revisions", what, name, n)
		}
	}
	got := k.objects(t)
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] == "" {
			t.Errorf("%s: %s should not be there", what, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: %s is\n%s\nwant\n%s", what, name, got[name], want[name])
		}
	}
	if leases := k.leases(t); len(leases) > 0 {
		t.Errorf("%s: a Lease is left: %v", what, leases)
	}
	k.swept(t, what)
	if diff := k.try(t, k.kai, "diff", "-c", "dev", "--detailed-exitcode"); diff.code != 0 {
		t.Errorf("%s: diff: exit code %d\n%s%s", what, diff.code, diff.stdout, diff.stderr)
	}
	var list []struct{ Name, Status string }
	must(t, json.Unmarshal([]byte(k.run(t, k.helm, "list", "--all", "--max", "1000", "-n", k.namespace, "-o", "json")), &list))
	if len(list) != killServices+1 {
		t.Errorf("%s: helm list has %d releases", what, len(list))
	}
	for _, r := range list {
		if r.Status != "deployed" {
			t.Errorf("%s: helm list says that %s is %s", what, r.Name, r.Status)
		}
	}
}

// swept holds that the folder for temporary files is empty, or has the one file by which others know that a run is over: where
// no Lease names that run, it is a later run that removes it, when it has become old.
func (k *killed) swept(t *testing.T, what string) {
	t.Helper()
	for again := false; ; again = true {
		left, err := filepath.Glob(filepath.Join(k.tmp, "*"))
		must(t, err)
		switch {
		case len(left) == 0:
			return
		case again || len(left) > 1 || !strings.HasPrefix(filepath.Base(left[0]), "kai-run-"):
			t.Errorf("%s: left in the folder for temporary files: %v", what, left)
			return
		}
		old := time.Now().Add(-time.Hour)
		must(t, os.Chtimes(left[0], old, old))
		k.run(t, k.kai, "install", "-c", "dev")
	}
}

// records counts the deployed revisions of each release and lists those that are pending.
func (r *kaiRun) records(t *testing.T) (deployed map[string]int, pending []string) {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata struct {
				Name   string
				Labels map[string]string
			}
		}
	}
	must(t, cluster(t).Get(t.Context(), "/api/v1/namespaces/"+r.namespace+"/secrets?labelSelector=owner%3Dhelm", &list))
	deployed = map[string]int{}
	for _, item := range list.Items {
		switch status := item.Metadata.Labels["status"]; {
		case status == "deployed":
			deployed[item.Metadata.Labels["name"]]++
		case strings.HasPrefix(status, "pending"), status == "uninstalling":
			pending = append(pending, item.Metadata.Name)
		}
	}
	return deployed, pending
}

func (r *kaiRun) leases(t *testing.T) []string {
	t.Helper()
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	must(t, cluster(t).Get(t.Context(), "/apis/coordination.k8s.io/v1/namespaces/"+r.namespace+"/leases", &list))
	var names []string
	for _, item := range list.Items {
		names = append(names, item.Metadata.Name)
	}
	return names
}

// objects gives what is in the namespace and nobody but kai has made, by kind and name: labels, annotations and contents.
func (r *kaiRun) objects(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, path := range []string{
		"/api/v1/%s/configmaps", "/api/v1/%s/secrets", "/api/v1/%s/services", "/api/v1/%s/serviceaccounts", "/apis/apps/v1/%s/deployments",
		"/apis/apps/v1/%s/statefulsets", "/apis/batch/v1/%s/jobs", "/apis/networking.k8s.io/v1/%s/networkpolicies", "/apis/policy/v1/%s/poddisruptionbudgets",
	} {
		path = fmt.Sprintf(path, "namespaces/"+r.namespace)
		var list struct{ Items []map[string]any }
		must(t, cluster(t).Get(t.Context(), path, &list))
		for _, item := range list.Items {
			meta := item["metadata"].(map[string]any)
			name := meta["name"].(string)
			if item["type"] == "helm.sh/release.v1" || name == "kube-root-ca.crt" || name == "default" {
				continue
			}
			annotations, _ := meta["annotations"].(map[string]any)
			delete(annotations, "deployment.kubernetes.io/revision")
			text, err := json.Marshal([]any{meta["labels"], annotations, item["data"], item["spec"]})
			must(t, err)
			// Namespaces and addresses differ; that they do is no difference.
			out[path[strings.LastIndex(path, "/")+1:]+"/"+name] = withoutAddresses(strings.ReplaceAll(string(text), r.namespace, "NAMESPACE"))
		}
	}
	return out
}

// withoutAddresses takes out of a Service's JSON what a cluster chooses by itself.
func withoutAddresses(text string) string {
	for _, key := range []string{`"clusterIP":"`, `"clusterIPs":["`} {
		before, after, found := strings.Cut(text, key)
		if end := strings.Index(after, `"`); found && end > 0 && after[:end] != "None" {
			text = before + key + after[end:]
		}
	}
	return text
}

// killWorkspace writes one of two versions of a workspace of 20 services: they differ in all Deployments, in objects that
// come and go, and in a hook. Some services need others, and some share a friend.
func killWorkspace(t *testing.T, dir, namespace string, version int) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(dir, "services")))
	write(t, filepath.Join(dir, "kai-workspace.yaml"), fmt.Sprintf(`apiVersion: kai/v1
name: many
version: 1.0.%d
services: [services/*]
friends: [friends]
contexts:
  - {name: dev, namespace: %s}
`, version, namespace))
	write(t, filepath.Join(dir, "friends", "store.yaml"), `apiVersion: kai/v1
name: store
type: dependency
chart: {flavor: stateful}
values:
  image: {repository: example/store, tag: 1.0.0}
  replicas: 0
  routes: [{name: store, port: 7000}]
config: {host: "${self.address}"}
env: {STORE: "${config.host}"}
`)
	for i := range killServices {
		friend := "{service: s00}"
		switch {
		case i%7 == 1:
			friend = "store"
		case i%5 == 4:
			friend = fmt.Sprintf("{service: s%02d, needs: true}", i-1)
		case i == 0:
			friend = ""
		}
		extra := ""
		switch {
		case i%6 == 2*(version-1):
			extra = "mounts: [{name: settings, path: /etc/app, files: [app.conf]}], "
		case i%10 == 5:
			extra = "objects: [hook.yaml], "
		}
		at := filepath.Join(dir, "services", fmt.Sprintf("s%02d", i))
		write(t, filepath.Join(at, "kai.yaml"), fmt.Sprintf(`apiVersion: kai/v1
name: s%02d
images: [{name: release, repository: example/app, tag: 1.%d.0}]
contexts:
  - {name: base, flavor: webservice, image: release, replicas: 0, routes: [{name: http, port: 80}], friends: [%s], %senv: {VERSION: "%d"}}
`, i, version, friend, extra, version))
		write(t, filepath.Join(at, "app.conf"), fmt.Sprintf("version = %d\n", version))
		write(t, filepath.Join(at, "hook.yaml"), fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: s%02d-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
data: {version: "%d"}
`, i, version))
	}
}
