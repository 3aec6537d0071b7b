package render

import (
	"math"
	"reflect"
	"strings"
	"text/template"
)

// shallow are the functions that take a value of any kind without looking into
// it, so that it need not be weighed.
var shallow = [...]string{
	"all", "any", "append", "chunk", "coalesce", "compact", "concat", "deepEqual", "default", "dict", "dig", "empty",
	"first", "get", "has", "hasKey", "initial", "keys", "kindIs", "kindOf", "last", "list", "mustAppend", "mustChunk",
	"mustCompact", "mustFirst", "mustHas", "mustInitial", "mustLast", "mustPrepend", "mustPush", "mustRest",
	"mustReverse", "mustSlice", "mustUniq", "mustWithout", "omit", "pick", "pluck", "prepend", "push", "rest",
	"reverse", "set", "slice", "ternary", "tuple", "typeIs", "typeIsLike", "typeOf", "uniq", "unset", "values",
	"without",
}

// Costs of functions that are not in proportion to what they give.
const (
	slowSteps     = 20_000 // one call of a function that is slow on purpose
	pairsPerStep  = 100    // comparisons of uniq
	bytesPerItem  = 16     // of a list
	bytesPerEntry = 64     // of a map
	bytesParsed   = 8      // of a value, for each byte of its text
	widthMost     = 1_000_000
)

// slow are the functions that are slow on purpose, or make keys.
var slow = [...]string{
	"bcrypt", "derivePassword", "genCA", "genCAWithKey", "genPrivateKey", "genSelfSignedCert",
	"genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "htpasswd",
}

// bounded gives the functions again, such that they count what they make and
// refuse what goes beyond the bounds of the rendering that e carries out.
// Functions that can do neither harm stay out.
func (e *executor) bounded(functions template.FuncMap) template.FuncMap {
	out := e.refusing()
	out[enterFunction] = func(at string) (string, error) { return e.run.enter(at) }
	out[leaveFunction] = func() string { return e.run.leave() }
	out[turnFunction] = func(at string) (string, error) { return e.run.turn(at) }
	out[printFunction] = e.print
	if c := e.parser.coverage; c != nil {
		out[coverFunction] = c.note
	}

	skip := map[string]bool{"include": true, "tpl": true, "required": true, "fail": true, "lookup": true}
	looksInto := map[string]bool{}
	for name := range functions {
		looksInto[name] = true
	}
	for _, name := range shallow {
		looksInto[name] = false
	}
	guards := e.guards()
	for name, function := range functions {
		if skip[name] {
			continue
		}
		if f := e.bound(function, looksInto[name], guards[name]); f != nil {
			out[name] = f
		}
	}
	return out
}

// print stands around values that a template prints and of which it is not
// known that they are short.
func (e *executor) print(v reflect.Value) (reflect.Value, error) {
	inner := v
	for inner.IsValid() && inner.Kind() == reflect.Interface {
		inner = inner.Elem()
	}
	switch inner.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array, reflect.Struct, reflect.Pointer:
		s := scale{run: e.run}
		return v, s.reflected(inner, 0)
	}
	return v, nil
}

// guard looks at a function's arguments before it is called.
type guard func(args []reflect.Value) error

// bound gives a function that weighs its arguments, asks its guard and counts
// its result; or nil where none of that is needed. The kinds of functions that
// templates call most are written out, for reflection is slow.
func (e *executor) bound(function any, looksInto bool, g guard) any {
	switch f := function.(type) {
	case func(string) string:
		if g == nil {
			return func(s string) (string, error) { return e.made(f(s)) }
		}
	case func(int, string) string:
		if g == nil {
			return func(n int, s string) (string, error) { return e.made(f(n, s)) }
		}
	case func(any) string:
		if looksInto && g == nil {
			return func(v any) (string, error) {
				if _, err := e.run.weigh(v); err != nil {
					return "", err
				}
				return e.made(f(v))
			}
		}
	case func(...any) string:
		if looksInto && g == nil {
			return func(vs ...any) (string, error) {
				if _, err := e.weighAll(vs); err != nil {
					return "", err
				}
				return e.made(f(vs...))
			}
		}
	}
	return e.boundByReflection(reflect.ValueOf(function), looksInto, g)
}

func (e *executor) made(s string) (string, error) { return s, e.run.made(len(s)) }

func (e *executor) weighAll(vs []any) (largest int64, err error) {
	for _, v := range vs {
		weight, err := e.run.weigh(v)
		if err != nil {
			return 0, err
		}
		largest = max(largest, weight)
	}
	return largest, nil
}

// boundByReflection does for a function of any kind what bound does.
func (e *executor) boundByReflection(f reflect.Value, looksInto bool, g guard) any {
	t := f.Type()
	weighs := false
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
		weighs = weighs || looksInto && holdsAny(in[i])
	}
	counts := grows(t.Out(0))
	if !weighs && !counts && g == nil {
		return nil
	}
	failure := reflect.TypeFor[error]()
	call := func(args []reflect.Value) []reflect.Value {
		result, err := e.callBound(f, args, weighs, g)
		if err == nil && counts {
			err = e.run.made(footprint(result))
		}
		given := reflect.New(failure).Elem()
		if err != nil {
			given.Set(reflect.ValueOf(err))
		}
		return []reflect.Value{result, given}
	}
	return reflect.MakeFunc(reflect.FuncOf(in, []reflect.Type{t.Out(0), failure}, t.IsVariadic()), call).Interface()
}

func (e *executor) callBound(f reflect.Value, args []reflect.Value, weighs bool, g guard) (reflect.Value, error) {
	none := reflect.Zero(f.Type().Out(0))
	if weighs {
		for _, a := range args {
			if !holdsAny(a.Type()) {
				continue
			}
			if _, err := e.run.weigh(a.Interface()); err != nil {
				return none, err
			}
		}
	}
	if g != nil {
		if err := g(args); err != nil {
			return none, err
		}
	}
	call := f.Call
	if f.Type().IsVariadic() {
		call = f.CallSlice
	}
	out := call(args)
	if len(out) > 1 && !out[1].IsNil() {
		err, _ := out[1].Interface().(error)
		return out[0], err
	}
	return out[0], nil
}

// holdsAny says whether a value of a type may hold a value of every kind.
func holdsAny(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map, reflect.Slice:
		return holdsAny(t.Elem())
	}
	return false
}

// grows says whether the results of a type have to be counted.
func grows(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Interface:
		return true
	}
	return false
}

// footprint is what a result takes, without what its items take.
func footprint(v reflect.Value) int {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Slice:
		return bytesPerItem * v.Len()
	case reflect.Map:
		return bytesPerEntry * v.Len()
	}
	return 0
}

// guards gives what stands before functions that make much of little.
func (e *executor) guards() map[string]guard {
	guards := map[string]guard{}
	on := func(g guard, names ...string) {
		for _, name := range names {
			guards[name] = g
		}
	}
	on(func(a []reflect.Value) error { return e.run.mayMake(a[0].Int(), int64(a[1].Len())) }, "repeat")
	on(func(a []reflect.Value) error {
		return e.run.mayMake(a[0].Int(), 1+int64(strings.Count(a[1].String(), "\n")))
	}, "indent", "nindent")
	on(func(a []reflect.Value) error {
		return e.run.mayMake(int64(strings.Count(a[2].String(), a[0].String())), int64(a[1].Len()))
	}, "replace")
	on(func(a []reflect.Value) error { return e.run.mayMake(int64(a[0].Len()), items(a[1])) }, "join")
	on(func(a []reflect.Value) error { return e.run.mayMake(int64(a[1].Len()), 1+int64(a[2].Len())) }, "wrapWith")
	on(func(a []reflect.Value) error { return e.run.mayMake(1+int64(a[1].Len()), 1+int64(a[2].Len())/8) },
		"regexReplaceAll", "regexReplaceAllLiteral", "mustRegexReplaceAll", "mustRegexReplaceAllLiteral")
	on(e.guardPrintf, "printf")
	on(func(a []reflect.Value) error { return e.guardCount(0, a[0].Int(), 1) }, "until")
	on(func(a []reflect.Value) error { return e.guardCount(a[0].Int(), a[1].Int(), a[2].Int()) }, "untilStep")
	on(e.guardSeq, "seq")
	on(func(a []reflect.Value) error { return e.run.mayMake(a[0].Int(), 1) },
		"randAlpha", "randAlphaNum", "randAscii", "randNumeric", "randBytes")
	on(func(a []reflect.Value) error {
		n := items(a[0])
		return e.run.step(n * n / pairsPerStep)
	}, "uniq", "mustUniq")
	on(func(a []reflect.Value) error { return e.run.made(bytesParsed * a[0].Len()) },
		"fromYaml", "fromYamlArray", "fromJson", "fromJsonArray", "fromToml", "mustFromJson")
	on(func([]reflect.Value) error { return e.run.step(slowSteps) }, slow[:]...)
	return guards
}

// items is the length of a list, and 1 for what is none.
func items(v reflect.Value) int64 {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
		return int64(v.Len())
	}
	return 1
}

// guardCount bounds how many numbers stand between two.
func (e *executor) guardCount(from, to, step int64) error {
	width, stride := math.Abs(float64(to)-float64(from)), math.Abs(float64(step))
	if stride == 0 {
		return nil // sprig gives an empty list
	}
	// Numbers at the end of an int's range would wrap around for ever.
	if width/stride > float64(e.run.limits.Output/bytesPerItem) || width+stride > math.MaxInt64/2 {
		return limited("a list of numbers is longer than %d (limit output)", e.run.limits.Output/bytesPerItem)
	}
	return nil
}

func (e *executor) guardSeq(args []reflect.Value) error {
	n := args[0]
	switch n.Len() {
	case 1:
		return e.guardCount(1, n.Index(0).Int(), 1)
	case 2:
		return e.guardCount(n.Index(0).Int(), n.Index(1).Int(), 1)
	case 3:
		return e.guardCount(n.Index(0).Int(), n.Index(2).Int(), n.Index(1).Int())
	}
	return nil
}

// guardPrintf bounds what a format can make: verbs may be wide, and may name
// the same argument again.
func (e *executor) guardPrintf(args []reflect.Value) error {
	format, vs := args[0].String(), args[1]
	largest := int64(0)
	for i := range vs.Len() {
		weight, err := e.run.weigh(vs.Index(i).Interface())
		if err != nil {
			return err
		}
		largest = max(largest, weight)
	}
	widest := int64(0)
	for _, verb := range strings.Split(format, "%")[1:] {
		widest = max(widest, widthOf(verb))
	}
	return e.run.mayMake(int64(strings.Count(format, "%")), largest+widest)
}

// widthOf is an upper bound of the width and precision that the beginning of a
// verb names; fmt itself goes to a million.
func widthOf(verb string) int64 {
	width, digits := int64(0), int64(0)
	for i := range len(verb) {
		switch c := verb[i]; {
		case c == '*':
			return 2 * widthMost
		case c >= '0' && c <= '9':
			digits = min(digits*10+int64(c-'0'), widthMost)
		case strings.IndexByte("+-# .[]", c) >= 0:
			width, digits = width+digits, 0
		default:
			return width + digits
		}
	}
	return width + digits
}
