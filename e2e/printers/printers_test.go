// Package printers holds a secret against the printers of other people's test libraries, which go by reflection. It is a
// module of its own, so that they reach neither kai's go.mod nor that of the end-to-end tests, which run it.
package printers

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// The texts that are not to be found, two, so that there is something to compare.
const (
	first  = "canary-of-one"
	second = "canary-of-two"
)

type holds struct {
	Name   string
	Value  secrets.Value
	Ptr    *secrets.Value
	Any    any
	List   []secrets.Value
	Map    map[string]secrets.Value
	hidden secrets.Value
}

type failure struct{ secret secrets.Value }

func (f *failure) Error() string { return fmt.Sprintf("it failed: %v", f.secret) }

// nests gives a secret in every place where one may stand.
func nests(text string) map[string]any {
	v := secrets.New(text)
	s := holds{Name: "n", Value: v, Ptr: &v, Any: v, List: []secrets.Value{v}, Map: map[string]secrets.Value{"k": v}, hidden: v}
	_ = s.hidden
	return map[string]any{
		"value": v, "pointer": &v, "struct": s, "struct pointer": &s, "hidden field": struct{ v secrets.Value }{v},
		"slice": []secrets.Value{v}, "map": map[string]secrets.Value{"k": v}, "map of any": map[string]any{"k": v},
		"keyed by pointers": map[*secrets.Value]string{&v: "k"}, "error": &failure{v}, "wrapped error": fmt.Errorf("no: %w", &failure{v}),
		"document": secrets.Doc{Path: secrets.Path{Deployment: "d", App: "a", Scope: "s"}, Values: map[string]secrets.Value{"k": v}},
	}
}

// said takes what testify says of a failure.
type said struct{ strings.Builder }

func (s *said) Errorf(format string, args ...any) { fmt.Fprintf(s, format, args...) }

func (s *said) FailNow() {}

func (s *said) Logf(format string, args ...any) { s.Errorf(format, args...) }

func clean(t *testing.T, how, printed string) {
	t.Helper()
	if printed == "" {
		t.Errorf("%s says nothing", how)
	}
	for _, text := range []string{first, second, "canary"} {
		if strings.Contains(printed, text) || strings.Contains(printed, base64.StdEncoding.EncodeToString([]byte(text))) || strings.Contains(printed, fmt.Sprintf("%x", text)) || strings.Contains(printed, strings.Trim(fmt.Sprint([]byte(text)), "[]")) {
			t.Errorf("%s shows the secret: %s", how, printed)
			return
		}
	}
}

// TestTestify lets every assertion fail that shows what it compares.
func TestTestify(t *testing.T) {
	t.Parallel()
	other := nests(second)
	for name, x := range nests(first) {
		for how, fails := range map[string]func(*said){
			"Equal":           func(s *said) { assert.Equal(s, x, other[name]) },
			"EqualValues":     func(s *said) { assert.EqualValues(s, x, other[name], "with %v", x) },
			"Exactly":         func(s *said) { assert.Exactly(s, x, 1) },
			"Nil":             func(s *said) { assert.Nil(s, x) },
			"Empty":           func(s *said) { assert.Empty(s, x) },
			"Zero":            func(s *said) { assert.Zero(s, x) },
			"True":            func(s *said) { assert.Condition(s, func() bool { return false }, x) },
			"Contains":        func(s *said) { assert.Contains(s, []any{x}, other[name]) },
			"NotContains":     func(s *said) { assert.NotContains(s, []any{fmt.Sprint(x)}, fmt.Sprint(x)) },
			"ElementsMatch":   func(s *said) { assert.ElementsMatch(s, []any{x, x}, []any{other[name]}) },
			"Subset":          func(s *said) { assert.Subset(s, []any{1}, []any{x}) },
			"Len":             func(s *said) { assert.Len(s, []any{x}, 2) },
			"IsType":          func(s *said) { assert.IsType(s, 1, x) },
			"Implements":      func(s *said) { assert.Implements(s, (*io.Reader)(nil), x) },
			"ErrorIs":         func(s *said) { assert.ErrorIs(s, fmt.Errorf("%v", x), errors.New("other")) },
			"EqualError":      func(s *said) { assert.EqualError(s, fmt.Errorf("%v", x), "other") },
			"NoError":         func(s *said) { assert.NoError(s, fmt.Errorf("%v %+v %#v", x, x, x)) },
			"Panics":          func(s *said) { assert.PanicsWithValue(s, 1, func() { panic(x) }) },
			"JSONEq":          func(s *said) { assert.JSONEq(s, `{"a":1}`, fmt.Sprintf("{%q:%q}", "a", x)) },
			"a call not made": func(s *said) { calls(s, x, other[name]) },
		} {
			var s said
			fails(&s)
			clean(t, how+" of a "+name, s.String())
		}
	}
}

// calls lets a mock say that a call is missing, and that another was not expected.
func calls(s *said, x, other any) {
	m := new(mock.Mock)
	m.Test(s)
	m.On("Put", x)
	func() {
		defer func() {
			if p := recover(); p != nil {
				s.Errorf("%v", p)
			}
		}()
		m.MethodCalled("Put", other)
	}()
	m.AssertExpectations(s)
	m.AssertCalled(s, "Get", x)
}

// TestCmp compares with each way to look into what is not exported.
func TestCmp(t *testing.T) {
	t.Parallel()
	other := nests(second)
	all := cmp.Exporter(func(reflect.Type) bool { return true })
	for name, x := range nests(first) {
		for how, options := range map[string]cmp.Options{"all": {all}, "by identity": {all, cmpopts.EquateComparable()}, "sorted": {all, cmpopts.EquateEmpty()}} {
			clean(t, "cmp, "+how+", of a "+name, cmp.Diff(x, other[name], options))
			clean(t, "cmp, "+how+", of a "+name+" and nothing", cmp.Diff(any(x), any(nil), options))
		}
	}
}
