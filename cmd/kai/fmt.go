package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/format"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// fmtFlags say what becomes of files that are not formatted.
type fmtFlags struct{ check, diff bool }

func newFmt(a *app) *cobra.Command {
	var f fmtFlags
	cmd := &cobra.Command{
		Use:   "fmt [PATH…]",
		Short: "Format descriptors, workspaces, flavors and friends",
		Long: `Writes files in one style: keys in the order of the docs, two spaces of indentation,
lists indented below their key, no more than one blank line at a time, and lines that
end in a line feed. Comments, quotes, block scalars and maps on one line stay as they
are.

A PATH is a file, a folder, or - for what is given to it; without any it is this
folder. In a folder those files are formatted that begin with our apiVersion; hidden
folders, generated charts and templates are left out. A file that is named and that has
another apiVersion, or none, keeps the order of its keys, which a note says. One whose
name does not end in .yaml or .yml, and a template of a flavor or a chart, is refused.

No file changes its meaning: what comes out is compared with what went in, and a file
that would say something else is refused. Files are replaced as a whole. The exit code
is 1 where a file was refused, and with --check where one is not formatted.`,
		Example:               a.example("fmt", "fmt --check services/tokend", "fmt --diff kai.yaml", "fmt - < kai.yaml"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return formatPaths(a, f, args)
		},
	}
	cmd.Flags().BoolVarP(&f.check, "check", "l", false, "list files that are not formatted, and write none")
	cmd.Flags().BoolVarP(&f.diff, "diff", "d", false, "print what would change, and write nothing")
	return cmd
}

func formatPaths(a *app, f fmtFlags, paths []string) error {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	if len(paths) == 1 && paths[0] == "-" {
		return formatInput(a, f)
	}
	var files []string
	refused := false
	named := map[string]bool{}
	for _, path := range paths {
		if path == "-" {
			return errors.New("- stands for what is given to kai, and for nothing beside it\n  hint: give it alone")
		}
		found, err := ourFiles(path)
		if err != nil {
			fmt.Fprintln(a.stderr, a.word(err))
			refused = true
			continue
		}
		files = append(files, found...)
		if len(found) == 1 && found[0] == path {
			named[path] = true
		}
	}
	changed := 0
	for _, file := range files {
		differs, err := formatFile(a, f, file, named[file])
		if err != nil {
			fmt.Fprintln(a.stderr, a.word(err))
			refused = true
		}
		if differs {
			changed++
		}
	}
	if refused {
		return &saidError{code: exitFailed}
	}
	if f.check && changed > 0 {
		return notFormatted(a, changed)
	}
	return nil
}

func notFormatted(a *app, n int) error {
	if n == 1 {
		return fmt.Errorf("1 file is not formatted\n  hint: %s fmt", a.as)
	}
	return fmt.Errorf("%d files are not formatted\n  hint: %s fmt", n, a.as)
}

// formatInput formats what is given to kai.
func formatInput(a *app, f fmtFlags) error {
	data, err := io.ReadAll(io.LimitReader(a.stdin, source.MaxFile+1))
	if err != nil {
		return err
	}
	out, err := format.File("-", data)
	switch {
	case err != nil:
		return err
	case f.diff:
		printFormatDiff(a, "-", data, out)
	case !f.check:
		_, err = a.stdout.Write(out)
		return err
	}
	if f.check && string(data) != string(out) {
		return notFormatted(a, 1)
	}
	return nil
}

// formatFile formats a file, or says that it is not formatted. differs is true where
// it is not. named says that somebody gave its name: they learn if it is none of ours.
func formatFile(a *app, f fmtFlags, file string, named bool) (differs bool, err error) {
	// A link stays one: what it leads to is written.
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return false, err
	}
	info, err := os.Stat(real)
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is not a regular file", file)
	}
	data, err := os.ReadFile(real)
	if err != nil {
		return false, err
	}
	out, err := format.File(filepath.ToSlash(file), data)
	if err != nil {
		return false, err
	}
	if note := foreign(file, data); named && note != "" {
		fmt.Fprintln(a.stderr, "note: "+note)
	}
	if string(out) == string(data) {
		return false, nil
	}
	switch {
	case f.diff:
		printFormatDiff(a, file, data, out)
		return true, nil
	case f.check:
		fmt.Fprintln(a.stdout, file)
		return true, nil
	}
	if err := overwrite(real, info.Mode().Perm(), out); err != nil {
		return true, err
	}
	fmt.Fprintf(a.stdout, "formatted\t%s\n", file)
	return true, nil
}

// overwrite replaces a file, as a whole or not at all.
func overwrite(name string, mode fs.FileMode, data []byte) error {
	t, err := os.CreateTemp(filepath.Dir(name), ".kai-*")
	if err != nil {
		return err
	}
	_, err = t.Write(data)
	err = errors.Join(err, t.Chmod(mode), t.Close())
	if err == nil {
		err = os.Rename(t.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(t.Name()))
	}
	return nil
}

func printFormatDiff(a *app, file string, before, after []byte) {
	if string(before) == string(after) {
		return
	}
	fmt.Fprintf(a.stdout, "--- %s\n+++ %s, formatted\n", file, file)
	for _, line := range manifest.DiffText(string(before), string(after), 3) {
		fmt.Fprintln(a.stdout, a.paintedLine(line))
	}
}

// foreign says what keeps a file from being one that kai reads, or nothing.
func foreign(file string, data []byte) string {
	documents, findings := source.ParseYAMLStream(file, data)
	switch {
	case findings.Err() != nil:
		return ""
	case !slices.ContainsFunc(documents, format.Ours):
		return file + " is none of kai's files by its apiVersion, so its keys stay in their order"
	case len(documents) > 1:
		return fmt.Sprintf("%s holds %d documents, and kai reads files of one", file, len(documents))
	}
	return ""
}

// ourVersion finds the line that files of ours have.
var ourVersion = regexp.MustCompile(`(?m)^(\x{FEFF})?["']?apiVersion["']?[ \t]*:[ \t]*["']?kai/`)

// ourFiles gives the files that a path stands for: itself, or those of ours below it.
func ourFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, notYAML(path)
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != path && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") || generated(name) || templates(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !isYAML(name) || !d.Type().IsRegular() {
			return nil
		}
		data, err := source.ReadFile(os.DirFS(filepath.Dir(name)), d.Name(), source.MaxFile)
		var large *source.TooLargeError
		switch {
		case errors.As(err, &large): // none of ours
		case err != nil:
			return err
		case ourVersion.Match(data):
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

func isYAML(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".yaml" || ext == ".yml"
}

// notYAML refuses a file that is no YAML by its name or by its place, whatever stands
// in it: much text is YAML by chance.
func notYAML(file string) error {
	if !isYAML(file) {
		return fmt.Errorf("%s is no YAML by its name, so it is left as it is\n  hint: - formats what is given to kai: kai fmt - < FILE", file)
	}
	full, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(full); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if templates(dir) {
			return fmt.Errorf("%s is a template, and becomes YAML only when it is rendered, so it is left as it is", file)
		}
	}
	return nil
}

// templates says whether a folder has those of a flavor or of a chart.
func templates(dir string) bool {
	if filepath.Base(dir) != "templates" {
		return false
	}
	for _, beside := range []string{"flavor.yaml", "Chart.yaml"} {
		if _, err := os.Lstat(filepath.Join(filepath.Dir(dir), beside)); err == nil {
			return true
		}
	}
	return false
}

// generated says whether a folder is a chart that kai made.
func generated(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, ".kai.sha256"))
	return err == nil
}
