//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestPlugin takes the plugin through its life, with every supported Helm and both ways of installing it that need no
// published release. All is offline: the hook builds with what Go has in its caches.
func TestPlugin(t *testing.T) {
	t.Parallel()
	for _, helm := range []tools.Tool{helm314, helm322, helm43} {
		for _, way := range []string{"folder", "git URL"} {
			t.Run(helm.Version+"/"+way, func(t *testing.T) {
				t.Parallel()
				newUser(t, helm).livesWithPlugin(t, way)
			})
		}
	}
}

// user is somebody with a Helm of their own, another plugin, and a git repository of kai to install from. The path has a
// space in it, as many a home has.
type user struct {
	command
	helm   string
	isFour bool
	home   string
	origin string
}

func newUser(t *testing.T, helm tools.Tool) user {
	t.Helper()
	home := filepath.Join(t.TempDir(), "a home")
	plugins := filepath.Join(home, "data", "plugins")
	u := user{helm: tool(t, helm), isFour: strings.HasPrefix(helm.Version, "v4"), home: home, origin: filepath.Join(home, "origin", "helm-kai")}
	u.env = append(goEnv(t), "HOME="+home, "PATH="+os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GOPROXY=off",
		// Helm 4 links a folder into its data home, whatever HELM_PLUGINS says: let both be one place.
		"HELM_PLUGINS="+plugins, "HELM_DATA_HOME="+filepath.Dir(plugins),
		"HELM_CACHE_HOME="+filepath.Join(home, "cache"), "HELM_CONFIG_HOME="+filepath.Join(home, "config"),
		"KUBECONFIG="+filepath.Join(home, "kubeconfig"))
	write(t, filepath.Join(home, ".gitconfig"), "[user]\n\tname = tester\n\temail = tester@example.com\n[init]\n\tdefaultBranch = main\n")
	write(t, filepath.Join(plugins, "other", "plugin.yaml"), "name: other\nversion: 0.1.0\nusage: greet\ndescription: greets\ncommand: \"echo other plugin\"\n")
	u.dir = home
	u.publish(t)
	return u
}

// goEnv keeps the caller's Go caches and settings, which lie below the home that is about to be replaced.
func goEnv(t *testing.T) []string {
	t.Helper()
	var env []string
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOFLAGS", "GOTOOLCHAIN"} {
		out, err := exec.Command("go", "env", name).Output()
		must(t, err)
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

// publish commits this checkout, as it is now, to the user's repository of kai.
func (u user) publish(t *testing.T) {
	t.Helper()
	checkout := root(t)
	files, err := exec.Command("git", "-C", checkout, "ls-files", "--cached", "--others", "--exclude-standard", "-z").Output()
	must(t, err)
	for _, file := range strings.Split(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		copyFile(t, filepath.Join(checkout, file), filepath.Join(u.origin, file))
	}
	origin := u.in(u.origin)
	origin.run(t, "git", "init", "-q")
	origin.run(t, "git", "add", "-A")
	origin.run(t, "git", "commit", "-q", "-m", "kai")
}

func (u user) in(dir string) command {
	return command{dir: dir, env: u.env}
}

// copyFile copies a file with its mode; one that is gone in the meantime, or deleted but not yet committed, is left out.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Lstat(from)
	if os.IsNotExist(err) {
		return
	}
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		must(t, err)
		must(t, os.Symlink(target, to))
		return
	}
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, info.Mode().Perm()))
}

func (u user) livesWithPlugin(t *testing.T, way string) {
	u.install(t, way)
	version := u.version(t)
	if got := u.run(t, u.helm, "kai", "version"); !strings.HasPrefix(got, "kai v"+version) {
		t.Errorf("helm kai version: got %q, want v%s, which plugin.yaml states", got, version)
	}
	u.generates(t)
	u.completes(t)
	u.passesExitCode(t)
	u.keepsOtherPlugins(t)
	u.updates(t)
	u.uninstalls(t)
}

func (u user) install(t *testing.T, way string) {
	t.Helper()
	args := []string{"plugin", "install"}
	switch way {
	case "folder":
		// Helm updates a linked plugin only under the name that its repository has.
		clone := filepath.Join(u.home, "work", filepath.Base(u.origin))
		u.run(t, "git", "clone", "-q", "file://"+u.origin, clone)
		args = append(args, clone)
	case "git URL":
		args = append(args, "file://"+u.origin)
		if u.isFour {
			// Helm 4 verifies signatures, which a git repository cannot have; Helm 3 does not know the flag.
			args = append(args, "--verify=false")
		}
	}
	t.Log(u.run(t, u.helm, args...))
}

// version is the one that the installed plugin.yaml states.
func (u user) version(t *testing.T) string {
	t.Helper()
	for _, line := range strings.Split(u.run(t, u.helm, "plugin", "list"), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "kai" {
			return fields[1]
		}
	}
	t.Fatal("helm plugin list does not list kai")
	return ""
}

func (u user) generates(t *testing.T) {
	t.Helper()
	service := u.in(filepath.Join(u.origin, "testdata", "hello"))
	out := filepath.Join(u.home, "out")
	service.run(t, u.helm, "kai", "generate", "-c", "dev", "-o", out)
	charts, err := filepath.Glob(filepath.Join(out, "dev", "*", "Chart.yaml"))
	must(t, err)
	if len(charts) != 1 {
		t.Errorf("helm kai generate made %d charts in %s, want 1", len(charts), out)
	}
}

func (u user) completes(t *testing.T) {
	t.Helper()
	service := u.in(filepath.Join(u.origin, "testdata", "hello"))
	got := service.run(t, u.helm, "__complete", "kai", "generate", "--context", "")
	contains(t, "completion of --context", got, "dev")
	contains(t, "completion of --context", got, ":4")
}

func (u user) passesExitCode(t *testing.T) {
	t.Helper()
	service := u.in(filepath.Join(u.origin, "testdata", "hello"))
	plugin := service.try(t, u.helm, "kai", "generate", "-c", "no-such-context", "-o", filepath.Join(u.home, "none"))
	service.env = append(service.env, "HELM_PLUGIN_NAME=kai")
	alone := service.try(t, kaiBinary(t), "generate", "-c", "no-such-context", "-o", filepath.Join(u.home, "none"))
	if alone.code == 0 || plugin.code != alone.code {
		t.Errorf("an unknown context: exit code %d through Helm, %d without", plugin.code, alone.code)
	}
	contains(t, "stderr through Helm", string(plugin.stderr), strings.TrimSpace(string(alone.stderr)))
}

func (u user) keepsOtherPlugins(t *testing.T) {
	t.Helper()
	contains(t, "helm plugin list", u.run(t, u.helm, "plugin", "list"), "other")
	contains(t, "helm other", u.run(t, u.helm, "other"), "other plugin")
}

// updates publishes a next version, which differs in plugin.yaml alone, and expects it after an update.
func (u user) updates(t *testing.T) {
	t.Helper()
	origin, manifest := u.in(u.origin), filepath.Join(u.origin, "plugin.yaml")
	text, err := os.ReadFile(manifest)
	must(t, err)
	write(t, manifest, strings.Replace(string(text), "\nversion: "+u.version(t), "\nversion: 99.0.1", 1))
	origin.run(t, "git", "commit", "-q", "-a", "-m", "next version")
	t.Log(u.run(t, u.helm, "plugin", "update", "kai"))
	if got := u.run(t, u.helm, "kai", "version"); !strings.HasPrefix(got, "kai v99.0.1") {
		t.Errorf("after the update helm kai version says %q, want v99.0.1", got)
	}
	u.keepsOtherPlugins(t)
}

func (u user) uninstalls(t *testing.T) {
	t.Helper()
	u.run(t, u.helm, "plugin", "uninstall", "kai")
	u.keepsOtherPlugins(t)
	if strings.Contains(u.run(t, u.helm, "plugin", "list"), "kai") {
		t.Error("kai is still listed after its uninstall")
	}
}
