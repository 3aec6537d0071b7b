package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

func newVersion(a *app) *cobra.Command {
	var output string
	var short bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: a.example("version", "version -o json"),
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if short {
				fmt.Fprintln(a.stdout, "v"+a.version)
				return nil
			}
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{"v" + a.version, runtime.Version(), runtime.GOOS, runtime.GOARCH}
			return a.print(output, v, func() {
				fmt.Fprintf(a.stdout, "kai %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
			})
		},
	}
	cmd.Flags().BoolVar(&short, "short", false, "print the number alone")
	outputFlag(cmd, &output)
	return cmd
}

// outputFlag adds -o text|json|yaml.
func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "format: text, json or yaml")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// print writes a value in the format that -o asks for.
func (a *app) print(format string, v any, text func()) error {
	switch format {
	case "text":
		text()
		return nil
	case "json":
		data, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.stdout, string(data))
		return err
	case "yaml":
		data, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(data)
		return err
	}
	return fmt.Errorf("--output %q: there is no such format\n  hint: text, json or yaml", format)
}
