package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// width is how many requests are under way at once, maxRead how much they may
// bring together.
const (
	width   = 8
	maxRead = 64 << 20
)

// Read implements secrets.Store: one request for each path, up to eight at a time.
func (s *Store) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	var once []secrets.Path
	asked := make(map[secrets.Path]bool, len(paths))
	for _, path := range paths {
		if err := checkPath(path); err != nil {
			return nil, err
		}
		if !asked[path] {
			asked[path] = true
			once = append(once, path)
		}
	}
	objects, err := s.getAll(ctx, len(once), func(i int) call { return s.getPath(once[i]) })
	if err != nil {
		return nil, err
	}
	docs := make(map[secrets.Path]secrets.Doc, len(once))
	for i, path := range once {
		if objects[i].version() != "" {
			docs[path] = objects[i].doc(path)
		}
	}
	return docs, nil
}

func (s *Store) getPath(path secrets.Path) call {
	return call{verb: "get", resource: "secrets", namespace: s.namespace, name: Name(path), role: func() string { return Role(s.namespace, path.Deployment, false, path) }}
}

// get reads an object; nil is one that is not there.
func (s *Store) get(ctx context.Context, c call) (*object, error) {
	body, err := s.do(ctx, c)
	if reasonOf(err) == notFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o, err := parseObject(body)
	if err != nil {
		return nil, &s.refuse(c, err.Error(), "is it the address of a cluster?").Error
	}
	return o, nil
}

// getAll reads several objects. What is denied is said all at once; any other
// error ends the reading.
func (s *Store) getAll(ctx context.Context, n int, of func(i int) call) ([]*object, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	objects, errs := make([]*object, n), make([]error, n)
	places := make(chan struct{}, width)
	var running sync.WaitGroup
	var mu sync.Mutex
	size := 0
	for i := range n {
		places <- struct{}{}
		if ctx.Err() != nil {
			<-places
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			objects[i], errs[i] = s.get(ctx, of(i))
			if errs[i] != nil && kindOf(errs[i]) != Denied {
				cancel(errs[i])
			}
			if objects[i] == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, text := range objects[i].data {
				size += len(text)
			}
			if size > maxRead {
				cancel(fmt.Errorf("%s: the Secrets that are read hold more than %d MiB together", s.where, maxRead>>20))
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return objects, errors.Join(errs...)
}

// List implements secrets.Store. Of the Secrets only names, labels and the number
// of keys are asked for.
func (s *Store) List(ctx context.Context, deployment string) ([]secrets.Path, error) {
	if checkPath(secrets.Path{Deployment: deployment, App: secrets.Global, Scope: secrets.Secret}) != nil {
		return nil, ctx.Err()
	}
	label, _ := labelValue(deployment)
	rows, err := s.list(ctx, keyDeployment+"="+label, deployment)
	if err != nil {
		return nil, err
	}
	var paths []secrets.Path
	for _, row := range rows {
		path := row.path()
		// A copy under another name is not the path's.
		if path.Deployment == deployment && row.keys > 0 && checkPath(path) == nil && row.name == Name(path) {
			paths = append(paths, path)
		}
	}
	slices.SortFunc(paths, func(a, b secrets.Path) int {
		return cmp.Or(strings.Compare(a.App, b.App), strings.Compare(a.Scope, b.Scope))
	})
	return paths, nil
}

// row is what a list says of a Secret.
type row struct {
	name                string
	labels, annotations map[string]string
	keys                int
}

func (r row) path() secrets.Path {
	level := func(key string) string { return cmp.Or(r.annotations[key], r.labels[key]) }
	return secrets.Path{Deployment: level(keyDeployment), App: level(keyApp), Scope: level(keyScope)}
}

// table is a list as kubectl prints it: it comes without the objects' data.
type table struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	Columns []struct {
		Name string `json:"name"`
	} `json:"columnDefinitions"`
	Rows []struct {
		Cells  []any `json:"cells"`
		Object struct {
			Metadata struct {
				Name        string            `json:"name"`
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
		} `json:"object"`
	} `json:"rows"`
}

// perPage bounds the Secrets of one answer.
const perPage = 500

// list gives the Secrets of the namespace that a selector chooses.
func (s *Store) list(ctx context.Context, selector, deployment string) ([]row, error) {
	c := call{
		verb: "list", resource: "secrets", namespace: s.namespace, accept: "application/json;as=Table;g=meta.k8s.io;v=v1",
		query: url.Values{"limit": {fmt.Sprint(perPage)}}, role: func() string { return Role(s.namespace, deployment, false) },
	}
	if selector != "" {
		c.query.Set("labelSelector", selector)
	}
	var rows []row
	for {
		body, err := s.do(ctx, c)
		if reasonOf(err) == expired && c.query.Get("continue") != "" {
			// It took too long; all at once cannot.
			rows = nil
			c.query.Del("continue")
			c.query.Del("limit")
			continue
		}
		if err != nil {
			return nil, err
		}
		var t table
		if err := json.Unmarshal(body, &t); err != nil || t.Kind != "Table" {
			return nil, &s.refuse(c, "the answer is no list of Kubernetes", "is it the address of a cluster?").Error
		}
		rows = append(rows, t.rows()...)
		if t.Metadata.Continue == "" {
			return rows, nil
		}
		c.query.Set("continue", t.Metadata.Continue)
	}
}

func (t table) rows() []row {
	column := slices.IndexFunc(t.Columns, func(c struct {
		Name string `json:"name"`
	}) bool {
		return c.Name == "Data"
	})
	rows := make([]row, len(t.Rows))
	for i, r := range t.Rows {
		m := r.Object.Metadata
		// Where nobody tells, it is taken to hold something.
		rows[i] = row{m.Name, m.Labels, m.Annotations, 1}
		if column >= 0 && column < len(r.Cells) {
			if n, ok := r.Cells[column].(float64); ok {
				rows[i].keys = int(n)
			}
		}
	}
	return rows
}

// Object gives what a Secret or a ConfigMap of any namespace holds, as texts: for
// references. Without a namespace it is the store's. Nil is one that is not there.
func (s *Store) Object(ctx context.Context, kind, namespace, name string) (map[string]secrets.Value, error) {
	resource, ok := map[string]string{"Secret": "secrets", "ConfigMap": "configmaps"}[kind]
	if !ok {
		return nil, fmt.Errorf("%s: kai reads no %s\n  hint: a Secret or a ConfigMap", s.where, kind)
	}
	namespace = cmp.Or(namespace, s.namespace)
	for _, n := range []string{namespace, name} {
		if len(n) > maxName || !isDNS.MatchString(n) {
			return nil, fmt.Errorf("%s: %q is no name of Kubernetes\n  hint: lower-case letters, digits, dots and dashes", s.where, n)
		}
	}
	o, err := s.get(ctx, call{verb: "get", resource: resource, namespace: namespace, name: name, role: func() string {
		return roleFor(namespace, "kai-references", rule{[]string{resource}, []string{name}, []string{"get"}})
	}})
	if o == nil || err != nil {
		return nil, err
	}
	values := make(map[string]secrets.Value, len(o.data))
	for key, text := range o.data {
		values[key] = secrets.New(text)
	}
	return values, nil
}
