package chartdir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// Seal is proof, for this machine, that a chart's folder holds what it held when
// the seal was made: of every file that kai made there, and of every folder on
// the way to one, what the kernel notes whenever it changes. Of that nobody but
// the kernel sets the time of the last change (ctime), so a file whose size and
// modification time were put back does not pass. Folders' times tell what came,
// went and was renamed. The user's own files are not part of it.
//
// A seal is made only where those times can be relied upon: on a local file
// system that is known to keep them, and of files that have been at rest for
// longer than its clock's step.
type Seal []byte

// A seal is a digest of files, one of folders, and the paths of both.
const sealHead = 2 * sha256.Size

// facts are what the kernel notes of a file or folder.
type facts struct {
	kind        uint32 // and permissions
	dev, ino    uint64
	size        int64
	mtime, stir int64 // in nanoseconds; stir is ctime
}

// witness is what a folder looked like at some moment.
type witness struct {
	files, folders sum
	latest         time.Time // at which any of it changed
	ok             bool      // all was there, as it should be
}

// sealedPaths are the paths that a seal is about.
type sealedPaths struct{ files, folders []string }

// Identity gives a text that is another when the file of a path is another, or has
// been changed, and whether that can be told here.
func Identity(file string) (string, bool) {
	d, err := openDir(filepath.Dir(file))
	if err != nil {
		return "", false
	}
	defer d.close()
	at, ok := d.facts(filepath.Base(file))
	return fmt.Sprint(at), ok && !at.isDir() && !at.isOther() && d.keepsTime()
}

// pathsOf gives the paths of a chart, its record's included.
func pathsOf(want files) sealedPaths {
	out := sealedPaths{files: make([]string, 0, len(want)+1), folders: []string{"."}}
	seen := map[string]bool{".": true}
	out.files = append(out.files, RecordName)
	for _, w := range want {
		out.files = append(out.files, w.path)
		for p := path.Dir(w.path); !seen[p]; p = path.Dir(p) {
			seen[p] = true
			out.folders = append(out.folders, p)
		}
	}
	slices.Sort(out.folders[1:])
	return out
}

// look takes down what a folder looks like now.
func (f *Folder) look(parent *dir, name string, of sealedPaths) witness {
	if !f.keepsTime {
		return witness{}
	}
	d, err := parent.sub(name)
	if err != nil {
		return witness{}
	}
	defer d.close()
	w := witness{ok: true}
	w.files = w.add(d, of.files, false)
	w.folders = w.add(d, of.folders, true)
	return w
}

// add gives the digest of the facts of some paths.
func (w *witness) add(d *dir, paths []string, folders bool) sum {
	top, ok := d.facts(".")
	text := make([]byte, 0, 40*len(paths))
	latest := w.latest.UnixNano()
	for _, p := range paths {
		var at facts
		if ok {
			at, ok = d.facts(p)
		}
		// What is mounted here is on another device.
		if !ok || at.isDir() != folders || at.isOther() || at.dev != top.dev {
			w.ok = false
			return sum{}
		}
		latest = max(latest, at.stir)
		text = binary.LittleEndian.AppendUint32(text, at.kind)
		for _, n := range []uint64{at.ino, uint64(at.size), uint64(at.mtime), uint64(at.stir)} {
			text = binary.LittleEndian.AppendUint64(text, n)
		}
	}
	w.latest = time.Unix(0, latest)
	return sha256.Sum256(text)
}

// rested says whether all has been at rest for so long that another change would
// have been given another time.
func (w witness) rested(now time.Time) bool { return w.ok && now.Sub(w.latest) > restTime }

// seal gives the seal of what a witness saw.
func (w witness) seal(of sealedPaths) Seal {
	out := append(append(make(Seal, 0, sealHead+16*len(of.files)), w.files[:]...), w.folders[:]...)
	for _, paths := range [][]string{of.files, of.folders} {
		out = binary.AppendUvarint(out, uint64(len(paths)))
		last := ""
		for _, p := range paths {
			n := 0 // of the bytes that it shares with the one before
			for n < len(p) && n < len(last) && p[n] == last[n] {
				n++
			}
			out = binary.AppendUvarint(out, uint64(n))
			out = binary.AppendUvarint(out, uint64(len(p)-n))
			out = append(out, p[n:]...)
			last = p
		}
	}
	return out
}

// set puts the digests into the seal of the same paths.
func (w witness) set(s Seal) Seal {
	copy(s, w.files[:])
	copy(s[sha256.Size:], w.folders[:])
	return s
}

// paths reads the paths of a seal.
func (s Seal) paths() (of sealedPaths, ok bool) {
	if len(s) < sealHead {
		return of, false
	}
	rest := []byte(s[sealHead:])
	number := func() int {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > maxRecord {
			ok = false
			return 0
		}
		rest = rest[used:]
		return int(n)
	}
	ok = true
	for _, list := range []*[]string{&of.files, &of.folders} {
		last := []byte(nil)
		for n := number(); ok && n > 0; n-- {
			shared, more := number(), number()
			if !ok || shared > len(last) || more > len(rest) {
				return of, false
			}
			last = append(last[:shared], rest[:more]...)
			rest = rest[more:]
			*list = append(*list, string(last))
		}
	}
	return of, ok && len(rest) == 0
}

// Sealed says whether a chart's folder is as it was when it was sealed. It reads
// no file.
func (f *Folder) Sealed(name string, s Seal) bool {
	of, ok := s.paths()
	if !ok || f.top == nil || checkName(name) != nil {
		return false
	}
	w := f.look(f.top, name, of)
	return w.ok && bytes.Equal(w.files[:], s[:sha256.Size]) && bytes.Equal(w.folders[:], s[sha256.Size:sealHead])
}
