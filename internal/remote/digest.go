package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Digest gives the digest of a tree's files: sha256: and the hash, in
// hexadecimal, of a line for each file, sorted by path as bytes: the hash of its
// content, in hexadecimal, two spaces, and its path. Modes, times, empty folders
// and the way in which files were packed do not count. In a folder, it is
//
//	find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum
//
// A tree with anything but folders and regular files, or with a line's end or
// a backslash in a name, has none.
func Digest(fsys fs.FS) (string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return &Error{Reason: Refused, Message: fmt.Sprintf("%q is %s, and a tree has only files and folders", name, kindOf(d.Type()))}
		case strings.ContainsAny(name, "\n\r\\"):
			return &Error{Reason: Refused, Message: fmt.Sprintf("%q is a name that no tree may have", name)}
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return "", err
	}
	slices.Sort(names)
	all := sha256.New()
	for _, name := range names {
		sum, err := sumFile(fsys, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(all, "%x  %s\n", sum, name)
	}
	return "sha256:" + hex.EncodeToString(all.Sum(nil)), nil
}

func sumFile(fsys fs.FS, name string) ([]byte, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}

// kindOf words what a file is that is not a regular one.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}
