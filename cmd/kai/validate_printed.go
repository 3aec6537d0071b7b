package main

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
)

const noYAML = "what the template gives is no YAML: "

var (
	// ofDocument is what the reader of manifests says of which document it speaks.
	ofDocument = regexp.MustCompile(`^document \d+( \([^)]*\))?: `)
	// content is a line that is neither empty nor a comment nor a marker.
	content = regexp.MustCompile(`^\s*([^\s#-]|-[^-])`)
)

// printed gives the finding about what a template prints, which is no YAML or no object,
// in the template, at the line that prints it. Where the template is none of the
// workspace's, the message names it. result is nil where what is printed is no YAML.
func (v *validation) printed(ctx context.Context, c *renderedContext, r build.Release, loaded *build.Loaded, result *render.Result, reason error) (source.Finding, bool) {
	f := build.Finding(r, reason)
	f.Path = ""
	var failed *render.Error
	template, wrong := "", func(doc string) bool { _, err := manifest.Parse(doc); return err != nil }
	switch {
	case result != nil:
		for _, m := range result.Manifests {
			if wrong(m.Content) {
				template = m.Source
				break
			}
		}
	case errors.As(reason, &failed) && failed.Code == render.CodeManifest:
		template = r.Chart.Name + "/" + failed.At.File
	}
	if template == "" || loaded == nil {
		return f, false
	}
	files, err := loaded.Printed(ctx, v.options())
	if err != nil {
		return f, false
	}
	lines := strings.Split(files[template], "\n")
	at, said := wrongLine(lines, wrong)
	f.Message = strings.Replace(ofDocument.ReplaceAllString(f.Message, ""), "it has ", "the document has ", 1)
	if why, ok := strings.CutPrefix(f.Message, "error converting YAML to JSON: yaml: "); ok {
		f.Message = noYAML + why
	}
	if said.Message != "" { // the message that there is has the line of the document
		f.Message, f.Hint = noYAML+said.Message, said.Hint
	}
	located := c.locator.Release(r, nil, v.options())
	place, own := located.Printed(template, lines, at)
	f.Origin = source.Origin{Position: place}
	if !own {
		_, file, _ := strings.Cut(template, "/")
		f.Message = file + ": " + f.Message
	}
	return f, true
}

// wrongLine gives the line, from 0, of the first document that is wrong: that at which
// its reader stopped, with what it says, or else its first.
func wrongLine(lines []string, wrong func(doc string) bool) (at int, said source.Finding) {
	for from, to := 0, 0; from < len(lines); from = to {
		for to = from + 1; to < len(lines) && !strings.HasPrefix(lines[to], "---"); {
			to++
		}
		doc := strings.Join(lines[from:to], "\n")
		if !wrong(doc) {
			continue
		}
		if _, findings := source.ParseYAML("", []byte(doc)); findings.Err() != nil {
			return min(from+max(findings[0].Origin.Line, 1), to) - 1, findings[0]
		}
		for at = from; at < to-1 && !content.MatchString(lines[at]); {
			at++
		}
		return at, said
	}
	return 0, said
}
