package render

import (
	"context"
	"fmt"
	"reflect"
	"strings"
)

// run counts what one rendering has done so far.
type run struct {
	ctx      context.Context
	limits   Limits
	lint     bool // fail and required let pass, as in helm lint
	steps    int64
	work     int64
	printed  int64
	depth    int
	nested   int      // calls of tpl inside of one another
	at       string   // FILE:LINE of the template that is executed, or of its loop
	around   []string // the same of those that have called it
	includes map[string]int
	texts    map[string]tplText
}

func newRun(ctx context.Context, limits Limits, lint bool) *run {
	return &run{ctx: ctx, limits: limits, lint: lint, includes: map[string]int{}, texts: map[string]tplText{}}
}

func limited(format string, args ...any) error {
	return &limitError{fmt.Sprintf(format, args...)}
}

// step counts n steps at once, and is where a cancelled rendering ends.
func (r *run) step(n int64) error {
	r.steps += n
	if r.steps > r.limits.Steps {
		return limited("the templates take more than %d steps (limit steps): a loop or a recursion does not end", r.limits.Steps)
	}
	return r.ctx.Err()
}

// enter and leave stand around the content of every template, turn at the
// beginning of every loop's body. All give text that prints as nothing.
func (r *run) enter(at string) (string, error) {
	r.around = append(r.around, r.at)
	r.at = at
	r.depth++
	if r.depth > r.limits.Depth {
		return "", limited("templates call each other more than %d deep (limit depth)", r.limits.Depth)
	}
	return "", r.step(1)
}

func (r *run) leave() string {
	r.depth--
	last := len(r.around) - 1
	r.at, r.around = r.around[last], r.around[:last]
	return ""
}

func (r *run) turn(at string) (string, error) {
	r.at = at
	return "", r.step(1)
}

// file gives the name of the file whose template is executed, or in which a text
// stands that tpl executes.
func (r *run) file() string {
	at := location(r.at).File
	for i := len(r.around) - 1; i >= 0 && at == engineName; i-- {
		at = location(r.around[i]).File
	}
	return at
}

// made counts bytes that a function gives to the template.
func (r *run) made(n int) error {
	if int64(n) > r.limits.Output {
		return r.tooLarge()
	}
	r.work += int64(n)
	if r.work > r.limits.Work {
		return limited("the functions of the templates make more than %s (limit work)", size(r.limits.Work))
	}
	return nil
}

// mayMake is asked before a function that makes much of little.
func (r *run) mayMake(count, each int64) error {
	if count <= 0 || each <= 0 {
		return nil
	}
	if count > r.limits.Output/each {
		return r.tooLarge()
	}
	return nil
}

func (r *run) tooLarge() error {
	return limited("a value is larger than %s (limit output)", size(r.limits.Output))
}

// sink takes the output of a template: what is printed in the end, or what
// include and tpl give to another template.
type sink struct {
	strings.Builder
	run     *run
	printed bool
}

// Write takes bytes as long as the rendering's bounds allow it.
func (s *sink) Write(data []byte) (int, error) {
	if err := s.count(len(data)); err != nil {
		return 0, err
	}
	return s.Builder.Write(data)
}

func (s *sink) count(n int) error {
	if !s.printed {
		if int64(s.Len()+n) > s.run.limits.Output {
			return s.run.tooLarge()
		}
		return s.run.made(n)
	}
	s.run.printed += int64(n)
	if s.run.printed > s.run.limits.Output {
		return limited("the templates print more than %s (limit output)", size(s.run.limits.Output))
	}
	return nil
}

func size(bytes int64) string {
	if bytes >= 1<<20 && bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// maxNesting is how deep a value may nest that is to become text. Values that
// contain themselves end here; the functions that print them would not end.
const maxNesting = 1000

// weigh tells how much text a value may become, and fails where that is beyond
// the bounds: because the value is large, because it holds the same thing again
// and again, or because it contains itself.
func (r *run) weigh(v any) (int64, error) {
	switch v := v.(type) {
	case nil, bool, int, int64, float64:
		return 8, nil
	case string:
		return int64(len(v)) + 8, nil
	}
	s := scale{run: r}
	err := s.add(v, 0)
	return s.weight, err
}

type scale struct {
	run    *run
	weight int64
}

func (s *scale) put(n int) error {
	s.weight += int64(n) + 8
	if s.weight > s.run.limits.Output {
		return s.run.tooLarge()
	}
	return nil
}

func (s *scale) add(v any, depth int) error {
	if depth > maxNesting {
		return limited("a value nests more than %d deep, or contains itself", maxNesting)
	}
	switch v := v.(type) {
	case nil, bool, int, int64, float64:
		return s.put(0)
	case string:
		return s.put(len(v))
	case map[string]any:
		return s.addMap(v, depth)
	case []any:
		for _, item := range v {
			if err := s.add(item, depth+1); err != nil {
				return err
			}
		}
		return s.put(0)
	}
	return s.reflected(reflect.ValueOf(v), depth)
}

func (s *scale) addMap(m map[string]any, depth int) error {
	for key, item := range m {
		if err := s.put(len(key)); err != nil {
			return err
		}
		if err := s.add(item, depth+1); err != nil {
			return err
		}
	}
	return s.put(0)
}

// reflected weighs what is none of the types that YAML gives. Pointers are
// followed at the top only, as fmt does: those inside lead to Helm's own
// structures, which are finite.
func (s *scale) reflected(v reflect.Value, depth int) error {
	if depth > maxNesting {
		return limited("a value nests more than %d deep, or contains itself", maxNesting)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if depth == 0 && !v.IsNil() {
			return s.reflected(v.Elem(), depth+1)
		}
	case reflect.Interface:
		if !v.IsNil() {
			return s.reflected(v.Elem(), depth+1)
		}
	case reflect.String:
		return s.put(v.Len())
	case reflect.Map:
		for i := v.MapRange(); i.Next(); {
			if err := s.reflected(i.Key(), depth+1); err != nil {
				return err
			}
			if err := s.reflected(i.Value(), depth+1); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return s.put(4 * v.Len()) // fmt prints bytes as numbers
		}
		for i := range v.Len() {
			if err := s.reflected(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := s.reflected(v.Field(i), depth+1); err != nil {
				return err
			}
		}
	}
	return s.put(0)
}
