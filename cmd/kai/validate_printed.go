package main

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"strings"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/explain"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
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

// otherTemplate finds the other template that makes an object.
var otherTemplate = regexp.MustCompile(`, in (\S+/templates/\S+) as well$`)

// inTemplate words a finding for its place, where that is a template's: quotes are put
// by the expression, and of two that make an object the message names the other one.
func (v *validation) inTemplate(f *validate.Finding, at source.Position) {
	if f.Hint == "write it in quotes" {
		data, err := fs.ReadFile(v.ws.FS, at.File)
		lines := strings.Split(string(data), "\n")
		if err == nil && at.Line <= len(lines) && strings.Contains(lines[at.Line-1], "{{") {
			f.Hint = "quote what the template prints: {{ … | quote }}"
		}
	}
	if m := otherTemplate.FindStringSubmatch(f.Message); m != nil && f.Rule == "object-twice" {
		if _, file, _ := strings.Cut(m[1], "/"); strings.HasSuffix(at.File, "/"+file) {
			f.Message = strings.Replace(f.Message, m[1], f.Source, 1)
		}
	}
}

// beside checks the other documents of a user's file with one that is no object: since
// the chart is not made, nobody else does.
func (v *validation) beside(found source.Findings) source.Findings {
	var out source.Findings
	seen := map[string]bool{}
	for _, f := range found {
		file := f.Origin.File
		if f.Code != "manifest" || seen[file] || v.schemas == nil {
			continue
		}
		seen[file] = true
		data, err := fs.ReadFile(v.ws.FS, file)
		if err != nil {
			continue
		}
		for _, doc := range explain.Manifests(file, data) {
			ref := manifest.Ref{APIVersion: doc.Get("apiVersion").Str(), Kind: doc.Get("kind").Str(), Name: doc.At("metadata", "name").Str()}
			fields, isMap := doc.Native().(map[string]any)
			if !isMap || ref.Name == "" || !v.schemas.Known(ref.APIVersion, ref.Kind) {
				continue
			}
			for _, problem := range v.schemas.Validate(fields) {
				at := source.Origin{Position: explain.Within(doc, problem.Path)}
				out.Add("kubernetes-schema", at, ref.String()+" "+problem.Path, problem.Hint, "%s", problem.Message)
			}
		}
	}
	return out
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
