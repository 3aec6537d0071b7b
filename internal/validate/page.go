package validate

import (
	"bytes"
	"fmt"
	"strings"
)

// Page gives the page of the docs about the rules.
func Page() []byte {
	var b bytes.Buffer
	b.WriteString(`# Rules

Written by ` + "`make docs`" + ` from the rules themselves.

Findings are errors, warnings or infos. A file of settings gives a rule another severity, or turns it off; what is ignored needs a
reason, in that file or at the object:

` + "```yaml" + `
# settings
rules: {latest-tag: error, pod-networkpolicy: off}
ignore:
  - {rule: no-anti-affinity, object: Deployment/web, reason: one replica is enough}
  - {rule: secret-in-clear, file: services/*/config/example.env, reason: an example for people}
` + "```" + `

` + "```yaml" + `
# an object, one rule on each line
metadata:
  annotations:
    kai.validate/ignore: |
      latest-tag: it is built on every commit
` + "```" + `

What keeps a chart from being made stays an error: of the first three groups, the rules that are errors here, but for ` + "`helm-lint`" + `. A
setting that turns one of these off, or ignores it, is a mistake itself. ` + "`forbidden-function`" + ` can be turned off for other tools' charts,
where it is a warning.

Rules have the names that kube-linter gives them, or else kube-score. The other's name, in brackets, means the same in settings and
annotations.
`)
	for _, group := range Groups {
		fmt.Fprintf(&b, "\n## %s\n\n| rule | severity | finds | way out |\n|---|---|---|---|\n", group)
		for _, rule := range Rules {
			if rule.Group != group {
				continue
			}
			name := "`" + rule.ID + "`"
			if len(rule.Also) > 0 {
				name += " (" + strings.Join(rule.Also, ", ") + ")"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, rule.Severity, rule.About, rule.Fix)
		}
	}
	return b.Bytes()
}
