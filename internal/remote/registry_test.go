package remote

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// testRegistry is a registry that runs.
type testRegistry struct {
	host           string
	user, password string // "" for nobody
	roots          *x509.CertPool
}

// TestRegistry runs over our own and, where the variables name them, over real
// registries: e2e starts them.
func TestRegistry(t *testing.T) {
	t.Parallel()
	fake := httptest.NewServer(newFakeRegistry("", ""))
	t.Cleanup(fake.Close)
	secure := httptest.NewUnstartedServer(newFakeRegistry("anna", "hunter2"))
	secure.Config.ErrorLog = stdlog.New(io.Discard, "", 0) // of handshakes that are given up
	secure.StartTLS()
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	registries := map[string]testRegistry{
		"fake":     {host: strings.TrimPrefix(fake.URL, "http://")},
		"fake TLS": {host: strings.TrimPrefix(secure.URL, "https://"), user: "anna", password: "hunter2", roots: roots},
	}
	for _, kind := range []string{"PLAIN", "AUTH", "TLS"} {
		host := os.Getenv("KAI_TEST_REGISTRY_" + kind)
		if host == "" {
			continue
		}
		r := testRegistry{host: host}
		if kind != "PLAIN" {
			r.user, r.password = os.Getenv("KAI_TEST_REGISTRY_USER"), os.Getenv("KAI_TEST_REGISTRY_PASSWORD")
		}
		if kind == "TLS" {
			authority, err := os.ReadFile(os.Getenv("KAI_TEST_REGISTRY_CA"))
			if err != nil {
				t.Fatal(err)
			}
			r.roots = x509.NewCertPool()
			r.roots.AppendCertsFromPEM(authority)
		}
		registries["real "+kind] = r
	}
	for name, r := range registries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("folder", func(t *testing.T) { t.Parallel(); r.testFolder(t) })
			t.Run("chart", func(t *testing.T) { t.Parallel(); r.testChart(t) })
			t.Run("errors", func(t *testing.T) { t.Parallel(); r.testErrors(t) })
		})
	}
}

// transport trusts the registry.
func (r testRegistry) transport(t testing.TB) *http.Transport {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// login writes the file that docker login and helm registry login write.
func (r testRegistry) login(t testing.TB, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if r.user == "" {
		return path
	}
	store, err := credentials.NewFileStore(path)
	if err == nil {
		err = store.Put(t.Context(), r.host, auth.Credential{Username: r.user, Password: password})
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// options let a fetcher in.
func (r testRegistry) options(t testing.TB) func(*Options) {
	logins := []string{filepath.Join(t.TempDir(), "none.json"), r.login(t, r.password)}
	return func(o *Options) { o.Transport, o.Registries = r.transport(t), logins }
}

// repository is for pushes, as oras makes them.
func (r testRegistry) repository(t testing.TB, name string) *remote.Repository {
	t.Helper()
	repository, err := remote.NewRepository(r.host + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = r.roots == nil
	client := &auth.Client{Client: &http.Client{Transport: r.transport(t)}}
	if r.user != "" {
		client.Credential = auth.StaticCredential(r.host, auth.Credential{Username: r.user, Password: r.password})
	}
	repository.Client = client
	return repository
}

// pushFolder does what oras push HOST/NAME:TAG FOLDER does.
func (r testRegistry) pushFolder(t testing.TB, name, tag, folder, mediaType string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		full := filepath.Join(dir, folder, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	store, err := file.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	layer, err := store.Add(t.Context(), folder, mediaType, "")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := oras.PackManifest(t.Context(), store, oras.PackManifestVersion1_1, "application/vnd.example.flavor", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(t.Context(), manifest, tag); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(t.Context(), store, tag, r.repository(t, name), tag, oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	return string(manifest.Digest)
}

// unique is a repository's name that only this test has, also on a real registry
// that others use before or after it.
func unique() string { return "kai/" + strings.ToLower(rand.Text()) }

func (r testRegistry) testFolder(t *testing.T) {
	name := unique()
	digest := r.pushFolder(t, name, "1.0.0", "web", "", map[string]string{"flavor.yaml": "one", "templates/_x.tpl": "x"})
	f := fetcher(t, r.options(t))
	s := source(t, "oci://"+r.host+"/"+name+":1.0.0")
	pin := resolve(t, f, s)
	if pin.Resolved != digest {
		t.Errorf("got %+v, want %s", pin, digest)
	}
	const one = "flavor.yaml=one templates/_x.tpl=x"
	wantTree(t, f, s, pin, one)
	wantTree(t, fetcher(t, r.options(t)), s, pin, one)
	for suffix, want := range map[string]string{"@" + digest: one, ":1.0.0@" + digest: one, ":1.0.0//templates": "_x.tpl=x", "?version=^1": one, "//templates?version=*": "_x.tpl=x"} {
		s := source(t, "oci://"+r.host+"/"+name+suffix)
		wantTree(t, f, s, resolve(t, f, s), want)
	}

	// The tag moves: the pin holds, and resolving anew finds it.
	moved := r.pushFolder(t, name, "1.0.0", "web", "", map[string]string{"flavor.yaml": "two"})
	wantTree(t, fetcher(t, r.options(t)), s, pin, one)
	anew, err := f.Resolve(t.Context(), s, pin)
	if err != nil || anew.Resolved != moved || anew.Digest == pin.Digest {
		t.Errorf("got %+v, %v", anew, err)
	}
	wantTree(t, f, s, anew, "flavor.yaml=two")

	r.pushFolder(t, name, "1.1.0_b", "web", "", map[string]string{"flavor.yaml": "three"})
	r.pushFolder(t, name, "2.0.0-rc.1", "web", "", map[string]string{"flavor.yaml": "four"})
	ranged := source(t, "oci://"+r.host+"/"+name+"?version=^1")
	pin = resolve(t, f, ranged)
	if !strings.HasPrefix(pin.Resolved, "1.1.0+b@sha256:") {
		t.Errorf("got %+v", pin)
	}
	wantTree(t, fetcher(t, r.options(t)), ranged, pin, "flavor.yaml=three")
}

// packChart packages a chart as Helm does.
func packChart(t testing.TB, name, version, value string) []byte {
	t.Helper()
	path, err := chartutil.Save(&chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: name, Version: version},
		Templates: []*chart.File{{Name: "templates/a.yaml", Data: []byte("a: " + value)}},
	}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// pushChart does what helm push does.
func (r testRegistry) pushChart(t testing.TB, name, tag string, data []byte) {
	t.Helper()
	repository := r.repository(t, name)
	config, err := oras.PushBytes(t.Context(), repository, helmConfig, []byte(`{"name": "web"}`))
	if err != nil {
		t.Fatal(err)
	}
	// The file of its provenance need not come last.
	provenance, err := oras.PushBytes(t.Context(), repository, "application/vnd.cncf.helm.chart.provenance.v1.prov", []byte("signed"))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := oras.PushBytes(t.Context(), repository, helmChart, data)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := oras.PackManifest(t.Context(), repository, oras.PackManifestVersion1_0, "", oras.PackManifestOptions{ConfigDescriptor: &config, Layers: []ocispec.Descriptor{provenance, layer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := repository.Tag(t.Context(), manifest, tag); err != nil {
		t.Fatal(err)
	}
}

func (r testRegistry) testChart(t *testing.T) {
	name := unique()
	for _, version := range []string{"1.2.3+b", "1.3.0"} {
		r.pushChart(t, name+"/web", strings.ReplaceAll(version, "+", "_"), packChart(t, "web", version, version))
	}
	f := fetcher(t, r.options(t))
	for version, want := range map[string]string{"1.2.3+b": "1.2.3+b", "^1.2": "1.3.0", "": "1.3.0"} {
		s, err := Chart("oci://"+r.host+"/"+name, "web", version)
		if err != nil {
			t.Fatal(err)
		}
		pin := resolve(t, f, s)
		tree, err := f.Tree(t.Context(), s, pin)
		if err != nil {
			t.Fatal(err)
		}
		if got := filesOf(t, tree); !strings.Contains(got, "templates/a.yaml=a: "+want) || !strings.Contains(got, "Chart.yaml=") {
			t.Errorf("%s: got %s", version, got)
		}
	}
}

func (r testRegistry) testErrors(t *testing.T) {
	name := unique()
	digest := r.pushFolder(t, name, "1.0.0", "web", "", map[string]string{"flavor.yaml": "one"})
	f := fetcher(t, r.options(t))
	at := func(suffix string) Source { return source(t, "oci://"+r.host+"/"+name+suffix) }
	_, err := f.Resolve(t.Context(), at(":2.0.0"), Pin{})
	wantError(t, err, NotFound, "no 2.0.0 there")
	_, err = f.Resolve(t.Context(), at("/none:1"), Pin{})
	wantError(t, err, NotFound, "is it spelt right")
	_, err = f.Resolve(t.Context(), at("?version=^2"), Pin{})
	wantError(t, err, NotFound, `none of its 1 tags is a version in "^2"`)
	_, err = f.Resolve(t.Context(), at(":1.0.0//none"), Pin{})
	wantError(t, err, NotFound, `no files below "none"`)
	_, err = f.Resolve(t.Context(), at("@sha256:"+strings.Repeat("0", 64)), Pin{})
	wantError(t, err, NotFound, "helm kai upgrade")
	r.pushFolder(t, name, "other", "web", "application/vnd.example.thing", map[string]string{"x": "1"})
	_, err = f.Resolve(t.Context(), at(":other"), Pin{})
	wantError(t, err, Refused, `a layer of "application/vnd.example.thing"`)
	pin := Pin{Source: at(":1.0.0").String(), Resolved: digest, Digest: "sha256:" + strings.Repeat("0", 64)}
	_, err = f.Tree(t.Context(), at(":1.0.0"), pin)
	wantError(t, err, Mismatch, "other files than are pinned")
	if r.user != "" {
		wrong := r.login(t, "hunter3")
		for _, logins := range [][]string{nil, {wrong}} {
			_, err := fetcher(t, r.options(t), func(o *Options) { o.Registries = logins }).Resolve(t.Context(), at(":1.0.0"), Pin{})
			wantError(t, err, Denied, "helm registry login")
			if err != nil && strings.Contains(err.Error(), "hunter3") {
				t.Errorf("the error shows the password: %v", err)
			}
		}
	}
	if r.roots != nil {
		_, err := fetcher(t).Resolve(t.Context(), at(":1.0.0"), Pin{})
		wantError(t, err, Denied, "certificate is not trusted")
	}
}

// TestHelmsCharts gets the charts that e2e lets Helm itself package, index and
// push, with the login that Helm has written.
func TestHelmsCharts(t *testing.T) {
	addresses := strings.Fields(os.Getenv("KAI_TEST_HELM_CHARTS"))
	if len(addresses) == 0 {
		t.Skip("e2e makes them")
	}
	authority, err := os.ReadFile(os.Getenv("KAI_TEST_REGISTRY_CA"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	digests := map[string]string{}
	for _, address := range addresses {
		f := fetcher(t, func(o *Options) {
			o.Transport, o.Registries = testRegistry{roots: roots}.transport(t), []string{os.Getenv("KAI_TEST_HELM_LOGINS")}
		})
		for version, want := range map[string]string{"1.2.3+b": "1.2.3+b", "~1.2": "1.2.3+b", "": "1.3.0"} {
			s, err := Chart(address, "web", version)
			if err != nil {
				t.Fatal(err)
			}
			pin := resolve(t, f, s)
			wantValue(t, f, s, pin, want)
			// From wherever it comes, it is the same tree.
			if known := digests[want]; known != "" && known != pin.Digest {
				t.Errorf("%s is %s and %s", s, pin.Digest, known)
			}
			digests[want] = pin.Digest
		}
	}
}

// TestRegistryRefuses: manifests and layers that are not what is taken.
func TestRegistryRefuses(t *testing.T) {
	t.Parallel()
	fake := newFakeRegistry("", "")
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	tarball := pack(t, member{name: "x", data: "1"})
	empty := fake.put("application/vnd.oci.empty.v1+json", []byte("{}"), "")
	manifest := func(config string, layers ...string) string {
		return fmt.Sprintf(`{"schemaVersion": 2, "mediaType": %q, "config": %s, "layers": [%s]}`, ocispec.MediaTypeImageManifest, config, strings.Join(layers, ","))
	}
	layer := func(data []byte, more string) string { return fake.put(ocispec.MediaTypeImageLayerGzip, data, more) }
	titled := `, "annotations": {"io.deis.oras.content.unpack": "true", "org.opencontainers.image.title": "web"}`
	for name, test := range map[string]struct {
		mediaType, text string
		reason          Reason
		want            string
	}{
		"index":        {ocispec.MediaTypeImageIndex, `{"schemaVersion": 2, "manifests": []}`, Refused, ocispec.MediaTypeImageIndex},
		"docker":       {"application/vnd.docker.distribution.manifest.v2+json", manifest(empty, layer(tarball, "")), Refused, "vnd.docker.distribution.manifest.v2+json"},
		"image":        {"", manifest(fake.put(ocispec.MediaTypeImageConfig, []byte("{}"), ""), layer(tarball, "")), Refused, "container image"},
		"two-layers":   {"", manifest(empty, layer(tarball, ""), layer(tarball, "")), Refused, "2 layers"},
		"no-layers":    {"", manifest(empty), Refused, "0 layers"},
		"no-chart":     {"", manifest(fake.put(helmConfig, []byte("{}"), ""), layer(tarball, "")), Refused, "chart without its archive"},
		"plain-tar":    {"", manifest(empty, fake.put(ocispec.MediaTypeImageLayer, tarball, "")), Refused, ocispec.MediaTypeImageLayer},
		"zstd":         {"", manifest(empty, fake.put(ocispec.MediaTypeImageLayerZstd, tarball, "")), Refused, "zstd"},
		"no-json":      {"", "]", Refused, "no JSON"},
		"not-zipped":   {"", manifest(empty, layer([]byte("plain"), "")), Refused, "damaged"},
		"link":         {"", manifest(empty, layer(pack(t, member{name: "x", flag: '2', link: "/etc"}), "")), Refused, "symbolic link"},
		"title":        {"", manifest(empty, layer(tarball, titled)), Refused, `not below "web"`},
		"large":        {"", manifest(empty, fmt.Sprintf(`{"mediaType": %q, "digest": %q, "size": 99999999999}`, ocispec.MediaTypeImageLayerGzip, digestOf(tarball))), TooLarge, "bound of 64 MiB"},
		"short":        {"", manifest(empty, fmt.Sprintf(`{"mediaType": %q, "digest": %q, "size": 3}`, ocispec.MediaTypeImageLayerGzip, digestOf(tarball))), "", ""},
		"sha512":       {"", manifest(empty, fmt.Sprintf(`{"mediaType": %q, "digest": "sha512:%s", "size": 3}`, ocispec.MediaTypeImageLayerGzip, strings.Repeat("0", 128))), Refused, "sha256"},
		"no-blob":      {"", manifest(empty, fmt.Sprintf(`{"mediaType": %q, "digest": "sha256:%s", "size": 3}`, ocispec.MediaTypeImageLayerGzip, strings.Repeat("0", 64))), "", "not found"},
		"chart-beside": {"", manifest(fake.put(helmConfig, []byte("{}"), ""), fake.put(helmChart, tarball, "")), Refused, "beside the chart"},
	} {
		mediaType := test.mediaType
		if mediaType == "" {
			mediaType = ocispec.MediaTypeImageManifest
		}
		fake.tag("x", name, mediaType, test.text)
		_, err := fetcher(t, func(o *Options) { o.Attempts = 1 }).Resolve(t.Context(), source(t, "oci://"+host+"/x:"+name), Pin{})
		if test.reason == "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		wantError(t, err, test.reason, test.want)
	}
	for name, layers := range map[string]string{
		"flux":  fake.put(fluxContent, tarball, ""),
		"plain": layer(tarball, `, "annotations": {"org.opencontainers.image.title": "web.tgz"}`),
		"title": layer(pack(t, member{name: "web/x", data: "1"}), titled),
	} {
		fake.tag("y", name, ocispec.MediaTypeImageManifest, manifest(empty, layers))
		f, s := fetcher(t), source(t, "oci://"+host+"/y:"+name)
		wantTree(t, f, s, resolve(t, f, s), "x=1")
	}
}

func TestRegistryFaults(t *testing.T) {
	t.Parallel()
	files := map[string]string{"x": strings.Repeat("noise ", 1000)}
	want := "x=" + strings.TrimSpace(files["x"])
	start := func(t *testing.T, before func(w http.ResponseWriter, r *http.Request, n int) bool) (Source, *faults, *fakeRegistry) {
		fake := newFakeRegistry("", "")
		server, log := serve(t, fake, nil)
		r := testRegistry{host: strings.TrimPrefix(server.URL, "http://")}
		r.pushFolder(t, "web", "1", "web", "", files)
		log.from(before)
		return source(t, "oci://"+r.host+"/web:1"), log, fake
	}
	isBlob := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") }
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request, n int) bool{
		"503": func(w http.ResponseWriter, _ *http.Request, n int) bool {
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n == 1
		},
		"429": func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n == 1 && isBlob(r) {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			return false
		},
		"cut": func(w http.ResponseWriter, r *http.Request, n int) bool {
			if isBlob(r) && n == 1 {
				cutHalf(w, r)
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, _ := start(t, fault)
			f := fetcher(t)
			wantTree(t, f, s, resolve(t, f, s), want)
			wantClean(t, f)
		})
	}
	t.Run("other bytes", func(t *testing.T) {
		t.Parallel()
		s, _, fake := start(t, nil)
		fake.mu.Lock()
		for digest, data := range fake.blobs {
			fake.blobs[digest] = append(data[:len(data)-1:len(data)-1], 'x')
		}
		fake.mu.Unlock()
		_, err := fetcher(t).Resolve(t.Context(), s, Pin{})
		wantError(t, err, Mismatch, "other bytes than their digest")
	})
	t.Run("other manifest", func(t *testing.T) {
		t.Parallel()
		s, _, fake := start(t, nil)
		pin := resolve(t, fetcher(t), s)
		fake.mu.Lock()
		m := fake.manifests["web/1"]
		m.data = append(m.data, ' ')
		fake.manifests["web/"+pin.Resolved] = m
		fake.mu.Unlock()
		_, err := fetcher(t).Tree(t.Context(), s, pin)
		if err == nil {
			t.Error("it is taken")
		}
	})
	t.Run("redirects", func(t *testing.T) {
		t.Parallel()
		s, log, _ := start(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
			return true
		})
		_, err := fetcher(t).Resolve(t.Context(), s, Pin{})
		wantError(t, err, Refused, "bound of 5 times")
		if n := log.count("GET"); n != 6 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		s, _, _ := start(t, func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			<-r.Context().Done()
			return true
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := fetcher(t).Resolve(ctx, s, Pin{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("in the clear", func(t *testing.T) {
		t.Parallel()
		plain := func(o *Options) {
			o.PlainHTTP = []string{"registry.example.test"}
			o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return nil, fmt.Errorf("asked %s", r.URL.Scheme) })
		}
		_, err := fetcher(t, plain).Resolve(t.Context(), source(t, "oci://registry.example.test/web:1"), Pin{})
		wantError(t, err, Unreachable, "asked http")
		_, err = fetcher(t, plain).Resolve(t.Context(), source(t, "oci://other.example.test/web:1"), Pin{})
		wantError(t, err, Unreachable, "asked https")
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// TestRegistryRedirectsCredentials: a blob that lies elsewhere is got without the
// registry's login.
func TestRegistryRedirectsCredentials(t *testing.T) {
	t.Parallel()
	fake := newFakeRegistry("anna", "hunter2")
	other, seen := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := json.Marshal(r.Header)
		if err != nil || strings.Contains(string(data), "Authorization") {
			http.Error(w, "a login came along", http.StatusTeapot)
			return
		}
		fake.mu.Lock()
		defer fake.mu.Unlock()
		answer(w, r, "application/octet-stream", "", fake.blobs[r.URL.Path[1:]])
	}), nil)
	server, log := serve(t, fake, nil)
	r := testRegistry{host: strings.TrimPrefix(server.URL, "http://"), user: "anna", password: "hunter2"}
	r.pushFolder(t, "web", "1", "web", "", map[string]string{"x": "1"})
	log.from(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		_, digest, ok := strings.Cut(r.URL.Path, "/blobs/")
		if ok && r.Header.Get("Authorization") != "" {
			http.Redirect(w, r, other.URL+"/"+digest+"?signature=hunter4", http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	f, s := fetcher(t, r.options(t)), source(t, "oci://"+r.host+"/web:1")
	wantTree(t, f, s, resolve(t, f, s), "x=1")
	if seen.count("GET") == 0 {
		t.Error("the other server was not asked")
	}
	// What the address was signed with is nobody's to read.
	other.Close()
	_, err := fetcher(t, r.options(t)).Resolve(t.Context(), s, Pin{})
	if err == nil || strings.Contains(err.Error(), "hunter") {
		t.Errorf("got %v", err)
	}
}
