package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Role gives, as YAML, the least that reading a deployment's secrets needs, or
// writing them. Given paths, it holds for their Secrets alone, and does not list;
// a Secret that is to be made cannot be named by RBAC. Without paths it holds for
// all Secrets of the namespace, since RBAC does not know labels.
func Role(namespace, deployment string, write bool, paths ...secrets.Path) string {
	title, verbs := "reader", []string{"get"}
	if write {
		title, verbs = "writer", []string{"get", "update", "delete"}
	}
	var names []string
	for _, path := range paths {
		names = append(names, Name(path))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var rules []rule
	if len(names) == 0 {
		verbs = slices.Insert(verbs, 1, "list")
		if write {
			verbs = slices.Insert(verbs, 2, "create")
		}
	} else if write {
		rules = append(rules, rule{[]string{"secrets"}, nil, []string{"create"}})
	}
	rules = append(rules, rule{[]string{"secrets"}, names, verbs})
	text := roleFor(namespace, "kai-secrets-"+dnsPart(deployment)+"-"+title, rules...)
	if len(names) == 0 {
		text = "# A Role cannot tell Secrets apart by their labels: this one holds for all of the\n# namespace. Keep those of kai in a namespace of their own, or name paths.\n" + text
	}
	return text
}

// ReferencesRole gives, as YAML, the least that reading some objects of a namespace
// needs, as references of a deployment do: Secrets and ConfigMaps by their names.
func ReferencesRole(namespace, deployment string, secrets, configMaps []string) string {
	var rules []rule
	if len(secrets) > 0 {
		rules = append(rules, rule{[]string{"secrets"}, secrets, []string{"get"}})
	}
	if len(configMaps) > 0 {
		rules = append(rules, rule{[]string{"configmaps"}, configMaps, []string{"get"}})
	}
	return roleFor(namespace, "kai-references-"+dnsPart(deployment)+"-reader", rules...)
}

// dnsPart gives what of a name can stand in one of Kubernetes.
func dnsPart(name string) string {
	part := notInName.ReplaceAllString(strings.ToLower(name), "-")
	part = strings.Trim(part[:min(len(part), 200)], "-")
	if part == "" {
		return "x"
	}
	return part
}

// rule is one of a Role.
type rule struct{ resources, names, verbs []string }

func roleFor(namespace, name string, rules ...rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: %s\n  namespace: %s\nrules:\n", name, quoted(namespace))
	for _, r := range rules {
		fmt.Fprintf(&b, "  - apiGroups: [\"\"]\n    resources: [%s]\n", strings.Join(r.resources, ", "))
		if len(r.names) > 0 {
			b.WriteString("    resourceNames:\n")
			for _, n := range r.names {
				fmt.Fprintf(&b, "      - %s\n", quoted(n))
			}
		}
		fmt.Fprintf(&b, "    verbs: [%s]\n", strings.Join(r.verbs, ", "))
	}
	return b.String()
}

// quoted gives a name as YAML: quoted, where a reader may take it for something
// else, as a number.
func quoted(name string) string {
	if isDNS.MatchString(name) && strings.Trim(name, "0123456789.-e") != "" && name != "true" && name != "false" && name != "null" && name != "yes" && name != "no" && name != "on" && name != "off" && name != "y" && name != "n" {
		return name
	}
	return fmt.Sprintf("%q", name)
}
