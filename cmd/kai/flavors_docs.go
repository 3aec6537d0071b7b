package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/flavortest"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

type flavorDocsFlags struct {
	file  string
	dir   string
	check bool
}

func newFlavorsDocs(a *app, w *workspaceFlags) *cobra.Command {
	var f flavorDocsFlags
	cmd := &cobra.Command{
		Use:   "docs [NAME|PATH…]",
		Short: "Write a page about flavors in Markdown",
		Long: `Writes what flavors are, from their own files: the fields that they take with types,
defaults and descriptions, the templates that they bring, and a test case as example.
Without names it is about all flavors of the workspace, or of the folder that one is
in. What a flavor has of one that it extends stands there, if both are on the page.

--check writes nothing and fails where a file is not what would be written.

Exit codes: 0 done, 1 failed, or a file is out of date.`,
		Example: a.example("flavors docs worker", "flavors docs -o docs/flavors.md", "flavors docs ./flavors --output-dir docs/flavors --check"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return w.libraryNames((*workspace.Workspace).FlavorNames), cobra.ShellCompDirectiveDefault
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return documentFlavors(a, w, f, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "output", "o", "", "file for one page about all (default: standard output)")
	flags.StringVar(&f.dir, "output-dir", "", "folder for a page about each, NAME.md")
	flags.BoolVar(&f.check, "check", false, "only say whether the files are up to date")
	cmd.MarkFlagsMutuallyExclusive("output", "output-dir")
	_ = cmd.MarkFlagDirname("output-dir")
	return cmd
}

func documentFlavors(a *app, w *workspaceFlags, f flavorDocsFlags, names []string) error {
	if f.check && f.file == "" && f.dir == "" {
		return errors.New("--check needs a file to look at\n  hint: --output FILE, or --output-dir DIR")
	}
	described, err := w.documented(names)
	if err != nil {
		return err
	}
	pages := map[string][]byte{}
	switch {
	case f.dir != "":
		for _, d := range described {
			pages[filepath.Join(f.dir, d.flavor.Name+".md")] = flavorPage([]documentedFlavor{d})
		}
	case f.file != "":
		pages[f.file] = flavorPage(described)
	default:
		_, err := a.stdout.Write(flavorPage(described))
		return err
	}
	var stale []string
	for name, page := range pages {
		have, err := os.ReadFile(name)
		switch {
		case err == nil && bytes.Equal(have, page):
		case f.check:
			stale = append(stale, name)
		default:
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(name, page, 0o644); err != nil {
				return err
			}
			fmt.Fprintf(a.stderr, "wrote %s\n", name)
		}
	}
	if len(stale) > 0 {
		slices.Sort(stale)
		return fmt.Errorf("out of date: %s\n  hint: %s flavors docs without --check writes it", strings.Join(stale, ", "), a.as)
	}
	return nil
}

// documentedFlavor is a flavor that a page is about, with an example: the descriptor of
// a test case, or "".
type documentedFlavor struct {
	flavor  *descriptor.Flavor
	example string
}

// documented finds flavors as flavorPlaces does, those of the library too.
func (w *workspaceFlags) documented(names []string) ([]documentedFlavor, error) {
	var out []documentedFlavor
	var places []flavorPlace
	var paths []string
	for _, name := range names {
		if strings.ContainsAny(name, `/\.`) {
			paths = append(paths, name)
			continue
		}
		ws, err := w.libraryOpen()
		if err != nil {
			return nil, err
		}
		f, findings := ws.Flavor(named(name))
		if f == nil {
			return nil, findings
		}
		example := ""
		if !f.BuiltIn {
			example = firstCase(ws.FS, f.Dir)
		}
		out = append(out, documentedFlavor{f, example})
	}
	if len(names) == 0 || len(paths) > 0 {
		var err error
		if places, err = w.flavorPlaces(paths); err != nil {
			return nil, err
		}
	}
	for _, p := range places {
		f, findings := p.ws.Flavor(named("./" + p.dir))
		if f == nil {
			return nil, findings
		}
		out = append(out, documentedFlavor{f, firstCase(p.ws.FS, p.dir)})
	}
	return out, nil
}

// firstCase gives the descriptor of the first case of a flavor that needs no other
// file and is not refused, or "".
func firstCase(fsys fs.FS, dir string) string {
	tests := path.Join(dir, descriptor.FlavorTests)
	entries, _ := fs.ReadDir(fsys, tests)
	for _, e := range entries {
		files, _ := fs.ReadDir(fsys, path.Join(tests, e.Name()))
		alone := len(files) == 2 && files[0].Name() == descriptor.FileName && files[1].Name() == flavortest.Manifests
		if data, err := source.ReadFile(fsys, path.Join(tests, e.Name(), descriptor.FileName), descriptor.MaxFlavorFile); err == nil && alone {
			return string(data)
		}
	}
	return ""
}

// flavorPage writes a page about flavors.
func flavorPage(all []documentedFlavor) []byte {
	var b bytes.Buffer
	on := map[*descriptor.Flavor]bool{}
	names := map[string]bool{}
	for _, d := range all {
		on[d.flavor], names[d.flavor.Name] = true, true
	}
	level := "#"
	if len(all) != 1 {
		b.WriteString("# Flavors\n\nWritten by `kai flavors docs` from the flavors themselves.\n\n")
		level = "##"
	}
	for _, d := range all {
		d.write(&b, level, func(f *descriptor.Flavor) bool { return names[f.Name] && len(all) > 1 })
	}
	return append(bytes.TrimSpace(b.Bytes()), '\n')
}

func (d documentedFlavor) write(b *bytes.Buffer, level string, onPage func(*descriptor.Flavor) bool) {
	f := d.flavor
	fmt.Fprintf(b, "%s %s\n\n%s.\n\nVersion %s", level, f.Name, strings.TrimSuffix(upper(f.Description), "."), f.Version)
	for p := f.Parent; p != nil; p = p.Parent {
		fmt.Fprintf(b, "; extends %s", linked(p, onPage))
		if onPage(p) {
			break // its own part says what that extends
		}
	}
	b.WriteString(".")
	if f.Abstract {
		b.WriteString(" It is only there to be extended.")
	}
	b.WriteString("\n\n")
	fieldsTable(b, "", f, f.Own, nil)
	var gone []string
	for p := f; p.Parent != nil; p = p.Parent {
		gone = append(gone, p.Gone...)
		if onPage(p.Parent) {
			fmt.Fprintf(b, "It also takes the fields of %s", linked(p.Parent, onPage))
			if len(gone) > 0 {
				fmt.Fprintf(b, ", but not `%s`", strings.Join(gone, "` and `"))
			}
			b.WriteString(".\n\n")
			break
		}
		hidden := append(slices.Clone(gone), fieldNames(f.Own)...)
		fieldsTable(b, fmt.Sprintf("Of `%s`, which it extends:\n\n", p.Parent.Name), f, p.Parent.Own, hidden)
	}
	if changed := defaultsOf(f); len(changed) > 0 {
		fmt.Fprintf(b, "Defaults of fields that it has from elsewhere: %s.\n\n", strings.Join(changed, ", "))
	}
	if written := writes(f); len(written) > 0 {
		fmt.Fprintf(b, "Templates of its own: %s.\n\n", strings.Join(written, ", "))
	}
	if d.example != "" {
		fmt.Fprintf(b, "%s# Example of %s\n\n```yaml\n# kai.yaml\n%s```\n\n", level, f.Name, strings.TrimRight(d.example, "\n")+"\n")
	}
}

func upper(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func linked(f *descriptor.Flavor, onPage func(*descriptor.Flavor) bool) string {
	if onPage(f) {
		return fmt.Sprintf("[%s](#%s)", f.Name, f.Name)
	}
	return "`" + f.Name + "`"
}

func fieldNames(fields []descriptor.Field) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Name)
	}
	return out
}

// fieldsTable writes fields of a flavor, but those that it hides, below a line that
// introduces them.
func fieldsTable(b *bytes.Buffer, line string, f *descriptor.Flavor, fields []descriptor.Field, hidden []string) {
	var rows bytes.Buffer
	for _, field := range fields {
		if !slices.Contains(hidden, field.Name) {
			fieldRows(&rows, f.Types, field, "", f.Defaults, 0)
		}
	}
	if rows.Len() > 0 {
		fmt.Fprintf(b, "%s| field | type | default | |\n|---|---|---|---|\n%s\n", line, rows.Bytes())
	}
}

// fieldRows writes a field, and below it those that it has.
func fieldRows(b *bytes.Buffer, types *descriptor.Types, field descriptor.Field, prefix string, around *source.Value, depth int) {
	name := strings.TrimPrefix(prefix+"."+field.Name, ".")
	value := around.Get(field.Name)
	inner, several := types.FieldsBelow(field.Expr)
	about := field.Description
	if field.Required {
		about = strings.TrimPrefix(about+"; must be given", "; ")
	}
	shown := ""
	if value != nil && (len(inner) == 0 || several) {
		shown = "`" + cell(inline(value)) + "`"
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, field.Expr, shown, cell(about))
	if several {
		name, value = name+"[]", nil
	}
	for _, one := range inner {
		if depth < 5 { // types may refer to themselves
			fieldRows(b, types, one, name, value, depth+1)
		}
	}
}

// inline gives a value in one line.
func inline(v *source.Value) string {
	if v.IsScalar() {
		return v.Str()
	}
	data, err := json.Marshal(v.Native())
	if err != nil {
		return ""
	}
	return string(data)
}

// cell gives a text as it can stand in a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}

// defaultsOf gives the defaults that a flavor's file has for fields that the file does
// not declare.
func defaultsOf(f *descriptor.Flavor) []string {
	var out []string
	var visit func(v *source.Value, name string)
	visit = func(v *source.Value, name string) {
		if len(v.FieldsOrNone()) > 0 {
			for _, one := range v.Fields {
				visit(one.Value, strings.TrimPrefix(name+"."+one.Key, "."))
			}
			return
		}
		if v != nil && v.Origin.File == f.File() {
			out = append(out, fmt.Sprintf("`%s: %s`", name, inline(v)))
		}
	}
	own := fieldNames(f.Own)
	for _, one := range f.Defaults.FieldsOrNone() {
		if !slices.Contains(own, one.Key) {
			visit(one.Value, one.Key)
		}
	}
	return out
}

// kindLine is where a template names the kind of its object.
var kindLine = regexp.MustCompile(`(?m)^kind: ([A-Z][A-Za-z]+)\s*$`)

// writes gives the templates of a flavor's own, with the kinds of their objects.
func writes(f *descriptor.Flavor) []string {
	var out []string
	for _, file := range f.Files {
		if file.Source != path.Join(f.Dir, file.Path) || !strings.HasPrefix(file.Path, "templates/") || strings.HasPrefix(path.Base(file.Path), "_") {
			continue
		}
		text := "`" + file.Path + "`"
		var kinds []string
		for _, m := range kindLine.FindAllSubmatch(file.Data, -1) {
			kinds = append(kinds, string(m[1]))
		}
		if len(kinds) > 0 {
			text += " (" + strings.Join(kinds, ", ") + ")"
		}
		out = append(out, text)
	}
	return out
}
