//go:build unix

// Bench runs the benchmarks of kai's module, with a Helm to set kai against, and prints what they measured as a table. Those
// whose names start with Disk, Releases, Secrets or Validate are its own. Disk sets kai generate against cp -r, against reading
// all inputs and asking for all outputs, and against Helm, from disk to disk. Validate sets a run over what git finds changed against
// one over all, and the rules against kubeconform. Releases set kai against Helm, a loop over Helm's SDK and, where
// $HELMFILE names one, helmfile, on a control plane of their own; Secrets set kai and kai-run against the clients of stores,
// with servers of their own. Helm is the one that $HELM names, or else the end-to-end tests' own. What is missing is built
// when it is first wanted.
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

func main() {
	which := flag.String("bench", ".", "benchmarks to run, as go test takes them")
	root := flag.String("root", "..", "folder of kai's module")
	times := flag.Int("times", 3, "how often each benchmark of releases and secrets is repeated; the short ones more often")
	increments := flag.Int("increments", 10_000, "how often two writers together increment a number in each store")
	services := flag.String("services", "100,1000", "numbers of services that Disk measures; 10000 wants 15 GB of disk")
	if os.Getenv(floorVar) != "" {
		if err := readAndLook(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *root, *which, *times, *increments, *services, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, which string, times, increments int, services string, out io.Writer) error {
	sizes, err := sizesOf(services)
	if err != nil {
		return err
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return err
	}
	match, err := regexp.Compile(which)
	if err != nil {
		return err
	}
	helm := ""
	if !only(which, ofSecrets, ofValidate) {
		if helm, err = findHelm(ctx, root); err != nil {
			return err
		}
		fmt.Fprintf(out, "Helm: %s\n", helm)
	}
	// What can only be the name of a benchmark of our own needs no search in all packages.
	if !only(which, ofDisk, ofReleases, ofSecrets, ofValidate) {
		if err := packages(ctx, root, which, helm, out); err != nil {
			return err
		}
	}
	if which == "." || strings.Contains(which, ofDisk) {
		if err := generateOnDisk(ctx, root, match, helm, times, sizes, out); err != nil {
			return err
		}
	}
	if which == "." || strings.Contains(which, ofReleases) {
		if err := releases(ctx, root, match, helm, times, out); err != nil {
			return err
		}
	}
	if which == "." || strings.Contains(which, ofValidate) {
		if err := validations(ctx, root, match, times, out); err != nil {
			return err
		}
	}
	if which == "." || strings.Contains(which, ofSecrets) {
		return secrets(ctx, root, match, times, increments, out)
	}
	return nil
}

// only says whether all alternatives of an expression start with one of the words.
func only(which string, words ...string) bool {
	for one := range strings.SplitSeq(which, "|") {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(one, word) }) {
			return false
		}
	}
	return true
}

// What the names of the benchmarks start with that are not of kai's packages.
const (
	ofReleases = "Releases"
	ofSecrets  = "Secrets"
)

// packages runs the benchmarks of kai's packages.
func packages(ctx context.Context, root, which, helm string, out io.Writer) error {
	// One package after the other: two that run at once would measure each other.
	cmd := exec.CommandContext(ctx, "go", "test", "-p", "1", "-run", "^$", "-bench", which, "-benchmem", "-timeout", "60m", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "HELM="+helm, "PWD="+root)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&text, &quiet{w: out}), os.Stderr
	if err := cmd.Run(); err != nil {
		io.Copy(os.Stderr, &text)
		return err
	}
	return printTable(out, parse(&text))
}

func findHelm(ctx context.Context, root string) (string, error) {
	if helm := os.Getenv("HELM"); helm != "" {
		return exec.LookPath(helm)
	}
	cache := tools.Cache{
		Dir: filepath.Join(root, ".cache", "e2e", "bin"),
		Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) },
	}
	return cache.Get(ctx, tools.Helm("v3.22.0", "37"))
}

// quiet leaves out what go test says of packages without benchmarks. It passes on whole lines, which go test writes in parts.
type quiet struct {
	w    io.Writer
	rest []byte
}

func (q *quiet) Write(data []byte) (int, error) {
	q.rest = append(q.rest, data...)
	for {
		end := bytes.IndexByte(q.rest, '\n') + 1
		if end == 0 {
			return len(data), nil
		}
		line := q.rest[:end]
		q.rest = q.rest[end:]
		if !bytes.HasPrefix(line, []byte("Benchmark")) && !bytes.HasPrefix(line, []byte("pkg:")) {
			continue
		}
		if _, err := q.w.Write(line); err != nil {
			return 0, err
		}
	}
}

// result is one line of a benchmark: its name and what it measured, by unit.
type result struct {
	name     string
	services int // 0 where the name does not say
	values   map[string]float64
}

var (
	processors = regexp.MustCompile(`-\d+$`)
	ofServices = regexp.MustCompile(`^(.*)/services=(\d+)$`)
)

func parse(r io.Reader) []result {
	var out []result
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		one := result{name: strings.TrimPrefix(processors.ReplaceAllString(fields[0], ""), "Benchmark"), values: map[string]float64{}}
		if parts := ofServices.FindStringSubmatch(one.name); parts != nil {
			one.name = parts[1]
			one.services, _ = strconv.Atoi(parts[2])
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				one.values[fields[i+1]] = v
			}
		}
		out = append(out, one)
	}
	return out
}

// printTable prints the results, and how the processors' time grows with the number of services: an exponent of 1 is in proportion.
func printTable(out io.Writer, results []result) error {
	fmt.Fprintf(out, "\n%s/%s, %d processors, %s. Times depend on the machine; ratios were measured in turns in one run.\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "benchmark\tservices\ttime\tCPU s\tcharts/s\toutput MB\tpeak heap MB\tkai s\thelm s\thelm/kai\tby CPU\tgrowth\t")
	smallest := map[string]result{}
	for _, r := range results {
		growth := ""
		if first, ok := smallest[r.name]; ok && r.services > first.services && first.cost() > 0 {
			exponent := math.Log(r.cost()/first.cost()) / math.Log(float64(r.services)/float64(first.services))
			growth = fmt.Sprintf("n^%.2f", exponent)
		} else if !ok && r.services > 0 {
			smallest[r.name] = r
		}
		services := ""
		if r.services > 0 {
			services = strconv.Itoa(r.services)
		}
		time := duration(r.values["ns/op"])
		if _, ok := r.values["ratio"]; ok { // three runs and their pauses, which mean nothing together
			time = ""
		}
		cpu := ""
		if ms := r.cost(); ms > 0 {
			cpu = strconv.FormatFloat(ms/1000, 'g', 3, 64)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.name, services, time, cpu,
			r.show("charts/s"), r.show("MB"), r.show("peak-heap-MB"), r.show("kai-s"), r.show("helm-s"), r.show("ratio"), r.show("cpu-ratio"), growth)
	}
	return w.Flush()
}

// cost is the time of all processors in milliseconds, which other work beside does not change much.
func (r result) cost() float64 { return r.values["cpu-ms"] }

func (r result) show(unit string) string {
	v, ok := r.values[unit]
	switch {
	case !ok:
		return ""
	case v < 100:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// duration gives nanoseconds in the unit that reads best.
func duration(ns float64) string {
	for _, unit := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= unit.ns {
			return strconv.FormatFloat(ns/unit.ns, 'g', 4, 64) + " " + unit.name
		}
	}
	return strconv.FormatFloat(ns, 'g', 4, 64) + " ns"
}
