package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/build/buildtest"
	"github.com/helm-kai/helm-kai/internal/render"
)

// BenchmarkHelm sets `kai template`, which reads a workspace and prints the
// manifests of all its services, against the `helm template` of $HELM, one process
// for each of the charts that kai makes, two at a time. The two take turns in one
// run, so that their ratio holds on any machine.
func BenchmarkHelm(b *testing.B) {
	helm := os.Getenv("HELM")
	if helm == "" {
		b.Skip("HELM names no helm; make bench gives it one")
	}
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			workspace, out := b.TempDir(), b.TempDir()
			if err := os.CopyFS(workspace, buildtest.Corpus(n)); err != nil {
				b.Fatal(err)
			}
			context := buildtest.Contexts[0]
			spend(b, "kai", "generate", "-w", workspace, "-c", context, "-o", out)
			charts, err := os.ReadDir(filepath.Join(out, context))
			if err != nil {
				b.Fatal(err)
			}
			var kai, other time.Duration
			for b.Loop() {
				took := spend(b, "kai", "template", "-w", workspace, "-c", context)
				other += helmTemplates(b, helm, filepath.Join(out, context), charts)
				kai += (took + spend(b, "kai", "template", "-w", workspace, "-c", context)) / 2
			}
			runs := float64(b.N)
			b.ReportMetric(kai.Seconds()/runs, "kai-s")
			b.ReportMetric(other.Seconds()/runs, "helm-s")
			b.ReportMetric(other.Seconds()/kai.Seconds(), "ratio")
		})
	}
}

// BenchmarkStart is the least that a run of kai takes.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		spend(b, "kai", "version")
	}
}

// helmTemplates renders every chart of a folder by a process of its own.
func helmTemplates(b *testing.B, helm, folder string, charts []os.DirEntry) time.Duration {
	b.Helper()
	var failed atomic.Pointer[string]
	start := time.Now()
	build.Each(b.Context(), 2, len(charts), func(i int) {
		name := charts[i].Name()
		dir := filepath.Join(folder, name)
		// A Helm built without its Makefile believes that it speaks to Kubernetes 1.20.
		cmd := exec.Command(helm, "template", name, dir, "--namespace", "corpus", "--kube-version", strings.TrimPrefix(render.DefaultKubeVersion, "v"),
			"--values", filepath.Join(dir, "ci", "default-values.yaml"))
		var message bytes.Buffer
		cmd.Stderr = &message
		if err := cmd.Run(); err != nil {
			text := fmt.Sprintf("%s: %v\n%s", cmd, err, message.String())
			failed.Store(&text)
		}
	})
	took := time.Since(start)
	if text := failed.Load(); text != nil {
		b.Fatal(*text)
	}
	return took
}

// spend runs a command whose output nobody reads, and gives the time it takes.
func spend(b *testing.B, name string, args ...string) time.Duration {
	b.Helper()
	cmd := exec.Command(name, args...)
	var message bytes.Buffer
	cmd.Stderr = &message
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v\n%s", cmd, err, message.String())
	}
	return time.Since(start)
}
