package chartdir

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/generator"
)

// maxRecord bounds what is read as a record: enough for 100,000 files.
const maxRecord = 16 << 20

// sum is the SHA-256 of a file's content.
type sum = [sha256.Size]byte

// file is a path of the chart with its hash and, for a file to be written, its
// content.
type file struct {
	path string
	sum  sum
	data []byte
}

// files are sorted by path, without duplicates.
type files []file

func byPath(f file, p string) int { return cmp.Compare(f.path, p) }

// find gives the file of a path, or nil.
func (fs files) find(p string) *file {
	if i, ok := slices.BinarySearchFunc(fs, p, byPath); ok {
		return &fs[i]
	}
	return nil
}

// below says whether a file lies in the folder p.
func (fs files) below(p string) bool {
	i, _ := slices.BinarySearchFunc(fs, p+"/", byPath)
	return i < len(fs) && len(fs[i].path) > len(p) && fs[i].path[len(p)] == '/' && fs[i].path[:len(p)] == p
}

// record gives the text that records the files. No path has a line break or a
// backslash, which `sha256sum` would want escaped.
func (fs files) record() []byte {
	size := 0
	for _, f := range fs {
		size += 2*len(f.sum) + len(f.path) + 3
	}
	out := make([]byte, 0, size)
	for _, f := range fs {
		out = hex.AppendEncode(out, f.sum[:])
		out = append(out, "  "...)
		out = append(out, f.path...)
		out = append(out, '\n')
	}
	return out
}

// parseRecord reads a record. It may have come from anywhere with the chart, so
// its paths are held to the same rules as a chart's.
func parseRecord(data []byte) (files, error) {
	out := make(files, 0, bytes.Count(data, []byte{'\n'}))
	n := 0
	for line := range bytes.Lines(data) {
		n++
		digest, p, ok := strings.Cut(strings.TrimRight(string(line), "\r\n"), "  ")
		f := file{path: p}
		if !ok || len(digest) != 2*len(f.sum) {
			return nil, fmt.Errorf("line %d is not a hash, two spaces and a path", n)
		}
		if _, err := hex.Decode(f.sum[:], []byte(digest)); err != nil {
			return nil, fmt.Errorf("line %d does not begin with a hash", n)
		}
		if err := checkPath(p); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b file) int { return byPath(a, b.path) })
	for i := 1; i < len(out); i++ {
		if out[i].path == out[i-1].path {
			return nil, fmt.Errorf("%s is listed twice", out[i].path)
		}
	}
	return out, nil
}

// chartFiles checks a chart's name and paths, and hashes its files.
func chartFiles(c generator.Chart) (files, error) {
	if err := checkName(c.Name); err != nil {
		return nil, err
	}
	if len(c.Files) == 0 {
		return nil, fmt.Errorf("chart %s: has no files", c.Name)
	}
	out := make(files, len(c.Files))
	for i, f := range c.Files {
		if err := checkPath(f.Path); err != nil {
			return nil, fmt.Errorf("chart %s: %w", c.Name, err)
		}
		out[i] = file{path: f.Path, sum: sha256.Sum256(f.Data), data: f.Data}
	}
	slices.SortFunc(out, func(a, b file) int { return byPath(a, b.path) })
	if err := checkCollisions(out); err != nil {
		return nil, fmt.Errorf("chart %s: %w", c.Name, err)
	}
	return out, nil
}

// checkName admits names that are one step of a path on every system and that
// cannot be the work folder or any other hidden one.
func checkName(name string) error {
	if name == "" || name[0] == '.' || strings.ContainsAny(name, `/\`) || !portable(name) {
		return fmt.Errorf("%q cannot be a chart's name: it names a folder, so it must not be empty, begin with a dot or hold slashes or control characters", name)
	}
	return nil
}

// checkPath admits paths that stay below the chart's folder.
func checkPath(p string) error {
	if p == "." || !fs.ValidPath(p) || strings.Contains(p, `\`) || !portable(p) {
		return fmt.Errorf("%q cannot be the path of a file in a chart: it must be relative, stay in the chart, and hold no backslashes or control characters", p)
	}
	if fold(p) == RecordName {
		return fmt.Errorf("%q is where kai records what it generated; name the file otherwise", p)
	}
	return nil
}

// portable says whether every system takes a path as it is; on Windows that
// leaves out device names and colons too.
func portable(p string) bool {
	return utf8.ValidString(p) && strings.IndexFunc(p, unicode.IsControl) < 0 && filepath.IsLocal(filepath.FromSlash(p))
}

// checkCollisions finds files that would overwrite each other: one path twice,
// a file where another needs a folder, names that differ only in case.
func checkCollisions(fs files) error {
	seen := make(map[string]string, 2*len(fs))
	for i, f := range fs {
		if i > 0 && fs[i-1].path == f.path {
			return fmt.Errorf("%s stands twice", f.path)
		}
		if fs.below(f.path) {
			return fmt.Errorf("%s is a file and a folder", f.path)
		}
		for p := f.path; p != "."; p = path.Dir(p) {
			key := fold(p)
			other, ok := seen[key]
			if ok && other != p {
				return fmt.Errorf("%s and %s differ only in case, and many file systems take them for one", other, p)
			}
			if ok {
				break // its parents have been seen with it
			}
			seen[key] = p
		}
	}
	return nil
}

// fold gives what all spellings of a name in capitals and small letters share.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			return unicode.ToLower(r)
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, s)
}
