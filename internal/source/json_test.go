package source_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/source"
)

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 120)
	v := map[string]any{
		"type":  "object",
		"empty": map[string]any{}, "none": []any{},
		"list":  []any{1.0, "<a>", nil, true},
		"below": map[string]any{"short": map[string]any{"b": []any{1.0}, "a": "\"\n"}, "long": map[string]any{"text": long}},
	}
	got, err := source.AppendJSON(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "below": {
    "long": {
      "text": "` + long + `"
    },
    "short": {"a": "\"\n", "b": [1]}
  },
  "empty": {},
  "list": [
    1,
    "<a>",
    null,
    true
  ],
  "none": [],
  "type": "object"
}
`
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	var back any
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, any(v)) {
		t.Errorf("%v: %v", err, back)
	}
	if _, err := source.AppendJSON(nil, map[string]any{"f": func() {}}); err == nil {
		t.Error("a function was written")
	}
}
