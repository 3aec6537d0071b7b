//go:build unix

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/helm-kai/helm-kai/e2e/controlplane"
	"github.com/helm-kai/helm-kai/e2e/databases"
	"github.com/helm-kai/helm-kai/e2e/faultproxy"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// TestCluster runs testdata/script/*.txtar: what users type, on a real control plane. On the path are kai, as this checkout
// makes it, kai-run, also as kaigara, helm3, helm4 and kubectl. NS is a namespace name that only the script has, and KUBECONFIG points there; it is
// the script's to create. NODEPORT is a port of nodes that only the script has, since those are the cluster's. EXAMPLES is
// the folder of this checkout's examples.
func TestCluster(t *testing.T) {
	t.Parallel()
	h := &harness{test: t, checkout: root(t), cache: cache(t), cluster: cluster(t), programs: t.TempDir()}
	binaries, err := controlplane.Build(t.Context(), h.cache, filepath.Join(h.checkout, "e2e", "controlplane", "build"))
	must(t, err)
	run := kaiRunBinary(t)
	for name, path := range map[string]string{
		"kai":     kaiBinary(t),
		"kai-run": run,
		"kaigara": run,
		"helm3":   tool(t, helm322),
		"helm4":   tool(t, helm43),
		"kubectl": filepath.Join(binaries, "kubectl"),
	} {
		must(t, os.Symlink(path, filepath.Join(h.programs, name)))
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("KAI_UPDATE_SCRIPTS") != "",
		Setup:               h.setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cluster":  clusterCommand,
			"copytree": copyTree,
			"exits":    exits,
			"fault":    faultCommand,
			"pod":      podCommand,
			"replace":  replace,
			"sametext": sameText,
			"server":   serverCommand,
			"wait-for": waitFor,
		},
	})
}

// harness is what all scripts share.
type harness struct {
	test               *testing.T
	checkout, programs string
	cache              tools.Cache
	cluster            *controlplane.Cluster
	nodePorts          atomic.Int32 // how many have been given
}

// script is the state of a running script.
type script struct {
	*harness
	namespace, home string
	cluster         *controlplane.Cluster
	// own is whether the cluster is the script's, to break as it likes.
	own   bool
	proxy *faultproxy.Proxy // nil until a fault is asked for
	// servers are the script's own.
	servers servers
	t       testscript.T
}

type scriptKey struct{}

// setup makes the environment of a script. At its end the namespace goes; what it holds is shown if the script has failed.
func (h *harness) setup(env *testscript.Env) error {
	s := &script{
		harness:   h,
		namespace: newNamespace(strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")),
		home:      filepath.Join(env.WorkDir, ".home"),
		servers:   servers{databases: map[string]*databases.Server{}},
		t:         env.T(),
	}
	env.Values[scriptKey{}] = s
	env.Setenv("EXAMPLES", filepath.Join(h.checkout, "testdata"))
	env.Setenv("PATH", h.programs+string(filepath.ListSeparator)+env.Getenv("PATH"))
	env.Setenv("NO_COLOR", "1")
	env.Setenv("HOME", s.home)
	for _, kind := range []string{"CACHE", "CONFIG", "DATA"} {
		env.Setenv("HELM_"+kind+"_HOME", filepath.Join(s.home, "helm", strings.ToLower(kind)))
	}
	env.Setenv("KUBECONFIG", s.kubeconfig())
	env.Setenv("NS", s.namespace)
	// Services that name no port get one above these.
	env.Setenv("NODEPORT", strconv.Itoa(30000+int(h.nodePorts.Add(1))))
	env.Defer(func() {
		if of, ok := env.T().(interface{ Failed() bool }); ok && of.Failed() {
			env.T().Log(s.state())
		}
		if err := s.end(); err != nil {
			env.T().Fatal(err)
		}
	})
	return s.use(h.cluster)
}

// end stops what the script has started and deletes its namespace.
func (s *script) end() error {
	errs := []error{s.servers.stop()}
	if s.proxy != nil {
		errs = append(errs, s.proxy.Stop())
	}
	if s.own {
		return errors.Join(append(errs, s.cluster.Stop(), os.RemoveAll(s.cluster.Dir))...)
	}
	return errors.Join(append(errs, deleteNamespace(context.Background(), s.cluster, s.namespace))...)
}

// state shows the pods and events of the script's namespace, whatever goes wrong with requests.
func (s *script) state() string {
	var text strings.Builder
	if err := s.use(s.cluster); err != nil {
		return err.Error()
	}
	for _, kind := range []string{"pods", "events"} {
		cmd := exec.Command(filepath.Join(s.programs, "kubectl"), "--kubeconfig", s.kubeconfig(), "--request-timeout=5s", "get", kind)
		out, err := cmd.CombinedOutput()
		fmt.Fprintf(&text, "%s of %s:\n%s", kind, s.namespace, out)
		if err != nil {
			fmt.Fprintln(&text, err)
		}
	}
	return text.String()
}

func (s *script) kubeconfig() string { return filepath.Join(s.home, ".kube", "config") }

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

// use points the script's kubeconfig at a cluster.
func (s *script) use(c *controlplane.Cluster) error {
	s.cluster = c
	config, err := c.KubeconfigFor(s.namespace)
	if err != nil {
		return err
	}
	return s.writeKubeconfig(config)
}

func (s *script) writeKubeconfig(config []byte) error {
	if err := os.MkdirAll(filepath.Dir(s.kubeconfig()), 0o755); err != nil {
		return err
	}
	return os.WriteFile(s.kubeconfig(), config, 0o600)
}

// clusterCommand is for scripts that break things:
//
//	cluster own               from here on, a cluster of the script's own
//	cluster halt NAME [kill]  end a process of it, such as kube-apiserver, in order or at once
//	cluster resume NAME       start it again
func clusterCommand(ts *testscript.TestScript, neg bool, args []string) {
	s := scriptOf(ts)
	switch {
	case !neg && len(args) == 1 && args[0] == "own" && !s.own:
		dir, err := os.MkdirTemp("", "kai-e2e-")
		ts.Check(err)
		c, err := controlplane.Launch(s.test.Context(), s.cache, s.checkout, dir)
		ts.Check(err)
		s.own = true
		ts.Check(s.use(c))
	case !neg && s.own && len(args) == 2 && args[0] == "halt":
		ts.Check(s.cluster.Halt(args[1], syscall.SIGTERM))
	case !neg && s.own && len(args) == 3 && args[0] == "halt" && args[2] == "kill":
		ts.Check(s.cluster.Halt(args[1], syscall.SIGKILL))
	case !neg && s.own && len(args) == 2 && args[0] == "resume":
		ts.Check(s.cluster.Resume(s.test.Context(), args[1]))
	default:
		ts.Fatalf("usage: cluster own, and then cluster halt NAME [kill] or cluster resume NAME")
	}
}

// faultCommand lets requests go wrong, from here on and of this script alone:
//
//	fault add [-n TIMES] [-for TIME] [-delay TIME] [-retry-after TIME] [-method METHOD] STATUS|cut|lose|pass PATH
//	fault clear   drop what was added
//	fault cut     end all connections that there are
//
// PATH is a regular expression for path and query. cut ends a connection before the request is carried out, lose after it,
// and pass is for a delay alone.
func faultCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: fault add|clear|cut")
	}
	s := scriptOf(ts)
	if s.proxy == nil {
		s.startProxy(ts)
	}
	switch args[0] {
	case "add":
		rule, err := parseRule(args[1:])
		ts.Check(err)
		s.proxy.Add(rule)
	case "clear":
		s.proxy.Clear()
	case "cut":
		s.proxy.CutAll()
	default:
		ts.Fatalf("usage: fault add|clear|cut")
	}
}

// startProxy puts a proxy before the script's cluster.
func (s *script) startProxy(ts *testscript.TestScript) {
	config, err := s.cluster.KubeconfigFor(s.namespace)
	ts.Check(err)
	s.proxy, err = faultproxy.Start(config)
	ts.Check(err)
	ts.Check(s.writeKubeconfig(s.proxy.Kubeconfig))
}

func parseRule(args []string) (faultproxy.Rule, error) {
	var rule faultproxy.Rule
	flags := flag.NewFlagSet("fault add", flag.ContinueOnError)
	flags.IntVar(&rule.Times, "n", 0, "")
	flags.DurationVar(&rule.For, "for", 0, "")
	flags.DurationVar(&rule.Delay, "delay", 0, "")
	flags.DurationVar(&rule.RetryAfter, "retry-after", 0, "")
	flags.StringVar(&rule.Method, "method", "", "")
	if err := flags.Parse(args); err != nil {
		return rule, err
	}
	if flags.NArg() != 2 {
		return rule, fmt.Errorf("fault add: got %q, want what goes wrong and a path", flags.Args())
	}
	var err error
	if rule.Path, err = regexp.Compile(flags.Arg(1)); err != nil {
		return rule, err
	}
	switch what := flags.Arg(0); what {
	case "pass":
	case "cut":
		rule.Cut = faultproxy.Before
	case "lose":
		rule.Cut = faultproxy.After
	default:
		rule.Status, err = strconv.Atoi(what)
		if err != nil || http.StatusText(rule.Status) == "" {
			return rule, fmt.Errorf("fault add: %q is no HTTP status, cut, lose or pass", what)
		}
	}
	return rule, nil
}

// waitFor runs a program again and again until it succeeds, or fails with "!": wait-for TIME PROGRAM….
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: wait-for TIME PROGRAM…")
	}
	within, err := time.ParseDuration(args[0])
	ts.Check(err)
	for end := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if (err == nil) != neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("after %v it is still: %v\n%s%s", within, err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		}
	}
}

// exits runs a program that must end with an exit code, or with any: exits CODE|any PROGRAM….
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE|any PROGRAM…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if want := args[0]; want != "any" && want != strconv.Itoa(got) {
		ts.Fatalf("exit code %d, want %s\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// copyTree copies a folder: copytree FROM TO.
func copyTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copytree FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

// replace puts one text in place of another, which must be there: replace OLD NEW FILE. Both may name variables, and are in
// Go's notation of strings.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	var words [2]string
	for i := range words {
		var err error
		words[i], err = strconv.Unquote(`"` + args[i] + `"`)
		ts.Check(err)
	}
	text := ts.ReadFile(args[2])
	if !strings.Contains(text, words[0]) {
		ts.Fatalf("%s has no %q", args[2], words[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.ReplaceAll(text, words[0], words[1])), 0o644))
}

// sameText holds that a text is as wanted: sametext stdout|stderr|FILE WANT. The wanted one may name variables ($NS), and
// "..." in it stands for any text within a line, such as a time.
func sameText(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sametext stdout|stderr|FILE WANT")
	}
	got := strings.Split(ts.ReadFile(args[0]), "\n")
	want := strings.Split(os.Expand(ts.ReadFile(args[1]), ts.Getenv), "\n")
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !fits(got[i], want[i]) {
			ts.Fatalf("line %d: got %s, want %s; all of it:\n%s", i+1, line(got, i), line(want, i), strings.Join(got, "\n"))
		}
	}
}

// fits says whether a line is as wanted.
func fits(got, want string) bool {
	parts := strings.Split(want, "...")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(got)
}
