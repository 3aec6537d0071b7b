package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// legacyPrefix begins the names of the older system's Secrets.
const legacyPrefix = "kaigara-"

// Legacy reads the Secrets of the older system in the store's namespace, for
// import: kaigara-APP, which holds all scopes of an app without telling them
// apart and is given as scope secret, or kaigara-APP-SCOPE. Which of both a name
// that ends in a scope is, it does not say: it is taken for the latter. The
// deployment is the namespace, which the older system had called after it. Its key
// version is left out, and so is a Secret without values.
func (s *Store) Legacy(ctx context.Context) ([]secrets.Doc, error) {
	rows, err := s.list(ctx, "", s.namespace)
	if err != nil {
		return nil, err
	}
	var names []string
	var paths []secrets.Path
	held := map[secrets.Path]string{}
	for _, row := range rows {
		path, ok := s.legacyPath(row.name)
		if !ok {
			continue
		}
		if other, twice := held[path]; twice {
			return nil, fmt.Errorf("%s: both Secrets %s and %s of the namespace %s may hold %s.%s\n  hint: delete the one that is not used any more", s.where, other, row.name, s.namespace, path.App, path.Scope)
		}
		held[path] = row.name
		names, paths = append(names, row.name), append(paths, path)
	}
	objects, err := s.getAll(ctx, len(names), func(i int) call {
		return call{verb: "get", resource: "secrets", namespace: s.namespace, name: names[i], role: func() string { return Role(s.namespace, s.namespace, false) }}
	})
	if err != nil {
		return nil, err
	}
	var docs []secrets.Doc
	for i, o := range objects {
		if o == nil {
			continue
		}
		version := o.data["version"]
		delete(o.data, "version")
		if len(o.data) == 0 {
			continue
		}
		values := make(map[string]secrets.Value, len(o.data))
		for key, text := range o.data {
			values[key] = secrets.New(text)
		}
		docs = append(docs, secrets.Doc{Path: paths[i], Values: values, Version: version, Time: o.time()})
	}
	slices.SortFunc(docs, func(a, b secrets.Doc) int {
		return cmp.Or(strings.Compare(a.Path.App, b.Path.App), strings.Compare(a.Path.Scope, b.Path.Scope))
	})
	return docs, nil
}

func (s *Store) legacyPath(name string) (secrets.Path, bool) {
	app, ok := strings.CutPrefix(name, legacyPrefix)
	path := secrets.Path{Deployment: s.namespace, App: app, Scope: secrets.Secret}
	for _, scope := range secrets.Scopes() {
		if rest, ends := strings.CutSuffix(app, "-"+scope); ends && rest != "" {
			path.App, path.Scope = rest, scope
		}
	}
	return path, ok && app != ""
}
