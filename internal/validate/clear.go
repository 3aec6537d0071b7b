package validate

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Clear gives what looks like a secret in clear in a file: a value whose name speaks
// of one, the forms that tokens of well-known services and private keys have, a
// password in an address, the data of a Secret. No store is asked, so it is a guess;
// kai secrets scan finds what a store holds. No finding shows a value.
func Clear(file string, data []byte) source.Findings {
	if bytes.IndexByte(data[:min(len(data), sniffed)], 0) >= 0 {
		return nil // no text
	}
	c := &clear{file: file, lines: map[int]bool{}}
	for i, line := range strings.Split(string(data), "\n") {
		c.forms(line, i+1)
	}
	if ext := path.Ext(file); ext == ".yaml" || ext == ".yml" {
		if docs, findings := source.ParseYAMLStream(file, data); findings.Err() == nil {
			for _, v := range docs {
				c.walk(v, "", v.Get("kind").Str() == "Secret" && v.Has("apiVersion"))
			}
			return c.found.Sorted()
		}
	}
	for i, line := range strings.Split(string(data), "\n") {
		c.assignment(line, i+1)
	}
	return c.found.Sorted()
}

// sniffed is how much of a file says whether it is text.
const sniffed = 8000

type clear struct {
	file  string
	found source.Findings
	lines map[int]bool // that have a finding: one is enough
}

func (c *clear) add(line, column int, path, format string, args ...any) {
	if c.lines[line] {
		return
	}
	c.lines[line] = true
	c.found.Add(SecretInClear, source.Origin{Position: source.Position{File: c.file, Line: line, Column: column}}, path,
		"keep it in the context's store (helm kai secrets set), and write {secret: KEY}; who has seen the file knows the value", format, args...)
}

// forms are what tokens look like, whatever they are called.
var forms = []struct {
	what string
	form *regexp.Regexp
}{
	{"a private key", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{"a private key of age", regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Z]{50,}`)},
	{"an access key of AWS", regexp.MustCompile(`\b(AKIA|ASIA)[0-9A-Z]{16}\b`)},
	{"a token of GitHub", regexp.MustCompile(`\b(gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{22,})\b`)},
	{"a token of GitLab", regexp.MustCompile(`\bglpat-[0-9A-Za-z_-]{20,}`)},
	{"a token of Slack", regexp.MustCompile(`\bxox[abeoprs]-[0-9A-Za-z-]{10,}`)},
	{"a token of Vault", regexp.MustCompile(`\bhv[bsr]\.[0-9A-Za-z_-]{20,}`)},
	{"a key of Stripe", regexp.MustCompile(`\b[rs]k_live_[0-9A-Za-z]{16,}`)},
	{"a key of Google", regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}\b`)},
	{"a signed token (JWT)", regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}`)},
}

// inAddress is a password in an address.
var inAddress = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/@\s:"']*:([^/@\s"']+)@`)

func (c *clear) forms(line string, n int) {
	for _, f := range forms {
		if at := f.form.FindStringIndex(line); at != nil {
			c.add(n, at[0]+1, "", "%s stands here in clear", f.what)
		}
	}
	if at := inAddress.FindStringSubmatchIndex(line); at != nil && mayBeSecret(line[at[2]:at[3]]) {
		c.add(n, at[0]+1, "", "an address has a password in it, in clear")
	}
}

// secretName are names of what is secret, and publicName those among them of what is
// not: where it is, or what is said of it.
var (
	secretName = regexp.MustCompile(`(?i)(password|passwd|passphrase|secret|token|api_?key|private_?key|credential|_pass$|_pwd$)`)
	publicName = regexp.MustCompile(`(?i)(checksum.*|.*digest|.*hash|file|path|dir|url|uri|host|name|user|id|ref|enabled|ttl|expir\w*|timeout|length|size|count|policy|mode|allow_?\w*|random_\w*|endpoint|issuer|type|header|algorithm|existingsecret|secretkeyref|kind|provider|version|annotations?)$`)
	// kaiName are keys of kai's own files that refer to a secret.
	kaiName = []string{"secret", "secrets", "credential", "credentials", "token"}
)

// speaks says whether a name is one of what is secret.
func speaks(name string) bool {
	return secretName.MatchString(name) && !publicName.MatchString(name) && !slices.Contains(kaiName, name)
}

// placeholder are words that stand where somebody is to put a secret, or for none.
var placeholder = regexp.MustCompile(`(?i)^(|none|null|true|false|yes|no|required|optional|x+|\*+|\.+|change-?_?me|<.*>|\$.*|%.*%|.*\$[{(].*|.*\{\{.*|ref\+.*|[0-9.]{1,3}|/.*|\./.*)$`)

// mayBeSecret says whether a text may be one: no word for none, no variable, no
// reference, no path.
func mayBeSecret(text string) bool {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	return len(text) > 2 && !placeholder.MatchString(text) && !strings.ContainsAny(text, " \t")
}

// walk looks at the names of values.
func (c *clear) walk(v *source.Value, at string, secret bool) {
	if v.Get("name").IsScalar() && isText(v.Get("value")) && speaks(v.Get("name").Str()) && mayBeSecret(v.Get("value").Str()) {
		c.say(v.Get("value"), at+"["+v.Get("name").Str()+"]", v.Get("name").Str())
	}
	for _, f := range v.FieldsOrNone() {
		here := strings.TrimPrefix(at+"."+f.Key, ".")
		if secret && (here == "data" || here == "stringData") {
			for _, entry := range f.Value.FieldsOrNone() {
				if entry.Value.IsScalar() && entry.Value.Text != "" && !strings.Contains(entry.Value.Text, "${") {
					c.say(entry.Value, here+"."+entry.Key, entry.Key)
				}
			}
			continue
		}
		if isText(f.Value) && speaks(f.Key) && mayBeSecret(f.Value.Str()) {
			c.say(f.Value, here, f.Key)
			continue
		}
		c.walk(f.Value, here, secret)
	}
	for i, item := range v.ItemsOrNone() {
		c.walk(item, fmt.Sprintf("%s[%d]", at, i), secret)
	}
}

func (c *clear) say(v *source.Value, path, name string) {
	c.add(v.Origin.Line, v.Origin.Column, path, "the value of %s stands here in clear", name)
}

// assigned is NAME=value, name: value and "name": "value".
var assigned = regexp.MustCompile(`^\s*(?:export\s+|set\s+)?["']?([A-Za-z][A-Za-z0-9_.-]*)["']?\s*[:=]\s*(["']?)([^"'#;,\s][^"',;]*)`)

func (c *clear) assignment(line string, n int) {
	at := assigned.FindStringSubmatchIndex(line)
	if at == nil {
		return
	}
	name, value := line[at[2]:at[3]], strings.TrimSpace(line[at[6]:at[7]])
	if speaks(name) && mayBeSecret(value) && !code.MatchString(value) {
		c.add(n, at[6]+1, "", "the value of %s stands here in clear", name)
	}
}

// code is what a program has where it computes a value.
var code = regexp.MustCompile(`[(){}\[\]]|^[a-z]+\.[a-zA-Z]`)

func isText(v *source.Value) bool { return v != nil && v.Kind == source.String }
