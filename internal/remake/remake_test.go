package remake

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/build/buildtest"
	"github.com/helm-kai/helm-kai/internal/chartdir"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// bench is a workspace on disk, the folder that its charts are written to again
// and again, and what is remembered of that.
type bench struct {
	t                *testing.T
	dir, out, memory string
	maker            string
	contexts         []string
	opened           int // how often the workspace was read
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), out: filepath.Join(t.TempDir(), "charts"), memory: filepath.Join(t.TempDir(), "memory"), maker: "kai 1", contexts: []string{"prod"}}
	if err := os.CopyFS(b.dir, buildtest.Corpus(8)); err != nil {
		t.Fatal(err)
	}
	b.edit("kai-workspace.yaml", "services: [services/*]", "services: [services/*]\nflavors: [flavors]\nfriends: [friends]")
	b.edit("kai-workspace.yaml", "    namespace: corpus\n", "    namespace: corpus\n    versions: versions\n")
	b.write("flavors/own/flavor.yaml", "apiVersion: kai/v1\nname: own\nversion: 1.0.0\nextends: webservice\n")
	b.write("flavors/own/templates/extra.yaml", "# extra\n")
	b.write("friends/mongodb.yaml", "apiVersion: kai/v1\nname: mongodb\nfrom: mongodb\nvalues: {resources: {limits: {memory: 640Mi}}}\n")
	b.edit(descriptor("payment-00004"), "  - name: base\n", "  - name: base\n    flavor: own\n")
	return b
}

func descriptor(service string) string { return "services/" + service + "/kai.yaml" }

func (b *bench) path(name string) string { return filepath.Join(b.dir, filepath.FromSlash(name)) }

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(b.path(name)), 0o755), os.WriteFile(b.path(name), []byte(text), 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) edit(name, from, to string) {
	b.t.Helper()
	data, err := os.ReadFile(b.path(name))
	if err != nil || strings.Count(string(data), from) != 1 {
		b.t.Fatalf("%s: %v\n%s", name, err, data)
	}
	b.write(name, strings.Replace(string(data), from, to, 1))
}

func (b *bench) remove(name string) {
	b.t.Helper()
	if err := os.RemoveAll(b.path(name)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) job(out, memory string) Job {
	b.t.Helper()
	root, err := os.OpenRoot(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { root.Close() })
	return Job{
		FS: root.FS(), Contexts: slices.Clone(b.contexts), Out: out, Memory: memory, Maker: b.maker, Workspace: b.dir,
		Open: func(fsys fs.FS) (*workspace.Workspace, source.Findings, error) {
			b.opened++
			ws, findings := workspace.Open(fsys)
			if ws == nil {
				return nil, findings, findings
			}
			return ws, findings, nil
		},
	}
}

// run writes the charts, and gives how many came to be in which state.
func (b *bench) run() map[chartdir.State]int {
	b.t.Helper()
	b.opened = 0
	return b.do(b.job(b.out, b.memory))
}

func (b *bench) do(j Job) map[chartdir.State]int {
	b.t.Helper()
	outcomes, findings, err := Run(context.Background(), j)
	if err != nil || len(findings) > 0 {
		b.t.Fatal(findings, err)
	}
	states := map[chartdir.State]int{}
	for _, o := range outcomes {
		for _, r := range o.Results {
			states[r.State]++
		}
	}
	return states
}

// settle runs until all that is there is sealed.
func (b *bench) settle() {
	b.t.Helper()
	for range 5 {
		time.Sleep(30 * time.Millisecond)
		if b.run(); b.opened == 0 {
			return
		}
	}
	b.t.Skip("this file system keeps no seals")
}

// compare holds what is there to what is made from nothing.
func (b *bench) compare() {
	b.t.Helper()
	fresh := filepath.Join(b.t.TempDir(), "charts")
	b.do(b.job(fresh, ""))
	want, have := b.tree(fresh), b.tree(b.out)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] != want[name] {
			b.t.Errorf("%s is\n%s\nand not\n%s", name, have[name], want[name])
		}
		delete(have, name)
	}
	for name := range have {
		b.t.Errorf("%s should not be there", name)
	}
}

func (b *bench) tree(root string) map[string]string {
	b.t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		tree[strings.TrimPrefix(name, root)] = string(data)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return tree
}

// TestChanges changes each kind of input, and what was written, and holds the result
// to what is made from nothing.
func TestChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if states := b.run(); states[chartdir.Created] != 9 {
		t.Fatal(states)
	}
	b.settle()
	chart := func(name string) string { return filepath.Join(b.out, "prod", filepath.FromSlash(name)) }
	for _, c := range []struct {
		name    string
		change  func()
		updated int // charts
	}{
		{"nothing", func() {}, 0},
		{"a descriptor", func() { b.edit(descriptor("carts-00001"), "one of many", "some of many") }, 1},
		{"a comment in it", func() {
			b.edit(descriptor("carts-00001"), "apiVersion: kai/v1\n", "# words\napiVersion: kai/v1\n")
		}, 0},
		{"a mounted file", func() { b.edit("services/catalogue-00002/config/app.yaml", "listen: ", "listens: ") }, 1},
		{"a template of a flavor", func() { b.write("flavors/own/templates/extra.yaml", "# another\n") }, 1},
		{"a file more in a flavor", func() { b.write("flavors/own/templates/more.yaml", "# more\n") }, 1},
		{"a friend", func() { b.edit("friends/mongodb.yaml", "640Mi", "768Mi") }, 2},
		{"a friend that hides the library's", func() {
			b.write("friends/redis.yaml", "apiVersion: kai/v1\nname: redis\nfrom: redis\nvalues: {resources: {limits: {memory: 96Mi}}}\n")
		}, 1},
		{"a friend that is gone", func() { b.remove("friends/redis.yaml") }, 1},
		{"the port of a service that others call", func() {
			b.edit(descriptor("user-00007"), "    image: release\n", "    image: release\n    routes: [{name: http, port: 80, containerPort: 8085}]\n")
		}, 2},
		{"a version file", func() { b.write("versions/carts-00001.yaml", "images: [{name: release, tag: 2.0.0}]\n") }, 1},
		{"the workspace", func() { b.edit("kai-workspace.yaml", "version: 1.0.0", "version: 1.1.0") }, 9},
		{"a field of a chart's schema", func() {
			b.edit("flavors/own/flavor.yaml", "extends: webservice\n", "extends: webservice\ncontext: {colour: string}\ndefaults: {colour: red}\n")
		}, 1},
		{"a friend more", func() {
			b.edit(descriptor("payment-00004"), "    flavor: own\n", "    flavor: own\n    friends: [nats]\n")
		}, 1},
		{"a shared friend's values", func() {
			for _, name := range []string{"queue-master-00005", "shipping-00006"} {
				b.edit(descriptor(name), "{from: rabbitmq, type: dependency}", "{from: rabbitmq, type: dependency, values: {resources: {limits: {memory: 900Mi}}}}")
			}
		}, 1},
		{"a chart that is gone", func() { os.RemoveAll(chart("orders-00003")) }, 0},
		{"a file that is gone", func() { os.Remove(chart("orders-00003/templates/deployment.yaml")) }, 1},
		{"a shared friend's chart that is gone", func() { os.RemoveAll(chart("rabbitmq")) }, 0},
		{"another kai", func() { b.maker = "kai 2" }, 0},
	} {
		c.change()
		states := b.run()
		if states[chartdir.Updated] != c.updated {
			t.Errorf("%s: %v, and not %d updated", c.name, states, c.updated)
		}
		b.compare()
		if t.Failed() {
			t.Fatal(c.name)
		}
		b.settle()
	}
}

// TestComeAndGo adds services and takes them away.
func TestComeAndGo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	b.settle()
	b.write(descriptor("more"), "apiVersion: kai/v1\nname: more\nimages: [{name: release, repository: example/more, tag: 1.0.0}]\ncontexts: [{name: base, image: release}]\n")
	if states := b.run(); states[chartdir.Created] != 1 {
		t.Error(states)
	}
	b.edit(descriptor("more"), "name: more\n", "name: renamed\n")
	if states := b.run(); states[chartdir.Created] != 1 || states[chartdir.Removed] != 1 {
		t.Error(states)
	}
	b.remove("services/more")
	if states := b.run(); states[chartdir.Removed] != 1 {
		t.Error(states)
	}
	b.compare()
}

// TestEdited finds an edit by hand whose file has got back its size and time.
func TestEdited(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	b.settle()
	file := filepath.Join(b.out, "prod", "carts-00001", "values.yaml")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{data[0] ^ 1}, 0)
	if err := errors.Join(err, f.Close(), os.Chtimes(file, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	if states := b.run(); states[chartdir.Refused] != 1 {
		t.Fatal(states)
	}
	if states := b.run(); states[chartdir.Refused] != 1 {
		t.Fatal("it was said once only: ", states)
	}
	j := b.job(b.out, b.memory)
	j.Check = true
	if states := b.do(j); states[chartdir.Stale] != 1 {
		t.Fatal(states)
	}
	j.Check, j.Force = false, true
	if states := b.do(j); states[chartdir.Updated] != 1 {
		t.Fatal(states)
	}
	b.compare()
}

// TestDamaged runs with every part of what is remembered damaged.
func TestDamaged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run()
	b.settle()
	entries, err := os.ReadDir(b.memory)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	file := filepath.Join(b.memory, entries[0].Name())
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b.edit(descriptor("carts-00001"), "one of many", "some of many")
	for name, damaged := range map[string][]byte{
		"cut":     whole[:len(whole)/2],
		"empty":   {},
		"flipped": append([]byte{whole[0] ^ 1}, whole[1:]...),
		"longer":  append(slices.Clone(whole), 'x'),
	} {
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		b.run()
		b.compare()
		if t.Failed() {
			t.Fatal(name)
		}
	}
	if _, ok := decode(whole); !ok {
		t.Error("the whole one is not read")
	}
}

// TestNothingHalf changes nothing where any context has a mistake, and leaves no
// folder behind.
func TestNothingHalf(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.contexts = []string{"prod", "dev"}
	b.edit(descriptor("carts-00001"), "    image: release\n", "    image: nowhere\n")
	outcomes, findings, err := Run(context.Background(), b.job(b.out, b.memory))
	if outcomes != nil || err != nil || findings.Err() == nil || !strings.Contains(findings.Error(), "nowhere") {
		t.Error(outcomes, findings, err)
	}
	for _, name := range []string{b.out, b.memory} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there", name)
		}
	}
	b.edit(descriptor("carts-00001"), "image: nowhere", "image: release")
	b.run()
	b.settle()
	before := b.tree(b.out)
	b.edit(descriptor("orders-00003"), "one of many", "some of many")
	b.edit(descriptor("carts-00001"), "image: release", "image: nowhere")
	if _, findings, _ := Run(context.Background(), b.job(b.out, b.memory)); findings.Err() == nil {
		t.Error("the mistake is not found")
	}
	if !maps.Equal(before, b.tree(b.out)) {
		t.Error("something was written")
	}
	b.edit(descriptor("carts-00001"), "image: nowhere", "image: release")
	b.run()
	b.compare()
}

// TestTogether has several runs write the same charts at once, of contexts in
// different orders.
func TestTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.contexts = []string{"prod", "dev"}
	b.run()
	b.edit(descriptor("carts-00001"), "one of many", "some of many")
	done := make(chan error)
	for i := range 4 {
		j := b.job(b.out, b.memory)
		j.Open = func(fsys fs.FS) (*workspace.Workspace, source.Findings, error) {
			ws, findings := workspace.Open(fsys)
			return ws, findings, nil
		}
		if i%2 == 1 {
			slices.Reverse(j.Contexts)
		}
		go func() {
			_, findings, err := Run(context.Background(), j)
			done <- errors.Join(err, findings.Err())
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	b.compare()
}

// TestNotOurs believes nothing that others may have put in the place of what is
// remembered, does not wait for it, and removes nobody's files.
func TestNotOurs(t *testing.T) {
	t.Parallel()
	s := store{dir: t.TempDir()}
	file := s.file("workspace", "out")
	if err := s.save(file, &state{maker: "kai", inputs: []inputs{{}}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	if !chartdir.Private(info) {
		t.Skip("whose a file is cannot be told here")
	}
	if s.load(file, "kai") == nil {
		t.Fatal("it is not read")
	}
	if err := os.Chmod(file, 0o622); err != nil {
		t.Fatal(err)
	}
	if s.load(file, "kai") != nil {
		t.Error("others can write to it")
	}
	link := s.file("workspace", "link")
	if err := errors.Join(os.Chmod(file, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	if s.load(link, "kai") != nil {
		t.Error("it is a link")
	}
	if err := os.Truncate(file, maxState+1); err != nil {
		t.Fatal(err)
	}
	if s.load(file, "kai") != nil {
		t.Error("it is too large")
	}

	old := time.Now().Add(-2 * keep)
	other := filepath.Join(s.dir, "model.go")
	if err := errors.Join(os.WriteFile(other, nil, 0o600), os.Chtimes(other, old, old), os.Chtimes(file, old, old)); err != nil {
		t.Fatal(err)
	}
	s.sweep()
	if _, err := os.Lstat(other); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is kept for ever")
	}
}
