//go:build unix

package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/registryserver"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestSources takes a workspace through its life with a flavor from git, one from a real registry that wants a login, and
// friends' charts from that registry and from a chart repository, which a real Helm has pushed and indexed: pinned, moved with
// the effect shown, and used with all servers gone.
func TestSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary, err := cache(t).Get(t.Context(), tools.Registry())
	must(t, err)
	registry, err := registryserver.Start(t.Context(), binary, t.TempDir(), registryserver.Options{Login: true, TLS: true})
	must(t, err)
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			must(t, registry.Stop())
		}
	}
	t.Cleanup(stop)
	c := command{dir: dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SSL_CERT_FILE=" + registry.Authority, "KAI_CACHE=" + filepath.Join(dir, "cache"),
		"HELM_REGISTRY_CONFIG=" + filepath.Join(dir, "logins.json"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}}
	kai, helm := kaiBinary(t), tool(t, helm322)

	// What stands elsewhere.
	flavor := func(name, version, replicas string) string {
		return "apiVersion: kai/v1\nname: " + name + "\nversion: " + version + "\nextends: webservice\ndefaults: {replicas: " + replicas + "}\n"
	}
	repository := filepath.Join(dir, "flavors.git")
	commit := func(replicas string) {
		write(t, filepath.Join(repository, "web", "flavor.yaml"), flavor("web", "1.0."+replicas, replicas))
		c := command{dir: repository, env: c.env}
		c.run(t, "git", "init", "-q", "-b", "main")
		c.run(t, "git", "add", "-A")
		c.run(t, "git", "commit", "-q", "-m", "x")
		c.run(t, "git", "tag", "-f", "v1")
	}
	commit("2")
	push(t, registry, "flavors/api", "stable", map[string]string{"flavor.yaml": flavor("api", "1.0.0", "3")})
	packages := filepath.Join(dir, "packages")
	chart := func(version string) {
		write(t, filepath.Join(dir, "nats", "Chart.yaml"), "apiVersion: v2\nname: nats\nversion: "+version+"\n")
		write(t, filepath.Join(dir, "nats", "templates", "nats.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nats}\ndata: {version: "+version+"}\n")
		c.run(t, helm, "package", "nats", "-d", packages)
		c.run(t, helm, "repo", "index", packages)
	}
	chart("1.2.0")
	charts := httptest.NewServer(http.FileServer(http.Dir(packages)))
	t.Cleanup(charts.Close)

	// The workspace.
	shop := filepath.Join(dir, "shop")
	write(t, filepath.Join(shop, "kai-workspace.yaml"), "apiVersion: kai/v1\nname: shop\nservices: [services/*]\nfriends: [friends]\ncontexts: [{name: dev, namespace: shop}, {name: prod, namespace: shop}]\n")
	write(t, filepath.Join(shop, "friends", "nats.yaml"), "apiVersion: kai/v1\nname: nats\ntype: dependency\nchart: {repository: "+charts.URL+", name: nats, version: ^1.0.0}\n")
	write(t, filepath.Join(shop, "friends", "events.yaml"), "apiVersion: kai/v1\nname: events\ntype: requirement\nchart: {oci: oci://"+registry.Host+"/charts/nats, version: ^1.0.0}\n")
	for name, from := range map[string]string{"web": "git+file://" + repository + "//web?ref=v1", "api": "oci://" + registry.Host + "/flavors/api:stable"} {
		write(t, filepath.Join(shop, "services", name, "kai.yaml"), "apiVersion: kai/v1\nname: "+name+
			"\nimages: [{name: release, registry: registry.example.com, repository: "+name+", tag: 1.0.0}]\ncontexts:\n  - {name: base, image: release, friends: [nats, events], flavor: \""+from+"\"}\n")
	}
	fails := func(wanted string, args ...string) {
		t.Helper()
		got := c.try(t, kai, append(args, "-w", shop)...)
		if got.code == 0 || !strings.Contains(string(got.stderr), wanted) {
			t.Errorf("kai %v: exit code %d, wanted %q\n%s%s", args, got.code, wanted, got.stdout, got.stderr)
		}
	}
	has := func(text string, wanted ...string) {
		t.Helper()
		for _, part := range wanted {
			contains(t, "the output", text, part)
		}
	}

	fails("services/api/kai.yaml:5:67: contexts.base.flavor: oci://"+registry.Host+"/flavors/api:stable is not in kai.lock", "template", "-c", "dev")
	fails("log in", "upgrade")
	c.run(t, helm, "registry", "login", registry.Host, "-u", registryserver.User, "-p", registryserver.Password, "--ca-file", registry.Authority)
	pushChart := func(version string) {
		t.Helper()
		c.run(t, helm, "push", filepath.Join(packages, "nats-"+version+".tgz"), "oci://"+registry.Host+"/charts", "--ca-file", registry.Authority)
	}
	pushChart("1.2.0")
	c.run(t, kai, "upgrade", "-w", shop)
	first, err := os.ReadFile(filepath.Join(shop, "kai.lock"))
	must(t, err)
	manifests := c.run(t, kai, "template", "-c", "prod", "-w", shop)
	has(manifests, "replicas: 2", "replicas: 3", "version: 1.2.0")

	// All of them move: the pinned bytes stay.
	commit("5")
	push(t, registry, "flavors/api", "stable", map[string]string{"flavor.yaml": flavor("api", "1.1.0", "7")})
	chart("1.3.0")
	pushChart("1.3.0")
	must(t, os.RemoveAll(filepath.Join(dir, "cache")))
	if again := c.run(t, kai, "template", "-c", "prod", "-w", shop); again != manifests {
		t.Error("what is pinned has moved")
	}
	if got := c.try(t, kai, "upgrade", "--check", "-w", shop); got.code != 2 {
		t.Errorf("--check: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}

	// The upgrade shows the effect on every context, and then is what all use.
	shown := c.run(t, kai, "upgrade", "-w", shop)
	has(shown, "chart    nats   moved    1.2.0, ", "flavor   api    moved    ", "chart    nats   moved    1.2.0, ", "flavor   web    moved    ",
		"-  replicas: 2", "+  replicas: 5", "-  replicas: 3", "+  replicas: 7", `-  version: "1.2.0"`, `+  version: "1.3.0"`,
		"dev in namespace shop, compared with kai.lock", "prod in namespace shop, compared with kai.lock")
	manifests = c.run(t, kai, "template", "-c", "prod", "-w", shop)
	has(manifests, "replicas: 5", "replicas: 7", "version: 1.3.0")

	// A digest that is not theirs, with the cache and without.
	second, err := os.ReadFile(filepath.Join(shop, "kai.lock"))
	must(t, err)
	tampered := bytes.ReplaceAll(second, []byte("digest: sha256:"), []byte("digest: sha256:0000"))
	for i := range bytes.Split(tampered, []byte("\n")) {
		lines := strings.Split(string(tampered), "\n")
		if text, ok := strings.CutPrefix(lines[i], "    digest: "); ok {
			lines[i] = "    digest: " + text[:len("sha256:")+64]
			tampered = []byte(strings.Join(lines, "\n"))
		}
	}
	must(t, os.WriteFile(filepath.Join(shop, "kai.lock"), tampered, 0o644))
	fails("gives other files than are pinned", "template", "-c", "prod")
	must(t, os.WriteFile(filepath.Join(shop, "kai.lock"), second, 0o644))

	// All servers are gone.
	stop()
	charts.Close()
	must(t, os.Rename(repository, repository+".away"))
	if again := c.run(t, kai, "template", "-c", "prod", "-w", shop, "--offline"); again != manifests {
		t.Error("offline is not the same")
	}
	if again := c.run(t, kai, "template", "-c", "prod", "-w", shop); again != manifests {
		t.Error("without servers is not the same")
	}
	fails("is not in the cache", "template", "-c", "prod", "--offline", "--cache", filepath.Join(dir, "empty"))

	// The lock of a revision is what its charts are made with.
	c.dir = shop
	c.run(t, "git", "init", "-q", "-b", "main")
	must(t, os.WriteFile(filepath.Join(shop, "kai.lock"), first, 0o644))
	c.run(t, "git", "add", "-A")
	c.run(t, "git", "commit", "-q", "-m", "x")
	must(t, os.WriteFile(filepath.Join(shop, "kai.lock"), second, 0o644))
	has(c.run(t, kai, "diff", "-c", "dev", "--against", "git:main", "--offline"), "-  replicas: 2", "+  replicas: 5", `+  version: "1.3.0"`)
	has(c.run(t, helm, "template", "x", strings.TrimSpace(strings.TrimPrefix(c.run(t, kai, "generate", "-c", "dev", "web", "--offline"), "created"))), "replicas: 5")
}

// push puts a folder into a registry, as oras push HOST/NAME:TAG FOLDER/ does.
func push(t *testing.T, s *registryserver.Server, name, tag string, files map[string]string) {
	t.Helper()
	authority, err := os.ReadFile(s.Authority)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	send := func(method, url, kind string, data []byte) http.Header {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(data))
		must(t, err)
		request.SetBasicAuth(registryserver.User, registryserver.Password)
		request.Header.Set("Content-Type", kind)
		response, err := client.Do(request)
		must(t, err)
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s\n%s", method, url, response.Status, body)
		}
		return response.Header
	}
	base := "https://" + s.Host + "/v2/" + name
	blob := func(kind string, data []byte) map[string]any {
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		where := send("POST", base+"/blobs/uploads/", "", nil).Get("Location")
		send("PUT", where+"&digest="+digest, "application/octet-stream", data)
		return map[string]any{"mediaType": kind, "digest": digest, "size": len(data)}
	}
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	for path, text := range files {
		must(t, archive.WriteHeader(&tar.Header{Name: "folder/" + path, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}))
		_, err := io.WriteString(archive, text)
		must(t, err)
	}
	must(t, archive.Close())
	must(t, zipped.Close())
	layer := blob("application/vnd.oci.image.layer.v1.tar+gzip", b.Bytes())
	layer["annotations"] = map[string]string{"io.deis.oras.content.unpack": "true", "org.opencontainers.image.title": "folder"}
	const kind = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": kind, "artifactType": "application/vnd.example.flavor",
		"config": blob("application/vnd.oci.empty.v1+json", []byte("{}")), "layers": []any{layer},
	})
	must(t, err)
	send("PUT", base+"/manifests/"+tag, kind, manifest)
}
