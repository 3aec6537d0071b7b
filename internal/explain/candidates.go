package explain

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
	"github.com/helm-kai/helm-kai/schemas"
)

// known is what may stand for what: names of one list, members of one
// enumeration.
type known struct {
	peers map[string][]string // of a text, sorted, without itself
}

// maxPeers bounds the names that are tried in place of another.
const maxPeers = 12

// learn collects enumerations and names from the files that were read.
func learn(w *workspace.Workspace, trees []*tree) *known {
	k := &known{peers: map[string][]string{}}
	for _, file := range []string{"types.yaml", "values.yaml"} {
		// The workspace has read them.
		v, _ := source.ReadYAML(schemas.FS, file)
		k.enums(v)
	}
	k.group(w.FlavorNames())
	k.group(w.FriendNames())
	k.group(w.ServiceNames())
	for _, t := range trees {
		t.mu.Lock()
		for name, d := range t.docs {
			if path.Base(name) == "flavor.yaml" {
				k.enums(d.value)
			}
			k.names(d.value)
		}
		t.mu.Unlock()
	}
	for text, peers := range k.peers {
		slices.Sort(peers)
		peers = slices.Compact(peers)
		k.peers[text] = peers[:min(len(peers), maxPeers)]
	}
	return k
}

func (k *known) group(names []string) {
	for _, name := range names {
		for _, other := range names {
			if other != name {
				k.peers[name] = append(k.peers[name], other)
			}
		}
	}
}

// enums finds the enumerations of types.
func (k *known) enums(v *source.Value) {
	for _, f := range v.FieldsOrNone() {
		if f.Key == "enum" && f.Value != nil && f.Value.Kind == source.List {
			k.group(f.Value.Strings())
			continue
		}
		k.enums(f.Value)
	}
	for _, item := range v.ItemsOrNone() {
		k.enums(item)
	}
}

// names finds the lists of named things.
func (k *known) names(v *source.Value) {
	for _, f := range v.FieldsOrNone() {
		k.names(f.Value)
	}
	var group []string
	for _, item := range v.ItemsOrNone() {
		if name := item.Get("name").Str(); name != "" {
			group = append(group, name)
		}
		k.names(item)
	}
	k.group(group)
}

// changes gives what a unit is changed to. Each of the first is tried; of the
// second, which mean much the same, one that makes a chart is enough, and of the
// last, which take the value away, as well.
func (k *known) changes(u *unit) (each, one, last []change) {
	if u.value == nil {
		return []change{{newFile: fileWith(u)}}, nil, nil
	}
	text := func(s string) change { return change{value: &source.Value{Kind: source.String, Text: s}} }
	v := u.value
	if u.key {
		return []change{text(v.Text + "X"), text(v.Text + "x")}, nil, nil
	}
	nothing := []change{{value: &source.Value{Kind: source.Null, Text: "null"}}, {}}
	switch v.Kind {
	case source.Null:
		return []change{{}}, []change{{value: source.NewMap(source.Origin{})}, {value: source.NewList(source.Origin{})}, text("x"), number("1")}, nil
	case source.Map, source.List:
		return nothing[:1], nothing[1:], nil
	case source.Bool:
		return []change{{value: source.NewBool(source.Origin{}, !v.True())}}, nil, nothing
	case source.Number:
		for _, n := range numbers(v.Text) {
			each = append(each, number(n))
		}
		return each, nil, append(nothing, text(v.Text+"0%"), text("x"+v.Text))
	}
	for _, peer := range k.peers[v.Text] {
		each = append(each, text(peer))
	}
	if v.Text == "true" || v.Text == "false" {
		each = append(each, text(strconv.FormatBool(v.Text != "true")))
	}
	for _, other := range texts(v.Text) {
		one = append(one, text(other))
	}
	for _, other := range u.beside() {
		one = append(one, text(other))
	}
	return each, append(one, number("1"), number("2")), append(nothing, text(""))
}

func number(text string) change { return change{value: &source.Value{Kind: source.Number, Text: text}} }

// numbers gives other numbers, the nearest first, and those at which counts
// change what they mean.
func numbers(text string) []string {
	n, err := strconv.Atoi(text)
	if err != nil || len(text) > 1 && text[0] == '0' {
		return []string{turned(text)}
	}
	var out []string
	for _, other := range []int{n + 1, 1, 0} {
		if s := strconv.Itoa(other); other >= 0 && other != n && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// texts gives other texts, those first that are of the same form as far as one can
// see: a version, a quantity, an address or a schedule has a number in it.
func texts(text string) []string {
	var out []string
	add := func(s string) {
		if s != text && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if strings.HasPrefix(text, "${") && strings.HasSuffix(text, "}") {
		add("x")
		add(text + "x")
		return out
	}
	if end := strings.LastIndexAny(text, "0123456789"); end >= 0 && !strings.Contains(text, "${") {
		if end == len(text)-1 {
			add(turned(text))
		}
		start := end
		for start > 0 && text[start-1] >= '0' && text[start-1] <= '9' {
			start--
		}
		if n, err := strconv.Atoi(text[start : end+1]); err == nil {
			add(fmt.Sprintf("%s%0*d%s", text[:start], end+1-start, n+1, text[end+1:]))
			if n > 0 {
				add(fmt.Sprintf("%s%0*d%s", text[:start], end+1-start, n-1, text[end+1:]))
			}
		}
	}
	add(text + "x")
	add("x" + text)
	if text != "" {
		add(turned(text))
	}
	return out
}

// turned gives text of the same length whose last character is another of its
// kind.
func turned(text string) string {
	if text == "" {
		return "x"
	}
	last := text[len(text)-1]
	switch {
	case last >= '0' && last < '7':
		last++
	case last == '7':
		last = '6'
	case last == '8':
		last = '9'
	case last == '9':
		last = '8'
	case last == 'f':
		last = 'e'
	case last >= 'a' && last < 'z', last >= 'A' && last < 'Z':
		last++
	default:
		last = 'x'
	}
	return text[:len(text)-1] + string(last)
}

// beside gives the files that lie where a unit's does, for one that names a file.
func (u *unit) beside() []string {
	if u.tree == nil || !strings.ContainsAny(u.value.Text, "./") {
		return nil
	}
	dir := path.Dir(u.file)
	if !fs.ValidPath(path.Join(dir, u.value.Text)) {
		return nil
	}
	if _, err := u.tree.Stat(path.Join(dir, u.value.Text)); err != nil {
		return nil
	}
	return []string{path.Base(u.file)}
}

// fileWith gives a file with one more line.
func fileWith(u *unit) []byte {
	u.tree.mu.Lock()
	data := u.tree.raw[u.file]
	u.tree.mu.Unlock()
	return append(slices.Clone(data), "x\n"...)
}
