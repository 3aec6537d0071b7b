package codegen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// Laptop is what a context gives a service, without its secrets, as files below a
// folder that stands for the container's root.
type Laptop struct {
	// Service is the one whose files they are.
	Service string
	// Files are by their paths, without the slash that they begin with. One of them
	// has the variables.
	Files map[string][]byte
	// Folders are those of mounts whose files are not known.
	Folders []string
	// Left says which secrets are left out, and what only the cluster knows.
	Left []string
}

// Local gives what the only context of the input gives.
func Local(in Input) (*Laptop, error) {
	s, err := observe(in.Contexts[0], in.Container, in.Placeholder)
	if err != nil {
		return nil, err
	}
	out := &Laptop{Service: in.Service, Files: map[string][]byte{}}
	left := func(name, from string) {
		if from == "" {
			from = "made of one of these"
		}
		out.Left = append(out.Left, printable(name+": "+from))
	}
	vars := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.vars)) {
		if v := s.vars[name]; v.known && !v.secret {
			vars[name] = v.text
		} else {
			left(name, v.from)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(s.files)) {
		f := s.files[at]
		if !f.known || f.secret || in.Placeholder != "" && strings.Contains(string(f.data), in.Placeholder) {
			left(at, f.from)
			continue
		}
		out.Files[strings.TrimPrefix(at, "/")] = f.data
	}
	for _, at := range slices.Sorted(maps.Keys(s.dirs)) {
		out.Folders = append(out.Folders, strings.TrimPrefix(at, "/"))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(vars)
	out.Files[LocalFile] = b.Bytes()
	return out, err
}

// recordName is the file in a laptop's folder that lists what kai wrote there, in the
// format of sha256sum, below a line that says for which service.
const recordName = ".kai.sha256"

// Write writes the files into a folder, and takes away those that an earlier Write
// left there and that are no more. What kai did not write is never touched: a folder
// with other files has to have a record of kai's. What was edited since is not either,
// unless force is set. Where something is in the way, nothing is written.
func (l *Laptop) Write(dir string, force bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // whatever a mount's path is, and whatever lies there
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	before, err := l.record(root, dir)
	if err != nil {
		return err
	}
	if err := l.refuse(root, dir, before, force); err != nil {
		return err
	}
	if before == nil {
		// The folder is kai's from now on, also if this run ends here.
		if err := replace(root, recordName, l.recordOf(nil)); err != nil {
			return err
		}
	}
	for _, folder := range l.Folders {
		if err := root.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	sums := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(l.Files)) {
		sums[name] = sumOf(l.Files[name])
		if err := replace(root, name, l.Files[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := l.Files[name]; still {
			continue
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return replace(root, recordName, l.recordOf(sums))
}

// record gives the sums of what kai wrote into the folder, by name; nil where the
// folder is new.
func (l *Laptop) record(root *os.Root, dir string) (map[string]string, error) {
	data, err := root.ReadFile(recordName)
	if errors.Is(err, fs.ErrNotExist) {
		there, err := fs.ReadDir(root.FS(), ".")
		if err == nil && len(there) > 0 {
			err = fmt.Errorf("%s has files, and is no folder that kai wrote\n  hint: --local takes a folder of its own, such as .local", dir)
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	head, lines, _ := strings.Cut(string(data), "\n")
	if service := strings.TrimPrefix(head, recordHead); service != l.Service {
		return nil, fmt.Errorf("%s is the folder of another service: %s\n  hint: give each a folder of its own", dir, printable(service))
	}
	sums := map[string]string{}
	for line := range strings.Lines(lines) {
		if sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); ok && fs.ValidPath(name) && name != recordName {
			sums[name] = sum
		}
	}
	return sums, nil
}

const recordHead = "# kai codegen --local for "

func (l *Laptop) recordOf(sums map[string]string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\n", recordHead, l.Service)
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&b, "%s  %s\n", sums[name], name)
	}
	return b.Bytes()
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// refuse says what stands in the way of writing the files, and of removing those of
// the record: what was edited, and what kai did not write.
func (l *Laptop) refuse(root *os.Root, dir string, before map[string]string, force bool) error {
	names := maps.Clone(before)
	if names == nil {
		names = map[string]string{}
	}
	for name := range l.Files {
		names[name] = before[name]
	}
	var edited, foreign []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		info, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var there []byte
		if err == nil && info.Mode().IsRegular() {
			there, err = root.ReadFile(name)
		}
		wanted, isWanted := l.Files[name]
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			foreign = append(foreign, name)
		case isWanted && bytes.Equal(there, wanted), sumOf(there) == names[name]:
		case names[name] == "":
			foreign = append(foreign, name)
		default:
			edited = append(edited, name)
		}
	}
	switch {
	case len(foreign) > 0:
		return fmt.Errorf("in %s kai did not write, so nothing is written:\n  %s\n  hint: move it away, or give another folder", dir, strings.Join(foreign, "\n  "))
	case len(edited) > 0 && !force:
		return fmt.Errorf("in %s was edited since kai wrote it, so nothing is written:\n  %s\n  hint: variables of the environment win over %s; --force writes it anew", dir, strings.Join(edited, "\n  "), LocalFile)
	}
	return nil
}

// replace writes a file as a whole or not at all, and not where it is there already.
func replace(root *os.Root, name string, data []byte) error {
	if there, err := root.ReadFile(name); err == nil && bytes.Equal(there, data) {
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	const beside = recordName + ".new" // of a killed run, if it is there
	if err := root.WriteFile(beside, data, 0o644); err != nil {
		return err
	}
	return root.Rename(beside, name)
}
