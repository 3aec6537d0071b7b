package secrets

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Masked is what a Value shows of itself, whatever it holds.
const Masked = "[masked]"

// Value is a secret text that cannot be printed. fmt shows Masked with every
// verb, and so do JSON, YAML, XML, slog and a panic. Where a printer goes by
// reflection, past the methods of a value or into an unexported field, it meets
// the address of a function: the text is nowhere in the struct.
//
// The zero Value is an empty text. Values are not compared with ==, see Equal.
type Value struct {
	reveal func() string
	kind   Kind
}

// New hides a text.
func New(text string) Value { return Value{reveal: func() string { return text }} }

// Reveal gives the text.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// IsZero says whether the text is empty.
func (v Value) IsZero() bool { return v.Reveal() == "" }

// Equal compares two values, without telling by its time where they differ. A
// number is not the text of its digits.
func (v Value) Equal(other Value) bool {
	return v.kind == other.kind && subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(other.Reveal())) == 1
}

// String gives Masked. A panic prints a value by it.
func (v Value) String() string { return Masked }

// GoString gives Masked.
func (v Value) GoString() string { return Masked }

// Format writes Masked for every verb, flag and width.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Masked) }

// MarshalText gives Masked; JSON, XML, TOML and most YAML printers ask for it.
func (v Value) MarshalText() ([]byte, error) { return []byte(Masked), nil }

// MarshalJSON gives Masked as a JSON text.
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Masked + `"`), nil }

// MarshalYAML gives Masked.
func (v Value) MarshalYAML() (any, error) { return Masked, nil }

// LogValue gives Masked.
func (v Value) LogValue() slog.Value { return slog.StringValue(Masked) }
