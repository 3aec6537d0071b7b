package workspace_test

import (
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// FuzzOpen: whatever stands in a workspace's file, in a friend's and in a
// flavor's, opening it and asking for what it has ends soon, in bounded memory,
// and never in a panic.
func FuzzOpen(f *testing.F) {
	const (
		service = "apiVersion: kai/v1\nname: web\nimages:\n  - {name: release, repository: web, tag: 1.0.0}\ncontexts:\n  - {name: base, flavor: own, image: release, friends: [db]}\n"
		friend  = "apiVersion: kai/v1\nname: db\nfrom: postgresql\ntype: dependency\nconfig: {database: web}\n"
		flavor  = "apiVersion: kai/v1\nname: own\nversion: 1.0.0\nextends: webservice\n"
	)
	for _, file := range []string{
		"apiVersion: kai/v1\nname: shop\nservices: [services/*]\nflavors: [flavors]\nfriends: [friends]\ncontexts:\n  - {name: base, namespace: shop, values: {replicas: 2}, secrets: {provider: file, path: secrets.yaml}}\n  - {name: prod, extends: base, uses: [base], only: [web], cluster: {kubeContext: prod, uid: a}}\n",
		"apiVersion: kai/v1\nname: shop\nservices: ['../*', '[', '**/**', '/etc']\nvariables: ../x.yaml\ndefaults: {resources: {requests: {cpu: 1}}}\ncontexts: [{name: a, extends: b}, {name: b, extends: a}]\n",
		"a: &a [*a]\n", "services: 1\ncontexts: {a: b}\n", "",
	} {
		f.Add([]byte(file), []byte(friend), []byte(flavor))
		f.Add([]byte(file), []byte("from: db\nname: db\n"), []byte("extends: own\nname: own\n"))
	}
	f.Fuzz(func(t *testing.T, file, friend, flavor []byte) {
		tree := fstest.MapFS{
			workspace.FileName:        {Data: file},
			"services/web/kai.yaml":   {Data: []byte(service)},
			"friends/db.yaml":         {Data: friend},
			"flavors/own/flavor.yaml": {Data: flavor},
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		ask(tree)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 1024 || took > time.Minute {
			t.Fatalf("%d bytes took %s and %d MiB", len(file)+len(friend)+len(flavor), took, made)
		}
	})
}

// ask opens a workspace and asks for all that it has.
func ask(tree fstest.MapFS) {
	w, _ := workspace.Open(tree)
	if w == nil {
		return
	}
	names := w.ContextNames()
	for _, name := range names[:min(len(names), 4)] {
		target, _ := w.Target(name)
		for _, service := range w.Services {
			if target != nil {
				w.VersionFile(target, service)
			}
		}
	}
	for _, name := range w.FlavorNames() {
		w.Flavor(source.NewString(source.Origin{}, name))
	}
	for _, name := range w.FriendNames() {
		w.Friend(source.NewString(source.Origin{}, name), false)
	}
}
