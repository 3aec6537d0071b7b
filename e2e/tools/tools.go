//go:build unix

// Package tools gets what the end-to-end tests run beside kai: command-line tools, each built from its Go module at a
// pinned version, and the folders of modules that hold data. Nothing comes from anywhere but the Go module proxy and
// cache, so a machine that can build kai can run the tests, also without network once the caches are warm.
package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Tool is a command in a Go module.
type Tool struct {
	Name    string
	Package string
	Version string
	LDFlags string
}

// Helm gives a release of Helm, built with the flags of Helm's own Makefile. Helm 3 is told there which Kubernetes it
// knows (the client's minor version, kubeMinor); Helm 4 finds it out by itself.
func Helm(version, kubeMinor string) Tool {
	major, _, _ := strings.Cut(version, ".")
	module := "helm.sh/helm/" + major
	flags := []string{"-w", "-s", "-X", module + "/internal/version.version=" + version}
	if major == "v3" {
		for _, variable := range []string{"/pkg/lint/rules.k8sVersion", "/pkg/chartutil.k8sVersion"} {
			flags = append(flags, "-X", module+variable+"Major=1", "-X", module+variable+"Minor="+kubeMinor)
		}
	}
	return Tool{Name: "helm", Package: module + "/cmd/helm", Version: version, LDFlags: strings.Join(flags, " ")}
}

// Kubeconform checks manifests against JSON Schemas.
func Kubeconform() Tool {
	return Tool{Name: "kubeconform", Package: "github.com/yannh/kubeconform/cmd/kubeconform", Version: "v0.8.0"}
}

// KubeScore rates manifests.
func KubeScore() Tool {
	return Tool{Name: "kube-score", Package: "github.com/zegl/kube-score/cmd/kube-score", Version: "v1.20.0"}
}

// Registry keeps OCI artifacts: the registry of the distribution project.
func Registry() Tool {
	return Tool{Name: "registry", Package: "github.com/distribution/distribution/v3/cmd/registry", Version: "v3.1.1", LDFlags: "-s -w"}
}

func (t Tool) String() string { return t.Name + " " + t.Version }

// file is the tool's name in the cache. It changes with everything that a build depends on.
func (t Tool) file() string {
	sum := sha256.Sum256([]byte(t.Package + "\n" + t.LDFlags))
	return t.Name + "-" + t.Version + "-" + hex.EncodeToString(sum[:4])
}

// Cache is a folder of built tools. Several processes may use it at once.
type Cache struct {
	Dir string
	// Log is told what is built.
	Log func(format string, args ...any)
}

// CheckoutCache is the cache that lies in a checkout of kai, and is not part of it. What it builds, it says on stderr.
func CheckoutCache(checkout string) Cache {
	return Cache{
		Dir: filepath.Join(checkout, ".cache", "e2e", "bin"),
		Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "e2e: "+format+"\n", args...) },
	}
}

// Get gives the path of a tool's binary, which it builds first if the cache does not have it.
func (c Cache) Get(ctx context.Context, tool Tool) (string, error) {
	path := filepath.Join(c.Dir, tool.file())
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unlock, err := c.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	c.Log("building %s", tool)
	if err := build(ctx, tool, path); err != nil {
		return "", fmt.Errorf("build %s: %w", tool, err)
	}
	return path, nil
}

// Folder gives the path of a folder of the cache, which fill makes first if the cache does not have it. A name must change
// with everything that the content depends on.
func (c Cache) Folder(name string, fill func(dir string) error) (string, error) {
	path := filepath.Join(c.Dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unlock, err := c.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	c.Log("building %s", name)
	dir, err := os.MkdirTemp(c.Dir, ".build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := fill(dir); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return path, os.Rename(dir, path)
}

// Kai gives the path of the kai that a checkout makes, built if its files have changed before the first call of this process:
// all its tests have the same one, and even to find that nothing has changed takes go a second. The flags are those of
// scripts/install.sh but for the version, so that the two share Go's cache.
func (c Cache) Kai(ctx context.Context, checkout string) (string, error) {
	return c.program(ctx, checkout, "kai")
}

// KaiRun gives the path of the kai-run that a checkout makes, likewise.
func (c Cache) KaiRun(ctx context.Context, checkout string) (string, error) {
	return c.program(ctx, checkout, "kai-run")
}

// programs are those that this process has asked for, by folder, checkout and name.
var programs sync.Map

func (c Cache) program(ctx context.Context, checkout, name string) (string, error) {
	ctx = context.WithoutCancel(ctx) // what comes of it is for those who ask later too
	once, _ := programs.LoadOrStore([3]string{c.Dir, checkout, name}, sync.OnceValues(func() (string, error) { return c.build(ctx, checkout, name) }))
	return once.(func() (string, error))()
}

func (c Cache) build(ctx context.Context, checkout, name string) (string, error) {
	unlock, err := c.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(c.Dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./cmd/"+name)
	cmd.Dir = checkout
	cmd.Env = Env(checkout)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// Tests gives the path of the tests of a checkout's package, such as internal/explain, built now if its files have changed.
// Who runs them several times builds them once. The flags are those of Kai, so that the two share Go's cache.
func (c Cache) Tests(ctx context.Context, checkout, pkg string) (string, error) {
	unlock, err := c.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(c.Dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./"+pkg)
	cmd.Dir = checkout
	cmd.Env = Env(checkout)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// build installs the tool into a folder of its own and moves the result to path, whole or not at all.
func build(ctx context.Context, tool Tool, path string) error {
	bin, err := os.MkdirTemp(filepath.Dir(path), ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	cmd := exec.CommandContext(ctx, "go", "install", "-ldflags", tool.LDFlags, tool.Package+"@"+tool.Version)
	cmd.Env = append(native(os.Environ()), "GOBIN="+bin, "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s@%s: %w\n%s", tool.Package, tool.Version, err, out)
	}
	return os.Rename(filepath.Join(bin, tool.Name), path)
}

// Env is the environment in which go builds, in a folder, for this machine and without C.
func Env(dir string) []string {
	return append(native(os.Environ()), "GOWORK=off", "CGO_ENABLED=0", "PWD="+dir)
}

// native leaves out what would make a build one for another machine, which go install refuses to put into GOBIN.
func native(env []string) []string {
	var kept []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, "GOOS=") && !strings.HasPrefix(entry, "GOARCH=") {
			kept = append(kept, entry)
		}
	}
	return kept
}

// lock waits until this process alone may build: each build uses all cores, and two linkers at once need more memory than
// small machines have. The kernel frees the lock when a process dies, so none is ever left behind.
func (c Cache) lock() (unlock func(), err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(c.Dir, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() { file.Close() }, nil
}

// ModuleDir gives the folder in which a module's files lie unpacked.
func ModuleDir(ctx context.Context, module, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
	// Outside of any module: the tests' own go.mod must not come to depend on what they only read.
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "PWD="+cmd.Dir)
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if decodeErr := json.Unmarshal(out, &answer); decodeErr != nil {
		return "", fmt.Errorf("go mod download %s@%s: %w", module, version, errors.Join(err, decodeErr))
	}
	if answer.Error != "" {
		return "", fmt.Errorf("go mod download %s@%s: %s", module, version, answer.Error)
	}
	return answer.Dir, err
}
