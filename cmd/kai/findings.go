package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// findingsOutputs say where findings go, and in which formats.
type findingsOutputs struct {
	values  []string
	noColor bool
}

func (o *findingsOutputs) addFlags(cmd *cobra.Command) {
	formats := report.FindingsFormats()
	cmd.Flags().StringSliceVarP(&o.values, "output", "o", formats[:1],
		"format: "+strings.Join(formats, ", ")+"; FORMAT=FILE writes a file, beside what is printed")
	cmd.Flags().BoolVar(&o.noColor, "no-color", false, "no colours, on a terminal either")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoSpace))
}

// findingsOutput is one format and the file it is written to, "" for stdout.
type findingsOutput struct{ format, file string }

// read gives the outputs: one of them is printed, as text where no other is. A file
// that is something else than a report is refused.
func (o *findingsOutputs) read() ([]findingsOutput, error) {
	formats := report.FindingsFormats()
	var files []findingsOutput
	printed := ""
	for _, value := range o.values {
		format, file, toFile := strings.Cut(value, "=")
		switch {
		case !slices.Contains(formats, format):
			return nil, fmt.Errorf("--output %q: there is no such format\n  hint: %s", format, source.Nearest(format, formats))
		case toFile && file == "":
			return nil, fmt.Errorf("--output %s: names no file\n  hint: -o %s=report.%s", value, format, format)
		case toFile:
			if err := writable(file, report.IsFindings, "report of findings"); err != nil {
				return nil, fmt.Errorf("--output %s: %w", value, err)
			}
			for _, other := range files {
				if info, err := os.Stat(file); filepath.Clean(other.file) == filepath.Clean(file) && (err != nil || info.Mode().IsRegular()) {
					return nil, fmt.Errorf("--output %s: %s is written to that file already\n  hint: give each a file of its own", value, other.format)
				}
			}
			files = append(files, findingsOutput{format, file})
		case printed != "" && printed != format:
			return nil, fmt.Errorf("--output: %s and %s cannot both be printed\n  hint: write one of them to a file: -o %s -o %s=FILE", printed, format, printed, format)
		default:
			printed = format
		}
	}
	if printed == "" {
		printed = formats[0]
	}
	return append(files, findingsOutput{format: printed}), nil
}

// write prints findings in all formats, for the workspace in a folder. checked are
// the releases that were looked at. It ends with exit code 1 where there are errors
// that are not ignored.
func (o *findingsOutputs) write(a *app, dir string, found []validate.Finding, checked []string) error {
	outputs, err := o.read()
	if err != nil {
		return err
	}
	for _, out := range outputs {
		options := report.FindingsOptions{
			Format: out.format, Color: out.file == "" && !o.noColor && a.colors(a.stdout), Version: a.version, Checked: checked,
			Path: a.pathFor(out.format, dir), Root: rootFile(dir),
		}
		if err := writeFindings(a.stdout, out.file, found, options); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(found, func(f validate.Finding) bool { return f.Severity == validate.Error && f.Ignored == "" }) {
		return &saidError{code: exitFailed}
	}
	return nil
}

func writeFindings(stdout io.Writer, file string, found []validate.Finding, o report.FindingsOptions) error {
	if file == "" {
		return report.Findings(stdout, found, o)
	}
	var b bytes.Buffer
	if err := report.Findings(&b, found, o); err != nil {
		return err
	}
	if err := writeReport(file, b.Bytes()); err != nil {
		return fmt.Errorf("--output %s=%s: %w", o.Format, file, reason(err))
	}
	return nil
}

// writable refuses a file that is there and is no report of the kind that ours finds
// and what names: one that kai reads, or anybody's.
func writable(file string, ours func([]byte) bool, what string) error {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil // what is wrong with it is said when it is written
	}
	data, err := os.ReadFile(file)
	switch {
	case err != nil:
		return reason(err)
	case ours(data):
		return nil
	case ourVersion.Match(data):
		return errors.New("kai reads this file, and does not write it\n  hint: give another one")
	}
	return fmt.Errorf("the file is there, and is no %s\n  hint: give another one, or remove it", what)
}

// writeReport writes a file as a whole or not at all; what is no file, such as a pipe,
// is written to.
func writeReport(file string, data []byte) error {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real // a link stays one
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(file); err == nil {
		if !info.Mode().IsRegular() {
			return os.WriteFile(file, data, mode)
		}
		mode = info.Mode().Perm()
	}
	return overwrite(file, mode, data)
}

// pathFor gives how readers of a format find the files of a workspace: people and
// editors from where they stand, services that show a change from the root of the
// repository, programs as kai names them.
func (a *app) pathFor(format, dir string) func(string) string {
	from := ""
	switch here, err := a.getwd(); {
	case err != nil || format == "json":
		return nil
	case format == "text":
		from = here
	default:
		from = repository(dir)
	}
	below, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	prefix, err := filepath.Rel(from, below)
	if err != nil {
		return nil
	}
	return func(file string) string { return filepath.ToSlash(filepath.Join(prefix, filepath.FromSlash(file))) }
}

// repository gives the root of the git repository that a folder lies in, or the
// folder.
func repository(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// rootFile is the file that a workspace begins with.
func rootFile(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, workspace.FileName)); err == nil {
		return workspace.FileName
	}
	return descriptor.FileName
}
