package importer

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/source"
)

// replaceMe stands in a file where the source has what looks like a secret.
const replaceMe = "REPLACE-ME"

// spansOf gives where secrets in clear stand in a text, as Options.Clear finds them. A
// private key goes on to its last line.
func (p *project) spansOf(file string, data []byte) [][2]int {
	if p.clear == nil {
		return nil
	}
	spans := p.clear(file, data)
	for i, s := range spans {
		if bytes.HasPrefix(data[s[0]:s[1]], []byte("-----BEGIN ")) {
			spans[i][1] = len(data)
			if end := keyEnd.FindIndex(data[s[1]:]); end != nil {
				spans[i][1] = s[1] + end[1]
			}
		}
	}
	return slices.DeleteFunc(spans, func(s [2]int) bool { return s[0] >= s[1] })
}

var keyEnd = regexp.MustCompile(`-----END [A-Z ]*-----`)

// speaks says whether a value looks like a secret where it has a name.
func (p *project) speaks(name string, v *source.Value) bool {
	return p.clear != nil && v.IsScalar() && len(p.clear("value.yaml", source.AppendYAML(nil, mapOf(entry(name, v)), nil))) > 0
}

// secretWords gives the parts of a list's words that look like secrets.
func (p *project) secretWords(words ...*source.Value) []string {
	data := source.AppendYAML(nil, mapOf(entry("args", listOf(words...))), nil)
	var out []string
	for _, s := range p.spansOf("value.yaml", data) {
		from, to := valueIn(data, s)
		if secret := string(data[from:to]); secret != "" && !slices.Contains(out, secret) {
			out = append(out, secret)
		}
	}
	return out
}

// inURL is what stands before the password in an address, and behind it.
var inURL = regexp.MustCompile(`^(?:[a-zA-Z][a-zA-Z0-9+.-]*://)?[^/@\s:"'<>]*:(.+)@(?:[a-z]+\()?$`)

// valueIn gives the part of what was found that is the secret itself: what stands
// between quotes, and the password of an address.
func valueIn(data []byte, s [2]int) (from, to int) {
	from, to = s[0], s[1]
	if q := data[from]; to-from > 1 && (q == '"' || q == '\'') && data[to-1] == q {
		from, to = from+1, to-1
	}
	if m := inURL.FindSubmatchIndex(data[from:to]); m != nil {
		from, to = from+m[2], from+m[3]
	}
	return from, to
}

// keeper takes secrets out of a draft.
type keeper struct {
	p    *project
	d    *draft
	keys map[string]string // values by their key of the store; "" is not known
}

// keepSecrets has variables and arguments that look like secrets read from the store:
// those that no format's own way has found.
func (p *project) keepSecrets() {
	if p.clear == nil {
		return
	}
	for _, d := range p.drafts {
		k := &keeper{p: p, d: d, keys: map[string]string{}}
		k.known(d.fields)
		d.fields = k.container(d.fields)
		for _, key := range []string{"initContainers", "sidecars"} {
			list := d.fields.Get(key)
			if list == nil {
				continue
			}
			out := list.Shallow()
			for i, c := range out.Items {
				if c.Kind == source.Map {
					out.Items[i] = k.container(c)
				}
			}
			d.fields.Set(key, out)
		}
	}
}

// known notes the keys that the draft reads already.
func (k *keeper) known(v *source.Value) {
	for _, f := range v.FieldsOrNone() {
		if f.Key == "secret" && f.Value.Kind == source.String {
			k.keys[f.Value.Text] = ""
		}
		k.known(f.Value)
	}
	for _, item := range v.ItemsOrNone() {
		k.known(item)
	}
}

// container looks at the variables and the arguments of a container.
func (k *keeper) container(c *source.Value) *source.Value {
	out := c.Shallow()
	env := mapOf(slices.Clone(c.Get("env").FieldsOrNone())...)
	for i, f := range env.Fields {
		if !f.Value.IsScalar() || f.Value.Str() == "" || !k.p.speaks(f.Key, f.Value) {
			continue
		}
		k.p.report.add(Changed, f.Value.Origin, k.d.service, k.d.context, "env "+f.Key, "it looks like a secret that stands in the source in clear: it is read from the store")
		env.Fields[i].Value = k.stored(f.Key, f.Value.Str(), f.Value.Origin)
	}
	setIn(out, "args", k.words(out.Get("args"), "args", env))
	if words := out.At("command", "command"); words != nil {
		command := out.Get("command").Shallow()
		command.Set("command", k.words(words, "command", env))
		out.Set("command", command)
	}
	setIn(out, "env", env)
	return out
}

// stored gives the reference to a key of the store, and asks for it.
func (k *keeper) stored(name, value string, at source.Origin) *source.Value {
	first := notKey.ReplaceAllString(strings.ToLower(name), "_")
	key := first
	for n := 2; ; n++ {
		if other, taken := k.keys[key]; !taken || other == value {
			break
		}
		key = fmt.Sprintf("%s_%d", first, n)
	}
	k.keys[key] = value
	k.p.hidden = append(k.p.hidden, value)
	place := k.d.service + ".secret." + key
	k.p.report.store(k.d.context, place, k.p.kai+" secrets set -c "+k.d.context+" "+place, at)
	return mapOf(entry("secret", text(key)))
}

// words puts variables in the place of secrets among arguments. Kubernetes puts in
// their values.
func (k *keeper) words(list *source.Value, what string, env *source.Value) *source.Value {
	if list == nil || list.Kind != source.List {
		return list
	}
	out := list.Shallow()
	for i, item := range out.Items {
		if item.Kind != source.String {
			continue
		}
		found := k.p.secretWords(item)
		before := ""
		if len(found) == 0 && i > 0 && len(k.p.secretWords(out.Items[i-1], item)) > 0 {
			found, before = []string{item.Text}, out.Items[i-1].Str()+"="
		}
		word := *item
		for _, secret := range found {
			if !strings.Contains(word.Text, secret) { // it is written otherwise in YAML
				secret = word.Text
			}
			at := strings.Index(word.Text, secret)
			name := argumentName(before+word.Text[:at], env)
			k.p.report.add(Changed, item.Origin, k.d.service, k.d.context, what, "an argument looks like a secret that stands in the source in clear: the variable %s has it, and is read from the store", name)
			env.Set(name, k.stored(name, secret, item.Origin))
			word.Text = strings.ReplaceAll(word.Text, secret, "$("+name+")")
		}
		out.Items[i] = &word
	}
	return out
}

// argumentBefore is the name before a value: name=, "name": or --name; argumentFlag is
// the flag whose value the secret is a part of.
var (
	argumentBefore = regexp.MustCompile(`([A-Za-z][A-Za-z0-9_.-]*)(?:\\*["']\s*:|[= ])\s*\\*["']?$`)
	argumentFlag   = regexp.MustCompile(`^--?([A-Za-z][A-Za-z0-9_.-]*)`)
)

// argumentName names the variable of a secret by what stands before it.
func argumentName(before string, env *source.Value) string {
	name := "SECRET_ARGUMENT"
	m := argumentBefore.FindStringSubmatch(before)
	if m == nil {
		m = argumentFlag.FindStringSubmatch(before)
	}
	if m != nil {
		name = strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(m[1]))
	}
	free := name
	for n := 2; env.Has(free); n++ {
		free = fmt.Sprintf("%s_%d", name, n)
	}
	return free
}

// maxRounds bounds how often a file is looked at: what stands within a value that was
// found is found in the next round.
const maxRounds = 8

// blank puts a mark in the place of all that still looks like a secret in the files,
// and asks what belongs there. A file of which that makes no document any more is
// a mark as a whole; a descriptor is refused.
func (p *project) blank(files []File) source.Findings {
	var findings source.Findings
	for i := range files {
		f := &files[i]
		data := f.Data
		for range maxRounds {
			spans := p.spansOf(f.Path, data)
			if len(spans) == 0 {
				break
			}
			data = p.marked(data, spans)
		}
		if bytes.Equal(data, f.Data) {
			continue
		}
		name := f.Path
		broken := len(p.spansOf(name, data)) > 0
		if ext := path.Ext(name); ext == ".yaml" || ext == ".yml" {
			_, was := source.ParseYAMLStream(name, f.Data)
			_, is := source.ParseYAMLStream(name, data)
			broken = broken || was.Err() == nil && is.Err() != nil
		}
		if broken && bytes.HasPrefix(data, []byte("apiVersion: kai/")) {
			findings.Add("secret-in-clear", at(name), "", "take it out of the source, and import again", "the import would write what looks like a secret, and nothing can stand in its place")
			continue
		}
		if broken {
			data = []byte(replaceMe + "\n")
		}
		f.Data = data
		for n, line := range strings.Split(string(data), "\n") {
			if before, _, ok := strings.Cut(line, replaceMe); ok {
				place := source.Origin{Position: source.Position{File: name, Line: n + 1, Column: 1 + utf8.RuneCountInString(before)}}
				p.report.add(Decide, place, "", "", "a secret", "it looked like a secret and is not copied, and %s stands there: give it as a variable ({secret: KEY}), or in a file with template: true", replaceMe)
			}
		}
	}
	return findings
}

// marked gives a text with marks in the place of what was found.
func (p *project) marked(data []byte, spans [][2]int) []byte {
	var out []byte
	last := 0
	for _, s := range spans {
		from, to := valueIn(data, s)
		if from < last {
			continue
		}
		p.hidden = append(p.hidden, string(data[from:to]))
		out = append(append(out, data[last:from]...), replaceMe...)
		last = to
	}
	return append(out, data[last:]...)
}

// hide masks what looks like a secret, and what is known for one, in the report.
func (r *Result) hide() {
	if r.p.clear == nil {
		return
	}
	var long []string
	for _, secret := range r.p.hidden {
		if len(secret) >= 6 && !onlyWords.MatchString(secret) {
			long = append(long, secret)
		}
	}
	mask := manifest.NewMask(long)
	for i := range r.Report.Entries {
		e := &r.Report.Entries[i]
		e.What, e.Why = r.p.masked(e.What, mask), r.p.masked(e.Why, mask)
		name := pathName(e.Path)
		e.Before, e.After = r.p.maskedLeaf(name, e.Before), r.p.maskedLeaf(name, e.After)
	}
}

// onlyWords are secrets that are words as others are, which a sentence may have.
var onlyWords = regexp.MustCompile(`^[A-Za-z._/-]*$`)

// masked masks a sentence.
func (p *project) masked(sentence string, mask *manifest.Mask) string {
	var b strings.Builder
	last := 0
	for _, s := range p.spansOf("report.txt", []byte(sentence)) {
		b.WriteString(sentence[last:s[0]] + manifest.Masked)
		last = s[1]
	}
	return mask.Text(b.String() + sentence[last:])
}

// pathName gives the name of a leaf in a path of an object.
func pathName(path string) string {
	if m := envValue.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	steps := pathStep.FindAllString(path, -1)
	if len(steps) == 0 {
		return ""
	}
	return strings.Trim(steps[len(steps)-1], `"[]`)
}

// maskedLeaf masks what is a secret in a value of an object.
func (p *project) maskedLeaf(name string, v any) any {
	switch v := v.(type) {
	case string:
		if v != "" && (slices.Contains(p.hidden, v) || p.speaks(name, text(v))) {
			return manifest.Masked
		}
	case map[string]any:
		out := map[string]any{}
		for key, x := range v {
			if named, ok := v["name"].(string); ok && key == "value" {
				out[key] = p.maskedLeaf(named, x)
				continue
			}
			out[key] = p.maskedLeaf(key, x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = p.maskedLeaf(name, x)
			if i > 0 && out[i] != manifest.Masked && len(p.secretWords(text(fmt.Sprint(v[i-1])), text(fmt.Sprint(x)))) > len(p.secretWords(text(fmt.Sprint(v[i-1])))) {
				out[i] = manifest.Masked
			}
		}
		return out
	}
	return v
}
