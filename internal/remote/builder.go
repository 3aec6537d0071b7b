package remote

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// builder gathers the files of a tree, and refuses what no tree may have.
type builder struct {
	limits Limits
	files  map[string][]byte
	// spelt holds the paths of files and folders as they are spelt, under what they
	// are where case does not count.
	spelt   map[string]string
	folders map[string]bool
	size    int64
}

func newBuilder(limits Limits) *builder {
	return &builder{limits: limits, files: map[string][]byte{}, spelt: map[string]string{}, folders: map[string]bool{}}
}

func refused(format string, args ...any) error {
	return &Error{Reason: Refused, Message: fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) error {
	return &Error{Reason: TooLarge, Message: fmt.Sprintf(format, args...), Hint: "is it what you meant? a tree of this size is not taken"}
}

// folder takes a folder's path.
func (b *builder) folder(name string) error {
	if err := b.place(name); err != nil {
		return err
	}
	if _, ok := b.files[name]; ok {
		return refused("%q is both a file and a folder", name)
	}
	b.folders[name] = true
	return nil
}

// room says whether a file of a size may come.
func (b *builder) room(name string, size int64) error {
	switch {
	case size > b.limits.File:
		return tooLarge("%q is larger than the bound of %s for a file", name, bytesText(b.limits.File))
	case size > b.limits.Tree-b.size:
		return tooLarge("the files are larger than the bound of %s for a tree", bytesText(b.limits.Tree))
	}
	return nil
}

// file takes a file. The data is the tree's from here on.
func (b *builder) file(name string, data []byte) error {
	if err := b.room(name, int64(len(data))); err != nil {
		return err
	}
	if err := b.place(name); err != nil {
		return err
	}
	switch _, twice := b.files[name]; {
	case twice:
		return refused("%q is there twice", name)
	case b.folders[name]:
		return refused("%q is both a file and a folder", name)
	}
	b.files[name] = data
	b.size += int64(len(data))
	return nil
}

// place checks a path, and takes the folders above it.
func (b *builder) place(name string) error {
	if err := checkName(name, b.limits.Depth); err != nil {
		return err
	}
	for at := name; at != "."; at = path.Dir(at) {
		switch known, ok := b.spelt[fold(at)]; {
		case !ok:
			if len(b.spelt) == b.limits.Files {
				return tooLarge("there are more files and folders than the bound of %d", b.limits.Files)
			}
			b.spelt[fold(at)] = at
		case known != at:
			return refused("%q and %q are one file on some systems", known, at)
		}
		if at == name {
			continue
		}
		if _, ok := b.files[at]; ok {
			return refused("%q is both a file and a folder", at)
		}
		b.folders[at] = true
	}
	return nil
}

// tree gives the tree.
func (b *builder) tree() (*tree, error) {
	if len(b.files) == 0 {
		return nil, &Error{Reason: NotFound, Message: "has no files"}
	}
	return newTree(b.files), nil
}

// fold gives what a path is where case does not count.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		lowest := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			lowest = min(lowest, next)
		}
		return lowest
	}, name)
}

// The bounds on names, which are those of most file systems.
const (
	maxName = 255
	maxPath = 1024
)

// checkName refuses a path that is not below the tree, or that not every system
// can have.
func checkName(name string, depth int) error {
	switch {
	case name == "" || strings.HasPrefix(name, "/"):
		return refused("%q is not a path inside of a tree", name)
	case len(name) > maxPath:
		return tooLarge("the path %.60q… is longer than the bound of %d bytes", name, maxPath)
	case !utf8.ValidString(name):
		return refused("%q is a name that is not UTF-8", name)
	case strings.Count(name, "/") > depth:
		return tooLarge("%.60q is deeper than the bound of %d folders", name, depth)
	}
	for _, part := range strings.Split(name, "/") {
		if why := badPart(part); why != "" {
			return refused("%q is not taken: %s", name, why)
		}
	}
	return nil
}

// badPart says what is wrong with a file's or folder's own name, "" for nothing.
func badPart(part string) string {
	switch {
	case part == "":
		return "a folder has no name"
	case part == "." || part == "..":
		return "it leads out of the tree, or nowhere"
	case len(part) > maxName:
		return "a name is too long"
	case strings.ContainsFunc(part, unicode.IsControl), strings.ContainsAny(part, `<>:"|?*\`):
		return "Windows has no such names"
	case strings.HasSuffix(part, "."), strings.HasSuffix(part, " "):
		return "Windows has no such names"
	}
	stem, _, _ := strings.Cut(part, ".")
	if devices[strings.ToUpper(strings.TrimRight(stem, " "))] {
		return "Windows has a device of that name"
	}
	return ""
}

// devices are what Windows takes for more than a file, with any ending.
var devices = func() map[string]bool {
	names := map[string]bool{"CON": true, "PRN": true, "AUX": true, "NUL": true, "CONIN$": true, "CONOUT$": true}
	for _, n := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"} {
		names["COM"+n], names["LPT"+n] = true, true
	}
	return names
}()

// bytesText words a number of bytes.
func bytesText(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
