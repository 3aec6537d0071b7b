package kubeschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/library"
)

// crdRule is a rule in CEL, one of x-kubernetes-validations.
type crdRule struct {
	Rule              string
	Message           string
	MessageExpression string
	FieldPath         string
	OptionalOldSelf   bool
}

// ruled is a schema with its rules.
type ruled struct {
	schema *crdSchema
	root   bool // of an object: it has apiVersion, kind and metadata besides
	below  bool // there are rules in the schema, or below it
	rules  []compiledRule
}

// compiledRule is a rule that can be asked. A rule that cannot be compiled, or that
// compares with what was there before, is none.
type compiledRule struct {
	crdRule
	program, message cel.Program
}

// maxRuleCost bounds what a rule may do, in CEL's units, as the server does.
const maxRuleCost = 1_000_000

// language is CEL as the newest API server has it, without the functions that ask its
// authorizer. It takes what older ones take.
var language = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(),
		library.URLs(), library.Regex(), library.Lists(library.ListsVersion(1)), library.Quantity(), library.IP(), library.CIDR(),
		library.Format(), library.SemverLib(library.SemverVersion(1)),
		ext.Strings(ext.StringsVersion(2)), ext.Sets(), ext.TwoVarComprehensions(), ext.Lists(ext.ListsVersion(3)),
	)
})

// selfType is the name of self's type. Those of its fields begin with it, and must not
// be what a rule says of a field: self.spec.
const selfType = "selfType"

// compile prepares the rules of a schema, and says of which that is not possible: by
// the keys that lead to them, and why.
func (r *ruled) compile(say func(keys []string, format string, args ...any)) {
	if len(r.schema.Validations) == 0 {
		return
	}
	plain, optional, err := r.environments()
	if err != nil {
		say([]string{"x-kubernetes-validations"}, "the rules cannot be compiled, and are not checked: %s", err)
		return
	}
	for i, rule := range r.schema.Validations {
		at := func(key string) []string { return []string{"x-kubernetes-validations", strconv.Itoa(i), key} }
		env := plain
		if rule.OptionalOldSelf {
			env = optional
		}
		program, err := compile(env, rule.Rule, cel.BoolType, rule.OptionalOldSelf)
		if err != nil {
			say(at("rule"), "the rule cannot be compiled, and is not checked: %s", err)
		}
		one := compiledRule{crdRule: rule, program: program}
		if rule.MessageExpression != "" {
			if one.message, err = compile(env, rule.MessageExpression, cel.StringType, rule.OptionalOldSelf); err != nil {
				say(at("messageExpression"), "the message of the rule cannot be compiled, and is not used: %s", err)
			}
		}
		if one.program != nil {
			r.rules = append(r.rules, one)
		}
	}
}

// environments give what the rules of a schema may speak of: self, and oldSelf, which
// may be something or nothing in the second.
func (r *ruled) environments() (plain, optional *cel.Env, err error) {
	base, err := language()
	if err != nil {
		return nil, nil, err
	}
	declared := common.SchemaDeclType(celSchema{r.schema, false}, r.root)
	if declared == nil {
		return nil, nil, errors.New("the schema has no type")
	}
	declared = declared.MaybeAssignTypeName(selfType)
	provider := apiservercel.NewDeclTypeProvider(declared)
	provider.SetRecognizeKeywordAsFieldName(true)
	options, err := provider.EnvOptions(base.CELTypeProvider())
	if err != nil {
		return nil, nil, err
	}
	options = append(options, cel.Variable("self", declared.CelType()))
	plain, err = base.Extend(append(options, cel.Variable("oldSelf", declared.CelType()))...)
	if err != nil {
		return nil, nil, err
	}
	optional, err = base.Extend(append(options[:len(options):len(options)], cel.Variable("oldSelf", types.NewOptionalType(declared.CelType())))...)
	return plain, optional, err
}

// compile gives the program of an expression; nil is one that needs what was there
// before.
func compile(env *cel.Env, expression string, want *cel.Type, oldSelf bool) (cel.Program, error) {
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, errors.New(issueOf(issues))
	}
	if !ast.OutputType().IsExactType(want) {
		return nil, fmt.Errorf("it gives %s, and must give %s", ast.OutputType(), want)
	}
	checked, err := cel.AstToCheckedExpr(ast)
	if err != nil {
		return nil, err
	}
	for _, ref := range checked.ReferenceMap {
		if ref.Name == "oldSelf" && !oldSelf {
			return nil, nil
		}
	}
	return env.Program(ast, cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost), cel.CostLimit(maxRuleCost),
		cel.CostTracking(&library.CostEstimator{}), cel.CostTrackerOptions(interpreter.PresenceTestHasCost(false)))
}

// issueOf words the first mistake in an expression in one line.
func issueOf(issues *cel.Issues) string {
	for _, e := range issues.Errors() {
		return strings.Join(strings.Fields(e.Message), " ")
	}
	return strings.Join(strings.Fields(issues.Err().Error()), " ")
}

// rules checks what the rules of a custom resource say of it. The server asks them
// only where the schema has nothing against it, after it has filled in defaults.
func (c *checker) rules(n *Node, object map[string]any) {
	if !n.custom.ruled.below || len(c.problems) > 0 {
		return
	}
	data, err := json.Marshal(object)
	if err != nil {
		return
	}
	var filled map[string]any
	if err := utiljson.Unmarshal(data, &filled); err != nil {
		return
	}
	n.custom.ruled.schema.fill(filled)
	c.ruled(n, nil, filled)
}

// ruled goes through a value and all below it.
func (c *checker) ruled(n *Node, where *at, v any) {
	if !n.custom.ruled.below || v == nil {
		return
	}
	c.obey(&n.custom.ruled, where, v)
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			if p := n.Properties[k]; p != nil {
				c.ruled(p, where.child(k), item)
			} else if n.Values != nil {
				c.ruled(n.Values, where.child(k), item)
			}
		}
	case []any:
		for i, item := range v {
			if n.Items != nil {
				c.ruled(n.Items, where.item(i, item), item)
			}
		}
	}
}

// obey asks the rules of one schema about a value. One that fails is broken, as the
// server has it.
func (c *checker) obey(r *ruled, where *at, v any) {
	if len(r.rules) == 0 {
		return
	}
	schema := common.Schema(celSchema{r.schema, false})
	if r.root {
		schema = schema.WithTypeAndObjectMeta()
	}
	known := map[string]any{"self": common.UnstructuredToVal(v, schema), "oldSelf": types.OptionalNone}
	for _, rule := range r.rules {
		answer, _, err := rule.program.Eval(known)
		if costly := (interpreter.EvalCancelledError{}); errors.As(err, &costly) || err == nil && answer != types.False {
			continue // it holds, or takes too long to know
		}
		at := where
		for _, name := range fieldsOf(rule.FieldPath) {
			at = at.child(name)
		}
		if err != nil {
			c.add(at, Value, "", "%s: %s", rule.words(), err)
			continue
		}
		c.add(at, Value, "", "%s", rule.says(known))
	}
}

// says gives the message of a rule that is broken.
func (r compiledRule) says(known map[string]any) string {
	if r.message != nil {
		if answer, _, err := r.message.Eval(known); err == nil {
			if text, ok := answer.Value().(string); ok && strings.TrimSpace(text) != "" {
				return strings.TrimSpace(text)
			}
		}
	}
	return r.words()
}

// words are those of a rule itself.
func (r compiledRule) words() string {
	if r.Message != "" {
		return strings.TrimSpace(r.Message)
	}
	return fmt.Sprintf("does not hold: %s", strings.Join(strings.Fields(r.Rule), " "))
}

// fieldsOf cuts a path such as .spec.tls into its fields. One that is harder to read
// gives none.
func fieldsOf(path string) []string {
	if strings.ContainsAny(path, `['"\`) || !strings.HasPrefix(path, ".") {
		return nil
	}
	return strings.Split(path[1:], ".")
}

// fill fills in defaults, and takes nulls away where none are taken, as the server
// does before it judges.
func (s *crdSchema) fill(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, p := range s.Properties {
			value, ok := v[name]
			switch {
			case p == nil:
			case ok && (value != nil || p.Nullable):
			case len(p.Default) > 0:
				v[name] = p.Default.decoded()
			default:
				delete(v, name)
			}
		}
		for k, value := range v {
			p := s.Properties[k]
			if p == nil {
				p = s.values
			}
			if p != nil {
				p.fill(value)
			}
		}
	case []any:
		for _, item := range v {
			if s.Items != nil {
				s.Items.fill(item)
			}
		}
	}
}

// jsonText is a value as JSON, kept as it is until it is needed.
type jsonText []byte

// UnmarshalJSON keeps the text.
func (t *jsonText) UnmarshalJSON(data []byte) error {
	*t = append((*t)[:0], data...)
	return nil
}

// decoded gives the value, anew each time.
func (t jsonText) decoded() any {
	var v any
	if err := utiljson.Unmarshal(t, &v); err != nil {
		return nil
	}
	return v
}

// celSchema is a schema as CEL's types are made of it. withMeta adds what every
// object has.
type celSchema struct {
	*crdSchema
	withMeta bool
}

func (s celSchema) of(part *crdSchema) common.Schema {
	if part == nil {
		return nil
	}
	return celSchema{part, false}
}

func (s celSchema) all(parts []*crdSchema) []common.Schema {
	var out []common.Schema
	for _, part := range parts {
		out = append(out, s.of(part))
	}
	return out
}

// celText is the schema of a text.
var celText = &crdSchema{Type: "string"}

func (s celSchema) Type() string         { return s.crdSchema.Type }
func (s celSchema) Format() string       { return s.crdSchema.Format }
func (s celSchema) Items() common.Schema { return s.of(s.crdSchema.Items) }
func (s celSchema) Default() any {
	if len(s.crdSchema.Default) == 0 {
		return nil
	}
	return s.crdSchema.Default.decoded()
}
func (s celSchema) Pattern() string                       { return s.crdSchema.Pattern }
func (s celSchema) Minimum() *float64                     { return s.crdSchema.Minimum }
func (s celSchema) IsExclusiveMinimum() bool              { return s.ExclusiveMinimum }
func (s celSchema) Maximum() *float64                     { return s.crdSchema.Maximum }
func (s celSchema) IsExclusiveMaximum() bool              { return s.ExclusiveMaximum }
func (s celSchema) MultipleOf() *float64                  { return s.crdSchema.MultipleOf }
func (s celSchema) MinItems() *int64                      { return s.crdSchema.MinItems }
func (s celSchema) MaxItems() *int64                      { return s.crdSchema.MaxItems }
func (s celSchema) MinLength() *int64                     { return s.crdSchema.MinLength }
func (s celSchema) MaxLength() *int64                     { return s.crdSchema.MaxLength }
func (s celSchema) MinProperties() *int64                 { return s.crdSchema.MinProperties }
func (s celSchema) MaxProperties() *int64                 { return s.crdSchema.MaxProperties }
func (s celSchema) Required() []string                    { return s.crdSchema.Required }
func (s celSchema) Enum() []any                           { return s.crdSchema.Enum }
func (s celSchema) Nullable() bool                        { return s.crdSchema.Nullable }
func (s celSchema) UniqueItems() bool                     { return s.crdSchema.UniqueItems }
func (s celSchema) AllOf() []common.Schema                { return s.all(s.crdSchema.AllOf) }
func (s celSchema) OneOf() []common.Schema                { return s.all(s.crdSchema.OneOf) }
func (s celSchema) AnyOf() []common.Schema                { return s.all(s.crdSchema.AnyOf) }
func (s celSchema) Not() common.Schema                    { return s.of(s.crdSchema.Not) }
func (s celSchema) IsXIntOrString() bool                  { return s.IntOrString }
func (s celSchema) IsXEmbeddedResource() bool             { return s.Embedded }
func (s celSchema) IsXPreserveUnknownFields() bool        { return s.Preserve }
func (s celSchema) XListType() string                     { return s.ListType }
func (s celSchema) XListMapKeys() []string                { return s.ListMapKeys }
func (s celSchema) XMapType() string                      { return s.MapType }
func (s celSchema) XValidations() []common.ValidationRule { return nil } // they are compiled by themselves

func (s celSchema) Properties() map[string]common.Schema {
	if s.crdSchema.Properties == nil && !s.withMeta {
		return nil
	}
	out := map[string]common.Schema{}
	for name, p := range s.crdSchema.Properties {
		if p != nil {
			out[name] = s.of(p)
		}
	}
	if s.withMeta {
		out["apiVersion"], out["kind"] = s.of(celText), s.of(celText)
		out["metadata"] = s.of(&crdSchema{Type: "object", Properties: map[string]*crdSchema{"name": celText, "generateName": celText}})
	}
	return out
}

func (s celSchema) AdditionalProperties() common.SchemaOrBool {
	if s.values == nil {
		return nil
	}
	return celValues{s.values}
}

func (s celSchema) WithTypeAndObjectMeta() common.Schema { return celSchema{s.crdSchema, true} }

// celValues is the schema of a map's values.
type celValues struct{ schema *crdSchema }

func (v celValues) Schema() common.Schema { return celSchema{v.schema, false} }
func (v celValues) Allows() bool          { return true }
