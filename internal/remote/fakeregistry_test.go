package remote

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// fakeRegistry speaks as much of the protocol of registries as pushes and pulls
// need. The tests of TestRegistry hold it against a real one.
type fakeRegistry struct {
	// user and password are asked for, unless user is "".
	user, password string

	mu        sync.Mutex
	blobs     map[string][]byte
	manifests map[string]fakeManifest // by REPOSITORY/TAG and REPOSITORY/DIGEST
	tags      map[string][]string
}

type fakeManifest struct {
	mediaType string
	data      []byte
}

func newFakeRegistry(user, password string) *fakeRegistry {
	return &fakeRegistry{user: user, password: password, blobs: map[string][]byte{}, manifests: map[string]fakeManifest{}, tags: map[string][]string{}}
}

var registryPath = regexp.MustCompile(`^/v2/(.+)/(blobs|manifests|tags)/(.*)$`)

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); f.user != "" && (user != f.user || password != f.password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		fakeError(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	parts := registryPath.FindStringSubmatch(r.URL.Path)
	if parts == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch name, what := parts[1], parts[3]; parts[2] {
	case "blobs":
		f.blob(w, r, name, what)
	case "manifests":
		f.manifest(w, r, name, what)
	case "tags":
		_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "tags": f.tags[name]})
	}
}

func fakeError(w http.ResponseWriter, code int, what string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"errors": [{"code": %q, "message": "no"}]}`, what)
}

func (f *fakeRegistry) blob(w http.ResponseWriter, r *http.Request, name, what string) {
	switch {
	case r.Method == http.MethodPost:
		w.Header().Set("Location", "/v2/"+name+"/blobs/uploads/"+rand.Text())
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		data, err := io.ReadAll(r.Body)
		if digest := r.URL.Query().Get("digest"); err != nil || digestOf(data) != digest {
			fakeError(w, http.StatusBadRequest, "DIGEST_INVALID")
			return
		}
		f.blobs[digestOf(data)] = data
		w.WriteHeader(http.StatusCreated)
	default:
		data, ok := f.blobs[what]
		if !ok {
			fakeError(w, http.StatusNotFound, "BLOB_UNKNOWN")
			return
		}
		answer(w, r, "application/octet-stream", what, data)
	}
}

func (f *fakeRegistry) manifest(w http.ResponseWriter, r *http.Request, name, what string) {
	if r.Method == http.MethodPut {
		data, _ := io.ReadAll(r.Body)
		m := fakeManifest{r.Header.Get("Content-Type"), data}
		f.manifests[name+"/"+what], f.manifests[name+"/"+digestOf(data)] = m, m
		if !strings.HasPrefix(what, "sha256:") && !slices.Contains(f.tags[name], what) {
			f.tags[name] = append(f.tags[name], what)
		}
		w.Header().Set("Docker-Content-Digest", digestOf(data))
		w.WriteHeader(http.StatusCreated)
		return
	}
	m, ok := f.manifests[name+"/"+what]
	if !ok {
		fakeError(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
		return
	}
	answer(w, r, m.mediaType, digestOf(m.data), m.data)
}

func answer(w http.ResponseWriter, r *http.Request, mediaType, digest string, data []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

// put stores a blob and gives its descriptor, in JSON.
func (f *fakeRegistry) put(mediaType string, data []byte, more string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blobs[digestOf(data)] = data
	return fmt.Sprintf(`{"mediaType": %q, "digest": %q, "size": %d%s}`, mediaType, digestOf(data), len(data), more)
}

// tag stores a manifest.
func (f *fakeRegistry) tag(name, tag, mediaType, text string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := fakeManifest{mediaType, []byte(text)}
	f.manifests[name+"/"+tag], f.manifests[name+"/"+digestOf(m.data)] = m, m
	if !slices.Contains(f.tags[name], tag) {
		f.tags[name] = append(f.tags[name], tag)
	}
	return digestOf(m.data)
}
