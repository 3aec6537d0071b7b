package build_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/build/buildtest"
	"github.com/helm-kai/helm-kai/internal/chartdir"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// TestCorpus holds the benchmarks' workspace to what it claims to be: without
// fault, in every context, and varied.
func TestCorpus(t *testing.T) {
	t.Parallel()
	for _, contextName := range buildtest.Contexts {
		releases := generate(t, buildtest.Corpus(24), contextName)
		if len(releases) != 25 {
			t.Errorf("%s: %d charts, want those of 24 services and of the queue", contextName, len(releases))
		}
		renderAll(t, releases)
	}
}

// TestWriteCorpus writes the benchmarks' workspace to disk, for programs that measure
// kai from outside: KAI_CORPUS is a number of services and a folder.
func TestWriteCorpus(t *testing.T) {
	number, dir, ok := strings.Cut(os.Getenv("KAI_CORPUS"), " ")
	if !ok {
		t.Skip("KAI_CORPUS names no folder")
	}
	n, err := strconv.Atoi(number)
	if err == nil {
		err = os.CopyFS(dir, buildtest.Corpus(n))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sizes are the numbers of services that are measured.
var sizes = []int{100, 1000, 10_000}

// generate reads a workspace and makes a context's charts.
func generate(t testing.TB, fsys fs.FS, contextName string) []build.Release {
	t.Helper()
	w, findings := workspace.Open(fsys)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	releases, findings := build.Charts(t.Context(), w, contextName, build.Options{})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return releases
}

// renderAll renders charts, and gives the size of the manifests.
func renderAll(t testing.TB, releases []build.Release) int64 {
	t.Helper()
	var size atomic.Int64
	var failed atomic.Pointer[error]
	build.Each(t.Context(), 0, len(releases), func(i int) {
		result, err := build.Render(context.WithoutCancel(t.Context()), releases[i], render.Options{})
		if err != nil {
			failed.Store(&err)
			return
		}
		size.Add(int64(len(result.Text())))
	})
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	return size.Load()
}

func chartsSize(releases []build.Release) int64 {
	var size int64
	for _, r := range releases {
		for _, f := range r.Chart.Files {
			size += int64(len(f.Data))
		}
	}
	return size
}

// measure runs f again and again, and reports what one run makes: charts a
// second, the size of it, the time of all processors, and the highest that the
// heap was.
func measure(b *testing.B, f func() (charts int, size int64)) {
	b.Helper()
	peak := watchHeap(b)
	var charts int
	var size int64
	start := cpuTime()
	for b.Loop() {
		charts, size = f()
	}
	cpu := cpuTime() - start
	b.ReportMetric(cpu.Seconds()*1000/float64(b.N), "cpu-ms")
	b.ReportMetric(float64(charts)*float64(b.N)/b.Elapsed().Seconds(), "charts/s")
	b.ReportMetric(float64(size)/1e6, "MB")
	b.ReportMetric(float64(peak())/1e6, "peak-heap-MB")
}

// watchHeap samples the size of the heap until it is asked for the highest.
func watchHeap(b *testing.B) func() uint64 {
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		var highest uint64
		for {
			metrics.Read(sample)
			highest = max(highest, sample[0].Value.Uint64())
			select {
			case <-stop:
				done <- highest
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-done
	}
}

// BenchmarkGenerate reads a workspace in memory and makes the charts of a
// context.
func BenchmarkGenerate(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			fsys := buildtest.Corpus(n)
			measure(b, func() (int, int64) {
				releases := generate(b, fsys, buildtest.Contexts[0])
				return len(releases), chartsSize(releases)
			})
		})
	}
}

// BenchmarkContexts makes the charts of three contexts of one workspace.
func BenchmarkContexts(b *testing.B) {
	fsys := buildtest.Corpus(1000)
	measure(b, func() (charts int, size int64) {
		w, _ := workspace.Open(fsys)
		for _, contextName := range buildtest.Contexts {
			releases, _ := build.Charts(b.Context(), w, contextName, build.Options{})
			charts += len(releases)
			size += renderAll(b, releases)
		}
		return charts, size
	})
}

// BenchmarkRender renders charts that are there.
func BenchmarkRender(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			releases := generate(b, buildtest.Corpus(n), buildtest.Contexts[0])
			measure(b, func() (int, int64) { return len(releases), renderAll(b, releases) })
		})
	}
}

// BenchmarkGenerateAndRender goes all the way from a workspace in memory to its
// manifests.
func BenchmarkGenerateAndRender(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			fsys := buildtest.Corpus(n)
			measure(b, func() (int, int64) {
				releases := generate(b, fsys, buildtest.Contexts[0])
				return len(releases), renderAll(b, releases)
			})
		})
	}
}

// BenchmarkGenerateToDisk reads a workspace from the disk and writes its charts.
func BenchmarkGenerateToDisk(b *testing.B) {
	for _, n := range sizes[:2] {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			fsys := onDisk(b, n)
			out, run := b.TempDir(), 0
			measure(b, func() (int, int64) {
				run++
				return write(b, fsys, filepath.Join(out, fmt.Sprint(run)), chartdir.Created)
			})
		})
	}
}

// BenchmarkUnchanged does the same where nothing has changed since.
func BenchmarkUnchanged(b *testing.B) {
	for _, n := range sizes[:2] {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			fsys, out := onDisk(b, n), b.TempDir()
			write(b, fsys, out, chartdir.Created)
			measure(b, func() (int, int64) { return write(b, fsys, out, chartdir.Unchanged) })
		})
	}
}

func onDisk(b *testing.B, n int) fs.FS {
	b.Helper()
	dir := b.TempDir()
	if err := os.CopyFS(dir, buildtest.Corpus(n)); err != nil {
		b.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { root.Close() })
	return root.FS()
}

// write makes a workspace's charts and writes them, as the command does.
func write(b *testing.B, fsys fs.FS, out string, want chartdir.State) (int, int64) {
	b.Helper()
	releases := generate(b, fsys, buildtest.Contexts[0])
	folder, err := chartdir.Open(b.Context(), out)
	if err != nil {
		b.Fatal(err)
	}
	build.Each(b.Context(), 0, len(releases), func(i int) {
		if r, err := folder.Write(b.Context(), releases[i].Chart, chartdir.Options{}); err != nil || r.State != want {
			b.Error(r.Chart, r.State, err)
		}
	})
	if err := folder.Close(); err != nil {
		b.Fatal(err)
	}
	return len(releases), chartsSize(releases)
}
