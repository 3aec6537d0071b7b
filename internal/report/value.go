package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/manifest"
)

// none stands for a value that is not there, whole for an object's.
const (
	none  = "(none)"
	whole = "(object)"
)

// change gives BEFORE → AFTER of a leaf on one line.
func change(f manifest.Field) string {
	return valueText(f.Before) + " → " + valueText(f.After)
}

// valueText gives a value on one line. Text stands as it is where nothing else
// would look the same; else, and for maps and lists, it is JSON.
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return none
	case string:
		if plain(v) {
			return v
		}
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	var b bytes.Buffer
	if err := encodeJSON(&b, v, ""); err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// plain says whether text can stand without quotes.
func plain(s string) bool {
	if s == "" || s == none || s == whole || s[0] == '"' || s[0] == '{' || s[0] == '[' && !masked(s) ||
		strings.TrimSpace(s) != s || strings.Contains(s, "→") || strings.IndexFunc(s, steers) >= 0 || strings.Contains(s, "\t") {
		return false
	}
	return !(s[0] == '-' || s[0] >= '0' && s[0] <= '9' || s == "true" || s == "false" || s == "null") || !json.Valid([]byte(s))
}

// masked says whether text stands for a secret.
func masked(s string) bool { return s == manifest.Masked || s == manifest.MaskedChanged }

// encodeJSON writes v with a final newline, keys of maps sorted, and < > & as
// they are.
func encodeJSON(w io.Writer, v any, indent string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(v)
}
