package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	programs := map[string]func(){
		"kai":         func() { os.Exit(run()) },
		"kubectl-kai": func() { os.Exit(run()) },
	}
	maps.Copy(programs, systemPrograms)
	testscript.Main(m, programs)
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
		"copytree": copyTree,
		"deep":     deep,
		"replace":  replace,
		"edit":     edit,
		"sametree": sameTree,
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
			env.Vars = append(env.Vars, noRaceSleep)
			return nil
		},
		Cmds: commands,
		Condition: func(name string) (bool, error) {
			if name == "mount" {
				return canMount(), nil
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
