//go:build unix

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/e2e/databases"
	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

var update = flag.Bool("update", false, "write docs/stores.md anew")

// suiteRun is a run of the contract suite: the test of kai's module that does it, and for which store.
type suiteRun struct {
	store, pkg, test string
	env              []string
}

// suiteResult is what became of a rule.
type suiteResult struct {
	action string // pass, skip or fail
	cannot []string
}

// TestStores runs the contract suite of stores of secrets on every kind of store, each a real server where there is one, and
// holds docs/stores.md to what came of it. With -update it writes that page.
func TestStores(t *testing.T) {
	t.Parallel()
	vault := vaultserver.ForTest(t, cache(t), root(t))
	atVault := []string{"KAI_TEST_VAULT_ADDR=" + vault.Addr, "KAI_TEST_VAULT_TOKEN=" + vault.Token}
	database := func(prefix string, s *databases.Server) []string {
		return []string{prefix + "_URL=" + s.URL(), prefix + "_PASSWORD=" + s.Password, prefix + "_CA=" + s.CA}
	}
	runs := []suiteRun{
		{"file, age", "file", "TestContractOfAnEncryptedFile", nil},
		{"file, plain", "file", "TestContractOfAPlainFile", nil},
		{"SQLite", "sql", "TestSQLite/many connections", nil},
		{"PostgreSQL", "sql", "TestServer/postgres/many connections", database("KAI_TEST_POSTGRES", databases.ForTest(t, databases.Postgres))},
		{"MariaDB", "sql", "TestServer/mysql/many connections", database("KAI_TEST_MYSQL", databases.ForTest(t, databases.MariaDB))},
		{"Vault, KV 2", "vault", "TestContract", atVault},
		{"Vault, KV 1", "vault", "TestContractOfTheFirstVersion", atVault},
		{"Kubernetes", "kubernetes", "TestServer/contract", []string{"KAI_TEST_KUBECONFIG=" + cluster(t).Kubeconfig}},
		{"chain", "storetest", "TestChain", nil},
		{"memory", "storetest", "TestMemory", nil},
	}
	var rules []string
	var table []map[string]suiteResult
	for _, run := range runs {
		order, results := run.do(t)
		if len(results) == 0 {
			t.Fatalf("%s: no rule was tested", run.store)
		}
		for _, rule := range order {
			if results[rule].action == "fail" {
				t.Errorf("%s: %s has failed: run %s in internal/secrets/%s", run.store, rule, run.test, run.pkg)
			}
			if !slices.Contains(rules, rule) {
				rules = append(rules, rule)
			}
		}
		table = append(table, results)
	}
	page := storesPage(runs, rules, table)
	path := filepath.Join(root(t), "docs", "stores.md")
	if *update {
		must(t, os.WriteFile(path, []byte(page), 0o644))
		return
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != page {
		t.Errorf("docs/stores.md is stale (%v): in e2e, go test -run '^TestStores$' -update . writes\n%s", err, page)
	}
}

// do runs the suite and gives what became of its rules, in the order in which they ended.
func (s suiteRun) do(t *testing.T) ([]string, map[string]suiteResult) {
	t.Helper()
	var pattern []string
	for _, part := range strings.Split(s.test, "/") {
		pattern = append(pattern, "^"+strings.ReplaceAll(part, " ", "_")+"$")
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-json", "-timeout=10m", "-run="+strings.Join(pattern, "/"), "./internal/secrets/"+s.pkg)
	cmd.Dir, cmd.Env = root(t), append(os.Environ(), s.env...)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var order []string
	results := map[string]suiteResult{}
	for line := range bytes.Lines(out) {
		var event struct{ Action, Test, Output string }
		must(t, json.Unmarshal(line, &event))
		rule, ok := strings.CutPrefix(event.Test, strings.ReplaceAll(s.test, " ", "_")+"/")
		if !ok {
			continue
		}
		rule = strings.ReplaceAll(rule, "_", " ")
		if s.pkg == "storetest" && s.test == "TestChain" {
			rule = "provider/" + rule // the suite of what a chain is
		}
		result := results[rule]
		switch event.Action {
		case "output":
			if m := suiteCannot.FindStringSubmatch(event.Output); m != nil && !slices.Contains(result.cannot, m[1]) {
				result.cannot = append(result.cannot, m[1])
			}
		case "pass", "skip", "fail":
			result.action = event.Action
			order = append(order, rule)
		}
		results[rule] = result
	}
	return order, results
}

// suiteCannot is how the suite words what a store cannot do.
var suiteCannot = regexp.MustCompile(`: cannot: (.+)`)

// storesPage writes the table.
func storesPage(runs []suiteRun, rules []string, table []map[string]suiteResult) string {
	var page strings.Builder
	page.WriteString(`# Stores of secrets and their contract

Made by a test (e2e, TestStores) from runs of the contract suite in internal/secrets/storetest, each on the real thing; it fails
when this page is stale. **yes**: the rule was tested and holds. **no**: the store cannot do it and says so, by an error that a
command shows; the number says why. **–**: the rule is not about such a store.

`)
	var notes []string
	note := func(text string) string {
		i := slices.Index(notes, text)
		if i < 0 {
			i, notes = len(notes), append(notes, text)
		}
		return fmt.Sprint(i + 1)
	}
	page.WriteString("| rule |")
	for _, run := range runs {
		page.WriteString(" " + run.store + " |")
	}
	page.WriteString("\n|---|" + strings.Repeat("---|", len(runs)) + "\n")
	for _, rule := range rules {
		if slices.ContainsFunc(rules, func(part string) bool { return strings.HasPrefix(part, rule+"/") }) {
			continue // its parts say it
		}
		page.WriteString("| " + strings.ReplaceAll(rule, "/", ": ") + " |")
		for i := range runs {
			result, cell := table[i][rule], "–"
			switch result.action {
			case "pass":
				cell = "yes"
			case "skip":
				cell = "no"
			case "fail":
				cell = "FAILED"
			}
			for _, why := range result.cannot {
				cell += " " + note(why)
			}
			page.WriteString(" " + cell + " |")
		}
		page.WriteString("\n")
	}
	page.WriteString("\n")
	for i, text := range notes {
		fmt.Fprintf(&page, "%d. %s\n", i+1, text)
	}
	return page.String()
}
