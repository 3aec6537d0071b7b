package remote

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// below says which part of an archive is the tree.
type below struct {
	// folder is the path that all files lie below, "" for the archive's root.
	folder string
	// single is that all lie in one folder, whatever its name.
	single bool
}

// unpack reads a tar archive in gzip into memory.
func unpack(data []byte, part below, limits Limits) (*tree, error) {
	packed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, damaged(err)
	}
	return unpackTar(&ratioReader{reader: packed, packed: int64(len(data)), limits: limits}, part, limits)
}

func unpackTar(r io.Reader, part below, limits Limits) (*tree, error) {
	b, archive := newBuilder(limits), tar.NewReader(r)
	for count := 0; ; count++ {
		header, err := archive.Next()
		if err == io.EOF {
			return b.tree()
		}
		if err != nil {
			return nil, damaged(err)
		}
		if count > limits.Files {
			return nil, tooLarge("the archive has more entries than the bound of %d", limits.Files)
		}
		if err := unpackEntry(b, archive, header, &part); err != nil {
			return nil, err
		}
	}
}

func unpackEntry(b *builder, archive io.Reader, header *tar.Header, part *below) error {
	isFolder := header.Typeflag == tar.TypeDir
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeXGlobalHeader: // what git archive says of the commit
		return nil
	default:
		return refused("%q is %s, and a tree has only files and folders", header.Name, entryKind(header.Typeflag))
	}
	name := header.Name
	if isFolder {
		name = strings.TrimSuffix(name, "/")
	}
	for strings.HasPrefix(name, "./") {
		name = name[2:]
	}
	if isFolder && (name == "." || name == "") {
		return nil
	}
	if err := checkName(name, b.limits.Depth+maxStripped); err != nil {
		return err
	}
	name, err := part.strip(name, isFolder)
	if err != nil || name == "" {
		return err
	}
	if isFolder {
		return b.folder(name)
	}
	if err := b.room(name, header.Size); err != nil {
		return err
	}
	data := make([]byte, header.Size)
	if _, err := io.ReadFull(archive, data); err != nil {
		return damaged(err)
	}
	return b.file(name, data)
}

// maxStripped is how many folders a tree may lie below in its archive.
const maxStripped = 8

// strip takes the folder that a tree lies below off a name. It gives "" for that
// folder itself and those above it.
func (p *below) strip(name string, isFolder bool) (string, error) {
	if p.single {
		first, _, inside := strings.Cut(name, "/")
		if !inside && !isFolder {
			return "", refused("%q is beside the chart's folder", name)
		}
		p.folder, p.single = first, false
	}
	if p.folder == "" {
		return name, nil
	}
	rest, ok := strings.CutPrefix(name, p.folder+"/")
	switch {
	case ok:
		return rest, nil
	case isFolder && (name == p.folder || strings.HasPrefix(p.folder, name+"/")):
		return "", nil
	}
	return "", refused("%q is not below %q, where all files of the archive are to be", name, p.folder)
}

// entryKind words what an archive's entry is that is no file or folder.
func entryKind(flag byte) string {
	switch flag {
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a pipe"
	}
	return fmt.Sprintf("an entry of the type %q", flag)
}

// damaged words that an archive cannot be read, if it is for nothing we refused.
func damaged(err error) error {
	var ours *Error
	if errors.As(err, &ours) {
		return err
	}
	return &Error{Reason: Refused, Message: "the archive is damaged, or none of tar and gzip", Cause: err}
}

// ratioReader ends what grows out of all proportion.
type ratioReader struct {
	reader io.Reader
	packed int64
	limits Limits
	read   int64
}

func (r *ratioReader) Read(p []byte) (int, error) {
	n, err := r.reader.Read(p)
	r.read += int64(n)
	const free = 1 << 20
	switch {
	case r.read > free+r.packed*r.limits.Ratio:
		return 0, tooLarge("the archive becomes more than %d times as large, which is the bound", r.limits.Ratio)
	// Headers and padding take at most so much more than the files.
	case r.read > r.limits.Tree+int64(r.limits.Files+1)*4096+free:
		return 0, tooLarge("the archive's content is larger than the bound of %s for a tree", bytesText(r.limits.Tree))
	}
	return n, err
}
