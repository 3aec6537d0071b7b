package manifest

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// This file compares values with the eyes of the server: settled and same need
// no copies, which makes the usual case, that nothing differs, cheap.

// field gives what is known about a field, or nothing but the zero field for a
// value whose type is unknown.
func (s *shape) field(key string) field {
	if s == nil {
		return field{}
	}
	switch s.form {
	case structure:
		if f, ok := s.fields[key]; ok {
			return *f
		}
	case dictionary:
		return field{shape: s.elem}
	}
	return field{}
}

func (s *shape) is(f form) bool { return s != nil && s.form == f }

// fillOf gives what the server sets for a field that is left out, or nil.
func (s *shape) fillOf(key string, m map[string]any) any {
	if s == nil {
		return nil
	}
	for _, f := range s.fills {
		if f.key == key && f.holds(m) {
			return f.value
		}
	}
	return nil
}

// settledMap says whether a live map is as wanted already, and has nothing left
// of what original had and wanted has not. With retains it has nothing else at
// all.
func (s *shape) settledMap(o, w, l map[string]any, retains bool) bool {
	for k, wv := range w {
		if wv == nil {
			continue
		}
		f := s.field(k)
		lv := l[k]
		if lv == nil {
			if f.plain && f.zero(wv) {
				continue
			}
			return false
		}
		if !f.settled(o[k], wv, lv) {
			return false
		}
	}
	if name := w["serviceAccountName"]; s != nil && s.alias && name != nil && name != "" && w["serviceAccount"] == nil && !equalLeaf(name, l["serviceAccount"]) {
		return false
	}
	for k, ov := range o {
		if ov == nil || w[k] != nil || l[k] == nil {
			continue
		}
		if f := s.field(k); !f.plain || !f.zero(l[k]) {
			return false
		}
	}
	if retains && len(w) > 0 {
		for k, lv := range l {
			if lv == nil || w[k] != nil {
				continue
			}
			f := s.field(k)
			if v := s.fillOf(k, w); v != nil && f.same(v, lv) {
				continue
			}
			if !f.plain || !f.zero(lv) {
				return false
			}
		}
	}
	return true
}

// settled is settledMap for a field's value; none of them is nil but o.
func (f field) settled(o, w, l any) bool {
	switch w := w.(type) {
	case map[string]any:
		lm, ok := l.(map[string]any)
		if !ok {
			return false
		}
		if f.is(opaque) || f.replaces {
			return f.same(w, l)
		}
		om, _ := o.(map[string]any)
		return f.shape.settledMap(om, w, lm, f.retains)
	case []any:
		ll, ok := l.([]any)
		if !ok {
			return false
		}
		ol, _ := o.([]any)
		switch {
		case f.merges && f.key != "":
			return f.settledKeyed(ol, w, ll)
		case f.merges:
			return settledSet(ol, w, ll)
		case f.shape == nil:
			return settledAligned(ol, w, ll)
		}
	}
	return f.same(w, l)
}

// settledKeyed is for lists whose elements are merged by a key.
func (f field) settledKeyed(o, w, l []any) bool {
	elem := f.elem
	retains := f.retains
	if len(w) == len(l) && (len(o) == 0 || len(o) == len(w)) {
		// The usual case: element stands beside element. Then it does not matter
		// whether a key is there twice.
		side := true
		for i := range w {
			wk := keyOf(w[i], f.key)
			if wk == nil || wk != keyOf(l[i], f.key) || len(o) > 0 && wk != keyOf(o[i], f.key) {
				side = false
				break
			}
		}
		if side {
			for i := range w {
				var om map[string]any
				if len(o) > 0 {
					om = o[i].(map[string]any)
				}
				if !elem.settledMap(om, w[i].(map[string]any), l[i].(map[string]any), retains) {
					return false
				}
			}
			return true
		}
	}
	before, wantedKeys, liveKeys := index(o, f.key), index(w, f.key), index(l, f.key)
	if before == nil || wantedKeys == nil || liveKeys == nil {
		return false
	}
	last := -1
	for _, item := range w {
		k := keyOf(item, f.key)
		i, ok := liveKeys[k]
		if !ok || i < last {
			return false
		}
		last = i
		var om map[string]any
		if j, ok := before[k]; ok {
			om = o[j].(map[string]any)
		}
		if !elem.settledMap(om, item.(map[string]any), l[i].(map[string]any), retains) {
			return false
		}
	}
	for k := range before {
		_, wanted := wantedKeys[k]
		_, there := liveKeys[k]
		if there && !wanted {
			return false
		}
	}
	return true
}

// index gives the places of a list's elements by their keys, nil where an
// element has none or two have the same.
func index(items []any, key string) map[any]int {
	out := make(map[any]int, len(items))
	for i, item := range items {
		k := keyOf(item, key)
		if _, twice := out[k]; k == nil || twice {
			return nil
		}
		out[k] = i
	}
	return out
}

func keyOf(item any, key string) any {
	m, ok := item.(map[string]any)
	if !ok {
		return nil
	}
	switch v := m[key].(type) {
	case string, int64:
		return v
	case float64:
		if n, ok := integer(v); ok {
			return n
		}
	}
	return nil
}

// settledSet is for lists of texts that are merged: the wanted ones are there in
// their order, and none that only original had.
func settledSet(o, w, l []any) bool {
	there := map[any]bool{}
	next := 0
	for _, v := range l {
		if _, ok := v.(string); !ok {
			return false
		}
		there[v] = true
		if next < len(w) && w[next] == v {
			next++
		}
	}
	if next < len(w) {
		return false
	}
	wanted := map[any]bool{}
	for _, v := range w {
		wanted[v] = true
	}
	for _, v := range o {
		if s, ok := v.(string); !ok || there[s] && !wanted[s] {
			return false
		}
	}
	return true
}

// settledAligned is for lists of which nothing is known but what they hold.
func settledAligned(o, w, l []any) bool {
	if len(w) != len(l) {
		return false
	}
	for i := range w {
		var before any
		if len(o) == len(w) {
			before = o[i]
		}
		if w[i] == nil || l[i] == nil {
			if w[i] != l[i] {
				return false
			}
			continue
		}
		if !(field{}).settled(before, w[i], l[i]) {
			return false
		}
	}
	return true
}

// sameMap says whether two maps are one to the server; either may leave out what
// the server fills in.
func (s *shape) sameMap(a, b map[string]any) bool {
	for k := range a {
		if !s.sameField(s.field(k), k, a, b) {
			return false
		}
	}
	for k, bv := range b {
		if _, seen := a[k]; seen || bv == nil || s != nil && s.grows {
			continue
		}
		if !s.sameField(s.field(k), k, a, b) {
			return false
		}
	}
	return true
}

func (s *shape) sameField(f field, k string, a, b map[string]any) bool {
	av, bv := s.orFill(f, k, a), s.orFill(f, k, b)
	if av == nil || bv == nil {
		return av == nil && bv == nil
	}
	if bm, ok := bv.(map[string]any); ok && s != nil && s.grows {
		am, ok := av.(map[string]any)
		return ok && f.settledMap(nil, am, bm, false)
	}
	return f.same(av, bv)
}

// orFill gives the value of a field, what the server sets in its place where it
// is left out, or nil.
func (s *shape) orFill(f field, k string, m map[string]any) any {
	if v := m[k]; v != nil && !(f.plain && f.zero(v)) {
		return v
	}
	if v := s.fillOf(k, m); v != nil && !(f.plain && f.zero(v)) {
		return v
	}
	return nil
}

// same says whether two values are one to the server.
func (s *shape) same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		bm, ok := b.(map[string]any)
		return ok && s.sameMap(a, bm)
	case []any:
		bl, ok := b.([]any)
		if !ok || len(a) != len(bl) {
			return false
		}
		var elem *shape
		if s.is(list) {
			elem = s.elem
		}
		for i := range a {
			if !elem.same(a[i], bl[i]) {
				return false
			}
		}
		return true
	}
	return s.sameLeaf(a, b)
}

func (s *shape) sameLeaf(a, b any) bool {
	if equalLeaf(a, b) {
		return true
	}
	if s == nil || s.form == scalar {
		return false
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	if s.form == quantity {
		p, ok := parseQuantity(a)
		q, also := parseQuantity(b)
		return ok && also && p.Cmp(q) == 0
	}
	return equalLeaf(s.leaf(a), s.leaf(b))
}

func parseQuantity(v any) (resource.Quantity, bool) {
	switch v.(type) {
	case string, int64, float64, int:
		q, err := resource.ParseQuantity(fmt.Sprint(v))
		return q, err == nil
	}
	return resource.Quantity{}, false
}

// equalLeaf compares what JSON has beside maps and lists, numbers by their
// value.
func equalLeaf(a, b any) bool {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && a == b
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case nil:
		return b == nil
	}
	switch b.(type) {
	case string, bool, nil, map[string]any, []any:
		return false
	}
	return number(a) == number(b)
}

// number gives a number so that equal ones are equal: integers as int64.
func number(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case float64:
		if n, ok := integer(v); ok {
			return n
		}
	}
	return v
}

func integer(v float64) (int64, bool) {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return int64(v), true
	}
	return 0, false
}

// leaf gives a text or a number in the spelling of the server.
func (s *shape) leaf(v any) any {
	if s == nil {
		return number(v)
	}
	switch s.form {
	case quantity:
		if q, ok := parseQuantity(v); ok {
			return q.String()
		}
	case intOrString:
		if t, ok := v.(string); ok {
			if n, err := strconv.ParseInt(t, 10, 32); err == nil && strconv.FormatInt(n, 10) == t {
				return n
			}
		}
	case octets:
		if t, ok := v.(string); ok && strings.ContainsAny(t, "\r\n") {
			if b, err := base64.StdEncoding.DecodeString(t); err == nil {
				return base64.StdEncoding.EncodeToString(b)
			}
		}
	}
	return number(v)
}

// zero says whether a value is its type's zero, which the server takes for left
// out.
func (s *shape) zero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == "" || s.is(quantity) && s.sameLeaf(v, "0")
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		for k, item := range v {
			if item == nil {
				continue
			}
			if f := s.field(k); !f.plain || !f.zero(item) {
				return false
			}
		}
		return true
	}
	return number(v) == int64(0)
}

// canon says what canonical is for.
type canon uint8

const (
	canonWanted canon = iota // keeps zero fields, which may have to overwrite others, and fills
	canonLive                // drops zero fields, as the server does
)

// canonical gives a copy of a value in the spelling of the server, without nulls
// in maps. Of unknown types only numbers are changed.
func (s *shape) canonical(v any, c canon) any {
	return s.canonicalIn(v, c, false)
}

// canonicalIn is canonical; whole says that the value is part of one that a
// patch replaces as a whole.
func (s *shape) canonicalIn(v any, c canon, whole bool) any {
	switch v := v.(type) {
	case map[string]any:
		if s.is(opaque) {
			s = nil
		}
		out := make(map[string]any, len(v)+1)
		for k, item := range v {
			f := s.field(k)
			if item == nil && (s != nil || !whole) || c == canonLive && f.drops && f.zero(item) {
				continue
			}
			in := whole || f.replaces
			m, isMap := item.(map[string]any)
			if isMap && f.retains && c == canonWanted && len(m) > 0 {
				item = f.filled(m)
			}
			if _, isList := item.([]any); isList {
				in = in || !f.merges
			}
			out[k] = f.canonicalIn(item, c, in)
		}
		if c == canonWanted && s != nil && s.alias && out["serviceAccount"] == nil && out["serviceAccountName"] != nil && out["serviceAccountName"] != "" {
			out["serviceAccount"] = out["serviceAccountName"]
		}
		if whole && c == canonWanted {
			return s.filled(out)
		}
		return out
	case []any:
		out := make([]any, len(v))
		var elem *shape
		if s.is(list) {
			elem = s.elem
		}
		for i, item := range v {
			out[i] = elem.canonicalIn(item, c, whole)
		}
		return out
	}
	return s.leaf(v)
}

// filled gives a map with the fields that the server sets.
func (s *shape) filled(m map[string]any) map[string]any {
	if s == nil || len(s.fills) == 0 {
		return m
	}
	out := m
	for _, f := range s.fills {
		if m[f.key] != nil || !f.holds(m) {
			continue
		}
		if len(out) == len(m) {
			out = clone(m).(map[string]any)
		}
		out[f.key] = clone(f.value)
	}
	return out
}
