package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
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

// judgement gives the schemas and the settings: those of the workspace's file, where
// it could be read, and over them those of the flags. The findings are about the
// workspace's file.
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
	if findings = append(findings, more...); err != nil || findings.Err() != nil {
		return schemas, settings, findings, err
	}
	for _, file := range f.crds {
		data, err := os.ReadFile(file)
		if err == nil {
			err = addDefinitions(schemas, data)
		}
		if err != nil {
			return nil, settings, nil, fmt.Errorf("--crds %s: %w", file, reason(err))
		}
	}
	if f.rules == "" {
		return schemas, settings, nil, nil
	}
	data, err := os.ReadFile(f.rules)
	if err != nil {
		return nil, settings, nil, fmt.Errorf("--rules: %w", err)
	}
	own, wrong := validate.ReadSettings(f.rules, data)
	return schemas, own.Over(settings), nil, wrong.Err()
}

// placed gives what is ignored with its files as findings have them: by a path from
// the workspace's root.
func (f *validateFlags) placed(a *app, dir string, ignores []validate.FileIgnore) []validate.FileIgnore {
	file, err := a.inWorkspace(dir, f.rules)
	for i := range ignores {
		if at := &ignores[i].At; err == nil && at.File == f.rules {
			at.File = file
		}
	}
	return ignores
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
		return nil, findings, nil
	}
	for _, file := range said.CRDs {
		data, err := fs.ReadFile(ws.FS, file.Str())
		if err == nil {
			err = addDefinitions(schemas, data)
		}
		if err != nil {
			findings.Add("file", file.Origin, "validate.crds", "", "%s: %s", file.Str(), reason(err))
		}
	}
	return schemas, findings, nil
}

// addDefinitions adds the CustomResourceDefinitions among manifests.
func addDefinitions(schemas *kubeschema.Schemas, data []byte) error {
	objects, err := manifest.Parse(string(data))
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.Ref.Kind == "CustomResourceDefinition" {
			if err := schemas.AddCRD(o.Fields); err != nil {
				return err
			}
		}
	}
	return nil
}
