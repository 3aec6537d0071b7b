package manifest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What stands in the place of a secret. Neither tells its length, and a value
// that is new or gone needs no mark of its own: its line says so.
const (
	// Masked stands for a secret, or for the part of a text that is one.
	Masked = "[masked]"
	// MaskedChanged stands, on the later side, for a secret that is another than
	// before.
	MaskedChanged = "[masked, changed]"
)

// shortest is the length of a text, in bytes, below which it is not looked for:
// shorter ones stand everywhere.
const shortest = 4

// Mask knows what is secret in a release's objects, before and after.
//
// What is known goes in first, by NewMask, Learn and Taint; after that one Mask
// may be used by several goroutines. A nil Mask hides the values of Secrets and
// knows no others.
type Mask struct {
	reveal bool
	known  map[string]bool // the texts
	seen   map[string]bool // and their needles
	// first holds the first two bytes of all needles, so that most places of a
	// text are passed over at once; needles has them by their first four.
	first   [1 << 16 / 64]uint64
	needles map[[shortest]byte][]needle
	tainted map[string]*taint
	// across says that a needle could be made of two leaves and what YAML writes
	// between them.
	across bool
}

// needle is a text to look for.
type needle struct {
	text string
	// left and right say whether a character of base64 beside it holds bits of the
	// secret as well.
	left, right bool
	// lines are those of a secret of several lines, and text the at-th of them:
	// they are found whatever their indentation.
	lines []string
	at    int
}

// taint says which leaves of an object come from secrets, by the keys and labels
// of their paths.
type taint struct {
	hide bool // the value, and all below it
	key  bool // its key as well: it is not there with other secrets
	part bool // the texts that are known account for it
	in   map[string]*taint
}

// NewMask gives a mask that knows secret texts. Each is looked for in every text
// of every object, keys and numbers included: as it is, and as it may have been
// written into another text: in base64 (both alphabets, beginning anywhere in
// what was encoded, and twice encoded), escaped for a URL, JSON, YAML, HTML or a
// shell, in hex, and at another indentation. A text of fewer than 4 bytes, or of
// white space alone, is not looked for; it is masked where it is the value of a
// Secret, or where Taint found it.
func NewMask(texts []string) *Mask {
	m := &Mask{known: map[string]bool{}, seen: map[string]bool{}, needles: map[[shortest]byte][]needle{}, tainted: map[string]*taint{}}
	for _, t := range texts {
		m.learn(t)
	}
	return m
}

// Unmasked gives a mask that hides nothing, for a user who asked for that.
func Unmasked() *Mask {
	m := NewMask(nil)
	m.reveal = true
	return m
}

// Learn takes in the values of a Secret, so that they are masked in other
// objects too: those that were sent before, whose values are in no store any
// more. Other objects teach nothing.
func (m *Mask) Learn(o Object) {
	if m == nil || !isSecret(o.Ref) {
		return
	}
	data, _ := o.Fields["data"].(map[string]any)
	for _, v := range data {
		text := plainText(v)
		if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
			m.learn(string(raw))
		}
		m.learn(text)
	}
	plain, _ := o.Fields["stringData"].(map[string]any)
	for _, v := range plain {
		m.learn(plainText(v))
	}
}

func isSecret(ref Ref) bool { return ref.Kind == "Secret" && ref.Group() == "" }

// learn adds a text in all its forms.
func (m *Mask) learn(text string) {
	for _, t := range []string{text, strings.TrimSpace(text)} {
		if len(t) < shortest || strings.TrimSpace(t) == "" || m.known[t] {
			continue
		}
		m.known[t] = true
		forms := escapes(t)
		for _, form := range forms {
			m.add(needle{text: form})
			m.encoded(form, form == t && len(t) >= 2*shortest)
		}
		m.add(needle{text: hex.EncodeToString([]byte(t))})
		if lines := strings.Split(strings.TrimSpace(t), "\n"); len(lines) > 1 {
			m.indented(lines)
		}
	}
}

// add takes in a needle.
func (m *Mask) add(n needle) {
	if len(n.text) < shortest || n.lines == nil && m.seen[n.text] {
		return
	}
	if n.lines == nil {
		m.seen[n.text] = true
	}
	m.across = m.across || n.lines != nil || strings.ContainsAny(n.text, " \n\"\\:|")
	start := [shortest]byte([]byte(n.text))
	two := int(start[0])<<8 | int(start[1])
	m.first[two/64] |= 1 << (two % 64)
	m.needles[start] = append(m.needles[start], n)
}

// indented adds a text of several lines, found by its longest line.
func (m *Mask) indented(lines []string) {
	longest := 0
	for i := range lines {
		lines[i] = strings.Trim(lines[i], " \t\r")
		if len(lines[i]) > len(lines[longest]) {
			longest = i
		}
	}
	m.add(needle{text: lines[longest], lines: lines, at: longest})
}

// encoded adds base64 of a text that begins at any place of what was encoded:
// those characters that it alone decides.
func (m *Mask) encoded(text string, again bool) {
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			b := e.EncodeToString([]byte(strings.Repeat("\x00", before) + text))
			n := needle{text: b[[]int{0, 2, 3}[before]:], left: before > 0}
			if (before+len(text))%3 != 0 {
				n.text, n.right = n.text[:len(n.text)-1], true
			}
			m.add(n)
			if again && e == base64.RawStdEncoding {
				m.encoded(n.text, false)
			}
		}
	}
}

// escapes gives the forms in which a text stands inside another.
func escapes(t string) []string {
	forms := []string{t}
	add := func(s string) {
		if !slices.Contains(forms, s) {
			forms = append(forms, s)
		}
	}
	quoted := []string{inJSON(t, true), inJSON(t, false), inGo(t)}
	for _, s := range quoted {
		add(s)
		add(inJSON(s, false)) // JSON in JSON
	}
	user := strings.TrimPrefix(url.UserPassword("", t).String(), ":")
	for _, s := range []string{url.QueryEscape(t), url.PathEscape(t), user, strings.ReplaceAll(url.QueryEscape(t), "+", "%20"), (&url.URL{Path: t}).EscapedPath()} {
		add(s)
		add(lowerHex.ReplaceAllStringFunc(s, strings.ToLower))
	}
	add(strings.ReplaceAll(t, "'", "''"))    // YAML, SQL
	add(strings.ReplaceAll(t, "'", `'\''`))  // a shell
	add(strings.ReplaceAll(t, "'", `'"'"'`)) // a shell
	add(html.EscapeString(t))
	add(strings.ReplaceAll(t, "\n", "\r\n"))
	return forms
}

var lowerHex = regexp.MustCompile(`%[0-9A-F]{2}`)

// inJSON gives a text as it stands between the quotes of JSON.
func inJSON(t string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	// A string always encodes.
	_ = e.Encode(t)
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1]
}

// inGo gives a text as it stands between the quotes of Go, which is what a
// template's quote writes.
func inGo(t string) string {
	quoted := strconv.Quote(t)
	return quoted[1 : len(quoted)-1]
}

// Text masks a free text: an error, an event, notes.
func (m *Mask) Text(s string) string {
	if !m.searches() {
		return s
	}
	spans := m.spans(s)
	if spans == nil {
		return s
	}
	var b strings.Builder
	last := 0
	for _, span := range spans {
		b.WriteString(s[last:span[0]])
		b.WriteString(Masked)
		last = span[1]
	}
	b.WriteString(s[last:])
	return b.String()
}

func (m *Mask) searches() bool { return m != nil && !m.reveal && len(m.needles) > 0 }

// spans gives the places in a text that are secret, in order and apart.
func (m *Mask) spans(s string) [][2]int {
	var spans [][2]int
	for i := 0; i+shortest <= len(s); i++ {
		two := int(s[i])<<8 | int(s[i+1])
		if m.first[two/64]&(1<<(two%64)) == 0 {
			continue
		}
		for _, n := range m.needles[[shortest]byte([]byte(s[i:i+shortest]))] {
			if strings.HasPrefix(s[i:], n.text) {
				if from, to, ok := n.around(s, i); ok {
					spans = append(spans, [2]int{from, to})
				}
			}
		}
	}
	if len(spans) < 2 {
		return spans
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
	out := spans[:1]
	for _, span := range spans[1:] {
		if last := &out[len(out)-1]; span[0] < last[1] {
			last[1] = max(last[1], span[1])
		} else {
			out = append(out, span)
		}
	}
	return out
}

// around gives what the needle found at i makes secret.
func (n needle) around(s string, i int) (from, to int, ok bool) {
	from, to = i, i+len(n.text)
	if n.lines != nil {
		return n.block(s, from, to)
	}
	if n.left && from > 0 && base64Char(s[from-1]) {
		from--
	}
	if n.right && to < len(s) && base64Char(s[to]) {
		to++
		for to < len(s) && s[to] == '=' {
			to++
		}
	}
	return from, to, true
}

func base64Char(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

// block looks for the other lines around the one that was found.
func (n needle) block(s string, from, to int) (int, int, bool) {
	for k := n.at - 1; k >= 0; k-- {
		head, ok := strings.CutSuffix(strings.TrimRight(s[:from], " \t"), "\n")
		if !ok {
			return 0, 0, false
		}
		head = strings.TrimRight(head, " \t\r")
		if !strings.HasSuffix(head, n.lines[k]) {
			return 0, 0, false
		}
		from = len(head) - len(n.lines[k])
	}
	for k := n.at + 1; k < len(n.lines); k++ {
		rest, ok := strings.CutPrefix(strings.TrimLeft(s[to:], " \t\r"), "\n")
		if !ok {
			return 0, 0, false
		}
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, n.lines[k]) {
			return 0, 0, false
		}
		to = len(s) - len(rest) + len(n.lines[k])
	}
	return from, to, true
}

// Taint marks the leaves of an object that come from secrets: those that differ
// between the object as it will be sent, real, and placeholder, the same object
// rendered with other secrets. This finds checksums and whatever else a template
// makes of one. Where the texts that the mask knows already account for the
// difference, only they are masked, and not the whole leaf.
func (m *Mask) Taint(ref Ref, real, placeholder map[string]any) {
	if m == nil || sameValue(real, placeholder) {
		return
	}
	if t := m.taint(real, placeholder, "", ""); t != nil {
		m.tainted[ref.Key()] = t
	}
}

func (m *Mask) taint(real, placeholder any, parent, name string) *taint {
	if sameValue(real, placeholder) {
		return nil
	}
	t := &taint{in: map[string]*taint{}}
	switch r := real.(type) {
	case map[string]any:
		p, ok := placeholder.(map[string]any)
		if !ok {
			break
		}
		for k, v := range r {
			if other, there := p[k]; !there {
				t.in[k] = &taint{hide: true, key: true}
			} else if below := m.taint(v, other, name, k); below != nil {
				t.in[k] = below
			}
		}
		for k := range p {
			if _, there := r[k]; !there {
				t.in[k] = &taint{hide: true, key: true}
			}
		}
		return t
	case []any:
		p, ok := placeholder.([]any)
		if !ok {
			break
		}
		for _, s := range m.slots(parent, name, p, r) {
			switch {
			case s.a < 0, s.b < 0:
				t.in[s.label] = &taint{hide: true, key: true}
			default:
				if below := m.taint(r[s.a], p[s.b], parent, name); below != nil {
					t.in[s.label] = below
				}
			}
		}
		return t
	case string:
		if p, ok := placeholder.(string); ok && m.accounts(r, p) {
			return &taint{part: true}
		}
	}
	return &taint{hide: true}
}

func (m *Mask) slots(parent, name string, b, a []any) []slot {
	return alignmentOf(parent, name).pair(b, a).slots(b, a)
}

// accounts says whether two texts differ in known secrets alone.
func (m *Mask) accounts(real, placeholder string) bool {
	if !m.searches() {
		return false
	}
	gaps, ok := gapsOf(placeholder, pieces(real, m.spans(real)))
	return ok && len(gaps) > 0
}

// pieces gives what stands before, between and behind spans of a text.
func pieces(s string, spans [][2]int) []string {
	out := make([]string, 0, len(spans)+1)
	last := 0
	for _, span := range spans {
		out = append(out, s[last:span[0]])
		last = span[1]
	}
	return append(out, s[last:])
}

// gapsOf finds pieces in a text, in their order, the first at its beginning and
// the last at its end, and gives what stands between them.
func gapsOf(s string, pieces []string) (gaps [][2]int, ok bool) {
	head, tail := pieces[0], pieces[len(pieces)-1]
	if len(pieces) == 1 {
		return nil, s == head
	}
	if len(s) < len(head)+len(tail) || !strings.HasPrefix(s, head) || !strings.HasSuffix(s, tail) {
		return nil, false
	}
	at, end := len(head), len(s)-len(tail)
	for _, piece := range pieces[1 : len(pieces)-1] {
		i := strings.Index(s[at:end], piece)
		if i < 0 {
			return nil, false
		}
		gaps = append(gaps, [2]int{at, at + i})
		at += i + len(piece)
	}
	return append(gaps, [2]int{at, end}), true
}

// likeness masks the earlier text of a leaf whose later one holds secrets that
// are known: the earlier ones may not be. A line stays where the later text has
// it and it is no secret there; of a line that is like one with a secret, the
// secret is masked; the others are masked whole. Beside a secret of several
// lines, nothing stays.
func (m *Mask) likeness(before, after string) string {
	for _, span := range m.spans(after) {
		if strings.Contains(after[span[0]:span[1]], "\n") {
			return Masked
		}
	}
	plain := map[string]bool{}
	var patterns [][]string
	for line := range strings.SplitSeq(after, "\n") {
		if spans := m.spans(line); spans != nil {
			patterns = append(patterns, pieces(line, spans))
		} else {
			plain[line] = true
		}
	}
	lines := strings.Split(before, "\n")
	for i, line := range lines {
		if !plain[line] {
			lines[i] = m.likeOne(line, patterns)
		}
	}
	return m.Text(strings.Join(lines, "\n"))
}

func (m *Mask) likeOne(line string, patterns [][]string) string {
	for _, p := range patterns {
		// A gap beside nothing would tell nothing, and match every line.
		if strings.Join(p, "") == "" {
			continue
		}
		if _, ok := gapsOf(line, p); ok {
			return strings.Join(p, Masked)
		}
	}
	return Masked
}

// remarked marks as changed those masked parts of the later text whose line the
// earlier one has too, but with another secret.
func remarked(before, maskedBefore, after, maskedAfter string) string {
	b, mb := strings.Split(before, "\n"), strings.Split(maskedBefore, "\n")
	a, ma := strings.Split(after, "\n"), strings.Split(maskedAfter, "\n")
	if len(a) != len(ma) || len(b) != len(mb) {
		if maskedBefore == maskedAfter {
			return strings.ReplaceAll(maskedAfter, Masked, MaskedChanged)
		}
		return maskedAfter
	}
	real, shown := map[string]bool{}, map[string]bool{}
	for i := range b {
		real[b[i]], shown[mb[i]] = true, true
	}
	for i := range a {
		if a[i] != ma[i] && shown[ma[i]] && !real[a[i]] {
			ma[i] = strings.ReplaceAll(ma[i], Masked, MaskedChanged)
		}
	}
	return strings.Join(ma, "\n")
}
