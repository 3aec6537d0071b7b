package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/scan"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/store"
)

type scanFlags struct {
	scopes  []string
	maxSize int64
	output  string
}

// matchJSON is a place for programs.
type matchJSON struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Key  string `json:"key"`
	Form string `json:"form"` // raw, base64, escaped or hex; plain in the store's own file, which has recipients
}

func newSecretsScan(a *app, s *storeFlags) *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan [PATH…]",
		Short: "Find the values of a store in files",
		Long: fmt.Sprintf(`Looks through files and folders (default: this one) for the values that the store holds:
as they are, in base64 wherever they begin in what was encoded, in hex, and escaped for a
URL, JSON or YAML; also where base64 and hex are wrapped over lines, where YAML folds a
text at its blanks, and in UTF-16. What was compressed, encrypted or encoded twice is not
found. It says in which file and line, and which key it is; never the value.

Values of fewer than %d bytes are not looked for: they stand everywhere. Binary files, the
folders of git and of other version control, links, the store's own file (but for what
stands plain there beside recipients) and files larger than --max-size are passed over. -o name prints each key that was found, once.

Exit codes: 0 nothing found, 1 found, or something could not be read.`, scan.Shortest),
		Example: a.example("secrets scan -c prod", "secrets scan -c dev charts logs --scope secret -o json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsScan(cmd.Context(), a, s, &f, args)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.scopes, "scope", []string{secrets.Private, secrets.Secret}, "scopes whose values are looked for")
	flags.Int64Var(&f.maxSize, "max-size", 64, "MiB of the largest file that is looked through")
	objectsFlag(cmd, &f.output)
	_ = cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions(secrets.Scopes(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func secretsScan(ctx context.Context, a *app, s *storeFlags, f *scanFlags, paths []string) error {
	if err := knownScopes(f.scopes); err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	p, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer p.close()
	docs, err := secrets.Select(ctx, p.store, p.deployment, secrets.Pattern{})
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		fmt.Fprintln(a.stderr, p.isEmpty(a))
	}
	scanner := scan.New(slices.DeleteFunc(docs, func(d secrets.Doc) bool { return !slices.Contains(f.scopes, d.Path.Scope) }))
	matches := []matchJSON{}
	plain, err := p.plain(ctx)
	if err != nil {
		return err
	}
	skip := func(name string, info fs.FileInfo) bool {
		own := p.isFile(name, info)
		for _, one := range plain {
			if own && slices.Contains(f.scopes, one.Scope) {
				matches = append(matches, matchJSON{name, one.At.Line, placeOf(one.Key), "plain"})
			}
		}
		return own
	}
	stats, failed := scanner.Files(ctx, paths, scan.Walk{MaxSize: f.maxSize << 20, Skip: skip}, func(m scan.Match) {
		matches = append(matches, matchJSON{m.File, m.Line, placeOf(m.Key), m.Form})
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var found any = matches
	if f.output == "name" {
		found = keysFound(matches)
	}
	err = printObjects(a.stdout, f.output, found, func() error {
		for _, m := range matches {
			if _, err := fmt.Fprintf(a.stdout, "%s:%d: %s (%s)\n", m.File, m.Line, m.Key, m.Form); err != nil {
				return err
			}
		}
		return nil
	})
	a.scanned(scanner, stats, len(matches))
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	if len(matches) > 0 {
		return &saidError{code: exitFailed}
	}
	return nil
}

// keysFound gives the keys that were found, each once, in the order of APP.SCOPE.KEY.
func keysFound(matches []matchJSON) []nameJSON {
	names := make([]string, len(matches))
	for i, m := range matches {
		names[i] = m.Key
	}
	return uniqueNames(names)
}

// nameJSON is a name alone, for -o name where a thing is listed at several places.
type nameJSON struct {
	Name string `json:"name"`
}

// uniqueNames gives names sorted, each once.
func uniqueNames(names []string) []nameJSON {
	out := []nameJSON{}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		out = append(out, nameJSON{name})
	}
	return out
}

func knownScopes(scopes []string) error {
	for _, scope := range scopes {
		if !slices.Contains(secrets.Scopes(), scope) {
			return fmt.Errorf("--scope %q: there is no such scope\n  hint: %s", scope, source.Nearest(scope, secrets.Scopes()))
		}
	}
	return nil
}

// scanned says what was looked at, and what was not.
func (a *app) scanned(s *scan.Scanner, stats scan.Stats, found int) {
	fmt.Fprintf(a.stderr, "%d found in %d files\n", found, stats.Files)
	if n := len(s.Short); n > 0 {
		names := make([]string, n)
		for i, k := range s.Short {
			names[i] = placeOf(k)
		}
		fmt.Fprintf(a.stderr, "too short to be looked for: %s\n", strings.Join(names, ", "))
	}
	for _, path := range stats.Large {
		fmt.Fprintf(a.stderr, "%s is larger than --max-size, and was not looked through\n", path)
	}
}

// isFile says whether a file is the store itself.
func (p *place) isFile(_ string, info fs.FileInfo) bool {
	if p.options.Provider != store.File {
		return false // SQLite's is binary
	}
	own, err := os.Stat(p.file())
	return err == nil && os.SameFile(own, info)
}

// file gives the file that a store of files is.
func (p *place) file() string {
	path := filepath.FromSlash(p.options.Path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.options.Dir, path)
}
