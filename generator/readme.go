package generator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
)

// valueDocs knows what the values of a chart mean.
type valueDocs struct {
	types  *descriptor.Types
	fields []descriptor.Field
}

func describe(in Input) valueDocs {
	fields, types := outputFields(in)
	return valueDocs{types: types, fields: fields}
}

// comment gives what is written above a value in values.yaml. The form with two
// dashes is what helm-docs reads.
func (d valueDocs) comment(path []string) string {
	text := d.types.Describe(d.fields, path)
	if text == "" {
		return ""
	}
	return "-- " + text
}

func valuesHead(in Input) string {
	return fmt.Sprintf("# yaml-language-server: $schema=values.schema.json\n# Values of %s for the context %s, made by kai from %s.\n# Change that file: this one is written anew.\n\n",
		in.Name, in.Context, in.Resolved.Service.File)
}

// readme writes the chart's README.md.
func (g *generation) readme(d valueDocs) []byte {
	in := g.in
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", in.Name)
	if in.Description != "" {
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(in.Description))
	}
	flavor := in.Resolved.Flavor
	fmt.Fprintf(&b, "A Helm chart for the context `%s`, made by kai from `%s` and the flavor %s %s.\n\n", in.Context, in.Resolved.Service.File, flavor.Name, flavor.Version)
	namespace := in.Namespace
	if namespace == "" {
		namespace = "NAMESPACE"
	}
	extra := ""
	if len(g.secrets.example().Fields) > 0 {
		extra = " -f ci/default-values.yaml"
	}
	fmt.Fprintf(&b, "```sh\nhelm upgrade --install %s . --namespace %s%s\n```\n\n", in.Name, namespace, extra)
	g.readmeSecrets(&b)
	b.WriteString("## Values\n\n| key | meaning |\n|---|---|\n")
	for _, f := range d.fields {
		if f.Description != "" {
			fmt.Fprintf(&b, "| `%s` | %s |\n", f.Name, strings.ReplaceAll(f.Description, "|", "\\|"))
		}
	}
	for _, s := range in.Subcharts {
		fmt.Fprintf(&b, "| `%s` | values of the vendored chart %s |\n", s.Chart.Name, s.Chart.Name)
	}
	return []byte(b.String())
}

// readmeSecrets says which Secrets the chart wants, and how to give them.
func (g *generation) readmeSecrets(b *strings.Builder) {
	var list []Secret
	later := 0
	for _, s := range g.secrets.list() {
		if s.Elsewhere {
			later += len(s.Keys)
		} else {
			list = append(list, s)
		}
	}
	if later > 0 {
		b.WriteString("## Secrets at run time\n\nContainers start through kai-run, which reads what `KAI_VARS` names from the store that the other variables\n`KAI_…` name. Who logs in there is the pod, by what the workspace's context says.\n\n")
	}
	if len(list) == 0 {
		return
	}
	b.WriteString("## Secrets\n\nThe chart reads these Secrets. ")
	if e := g.in.Delivery.External; e != nil && g.secrets.external() {
		fmt.Fprintf(b, "External Secrets makes them of what the %s `%s` has: the chart holds an\nExternalSecret for each, and needs no value. One that is given `values` under `secrets`, all of them, the chart writes\nitself instead; where `existingSecret` names one, it makes none.", e.Kind, e.Store)
	} else {
		b.WriteString("`kai install` fills them from the context's secrets. With Helm alone, create them and\nname them as in `ci/default-values.yaml`, or give their values under `secrets`, as in the file that\n`kai values -o FILE` writes.")
	}
	b.WriteString("\n\n| Secret | keys | made by |\n|---|---|---|\n")
	for _, s := range list {
		var keys []string
		for _, k := range s.Keys {
			keys = append(keys, "`"+k.Key+"`")
		}
		slices.Sort(keys)
		by := "this chart, from the values it is given"
		switch {
		case s.External:
			by = "External Secrets"
		case !s.Created:
			by = "another chart"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", s.Name, strings.Join(keys, ", "), by)
	}
	b.WriteString("\n")
}
