package manifest

import (
	"slices"
	"strconv"
	"strings"
)

// Compare gives the change from one normalized object to another; nil is none.
//
// Lists that Kubernetes merges by a key are aligned by it, as the table of
// alignments says, so that order alone is no change where it means nothing;
// Before has the order of After there. The order of init containers, commands,
// arguments and rules counts. Fields has a change for each leaf that differs, in
// the order of After; an object that is new or gone has none, and one that is
// the same has neither Fields nor Before and After.
//
// Before, After and Fields are masked. Each value of a Secret is Masked, and
// MaskedChanged in After where it is another than before; so is a leaf that
// Taint found. Of other texts only the part that is secret is replaced, with the
// same two marks. Where known secrets would show in what leaves make together,
// such as a line KEY: VALUE, all leaves are masked. The annotation of kubectl's
// that repeats the object is left out.
func Compare(ref Ref, before, after map[string]any, mask *Mask) Change {
	c := Change{Ref: ref, Action: Update}
	var b, a any = before, after
	switch {
	case before == nil && after == nil:
		c.Action = Unchanged
		return c
	case before == nil:
		c.Action, b = Create, absent{}
	case after == nil:
		c.Action, a = Remove, absent{}
	case sameValue(b, a):
		c.Action = Unchanged
		return c
	}
	w := walker{mask: mask, secret: isSecret(ref) && !mask.reveals()}
	var t *taint
	if mask != nil && !mask.reveal {
		t = mask.tainted[ref.Key()]
	}
	mb, ma := w.pair(b, a, "", "", t, false)
	if c.Action == Update && len(w.fields) == 0 {
		c.Action = Unchanged
		return c
	}
	for _, strict := range []taint{{hide: true}, {hide: true, key: true}} {
		if !mask.shows(mb) && !mask.shows(ma) {
			break
		}
		w.fields, w.path = nil, w.path[:0]
		w.keys = strict.key
		mb, ma = w.pair(b, a, "", "", &strict, false)
	}
	c.Before, _ = mb.(map[string]any)
	c.After, _ = ma.(map[string]any)
	if c.Action == Update {
		c.Fields = w.fields
	}
	return c
}

func (m *Mask) reveals() bool { return m != nil && m.reveal }

// shows says whether a secret is in what a masked object looks like as YAML.
func (m *Mask) shows(v any) bool {
	fields, ok := v.(map[string]any)
	return ok && m.searches() && m.across && m.spans(unquoted(YAML(fields))) != nil
}

// absent is a value that is not there, unlike null, which may be.
type absent struct{}

func isAbsent(v any) bool { _, ok := v.(absent); return ok }

// walker goes through two objects side by side, and gives both masked and
// aligned.
type walker struct {
	mask   *Mask
	secret bool // the object is a Secret, and its values are hidden
	keys   bool // all keys are hidden
	path   []byte
	fields []Field
	// revert says of a leaf that differs whether After takes its earlier value.
	revert func(path string) bool
}

// pair gives two values masked, either of which may be absent. name is the key
// of the map or of the list that they stand in, parent the one above.
func (w *walker) pair(b, a any, parent, name string, t *taint, hide bool) (any, any) {
	hide = hide || t != nil && t.hide
	switch {
	case holds[map[string]any](b, a):
		return w.maps(b, a, name, t, hide)
	case holds[[]any](b, a):
		return w.lists(b, a, parent, name, t, hide)
	case isLeaf(b) && isLeaf(a):
		return w.leaf(b, a, t, hide)
	}
	// They have nothing in common: one goes, the other comes.
	mb, kept := w.pair(b, absent{}, parent, name, t, hide)
	_, ma := w.pair(absent{}, a, parent, name, t, hide)
	if isAbsent(ma) {
		ma = kept
	}
	return mb, ma
}

// holds says whether both values are maps, or lists, and one of them has
// something in it or both are there; one of the two may be absent.
func holds[T map[string]any | []any](b, a any) bool {
	bv, inB := b.(T)
	av, inA := a.(T)
	return inB && inA || inB && isAbsent(a) && len(bv) > 0 || inA && isAbsent(b) && len(av) > 0
}

func isLeaf(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return true
}

func (w *walker) maps(b, a any, name string, t *taint, hide bool) (any, any) {
	bm, inB := b.(map[string]any)
	am, inA := a.(map[string]any)
	keys := make([]string, 0, len(am))
	for k := range am {
		keys = append(keys, k)
	}
	for k := range bm {
		if _, both := am[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	top := len(w.path) == 0
	mb, ma := make(map[string]any, len(bm)), make(map[string]any, len(am))
	for _, k := range keys {
		if k == lastApplied && name == "annotations" {
			continue
		}
		var below *taint
		if t != nil {
			below = t.in[k]
		}
		shown := w.mask.Text(k)
		if w.keys || below != nil && below.key {
			shown = Masked
		}
		shown = unused(shown, k, mb, ma)
		mark := w.enterKey(shown)
		values := hide || top && w.secret && (k == "data" || k == "stringData")
		values = values || name == "annotations" && !w.mask.reveals() && digestOfSecret(k)
		bv, av := w.pair(get(bm, k), get(am, k), name, k, below, values)
		w.path = w.path[:mark]
		put(mb, shown, bv)
		put(ma, shown, av)
	}
	return side(mb, inB, len(bm)), side(ma, inA, len(am))
}

// digestOfSecret says whether an annotation is one of those that charts put a
// digest of a Secret into, so that pods follow it: who can guess the secret can
// try it against the digest.
func digestOfSecret(key string) bool {
	of, is := strings.CutPrefix(key, "checksum/")
	if !is {
		return false
	}
	of = strings.ToLower(of)
	return strings.Contains(of, "secret") || strings.Contains(of, "credential") || strings.Contains(of, "password") || strings.Contains(of, "auth")
}

// unused gives a masked key a number where another already looks like it.
func unused(shown, key string, mb, ma map[string]any) string {
	if shown == key {
		return shown
	}
	name := shown
	for n := 2; ; n++ {
		if _, taken := mb[name]; !taken {
			if _, taken := ma[name]; !taken {
				return name
			}
		}
		name = shown + " (" + strconv.Itoa(n) + ")"
	}
}

func get(m map[string]any, k string) any {
	if v, ok := m[k]; ok {
		return v
	}
	return absent{}
}

func put(m map[string]any, k string, v any) {
	if !isAbsent(v) {
		m[k] = v
	}
}

// side gives a map or a list that was there, or that has got something; one that
// lost all that it had is gone too, unless it was empty before.
func side[T map[string]any | []any](v T, there bool, had int) any {
	if len(v) == 0 && (!there || had > 0) {
		return absent{}
	}
	return v
}

func (w *walker) lists(b, a any, parent, name string, t *taint, hide bool) (any, any) {
	bl, inB := b.([]any)
	al, inA := a.([]any)
	rule := alignmentOf(parent, name)
	pairs := rule.pair(bl, al)
	slots := pairs.slots(bl, al)
	reordered := rule.ordered && pairs.keys != nil && pairs.moved() && w.reordered(bl, al, slots)
	mb, ma := make([]any, 0, len(bl)), make([]any, 0, len(al))
	place := make([]any, len(bl))
	for _, s := range slots {
		bv, av := item(bl, s.b), item(al, s.a)
		below := w.below(t, s, pairs, bv, av)
		shown := w.label(s.label)
		if w.keys && pairs.keys != nil || below != nil && below.key {
			shown = Masked
		}
		mark := w.enterItem(shown)
		bv, av = w.pair(bv, av, parent, name, below, hide)
		w.path = w.path[:mark]
		if s.b >= 0 {
			place[s.b] = bv
		}
		if !isAbsent(bv) {
			mb = append(mb, bv)
		}
		if !isAbsent(av) {
			ma = append(ma, av)
		}
	}
	if reordered {
		mb = slices.DeleteFunc(place, isAbsent)
	}
	return side(mb, inB, len(bl)), side(ma, inA, len(al))
}

func item(list []any, i int) any {
	if i < 0 {
		return absent{}
	}
	return list[i]
}

// below gives the taint of a list's item. Items without keys may have moved, so
// that beside a tainted one only those that both sides have are known to be
// none.
func (w *walker) below(t *taint, s slot, p pairing, b, a any) *taint {
	if t == nil {
		return nil
	}
	below := t.in[s.label]
	if below == nil && p.keys == nil && len(t.in) > 0 && !isAbsent(b) && !sameValue(b, a) {
		return &taint{hide: true}
	}
	return below
}

// reordered adds the change of a list's order alone, by what its items are
// called, and says whether it stays.
func (w *walker) reordered(b, a []any, slots []slot) bool {
	was, is := make([]any, len(b)), make([]any, len(a))
	for _, s := range slots {
		label := w.mask.Text(s.label)
		if w.keys {
			label = Masked
		}
		if s.b >= 0 {
			was[s.b] = label
		}
		if s.a >= 0 {
			is[s.a] = label
		}
	}
	return w.differs(was, is)
}

// differs adds a leaf that differs, unless it is to be as before.
func (w *walker) differs(b, a any) bool {
	path := w.mask.Text(string(w.path))
	if w.revert != nil && w.revert(path) {
		return false
	}
	if isAbsent(b) {
		b = nil
	}
	if isAbsent(a) {
		a = nil
	}
	w.fields = append(w.fields, Field{Path: path, Before: b, After: a})
	return true
}

func (w *walker) leaf(b, a any, t *taint, hide bool) (any, any) {
	same := sameLeaf(b, a)
	mb, ma := w.show(b, hide), w.show(a, hide)
	if t != nil && t.part && !same && !hide && !isAbsent(b) {
		mb = Masked
		before, inB := b.(string)
		after, inA := a.(string)
		if inB && inA {
			mb = w.mask.likeness(before, after)
		}
	}
	if same {
		return mb, ma
	}
	ma = marked(b, mb, a, ma)
	if !w.differs(mb, ma) {
		ma = mb
	}
	return mb, ma
}

func sameLeaf(b, a any) bool {
	if isAbsent(b) || isAbsent(a) {
		return isAbsent(b) && isAbsent(a)
	}
	return sameValue(b, a)
}

// show masks a leaf.
func (w *walker) show(v any, hide bool) any {
	switch v := v.(type) {
	case absent:
		return v
	case string:
		if hide {
			return Masked
		}
		return w.mask.Text(v)
	case nil, bool, int64, float64:
		if hide {
			return Masked
		}
		if text := plainText(v); w.mask.searches() && w.mask.spans(text) != nil {
			return w.mask.Text(text)
		}
		return v
	case map[string]any, []any:
		if hide {
			return Masked
		}
		return v // empty
	}
	return w.show(plainText(v), hide)
}

// marked gives the later of two masked leaves that differ, with marks where they
// would look alike.
func marked(b, mb, a, ma any) any {
	later, ok := ma.(string)
	earlier, too := mb.(string)
	if !ok || !too {
		return ma
	}
	before, inB := b.(string)
	after, inA := a.(string)
	if inB && inA {
		later = remarked(before, earlier, after, later)
	}
	if later == earlier {
		return strings.ReplaceAll(later, Masked, MaskedChanged)
	}
	return later
}

// enterKey appends a key to the path, in quotes where it is more than a word,
// and gives how long the path was.
func (w *walker) enterKey(key string) int {
	mark := len(w.path)
	if !isWord(key) {
		w.path = append(w.path, '[')
		w.path = strconv.AppendQuote(w.path, key)
		w.path = append(w.path, ']')
		return mark
	}
	if mark > 0 {
		w.path = append(w.path, '.')
	}
	w.path = append(w.path, key...)
	return mark
}

func isWord(key string) bool {
	for i := range len(key) {
		c := key[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return key != ""
}

// label masks what a label of an item quotes, as it was before: between quotes the
// lines of a text stand in one, where no search finds a secret of several.
func (w *walker) label(text string) string {
	from := strings.IndexByte(text, '"')
	if from < 0 || !w.mask.searches() {
		return text
	}
	quoted, err := strconv.QuotedPrefix(text[from:])
	if err != nil {
		return text
	}
	rest := w.label(text[from+len(quoted):])
	plain, err := strconv.Unquote(quoted)
	if masked := w.mask.Text(plain); err == nil && masked != plain {
		quoted = strconv.Quote(masked)
	}
	return text[:from] + quoted + rest
}

func (w *walker) enterItem(label string) int {
	mark := len(w.path)
	w.path = append(w.path, '[')
	w.path = append(w.path, label...)
	w.path = append(w.path, ']')
	return mark
}
