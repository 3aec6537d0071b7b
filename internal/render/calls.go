package render

import (
	"math"
	"reflect"
	"strings"
	"sync"

	"helm.sh/helm/v3/pkg/chartutil"
)

// The functions that the quick executor knows, by their names.
var (
	knownCalls     map[string]callable
	knownCallsOnce sync.Once
)

func quickCalls() map[string]callable {
	knownCallsOnce.Do(func() { knownCalls = makeCalls() })
	return knownCalls
}

func makeCalls() map[string]callable {
	out := map[string]callable{}
	looksInto := map[string]bool{}
	f := functions()
	for name := range f {
		looksInto[name] = true
	}
	for _, name := range shallow {
		looksInto[name] = false
	}
	var e *executor
	guarded := e.guards()
	for name, function := range f {
		call := bySignature(function)
		if call == nil {
			continue
		}
		if looksInto[name] {
			call = weighing(call)
		}
		if guarded[name] != nil {
			call = guarding(name, reflect.TypeOf(function), call)
		}
		out[name] = call
	}
	for name := range (*executor)(nil).rendering(nil) {
		delete(out, name)
	}
	for name := range (*executor)(nil).refusing() {
		delete(out, name)
	}
	for name, call := range ownCalls() {
		out[name] = call
	}
	return out
}

// ownCalls are those that are written out: what text/template has of itself, what
// renders templates, and what charts call most.
func ownCalls() map[string]callable {
	return map[string]callable{
		"include": func(q *quick, args []any) (any, bool) {
			if len(args) != 2 {
				return nil, false
			}
			name, ok := args[0].(string)
			if !ok {
				return nil, false
			}
			return q.text(q.routines[name], args[1])
		},
		"tpl": func(q *quick, args []any) (any, bool) {
			if len(args) != 2 {
				return nil, false
			}
			text, ok := args[0].(string)
			if !ok {
				return nil, false
			}
			return q.tpl(text, args[1])
		},
		"required": func(_ *quick, args []any) (any, bool) {
			if len(args) != 2 || args[1] == nil || args[1] == "" {
				return nil, false
			}
			_, ok := args[0].(string)
			return args[1], ok
		},
		"fail": func(*quick, []any) (any, bool) { return nil, false },
		"not": func(_ *quick, args []any) (any, bool) {
			if len(args) != 1 {
				return nil, false
			}
			truth, ok := truthOf(args[0])
			return !truth, ok
		},
		"eq": func(_ *quick, args []any) (any, bool) { return equalsAny(args) },
		"ne": func(_ *quick, args []any) (any, bool) {
			if len(args) != 2 {
				return nil, false
			}
			equal, ok := equals(args[0], args[1])
			return !equal, ok
		},
		"lt": func(_ *quick, args []any) (any, bool) { return less(args, 0, 1) },
		"gt": func(_ *quick, args []any) (any, bool) { return less(args, 1, 0) },
		"le": func(_ *quick, args []any) (any, bool) { more, ok := less(args, 1, 0); return !more, ok },
		"ge": func(_ *quick, args []any) (any, bool) { fewer, ok := less(args, 0, 1); return !fewer, ok },
		"len": func(_ *quick, args []any) (any, bool) {
			if len(args) != 1 {
				return nil, false
			}
			switch v := args[0].(type) {
			case string:
				return len(v), true
			case []any:
				return len(v), true
			case map[string]any:
				return len(v), true
			}
			return nil, false
		},
		"index": func(_ *quick, args []any) (any, bool) {
			if len(args) < 2 {
				return nil, false
			}
			v := args[0]
			for _, i := range args[1:] {
				if m, ok := v.(chartutil.Values); ok {
					v = map[string]any(m)
				}
				switch of := v.(type) {
				case map[string]any:
					key, ok := i.(string)
					if !ok {
						return nil, false
					}
					v = of[key]
				case []any:
					n, ok := i.(int)
					if !ok || n < 0 || n >= len(of) {
						return nil, false
					}
					v = of[n]
				default:
					return nil, false
				}
			}
			return v, true
		},
		"default": func(_ *quick, args []any) (any, bool) {
			switch len(args) {
			case 1:
				return args[0], true
			case 2:
				none, ok := isEmpty(args[1])
				if none {
					return args[0], ok
				}
				return args[1], ok
			}
			return nil, false
		},
		"empty": func(_ *quick, args []any) (any, bool) {
			if len(args) != 1 {
				return nil, false
			}
			return isEmpty(args[0])
		},
		"nindent": func(q *quick, args []any) (any, bool) { return q.indent("\n", args) },
		"indent":  func(q *quick, args []any) (any, bool) { return q.indent("", args) },
		"has": func(_ *quick, args []any) (any, bool) {
			if len(args) != 2 {
				return nil, false
			}
			needle, ok := args[0].(string)
			list, isList := args[1].([]any)
			if !ok || !isList {
				return nil, false
			}
			for _, item := range list {
				if item == needle {
					return true, true
				}
			}
			return false, true
		},
		"deepCopy": func(q *quick, args []any) (any, bool) {
			if len(args) != 1 {
				return nil, false
			}
			if _, err := q.run.weigh(args[0]); err != nil {
				return nil, false
			}
			c, ok := copied(args[0])
			return c, ok && c != nil && q.counted(c)
		},
		"fromJson": func(q *quick, args []any) (any, bool) {
			if len(args) != 1 {
				return nil, false
			}
			text, ok := args[0].(string)
			if !ok || q.run.made(bytesParsed*len(text)) != nil {
				return nil, false
			}
			return fromJSON(text), true
		},
	}
}

// equalsAny says whether the first is one of the others.
func equalsAny(args []any) (any, bool) {
	if len(args) < 2 {
		return nil, false
	}
	for _, other := range args[1:] {
		if equal, ok := equals(args[0], other); equal || !ok {
			return equal, ok
		}
	}
	return false, true
}

// equals compares simple values. Nothing is like none of them.
func equals(a, b any) (equal, ok bool) {
	if a == nil || b == nil {
		other := a
		if a == nil {
			other = b
		}
		return false, isBasic(other)
	}
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return a == b, ok
	case bool:
		b, ok := b.(bool)
		return a == b, ok
	case float64:
		b, ok := b.(float64)
		return a == b, ok
	}
	i, ok := integer(a)
	j, both := integer(b)
	return i == j, ok && both
}

func isBasic(v any) bool {
	switch v.(type) {
	case string, bool, float64, int, int64:
		return true
	}
	return false
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

// less says whether one argument is less than another.
func less(args []any, i, j int) (bool, bool) {
	if len(args) != 2 {
		return false, false
	}
	switch a := args[i].(type) {
	case string:
		b, ok := args[j].(string)
		return a < b, ok
	case float64:
		b, ok := args[j].(float64)
		// What is no number is neither less nor more, which is for others to say.
		return a < b, ok && !math.IsNaN(a) && !math.IsNaN(b)
	}
	a, ok := integer(args[i])
	b, both := integer(args[j])
	return a < b, ok && both
}

// isEmpty is sprig's.
func isEmpty(v any) (empty, ok bool) {
	switch v := v.(type) {
	case nil:
		return true, true
	case string:
		return v == "", true
	case bool:
		return !v, true
	case int:
		return v == 0, true
	case int64:
		return v == 0, true
	case float64:
		return v == 0, true
	case map[string]any:
		return len(v) == 0, true
	case []any:
		return len(v) == 0, true
	case []string:
		return len(v) == 0, true
	case chartutil.Values:
		return len(v) == 0, true
	}
	return false, false
}

// indent puts spaces before every line of a text.
func (q *quick) indent(before string, args []any) (any, bool) {
	if len(args) != 2 {
		return nil, false
	}
	n, ok := args[0].(int)
	text, isText := args[1].(string)
	if !ok || !isText || n < 0 || q.run.mayMake(int64(n), 1+int64(strings.Count(text, "\n"))) != nil {
		return nil, false
	}
	pad := strings.Repeat(" ", n)
	s := before + pad + strings.ReplaceAll(text, "\n", "\n"+pad)
	return s, q.run.made(len(s)) == nil
}

// counted counts what a function has made.
func (q *quick) counted(v any) bool {
	switch v := v.(type) {
	case string:
		return q.run.made(len(v)) == nil
	case []any:
		return q.run.made(bytesPerItem*len(v)) == nil
	case []string:
		return q.run.made(bytesPerItem*len(v)) == nil
	case map[string]any:
		return q.run.made(bytesPerEntry*len(v)) == nil
	}
	return true
}

// weighing looks at the arguments of a function that looks into them.
func weighing(call callable) callable {
	return func(q *quick, args []any) (any, bool) {
		for _, v := range args {
			if _, err := q.run.weigh(v); err != nil {
				return nil, false
			}
		}
		return call(q, args)
	}
}

// guarding asks the guard of a function that makes much of little.
func guarding(name string, t reflect.Type, call callable) callable {
	return func(q *quick, args []any) (any, bool) {
		in := make([]reflect.Value, t.NumIn())
		fixed := len(in)
		if t.IsVariadic() {
			fixed--
			if len(args) < fixed {
				return nil, false
			}
			rest := reflect.MakeSlice(t.In(fixed), len(args)-fixed, len(args)-fixed)
			for i, v := range args[fixed:] {
				if !assign(rest.Index(i), v) {
					return nil, false
				}
			}
			in[fixed] = rest
		} else if len(args) != fixed {
			return nil, false
		}
		for i := range fixed {
			in[i] = reflect.New(t.In(i)).Elem()
			if !assign(in[i], args[i]) {
				return nil, false
			}
		}
		if q.guards[name](in) != nil {
			return nil, false
		}
		return call(q, args)
	}
}

func assign(into reflect.Value, v any) bool {
	if v == nil {
		return into.Kind() == reflect.Interface
	}
	value := reflect.ValueOf(v)
	if !value.Type().AssignableTo(into.Type()) {
		return false
	}
	into.Set(value)
	return true
}

// table gives the map that an argument is.
func table(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case map[string]any:
		return v, true
	case chartutil.Values:
		return v, true
	}
	return nil, false
}

// listOf gives arguments that a function may keep.
func listOf(args []any) []any { return append(make([]any, 0, len(args)), args...) }

// bySignature gives a function as the quick executor calls it, if it has one of
// the usual signatures. Arguments of other types than it wants make it give up.
func bySignature(function any) callable {
	done := func(q *quick, v any) (any, bool) { return v, q.counted(v) }
	switch f := function.(type) {
	case func(string) string:
		return func(q *quick, args []any) (any, bool) {
			if a, ok := strings1(args); ok {
				return done(q, f(a))
			}
			return nil, false
		}
	case func(string, string) string:
		return func(q *quick, args []any) (any, bool) {
			if a, b, ok := strings2(args); ok {
				return done(q, f(a, b))
			}
			return nil, false
		}
	case func(string, string) bool:
		return func(_ *quick, args []any) (any, bool) {
			if a, b, ok := strings2(args); ok {
				return f(a, b), true
			}
			return nil, false
		}
	case func(string, string, string) string:
		return func(q *quick, args []any) (any, bool) {
			if len(args) != 3 {
				return nil, false
			}
			a, b, ok := strings2(args[:2])
			c, last := args[2].(string)
			if !ok || !last {
				return nil, false
			}
			return done(q, f(a, b, c))
		}
	case func(int, string) string:
		return func(q *quick, args []any) (any, bool) {
			if len(args) != 2 {
				return nil, false
			}
			n, ok := args[0].(int)
			s, isText := args[1].(string)
			if !ok || !isText {
				return nil, false
			}
			return done(q, f(n, s))
		}
	case func(string, ...any) string:
		return func(q *quick, args []any) (any, bool) {
			if len(args) == 0 {
				return nil, false
			}
			s, ok := args[0].(string)
			if !ok {
				return nil, false
			}
			return done(q, f(s, listOf(args[1:])...))
		}
	case func(string, any) string:
		return func(q *quick, args []any) (any, bool) {
			if len(args) != 2 {
				return nil, false
			}
			s, ok := args[0].(string)
			if !ok {
				return nil, false
			}
			return done(q, f(s, args[1]))
		}
	case func(any) string:
		return one(func(v any) any { return f(v) })
	case func(any) bool:
		return one(func(v any) any { return f(v) })
	case func(any) int:
		return one(func(v any) any { return f(v) })
	case func(any) float64:
		return one(func(v any) any { return f(v) })
	case func(any) []string:
		return one(func(v any) any { return f(v) })
	case func(any) int64:
		return one(func(v any) any { return f(v) })
	case func(any) []any:
		return one(func(v any) any { return f(v) })
	case func(any) any:
		return one(f)
	case func(...any) string:
		return many(func(vs []any) any { return f(vs...) })
	case func(...any) int64:
		return many(func(vs []any) any { return f(vs...) })
	case func(...any) bool:
		return many(func(vs []any) any { return f(vs...) })
	case func(...any) any:
		return many(func(vs []any) any { return f(vs...) })
	case func(...any) []any:
		return many(func(vs []any) any { return f(vs...) })
	case func(...any) map[string]any:
		return many(func(vs []any) any { return f(vs...) })
	case func(any, any) bool:
		return two(func(a, b any) any { return f(a, b) })
	case func(any, any) int64:
		return two(func(a, b any) any { return f(a, b) })
	case func(any, any) any:
		return two(f)
	case func(any, any) []any:
		return two(func(a, b any) any { return f(a, b) })
	}
	return lessUsual(function)
}

// lessUsual goes on for signatures with maps and the like.
func lessUsual(function any) callable {
	done := func(q *quick, v any) (any, bool) { return v, q.counted(v) }
	switch f := function.(type) {
	case func(string) []any:
		return func(q *quick, args []any) (any, bool) {
			if a, ok := strings1(args); ok {
				return done(q, f(a))
			}
			return nil, false
		}
	case func(string) map[string]any:
		return func(q *quick, args []any) (any, bool) {
			if a, ok := strings1(args); ok {
				return done(q, f(a))
			}
			return nil, false
		}
	case func(string, string) []string:
		return func(q *quick, args []any) (any, bool) {
			if a, b, ok := strings2(args); ok {
				return done(q, f(a, b))
			}
			return nil, false
		}
	case func(string, string, int) []string:
		return func(q *quick, args []any) (any, bool) {
			if len(args) != 3 {
				return nil, false
			}
			a, b, ok := strings2(args[:2])
			n, isInt := args[2].(int)
			if !ok || !isInt {
				return nil, false
			}
			return done(q, f(a, b, n))
		}
	case func(any, ...any) any:
		return func(q *quick, args []any) (any, bool) {
			if len(args) == 0 {
				return nil, false
			}
			return done(q, f(args[0], listOf(args[1:])...))
		}
	case func(string, any) bool:
		return func(_ *quick, args []any) (any, bool) {
			if len(args) != 2 {
				return nil, false
			}
			s, ok := args[0].(string)
			if !ok {
				return nil, false
			}
			return f(s, args[1]), true
		}
	case func(any, any, bool) any:
		return func(_ *quick, args []any) (any, bool) {
			if len(args) != 3 {
				return nil, false
			}
			b, ok := args[2].(bool)
			if !ok {
				return nil, false
			}
			return f(args[0], args[1], b), true
		}
	case func(map[string]any, string) any:
		return func(_ *quick, args []any) (any, bool) {
			if m, key, ok := entry2(args); ok {
				return f(m, key), true
			}
			return nil, false
		}
	case func(map[string]any, string) bool:
		return func(_ *quick, args []any) (any, bool) {
			if m, key, ok := entry2(args); ok {
				return f(m, key), true
			}
			return nil, false
		}
	case func(map[string]any, string) map[string]any:
		return func(q *quick, args []any) (any, bool) {
			if m, key, ok := entry2(args); ok {
				return done(q, f(m, key))
			}
			return nil, false
		}
	case func(map[string]any, string, any) map[string]any:
		return func(q *quick, args []any) (any, bool) {
			if len(args) != 3 {
				return nil, false
			}
			m, key, ok := entry2(args[:2])
			if !ok || m == nil {
				return nil, false
			}
			return done(q, f(m, key, args[2]))
		}
	case func(map[string]any, ...string) map[string]any:
		return func(q *quick, args []any) (any, bool) {
			if len(args) == 0 {
				return nil, false
			}
			m, ok := table(args[0])
			var few [16]string
			keys := few[:0]
			for _, a := range args[1:] {
				key, isText := a.(string)
				ok = ok && isText
				keys = append(keys, key)
			}
			if !ok {
				return nil, false
			}
			return done(q, f(m, keys...))
		}
	case func(map[string]any, ...map[string]any) any:
		return func(q *quick, args []any) (any, bool) {
			if len(args) == 0 {
				return nil, false
			}
			maps, ok := tables(args)
			if !ok {
				return nil, false
			}
			return done(q, f(maps[0], maps[1:]...))
		}
	case func(...map[string]any) []string:
		return func(q *quick, args []any) (any, bool) {
			if maps, ok := tables(args); ok {
				return done(q, f(maps...))
			}
			return nil, false
		}
	}
	return nil
}

func one(f func(any) any) callable {
	return func(q *quick, args []any) (any, bool) {
		if len(args) != 1 {
			return nil, false
		}
		v := f(args[0])
		return v, q.counted(v)
	}
}

func two(f func(a, b any) any) callable {
	return func(q *quick, args []any) (any, bool) {
		if len(args) != 2 {
			return nil, false
		}
		v := f(args[0], args[1])
		return v, q.counted(v)
	}
}

func many(f func([]any) any) callable {
	return func(q *quick, args []any) (any, bool) {
		v := f(listOf(args))
		return v, q.counted(v)
	}
}

func strings1(args []any) (string, bool) {
	if len(args) != 1 {
		return "", false
	}
	s, ok := args[0].(string)
	return s, ok
}

func strings2(args []any) (a, b string, ok bool) {
	if len(args) != 2 {
		return "", "", false
	}
	a, first := args[0].(string)
	b, second := args[1].(string)
	return a, b, first && second
}

func entry2(args []any) (m map[string]any, key string, ok bool) {
	if len(args) != 2 {
		return nil, "", false
	}
	m, first := table(args[0])
	key, second := args[1].(string)
	return m, key, first && second
}

func tables(args []any) ([]map[string]any, bool) {
	out := make([]map[string]any, len(args))
	for i, a := range args {
		m, ok := table(a)
		if !ok {
			return nil, false
		}
		out[i] = m
	}
	return out, true
}
