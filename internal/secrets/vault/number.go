package vault

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// exactForm begins a text that holds a value in JSON. Vault gives numbers back as
// a float64 has them: 1.50 as 1.5, and of 9007199254740993 the last digit is
// another. What holds such a number is kept as a text, and so is a text that
// begins alike; all else is kept as what it is.
const exactForm = "kai:json:"

// encode gives a value as Vault keeps it.
func encode(v secrets.Value) any {
	x := v.Any()
	if text, ok := x.(string); ok {
		if !strings.HasPrefix(text, exactForm) {
			return text
		}
	} else if keeps(x) {
		return x
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(x) != nil {
		return x // of a number that is none, Vault says so itself
	}
	return exactForm + strings.TrimSuffix(out.String(), "\n")
}

// decode gives a value that encode was given.
func decode(field any) (secrets.Value, error) {
	if text, ok := field.(string); ok {
		if inner, ok := strings.CutPrefix(text, exactForm); ok {
			decoder := json.NewDecoder(strings.NewReader(inner))
			decoder.UseNumber()
			var x any
			if decoder.Decode(&x) == nil && !decoder.More() && x != nil {
				return secrets.Of(x)
			}
		}
	}
	return secrets.Of(field)
}

// keeps says whether Vault gives a value back as it is.
func keeps(x any) bool {
	switch x := x.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(x.String(), 64)
		if err != nil {
			return false
		}
		text, err := json.Marshal(f)
		return err == nil && string(text) == x.String()
	case []any:
		for _, item := range x {
			if !keeps(item) {
				return false
			}
		}
	case map[string]any:
		for _, item := range x {
			if !keeps(item) {
				return false
			}
		}
	}
	return true
}
