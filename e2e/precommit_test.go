//go:build unix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// preCommitHook is an entry of .pre-commit-hooks.yaml.
type preCommitHook struct {
	ID, Language, Entry, Files, Exclude string
	PassFilenames                       bool `yaml:"pass_filenames"`
	AlwaysRun                           bool `yaml:"always_run"`
}

// TestPreCommitHooks does what pre-commit does: it installs the programs of a clone into a fresh GOBIN, and runs the entries of
// the hooks before a commit, with the files of the commit. A bad commit is stopped, and says why; a good one is made.
func TestPreCommitHooks(t *testing.T) {
	t.Parallel()
	clone, bin := t.TempDir(), t.TempDir()
	copyCheckout(t, clone)
	data, err := os.ReadFile(filepath.Join(clone, ".pre-commit-hooks.yaml"))
	must(t, err)
	var hooks []preCommitHook
	must(t, yaml.Unmarshal(data, &hooks))
	// With the flags of the other tests' builds, so that Go's cache has the packages.
	env := []string{"GOBIN=" + bin, "GOFLAGS=-trimpath -buildvcs=false '-ldflags=-s -w'", "GOWORK=off"}
	for _, name := range []string{"HOME", "PATH", "GOPROXY", "GOMODCACHE", "GOCACHE", "GOPATH"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	command{dir: clone, env: env}.run(t, "go", "install", "./...")

	for _, hook := range hooks {
		if _, ok := preCommitMistakes[strings.TrimSuffix(hook.ID, "-system")]; !ok {
			t.Errorf("%s has no test", hook.ID)
		}
		if twin, ok := strings.CutSuffix(hook.ID, "-system"); ok {
			if hook.Language != "system" || !hasTwin(hooks, twin, hook) {
				t.Errorf("%s is not the twin of %s", hook.ID, twin)
			}
		} else if hook.Language != "golang" {
			t.Errorf("%s is written in %s", hook.ID, hook.Language)
		}
	}
	for id, mistakes := range preCommitMistakes {
		var hook preCommitHook
		for _, h := range hooks {
			if h.ID == id {
				hook = h
			}
		}
		for _, m := range mistakes {
			t.Run(id+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				m.test(t, hook, bin)
			})
		}
	}
}

// hasTwin says whether a hook is there that does the same as another.
func hasTwin(hooks []preCommitHook, id string, other preCommitHook) bool {
	for _, h := range hooks {
		if h.ID == id {
			other.ID, other.Language = h.ID, h.Language
			return h == other
		}
	}
	return false
}

// preCommitMistake is a commit that a hook stops.
type preCommitMistake struct {
	name string
	// file, from and to are the change; a file without from is new, and one without to goes.
	file, from, to string
	// says are what the developer reads.
	says []string
	// mend is the command that mends it, or else it is undone.
	mend string
}

var preCommitMistakes = map[string][]preCommitMistake{
	"kai-fmt": {
		{
			name: "style", file: "services/web/kai.yaml", from: "  - name: base\n    image: release\n", to: "  - image: release\n    name: base\n",
			says: []string{"formatted\tservices/web/kai.yaml", "+  - name: base"}, mend: "true",
		},
	},
	"kai-validate": {
		{
			name: "descriptor", file: "services/web/kai.yaml", from: "replicas: 2", to: "relicas: 2",
			says: []string{"services/web/kai.yaml:9:32: ", "relicas", "hint: did you mean", "replicas", "1 error"},
		},
		{
			name: "manifest", file: "services/web/objects/extra.yaml", from: "pathType: Prefix", to: "pathType: Prefixed",
			says: []string{"services/web/", `"Prefixed" is not among the values`, `hint: did you mean "Prefix"`},
		},
		{
			name: "workspace", file: "kai-workspace.yaml", from: "flavor: webservice", to: "flavor: webservise",
			says: []string{"kai-workspace.yaml:4:", `there is no flavor "webservise"`},
		},
	},
	"kai-generate-check": {
		{
			name: "stale", file: "services/web/kai.yaml", from: "replicas: 2", to: "replicas: 3", mend: "kai generate --all-contexts",
			says: []string{"stale\tcharts/dev/web/values.yaml", "1 chart is stale", "hint: kai generate -c dev", "-replicas: 2\n", "+replicas: 3\n"},
		},
		{
			name: "edited", file: "charts/dev/web/values.yaml", from: "replicas: 2", to: "replicas: 4",
			says: []string{"edited\tcharts/dev/web/values.yaml", "hint: kai generate -c dev"},
		},
		{name: "gone", file: "charts/dev/web/Chart.yaml", says: []string{"charts/dev/web/Chart.yaml"}, mend: "kai generate --all-contexts --force"},
	},
}

func (m preCommitMistake) test(t *testing.T, hook preCommitHook, bin string) {
	dir := t.TempDir()
	git := command{dir: dir, env: []string{
		"HOME=" + t.TempDir(), "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}}
	for name, text := range preCommitShop {
		write(t, filepath.Join(dir, name), text)
	}
	git.run(t, filepath.Join(bin, "kai"), "generate", "--all-contexts")
	git.run(t, "git", "init", "-q")
	git.run(t, "git", "add", "-A")
	git.run(t, "git", "commit", "-q", "-m", "all")
	hook.install(t, dir)

	path := filepath.Join(dir, m.file)
	before, err := os.ReadFile(path)
	must(t, err)
	if m.from == "" {
		must(t, os.Remove(path))
	} else {
		contains(t, m.file, string(before), m.from)
		write(t, path, strings.Replace(string(before), m.from, m.to, 1))
	}
	git.run(t, "git", "add", "-A")
	got := git.try(t, "git", "commit", "-q", "-m", "bad")
	if said := string(got.stdout) + string(got.stderr); got.code == 0 {
		t.Errorf("the commit is made:\n%s", said)
	} else {
		for _, says := range m.says {
			contains(t, "what a developer reads", said, says)
		}
	}
	if m.mend != "" {
		git.run(t, "sh", "-c", m.mend)
	} else {
		write(t, path, string(before)+"\n# a remark\n")
	}
	if strings.HasPrefix(m.file, "charts/") { // where no remark of ours may stand
		write(t, path, string(before))
	}
	write(t, filepath.Join(dir, "README.md"), "another change\n")
	git.run(t, "git", "add", "-A")
	git.run(t, "git", "commit", "-q", "-m", "good")
}

// install makes a hook git's own, as pre-commit runs it: with the files that are staged and match, or none.
func (h preCommitHook) install(t *testing.T, dir string) {
	t.Helper()
	_, err := regexp.Compile(h.Files)
	must(t, err)
	files, arguments := "git diff --cached --name-only --diff-filter=ACMRTUXB | grep -E '"+h.Files+"'", ""
	if h.Exclude != "" {
		files += " | grep -vE '" + h.Exclude + "'"
	}
	if h.PassFilenames {
		arguments = " $files"
	}
	// A hook that changes files fails.
	script := fmt.Sprintf("#!/bin/sh\nfiles=$(%s)\nif [ -n \"$files\" ] || %v; then %s%s && git diff --exit-code; fi\n", files, h.AlwaysRun, h.Entry, arguments)
	path := filepath.Join(dir, ".git", "hooks", "pre-commit")
	write(t, path, script)
	must(t, os.Chmod(path, 0o755))
}

var preCommitShop = map[string]string{
	"kai-workspace.yaml": `apiVersion: kai/v1
name: shop
services: [services/*]
defaults: {flavor: webservice}
contexts: [{name: dev}]
`,
	"services/web/kai.yaml": `apiVersion: kai/v1
name: web
images: [{name: release, registry: registry.example.com, repository: web, tag: 1.0.0}]
probes: [{name: alive, tcpSocket: {port: http}}, {name: ready, httpGet: {path: /, port: http}}]
routes: [{name: http, port: 80, containerPort: 8080}]
contexts:
  - name: base
    image: release
  - {name: dev, extends: base, replicas: 2, probes: {liveness: alive, readiness: ready}, routes: [http], objects: [objects/extra.yaml]}
`,
	"services/web/objects/extra.yaml": `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {rules: [{host: web.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`,
}

// copyCheckout copies the checkout's files as they are now, but the ignored ones.
func copyCheckout(t *testing.T, to string) {
	t.Helper()
	names := command{dir: root(t), env: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*", "PATH=" + os.Getenv("PATH")}}.run(t,
		"git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimRight(names, "\x00"), "\x00") {
		from, target := filepath.Join(root(t), name), filepath.Join(to, name)
		info, err := os.Lstat(from)
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		must(t, err)
		must(t, os.MkdirAll(filepath.Dir(target), 0o755))
		if info.Mode()&os.ModeSymlink != 0 {
			link, err := os.Readlink(from)
			must(t, err)
			must(t, os.Symlink(link, target))
			continue
		}
		data, err := os.ReadFile(from)
		must(t, err)
		must(t, os.WriteFile(target, data, info.Mode().Perm()))
	}
}
