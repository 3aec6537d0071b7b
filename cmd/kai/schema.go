package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

func newSchema(a *app, w *workspaceFlags) *cobra.Command {
	kinds := slices.Sorted(maps.Keys(workspace.SchemaKinds))
	var out string
	cmd := &cobra.Command{
		Use:   "schema [" + strings.Join(kinds, "|") + "]",
		Short: "Print the JSON Schema of a file format, for editors",
		Long: `Prints the JSON Schema (2020-12) of a file format, from which an editor completes,
explains and checks. In a workspace it knows the workspace: the names of flavors,
friends and services, its own types, and which fields a context of each flavor takes.
docs/editor.md says how editors get it.`,
		Example:   a.example("schema -o .kai/descriptor.schema.json", "schema workspace -o .kai/workspace.schema.json", "schema friend"),
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: kinds,
		RunE: func(_ *cobra.Command, args []string) error {
			kind := "descriptor"
			if len(args) == 1 {
				kind = args[0]
			}
			if err := isFormat(out); err != nil {
				return err
			}
			ws, err := w.libraryOpen()
			if err != nil {
				return err
			}
			schema, err := ws.Schema(kind)
			if err != nil {
				return err
			}
			data, err := source.AppendJSON(nil, schema)
			if err != nil {
				return err
			}
			if out != "" {
				return replaceFile(out, data)
			}
			_, err = fmt.Fprint(a.stdout, string(data))
			return err
		},
	}
	cmd.Flags().StringVarP(&out, "output-file", "o", "", "write to this file instead, and make its folder")
	_ = cmd.MarkFlagFilename("output-file")
	return cmd
}
