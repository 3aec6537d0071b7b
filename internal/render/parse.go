package render

import (
	"fmt"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
)

// The functions that the parser writes into every template. Their names are
// not among those that it lets a template's author write.
const (
	enterFunction = "_enter" // at the beginning of a template
	leaveFunction = "_leave" // at its end
	turnFunction  = "_turn"  // at the beginning of a loop's body
	printFunction = "_print" // around a value of unknown kind that is printed
)

// trees are the templates of one text, by name.
type trees map[string]*parse.Tree

// parser reads templates and makes them count what they do.
type parser struct {
	names  map[string]any
	scalar map[string]bool // functions whose result is always cheap to print
	// coverage is told what of the templates runs; nil wants nothing.
	coverage *Coverage
}

// builtins are the functions that text/template has of itself.
var builtins = [...]string{
	"and", "call", "html", "index", "slice", "js", "len", "not", "or", "print", "printf", "println", "urlquery",
	"eq", "ge", "gt", "le", "lt", "ne",
}

func newParser(functions template.FuncMap) *parser {
	p := &parser{names: map[string]any{}, scalar: map[string]bool{}}
	for name, f := range functions {
		p.names[name] = f
		switch reflect.TypeOf(f).Out(0).Kind() {
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
			p.scalar[name] = true
		}
	}
	for _, name := range builtins {
		p.names[name] = true
	}
	return p
}

// parse gives the templates of a file, or of a text for tpl, by name.
func (p *parser) parse(name, text string) (trees, error) {
	trees, err := parse.Parse(name, text, "", "", p.names)
	if err != nil {
		return nil, err
	}
	for _, tree := range trees {
		// An empty template must stay empty: it does not replace another
		// of its name.
		if !parse.IsEmptyTree(tree.Root) {
			p.count(tree, text)
			if p.coverage != nil && name != engineName {
				p.coverage.cover(tree, text)
			}
		}
	}
	return trees, nil
}

// parseFile gives the templates of a file by name.
func (p *parser) parseFile(name string, text []byte) (trees, error) {
	return p.parse(name, string(text))
}

// count writes the counting functions into a template.
func (p *parser) count(tree *parse.Tree, text string) {
	p.countIn(tree, tree.Root)
	line := 1 + strings.Count(text[:min(int(tree.Root.Pos), len(text))], "\n")
	enter := call(tree.Root.Pos, line, enterFunction, fmt.Sprintf("%s:%d", tree.ParseName, line))
	leave := call(tree.Root.Pos, line, leaveFunction)
	tree.Root.Nodes = append(append([]parse.Node{enter}, tree.Root.Nodes...), leave)
}

func (p *parser) countIn(tree *parse.Tree, list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			if p.mayPrintMuch(n.Pipe) {
				n.Pipe.Cmds = append(n.Pipe.Cmds, command(n.Pos, printFunction))
			}
		case *parse.IfNode:
			p.countIn(tree, n.List)
			p.countIn(tree, n.ElseList)
		case *parse.WithNode:
			p.countIn(tree, n.List)
			p.countIn(tree, n.ElseList)
		case *parse.RangeNode:
			p.countIn(tree, n.List)
			p.countIn(tree, n.ElseList)
			turn := call(n.Pos, n.Line, turnFunction, fmt.Sprintf("%s:%d", tree.ParseName, n.Line))
			n.List.Nodes = append([]parse.Node{turn}, n.List.Nodes...)
		}
	}
}

// mayPrintMuch says whether a pipeline is printed and may give a map or list.
func (p *parser) mayPrintMuch(pipe *parse.PipeNode) bool {
	if len(pipe.Decl) > 0 {
		return false
	}
	switch n := pipe.Cmds[len(pipe.Cmds)-1].Args[0].(type) {
	case *parse.IdentifierNode:
		return !p.scalar[n.Ident]
	case *parse.StringNode, *parse.NumberNode, *parse.BoolNode, *parse.NilNode:
		return false
	}
	return true
}

// call gives an action that calls one of the counting functions.
func call(pos parse.Pos, line int, function string, args ...string) *parse.ActionNode {
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Line: line, Pipe: &parse.PipeNode{
		NodeType: parse.NodePipe, Pos: pos, Line: line, Cmds: []*parse.CommandNode{command(pos, function, args...)},
	}}
}

func command(pos parse.Pos, function string, args ...string) *parse.CommandNode {
	c := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: []parse.Node{parse.NewIdentifier(function).SetPos(pos)}}
	for _, a := range args {
		c.Args = append(c.Args, &parse.StringNode{NodeType: parse.NodeString, Pos: pos, Quoted: fmt.Sprintf("%q", a), Text: a})
	}
	return c
}
