//go:build unix

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/faultproxy"
)

// proxied puts a proxy before the cluster of a kaiRun.
func (r *kaiRun) proxied(t *testing.T) *faultproxy.Proxy {
	t.Helper()
	config, err := cluster(t).KubeconfigFor(r.namespace)
	must(t, err)
	proxy, err := faultproxy.Start(config)
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Stop()) })
	for i, v := range r.env {
		if path, ok := strings.CutPrefix(v, "KUBECONFIG="); ok {
			path = filepath.Join(filepath.Dir(path), "proxied")
			write(t, path, string(proxy.Kubeconfig))
			r.env[i] = "KUBECONFIG=" + path
		}
	}
	return proxy
}

// hello makes the workspace of a kaiRun testdata/hello, and gives a function that changes its descriptor.
func (r *kaiRun) hello(t *testing.T) (change func(old, new string)) {
	t.Helper()
	must(t, os.CopyFS(r.dir, os.DirFS(filepath.Join(root(t), "testdata", "hello"))))
	path := filepath.Join(r.dir, "kai.yaml")
	return func(old, new string) {
		t.Helper()
		data, err := os.ReadFile(path)
		must(t, err)
		contains(t, path, string(data), old)
		write(t, path, strings.ReplaceAll(string(data), old, new))
	}
}

// TestInstallMoved lets two runs without a lock plan the same upgrade before either writes: the one that comes later is
// told so and has changed nothing.
func TestInstallMoved(t *testing.T) {
	t.Parallel()
	r := newKaiRun(t, newNamespace("moved"))
	change := r.hello(t)
	r.run(t, r.kai, "install", "-c", "dev", "--create-namespace", "--wait")
	change("1.0.0", "1.1.0")
	proxy := r.proxied(t)
	hold := make(chan struct{})
	proxy.Add(faultproxy.Rule{Method: http.MethodPost, Path: regexp.MustCompile(`/secrets`), Times: 1, Hold: hold})
	late := r.start(t, "install", "-c", "dev", "--no-lock", "--wait")
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		requests := proxy.Requests()
		if n := len(requests); n > 0 && requests[n-1].Fault {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the first run wrote nothing:\n%s", late.stderr.Bytes())
		}
	}
	r.run(t, r.kai, "install", "-c", "dev", "--no-lock", "--wait")
	close(hold)
	got := late.wait(t)
	if got.code != 1 {
		t.Errorf("exit code %d, want 1", got.code)
	}
	contains(t, "stderr", string(got.stderr), "the plan does not hold any more")
	contains(t, "stderr", string(got.stderr), "somebody else has written revision 2")
	r.healthy(t, "2")
}

// healthy holds that hello is deployed at a revision, alone, and that there is nothing to do.
func (r *kaiRun) healthy(t *testing.T, revision string) {
	t.Helper()
	deployed, pending := r.records(t)
	if deployed["hello"] != 1 || len(pending) > 0 {
		t.Errorf("deployed: %v, pending: %v", deployed, pending)
	}
	contains(t, "helm list", r.run(t, r.helm, "list", "-n", r.namespace, "-o", "json"), `"revision":"`+revision+`"`)
	if diff := r.try(t, r.kai, "diff", "-c", "dev", "--detailed-exitcode"); diff.code != 0 {
		t.Errorf("diff: exit code %d\n%s%s", diff.code, diff.stdout, diff.stderr)
	}
	if leases := r.leases(t); len(leases) > 0 {
		t.Errorf("a Lease is left: %v", leases)
	}
}

// TestInstallInterrupted ends an install as Ctrl-C does, while it waits.
func TestInstallInterrupted(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			r := newKaiRun(t, newNamespace("interrupted"))
			for name, context := range map[string]string{
				"first":  "{name: base, flavor: webservice, image: release, routes: [{name: http, port: 80}]}",
				"second": "{name: base, flavor: webservice, image: release, routes: [{name: http, port: 80}], friends: [{service: first, needs: true}], annotations: {e2e.kai/never-ready: here}}",
				"third":  "{name: base, flavor: webservice, image: release, friends: [{service: second, needs: true}], routes: [{name: http, port: 80}]}",
			} {
				write(t, filepath.Join(r.dir, "services", name, "kai.yaml"),
					"apiVersion: kai/v1\nname: "+name+"\nimages: [{name: release, repository: example/app, tag: 1.0.0}]\ncontexts: ["+context+"]\n")
			}
			write(t, filepath.Join(r.dir, "kai-workspace.yaml"), "apiVersion: kai/v1\nname: three\nversion: 1.0.0\nservices: [services/*]\ncontexts: [{name: dev, namespace: "+r.namespace+"}]\n")
			b := r.start(t, "install", "-c", "dev", "--create-namespace", "--wait")
			b.until(t, "second: waiting for")
			begin := time.Now()
			must(t, b.cmd.Process.Signal(signal))
			got := b.wait(t)
			// It would wait for five minutes.
			if took := time.Since(begin); took > time.Minute {
				t.Errorf("it took %v to stop", took)
			}
			if got.code != 130 {
				t.Errorf("exit code %d, want 130", got.code)
			}
			for _, want := range []string{`(?m)^first .*create +done +1$`, `(?m)^second .*create +interrupted +1$`, `(?m)^third .*create +not-started *$`, `1 done, 1 interrupted, 1 not started`} {
				if !regexp.MustCompile(want).Match(got.stdout) {
					t.Errorf("stdout does not match %s:\n%s", want, got.stdout)
				}
			}
			contains(t, "stderr", string(got.stderr), "kai: interrupted")
			contains(t, "stderr", string(got.stderr), "Deployment/second is not ready")
			deployed, pending := r.records(t)
			if deployed["first"] != 1 || deployed["second"] != 0 || deployed["third"] != 0 || len(pending) > 0 {
				t.Errorf("deployed: %v, pending: %v", deployed, pending)
			}
			contains(t, "helm list", r.run(t, r.helm, "list", "--all", "-n", r.namespace, "-o", "json"), `"status":"failed"`)
			if leases := r.leases(t); len(leases) > 0 {
				t.Errorf("a Lease is left: %v", leases)
			}

			path := filepath.Join(r.dir, "services", "second", "kai.yaml")
			data, err := os.ReadFile(path)
			must(t, err)
			write(t, path, strings.ReplaceAll(string(data), ", annotations: {e2e.kai/never-ready: here}", ""))
			r.run(t, r.kai, "install", "-c", "dev", "--wait")
			deployed, pending = r.records(t)
			for _, name := range []string{"first", "second", "third"} {
				if deployed[name] != 1 {
					t.Errorf("%s has %d deployed revisions", name, deployed[name])
				}
			}
			if len(pending) > 0 {
				t.Errorf("pending: %v", pending)
			}
		})
	}
}
