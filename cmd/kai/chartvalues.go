package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/render"
)

// chartValues are a user's own values for charts, in Helm's forms.
type chartValues struct {
	files     []string
	set       []string
	setString []string
	setFile   []string
}

func (v *chartValues) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&v.files, "values", "f", nil, "file of chart values, - for standard input (several are laid over one another)")
	flags.StringArrayVar(&v.set, "set", nil, "chart value: KEY=VALUE")
	flags.StringArrayVar(&v.setString, "set-string", nil, "chart value that is text: KEY=VALUE")
	flags.StringArrayVar(&v.setFile, "set-file", nil, "chart value from a file: KEY=PATH")
}

// read lays the values over one another.
func (v *chartValues) read(a *app) (map[string]any, error) {
	u := render.UserValues{Set: v.set, SetString: v.setString, SetFile: v.setFile, ReadFile: os.ReadFile}
	var err error
	if u.Files, err = v.readFiles(a); err != nil {
		return nil, err
	}
	return u.Merge()
}

// readFiles reads the files of -f.
func (v *chartValues) readFiles(a *app) ([]render.ValuesFile, error) {
	var files []render.ValuesFile
	for _, name := range v.files {
		read := func() ([]byte, error) { return os.ReadFile(name) }
		if name == "-" {
			read = func() ([]byte, error) { return io.ReadAll(a.stdin) }
		}
		data, err := read()
		if err != nil {
			return nil, fmt.Errorf("--values: %w", err)
		}
		files = append(files, render.ValuesFile{Name: name, Data: data})
	}
	return files, nil
}
