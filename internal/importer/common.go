package importer

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/helm-kai/helm-kai/internal/source"
)

// whole are the fields that a layer replaces and does not merge, or of which a
// half says nothing.
var whole = []string{"httpGet", "tcpSocket", "grpc", "exec", "volume", "tls", "expose", "valueFrom", "secret", "affinity", "rollingUpdate"}

// common gives what values have in common: of maps the keys that all have, and of
// anything else what more than half of them say. Nil is nothing. That can stand
// below all of them without any having to take it back.
func common(key string, values []*source.Value) *source.Value {
	first := values[0]
	maps := !slices.Contains(whole, key)
	best, votes := first, 0
	for _, v := range values {
		maps = maps && v.Kind == source.Map && !v.Has("secret") && !v.Has("valueFrom")
		n := 0
		for _, other := range values {
			if source.Equal(v, other) {
				n++
			}
		}
		if n > votes {
			best, votes = v, n
		}
	}
	switch {
	case votes == len(values):
		return first
	case !maps && votes*2 > len(values):
		return best
	case !maps:
		return nil
	}
	out := source.NewMap(first.Origin)
	for _, f := range first.Fields {
		var those []*source.Value
		for _, v := range values {
			if x := v.Get(f.Key); x != nil {
				those = append(those, x)
			}
		}
		if len(those) < len(values) {
			continue
		}
		if x := common(f.Key, those); x != nil {
			out.Set(f.Key, x)
		}
	}
	if len(out.Fields) == 0 {
		return nil
	}
	return out
}

// beyond gives what v says over base, or nil where it says no more.
func beyond(key string, base, v *source.Value) *source.Value {
	switch {
	case source.Equal(base, v):
		return nil
	case base == nil || base.Kind != source.Map || v.Kind != source.Map || slices.Contains(whole, key):
		return v
	}
	out := source.NewMap(v.Origin)
	for _, f := range v.Fields {
		if x := beyond(f.Key, base.Get(f.Key), f.Value); x != nil {
			out.Set(f.Key, x)
		}
	}
	return out
}

// without gives what v says that the defaults do not, or nil. Quantities are
// compared by what they mean.
func without(v, defaults *source.Value, quantities bool) *source.Value {
	if v == nil || defaults == nil {
		return v
	}
	if source.Equal(v, defaults) || quantities && sameQuantity(v, defaults) {
		return nil
	}
	if v.Kind != source.Map || defaults.Kind != source.Map {
		return v
	}
	out := source.NewMap(v.Origin)
	for _, f := range v.Fields {
		if x := without(f.Value, defaults.Get(f.Key), quantities || f.Key == "requests" || f.Key == "limits"); x != nil {
			out.Set(f.Key, x)
		}
	}
	if len(out.Fields) == 0 {
		return nil
	}
	return out
}

func sameQuantity(a, b *source.Value) bool {
	x, err := resource.ParseQuantity(a.Str())
	if err != nil {
		return false
	}
	y, err := resource.ParseQuantity(b.Str())
	return err == nil && x.Cmp(y) == 0
}

// slug makes a name of text: lower case letters, digits and dashes, at most 52
// of them, that begins with a letter.
func slug(s string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(s)) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
		if b.Len() >= maxName {
			break
		}
	}
	out := strings.Trim(b.String(), "-")
	if out != "" && (out[0] < 'a' || out[0] > 'z') {
		out = strings.Trim(("x" + out)[:min(len(out)+1, maxName)], "-")
	}
	return out
}

// maxName is the longest name of a chart.
const maxName = 52

// unique gives a name that is not taken, and takes it.
func unique(name string, taken map[string]bool) string {
	if name == "" {
		name = "x"
	}
	out := name
	for i := 2; taken[out]; i++ {
		out = name + "-" + string(source.NewInt(source.Origin{}, i).Text)
	}
	taken[out] = true
	return out
}

// moreThan says whether a quantity is more than another.
func moreThan(v *source.Value, limit string) bool {
	x, err := resource.ParseQuantity(v.Str())
	if err != nil || limit == "" {
		return false
	}
	y, err := resource.ParseQuantity(limit)
	return err == nil && x.Cmp(y) > 0
}
