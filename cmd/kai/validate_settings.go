package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// read gives the schemas and the settings that the flags alone name.
func (f *validateFlags) read() (*kubeschema.Schemas, validate.Settings, error) {
	schemas, settings, findings, err := f.judgement(nil)
	return schemas, settings, cmp.Or(err, findings.Err())
}

// judgement gives the schemas and the settings: those of the workspace's file, as far
// as it could be read, and over them those of the flags. The findings are about the
// workspace's file, and about definitions of custom resources; what they are about is
// left out.
func (f *validateFlags) judgement(ws *workspace.Workspace) (*kubeschema.Schemas, validate.Settings, source.Findings, error) {
	var said workspace.Validate
	var settings validate.Settings
	var findings source.Findings
	if ws != nil {
		said, findings = ws.Validate()
		var more source.Findings
		settings, more = validate.SettingsOf(said.Section, "validate.")
		findings = append(findings, more...)
	}
	schemas, more, err := f.schemas(ws, said)
	if findings = append(findings, more...); err != nil {
		return schemas, settings, findings, err
	}
	for _, file := range f.crds {
		data, err := os.ReadFile(file)
		if err == nil {
			more, err = addDefinitions(schemas, file, data)
		}
		if err != nil {
			return nil, settings, nil, fmt.Errorf("--crds %s: %w", file, reason(err))
		}
		findings = append(findings, more...)
	}
	if f.rules == "" {
		return schemas, settings, findings, nil
	}
	data, err := os.ReadFile(f.rules)
	if err != nil {
		return nil, settings, nil, fmt.Errorf("--rules: %w", err)
	}
	own, wrong := validate.ReadSettings(f.rules, data)
	return schemas, own.Over(settings), findings, wrong.Err()
}

// placed gives what is ignored with its files as findings have them: by a path from
// the workspace's root.
func (f *validateFlags) placed(a *app, dir string, ignores []validate.FileIgnore) []validate.FileIgnore {
	for i := range ignores {
		if at := &ignores[i].At; at.File == f.rules {
			at.File = a.fromRoot(dir, f.rules)
		}
	}
	return ignores
}

// placedFindings does the same for findings about the files that --crds names.
func (f *validateFlags) placedFindings(a *app, dir string, findings source.Findings) source.Findings {
	for i := range findings {
		if at := &findings[i].Origin; slices.Contains(f.crds, at.File) {
			at.File = a.fromRoot(dir, at.File)
		}
	}
	return findings
}

// fromRoot gives the path of a file that a flag names from the workspace's root, also
// of one that lies outside of it.
func (a *app) fromRoot(dir, file string) string {
	if inside, err := a.inWorkspace(dir, file); err == nil {
		return cmp.Or(inside, file)
	}
	here, err := a.getwd()
	if err != nil {
		return file
	}
	full := file
	if !filepath.IsAbs(full) {
		full = filepath.Join(here, file)
	}
	root := dir
	if !filepath.IsAbs(root) {
		root = filepath.Join(here, dir)
	}
	if path, err := filepath.Rel(root, full); err == nil {
		return filepath.ToSlash(path)
	}
	return file
}

// schemas gives those of the minor that the flag or the workspace names, with the
// workspace's definitions.
func (f *validateFlags) schemas(ws *workspace.Workspace, said workspace.Validate) (*kubeschema.Schemas, source.Findings, error) {
	var findings source.Findings
	named := f.kubeVersion != ""
	f.kubeVersion = cmp.Or(f.kubeVersion, said.KubeVersion.Str())
	schemas, err := kubeschema.Load(f.kubeVersion)
	switch {
	case err != nil && (named || said.KubeVersion == nil):
		return nil, nil, fmt.Errorf("--kube-version: %w", err)
	case err != nil:
		message, hint, _ := strings.Cut(err.Error(), "\n  hint: ")
		findings.Add("value", said.KubeVersion.Origin, "validate.kubeVersion", hint, "%s", message)
		f.kubeVersion = ""
		if schemas, err = kubeschema.Load(""); err != nil { // the newest, so that all else is found
			return nil, nil, err
		}
	}
	for _, file := range said.CRDs {
		var more source.Findings
		data, err := fs.ReadFile(ws.FS, file.Str())
		if err == nil {
			more, err = addDefinitions(schemas, file.Str(), data)
		}
		if err != nil {
			message, hint, _ := strings.Cut(reason(err).Error(), "\n  hint: ")
			findings.Add("file", file.Origin, "validate.crds", hint, "%s: %s", file.Str(), message)
		}
		findings = append(findings, more...)
	}
	return schemas, findings, nil
}

// addDefinitions adds the CustomResourceDefinitions among the manifests of a file. The
// findings, all of them warnings, are about what of these is not checked.
func addDefinitions(schemas *kubeschema.Schemas, file string, data []byte) (source.Findings, error) {
	objects, err := manifest.Parse(string(data))
	if err != nil {
		return nil, err
	}
	var findings source.Findings
	var docs []*source.Value
	given := false
	for _, o := range objects {
		if o.Ref.Kind != definitionKind {
			continue
		}
		given = true
		flaws, err := schemas.AddCRD(o.Fields)
		if err != nil {
			return findings, err
		}
		if len(flaws) > 0 && docs == nil {
			docs, _ = source.ParseYAMLStream(file, data) // which is slow, for its positions
		}
		for _, flaw := range flaws {
			findings = append(findings, source.Finding{
				Origin: definitionPlace(docs, file, o.Ref.Name, flaw.Path), Path: o.Ref.Name + " " + strings.TrimPrefix(flaw.At(), "."), Message: flaw.Message, Hint: flaw.Hint,
				Code: validate.DefinitionSchema, Severity: source.Warning,
			})
		}
	}
	if !given {
		return nil, errors.New("there is no " + definitionKind + " in it\n  hint: give the files that define custom resources, as kubectl get crd NAME -o yaml prints them")
	}
	return findings, nil
}

const definitionKind = "CustomResourceDefinition"

// definitionPlace gives where a part of a definition stands among the documents of its
// file, or the beginning of the file.
func definitionPlace(docs []*source.Value, file, name string, path []string) source.Origin {
	for _, doc := range docs {
		for _, v := range append([]*source.Value{doc}, doc.Get("items").ItemsOrNone()...) {
			if v.Get("kind").Str() == definitionKind && v.At("metadata", "name").Str() == name {
				return placeAt(v, path)
			}
		}
	}
	return source.Origin{Position: source.Position{File: file, Line: 1, Column: 1}}
}

// placeAt follows a path as far as it leads: to a scalar, or to the key of what is
// none.
func placeAt(v *source.Value, path []string) source.Origin {
	at := v.Origin
	for _, key := range path {
		next := v.Get(key)
		if i, err := strconv.Atoi(key); err == nil && i < len(v.ItemsOrNone()) {
			next = v.Items[i]
		}
		if next == nil {
			break
		}
		at = next.Origin
		for _, f := range v.FieldsOrNone() {
			if f.Key == key && !next.IsScalar() {
				at = f.Origin
			}
		}
		v = next
	}
	return at
}
