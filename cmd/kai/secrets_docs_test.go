package main

import (
	"os"
	"strings"
	"testing"

	running "github.com/helm-kai/helm-kai/internal/run"
)

// TestOlderVariables holds the page on secrets to the older system's variables that
// kai-run understands.
func TestOlderVariables(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/secrets.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range running.Options() {
		for _, name := range o.Env {
			short := strings.Replace(name, "KAIGARA_DATABASE_", "`…_", 1)
			if strings.HasPrefix(name, "KAIGARA_") && !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), short+"`") {
				t.Errorf("docs/secrets.md does not name %s", name)
			}
		}
	}
}
