package remake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/chartdir"
	"github.com/helm-kai/helm-kai/internal/source"
)

// state is what is remembered of a context and a folder: what its charts were
// made from, and that they are there.
type state struct {
	maker    string // the kai that has made them
	warnings source.Findings
	inputs   []inputs // those of all first, then each service's
	charts   []made   // sorted by name
}

// inputs are what was asked for the sake of a service, or of all.
type inputs struct {
	file string // the service's descriptor; "" is all
	name string // of the service
	asks map[question]sum
}

// made is a chart that was made.
type made struct {
	name     string
	file     string // its service's descriptor; "" for a shared friend
	services []string
	ties     sum
	seal     chartdir.Seal // nil where the folder was not found to hold the chart
}

// magic changes with the format.
const magic = "kai: what was generated, 1\n"

// encode gives the text of a state, which ends with its digest.
func (s *state) encode() ([]byte, error) {
	warnings, err := json.Marshal(s.warnings)
	if err != nil {
		return nil, err
	}
	w := writer(magic)
	w.text(s.maker)
	w.text(string(warnings))
	w.number(len(s.inputs))
	for _, in := range s.inputs {
		w.text(in.file)
		w.text(in.name)
		w.number(len(in.asks))
		for _, q := range slices.SortedFunc(maps.Keys(in.asks), compare) {
			w = append(w, byte(q.kind))
			w.text(q.name)
			w.number(int(q.max))
			sum := in.asks[q]
			w = append(w, sum[:]...)
		}
	}
	w.number(len(s.charts))
	for _, c := range s.charts {
		w.text(c.name)
		w.text(c.file)
		w.number(len(c.services))
		for _, name := range c.services {
			w.text(name)
		}
		w = append(w, c.ties[:]...)
		w.text(string(c.seal))
	}
	digest := sha256.Sum256(w)
	return append(w, digest[:]...), nil
}

func compare(a, b question) int {
	return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind), cmp.Compare(a.max, b.max))
}

type writer []byte

func (w *writer) number(n int) { *w = binary.AppendUvarint(*w, uint64(n)) }

func (w *writer) text(s string) {
	w.number(len(s))
	*w = append(*w, s...)
}

// decode reads what encode has written, and nothing else.
func decode(data []byte) (*state, bool) {
	end := len(data) - sha256.Size
	if end < 0 || sha256.Sum256(data[:end]) != sum(data[end:]) || !bytes.HasPrefix(data, []byte(magic)) {
		return nil, false
	}
	r := decoder{data: data[len(magic):end], ok: true}
	s := &state{maker: r.text()}
	if json.Unmarshal([]byte(r.text()), &s.warnings) != nil {
		return nil, false
	}
	for n := r.number(); n > 0 && r.ok; n-- {
		in := inputs{file: r.text(), name: r.text()}
		count := r.number()
		in.asks = make(map[question]sum, min(count, len(r.data)))
		for ; count > 0 && r.ok; count-- {
			kind := asks(r.bytes(1)[0])
			q := question{kind: kind, name: r.text(), max: int64(r.number())}
			in.asks[q] = sum(r.bytes(sha256.Size))
		}
		s.inputs = append(s.inputs, in)
	}
	for n := r.number(); n > 0 && r.ok; n-- {
		c := made{name: r.text(), file: r.text()}
		for count := r.number(); count > 0 && r.ok; count-- {
			c.services = append(c.services, r.text())
		}
		c.ties = sum(r.bytes(sha256.Size))
		if seal := r.bytes(r.number()); len(seal) > 0 {
			c.seal = seal
		}
		s.charts = append(s.charts, c)
	}
	return s, r.ok && len(s.inputs) > 0 && s.inputs[0].file == ""
}

type decoder struct {
	data []byte
	ok   bool
}

func (r *decoder) number() int {
	n, used := binary.Uvarint(r.data)
	if used <= 0 {
		r.ok = false
		return 0
	}
	r.data = r.data[used:]
	return int(n)
}

// bytes gives the next n bytes, or zeros where there are not so many.
func (r *decoder) bytes(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.ok, r.data = false, nil
		return make([]byte, sha256.Size)
	}
	out := r.data[:n:n]
	r.data = r.data[n:]
	return out
}

func (r *decoder) text() string {
	n := r.number()
	if n > len(r.data) {
		r.ok = false
		return ""
	}
	return string(r.bytes(n))
}

// maxState bounds what is read as a state: enough for 100,000 charts.
const maxState = 256 << 20

// store keeps states as files in a folder, one for each workspace, context and
// folder of charts. Whatever is wrong with it, there is no state.
type store struct{ dir string }

// file is named after all that a state is of.
func (s store) file(workspace, out string) string {
	h := sha256.Sum256([]byte(workspace + "\x00" + out))
	return filepath.Join(s.dir, hex.EncodeToString(h[:16]))
}

func (s store) load(file, maker string) *state {
	if s.dir == "" {
		return nil
	}
	// A pipe in its place would be waited for, and what others can put there is not
	// to be believed.
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxState || !chartdir.Private(info) {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	if out, ok := decode(data); ok && out.maker == maker {
		return out
	}
	return nil
}

// save puts a state in the place of the one before, as a whole. It names the
// files that were read, and is the user's alone.
func (s store) save(file string, of *state) error {
	data, err := of.encode()
	if err == nil {
		err = os.MkdirAll(s.dir, 0o700)
	}
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// keep is how long a state is kept that nobody has written anew.
const keep = 90 * 24 * time.Hour

// ours are the names of states, and of those that are being written.
var ours = regexp.MustCompile(`^([0-9a-f]{32}|\.new-[0-9]+)$`)

// sweep removes states that nobody uses any more, and what killed runs have left of
// new ones. What else is there is not kai's: the cache may be any folder.
func (s store) sweep() {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !ours.MatchString(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > keep {
			_ = os.Remove(filepath.Join(s.dir, e.Name()))
		}
	}
}
