package sql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// The bounds of what is stored. maxDoc is below what the servers take in one
// packet as they are installed, maxLevel what a column in a key of MySQL takes.
const (
	maxDoc   = 8 << 20
	maxRead  = 64 << 20 // of all paths that are read together
	maxLevel = 255
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
		case !utf8.ValidString(level.name) || strings.ContainsRune(level.name, 0):
			return cannot("", "%q, whose %s is no text", p.String(), level.what)
		}
	}
	return nil
}

// encode gives the values of a path as they are stored: one JSON object with
// sorted keys. No values are nil.
func encode(doc secrets.Doc) ([]byte, error) {
	if len(doc.Values) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	for i, key := range slices.Sorted(maps.Keys(doc.Values)) {
		if strings.TrimSpace(key) == "" {
			return nil, cannot("", "a key without a name in %s", doc.Path)
		}
		if !utf8.ValidString(key) {
			return nil, cannot("", "a key that is no text in %s: %q", doc.Path, key)
		}
		out.WriteByte("{,"[min(i, 1)])
		// A text always encodes.
		_ = appendJSON(&out, key)
		out.WriteByte(':')
		value := doc.Values[key]
		if !utf8.ValidString(value.Reveal()) {
			return nil, cannot("store it as base64", "in %s the value of %s, which is no text in UTF-8", doc.Path, key)
		}
		plain := value.Any()
		if err := appendJSON(&out, plain); err != nil || plain == nil {
			// The error would quote a number that is none.
			return nil, cannot("", "in %s the value of %s, which cannot be written as JSON", doc.Path, key)
		}
		if out.Len() >= maxDoc {
			return nil, cannot("", "more than %d MiB in %s", maxDoc>>20, doc.Path)
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func appendJSON(out *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the line's end
	return nil
}

// decode reads what encode wrote. A null, which the older system has, is no
// value.
func decode(path secrets.Path, data []byte) (map[string]secrets.Value, error) {
	if data == nil {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil || decoder.More() {
		// The error would quote the values.
		return nil, fmt.Errorf("%s: what the database holds there is no JSON object", path)
	}
	values := make(map[string]secrets.Value, len(fields))
	for key, field := range fields {
		if field == nil {
			continue
		}
		value, err := secrets.Of(field)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, key, err)
		}
		values[key] = value
	}
	return values, nil
}

// same compares values, not their bytes: another version of kai may have
// written them otherwise.
func same(a, b map[string]secrets.Value) bool {
	if len(a) != len(b) {
		return false
	}
	for key, value := range a {
		other, ok := b[key]
		if !ok || !value.Equal(other) {
			return false
		}
	}
	return true
}
