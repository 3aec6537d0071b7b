// Package scan finds the values of a store in files: as they are, and as they may
// have been written into another text, in base64, hex or escaped, also where that text
// is wrapped or folded over lines, or is UTF-16. What was compressed, encrypted or
// encoded twice it does not find. It says where and which key, and never what.
//
// Its memory is bounded by the values and not by the files: they are read piece
// by piece, and of a long value the beginning is looked for.
package scan

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Shortest is the length in bytes below which a value is not looked for: shorter
// ones stand everywhere.
const Shortest = 6

const (
	longest = 256     // bytes of a form that are compared
	piece   = 1 << 18 // bytes that are read at once
	// sniffed is how much of a file says whether it is text; git takes as much.
	sniffed = 8000
)

// Scanner knows what to look for. It is safe for concurrent use.
type Scanner struct {
	// Short are the keys whose values are too short to be looked for.
	Short []secrets.Key

	needles map[string]*needle
	// first has the first two bytes of each needle, and by has the needles by their
	// first four: most places of a file are passed over at once. In joined lines those
	// are looked for that may have been wrapped, in encoded, or folded, in spaced.
	first, encoded, spaced bits
	by                     map[[4]byte][]*needle
}

// bits are a set of the first two bytes of texts.
type bits [1 << 16 / 64]uint64

func (b *bits) add(text []byte) {
	two := int(text[0])<<8 | int(text[1])
	b[two/64] |= 1 << (two % 64)
}

func (b *bits) has(text []byte) bool {
	two := int(text[0])<<8 | int(text[1])
	return b[two/64]&(1<<(two%64)) != 0
}

type needle struct {
	text []byte
	form string
	keys []secrets.Key
}

// Match is a place where a stored value stands.
type Match struct {
	File string
	Line int
	Key  secrets.Key
	Form string // raw, base64, escaped or hex
}

// New gives a scanner for the texts and numbers that docs hold, lists and maps
// included.
func New(docs []secrets.Doc) *Scanner {
	s := &Scanner{needles: map[string]*needle{}, by: map[[4]byte][]*needle{}}
	for _, doc := range docs {
		for _, name := range slices.Sorted(maps.Keys(doc.Values)) {
			key := secrets.Key{Deployment: doc.Path.Deployment, App: doc.Path.App, Scope: doc.Path.Scope, Name: name}
			if v := doc.Values[name]; !s.learn(key, v.Any()) && v.Kind() != secrets.Bool && !v.IsZero() {
				s.Short = append(s.Short, key)
			}
		}
	}
	return s
}

// learn takes the leaves of a value in, and says whether there was any.
func (s *Scanner) learn(key secrets.Key, value any) bool {
	found := false
	switch x := value.(type) {
	case string:
		return s.text(key, x)
	case json.Number:
		return s.text(key, x.String())
	case []any:
		for _, item := range x {
			found = s.learn(key, item) || found
		}
	case map[string]any:
		for _, item := range x {
			found = s.learn(key, item) || found
		}
	}
	return found
}

func (s *Scanner) text(key secrets.Key, text string) bool {
	text = strings.TrimSpace(text)
	if len(text) < Shortest {
		return false
	}
	if lines := strings.Split(text, "\n"); len(lines) > 1 {
		// Indented, or with other ends of lines, it is found by its longest line.
		line := slices.MaxFunc(lines, func(a, b string) int { return len(strings.TrimSpace(a)) - len(strings.TrimSpace(b)) })
		if line = strings.TrimSpace(line); len(line) >= 2*Shortest {
			s.add(key, line, "raw")
		}
	}
	s.add(key, text, "raw")
	for _, form := range escapes(text) {
		s.add(key, form, "escaped")
	}
	inHex := hex.EncodeToString([]byte(text))
	s.add(key, inHex, "hex")
	s.add(key, strings.ToUpper(inHex), "hex")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		// It may begin anywhere in what was encoded: those characters count that it
		// alone decides.
		for before := range 3 {
			form := e.EncodeToString([]byte(strings.Repeat("\x00", before) + text))
			form = form[[]int{0, 2, 3}[before]:]
			if (before+len(text))%3 != 0 {
				form = form[:len(form)-1]
			}
			s.add(key, form, "base64")
		}
	}
	return true
}

// escapes gives the forms in which a text stands inside another.
func escapes(t string) []string {
	quoted, err := json.Marshal(t)
	forms := []string{strings.Trim(strconv.Quote(t), `"`), url.QueryEscape(t), strings.ReplaceAll(url.QueryEscape(t), "+", "%20"), url.PathEscape(t), strings.ReplaceAll(t, "'", "''")}
	if err == nil {
		inside := string(quoted[1 : len(quoted)-1])
		forms = append(forms, inside, strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(inside))
	}
	return forms
}

func (s *Scanner) add(key secrets.Key, text, form string) {
	if len(text) < Shortest {
		return
	}
	text = text[:min(len(text), longest)]
	n := s.needles[text]
	if n == nil {
		n = &needle{text: []byte(text), form: form}
		s.needles[text] = n
		s.first.add(n.text)
		s.encoded.add(n.text)
		if strings.Contains(text, " ") {
			s.spaced.add(n.text)
		}
		four := [4]byte(n.text[:4])
		s.by[four] = append(s.by[four], n)
	}
	if !slices.Contains(n.keys, key) {
		n.keys = append(n.keys, key)
	}
}

// Reader looks through one text. In a line each key is found once. What is
// binary is passed over, and text is false.
func (s *Scanner) Reader(ctx context.Context, file string, r io.Reader, found func(Match)) (text bool, err error) {
	if r, err = asText(r); err != nil || r == nil {
		return err != nil, err
	}
	buf := make([]byte, 0, piece+longest)
	line := 1
	seen := map[Match]bool{} // without forms
	wrapped, folded := &joined{line: 1}, &joined{line: 1, blank: true}
	first := map[*joined]int{wrapped: 1, folded: 1}
	for {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		before := len(buf)
		n, err := io.ReadFull(r, buf[before:cap(buf)])
		buf = buf[:before+n]
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return true, err
		}
		var here []Match
		find := func(line int, n *needle) {
			for _, key := range n.keys {
				if at := (Match{file, line, key, ""}); !seen[at] {
					seen[at] = true
					here = append(here, Match{file, line, key, n.form})
				}
			}
		}
		counted := 0
		limit := s.look(buf, end, &s.first, func(i int, n *needle) {
			line += bytes.Count(buf[counted:i], []byte("\n"))
			counted = i
			find(line, n)
		})
		line += bytes.Count(buf[counted:limit], []byte("\n"))
		for _, j := range []*joined{wrapped, folded} {
			j.add(buf[before:])
			bits := &s.encoded
			if j.blank {
				bits = &s.spaced
			}
			stop := s.look(j.text, end, bits, func(i int, n *needle) {
				line, breaks, escaped := j.within(i, i+len(n.text), first[j])
				encoded := n.form == "base64" || n.form == "hex"
				if breaks > 0 && (j.blank && !encoded || !j.blank && (encoded || escaped)) {
					find(line, n)
				}
			})
			first[j] = j.drop(stop, first[j])
		}
		slices.SortStableFunc(here, func(a, b Match) int { return a.Line - b.Line })
		for _, m := range here {
			found(m)
		}
		if end {
			return true, nil
		}
		buf = buf[:copy(buf, buf[limit:])]
	}
}

// look calls found for each needle in a text, and gives how far it has looked: not
// into what may go on, unless this is the end.
func (s *Scanner) look(text []byte, end bool, first *bits, found func(at int, n *needle)) int {
	limit := len(text)
	if !end {
		limit = max(limit-longest, 0)
	}
	for i := 0; i < limit && i+Shortest <= len(text); i++ {
		if !first.has(text[i:]) {
			continue
		}
		for _, n := range s.by[[4]byte(text[i:i+4])] {
			if bytes.HasPrefix(text[i:], n.text) {
				found(i, n)
			}
		}
	}
	return limit
}

// Walk is what Files looks through.
type Walk struct {
	// MaxSize bounds the bytes of a file; a larger one is passed over.
	MaxSize int64
	// Skip says which files are passed over, such as the store's own; nil is none.
	Skip func(path string, info fs.FileInfo) bool
}

// Stats counts what was done.
type Stats struct {
	Files  int // that were looked through
	Binary int
	Large  []string // that were passed over for their size
}

// Files looks through files and folders, without following links in them, and
// without the folders of version control. What cannot be read is an error at the
// end, when all else was looked through.
func (s *Scanner) Files(ctx context.Context, roots []string, w Walk, found func(Match)) (Stats, error) {
	var stats Stats
	var failed []error
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			switch {
			case err != nil:
				failed = append(failed, err)
				return nil
			case d.IsDir() && path != root && slices.Contains([]string{".git", ".hg", ".svn"}, d.Name()):
				return filepath.SkipDir
			case d.IsDir():
				return nil
			}
			info, err := d.Info()
			if path == root { // which the user has named
				info, err = os.Stat(path)
			}
			switch {
			case err != nil:
				failed = append(failed, err)
			case !info.Mode().IsRegular() || w.Skip != nil && w.Skip(path, info):
			case info.Size() > w.MaxSize:
				stats.Large = append(stats.Large, path)
			default:
				if err := s.file(ctx, path, &stats, found); err != nil {
					failed = append(failed, err)
				}
			}
			return nil
		})
		if err != nil {
			return stats, err
		}
	}
	return stats, errors.Join(failed...)
}

func (s *Scanner) file(ctx context.Context, path string, stats *Stats, found func(Match)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := s.Reader(ctx, filepath.ToSlash(path), f, found)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case text:
		stats.Files++
	default:
		stats.Binary++
	}
	return nil
}
