package report

import (
	"fmt"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// codeQuality is an entry of GitLab's report on code quality.
type codeQuality struct {
	Description string              `json:"description"`
	CheckName   string              `json:"check_name"`
	Fingerprint string              `json:"fingerprint"`
	Severity    string              `json:"severity"`
	Location    codeQualityLocation `json:"location"`
}

type codeQualityLocation struct {
	Path  string           `json:"path"`
	Lines codeQualityLines `json:"lines"`
}

type codeQualityLines struct {
	Begin int `json:"begin"`
}

// codeQualitySeverities are GitLab's words for severities.
var codeQualitySeverities = map[validate.Severity]string{validate.Error: "major", validate.Warning: "minor", validate.Info: "info"}

// writeGitLab prints a report on code quality, which GitLab shows in the diff of a
// merge request. What is ignored is not in it; what has no file stands at the
// workspace's.
func writeGitLab(w *printer, found []finding, o FindingsOptions) error {
	out := []codeQuality{}
	marks := marker{}
	for _, f := range found {
		mark := marks.of(f)
		if f.Ignored != "" {
			continue
		}
		text := f.Message
		if about := f.about(); about != "" {
			text = about + ": " + text
		}
		at := codeQualityLocation{Path: o.path(o.Root), Lines: codeQualityLines{1}}
		if f.File != "" && source.TreeOf(f.File) == "" {
			at = codeQualityLocation{Path: o.path(f.File), Lines: codeQualityLines{max(f.Line, 1)}}
		}
		out = append(out, codeQuality{text, f.Rule, mark, codeQualitySeverities[f.Severity], at})
	}
	if err := encodeJSON(w, out, "  "); err != nil {
		return fmt.Errorf("print the findings for GitLab: %w", err)
	}
	return nil
}
