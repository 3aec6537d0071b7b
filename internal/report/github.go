package report

import (
	"fmt"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// workflowCommands are GitHub's words for severities.
var workflowCommands = map[validate.Severity]string{validate.Error: "error", validate.Warning: "warning", validate.Info: "notice"}

// Escapes of workflow commands, as the toolkit of GitHub Actions has them.
var (
	workflowData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	workflowProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// writeGitHub prints workflow commands, which GitHub shows beside the lines of a
// change, and the closing line of text, which stands in the log.
func writeGitHub(w *printer, found []finding, o FindingsOptions) error {
	for _, s := range spots(found) {
		var properties []string
		if s.File != "" && source.TreeOf(s.File) == "" {
			properties = append(properties, "file="+workflowProperty.Replace(o.path(s.File)))
			if s.Line > 0 {
				properties = append(properties, fmt.Sprintf("line=%d", s.Line))
			}
			if s.Column > 0 {
				properties = append(properties, fmt.Sprintf("col=%d", s.Column))
			}
		}
		properties = append(properties, "title="+workflowProperty.Replace(s.Rule))
		lines := append([]string{s.Message}, s.where()...)
		if s.File == "" {
			lines[0] = s.place(o) + ": " + s.Message
		}
		if s.Hint != "" {
			lines = append(lines, "hint: "+s.Hint)
		}
		w.line("", fmt.Sprintf("::%s %s::%s", workflowCommands[s.Severity], strings.Join(properties, ","), workflowData.Replace(strings.Join(lines, "\n"))))
	}
	w.line("", countFindings(found).String())
	return nil
}
