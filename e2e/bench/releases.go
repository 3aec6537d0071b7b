//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// deployed is how many releases the benchmarks have.
const deployed = 50

// rival is one way to do what a benchmark is about. Each call is one repetition.
type rival struct {
	name string
	run  func(ctx context.Context) (spent, error)
}

// releases runs the benchmarks of releases whose names match, on a control plane of their own.
func releases(ctx context.Context, root string, which *regexp.Regexp, helm string, times int, out io.Writer) error {
	dir, err := os.MkdirTemp("", "kai-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := newBench(ctx, root, dir, helm)
	if err != nil {
		return err
	}
	defer b.close()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	heading(w, "releases")
	for _, one := range []struct {
		name  string
		times int // more than asked for, for what is short
		open  func(context.Context) ([]rival, error)
	}{
		{"ReleasesDiff", 3, b.diff},
		{"ReleasesUnchanged", 2, b.unchanged},
		{"ReleasesInstall", 1, b.install},
		{"ReleasesUpgrade", 1, b.upgrade},
		{"ReleasesOffline/services=50", 3, b.offline(50)},
		{"ReleasesOffline/services=500", 1, b.offline(500)},
	} {
		if !which.MatchString(one.name) {
			continue
		}
		rivals, err := one.open(ctx)
		if err == nil {
			err = compete(ctx, w, one.name, rivals, times*one.times)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	return w.Flush()
}

// heading is that of the lines that compete prints.
func heading(w io.Writer, what string) {
	fmt.Fprintln(w, what+"\tby\truns\ttime\tbest\tCPU\ttime, to the first\tCPU, to the first\t")
}

// compete sets rivals against each other, in turns, so that a burst of other work hits all of them, and prints a line for
// each. They are measured by the first.
func compete(ctx context.Context, w io.Writer, name string, rivals []rival, times int) error {
	took := make([][]spent, len(rivals))
	for n := range times {
		for i := range rivals {
			i = (i + n) % len(rivals) // nobody is always first
			one, err := rivals[i].run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", rivals[i].name, err)
			}
			took[i] = append(took[i], one)
			fmt.Fprintf(os.Stderr, "bench: %s, %s: %s, CPU %s\n", name, rivals[i].name, duration(float64(one.clock)), duration(float64(one.cpu)))
		}
	}
	for i, r := range rivals {
		var clock, cpu, clockRatio, cpuRatio []float64
		for n, one := range took[i] {
			clock, cpu = append(clock, float64(one.clock)), append(cpu, float64(one.cpu))
			clockRatio = append(clockRatio, float64(one.clock)/float64(took[0][n].clock))
			cpuRatio = append(cpuRatio, float64(one.cpu)/float64(took[0][n].cpu))
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%.2f\t%.2f\t\n", name, r.name, times,
			duration(median(clock)), duration(slices.Min(clock)), duration(median(cpu)), median(clockRatio), median(cpuRatio))
	}
	return nil
}

// bench is what all benchmarks share: a cluster, the programs, and workspaces with the charts that kai makes of them. before
// is what is deployed; in one, one service differs; in all, every service does.
type bench struct {
	dir      string
	cluster  *controlplane.Cluster
	kai      program
	helm     program
	sdkloop  program
	helmfile program // no path where there is none

	before, one, all string
	namespaces       int
}

func newBench(ctx context.Context, root, dir, helm string) (*bench, error) {
	cache := tools.CheckoutCache(root)
	kai, err := cache.Kai(ctx, root)
	if err != nil {
		return nil, err
	}
	loop := filepath.Join(dir, "sdkloop")
	if err := build(ctx, filepath.Join(root, "e2e", "bench", "sdkloop"), "build", ".", loop); err != nil {
		return nil, err
	}
	b := &bench{dir: dir}
	if b.cluster, err = controlplane.Launch(ctx, cache, root, filepath.Join(dir, "cluster")); err != nil {
		return nil, err
	}
	env := b.environment()
	b.kai, b.helm, b.sdkloop = program{kai, env}, program{helm, env}, program{loop, env}
	if path := os.Getenv("HELMFILE"); path != "" {
		if path, err = exec.LookPath(path); err != nil {
			return nil, errors.Join(err, b.close())
		}
		b.helmfile = program{path, env}
	}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// build builds a package of the module in a folder as kai is built, or its tests: what is build, or test.
func build(ctx context.Context, folder, what, pkg, path string) error {
	args := []string{what, "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path}
	if what == "test" {
		args = append(args, "-c")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir, cmd.Env = folder, tools.Env(folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", pkg, folder, err, out)
	}
	return nil
}

// environment is that of all rivals: nothing of the user's is read or written.
func (b *bench) environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "HELM_") && !strings.HasPrefix(entry, "KAI_") {
			env = append(env, entry)
		}
	}
	home := filepath.Join(b.dir, "home")
	return append(env, "KUBECONFIG="+b.cluster.Kubeconfig, "HOME="+home, "XDG_CACHE_HOME=", "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "NO_COLOR=1")
}

func (b *bench) close() error { return b.cluster.Stop() }

// prepare writes the workspaces and their charts and installs 50 releases, whose pods become ready. Then the controllers are
// stopped: what they would do with the releases to come would take turns of the processors at random.
func (b *bench) prepare(ctx context.Context) error {
	b.before, b.one, b.all = filepath.Join(b.dir, "before"), filepath.Join(b.dir, "one"), filepath.Join(b.dir, "all")
	err := errors.Join(
		writeWorkspace(b.before, deployed, "info"),
		writeWorkspace(b.one, deployed, "info", serviceName(17)),
		writeWorkspace(b.all, deployed, "debug"))
	if err != nil {
		return err
	}
	for _, ws := range []string{b.before, b.one, b.all} {
		if _, _, err := b.kai.run(ctx, "generate", "-w", ws, "-c", benchContext, "-o", filepath.Join(ws, "charts")); err != nil {
			return err
		}
	}
	if _, _, err := b.kai.run(ctx, b.onCluster("install", b.before, stays, "--create-namespace", "--wait")...); err != nil {
		return err
	}
	for _, name := range []string{controlplane.Kwok, controlplane.Scheduler, controlplane.ControllerManager} {
		if err := b.cluster.Halt(name, syscall.SIGTERM); err != nil {
			return err
		}
	}
	// Helm and the loop keep on disk what the cluster can do; each has it from the start.
	_, _, err = b.helm.run(ctx, "template", "x", b.chart(b.before, 0), "--validate")
	return err
}

// stays is the namespace of the releases that diff and an install with nothing to do find deployed.
const stays = "stays"

func (b *bench) onCluster(command, workspace, namespace string, more ...string) []string {
	return append([]string{command, "-w", workspace, "-c", benchContext, "-n", namespace}, more...)
}

func (b *bench) charts(workspace string) string {
	return filepath.Join(workspace, "charts", benchContext)
}

func (b *bench) chart(workspace string, i int) string {
	return filepath.Join(b.charts(workspace), serviceName(i))
}

// namespace makes a new one.
func (b *bench) namespace(ctx context.Context) (string, error) {
	b.namespaces++
	name := fmt.Sprintf("run-%d", b.namespaces)
	return name, b.cluster.Create(ctx, "/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}})
}

// diff: of 50 deployed releases, one differs. Every rival must find it.
func (b *bench) diff(context.Context) ([]rival, error) {
	finds := func(what string) func(out []byte, took spent, err error) (spent, error) {
		return func(out []byte, took spent, err error) (spent, error) {
			if err == nil && !bytes.Contains(out, []byte(what)) {
				err = fmt.Errorf("it does not find the difference:\n%s", out)
			}
			return took, err
		}
	}
	one := finds(fmt.Sprintf("1 to upgrade, %d unchanged", deployed-1))
	return []rival{
		{"kai diff --against stored", func(ctx context.Context) (spent, error) {
			return one(b.kai.run(ctx, b.onCluster("diff", b.one, stays, "--against", "stored")...))
		}},
		{"kai diff (live)", func(ctx context.Context) (spent, error) {
			return one(b.kai.run(ctx, b.onCluster("diff", b.one, stays)...))
		}},
		{"SDK loop, stored", func(ctx context.Context) (spent, error) {
			return finds(serviceName(17) + "\n")(b.sdkloop.run(ctx, "diff", stays, b.charts(b.one)))
		}},
		{"helm get, template --validate", func(ctx context.Context) (spent, error) {
			found := make([]bool, deployed)
			took, err := twoAtATime(deployed, func(i int) (took spent, err error) {
				found[i], took, err = b.helmDiff(ctx, i)
				return took, err
			})
			for i, differs := range found {
				if err == nil && differs != (i == 17) {
					err = fmt.Errorf("%s: differs: %t", serviceName(i), differs)
				}
			}
			return took, err
		}},
	}, nil
}

// helmDiff runs the processes that helm-diff would for one release, but for five that ask Helm for its version.
func (b *bench) helmDiff(ctx context.Context, i int) (differs bool, took spent, err error) {
	name := serviceName(i)
	var out [3][]byte
	for n, args := range [][]string{
		{"get", "manifest", name},
		{"template", name, b.chart(b.one, i), "--validate", "--is-upgrade", "--no-hooks"},
		{"get", "hooks", name},
	} {
		var one spent
		if out[n], one, err = b.helm.run(ctx, append(args, "--namespace", stays)...); err != nil {
			return false, took, err
		}
		took.cpu += one.cpu
	}
	return !bytes.Equal(bytes.TrimSpace(out[0]), bytes.TrimSpace(out[1])), took, nil
}

// unchanged: install what is installed.
func (b *bench) unchanged(ctx context.Context) ([]rival, error) {
	spaces := make([]string, 2)
	for i := range spaces {
		var err error
		if spaces[i], err = b.namespace(ctx); err != nil {
			return nil, err
		}
	}
	if _, err := b.helmAll(ctx, b.before, spaces[0]); err != nil {
		return nil, err
	}
	if _, _, err := b.sdkloop.run(ctx, "install", spaces[1], b.charts(b.before)); err != nil {
		return nil, err
	}
	return []rival{
		{"kai install", func(ctx context.Context) (spent, error) {
			out, took, err := b.kai.run(ctx, b.onCluster("install", b.before, stays)...)
			if err == nil && !bytes.Contains(out, fmt.Appendf(nil, "%d unchanged", deployed)) {
				err = fmt.Errorf("something changed:\n%s", out)
			}
			return took, err
		}},
		{"SDK loop: upgrade", func(ctx context.Context) (spent, error) {
			_, took, err := b.sdkloop.run(ctx, "upgrade", spaces[1], b.charts(b.before))
			return took, err
		}},
		{"helm upgrade --install", func(ctx context.Context) (spent, error) { return b.helmAll(ctx, b.before, spaces[0]) }},
	}, nil
}

// helmAll runs helm upgrade --install for every chart.
func (b *bench) helmAll(ctx context.Context, workspace, namespace string) (spent, error) {
	return twoAtATime(deployed, func(i int) (spent, error) {
		_, took, err := b.helm.run(ctx, "upgrade", "--install", serviceName(i), b.chart(workspace, i), "--namespace", namespace)
		return took, err
	})
}

// senders are the ways to send all releases of a workspace to a namespace.
func (b *bench) senders(upgrade bool) map[string]func(ctx context.Context, workspace, namespace string) (spent, error) {
	command := "install"
	if upgrade {
		command = "upgrade"
	}
	all := map[string]func(ctx context.Context, workspace, namespace string) (spent, error){
		loopName: func(ctx context.Context, workspace, namespace string) (spent, error) {
			_, took, err := b.sdkloop.run(ctx, command, namespace, b.charts(workspace))
			return took, err
		},
		kaiName: func(ctx context.Context, workspace, namespace string) (spent, error) {
			_, took, err := b.kai.run(ctx, b.onCluster("install", workspace, namespace)...)
			return took, err
		},
		helmName: b.helmAll,
	}
	if b.helmfile.path != "" {
		all[helmfileName] = b.sync
	}
	return all
}

// The rivals that send, the one that the others are measured by first.
const (
	loopName     = "SDK loop"
	kaiName      = "kai install"
	helmName     = "helm upgrade --install"
	helmfileName = "helmfile sync"
)

var sending = []string{loopName, kaiName, helmName, helmfileName}

// sync has helmfile send a workspace's charts.
func (b *bench) sync(ctx context.Context, workspace, namespace string) (spent, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "helmBinary: %s\nreleases:\n", b.helm.path)
	for i := range deployed {
		fmt.Fprintf(&text, "- {name: %s, namespace: %s, chart: %s}\n", serviceName(i), namespace, b.chart(workspace, i))
	}
	path := filepath.Join(b.dir, "helmfile.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return spent{}, err
	}
	_, took, err := b.helmfile.run(ctx, "--file", path, "sync", "--skip-deps")
	return took, err
}

// install: 50 releases into a namespace that is empty. No rival waits for pods.
func (b *bench) install(context.Context) ([]rival, error) {
	var rivals []rival
	senders := b.senders(false)
	for _, name := range sending {
		send := senders[name]
		if send == nil {
			continue
		}
		rivals = append(rivals, rival{name, func(ctx context.Context) (spent, error) {
			namespace, err := b.namespace(ctx)
			if err != nil {
				return spent{}, err
			}
			return send(ctx, b.before, namespace)
		}})
	}
	return rivals, nil
}

// upgrade: 50 releases that all change, there and back again.
func (b *bench) upgrade(ctx context.Context) ([]rival, error) {
	var rivals []rival
	installers, senders := b.senders(false), b.senders(true)
	for _, name := range sending {
		send := senders[name]
		if send == nil {
			continue
		}
		namespace, err := b.namespace(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := installers[name](ctx, b.before, namespace); err != nil {
			return nil, err
		}
		next, other := b.all, b.before
		rivals = append(rivals, rival{name, func(ctx context.Context) (spent, error) {
			workspace := next
			next, other = other, next
			return send(ctx, workspace, namespace)
		}})
	}
	return rivals, nil
}

// offline: two revisions of git, of which the newer changes one service, against printing all manifests of one.
func (b *bench) offline(n int) func(ctx context.Context) ([]rival, error) {
	return func(ctx context.Context) ([]rival, error) {
		dir := filepath.Join(b.dir, fmt.Sprintf("git-%d", n))
		git := program{"git", append(b.kai.env, "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR="+filepath.Join(dir, ".git"), "GIT_WORK_TREE="+dir)}
		if err := writeWorkspace(dir, n, "info"); err != nil {
			return nil, err
		}
		commit := func() error {
			if _, _, err := git.run(ctx, "add", "-A"); err != nil {
				return err
			}
			_, _, err := git.run(ctx, "-c", "user.name=Example", "-c", "user.email=example@example.com", "commit", "-q", "-m", "x")
			return err
		}
		_, _, err := git.run(ctx, "init", "-q")
		if err = errors.Join(err, commit(), writeWorkspace(dir, n, "info", serviceName(17)), commit()); err != nil {
			return nil, err
		}
		return []rival{
			{"kai template", func(ctx context.Context) (spent, error) {
				_, took, err := b.kai.run(ctx, "template", "-w", dir, "-c", benchContext)
				return took, err
			}},
			{"kai diff --against git:HEAD~1", func(ctx context.Context) (spent, error) {
				out, took, err := b.kai.run(ctx, "diff", "-w", dir, "-c", benchContext, "--against", "git:HEAD~1")
				if err == nil && !bytes.Contains(out, []byte(fmt.Sprintf("1 to upgrade, %d unchanged", n-1))) {
					err = fmt.Errorf("it does not find the difference:\n%s", out)
				}
				return took, err
			}},
		}, nil
	}
}
