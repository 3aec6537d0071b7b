package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/workspace"
)

func newSchema(a *app, w *workspaceFlags) *cobra.Command {
	kinds := slices.Sorted(maps.Keys(workspace.SchemaKinds))
	cmd := &cobra.Command{
		Use:   "schema [" + strings.Join(kinds, "|") + "]",
		Short: "Print the JSON Schema of a file format, for editors",
		Long: `Prints the JSON Schema (2020-12) of a file format. In a workspace the descriptor's
schema knows the workspace's own types and flavors.`,
		Example:   a.example("schema > kai.schema.json", "schema workspace"),
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: kinds,
		RunE: func(_ *cobra.Command, args []string) error {
			kind := "descriptor"
			if len(args) == 1 {
				kind = args[0]
			}
			ws, err := w.libraryOpen()
			if err != nil {
				return err
			}
			schema, err := ws.Schema(kind)
			if err != nil {
				return err
			}
			data, err := schemaJSON(schema)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.stdout, string(data))
			return err
		},
	}
	return cmd
}

func schemaJSON(schema map[string]any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(schema)
	return b.Bytes(), err
}
