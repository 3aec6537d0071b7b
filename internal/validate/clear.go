package validate

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Clear gives what looks like a secret in clear in a file: a value whose name speaks
// of one, the forms that tokens of well-known services and private keys have, a
// password in an address, the data of a Secret. It looks into texts as well: JSON,
// lines of a script or of settings, arguments of a command. Each value is one finding.
// No store is asked, so it is a guess; kai secrets scan finds what a store holds. No
// finding shows a value.
func Clear(file string, data []byte) source.Findings {
	return clearIn(file, data).found.Sorted()
}

// ClearSpans gives where the values stand that Clear finds, each from one byte to
// another, in order: whoever writes a file can put something else in their place. A
// private key is known by its first line, and only that one is given.
func ClearSpans(file string, data []byte) [][2]int {
	c := clearIn(file, data)
	before := len(data) - len(c.text) // a mark of the order of bytes
	var out [][2]int
	for _, s := range c.spans {
		out = append(out, [2]int{before + s.from, before + s.to})
	}
	slices.SortFunc(out, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	return out
}

// clearIn looks at a file.
func clearIn(file string, data []byte) *clear {
	if bytes.IndexByte(data[:min(len(data), sniffed)], 0) >= 0 {
		return &clear{} // no text
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	c := &clear{file: file, text: string(data)}
	c.forms()
	if ext := path.Ext(file); ext == ".yaml" || ext == ".yml" {
		if docs, findings := source.ParseYAMLStream(file, data); findings.Err() == nil {
			for _, v := range docs {
				if kind := v.Get("kind").Str(); !slices.Contains(referring, kind) {
					c.walk(v, "", kind == "Secret" && v.Has("apiVersion"))
				}
			}
			return c
		}
	}
	if worthReading(c.text) {
		c.lines(0, len(c.text), "", textOf(file))
	}
	return c
}

// sniffed is how much of a file says whether it is text.
const sniffed = 8000

// referring are kinds that name secrets, or hold them encrypted.
var referring = []string{"ExternalSecret", "ClusterExternalSecret", "PushSecret", "SealedSecret", "SecretProviderClass", "VaultStaticSecret"}

// clear looks at one file.
type clear struct {
	file, text string
	starts     []int // of the lines
	found      source.Findings
	spans      []span // of what was found: a value is said once
}

// span is a part of the file, by bytes.
type span struct{ from, to int }

func (c *clear) add(at span, path, format string, args ...any) {
	if slices.ContainsFunc(c.spans, func(s span) bool { return at.from < s.to && s.from < at.to }) {
		return
	}
	c.spans = append(c.spans, at)
	line := 1 + strings.Count(c.text[:at.from], "\n")
	column := 1 + utf8.RuneCountInString(c.text[strings.LastIndexByte(c.text[:at.from], '\n')+1:at.from])
	c.found.Add(SecretInClear, source.Origin{Position: source.Position{File: c.file, Line: line, Column: column}}, path,
		"keep it in the context's store (helm kai secrets set), and write {secret: KEY}; who has seen the file knows the value", format, args...)
}

// forms are what tokens look like, whatever they are called; mark stands in each.
var forms = []struct {
	what, mark string
	form       *regexp.Regexp
}{
	{"a private key", "PRIVATE KEY-----", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{"a private key of age", "AGE-SECRET-KEY-1", regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Z]{50,}`)},
	{"an access key of AWS", "AKIA", regexp.MustCompile(`\bAKIA[0-9A-Z]{16}\b`)},
	{"an access key of AWS", "ASIA", regexp.MustCompile(`\bASIA[0-9A-Z]{16}\b`)},
	{"a token of GitHub", "gh", regexp.MustCompile(`\bgh[pousr]_[0-9A-Za-z]{36,}\b`)},
	{"a token of GitHub", "github_pat_", regexp.MustCompile(`\bgithub_pat_[0-9A-Za-z_]{22,}\b`)},
	{"a token of GitLab", "glpat-", regexp.MustCompile(`\bglpat-[0-9A-Za-z_-]{20,}`)},
	{"a token of Slack", "xox", regexp.MustCompile(`\bxox[abeoprs]-[0-9A-Za-z-]{10,}`)},
	{"a token of Vault", "hv", regexp.MustCompile(`\bhv[bsr]\.[0-9A-Za-z_-]{20,}`)},
	{"a key of Stripe", "k_live_", regexp.MustCompile(`\b[rs]k_live_[0-9A-Za-z]{16,}`)},
	{"a key of Google", "AIza", regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}\b`)},
	{"a token of npm", "npm_", regexp.MustCompile(`\bnpm_[0-9A-Za-z]{36,}\b`)},
	{"the address of a webhook of Slack", "hooks.slack.com/", regexp.MustCompile(`\bhooks\.slack\.com/(services|workflows|triggers)/[0-9A-Za-z]+/[0-9A-Za-z]+/[0-9A-Za-z/]*[0-9a-z][0-9A-Za-z/]*`)},
	{"a signed token (JWT)", "eyJ", regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}`)},
}

// keyMaterial is what stands behind the head of a key.
var keyMaterial = regexp.MustCompile(`[A-Za-z0-9+/]{32}`)

// inAddress are passwords in addresses: the last part of each is the password.
var inAddress = []struct {
	mark string
	form *regexp.Regexp
}{
	{"://", regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/@\s:"'<>]*:([^/\s"'<>]+)@`)},
	{"@tcp(", regexp.MustCompile(`\b[\w.-]+:([^@/\s:"']+)@tcp\(`)}, // as MySQL has it in Go
	{"@unix(", regexp.MustCompile(`\b[\w.-]+:([^@/\s:"']+)@unix\(`)},
}

func (c *clear) forms() {
	for _, f := range forms {
		if !strings.Contains(c.text, f.mark) {
			continue // which is found sooner
		}
		for _, at := range f.form.FindAllStringIndex(c.text, -1) {
			if strings.HasSuffix(c.text[at[0]:at[1]], "-----") && c.forPeople(at[0]) && !keyMaterial.MatchString(c.text[at[1]:min(at[1]+200, len(c.text))]) {
				continue // a comment shows where a key goes
			}
			c.add(span{at[0], at[1]}, "", "%s stands here in clear", f.what)
		}
	}
	c.headers()
	for _, f := range inAddress {
		if !strings.Contains(c.text, f.mark) {
			continue
		}
		for _, at := range f.form.FindAllStringSubmatchIndex(c.text, -1) {
			password := c.text[at[2]:at[3]]
			if mayBeSecret(password) && !(slices.Contains(exampleWords, strings.ToLower(password)) && c.forPeople(at[0])) {
				c.add(span{at[0], at[1]}, "", "an address has a password in it, in clear")
			}
		}
	}
}

// header is what a header Authorization has: how one proves who one is, and with what.
var header = regexp.MustCompile(`\b([Bb]asic|[Bb]earer) ([0-9A-Za-z._~+/-]{8,}=*)`)

// headers finds a user with a password in base64, and a token. A sentence has words
// behind those names, and no digit in them.
func (c *clear) headers() {
	if !strings.Contains(c.text, "asic ") && !strings.Contains(c.text, "earer ") {
		return
	}
	for _, at := range header.FindAllStringSubmatchIndex(c.text, -1) {
		what, text := "a token", c.text[at[4]:at[5]]
		if strings.EqualFold(c.text[at[2]:at[3]], "basic") {
			user, err := base64.StdEncoding.DecodeString(text)
			_, password, both := strings.Cut(string(user), ":")
			if err != nil || !both || !utf8.Valid(user) || !mayBeSecret(password) {
				continue
			}
			what = "a user with a password"
		} else if !strings.ContainsAny(text, "0123456789") || !mayBeSecret(text) || c.forPeople(at[0]) {
			continue
		}
		c.add(span{at[4], at[5]}, "", "%s for a header stands here in clear", what)
	}
}

// exampleWords stand for a password where a comment shows the form of an address.
var exampleWords = []string{"password", "passwd", "pass", "pwd", "secret", "token"}

// forPeople says whether a byte of the file stands in a comment, or in prose.
func (c *clear) forPeople(at int) bool {
	before := c.text[strings.LastIndexByte(c.text[:at], '\n')+1 : at]
	return textOf(c.file).prose || comment.MatchString(before) || strings.Contains(before, " #")
}

// secretName are names of what is secret, and publicName those among them of what is
// not: where it is, or what is said of it.
var (
	secretName = regexp.MustCompile(`(?i)(password|passwd|passphrase|secret|token|(api|private|signing|encryption|master)[_-]?key|credential|` + shortName + `)`)
	publicName = regexp.MustCompile(`(?i)(.*(password|token|secret|key)_?less.*|alg|algo|cookie|source|auth|login|disabled|method|scheme|scope|scopes|claim|claims|strategy|duration|lifetime|max_?age|checksum.*|.*digest|.*hash|file|path|dir|url|uri|host|name|user|id|ref|enabled|ttl|expir\w*|expires_?in|timeout|length|size|count|polic(y|ies)|mode|` +
		`allow_?\w*|random_\w*|endpoint|issuer|audience|type|header|prefix|algorithm|existing_?secret|pull_?secrets?|tls_?secret|secretkeyref|password_?key|kind|provider|version|` +
		`annotations?|tokeni[sz]\w*|(max|num|min)_?tokens|interval|limit|label|format|field|store|backend|engine|rotation|required)$`)
	// kaiName are keys of kai's own files that refer to a secret.
	kaiName = []string{"secret", "secrets", "credential", "credentials", "token"}
	// plainName are names that speak of secrets where a text has them, and not of one.
	plainName = []string{"secrets", "credential", "credentials", "tokens", "passwords"}
)

// shortName is the end of names of passwords where they are written short.
const shortName = `((^|[_.-]|pg|my|db|sql|user|root|admin|smtp|mail|ftp|redis)(pass|pwd|pw)|(?-i:[a-z0-9](Pass|Pwd|Pw)))$`

// speaks says whether a name is one of what is secret.
func speaks(name string) bool {
	name = name[strings.LastIndexByte(name, '/')+1:] // of a label or an annotation
	return worthReading(name) && secretName.MatchString(name) && !publicName.MatchString(name) && !strings.Contains(name, " ")
}

// speaksAsKey says so of a key of a YAML file.
func speaksAsKey(name string) bool { return speaks(name) && !slices.Contains(kaiName, name) }

// speaksInText says so of a name in a text.
func speaksInText(name string) bool { return speaks(name) && !slices.Contains(plainName, name) }

// placeholder are texts that stand where somebody is to put a secret, or for none, or
// that say where one is: variables, references, paths, addresses; and what is no text
// of one: types, durations, versions, what is encrypted.
var placeholder = regexp.MustCompile(`(?i)^(|none|null|nil|true|false|yes|no|auto|random|generated?|required|optional|undefined|todo|tbd|fixme|placeholder|redacted|masked|` +
	`read|write|enabled?|disabled?|on|off|allow(ed)?|den(y|ied)|always|never|keychain|keyring|env(ironment)?|vault|kubernetes|cookie|header|session|basic|bearer|` +
	`oauth2?|oidc|jwt|(rs|hs|es|ps)(256|384|512)|eddsa|ed25519|sha-?[0-9]+|md5|bcrypt|scrypt|argon2\w*|pbkdf2|plain|x+|\*.*|\.+|-+|_+|change[-_ ]?(me|it|this).*|replace[-_ ]?(me|with|this).*|(your|insert|enter)[-_].*|.*[-_]here|` +
	`<.*>|\[.*\]|\{.*\}|\$.*|%.*%|%[a-z(].*|@.*@|__.*__|:[a-z_]+|` + "`.*|" + `.*\$[{(].*|.*\{\{.*|ref\+.*|enc\[.*|vault:.*|op://.*|arn:.*|sops:.*|` +
	`[0-9.]{1,3}|[0-9]+(ms|s|m|h|d|w|y)|[~^<>=v]*[0-9]+\.[0-9]+(\.[0-9x]+)?([-+][\w.]+)?|` +
	`[~.]*/.*|[a-z]:\\.*|[\w.-]+(/[\w.-]+)+\.(txt|pem|key|crt|json|ya?ml|env|conf|properties|jks|p12|md|html)|[a-z][a-z0-9+.-]*://[^@]*|` +
	`string|str|text|bool(ean)?|int(eger)?|numeric|number|object|any|bytes)$`)

// mayBeSecret says whether a text may be one: no word for none, no variable, no
// reference, no path.
func mayBeSecret(text string) bool {
	text = strings.Trim(strings.TrimSpace(text), `"'`)
	return len(text) > 2 && !placeholder.MatchString(text) && !variable.MatchString(text) && !strings.ContainsAny(text, " \t\n")
}

// variable is the name of one.
var variable = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)

// walk looks at the names of values, and into texts.
func (c *clear) walk(v *source.Value, at string, secret bool) {
	if named := v.Get("name"); named.IsScalar() && speaksAsKey(named.Str()) && isSecret(named.Str(), v.Get("value")) {
		c.say(v.Get("value"), at+"["+named.Str()+"]", named.Str())
	}
	for _, f := range v.FieldsOrNone() {
		here := strings.TrimPrefix(at+"."+f.Key, ".")
		switch {
		case secret && (here == "data" || here == "stringData"), f.Key == "credentials" && offered.MatchString(here) && f.Value.Kind == source.Map:
			c.dataOf(f.Value, here)
		case speaksAsKey(f.Key) && isSecret(f.Key, f.Value):
			c.say(f.Value, here, f.Key)
		case speaksAsKey(f.Key) && isSecret(f.Key, f.Value.Get("value")):
			c.say(f.Value.Get("value"), here+".value", f.Key)
		case isText(f.Value):
			c.inText(f.Value, here, slices.Contains(proseKeys, strings.ToLower(f.Key)))
		default:
			c.walk(f.Value, here, secret)
		}
	}
	for i, item := range v.ItemsOrNone() {
		here := fmt.Sprintf("%s[%d]", at, i)
		flag := ""
		if i > 0 {
			flag = flagName(v.Items[i-1])
		}
		switch {
		case flag != "" && isSecret(flag, item) && !strings.HasPrefix(item.Str(), "-"):
			c.say(item, here, flag)
		case isText(item):
			c.inText(item, here, false)
		default:
			c.walk(item, here, secret)
		}
	}
}

// offered is where a service or a friend offers credentials.
var offered = regexp.MustCompile(`(^|\.)offers\.credentials$`)

// dataOf looks at the data of a Secret, or at credentials that are offered. Who logs in
// and where is no secret, though it stands among them.
func (c *clear) dataOf(data *source.Value, at string) {
	for _, entry := range data.FieldsOrNone() {
		text, here := entry.Value, at+"."+entry.Key
		switch {
		case !text.IsScalar() || placeholder.MatchString(text.Text) || strings.HasSuffix(entry.Key, ".crt"):
		case besideSecrets.MatchString(entry.Key) && !strings.Contains(text.Text, "\n"):
			c.inText(text, here, false)
		default:
			c.say(text, here, entry.Key)
		}
	}
}

// besideSecrets are names of what stands in a Secret beside the password.
var besideSecrets = regexp.MustCompile(`(?i)((^|[_.-])(user|user_?name|login|host|host_?name|port|database|db|db_?name|email|region|engine|type)|(?-i:[a-z](User|UserName|Username|Login|Host|Hostname|Port|Database|Email|Region)))$`)

// flagName gives the name of an argument whose value is the next one, or "".
func flagName(v *source.Value) string {
	if m := bareFlag.FindStringSubmatch(v.Str()); m != nil && isText(v) && speaksInText(m[1]) {
		return v.Str()
	}
	return ""
}

var bareFlag = regexp.MustCompile(`^--?([A-Za-z][\w.-]*)$`)

// isSecret says whether a value may be the secret of a name. A number is one only
// where a password is named.
func isSecret(name string, v *source.Value) bool {
	number := v != nil && v.Kind == source.Number && passwordName.MatchString(name)
	return (isText(v) || number) && mayBeSecret(v.Text)
}

var passwordName = regexp.MustCompile(`(?i)(passw(or)?d|passphrase|` + shortName + `)$`)

func (c *clear) say(v *source.Value, path, name string) {
	from, to := c.extent(v)
	c.add(span{from, to}, path, "the value of %s stands here in clear", name)
}

// proseKeys are keys of texts for people.
var proseKeys = []string{"description", "summary", "help", "message", "title", "text", "usage", "notes", "reason", "comment"}

// textKind says how a text is read.
type textKind struct {
	prose  bool // it is for people: a word behind an option is no value of it
	coded  bool // it is a program: only what stands in quotes is a value
	inline bool // it is one value: no line of it begins with a name
}

// textOf gives the kind of a file's text.
func textOf(file string) textKind {
	return textKind{
		prose: slices.Contains([]string{".md", ".txt", ".adoc", ".rst"}, path.Ext(file)),
		coded: slices.Contains([]string{
			".go", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".py", ".rb", ".java", ".kt", ".rs", ".c", ".h", ".cpp", ".cs", ".php", ".lua", ".swift", ".scala", ".groovy", ".gradle", ".proto",
		}, path.Ext(file)),
	}
}

// inText looks into a text of a YAML file.
func (c *clear) inText(v *source.Value, at string, prose bool) {
	if !worthReading(v.Text) {
		return
	}
	from, to := c.extent(v)
	c.lines(from, to, at, textKind{prose: prose, inline: !strings.Contains(v.Text, "\n")})
}

// worthReading says whether a name in a text may speak of a secret.
func worthReading(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(text, mark) })
}

// marks are what such names have in them.
var marks = []string{"pass", "secret", "token", "key", "credential", "pw"}

// The ways in which texts give a value to a name. The first part of each is the name,
// the last the value.
var (
	// assigned is NAME=value and name: value at the beginning of a line.
	assigned = regexp.MustCompile(`^\s*(?:-\s+)?(?:export\s+|set\s+)?["']?([A-Za-z][A-Za-z0-9_.-]*)["']?\s*[:=]\s*(["']?)([^"'#;,\s][^"',;]*)`)
	// paired is "name": "value", as JSON has it anywhere, also in a text in quotes.
	paired = regexp.MustCompile(`\\*"([A-Za-z][A-Za-z0-9_.-]*)\\*"\s*:\s*(\\*")([^"\\]+)`)
	// passed is --name=value, name=value and ;name=value within a line.
	passed = regexp.MustCompile(`(?:^|[\s"'=,;&?|])(?:--?)?([A-Za-z][A-Za-z0-9_.-]*)=(\\*["']?)([^"'\s;,&|<>\\]+)`)
	// option is --name value, and listed "--name", "value".
	option = regexp.MustCompile(`(?:^|[\s"'])--?([A-Za-z][A-Za-z0-9_.-]*)\s+(["']?)([^"'\s;&|<>-][^"'\s;&|<>]*)`)
	listed = regexp.MustCompile(`"--?([A-Za-z][A-Za-z0-9_.-]*)"\s*,\s*(")([^"-][^"]*)`)
)

// lines looks at the lines of a part of the file.
func (c *clear) lines(from, to int, at string, kind textKind) {
	for from < to {
		end := to
		if i := strings.IndexByte(c.text[from:to], '\n'); i >= 0 {
			end = from + i
		}
		line := c.text[from:end]
		if worthReading(line) && !comment.MatchString(line) {
			c.line(line, from, at, kind)
		}
		from = end + 1
	}
}

// comment is a line for people.
var comment = regexp.MustCompile(`^\s*(#|//|;|\*|--\s|<!--|\{\{-?\s*/\*)`)

func (c *clear) line(line string, from int, at string, kind textKind) {
	ways := []*regexp.Regexp{paired, listed, passed}
	if !kind.prose {
		ways = append(ways, option)
	}
	if !kind.inline {
		ways = append(ways, assigned)
	}
	for _, way := range ways {
		for _, m := range way.FindAllStringSubmatchIndex(line, -1) {
			name, quote, value := line[m[2]:m[3]], line[m[4]:m[5]], strings.TrimSpace(line[m[6]:m[7]])
			switch {
			case !speaksInText(name) || !mayBeSecret(value):
			case quote == "" && (kind.coded || code.MatchString(value)):
			case quote != "" && way != paired && !strings.HasPrefix(line[m[7]:], quote): // it ends a text
			case way == option && word.MatchString(value):
			case way == assigned && name == remoteKey:
			default:
				c.add(span{from + m[6], from + m[6] + len(value)}, at, "the value of %s stands here in clear", name)
			}
		}
	}
}

// remoteKey is what an ExternalSecret calls a secret in it.
const remoteKey = "secretKey"

// code is what a program has where it computes a value.
var code = regexp.MustCompile(`[(){}\[\]]|^[a-z]+\.[a-zA-Z]`)

// word is what follows an option where a sentence speaks of it.
var word = regexp.MustCompile(`(?i)^(must|may|should|needs?|the|and|for|with|not|was|has|from|via|instead|here|when|where|option|flag|argument|value|missing|given|set|is|or|to|of)\W?$`)

func isText(v *source.Value) bool { return v != nil && v.Kind == source.String }

// extent gives the part of the file in which a scalar stands, with its quotes; for one
// in a block, with the lines of the block.
func (c *clear) extent(v *source.Value) (from, to int) {
	if c.starts == nil {
		c.starts = []int{0}
		for i := range len(c.text) {
			if c.text[i] == '\n' {
				c.starts = append(c.starts, i+1)
			}
		}
	}
	if v.Origin.Line < 1 || v.Origin.Line > len(c.starts) {
		return 0, 0
	}
	from = c.starts[v.Origin.Line-1]
	for range v.Origin.Column - 1 {
		_, n := utf8.DecodeRuneInString(c.text[from:])
		from += n
	}
	start := from
	for from < len(c.text) && (c.text[from] == '&' || c.text[from] == '!') { // an anchor or a tag
		space := strings.IndexByte(c.text[from:], ' ')
		if space < 0 {
			break
		}
		from += space + 1
	}
	rest := c.text[from:]
	switch {
	case strings.HasPrefix(rest, `"`):
		return start, from + quotedLength(rest, '\\')
	case strings.HasPrefix(rest, "'"):
		return start, from + quotedLength(rest, '\'')
	case strings.HasPrefix(rest, "|") || strings.HasPrefix(rest, ">"):
		return start, c.blockEnd(v.Origin.Line)
	}
	return start, from + plainLength(rest, v.Text)
}

// quotedLength is that of a text in quotes. The escape is a byte behind which one
// more is text, or the quote itself, which stands twice.
func quotedLength(text string, escape byte) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == escape && (escape != quote || i+1 < len(text) && text[i+1] == quote):
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

// plainLength is that of a text without quotes, which may stand in several lines.
func plainLength(raw, text string) int {
	left := 0
	for _, b := range []byte(text) {
		if b > ' ' {
			left++
		}
	}
	i := 0
	for ; i < len(raw) && left > 0; i++ {
		if raw[i] > ' ' {
			left--
		}
	}
	return i
}

// blockEnd is where the block ends whose head stands in a line: before the first line
// that is indented less than its first.
func (c *clear) blockEnd(line int) int {
	indent := -1
	end := len(c.text)
	if line < len(c.starts) {
		end = c.starts[line]
	}
	for ; line < len(c.starts); line++ {
		text, _, _ := strings.Cut(c.text[c.starts[line]:], "\n")
		own := len(text) - len(strings.TrimLeft(text, " "))
		if strings.TrimSpace(text) == "" {
			continue
		}
		if indent < 0 {
			indent = own
		}
		if own < indent || own == 0 {
			break
		}
		end = c.starts[line] + len(text)
	}
	return end
}
