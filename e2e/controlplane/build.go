//go:build unix

package controlplane

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

// commands are the packages that a control plane is built from. All come from one module's build list, so that they share
// what they have in common.
var commands = map[string]string{
	"etcd":                    "go.etcd.io/etcd/server/v3",
	"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
	"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
	"kube-scheduler":          "k8s.io/kubernetes/cmd/kube-scheduler",
	"kubectl":                 "k8s.io/kubernetes/cmd/kubectl",
	"kwok":                    "sigs.k8s.io/kwok/cmd/kwok",
}

// kwokStages are the files of kwok's module that say what its nodes and pods do. The quick ones: nothing waits but tests.
var kwokStages = []string{
	"node/fast/node-initialize.yaml", "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
	"pod/fast/pod-ready.yaml", "pod/fast/pod-complete.yaml", "pod/fast/pod-delete.yaml",
}

// Build gives a folder with the binaries of a control plane, kubectl and kwok's stages, which it makes first if the cache
// does not have it. The versions are those of the module in the folder list, which holds a go.mod and a go.sum.
func Build(ctx context.Context, cache tools.Cache, list string) (string, error) {
	kubernetes, err := moduleField(ctx, list, "k8s.io/kubernetes", "{{.Version}}")
	if err != nil {
		return "", err
	}
	kwok, err := moduleField(ctx, list, "sigs.k8s.io/kwok", "{{.Version}}")
	if err != nil {
		return "", err
	}
	flags := []string{"-trimpath", "-buildvcs=false", "-ldflags", ldflags(kubernetes, kwok)}
	sum, err := digest(ctx, list, flags)
	if err != nil {
		return "", err
	}
	return cache.Folder("controlplane-"+kubernetes+"-"+sum, func(dir string) error {
		if err := compile(ctx, list, dir, flags); err != nil {
			return err
		}
		return copyStages(ctx, list, dir)
	})
}

// moduleField asks go for a field of a module in the build list.
func moduleField(ctx context.Context, list, module, template string) (string, error) {
	return run(ctx, list, "list", "-m", "-f", template, module)
}

// ldflags tell the binaries their versions, which Kubernetes' own build takes from git. Without them the API server says
// that it is v0.0.0, and Helm refuses charts with a kubeVersion.
func ldflags(kubernetes, kwok string) string {
	minor := strings.Split(kubernetes, ".")[1]
	flags := []string{"-s", "-w", "-X", "sigs.k8s.io/kwok/pkg/consts.Version=" + kwok}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, value := range []string{"gitVersion=" + kubernetes, "gitMajor=1", "gitMinor=" + minor, "gitTreeState=clean"} {
			flags = append(flags, "-X", pkg+"."+value)
		}
	}
	return strings.Join(flags, " ")
}

// digest stands for all that a build depends on.
func digest(ctx context.Context, list string, flags []string) (string, error) {
	compiler, err := run(ctx, list, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, compiler, flags, commands, kwokStages)
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(list, name))
		if err != nil {
			return "", err
		}
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil)[:4]), nil
}

// compile builds all commands into dir.
func compile(ctx context.Context, list, dir string, flags []string) error {
	args := append([]string{"build", "-o", dir + string(filepath.Separator)}, flags...)
	for _, pkg := range commands {
		args = append(args, pkg)
	}
	if _, err := run(ctx, list, args...); err != nil {
		return err
	}
	// go names a binary after the last folder of its package that is no version.
	return os.Rename(filepath.Join(dir, "server"), filepath.Join(dir, "etcd"))
}

func copyStages(ctx context.Context, list, dir string) error {
	kwok, err := moduleField(ctx, list, "sigs.k8s.io/kwok", "{{.Dir}}")
	if err != nil {
		return err
	}
	var stages bytes.Buffer
	for _, name := range kwokStages {
		data, err := os.ReadFile(filepath.Join(kwok, "kustomize", "stage", filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		stages.Write(data)
		stages.WriteString("\n---\n")
	}
	return os.WriteFile(filepath.Join(dir, stagesFile), stages.Bytes(), 0o644)
}

// run runs go in the folder of the build list and gives what it wrote, without white space around.
func run(ctx context.Context, list string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = list, tools.Env(list), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", args[0], list, err, stderr.Bytes())
	}
	return strings.TrimSpace(stdout.String()), nil
}
