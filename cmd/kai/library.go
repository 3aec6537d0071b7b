package main

import (
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// libraryOpen opens the workspace, or an empty one where there is none: the
// built-in library is there anyway.
func (w *workspaceFlags) libraryOpen() (*workspace.Workspace, error) {
	if _, err := w.root(); err != nil {
		if w.dir != "" {
			return nil, err
		}
		return workspace.Library()
	}
	ws, _, findings, err := w.openAs(true)
	if err == nil {
		err = findings.Err()
	}
	return ws, err
}

type flavorInfo struct {
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Description string      `json:"description"`
	From        string      `json:"from"`
	Digest      string      `json:"digest,omitempty"`
	Fields      []fieldInfo `json:"fields,omitempty"`
	Defaults    any         `json:"defaults,omitempty"`
	Files       []string    `json:"files,omitempty"`
}

type fieldInfo struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
}

func newFlavors(a *app, w *workspaceFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "flavors",
		Short:   "List, show, make, test and document flavors, which turn a context into a chart",
		Example: a.example("flavors list", "flavors show webservice", "flavors new queueworker", "flavors test"),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var output string
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the flavors of the workspace and the library",
		Example: a.example("flavors list", "flavors list -o json"),
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return listFlavors(a, w, output)
		},
	}
	show := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show what a flavor takes, its defaults and its files",
		Example: a.example("flavors show stateful", "flavors show ./flavors/mine -o yaml"),
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return w.libraryNames((*workspace.Workspace).FlavorNames), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return showFlavor(a, w, args[0], output)
		},
	}
	for _, sub := range []*cobra.Command{list, show} {
		outputFlag(sub, &output)
		cmd.AddCommand(sub)
	}
	cmd.AddCommand(newFlavorsNew(a, w), newFlavorsTest(a, w), newFlavorsDocs(a, w))
	return cmd
}

func (w *workspaceFlags) libraryNames(list func(*workspace.Workspace) []string) []string {
	ws, err := w.libraryOpen()
	if err != nil {
		return nil
	}
	return list(ws)
}

func named(name string) *source.Value { return source.NewString(source.Origin{}, name) }

// from says where a flavor or a friend stands, by its file.
func from(builtIn bool, file string) string {
	switch tree := source.TreeOf(file); {
	case builtIn:
		return "library"
	case tree != "":
		return source.Readable(tree)
	}
	return "workspace"
}

func listFlavors(a *app, w *workspaceFlags, output string) error {
	ws, err := w.libraryOpen()
	if err != nil {
		return err
	}
	if findings := ws.Unreachable(); findings != nil {
		return findings
	}
	infos := []flavorInfo{}
	for _, name := range ws.FlavorNames() {
		f, findings := ws.Flavor(named(name))
		if f == nil {
			return findings
		}
		if !f.Abstract {
			infos = append(infos, flavorInfo{Name: f.Name, Version: f.Version, Description: f.Description, From: from(f.BuiltIn, f.Dir)})
		}
	}
	return a.print(output, infos, func() {
		t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tVERSION\tFROM\tDESCRIPTION")
		for _, f := range infos {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Name, f.Version, f.From, f.Description)
		}
		t.Flush()
	})
}

func showFlavor(a *app, w *workspaceFlags, name, output string) error {
	ws, err := w.libraryOpen()
	if err != nil {
		return err
	}
	f, findings := ws.Flavor(named(name))
	if f == nil {
		return findings
	}
	info := flavorInfo{Name: f.Name, Version: f.Version, Description: f.Description, From: from(f.BuiltIn, f.Dir), Digest: "sha256:" + f.Digest, Defaults: f.Defaults.Native()}
	for _, field := range f.AllFields() {
		info.Fields = append(info.Fields, fieldInfo{Name: field.Name, Type: field.Expr.String(), Description: field.Description})
	}
	for _, file := range f.Files {
		info.Files = append(info.Files, file.Path)
	}
	return a.print(output, info, func() {
		fmt.Fprintf(a.stdout, "%s %s (%s)\n%s\n\nFields of a context:\n", info.Name, info.Version, info.From, info.Description)
		t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		for _, field := range info.Fields {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", field.Name, field.Type, field.Description)
		}
		t.Flush()
		if f.Defaults != nil {
			fmt.Fprintf(a.stdout, "\nDefaults:\n%s", indented(string(source.AppendYAML(nil, f.Defaults, nil))))
		}
		fmt.Fprintf(a.stdout, "\nFiles:\n%s", indented(strings.Join(info.Files, "\n")+"\n"))
	})
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

type friendInfo struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description"`
	From        string `json:"from"`
}

func newFriends(a *app, w *workspaceFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "friends",
		Short:   "List and show friends, the services that others depend on",
		Example: a.example("friends list", "friends show mysql"),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var output string
	list := &cobra.Command{
		Use:     "list",
		Short:   "List the friends of the workspace and the library",
		Example: a.example("friends list"),
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return listFriends(a, w, output) },
	}
	outputFlag(list, &output)
	show := &cobra.Command{
		Use:     "show NAME",
		Short:   "Print a friend's file",
		Example: a.example("friends show redis"),
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return w.libraryNames((*workspace.Workspace).FriendNames), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			ws, err := w.libraryOpen()
			if err != nil {
				return err
			}
			f, findings := ws.Friend(named(args[0]), false)
			if f == nil {
				return findings
			}
			data, err := fs.ReadFile(f.FS, f.File)
			if err != nil {
				return err
			}
			_, err = a.stdout.Write(data)
			return err
		},
	}
	cmd.AddCommand(list, show)
	return cmd
}

func listFriends(a *app, w *workspaceFlags, output string) error {
	ws, err := w.libraryOpen()
	if err != nil {
		return err
	}
	if findings := ws.Unreachable(); findings != nil {
		return findings
	}
	infos := []friendInfo{}
	for _, name := range ws.FriendNames() {
		f, findings := ws.Friend(named(name), false)
		if f == nil {
			return findings
		}
		infos = append(infos, friendInfo{Name: f.Name, Type: f.Type(), Description: f.Description(), From: from(ws.IsLibrary(f), f.File)})
	}
	return a.print(output, infos, func() {
		t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "NAME\tTYPE\tFROM\tDESCRIPTION")
		for _, f := range infos {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Name, f.Type, f.From, f.Description)
		}
		t.Flush()
	})
}
