package validate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// stageRules are the rules of what comes before the objects: their findings are those
// that every command gives, with the codes of those. They are errors where nothing
// else is said.
var stageRules = []Rule{
	{ID: "yaml", Group: Format, About: "a file that is no YAML", Fix: "correct it as the message says"},
	{ID: "file", Group: Format, About: "a file that is not there, cannot be read, is named by a path that leads out of the workspace, or holds nothing of what it is named for", Fix: "correct the path, or add the file"},
	{ID: "api-version", Group: Format, About: "an apiVersion that kai does not read", Fix: "write apiVersion: kai/v1"},
	{ID: "unknown-key", Group: Format, About: "a key that nothing takes, mostly a misspelled one", Fix: "write one of the keys that the message lists"},
	{ID: "duplicate-key", Group: Format, About: "a key that stands twice in a map", Fix: "keep one of the two"},
	{ID: "wrong-type", Group: Format, About: "a value of another type than its field has", Fix: "write what the message asks for"},
	{ID: "required", Group: Format, About: "a field that is missing", Fix: "add it"},
	{ID: "value", Group: Format, About: "a value that is none of those that its field takes", Fix: "take one of them"},
	{ID: "constraint", Group: Format, About: "a value that its type's constraints refuse: enumeration, pattern, range or length", Fix: "write what the message asks for"},
	{ID: "number", Group: Format, About: "a number that cannot be kept as it is written", Fix: "write it as text, or a smaller one"},
	{ID: "name", Group: Format, About: "a name that is missing, or that Kubernetes, or kai, does not take", Fix: "use a to z, 0 to 9 and -"},
	{ID: "env-name", Group: Format, About: "a name of a variable of the environment that not every Kubernetes takes", Fix: "use letters, digits, _, - and ., and begin with none of 0 to 9 and .."},
	{ID: "version", Group: Format, About: "a version of a service, a flavor or the workspace that is no semantic one", Fix: "write MAJOR.MINOR.PATCH"},
	{ID: "image", Group: Format, About: "an image with neither tag nor digest, or with a name that no registry takes", Fix: "do as the message says"},
	{ID: "one-of", Group: Format, About: "fields of which exactly one, at least one or at most one has to be there", Fix: "write one of them, or keep one"},
	{ID: "exclusive", Group: Format, About: "fields that exclude one another", Fix: "keep one"},
	{ID: "limit", Group: Format, About: "something that is larger, deeper or more than kai reads", Fix: "make it smaller"},
	{ID: "type", Group: Format, About: "a mistake in a type of one's own", Fix: "correct the type as the message says"},
	{ID: "manifest", Group: Format, About: "a file among objects that is no Kubernetes manifest", Fix: "write apiVersion, kind and metadata.name"},
	{ID: "substitution", Group: Format, About: "a ${…} that cannot be read", Fix: "write ${NAME}, or $${ for the text itself"},
	{ID: "secrets", Group: Format, About: "a mistake in how a context keeps its secrets", Fix: "correct it as the message says"},
	{ID: "external-secrets", Group: Format, About: "a mistake in how secrets come by External Secrets", Fix: "correct it as the message says"},
	{ID: "runtime", Group: Format, About: "a mistake in how secrets are read at run time", Fix: "correct it as the message says"},
	{ID: "shape", Group: Format, About: "a file of secrets in no shape that kai knows", Fix: "write it as docs/secrets.md has it"},

	{ID: "unknown-instance", Group: Names, About: "an instance that the descriptor does not have: an image, a route, a mount, a probe", Fix: "name one that it has, or add it"},
	{ID: "unknown-context", Group: Names, About: "a context that is not there", Fix: "name one that is, or add it"},
	{ID: "unknown-flavor", Group: Names, About: "a flavor that is not there", Fix: "name one that is"},
	{ID: "unknown-friend", Group: Names, About: "a friend that is not there", Fix: "name one that is, or {service: NAME}"},
	{ID: "unknown-service", Group: Names, About: "a service that is not in the workspace", Fix: "name one that is"},
	{ID: "unknown-rule", Group: Names, About: "a rule of validating that is not there, in the workspace's file", Fix: "name one that is"},
	{ID: "unknown-route", Group: Names, About: "a port of a name that no route has", Fix: "name a route's port"},
	{ID: "unknown-output", Group: Names, About: "a ${…} that asks a friend or the service for what it does not offer", Fix: "name one of what it offers"},
	{ID: "unknown-variable", Group: Names, About: "a variable that nothing gives a value", Fix: "give it one in the workspace, or a default: ${NAME:-…}"},
	{ID: "variable", Group: Names, About: "an entry in a file of variables whose name or value no variable can have", Fix: "use A to Z, 0 to 9 and _ in the name, and give it text, a number, true or false"},
	{ID: "reference", Group: Names, About: "a reference to a secret elsewhere that cannot be resolved", Fix: "correct the reference"},
	{ID: "credential", Group: Names, About: "a credential where only text can stand", Fix: "refer to it in env, args, commands, or files with template: true"},
	{ID: "cycle", Group: Names, About: "what refers to itself through others", Fix: "remove one of the references"},
	{ID: "extends-order", Group: Names, About: "contexts that extend one another in orders that cannot both be kept", Fix: "list them in the same order everywhere"},
	{ID: "version-override", Group: Names, About: "a context that changes what its version file gives", Fix: "leave it to the version file, or give the context an instance of its own"},
	{ID: "duplicate-name", Group: Names, About: "a name that stands there twice", Fix: "rename one of the two"},
	{ID: "env-conflict", Group: Names, About: "a variable that two friends give", Fix: "name it otherwise"},
	{ID: "mount-conflict", Group: Names, About: "two mounts at one place, or of one name and with different volumes", Fix: "give each a path, or a name, of its own"},
	{ID: "port-conflict", Group: Names, About: "two routes with one port", Fix: "give each a port of its own"},
	{ID: "embedded-collision", Group: Names, About: "a name that two embedded types have", Fix: "rename one of the two"},
	{ID: "dependency-conflict", Group: Names, About: "a shared friend that is described in two ways", Fix: "describe it once, in a file of the workspace's friends"},
	{ID: "unused-instance", Group: Names, About: "an instance that no context names", Fix: "name it, or remove it"},
	{ID: "unused-context", Group: Names, Severity: Warning, About: "a context of a descriptor that no context of the workspace applies; it is looked at by itself", Fix: "add it to the workspace's contexts, or remove it"},
	{ID: "unused-flavor", Group: Names, Severity: Info, About: "a flavor that no service and no friend uses; its test cases are looked at", Fix: "name it in a context, or remove it"},
	{ID: "unused-friend", Group: Names, Severity: Info, About: "a friend that no service uses; it is looked at as if one did", Fix: "name it among a context's friends, or remove it"},
	{ID: "unused-version", Group: Names, Severity: Warning, About: "a version file of a service that is not there", Fix: "rename it, or remove it"},
	{ID: "flavor-name", Group: Names, Severity: Warning, About: "a flavor whose name differs from its folder's", Fix: "rename one of the two"},
	{ID: "unused", Group: Names, About: "a field that has no effect without another", Fix: "write the other one as well, or remove it"},
	{ID: "unsupported", Group: Names, About: "something that a flavor, a way of exposing a route, or this kai, cannot do", Fix: "do as the message says"},
	{ID: "gateway-tls", Group: Names, Severity: Warning, About: "a certificate at a route of Gateway API, which carries none", Fix: "give it to the Gateway's listener"},
	{ID: "istio-tls", Group: Names, Severity: Warning, About: "a certificate at a route of Istio, which carries none", Fix: "give it to the Gateway's server"},
	{ID: "chart", Group: Names, About: "a chart of a friend's that cannot be read", Fix: "correct its path or its files"},
	{ID: "source", Group: Names, About: "a flavor, friend or chart from elsewhere that cannot be had", Fix: "correct its address"},
	{ID: "unpinned", Group: Names, About: "something from elsewhere that kai.lock does not pin", Fix: "run helm kai upgrade"},
	{ID: "lock", Group: Names, About: "a kai.lock that cannot be read or does not fit what is there", Fix: "run helm kai upgrade"},

	{ID: "helm-lint", Group: Chart, About: "what helm lint --strict says of the chart", Fix: "correct the template, or what it is given"},
	{ID: "values-schema", Group: Chart, About: "values that the chart's schema refuses", Fix: "correct the value, or the flavor's types"},
	{ID: "values-unmergeable", Group: Chart, About: "values that do not fit those of a vendored chart", Fix: "correct the friend's values"},
	{ID: "template-parse", Group: Chart, About: "a template that cannot be parsed", Fix: "correct the template"},
	{ID: "template-execution", Group: Chart, About: "a template that fails", Fix: "correct the template, or what it is given"},
	{ID: "template-refused", Group: Chart, About: "a template that calls fail or required", Fix: "give what it asks for"},
	{ID: "template-limit", Group: Chart, About: "a template that needs too much time or memory", Fix: "make it simpler"},
	{ID: "forbidden-function", Group: Chart, About: "a function in a template whose result the chart's files do not decide, such as now", Fix: "take it from a value"},
	{ID: "manifest-yaml", Group: Chart, About: "a template that gives no YAML", Fix: "correct its indentation and quotes"},
	{ID: "chart-unreadable", Group: Chart, About: "a chart that Helm cannot read", Fix: "correct the file that the message names"},
	{ID: "kube-version", Group: Chart, About: "a chart that does not want the chosen Kubernetes", Fix: "choose another with --kube-version, or another chart"},
	{ID: "flavor", Group: Chart, About: "a flavor of which no chart can be made", Fix: "correct the flavor's files"},
	{ID: "render", Group: Chart, About: "a chart that cannot be rendered, or whose manifests cannot be read", Fix: "correct what the message names"},
	{ID: "render-options", Group: Chart, About: "a release name that Helm does not take", Fix: "rename the service"},
	{ID: "render-internal", Group: Chart, About: "a mistake of kai's own in rendering", Fix: "report it"},
	{ID: "internal", Group: Chart, About: "a mistake of kai's own", Fix: "report it"},

	{ID: SecretInClear, Also: []string{"plain-secret"}, Group: Security, About: "a secret in clear in a descriptor, a friend, a flavor, the workspace, or a file that they name; its value is not shown",
		Fix: "keep it in the context's store, and write {secret: KEY}"},
	{ID: DefinitionSchema, Severity: Warning, Group: Schema, About: "a CustomResourceDefinition that is given, with a rule in CEL that does not compile, or a schema or pattern that cannot be read: that part of it is not checked",
		Fix: "correct it: an API server refuses it as well"},
}

// SecretInClear is the rule of what Clear finds.
const SecretInClear = "secret-in-clear"

// DefinitionSchema is the rule of definitions of custom resources.
const DefinitionSchema = "crd-schema"

// allRules gives the rules of all stages.
func allRules(before, of []Rule) []Rule {
	all := slices.Concat(before, of)
	for i := range all {
		all[i].Severity = cmp.Or(all[i].Severity, Error)
	}
	return all
}

// OfStage gives findings of a stage before the objects, or about a chart, as
// findings of rules. What keeps a chart from being made stays an error whatever the
// settings say.
func OfStage(context, release string, found source.Findings, settings Settings) []Finding {
	var out []Finding
	for _, f := range found {
		rule := stageRule(f.Code)
		severity := Error
		if f.Severity == source.Warning {
			severity = Warning
			if rule.Severity == Info {
				severity = Info
			}
			if s, ok := settings.Severities[rule.ID]; ok {
				severity = s
			}
		} else if s, ok := settings.Severities[rule.ID]; ok && optional(rule) {
			severity = s
		}
		if severity == Off {
			continue
		}
		out = append(out, Finding{
			Rule: rule.ID, Severity: severity, Release: release, Path: f.Path, Message: f.Message, Hint: cmp.Or(f.Hint, rule.Fix),
			Context: context, File: f.Origin.File, Line: f.Origin.Line, Column: f.Origin.Column,
		})
	}
	return out
}

// optional says whether a chart is made all the same where a rule is not held.
func optional(rule *Rule) bool { return rule.ID == "helm-lint" || rule.ID == SecretInClear }

// stageRule gives the rule of a code.
func stageRule(code string) *Rule {
	if rules := RulesOf(code); len(rules) > 0 {
		return rules[0]
	}
	return &Rule{ID: cmp.Or(code, "render"), Severity: Error}
}

// Settle gives the findings as they are reported: what a file of settings ignores by
// its place has its reason, what two stages found at one place stands there once, what
// follows from another one is left out, and they are sorted by place.
func Settle(found []Finding, settings Settings) []Finding {
	type spot struct {
		rule, file   string
		line, column int
	}
	objects, clear := map[spot]bool{}, map[spot]bool{}
	found = withoutFollowing(withoutUsed(found))
	for i := range found {
		f := &found[i]
		if f.Ignored == "" {
			f.Ignored = settings.ignoredAt(f)
		}
		if f.Object.Kind != "" {
			objects[spot{f.Rule, f.File, f.Line, f.Column}] = true
		}
		if f.Rule == SecretInClear {
			clear[spot{file: f.File, line: f.Line}] = true
		}
	}
	found = append(found, settings.unused(found)...)
	seen := map[Finding]bool{}
	out := slices.DeleteFunc(found, func(f Finding) bool {
		f.order = 0
		again := seen[f]
		seen[f] = true
		switch {
		case again:
			return true
		case f.Object.Kind == "":
			return objects[spot{f.Rule, f.File, f.Line, f.Column}]
		}
		return f.Rule == "env-var-secret" && clear[spot{file: f.File, line: f.Line}]
	})
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return out
}

// ignoredAt gives the reason for which a finding is passed over by its file, or one
// without an object by its rule alone.
func (s Settings) ignoredAt(f *Finding) string {
	for _, one := range s.Ignores {
		named := slices.ContainsFunc(RulesOf(one.Rule), func(r *Rule) bool { return r.ID == f.Rule })
		if !named || f.Object.Kind != "" && one.File == "" || f.Object.Kind == "" && one.Object != "" {
			continue
		}
		if like(one.File, f.File) && (one.Release == "" || one.Release == f.Release) && (f.Object.Kind == "" || like(one.Object, f.Object.String())) {
			return one.Reason
		}
	}
	return ""
}
