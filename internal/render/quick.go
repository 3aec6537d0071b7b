package render

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// quick executes templates without text/template's reflection: trees become
// closures once for all charts of a flavor, and values stay what they are. It
// knows the types and functions that charts are made of, and nothing of errors:
// where it meets anything else, or a mistake, it gives up, and text/template
// renders the chart from its beginning.
type quick struct {
	executor *executor // for its counters and guards
	run      *run
	guards   map[string]guard
	routines map[string]*routine
	texts    map[string]*routine // given to tpl
	out      []byte
	args     []any
	depth    int
}

// routine is a template for the quick executor.
type routine struct {
	body  step
	slots int // of variables
	empty bool
}

// frame is a template that is being executed.
type frame struct {
	*quick
	dot  any
	vars []any
}

// step executes a node. The rest are its outcomes: on to the next node, out of a
// loop, to its next turn, and for text/template to do.
type step func(f *frame) outcome

type outcome uint8

const (
	goOn outcome = iota
	breakOut
	turnAgain
	giveUp
)

// expression gives a value, or gives up.
type expression func(f *frame) (any, bool)

// callable is a function as the quick executor calls it. It may not keep args.
type callable func(q *quick, args []any) (any, bool)

// deepest is how deep templates may call one another here.
const deepest = 200

// quickly renders a chart, if the quick executor knows all that is in it.
func (c *Chart) quickly(ctx context.Context, opts Options) (files map[string]string, own *chart.Chart, ok bool) {
	l := c.library
	if l.parser.coverage != nil || c.slow.Load() {
		return nil, nil, false
	}
	defer func() {
		if recover() != nil { // a function that refuses its arguments so
			files, own, ok = nil, nil, false
		}
	}()
	own, templates, err := c.prepare(ctx, opts, false)
	if err != nil {
		return nil, nil, false
	}
	names := parseOrder(templates)
	q := l.quick()
	defer l.put(q)
	for _, name := range names {
		f := l.file(templates[name].text)
		f.read(l)
		if f.quick == nil || f.trees[name] != nil {
			c.slow.Store(true)
			return nil, nil, false
		}
		for key, r := range f.quick {
			if key == anyFile {
				key = name
			}
			if q.routines[key] == nil || !r.empty {
				q.routines[key] = r
			}
		}
	}
	q.start(newRun(ctx, opts.Limits.orDefault(), false))
	files = make(map[string]string, len(names))
	for _, name := range names {
		if !opts.wants(name) {
			continue
		}
		t := templates[name]
		t.values["Template"] = chartutil.Values{"Name": name, "BasePath": t.basePath}
		text, ok := q.file(name, t.values)
		if !ok {
			return nil, nil, false
		}
		files[name] = text
	}
	return files, own, true
}

// quick gives an executor that is idle.
func (l *Library) quick() *quick {
	if q, ok := l.idle.Get().(*quick); ok {
		return q
	}
	e := &executor{parser: l.parser}
	return &quick{executor: e, guards: e.guards(), routines: map[string]*routine{}, texts: map[string]*routine{}}
}

// put takes an executor back, without what it knows of a chart.
func (l *Library) put(q *quick) {
	q.start(nil)
	clear(q.routines)
	clear(q.texts)
	clear(q.args[:cap(q.args)])
	if cap(q.out) > 1<<20 {
		q.out = nil
	}
	clear(q.out[:cap(q.out)]) // it may have held a secret
	l.idle.Put(q)
}

func (q *quick) start(r *run) {
	q.run, q.executor.run, q.depth, q.out, q.args = r, r, 0, q.out[:0], q.args[:0]
}

// file gives what a file prints.
func (q *quick) file(name string, scope chartutil.Values) (string, bool) {
	q.out = q.out[:0]
	if !q.call(q.routines[name], scope) {
		return "", false
	}
	if q.run.printed += int64(len(q.out)); q.run.printed > q.run.limits.Output {
		return "", false
	}
	return strings.ReplaceAll(string(q.out), noValue, ""), true
}

// call executes a template with a dot of its own.
func (q *quick) call(r *routine, dot any) bool {
	if r == nil || q.depth >= min(deepest, q.run.limits.Depth) || q.run.step(1) != nil || !q.fits() {
		return false
	}
	q.depth++
	f := frame{quick: q, dot: dot, vars: make([]any, r.slots)}
	f.vars[0] = dot
	ok := r.body(&f) == goOn
	q.depth--
	return ok
}

// fits says whether what is printed is within its bound.
func (q *quick) fits() bool { return int64(len(q.out)) <= q.run.limits.Output }

// text gives what a template prints as a value.
func (q *quick) text(r *routine, dot any) (string, bool) {
	from := len(q.out)
	if !q.call(r, dot) {
		return "", false
	}
	s := string(q.out[from:])
	q.out = q.out[:from]
	return s, q.run.made(len(s)) == nil
}

// tpl executes a text as a template.
func (q *quick) tpl(text string, dot any) (string, bool) {
	if strings.Contains(text, "{{") {
		r := q.texts[text]
		if r == nil {
			trees, err := q.executor.parser.parse(engineName, text)
			if err != nil || len(trees) != 1 || trees[engineName] == nil || q.executor.parser.forbidden(trees, text) != nil {
				return "", false
			}
			if r = compile(trees[engineName]); r == nil {
				return "", false
			}
			q.texts[text] = r
		}
		var ok bool
		if text, ok = q.text(r, dot); !ok {
			return "", false
		}
	}
	return strings.ReplaceAll(text, noValue, ""), true
}

// routines gives templates for the quick executor, or nil.
func routines(t trees) map[string]*routine {
	out := make(map[string]*routine, len(t))
	for name, tree := range t {
		if out[name] = compile(tree); out[name] == nil {
			return nil
		}
	}
	return out
}

// compile gives a template for the quick executor, or nil.
func compile(tree *parse.Tree) *routine {
	c := compiler{slots: 1, scope: []variable{{name: "$", slot: 0, direct: true}}}
	body := c.list(tree.Root)
	if c.unknown {
		return nil
	}
	return &routine{body: body, slots: c.slots, empty: parse.IsEmptyTree(tree.Root)}
}

// compiler makes a template's tree into steps. It is unknown where there is a node
// that it has no step for.
type compiler struct {
	scope   []variable
	slots   int
	unknown bool
}

// variable is one that can be seen. A direct one holds what a pipeline gave, where
// nothing has no fields; what a loop gives may be nothing, of which to want a
// field is a mistake.
type variable struct {
	name   string
	slot   int
	direct bool
}

func (c *compiler) declare(name string, direct bool) int {
	slot := c.slots
	c.slots++
	c.scope = append(c.scope, variable{name, slot, direct})
	return slot
}

func (c *compiler) find(name string) *variable {
	for i := len(c.scope) - 1; i >= 0; i-- {
		if c.scope[i].name == name {
			return &c.scope[i]
		}
	}
	c.unknown = true
	return &variable{}
}

func (c *compiler) none() step {
	c.unknown = true
	return nil
}

func (c *compiler) noValue() expression {
	c.unknown = true
	return nil
}

func (c *compiler) list(list *parse.ListNode) step {
	if list == nil {
		return func(*frame) outcome { return goOn }
	}
	steps := make([]step, 0, len(list.Nodes))
	for _, node := range list.Nodes {
		if _, ok := node.(*parse.CommentNode); !ok {
			steps = append(steps, c.node(node))
		}
	}
	return func(f *frame) outcome {
		for _, s := range steps {
			if o := s(f); o != goOn {
				return o
			}
		}
		return goOn
	}
}

func (c *compiler) node(node parse.Node) step {
	switch n := node.(type) {
	case *parse.TextNode:
		text := string(n.Text)
		return func(f *frame) outcome {
			f.out = append(f.out, text...)
			return goOn
		}
	case *parse.ActionNode:
		return c.action(n.Pipe)
	case *parse.IfNode:
		return c.branch(&n.BranchNode, false)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, true)
	case *parse.RangeNode:
		return c.loop(n)
	case *parse.TemplateNode:
		return c.template(n)
	case *parse.BreakNode:
		return func(*frame) outcome { return breakOut }
	case *parse.ContinueNode:
		return func(*frame) outcome { return turnAgain }
	}
	return c.none()
}

// action prints a value, or declares variables.
func (c *compiler) action(pipe *parse.PipeNode) step {
	if len(pipe.Cmds) == 1 && len(pipe.Decl) == 0 {
		if id, ok := pipe.Cmds[0].Args[0].(*parse.IdentifierNode); ok {
			switch id.Ident {
			case enterFunction, leaveFunction, turnFunction: // counted by call and loop
				return func(*frame) outcome { return goOn }
			}
		}
	}
	value := c.pipe(pipe)
	if len(pipe.Decl) > 0 {
		return func(f *frame) outcome {
			if _, ok := value(f); !ok {
				return giveUp
			}
			return goOn
		}
	}
	return func(f *frame) outcome {
		v, ok := value(f)
		if !ok || !f.print(v) {
			return giveUp
		}
		return goOn
	}
}

// print writes a value as fmt does, and says whether it knows how and the output
// is within its bound.
func (q *quick) print(v any) bool {
	switch v := v.(type) {
	case string:
		q.out = append(q.out, v...)
	case nil:
		q.out = append(q.out, noValue...)
	case bool:
		q.out = strconv.AppendBool(q.out, v)
	case int:
		q.out = strconv.AppendInt(q.out, int64(v), 10)
	case int64:
		q.out = strconv.AppendInt(q.out, v, 10)
	case float64:
		q.out = fmt.Append(q.out, v)
	default:
		return false
	}
	return q.fits()
}

func (c *compiler) branch(n *parse.BranchNode, with bool) step {
	mark := len(c.scope)
	value := c.pipe(n.Pipe)
	inner := len(c.scope)
	then := c.list(n.List)
	c.scope = c.scope[:inner]
	otherwise := c.list(n.ElseList)
	c.scope = c.scope[:mark]
	return func(f *frame) outcome {
		v, ok := value(f)
		if !ok {
			return giveUp
		}
		truth, ok := truthOf(v)
		switch {
		case !ok:
			return giveUp
		case !truth:
			return otherwise(f)
		case !with:
			return then(f)
		}
		before := f.dot
		f.dot = v
		o := then(f)
		f.dot = before
		return o
	}
}

// truthOf is text/template's.
func truthOf(v any) (truth, ok bool) {
	switch v := v.(type) {
	case nil:
		return false, true
	case bool:
		return v, true
	case string:
		return v != "", true
	case map[string]any:
		return len(v) > 0, true
	case []any:
		return len(v) > 0, true
	case int:
		return v != 0, true
	case float64:
		return v != 0, true
	}
	return template.IsTrue(v)
}

func (c *compiler) loop(n *parse.RangeNode) step {
	if n.Pipe.IsAssign || len(n.Pipe.Decl) > 2 {
		return c.none()
	}
	mark := len(c.scope)
	values := c.commands(n.Pipe)
	index, element := -1, -1
	for i, d := range n.Pipe.Decl {
		slot := c.declare(d.Ident[0], false)
		if i == len(n.Pipe.Decl)-1 {
			element = slot
		} else {
			index = slot
		}
	}
	inner := len(c.scope)
	body := c.list(n.List)
	c.scope = c.scope[:inner]
	otherwise := c.list(n.ElseList)
	c.scope = c.scope[:mark]
	turn := func(f *frame, i, v any) outcome {
		if f.run.step(1) != nil || !f.fits() {
			return giveUp
		}
		if element >= 0 {
			f.vars[element] = v
		}
		if index >= 0 {
			f.vars[index] = i
		}
		f.dot = v
		o := body(f)
		if o == turnAgain {
			return goOn
		}
		return o
	}
	return func(f *frame) outcome {
		v, ok := values(f)
		if !ok {
			return giveUp
		}
		before := f.dot
		some, o := each(f, v, turn)
		f.dot = before
		switch {
		case o == breakOut:
			return goOn
		case o == goOn && !some:
			// There, the loop's variables hold what it would have gone over, and
			// a break ends this loop, not the one around it.
			for _, slot := range []int{index, element} {
				if slot >= 0 {
					f.vars[slot] = v
				}
			}
			if o = otherwise(f); o == breakOut {
				return goOn
			}
		}
		return o
	}
}

// each goes over a list, a map in the order of its keys, or numbers.
func each(f *frame, values any, turn func(f *frame, i, v any) outcome) (some bool, o outcome) {
	switch values := values.(type) {
	case nil:
	case []any:
		for i := range values {
			if o := turn(f, i, values[i]); o != goOn {
				return true, o
			}
		}
		return len(values) > 0, goOn
	case []string:
		for i := range values {
			if o := turn(f, i, values[i]); o != goOn {
				return true, o
			}
		}
		return len(values) > 0, goOn
	case chartutil.Values:
		return each(f, map[string]any(values), turn)
	case map[string]any:
		type entry struct {
			key   string
			value any
		}
		var few [16]entry
		entries := few[:0]
		for key, v := range values {
			entries = append(entries, entry{key, v})
		}
		slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
		for _, e := range entries {
			if o := turn(f, e.key, e.value); o != goOn {
				return true, o
			}
		}
		return len(entries) > 0, goOn
	default:
		return false, giveUp
	}
	return false, goOn
}

func (c *compiler) template(n *parse.TemplateNode) step {
	dot := func(*frame) (any, bool) { return nil, true }
	if n.Pipe != nil {
		dot = c.pipe(n.Pipe)
	}
	return func(f *frame) outcome {
		v, ok := dot(f)
		if !ok || !f.call(f.routines[n.Name], v) {
			return giveUp
		}
		return goOn
	}
}

// pipe gives a pipeline's value, and sets the variables that it declares.
func (c *compiler) pipe(pipe *parse.PipeNode) expression {
	value := c.commands(pipe)
	if len(pipe.Decl) == 0 {
		return value
	}
	if len(pipe.Decl) > 1 {
		return c.noValue()
	}
	name, slot := pipe.Decl[0].Ident[0], 0
	if pipe.IsAssign {
		slot = c.find(name).slot
	} else {
		slot = c.declare(name, true)
	}
	return func(f *frame) (any, bool) {
		v, ok := value(f)
		f.vars[slot] = v
		return v, ok
	}
}

// commands gives the value of a pipeline's commands, each the last argument of the
// next.
func (c *compiler) commands(pipe *parse.PipeNode) expression {
	var value expression
	for _, cmd := range pipe.Cmds {
		if id, ok := cmd.Args[0].(*parse.IdentifierNode); ok && id.Ident == printFunction {
			continue // print knows by itself what is short
		}
		value = c.command(cmd.Args, value)
	}
	return value
}

// command gives the value of a command; final is that of the one before it, or nil.
func (c *compiler) command(args []parse.Node, final expression) expression {
	switch n := args[0].(type) {
	case *parse.IdentifierNode:
		return c.function(n.Ident, args[1:], final)
	case *parse.FieldNode, *parse.VariableNode:
		if len(args) > 1 || final != nil {
			return c.method(n, args[1:], final)
		}
	}
	if _, ok := args[0].(*parse.NilNode); ok || len(args) > 1 || final != nil {
		return c.noValue() // nil alone is a mistake
	}
	return c.argument(args[0])
}

// argument gives the value of one node.
func (c *compiler) argument(node parse.Node) expression {
	switch n := node.(type) {
	case *parse.DotNode:
		return func(f *frame) (any, bool) { return f.dot, true }
	case *parse.NilNode:
		return constant(nil)
	case *parse.BoolNode:
		return constant(n.True)
	case *parse.StringNode:
		return constant(n.Text)
	case *parse.NumberNode:
		return c.number(n)
	case *parse.PipeNode:
		if len(n.Decl) > 0 {
			return c.noValue()
		}
		return c.commands(n)
	case *parse.IdentifierNode:
		return c.function(n.Ident, nil, nil)
	case *parse.FieldNode:
		return fields(func(f *frame) (any, bool) { return f.dot, true }, n.Ident, false)
	case *parse.VariableNode:
		v := c.find(n.Ident[0])
		slot := v.slot
		value := func(f *frame) (any, bool) { return f.vars[slot], true }
		if len(n.Ident) == 1 {
			return value
		}
		return fields(value, n.Ident[1:], v.direct && n.Ident[0] != "$")
	case *parse.ChainNode:
		pipe, ok := n.Node.(*parse.PipeNode)
		if !ok {
			return c.noValue()
		}
		return fields(c.argument(pipe), n.Field, true)
	}
	return c.noValue()
}

func constant(v any) expression { return func(*frame) (any, bool) { return v, true } }

// number gives a number as text/template takes one that stands alone.
func (c *compiler) number(n *parse.NumberNode) expression {
	switch {
	case !n.IsInt || strings.ContainsAny(n.Text, ".eEpPxXi'"):
		return c.noValue()
	case int64(int(n.Int64)) != n.Int64:
		return c.noValue()
	}
	return constant(int(n.Int64))
}

// fields gives a value's field, of which another may be wanted, and so on. To have
// none of nothing is no mistake where direct says so.
func fields(value expression, names []string, direct bool) expression {
	return func(f *frame) (any, bool) {
		v, ok := value(f)
		if !ok {
			return nil, false
		}
		if v == nil {
			return nil, direct
		}
		for _, name := range names {
			if v, ok = fieldOf(v, name); !ok {
				return nil, false
			}
		}
		return v, true
	}
}

// fieldOf gives the entry of a map, which may be missing, or a field of Helm's own
// structures.
func fieldOf(of any, name string) (any, bool) {
	switch m := of.(type) {
	case map[string]any:
		return m[name], true
	case chartutil.Values:
		switch name {
		case "AsMap", "Encode", "PathValue", "Table", "YAML":
			return nil, false
		}
		return m[name], true
	case *chartutil.Capabilities:
		switch name {
		case "KubeVersion":
			return m.KubeVersion, true
		case "APIVersions":
			return m.APIVersions, true
		}
		return nil, false
	case chartutil.KubeVersion:
		switch name {
		case "Version":
			return m.Version, true
		case "Major":
			return m.Major, true
		case "Minor":
			return m.Minor, true
		}
		return nil, false
	case chartOf:
		return chartField(m, name)
	}
	return nil, false
}

// chartField gives what most templates want of Chart.yaml.
func chartField(c chartOf, name string) (any, bool) {
	switch name {
	case "Name":
		return c.Metadata.Name, true
	case "Version":
		return c.Metadata.Version, true
	case "AppVersion":
		return c.AppVersion, true
	case "Description":
		return c.Description, true
	case "Type":
		return c.Type, true
	case "APIVersion":
		return c.APIVersion, true
	case "KubeVersion":
		return c.KubeVersion, true
	case "Annotations":
		return c.Annotations, true
	case "IsRoot":
		return c.IsRoot, true
	}
	return nil, false
}

// method calls the few that templates use.
func (c *compiler) method(node parse.Node, args []parse.Node, final expression) expression {
	if len(args) != 1 || final != nil {
		return c.noValue()
	}
	var owner expression
	var name string
	switch n := node.(type) {
	case *parse.FieldNode:
		last := len(n.Ident) - 1
		owner, name = fields(func(f *frame) (any, bool) { return f.dot, true }, n.Ident[:last], false), n.Ident[last]
	case *parse.VariableNode:
		last := len(n.Ident) - 1
		if last == 0 {
			return c.noValue()
		}
		slot := c.find(n.Ident[0]).slot
		owner, name = fields(func(f *frame) (any, bool) { return f.vars[slot], true }, n.Ident[1:last], false), n.Ident[last]
	default:
		return c.noValue()
	}
	arg := c.argument(args[0])
	return func(f *frame) (any, bool) {
		of, ok := owner(f)
		if !ok {
			return nil, false
		}
		v, ok := arg(f)
		s, isText := v.(string)
		if !ok || !isText {
			return nil, false
		}
		switch of := of.(type) {
		case chartutil.VersionSet:
			if name == "Has" {
				return of.Has(s), true
			}
		case files:
			if name == "Get" {
				return of.Get(s), true
			}
		}
		return nil, false
	}
}

// function calls one by its name.
func (c *compiler) function(name string, args []parse.Node, final expression) expression {
	values := make([]expression, 0, len(args)+1)
	for _, a := range args {
		values = append(values, c.argument(a))
	}
	if final != nil {
		values = append(values, final)
	}
	switch name {
	case "and", "or":
		return c.shortCircuit(values, name == "or")
	}
	call := quickCalls()[name]
	if call == nil {
		return c.noValue()
	}
	return func(f *frame) (any, bool) {
		q := f.quick
		from := len(q.args)
		for _, value := range values {
			v, ok := value(f)
			if !ok {
				return nil, false
			}
			q.args = append(q.args, v)
		}
		v, ok := call(q, q.args[from:])
		q.args = q.args[:from]
		return v, ok
	}
}

// shortCircuit gives the first value that decides, or the last.
func (c *compiler) shortCircuit(values []expression, until bool) expression {
	if len(values) == 0 {
		return c.noValue()
	}
	return func(f *frame) (v any, ok bool) {
		for _, value := range values {
			if v, ok = value(f); !ok {
				return nil, false
			}
			truth, ok := truthOf(v)
			if !ok {
				return nil, false
			}
			if truth == until {
				break
			}
		}
		return v, true
	}
}

// wants says whether a template is executed for what it prints.
func (o Options) wants(name string) bool {
	return !strings.HasPrefix(path.Base(name), "_") && (o.Only == "" || Unnamed(name) == Unnamed(o.Only))
}
