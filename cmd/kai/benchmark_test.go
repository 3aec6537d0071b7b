package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
			var kai, other spent
			for b.Loop() {
				kai.add(spend(b, "kai", "template", "-w", workspace, "-c", context))
				other.add(helmTemplates(b, helm, filepath.Join(out, context), charts))
				kai.add(spend(b, "kai", "template", "-w", workspace, "-c", context))
			}
			kai = spent{kai.clock / 2, kai.cpu / 2}
			runs := float64(b.N)
			b.ReportMetric(kai.clock.Seconds()/runs, "kai-s")
			b.ReportMetric(other.clock.Seconds()/runs, "helm-s")
			b.ReportMetric(other.clock.Seconds()/kai.clock.Seconds(), "ratio")
			b.ReportMetric(other.cpu.Seconds()/kai.cpu.Seconds(), "cpu-ratio")
		})
	}
}

// spent is the time that processes took: on the clock, and of all processors.
type spent struct{ clock, cpu time.Duration }

func (s *spent) add(more spent) {
	s.clock += more.clock
	s.cpu += more.cpu
}

// BenchmarkStart is the least that a run of kai takes.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		spend(b, "kai", "version")
	}
}

// helmTemplates renders every chart of a folder by a process of its own.
func helmTemplates(b *testing.B, helm, folder string, charts []os.DirEntry) spent {
	b.Helper()
	each := make([]spent, len(charts))
	errs := make([]error, len(charts))
	start := time.Now()
	build.Each(b.Context(), 2, len(charts), func(i int) {
		name := charts[i].Name()
		dir := filepath.Join(folder, name)
		// A Helm built without its Makefile believes that it speaks to Kubernetes 1.20.
		each[i], errs[i] = runOnce(helm, "template", name, dir, "--namespace", "corpus", "--kube-version", strings.TrimPrefix(render.DefaultKubeVersion, "v"),
			"--values", filepath.Join(dir, "ci", "default-values.yaml"))
	})
	all := spent{clock: time.Since(start)}
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	for _, one := range each {
		all.cpu += one.cpu
	}
	return all
}

// spend runs a command that must succeed.
func spend(b *testing.B, name string, args ...string) spent {
	b.Helper()
	took, err := runOnce(name, args...)
	if err != nil {
		b.Fatal(err)
	}
	return took
}

// runOnce runs a command whose output nobody reads.
func runOnce(name string, args ...string) (spent, error) {
	cmd := exec.Command(name, args...)
	var message bytes.Buffer
	cmd.Stderr = &message
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return spent{}, fmt.Errorf("%s: %w\n%s", cmd, err, message.String())
	}
	return spent{time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}
