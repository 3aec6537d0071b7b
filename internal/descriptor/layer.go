package descriptor

import (
	"cmp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// scope is what a layer's references are resolved against.
type scope struct {
	types     *Types
	instances instances
	vars      *Variables
	findings  *source.Findings
	stack     []string                 // the instances that are being resolved, TYPE/NAME
	spent     int                      // values that references have brought in
	text      int                      // bytes of text with variables in it
	versioned map[string]*source.Value // what a version file gives, by type/name/field
}

// instances are the named values of a descriptor, by type and name.
type instances map[string]map[string]*source.Value

func (in instances) names(typ string) []string {
	return sortedKeys(in[typ])
}

// maxReferenced bounds the values that references bring into one context, for
// instances may name one another and grow without end.
const maxReferenced = source.MaxNodes

// expand resolves the references of one layer: every name becomes the instance
// it stands for, every {from: …} that instance with its changes. What a name
// gives replaces what lower layers say; the rest is merged with it.
func (s *scope) expand(fields []Field, v *source.Value, path string) *source.Value {
	if v.IsNull() {
		return v
	}
	if v.Kind != source.Map {
		s.findings.Add("wrong-type", v.Origin, path, source.Instead("a map", v.Kind), "expected a map, got %s", v.Kind)
		return nil
	}
	out := &source.Value{Kind: source.Map, Origin: v.Origin, Whole: v.Whole, Fields: make([]source.Field, 0, len(v.Fields))}
	for _, f := range v.Fields {
		key, appended := strings.CutSuffix(f.Key, "+")
		here := join(path, key)
		field := find(fields, key)
		if field == nil {
			s.findings.Add("unknown-key", f.Origin, here, source.Nearest(key, fieldNames(fields)), "the key %q is not known here", key)
			continue
		}
		given := f.Value
		if field.builtIn && key == "patches" {
			given = patchesOf(given)
		}
		value := s.value(field.Expr, given, here)
		if value == nil {
			value = given.Break()
		}
		if appended {
			value = value.Shallow()
			value.Append = true
		}
		out.Fields = append(out.Fields, source.Field{Key: key, Origin: f.Origin, Value: value})
	}
	s.exclusive(fields, out, path)
	return out
}

// exclusive reports fields that exclude one another inside one layer.
func (s *scope) exclusive(fields []Field, v *source.Value, path string) {
	seen := map[string]source.Field{}
	for _, f := range v.Fields {
		field := find(fields, f.Key)
		if field == nil || field.group == "" || f.Value.IsNull() {
			continue
		}
		first, ok := seen[field.group]
		if !ok {
			seen[field.group] = f
			continue
		}
		if find(fields, first.Key).alternative != field.alternative {
			s.findings.Add("one-of", f.Origin, join(path, f.Key), "keep one of the two", "%s and %s exclude one another", first.Key, f.Key)
		}
	}
}

func (s *scope) value(e Expr, v *source.Value, path string) *source.Value {
	if v.IsNull() {
		return &source.Value{Kind: source.Null, Origin: v.Origin}
	}
	fields, structured := s.types.fieldsOf(e)
	if !structured {
		v = s.apply(v, path)
		if e.base == "object" || e.base == "any" {
			v = appendKeys(v)
		}
		return v
	}
	if e.mode == one {
		return s.single(e, fields, v, path)
	}
	if v.Kind != source.List {
		s.findings.Add("wrong-type", v.Origin, path, "named things are lists: - NAME, or - {name: …}", "expected %s, got %s", e.article(), v.Kind)
		return nil
	}
	if e.mode == repeated {
		out := &source.Value{Kind: source.List, Origin: v.Origin, Whole: true}
		for i, item := range v.Items {
			if value := s.single(e, fields, item, index(path, i)); value != nil {
				out.Items = append(out.Items, value)
			}
		}
		return out
	}
	return s.mapped(e, fields, v, path)
}

// apply substitutes the variables in v.
func (s *scope) apply(v *source.Value, path string) *source.Value {
	out := s.vars.apply(v, path, s.findings)
	if out == v || out == nil {
		return out
	}
	before := s.text
	if s.text += textSize(out); s.text <= maxText {
		return out
	}
	if before <= maxText {
		return tooMuch(v, path, s.findings)
	}
	return v.Break()
}

// textSize gives the bytes of all text in a value.
func textSize(v *source.Value) int {
	if v == nil {
		return 0
	}
	n := len(v.Text)
	for _, item := range v.Items {
		n += textSize(item)
	}
	for _, f := range v.Fields {
		n += textSize(f.Value)
	}
	return n
}

// mapped makes a map of a list whose items have names.
func (s *scope) mapped(e Expr, fields []Field, v *source.Value, path string) *source.Value {
	out := &source.Value{Kind: source.Map, Origin: v.Origin, Whole: true}
	folded := map[string]string{}
	for i, item := range v.Items {
		here := Item(path, i, item)
		item = s.apply(item, here)
		name := itemName(item)
		if item.Broken {
			continue
		}
		if name == "" {
			s.findings.Add("name", item.Origin, here, "give it a name", "an item of this list has no name")
			continue
		}
		other, ok := folded[strings.ToLower(name)]
		switch {
		case ok && other == name:
			s.findings.Add("duplicate-name", item.Origin, here, "keep one of the two", "%q stands here twice", name)
			continue
		case ok:
			s.findings.Add("duplicate-name", item.Origin, here, "rename one of the two", "%q differs only in case from %q", name, other)
			continue
		}
		folded[strings.ToLower(name)] = name
		if value := s.single(e, fields, item, here); value != nil {
			out.Fields = append(out.Fields, source.Field{Key: name, Origin: item.Origin, Value: value})
		}
	}
	return out
}

// itemName gives the name under which a list's item is known.
func itemName(item *source.Value) string {
	if item.Kind == source.Map {
		if name := item.Get("name").Str(); name != "" {
			return name
		}
		return item.Get("from").Str()
	}
	return item.Str()
}

// single resolves one value of a structured type: a name, {from: …}, or a map.
func (s *scope) single(e Expr, fields []Field, v *source.Value, path string) *source.Value {
	v = s.apply(v, path)
	switch {
	case v.Broken:
		return nil
	case e.base != "" && v.IsScalar():
		value := s.instance(e.base, fields, v, path)
		if value != nil {
			value = value.Shallow()
			value.Whole = true
		}
		return value
	case v.Kind != source.Map:
		inner := Expr{base: e.base, fields: e.fields}
		hint := cmp.Or(source.Instead(inner.kind(), v.Kind), "name one of the "+Plural(e.base)+", or write it here: {…}")
		s.findings.Add("wrong-type", v.Origin, path, hint, "expected %s, got %s", inner.article(), v.Kind)
		return nil
	}
	own := v
	if e.base != "" {
		own = withoutKeys(v, "from", find(fields, "name") == nil)
	}
	changed := s.expand(fields, own, path)
	from := v.Get("from")
	if e.base == "" || from == nil || changed == nil {
		return changed
	}
	base := s.instance(e.base, fields, from, join(path, "from"))
	if base == nil {
		return nil
	}
	for _, f := range changed.Fields {
		if given := s.versioned[e.base+"/"+from.Str()+"/"+f.Key]; given != nil {
			s.findings.Add("version-override", f.Origin, join(path, f.Key), "leave it to the version file, or give this context an instance of its own", "%s overrides what %s gives", f.Key, given.Origin)
		}
	}
	merged := merge(s.types, fields, base, changed).Shallow()
	merged.Whole = false
	merged.Origin = v.Origin
	return merged
}

// withoutKeys drops `from`, and `name` where the type does not declare it.
func withoutKeys(v *source.Value, from string, name bool) *source.Value {
	if v.Get(from) == nil && (!name || v.Get("name") == nil) {
		return v
	}
	out := v.Shallow()
	out.Delete(from)
	if name {
		out.Delete("name")
	}
	return out
}

// instance gives the instance of a name, its own references resolved.
func (s *scope) instance(typ string, fields []Field, name *source.Value, path string) *source.Value {
	if name.Broken {
		return nil
	}
	v := s.instances[typ][name.Str()]
	if v == nil {
		hint := source.Nearest(name.Str(), s.instances.names(typ))
		if hint == "" {
			hint = "list it under " + Plural(typ) + ", or write it inline"
		}
		s.findings.Add("unknown-instance", name.Origin, path, hint, "there is no %s %q", typ, name.Str())
		return nil
	}
	key := typ + "/" + name.Str()
	if slices.Contains(s.stack, key) {
		s.findings.Add("cycle", name.Origin, path, "an instance may not contain itself", "the %s %q refers to itself", typ, name.Str())
		return nil
	}
	if len(s.stack) >= source.MaxDepth {
		s.findings.Add("limit", name.Origin, path, "name fewer of them one below the other", "instances name one another deeper than the bound of %d", source.MaxDepth)
		return nil
	}
	if s.spent += v.Size(); s.spent > maxReferenced {
		if s.spent-v.Size() <= maxReferenced {
			s.findings.Add("limit", name.Origin, path, "name fewer of them", "the instances that this context names have more values than the bound of %d", maxReferenced)
		}
		return nil
	}
	s.stack = append(s.stack, key)
	defer func() { s.stack = s.stack[:len(s.stack)-1] }()
	v = s.apply(v, path)
	own := withoutKeys(v, "from", find(fields, "name") == nil)
	out := s.expand(fields, own, Plural(typ)+"."+name.Str())
	if from := v.Get("from"); from != nil && out != nil {
		base := s.instance(typ, fields, from, path)
		if base == nil {
			return nil
		}
		return merge(s.types, fields, base, out)
	}
	return out
}

// merge lays upper over lower. Maps merge deeply; everything else is replaced,
// lists are appended where upper asks for it, and null removes what lies below.
// Of fields that exclude one another, the upper layer's choice stays.
func merge(types *Types, fields []Field, lower, upper *source.Value) *source.Value {
	if lower.IsNull() {
		return upper
	}
	out := lower.Shallow()
	out.Origin = upper.Origin
	for _, f := range upper.Fields {
		field := find(fields, f.Key)
		if field != nil && field.group != "" && !f.Value.IsNull() {
			for _, other := range fields {
				if other.group == field.group && other.alternative != field.alternative {
					out.Delete(other.Name)
				}
			}
		}
		var below []Field
		if field != nil {
			below, _ = types.fieldsOf(field.Expr)
			if field.Expr.mode != one {
				below = nil
			}
		}
		value := mergeValue(types, below, out.Get(f.Key), f.Value)
		out.Set(f.Key, value)
	}
	return out
}

func mergeValue(types *Types, fields []Field, lower, upper *source.Value) *source.Value {
	switch {
	case lower == nil:
		return upper
	case lower.Kind == source.Null && upper != nil && upper.Kind != source.Null:
		// The null stays in force against what lies still lower.
		out := *upper
		out.Whole, out.Append, out.Over = true, false, overridden(upper, lower)
		return &out
	case lower.Kind == source.Null:
		return upper
	}
	switch {
	case upper.IsNull():
		return &source.Value{Kind: source.Null, Origin: upper.Origin, Over: overridden(upper, lower)}
	case upper.Append && upper.Kind == source.List && lower.Kind == source.List:
		out := lower.Shallow()
		out.Items = append(out.Items, upper.Items...)
		return out
	case upper.Append && upper.Kind == source.Map && lower.Kind == source.Map:
		out := lower.Shallow()
		for _, f := range upper.Fields {
			out.Set(f.Key, f.Value)
		}
		return out
	case upper.Kind == source.Map && lower.Kind == source.Map && !upper.Whole && !isForm(upper) && !isForm(lower):
		return merge(types, fields, lower, upper)
	}
	out := *upper
	out.Over = overridden(upper, lower)
	return &out
}

// overridden gives what a value took the place of, and below it what it takes the
// place of now.
func overridden(upper, lower *source.Value) *source.Value {
	if upper == nil || upper.Over == nil {
		return lower
	}
	out := *upper.Over
	out.Over = overridden(&out, lower)
	return &out
}

// isForm says whether a map is one of the forms of a value, which are replaced
// whole: a secret, a credential, or one of Kubernetes' sources.
func isForm(v *source.Value) bool {
	return v.Get("secret").IsScalar() || v.Get("credential").IsScalar() || v.Get("valueFrom") != nil
}

// appendKeys turns KEY+ into an appending value inside maps that no type
// describes.
func appendKeys(v *source.Value) *source.Value {
	if v == nil || v.Kind != source.Map {
		return v
	}
	var out *source.Value
	for i, f := range v.Fields {
		key, appended := strings.CutSuffix(f.Key, "+")
		value := appendKeys(f.Value)
		if !appended && value == f.Value {
			continue
		}
		if out == nil {
			out = v.Shallow()
		}
		if appended {
			value = value.Shallow()
			value.Append = true
		}
		out.Fields[i].Key, out.Fields[i].Value = key, value
	}
	if out == nil {
		return v
	}
	return out
}

// patchesOf writes the nulls of patches by kind as deletions. The null of a kind stays:
// it takes away what a lower layer says of it.
func patchesOf(v *source.Value) *source.Value {
	if v == nil || v.Kind != source.Map {
		return v
	}
	out := v.Shallow()
	for i, f := range v.Fields {
		out.Fields[i].Value = deletions(f.Value)
	}
	return out
}

// deletions writes the nulls of a patch as {$patch: delete}, Kubernetes' own
// directive: a null among a chart's values is gone before a template sees it.
func deletions(v *source.Value) *source.Value {
	if v == nil || v.Kind != source.Map {
		return v
	}
	out := v.Shallow()
	for i, f := range v.Fields {
		if f.Value.IsNull() {
			out.Fields[i].Value = source.NewMap(f.Origin, source.Field{Key: "$patch", Value: source.NewString(f.Origin, "delete")})
		} else {
			out.Fields[i].Value = deletions(f.Value)
		}
	}
	return out
}
