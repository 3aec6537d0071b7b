package validate_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/validate"
)

//go:generate go test . -run TestRulesPage -update

var update = flag.Bool("update", false, "write docs/rules.md anew")

func parse(t testing.TB, text string) []manifest.Object {
	t.Helper()
	objects, err := manifest.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return objects
}

func check(t testing.TB, text string, settings validate.Settings) []validate.Finding {
	t.Helper()
	schemas, err := kubeschema.Load("1.36")
	if err != nil {
		t.Fatal(err)
	}
	return validate.Check(validate.Input{
		Releases: []validate.Release{{Name: "a", Namespace: "shop", Objects: parse(t, text)}}, Schemas: schemas, Settings: settings,
	})
}

func of(rule string, findings []validate.Finding) []validate.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f validate.Finding) bool { return f.Rule != rule })
}

// TestRules holds each rule to objects that break it and to objects that hold it.
func TestRules(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/rules.txtar")
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{}
	for _, file := range archive.Files {
		examples[file.Name] = string(file.Data)
	}
	for _, rule := range validate.Rules {
		if slices.Contains([]validate.Group{validate.Format, validate.Names, validate.Chart}, rule.Group) || slices.Contains([]string{validate.SecretInClear, validate.DefinitionSchema, validate.UnusedIgnore}, rule.ID) {
			continue // it is not about objects
		}
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			bad, clean := examples[rule.ID+"/bad.yaml"], examples[rule.ID+"/clean.yaml"]
			if bad == "" || clean == "" {
				t.Fatal("there are no examples")
			}
			first, _, _ := strings.Cut(bad, "\n")
			path := strings.TrimSpace(strings.TrimPrefix(first, "# Path:"))
			found := of(rule.ID, check(t, bad, validate.Settings{}))
			if len(found) != 1 || found[0].Path != path || found[0].Severity != rule.Severity || found[0].Hint == "" {
				t.Errorf("found %v; one was wanted, at %q", found, path)
			}
			if found := of(rule.ID, check(t, clean, validate.Settings{})); len(found) > 0 {
				t.Errorf("found in the clean objects: %v", found)
			}
		})
	}
}

// TestObjectsOfReleases: releases share the objects of a namespace, and those of the
// cluster.
func TestObjectsOfReleases(t *testing.T) {
	t.Parallel()
	const account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: s}\n"
	const role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: s}\n"
	schemas, err := kubeschema.Load("1.36")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		object, namespace, want string
	}{
		"one namespace":    {account, "shop", "the object is made by release a as well"},
		"another":          {account, "stock", ""},
		"of the cluster":   {role, "stock", "the object is made by release a as well"},
		"its own and said": {strings.Replace(account, "name: s", "name: s, namespace: shop", 1), "stock", "the object is made by release a as well"},
	} {
		found := of("object-twice", validate.Check(validate.Input{Schemas: schemas, Releases: []validate.Release{
			{Name: "a", Namespace: "shop", Objects: parse(t, test.object)}, {Name: "b", Namespace: test.namespace, Objects: parse(t, test.object)},
		}}))
		switch {
		case test.want == "" && len(found) == 0:
		case test.want == "" || len(found) != 1 || found[0].Message != test.want || found[0].Release != "b":
			t.Errorf("%s: found %v, want %q", name, found, test.want)
		}
	}
}

const latest = `apiVersion: v1
kind: Pod
metadata:
  name: a
  annotations:
    kai.validate/ignore: |
      container-image-tag: it is built on every commit
      run-as-non-root
spec: {containers: [{name: a, image: "a:latest"}]}
`

// TestIgnored: what is ignored stays a finding, with its reason, and one without a
// reason is not ignored.
func TestIgnored(t *testing.T) {
	t.Parallel()
	settings, findings := validate.ReadSettings("rules.yaml", []byte("ignore:\n  - {rule: no-read-only-root-fs, object: Pod/*, reason: a test}\n  - {rule: latest-tag, object: Pod/b, reason: another}\n"))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	found := check(t, latest, settings)
	for rule, want := range map[string]string{
		"latest-tag": "it is built on every commit", "run-as-non-root": "", "no-read-only-root-fs": "a test", "ignore-needs-reason": "",
	} {
		if got := of(rule, found); len(got) != 1 || got[0].Ignored != want {
			t.Errorf("%s: %v, ignored for %q", rule, got, want)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	settings, findings := validate.ReadSettings("rules.yaml", []byte("rules: {latest-tag: error, container-resources: off, run-as-non-root: \"off\"}\n"))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	found := check(t, latest, settings)
	if got := of("latest-tag", found); len(got) != 1 || got[0].Severity != validate.Error {
		t.Errorf("latest-tag: %v", got)
	}
	for _, rule := range []string{"unset-cpu-requirements", "unset-memory-requirements", "run-as-non-root"} {
		if got := of(rule, found); len(got) > 0 {
			t.Errorf("%s is off: %v", rule, got)
		}
	}
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"rules: {latest: error}":                   `rules.yaml:1:9: rules.latest: there is no rule "latest"`,
		"rules: {latest-tag: fatal}":               `rules.yaml:1:21: rules.latest-tag: "fatal" is no severity`,
		"ignore: [{rule: latest-tag}]":             "what is ignored needs a reason",
		"ignore: [{rule: late-tag, reason: late}]": `there is no rule "late-tag"`,
		"rule: {}":                                        `unknown key "rule"`,
		"rules: {wrong-type: off}":                        "rules.yaml:1:21: rules.wrong-type: wrong-type keeps a chart from being made: it stays an error, and cannot be turned off",
		"rules: {unknown-instance: info}":                 "it stays an error, and cannot be turned into info",
		"ignore: [{rule: template-parse, reason: later}]": "rules.yaml:1:17: ignore[0].rule: template-parse keeps a chart from being made: it cannot be ignored",
	} {
		_, findings := validate.ReadSettings("rules.yaml", []byte(text))
		if !strings.Contains(findings.Error(), want) {
			t.Errorf("%s: %q does not contain %q", text, findings.Error(), want)
		}
	}
}

// TestSettingsOfStages: what no chart depends on can be turned off.
func TestSettingsOfStages(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"rules: {wrong-type: error, helm-lint: off, forbidden-function: off, gateway-tls: info, secret-in-clear: warning, crd-schema: off, kubernetes-schema: warning}",
		"ignore: [{rule: helm-lint, reason: a}, {rule: secret-in-clear, file: a, reason: b}, {rule: removed-api, reason: c}]",
	} {
		if _, findings := validate.ReadSettings("rules.yaml", []byte(text)); len(findings) > 0 {
			t.Errorf("%s: %s", text, findings)
		}
	}
}

// TestNamesOfRules: no name means two things, and other tools' names mean something.
func TestNamesOfRules(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, rule := range validate.Rules {
		if seen[rule.ID] || rule.About == "" || rule.Fix == "" || rule.Group == "" || !slices.Contains(validate.Severities, rule.Severity) {
			t.Errorf("%s stands there twice or lacks something", rule.ID)
		}
		seen[rule.ID] = true
		for _, other := range rule.Also {
			if len(validate.RulesOf(other)) == 0 {
				t.Errorf("%s means nothing", other)
			}
		}
	}
	// kube-linter's defaults and kube-score's criticals.
	for _, name := range strings.Fields(`
		dangling-service deprecated-service-account-field docker-sock drop-net-raw-capability duplicate-env-var env-var-secret host-ipc
		host-network host-pid invalid-target-ports latest-tag liveness-port mismatching-selector no-anti-affinity no-extensions-v1beta
		no-read-only-root-fs non-existent-service-account pdb-max-unavailable pdb-min-available privilege-escalation-container
		privileged-container readiness-port run-as-non-root sensitive-host-mounts ssh-port startup-port unsafe-sysctls
		unset-cpu-requirements unset-memory-requirements pdb-unhealthy-pod-eviction-policy
		container-ephemeral-storage-request-and-limit container-image-pull-policy container-image-tag container-resources
		container-security-context-privileged container-security-context-readonlyrootfilesystem container-security-context-user-group-id
		cronjob-has-deadline cronjob-restartpolicy deployment-has-poddisruptionbudget statefulset-has-poddisruptionbudget
		deployment-pod-selector-labels-match-template-metadata-labels statefulset-pod-selector-labels-match-template-metadata-labels
		deployment-targeted-by-hpa-does-not-have-replicas-configured environment-variable-key-duplication
		horizontalpodautoscaler-has-target ingress-targets-service label-values networkpolicy-targets-pod pod-networkpolicy pod-probes
		pod-probes-identical poddisruptionbudget-has-policy service-targets-pod statefulset-has-servicename`) {
		if len(validate.RulesOf(name)) == 0 {
			t.Errorf("there is no rule %s", name)
		}
	}
}

// TestRulesPage holds that docs/rules.md is what the rules say.
func TestRulesPage(t *testing.T) {
	t.Parallel()
	const file = "../../docs/rules.md"
	want := validate.Page()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
		t.Errorf("%s is stale (%v): run make docs", file, err)
	}
}
