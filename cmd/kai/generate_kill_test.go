package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The services of two versions of one workspace. They share some charts that
// differ and one that does not, and each has a chart that the other lacks; files
// and subcharts come and go.
var killedServices = [2]map[string]string{
	{
		"api":    `routes: [{name: http, port: 80}], mounts: [{name: settings, path: /etc/api, files: [app.conf]}], friends: [redis]`,
		"web":    `routes: [{name: http, port: 80}], friends: [{service: api}]`,
		"same":   `routes: [{name: http, port: 80}]`,
		"before": `env: {LOG_LEVEL: debug}`,
	},
	{
		"api":   `routes: [{name: http, port: 80}, {name: admin, port: 81}], env: {LOG_LEVEL: debug}`,
		"web":   `replicas: 3, friends: [{service: api}, mongodb]`,
		"same":  `routes: [{name: http, port: 80}]`,
		"after": `friends: [{from: redis, name: queue, type: dependency}]`,
	},
}

// TestGenerateKilled kills kai with SIGKILL at random moments while it turns the
// charts of one workspace into those of another and back. Each chart must then be
// wholly the old or the new one, with the user's files in it, and running again
// must give exactly the new ones.
func TestGenerateKilled(t *testing.T) {
	t.Parallel()
	const workers = 2
	kills := int64(200)
	if testing.Short() || raceDetector {
		kills = 20 // e2e has all of them, without the race detector
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var versions [2]string
	for i := range versions {
		versions[i] = killedWorkspace(t, killedServices[i])
	}
	var done, moments atomic.Int64
	t.Run("workers", func(t *testing.T) {
		for i := range workers {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				k := newKilled(t, versions, rand.New(rand.NewPCG(seed, uint64(i))))
				for n := 0; done.Load() < kills && !t.Failed(); n++ {
					k.round(t, (n+1)%2, &done)
				}
				moments.Add(k.between)
			})
		}
	})
	t.Logf("%d kills, %d of them between the first change and the last", done.Load(), moments.Load())
}

func killedWorkspace(t *testing.T, services map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("kai-workspace.yaml", "apiVersion: kai/v1\nname: shop\nservices: [services/*]\ncontexts: [{name: dev, namespace: shop}]\n")
	for name, fields := range services {
		write("services/"+name+"/kai.yaml", fmt.Sprintf("apiVersion: kai/v1\nname: %s\nimages: [{name: release, repository: example/%s, tag: 1.0.0}]\ncontexts:\n  - {name: base, flavor: webservice, image: release, %s}\n", name, name, fields))
		write("services/"+name+"/app.conf", "verbose = true\n")
	}
	return dir
}

// killed is an output folder and what each version of the workspace leaves there.
type killed struct {
	versions [2]string
	out      string
	random   *rand.Rand
	want     [2]map[string]string
	whole    time.Duration // of a run
	writes   time.Duration // its last part, in which it changes the folder
	between  int64         // kills that met a folder that was neither old nor new
}

func newKilled(t *testing.T, versions [2]string, random *rand.Rand) *killed {
	t.Helper()
	k := &killed{versions: versions, out: filepath.Join(t.TempDir(), "charts"), random: random}
	k.run(t, 0)
	k.run(t, 1)
	// The user's files, also in charts that go.
	for _, name := range []string{"dev/api/NOTE.txt", "dev/after/templates/mine.yaml", "dev/README.md"} {
		if err := os.WriteFile(filepath.Join(k.out, name), []byte("mine\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []int{1, 0} {
		k.measure(t, version)
		k.want[version] = k.tree(t)
	}
	for _, name := range []string{"dev/before/Chart.yaml", "dev/api/charts/api-redis/Chart.yaml"} {
		if k.want[0][name] == "" || k.want[1][name] != "" {
			t.Fatalf("the versions should differ in %s", name)
		}
	}
	return k
}

func (k *killed) command(version int) *exec.Cmd {
	cmd := exec.Command("kai", "generate", "-w", k.versions[version], "-c", "dev", "-o", k.out)
	cmd.Env = append(os.Environ(), noRaceSleep)
	return cmd
}

// measure runs kai to its end and notes how long it takes.
func (k *killed) measure(t *testing.T, version int) {
	t.Helper()
	start := time.Now()
	ended := make(chan struct{})
	change := make(chan time.Duration)
	go func() {
		k.awaitChange(ended)
		change <- time.Since(start)
	}()
	k.run(t, version)
	close(ended)
	k.whole = time.Since(start)
	k.writes = max(k.whole-<-change, time.Millisecond)
}

// run runs kai to its end.
func (k *killed) run(t *testing.T, version int) {
	t.Helper()
	if out, err := k.command(version).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func (k *killed) tree(t *testing.T) map[string]string {
	t.Helper()
	tree, err := readTree(k.out)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// round goes from one version to the other, with up to eight kills on the way.
func (k *killed) round(t *testing.T, to int, done *atomic.Int64) {
	for range 1 + k.random.IntN(8) {
		at, hit := k.kill(t, to)
		if !hit {
			break
		}
		done.Add(1)
		k.check(t, at)
	}
	k.run(t, to)
	if d := difference(k.want[to], k.tree(t)); d != "" {
		t.Errorf("running again does not converge:\n%s", d)
	}
}

// kill starts kai and kills it: half the time at any moment of the run, half the
// time from the moment on at which it begins to write.
func (k *killed) kill(t *testing.T, to int) (at string, hit bool) {
	t.Helper()
	cmd := k.command(to)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var err error
	ended := make(chan struct{})
	go func() {
		err = cmd.Wait()
		close(ended)
	}()
	pause := time.Duration(k.random.Int64N(int64(k.whole)))
	at = fmt.Sprintf("%v after the start", pause)
	if k.random.IntN(2) == 0 {
		k.awaitChange(ended)
		pause = time.Duration(k.random.Int64N(int64(k.writes)))
		at = fmt.Sprintf("%v after the first change", pause)
	}
	select {
	case <-ended:
	case <-time.After(pause):
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		<-ended
	}
	if err != nil && cmd.ProcessState.Exited() {
		t.Fatalf("kai failed by itself: %v", err)
	}
	return at, err != nil
}

// awaitChange waits until kai begins to change the folder, or has ended.
func (k *killed) awaitChange(ended <-chan struct{}) {
	for {
		if _, err := os.Lstat(filepath.Join(k.out, "dev", ".kai")); err == nil {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// check holds what a killed run has left to the rules.
func (k *killed) check(t *testing.T, at string) {
	t.Helper()
	now := split(k.tree(t))
	old, next := split(k.want[0]), split(k.want[1])
	names := map[string]bool{}
	for _, trees := range []map[string]map[string]string{now, old, next} {
		for name := range trees {
			names[name] = true
		}
	}
	var states [2]bool
	for name := range names {
		first, second := difference(old[name], now[name]), difference(next[name], now[name])
		switch {
		case name == ".kai": // the work in progress
		case first != "" && second != "":
			t.Errorf("killed %s: %s is neither the one chart:\n%s\nnor the other:\n%s", at, name, first, second)
		case first != second:
			states[slices.Index([]string{first, second}, "")] = true
		}
	}
	if now[".kai"] != nil || states == [2]bool{true, true} {
		k.between++
	}
}

// split gives what lies in a context's folder by name.
func split(tree map[string]string) map[string]map[string]string {
	parts := map[string]map[string]string{}
	for name, text := range tree {
		name, ok := strings.CutPrefix(name, "dev/")
		if !ok {
			continue
		}
		chart, _, _ := strings.Cut(name, "/")
		if parts[chart] == nil {
			parts[chart] = map[string]string{}
		}
		parts[chart][name] = text
	}
	return parts
}
