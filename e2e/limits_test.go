//go:build unix

package e2e

import (
	"crypto/rand"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstallSize installs a chart that is as large as a record can be, and one that is larger: nothing of that is sent,
// nor of what comes before it.
func TestInstallSize(t *testing.T) {
	t.Parallel()
	r := newKaiRun(t, newNamespace("size"))
	write(t, filepath.Join(r.dir, "kai-workspace.yaml"), "apiVersion: kai/v1\nname: two\nversion: 1.0.0\nservices: [services/*]\ncontexts: [{name: dev, namespace: "+r.namespace+"}]\n")
	write(t, filepath.Join(r.dir, "services", "small", "kai.yaml"), "apiVersion: kai/v1\nname: small\nimages: [{name: release, repository: example/small, tag: 1.0.0}]\n"+
		"contexts: [{name: base, flavor: webservice, image: release, routes: [{name: http, port: 80}]}]\n")
	write(t, filepath.Join(r.dir, "services", "big", "kai.yaml"), `apiVersion: kai/v1
name: big
images: [{name: release, repository: example/big, tag: 1.0.0}]
contexts:
  - name: base
    flavor: webservice
    image: release
    routes: [{name: http, port: 80}]
    friends: [{service: small, needs: true}]
    mounts: [{name: one, path: /one, files: [one.txt]}, {name: two, path: /two, files: [two.txt]}]
`)
	// Random digits do not compress below half; a record holds them in the chart and in the manifest.
	fill := func(size int) {
		for _, name := range []string{"one", "two"} {
			data := make([]byte, size)
			_, err := rand.Read(data)
			must(t, err)
			write(t, filepath.Join(r.dir, "services", "big", name+".txt"), hex.EncodeToString(data)+"\n")
		}
	}

	fill(175_000)
	for _, dry := range []string{"none", "server"} {
		got := r.try(t, r.kai, "install", "-c", "dev", "--create-namespace", "--dry-run="+dry)
		if got.code != 1 {
			t.Errorf("exit code %d, want 1", got.code)
		}
		contains(t, "stderr", string(got.stderr), "the record of the release big would have")
		contains(t, "stderr", string(got.stderr), "hint: move large files out of the chart")
		if dry == "none" {
			deployed, pending := r.records(t)
			if len(deployed)+len(pending)+len(r.objects(t))+len(r.leases(t)) > 0 {
				t.Errorf("something was sent: %v %v %v", deployed, pending, r.objects(t))
			}
		}
	}

	fill(141_000)
	r.run(t, r.kai, "install", "-c", "dev", "--create-namespace", "--wait")
	var record struct{ Data struct{ Release string } }
	must(t, cluster(t).Get(t.Context(), "/api/v1/namespaces/"+r.namespace+"/secrets/sh.helm.release.v1.big.v1", &record))
	if size := len(record.Data.Release) * 3 / 4; size < 900<<10 || size > 1<<20 {
		t.Errorf("the record has %d bytes, which is not just below the limit", size)
	}
	if got := r.run(t, r.helm, "get", "manifest", "big", "-n", r.namespace); strings.Count(got, "kind: ConfigMap") != 2 {
		t.Errorf("Helm does not read all of it: %d bytes", len(got))
	}
	if diff := r.try(t, r.kai, "diff", "-c", "dev", "--detailed-exitcode"); diff.code != 0 {
		t.Errorf("diff: exit code %d\n%s%s", diff.code, diff.stdout, diff.stderr)
	}
}
