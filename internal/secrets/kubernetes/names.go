package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// The bounds of names: of an object, a key of data (both DNS subdomains' 253) and
// a label's value, as Kubernetes has them; and of a level of a path.
const (
	maxName  = 253
	maxKey   = 253
	maxLabel = 63
	maxLevel = 255
)

// What kai puts on a Secret.
const (
	keyDeployment = "secrets.kai/deployment"
	keyApp        = "secrets.kai/app"
	keyScope      = "secrets.kai/scope"
	keyKinds      = "secrets.kai/kinds"
	keyWrite      = "secrets.kai/write"
)

// cannot is a refusal.
func cannot(hint, format string, args ...any) error {
	return &secrets.CannotError{Store: storeName, What: "keep " + fmt.Sprintf(format, args...), Hint: hint}
}

// checkPath says whether a path can be stored.
func checkPath(p secrets.Path) error {
	for _, level := range []struct{ what, name string }{{"deployment", p.Deployment}, {"app", p.App}, {"scope", p.Scope}} {
		switch {
		case strings.TrimSpace(level.name) == "":
			return cannot("", "%s, whose %s has no name", p, level.what)
		case len(level.name) > maxLevel:
			return cannot("", "%s, whose %s has a name longer than %d bytes", p, level.what, maxLevel)
		case !utf8.ValidString(level.name):
			return cannot("", "%q, whose %s is no text", p.String(), level.what)
		}
	}
	if !slices.Contains(secrets.Scopes(), p.Scope) {
		return cannot("the scopes are "+strings.Join(secrets.Scopes(), ", "), "%s, whose scope it has not", p)
	}
	return nil
}

var (
	isDNS     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	isLabel   = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	notInName = regexp.MustCompile(`[^a-z0-9]+`)
)

// Name gives the name of a path's Secret. No two paths have the same: after a
// deployment without a dash the first dash ends it, and the last one begins the
// scope; all others have a digest, in which no scope can end.
func Name(p secrets.Path) string {
	plain := "kai-" + p.Deployment + "-" + p.App + "-" + p.Scope
	if !strings.Contains(p.Deployment, "-") && len(plain) <= maxName && isDNS.MatchString(plain) {
		return plain
	}
	sum := digest(fmt.Sprintf("%q %q %q", p.Deployment, p.App, p.Scope))[:10]
	readable := notInName.ReplaceAllString(strings.ToLower(plain), "-")
	readable = readable[:min(len(readable), maxName-len(sum)-1)]
	return strings.Trim(readable, "-") + "-" + sum
}

// Entry gives where a value is kept: the name of its path's Secret, and the key of
// that Secret's data.
func Entry(p secrets.Path, name string) (secret, key string, err error) {
	if err := checkPath(p); err != nil {
		return "", "", err
	}
	key, err = dataKey(name)
	return Name(p), key, err
}

// labelValue gives a name as the value of a label, and whether it says it all.
func labelValue(name string) (value string, whole bool) {
	if len(name) <= maxLabel && isLabel.MatchString(name) {
		return name, true
	}
	return "digest-" + digest(name)[:40], false
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// escaped begins a key of data that stands for another name.
const escaped = "kai--"

// dataKey gives a name as a key of data. One that is no such key is escaped, and so
// is a name that looks like the result of that.
func dataKey(name string) (string, error) {
	if name == "" {
		return "", cannot("", "a key without a name")
	}
	if !needsEscape(name) {
		return name, nil
	}
	key := escape(name)
	if len(key) > maxKey {
		return "", cannot("", "a key as long as %.40q…: a key of a Secret has %d characters, and this one would have %d", name, maxKey, len(key))
	}
	return key, nil
}

// nameOf gives the name that a key of data stands for: itself, unless dataKey has
// made it.
func nameOf(key string) string {
	if name, ok := unescape(key); ok && needsEscape(name) {
		return name
	}
	return key
}

// escape makes every byte other than a letter, a digit, a dot and an underscore a
// dash and its two hexadecimal digits.
func escape(name string) string {
	var b strings.Builder
	b.WriteString(escaped)
	for _, c := range []byte(name) {
		if c == '.' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "-%02x", c)
		}
	}
	return b.String()
}

// unescape gives what escape was given, and whether it has made the key: there are
// other ways to write the same.
func unescape(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, escaped)
	if !ok || rest == "" || len(key) > maxKey {
		return "", false
	}
	var name []byte
	for i := 0; i < len(rest); i++ {
		if rest[i] != '-' {
			name = append(name, rest[i])
			continue
		}
		if i+2 >= len(rest) {
			return "", false
		}
		c, err := hex.DecodeString(rest[i+1 : i+3])
		if err != nil {
			return "", false
		}
		name = append(name, c...)
		i += 2
	}
	return string(name), escape(string(name)) == key
}

// needsEscape says whether a name cannot be a key of data, or as one would be
// taken for an escaped name.
func needsEscape(name string) bool {
	if len(name) > maxKey || name == "." || strings.HasPrefix(name, "..") {
		return true
	}
	for _, c := range []byte(name) {
		if c != '-' && c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return true
		}
	}
	return nameOf(name) != name
}
