package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kai-run": main})
}

// TestScripts runs testdata/script/*.txtar, each of which runs the real program.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			// Where it is built with the race detector, it would sleep at its end.
			env.Vars = append(env.Vars, "GORACE=atexit_sleep_ms=0")
			return nil
		},
	})
}
