package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is an API server that knows namespaces and Secrets, as far as this package
// needs them. TestServer runs the same tests against a real one.
type fake struct {
	mu         sync.Mutex
	namespaces []string
	objects    map[string]map[string]any // by NAMESPACE/RESOURCE/NAME
	version    int
	page       int // bounds a page, beside what is asked for
	requests   []string

	// before is asked first; true is that it has answered.
	before func(w http.ResponseWriter, r *http.Request) bool
	// cut says whether the answer to a request that was done gets lost.
	cut func(r *http.Request) bool
}

func newFake(t *testing.T, namespaces ...string) (*fake, *httptest.Server) {
	t.Helper()
	f := &fake{namespaces: namespaces, objects: map[string]map[string]any{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	before, cut := f.before, f.cut
	f.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	f.mu.Lock()
	code, answer := f.answer(r, body)
	f.mu.Unlock()
	if cut != nil && cut(r) {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func problem(code int, reason, message string) (int, any) {
	return code, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code}
}

func (f *fake) answer(r *http.Request, body []byte) (int, any) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/")
	if len(parts) < 2 {
		return problem(404, "NotFound", "the server could not find the requested resource")
	}
	namespace, resource := parts[0], parts[1]
	if len(parts) == 2 && r.Method == http.MethodGet {
		return f.list(r, namespace+"/"+resource+"/")
	}
	var sent map[string]any
	if len(body) > 0 {
		if err := json.Unmarshal(body, &sent); err != nil {
			return problem(400, "BadRequest", err.Error())
		}
	}
	metadata, _ := sent["metadata"].(map[string]any)
	if len(parts) == 2 {
		if !slices.Contains(f.namespaces, namespace) {
			_, answer := problem(404, "NotFound", fmt.Sprintf("namespaces %q not found", namespace))
			answer.(map[string]any)["details"] = map[string]any{"kind": "namespaces", "name": namespace}
			return 404, answer
		}
		key := namespace + "/" + resource + "/" + metadata["name"].(string)
		if f.objects[key] != nil {
			return problem(409, "AlreadyExists", fmt.Sprintf("secrets %q already exists", metadata["name"]))
		}
		metadata["uid"] = fmt.Sprintf("uid-%d", f.version)
		metadata["creationTimestamp"] = time.Now().UTC().Format(time.RFC3339)
		return f.store(201, key, sent)
	}
	key := namespace + "/" + resource + "/" + parts[2]
	there := f.objects[key]
	if there == nil {
		return problem(404, "NotFound", fmt.Sprintf("secrets %q not found", parts[2]))
	}
	at := there["metadata"].(map[string]any)
	switch r.Method {
	case http.MethodPut:
		if metadata["resourceVersion"] != at["resourceVersion"] {
			return problem(409, "Conflict", "the object has been modified")
		}
		if there["immutable"] == true {
			return problem(422, "Invalid", "data: Forbidden: field is immutable when `immutable` is set")
		}
		return f.store(200, key, sent)
	case http.MethodDelete:
		conditions := sent["preconditions"].(map[string]any)
		if conditions["resourceVersion"] != at["resourceVersion"] || conditions["uid"] != at["uid"] {
			return problem(409, "Conflict", "the preconditions are not met")
		}
		f.version++
		delete(f.objects, key)
		return 200, map[string]any{"kind": "Status", "status": "Success"}
	}
	return 200, there
}

func (f *fake) store(code int, key string, o map[string]any) (int, any) {
	size := 0
	data, _ := o["data"].(map[string]any)
	for name, field := range data {
		plain, err := base64.StdEncoding.DecodeString(field.(string))
		if err != nil || !isKey(name) {
			return problem(422, "Invalid", fmt.Sprintf("data[%s]: Invalid value", name))
		}
		size += len(plain)
	}
	if size > 1<<20 {
		return problem(422, "Invalid", "data: Too long")
	}
	metadata := o["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	for name, field := range labels {
		if text := field.(string); len(text) > 63 || !isLabel.MatchString(text) {
			return problem(422, "Invalid", "metadata.labels: Invalid value: "+name)
		}
	}
	if name := metadata["name"].(string); len(name) > 253 || !isDNS.MatchString(name) {
		return problem(422, "Invalid", "metadata.name: Invalid value")
	}
	f.version++
	metadata["resourceVersion"] = strconv.Itoa(f.version)
	f.objects[key] = o
	return code, o
}

// isKey is Kubernetes' own rule, written another way than this package's.
func isKey(name string) bool {
	return len(name) <= 253 && name != "." && !strings.HasPrefix(name, "..") && name != "" &&
		strings.Trim(name, "-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func (f *fake) list(r *http.Request, prefix string) (int, any) {
	query := r.URL.Query()
	label, value, selects := strings.Cut(query.Get("labelSelector"), "=")
	var names []string
	for key, o := range f.objects {
		labels, _ := o["metadata"].(map[string]any)["labels"].(map[string]any)
		if strings.HasPrefix(key, prefix) && key > query.Get("continue") && (!selects || labels[label] == value) {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	limit, _ := strconv.Atoi(query.Get("limit"))
	if f.page > 0 && limit > 0 {
		limit = min(limit, f.page)
	}
	metadata := map[string]any{"resourceVersion": strconv.Itoa(f.version)}
	if limit > 0 && len(names) > limit {
		names = names[:limit]
		metadata["continue"] = names[limit-1]
	}
	rows := []any{}
	for _, name := range names {
		o := f.objects[name]
		data, _ := o["data"].(map[string]any)
		rows = append(rows, map[string]any{
			"cells":  []any{o["metadata"].(map[string]any)["name"], o["type"], len(data), "1s"},
			"object": map[string]any{"kind": "PartialObjectMetadata", "metadata": o["metadata"]},
		})
	}
	columns := []any{map[string]any{"name": "Name"}, map[string]any{"name": "Type"}, map[string]any{"name": "Data"}, map[string]any{"name": "Age"}}
	return 200, map[string]any{"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": columns, "rows": rows}
}

// put puts an object there, as somebody else would.
func (f *fake) put(namespace, resource, name string, o map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	metadata, _ := o["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["name"], metadata["namespace"] = name, namespace
	metadata["uid"], metadata["resourceVersion"] = fmt.Sprintf("uid-%d", f.version), strconv.Itoa(f.version)
	o["metadata"] = metadata
	f.objects[namespace+"/"+resource+"/"+name] = o
}

// edit changes a Secret, as somebody does by hand.
func (f *fake) edit(namespace, name string, change func(o map[string]any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[namespace+"/secrets/"+name]
	change(o)
	f.version++
	o["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(f.version)
}

// get gives a copy of an object, nil where there is none.
func (f *fake) get(namespace, resource, name string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := json.Marshal(f.objects[namespace+"/"+resource+"/"+name])
	if err != nil {
		panic(err)
	}
	var o map[string]any
	_ = json.Unmarshal(text, &o)
	return o
}

func (f *fake) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}
