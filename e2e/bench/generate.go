//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// ofDisk is what the names of the benchmarks from disk to disk start with.
const ofDisk = "Disk"

// corpusVar has the test of the corpus in kai's module write it: N FOLDER.
const corpusVar = "KAI_CORPUS"

// generateBench measures kai generate from disk to disk.
type generateBench struct {
	dir   string
	kai   program
	helm  program
	cp    program
	floor program
	times int
	out   io.Writer
}

// side is one of two ways that take turns: what is done before each turn, unmeasured, and the turn itself.
type side struct {
	name   string
	before func() error
	run    func(ctx context.Context) (measure, error)
}

// measure is what a process took: time, processors, and the most memory that was its own.
type measure struct {
	spent
	peak int64 // bytes, 0 where it is not asked for
}

func generateOnDisk(ctx context.Context, root string, which *regexp.Regexp, helm string, times int, sizes []int, out io.Writer) (err error) {
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "kai-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kai := os.Getenv("KAI")
	if kai == "" {
		kai = filepath.Join(dir, "kai")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", kai, "./cmd/kai")
		build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0", "PWD="+root)
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", build, err, text)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	env := append(os.Environ(), "KAI_CACHE="+filepath.Join(dir, "cache"), "NO_COLOR=1")
	b := &generateBench{
		dir: dir, kai: program{kai, env}, helm: program{helm, env}, cp: program{"cp", env}, floor: program{self, append(env, floorVar+"=1")},
		times: times, out: out,
	}
	if which.MatchString("DiskStart") {
		if err := b.start(ctx); err != nil {
			return err
		}
	}
	for _, n := range sizes {
		if !which.MatchString(fmt.Sprintf("DiskGenerate/services=%d", n)) {
			continue
		}
		if err := writeCorpus(ctx, root, filepath.Join(dir, strconv.Itoa(n)), n); err != nil {
			return err
		}
	}
	if which.MatchString("DiskGenerate") {
		for _, n := range sizes {
			if err := b.corpus(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeCorpus has kai's module write its corpus.
func writeCorpus(ctx context.Context, root, dir string, n int) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^TestWriteCorpus$", "-count=1", "./internal/build")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "PWD="+root, fmt.Sprintf("%s=%d %s", corpusVar, n, dir))
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, text)
	}
	return nil
}

// start sets the least that kai does against the least that Helm does.
func (b *generateBench) start(ctx context.Context) error {
	const descriptor = "apiVersion: kai/v1\nname: hello\nimages: [{name: release, repository: example/hello, tag: 1.0.0}]\n" +
		"routes: [{name: http, port: 80, containerPort: 8080}]\n" +
		"probes: [{name: alive, tcpSocket: {port: http}}]\n" +
		"contexts: [{name: dev, flavor: webservice, image: release, probes: {liveness: alive, readiness: alive}, routes: [http]}]\n"
	one, out := filepath.Join(b.dir, "one"), filepath.Join(b.dir, "one-out")
	if err := errors.Join(os.MkdirAll(one, 0o755), os.WriteFile(filepath.Join(one, "kai.yaml"), []byte(descriptor), 0o644)); err != nil {
		return err
	}
	generate := []string{"generate", "-w", one, "-c", "dev", "-o", out}
	if _, _, err := b.kai.run(ctx, generate...); err != nil {
		return err
	}
	chart := filepath.Join(out, "dev", "hello")
	helm := []string{"template", "hello", chart}
	fresh := func() error { return errors.Join(os.RemoveAll(out), os.RemoveAll(filepath.Join(b.dir, "cache"))) }
	kept := filepath.Join(b.dir, "hello")
	if err := os.CopyFS(kept, os.DirFS(chart)); err != nil {
		return err
	}
	helm[2] = kept
	const more = 10
	for _, pair := range []struct {
		name string
		a, b side
	}{
		{"DiskStart/version", b.side("kai version", b.kai, nil, "version"), b.side("helm version", b.helm, nil, "version")},
		{"DiskStart/generate", b.side("kai generate", b.kai, fresh, generate...), b.side("helm template", b.helm, nil, helm...)},
		{"DiskStart/template", b.side("kai template", b.kai, nil, "template", "-w", one, "-c", "dev"), b.side("helm template", b.helm, nil, helm...)},
	} {
		if _, err := b.pair(ctx, pair.name, b.times*more, pair.a, pair.b); err != nil {
			return err
		}
	}
	return nil
}

func (b *generateBench) side(name string, p program, before func() error, args ...string) side {
	return side{name, before, func(ctx context.Context) (measure, error) {
		cmd := exec.CommandContext(ctx, p.path, args...)
		var message bytes.Buffer
		cmd.Env, cmd.Stderr = p.env, &message
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return measure{}, fmt.Errorf("%s: %w\n%s", cmd, err, message.Bytes())
		}
		m := measure{spent: spent{time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}}
		if used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			m.peak = used.Maxrss * maxrssUnit
		}
		return m, nil
	}}
}

// corpus measures a corpus of n services, in three contexts.
func (b *generateBench) corpus(ctx context.Context, n int) error {
	workspace, out, copied := filepath.Join(b.dir, strconv.Itoa(n)), filepath.Join(b.dir, "out"), filepath.Join(b.dir, "copy")
	name := fmt.Sprintf("DiskGenerate/services=%d", n)
	args := []string{"generate", "-w", workspace, "--all-contexts", "-o", out}
	generate := func(title string, before func() error) side { return b.side(title, b.kai, before, args...) }
	clear := func() error {
		return errors.Join(os.RemoveAll(out), os.RemoveAll(filepath.Join(b.dir, "cache")))
	}
	all, err := b.pair(ctx, name+"/all", b.times, generate("kai generate", clear),
		b.side("cp -r", b.cp, func() error { return os.RemoveAll(copied) }, "-r", out, copied))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(copied); err != nil {
		return err
	}
	for range 2 { // what was written in the last moment is read once more
		if _, _, err := b.kai.run(ctx, args...); err != nil {
			return err
		}
	}
	if _, err := b.pair(ctx, name+"/nothing changed", b.times, generate("kai generate", nil), b.side("read inputs, lstat outputs", b.floor, nil, workspace, out)); err != nil {
		return err
	}
	file, turn := filepath.Join(workspace, "services", "carts-00001", "kai.yaml"), 0
	change := func() error {
		turn++
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		// A new image is what changes most often.
		next := regexp.MustCompile(`tag: [^}]*`).ReplaceAll(data, fmt.Appendf(nil, "tag: 2.0.%d", turn))
		return os.WriteFile(file, next, 0o644)
	}
	one, err := b.pair(ctx, name+"/one changed", b.times, generate("kai generate", change), b.side("read inputs, lstat outputs", b.floor, nil, workspace, out))
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "%s: one changed takes %.1f %% of the time of all, %.1f %% of its CPU; all has a peak of %.0f MiB\n\n", name,
		100*one.clock.Seconds()/all.clock.Seconds(), 100*one.cpu.Seconds()/all.cpu.Seconds(), float64(all.peak)/(1<<20))
	return clear()
}

// pair has two ways take turns, prints medians and the ratio of the pairs, and gives the medians of the first.
func (b *generateBench) pair(ctx context.Context, name string, times int, one, other side) (measure, error) {
	var clocks, cpus, ratios, cpuRatios, peaks [2][]float64
	for range times {
		var turn [2]measure
		for i, s := range []side{one, other} {
			if s.before != nil {
				if err := s.before(); err != nil {
					return measure{}, err
				}
			}
			m, err := s.run(ctx)
			if err != nil {
				return measure{}, err
			}
			turn[i] = m
			clocks[i], cpus[i], peaks[i] = append(clocks[i], m.clock.Seconds()), append(cpus[i], m.cpu.Seconds()), append(peaks[i], float64(m.peak))
		}
		ratios[0] = append(ratios[0], turn[0].clock.Seconds()/turn[1].clock.Seconds())
		cpuRatios[0] = append(cpuRatios[0], turn[0].cpu.Seconds()/math.Max(turn[1].cpu.Seconds(), 1e-6))
	}
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\ttime\tCPU\tpeak memory\ttime, to the other\tCPU, to the other\t\n", name)
	for i, s := range []side{one, other} {
		ratio, cpuRatio := "1", "1"
		if i == 0 {
			ratio, cpuRatio = fmt.Sprintf("%.2f", median(ratios[0])), fmt.Sprintf("%.2f", median(cpuRatios[0]))
		}
		fmt.Fprintf(w, "%s\t%.3f s\t%.3f s\t%.0f MiB\t%s\t%s\t\n", s.name, median(clocks[i]), median(cpus[i]), median(peaks[i])/(1<<20), ratio, cpuRatio)
	}
	if err := w.Flush(); err != nil {
		return measure{}, err
	}
	fmt.Fprintln(b.out)
	second := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return measure{spent{second(median(clocks[0])), second(median(cpus[0]))}, int64(median(peaks[0]))}, nil
}

// floorVar has this program be the floor: INPUTS OUTPUTS.
const floorVar = "KAI_BENCH_FLOOR"

// readAndLook reads all files of one folder, and asks the system about each file of another.
func readAndLook(inputs, outputs string) error {
	err := filepath.WalkDir(inputs, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			_, err = os.ReadFile(name)
		}
		return err
	})
	return errors.Join(err, filepath.WalkDir(outputs, func(_ string, e fs.DirEntry, err error) error {
		if err == nil {
			_, err = e.Info()
		}
		return err
	}))
}

// sizesOf reads numbers of services.
func sizesOf(text string) ([]int, error) {
	var sizes []int
	for one := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(one)
		if err != nil || n < 8 {
			return nil, fmt.Errorf("-services %q: write numbers from 8 on, as in 100,1000", text)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}
