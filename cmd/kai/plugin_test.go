package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gopkg.in/yaml.v3"
)

// pluginKeys are all that a plugin.yaml may hold: a key unknown to one Helm of those supported (3.14 up to 4) makes that
// Helm refuse every plugin of the user.
var pluginKeys = []string{"command", "description", "hooks", "ignoreFlags", "name", "usage", "version"}

func TestPluginManifestSuitsEveryHelm(t *testing.T) {
	t.Parallel()
	manifest := pluginManifest(t)
	if keys := slices.Sorted(maps.Keys(manifest)); !slices.Equal(keys, pluginKeys) {
		t.Errorf("plugin.yaml has the keys %v, want exactly %v", keys, pluginKeys)
	}
	if version, _ := manifest["version"].(string); !regexp.MustCompile(`^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z.-]+)?$`).MatchString(version) {
		t.Errorf("version %q: Helm 4 takes strict SemVer only, without a v", version)
	}
	for hook := range manifest["hooks"].(map[string]any) {
		if hook != "install" && hook != "update" {
			t.Errorf("hook %q is not one that every Helm knows and kai needs", hook)
		}
	}
}

// TestVersionStandsInOnePlace holds that plugin.yaml alone states kai's version: nothing that builds kai repeats it, and the
// variable which the linker sets has no value of its own. A linker that does not find the variable says nothing.
func TestVersionStandsInOnePlace(t *testing.T) {
	t.Parallel()
	version := pluginManifest(t)["version"].(string)
	for _, path := range []string{"../../Makefile", "../../scripts/install.sh"} {
		if strings.Contains(read(t, path), version) {
			t.Errorf("%s repeats the version %s, which stands in plugin.yaml", path, version)
		}
	}
	if !strings.Contains(read(t, "../../scripts/install.sh"), "-X main.version=v$version") {
		t.Error("scripts/install.sh does not build the version in")
	}
	if !declaresVersion(t) {
		t.Error("package main has no variable `var version string` without a value, which the linker could set")
	}
}

func declaresVersion(t *testing.T) bool {
	t.Helper()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if file.Name.Name != "main" || !ok || group.Tok != token.VAR {
				continue
			}
			for _, spec := range group.Specs {
				value := spec.(*ast.ValueSpec)
				kind, _ := value.Type.(*ast.Ident)
				if value.Names[0].Name == "version" && kind != nil && kind.Name == "string" && value.Values == nil {
					return true
				}
			}
		}
	}
	return false
}

func TestInstallBuildsOnceAndKeeps(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.install(t, 0, "installed v1.2.3")
	p.install(t, 0, "is v1.2.3 already")
	if target, err := os.Readlink(p.path("bin/kubectl-kai")); err != nil || target != "kai" {
		t.Errorf("bin/kubectl-kai leads to %q (%v), want a link to kai", target, err)
	}
	p.script(t, "plugin.yaml", "name: kai\nversion: 1.2.4 # next\n")
	p.install(t, 0, "installed v1.2.4")
}

func TestInstallRebuildsOnUpdate(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.install(t, 0, "installed v1.2.3")
	p.args = []string{"-u"}
	p.install(t, 0, "building v1.2.3")
	p.set("GO", "no-such-go")
	p.install(t, 0, "not rebuilt, since Go is not installed")
}

func TestInstallKeepsTheOldBinaryIfTheBuildFails(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.script(t, "bin/kai", "echo kai v1.0.0")
	p.script(t, "go", `[ "$1" = env ] || exit 1`)
	p.install(t, 1, "go build failed", "KAI_BIN=")
	p.holds(t, "echo kai v1.0.0")
}

func TestInstallRefusesABuildOfAnotherVersion(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.script(t, "go", strings.Replace(fakeGo, "kai $version", "kai v0.0.0", 1))
	p.install(t, 1, `says it is "0.0.0", not "1.2.3"`)
}

func TestInstallWithoutGo(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.set("GO", "no-such-go")
	p.install(t, 1, "Go is not installed", "install Go 1.26.0 or newer", "KAI_BIN=/path/to/kai sh ")
}

func TestInstallTakesAGivenBinary(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.script(t, "given", "echo kai v1.2.3")
	p.set("KAI_BIN", p.path("given"))
	p.set("GO", "no-such-go")
	sum := sha256.Sum256([]byte(read(t, p.path("given"))))
	p.set("KAI_BIN_SHA256", strings.ToUpper(hex.EncodeToString(sum[:])))
	p.install(t, 0, "installed v1.2.3")
	p.holds(t, "echo kai v1.2.3")
	p.script(t, "given", "echo kai v9.9.9")
	p.install(t, 1, "another checksum")
	p.holds(t, "echo kai v1.2.3")
	p.set("KAI_BIN_SHA256", "")
	p.install(t, 0, "note: the given binary is v9.9.9, this plugin v1.2.3")
}

func TestInstallRefusesWhatIsNoKai(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.script(t, "given", "echo hello")
	p.set("KAI_BIN", p.path("given"))
	p.install(t, 1, "not a kai that runs here")
	p.set("KAI_BIN", p.path("missing"))
	p.install(t, 1, "there is no such file")
	p.set("KAI_BIN", "")
	p.set("KAI_BIN_SHA256", "00")
	p.install(t, 1, "KAI_BIN is not")
}

func TestInstallSkips(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.set("KAI_SKIP_BIN_INSTALL", "1")
	p.install(t, 0, "nothing installed")
	if _, err := os.Stat(p.path("bin")); !os.IsNotExist(err) {
		t.Errorf("bin was made all the same (%v)", err)
	}
}

// TestInstallIntoAFolderItMayNotWrite puts a file where the folder belongs, which stops root as well.
func TestInstallIntoAFolderItMayNotWrite(t *testing.T) {
	t.Parallel()
	p := newPlugin(t)
	p.script(t, "bin", "")
	p.install(t, 1, "cannot write to", "checkout of your own")
}

// plugin is a folder in which the install hook runs, with a go command that only pretends.
type plugin struct {
	dir  string
	env  []string
	args []string
}

// fakeGo knows the two go commands the hook uses, and makes a kai that says the version it was built with.
const fakeGo = `
case $1 in
env) echo "fake $2" ;;
build)
	while [ $# -gt 0 ]; do
		case $1 in
		-ldflags) version=${2##*main.version=} ;;
		-o) out=$2 ;;
		esac
		shift
	done
	printf '#!/bin/sh\n%s\n' "echo kai $version" >"$out" && chmod +x "$out"
	;;
esac
`

func newPlugin(t *testing.T) *plugin {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the hook is a shell script")
	}
	p := &plugin{dir: filepath.Join(t.TempDir(), "a plugin")}
	p.env = []string{"PATH=" + os.Getenv("PATH"), "GO=" + p.path("go")}
	p.script(t, "go", fakeGo)
	p.script(t, "plugin.yaml", "name: kai\nversion: 1.2.3\n")
	p.script(t, "go.mod", "module example.com/kai\n\ngo 1.26.0\n")
	p.script(t, "scripts/install.sh", read(t, "../../scripts/install.sh"))
	return p
}

func (p *plugin) path(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

func (p *plugin) set(name, value string) { p.env = append(p.env, name+"="+value) }

// script writes a file, which is a shell script if it has no ending.
func (p *plugin) script(t *testing.T, name, text string) {
	t.Helper()
	if filepath.Ext(name) == "" {
		text = "#!/bin/sh\n" + text + "\n"
	}
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	// A process that another test starts at this moment would hold the file open for writing, and then it cannot be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(p.path(name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// install runs the hook as Helm does, and expects an exit code and parts of what it says. Nothing half-made may remain.
func (p *plugin) install(t *testing.T, code int, says ...string) {
	t.Helper()
	cmd := exec.Command("sh", append([]string{p.path("scripts/install.sh")}, p.args...)...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		t.Fatalf("exit code is not %d: %v\n%s", code, err, out)
	}
	for _, part := range says {
		if !strings.Contains(string(out), part) {
			t.Errorf("the hook does not say %q but:\n%s", part, out)
		}
	}
	if left, _ := filepath.Glob(p.path("bin/.*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func (p *plugin) holds(t *testing.T, text string) {
	t.Helper()
	if got := read(t, p.path("bin/kai")); !strings.Contains(got, text) {
		t.Errorf("bin/kai is\n%s\nwithout %q", got, text)
	}
}

func pluginManifest(t *testing.T) map[string]any {
	t.Helper()
	var manifest map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "../../plugin.yaml")), &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
