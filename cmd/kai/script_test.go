package main

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"
)

func TestMain(m *testing.M) {
	programs := map[string]func(){
		"kai":         func() { os.Exit(run()) },
		"kubectl-kai": func() { os.Exit(run()) },
	}
	maps.Copy(programs, systemPrograms)
	testscript.Main(sheltered{m}, programs)
}

// sheltered runs tests with a cache of their own, which goes with them.
type sheltered struct{ *testing.M }

func (s sheltered) Run() int {
	dir, err := os.MkdirTemp("", "kai-cache-")
	if err == nil {
		err = os.Setenv("KAI_CACHE", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return s.M.Run()
}

// noRaceSleep is for the environment of programs: where they are built with the
// race detector, they would sleep for a second at their end.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

// TestScripts runs testdata/script/*.txtar, each of which runs the real command.
func TestScripts(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"bigfile":  bigFile,
		"charts":   charts,
		"commit":   commit,
		"copytree": copyTree,
		"deep":     deep,
		"replace":  replace,
		"names":    names,
		"repin":    repin,
		"edit":     edit,
		"identity": identity,
		"sametree": sameTree,
		"unlist":   unlist,
	}
	maps.Copy(commands, systemCommands)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("KAI_UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLES", examples)
			env.Setenv("NO_COLOR", "1")
			env.Setenv("KAI_CACHE", filepath.Join(env.WorkDir, ".cache"))
			env.Vars = append(env.Vars, noRaceSleep)
			var server *httptest.Server
			env.Values[chartsKey{}] = &server
			env.Defer(func() {
				if server != nil {
					server.Close()
				}
			})
			return nil
		},
		Cmds: commands,
		Condition: func(name string) (bool, error) {
			switch name {
			case "mount":
				return canMount(), nil
			case "race":
				return raceDetector, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
}

// bigFile makes a sparse file: bigfile NAME BYTES.
func bigFile(ts *testscript.TestScript, neg bool, args []string) {
	name, size := fileAndNumber(ts, neg, args)
	f, err := os.Create(name)
	ts.Check(err)
	ts.Check(f.Truncate(int64(size)))
	ts.Check(f.Close())
}

// deep makes a YAML file of lists inside one another: deep NAME DEPTH.
func deep(ts *testscript.TestScript, neg bool, args []string) {
	name, depth := fileAndNumber(ts, neg, args)
	ts.Check(os.WriteFile(name, []byte("apiVersion: "+strings.Repeat("[", depth)+strings.Repeat("]", depth)+"\n"), 0o644))
}

func fileAndNumber(ts *testscript.TestScript, neg bool, args []string) (string, int) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: NAME NUMBER")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	return ts.MkAbs(args[0]), n
}

// names holds the objects of a file of manifests together: names FILE. Every name
// is one that Kubernetes takes and stands once, every Secret that is named is
// there, and every policy's label is one that a pod carries.
func names(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: names FILE")
	}
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	seen, secrets, carried := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var wantedSecrets, wantedLabels []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(path, item)
			}
		case map[string]any:
			for key, item := range v {
				if name, ok := strings.CutPrefix(key, "friend.kai/"); ok {
					if !label.MatchString(name) {
						ts.Fatalf("no label: %s", key)
					}
					if strings.HasSuffix(path, ".matchLabels") {
						wantedLabels = append(wantedLabels, name)
					} else {
						carried[name] = true
					}
				}
				if text, ok := item.(string); ok && strings.HasSuffix(path, ".secretKeyRef") && key == "name" {
					wantedSecrets = append(wantedSecrets, text)
				}
				walk(path+"."+key, item)
			}
		}
	}
	for doc := range strings.SplitSeq(ts.ReadFile(args[0]), "\n---\n") {
		var object map[string]any
		ts.Check(yaml.Unmarshal([]byte(doc), &object))
		if object == nil {
			continue
		}
		metadata, _ := object["metadata"].(map[string]any)
		name, _ := metadata["name"].(string)
		id := fmt.Sprintf("%v %s", object["kind"], name)
		if seen[id] || !label.MatchString(name) {
			ts.Fatalf("%s stands twice, or Kubernetes does not take the name", id)
		}
		seen[id] = true
		if object["kind"] == "Secret" {
			secrets[name] = true
		}
		walk("", object)
	}
	for _, name := range wantedSecrets {
		if !secrets[name] {
			ts.Fatalf("there is no Secret %s", name)
		}
	}
	for _, name := range wantedLabels {
		if !carried[name] {
			ts.Fatalf("no pod carries friend.kai/%s", name)
		}
	}
	if len(wantedSecrets) == 0 || len(wantedLabels) == 0 {
		ts.Fatalf("nothing to hold together")
	}
}

// listed is a hint's list of what there is.
var listed = regexp.MustCompile(`(?m)(^  hint: did you mean "[^"]*"\?) \(.*\)$|(^  hint: known): .*$`)

// unlist keeps what a command said without the lists of what there is, which
// grow with the library: unlist stderr FILE.
func unlist(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unlist stderr FILE")
	}
	said := listed.ReplaceAllString(ts.ReadFile(args[0]), "$1$2")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(said), 0o644))
}

// replace writes bytes that no archive can hold: replace OLD NEW FILE, both in
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
	data := ts.ReadFile(args[2])
	if !strings.Contains(data, words[0]) {
		ts.Fatalf("%s", fmt.Sprintf("%s has no %q", args[2], words[0]))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.ReplaceAll(data, words[0], words[1])), 0o644))
}
