package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/chartdir"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/remake"
)

// maxStaleLines bounds what is printed of stale charts: a flavor may change all.
const maxStaleLines = 200

// sayStaleLines prints how the files of stale charts differ from those that kai would
// make, which it makes for that.
func sayStaleLines(ctx context.Context, a *app, w *workspaceFlags, f generateFlags, outcomes []remake.Outcome) error {
	ws, _, findings, err := w.open()
	if err != nil || findings.Err() != nil {
		return errors.Join(err, findings.Err())
	}
	left, more := maxStaleLines, 0
	for _, o := range outcomes {
		stale := map[string]chartdir.Result{}
		for _, r := range o.Results {
			if r.State != chartdir.Unchanged {
				stale[r.Chart] = r
			}
		}
		if len(stale) == 0 {
			continue
		}
		releases, findings := build.Charts(ctx, ws, o.Context, build.Options{Jobs: f.jobs})
		if findings.Err() != nil {
			return findings
		}
		for _, release := range releases {
			r, ok := stale[release.Name]
			if !ok {
				continue
			}
			lines, err := staleLines(a, r, release)
			if err != nil {
				return err
			}
			shown := min(len(lines), left)
			for _, line := range lines[:shown] {
				fmt.Fprintln(a.stdout, line)
			}
			left, more = left-shown, more+len(lines)-shown
		}
	}
	if more > 0 {
		fmt.Fprintf(a.stdout, "… and %s\n", count(more, "line more", "lines more"))
	}
	return nil
}

// staleLines gives the lines in which the files of one chart differ. The record of
// what kai made is left out, and so is a chart that is not there at all.
func staleLines(a *app, r chartdir.Result, release build.Release) ([]string, error) {
	if _, err := os.Lstat(r.Folder); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	made := map[string]string{}
	for _, file := range release.Chart.Files {
		made[file.Path] = string(file.Data)
	}
	var lines []string
	for _, c := range r.Changes {
		if c.Path == chartdir.RecordName {
			continue
		}
		name := filepath.Join(r.Folder, filepath.FromSlash(c.Path))
		there, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		lines = append(lines, "--- "+name, "+++ "+name+", generated")
		for _, line := range manifest.DiffText(string(there), made[c.Path], 3) {
			lines = append(lines, a.paintedLine(line))
		}
	}
	return lines, nil
}
