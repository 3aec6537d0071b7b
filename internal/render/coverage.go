package render

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"text/template/parse"
)

// Block is a part of a file of templates that runs as a whole or not at all: the
// file, a template that it defines, or a branch in one of them.
type Block struct {
	// Template is the one that is defined, and "" for the file itself.
	Template string
	// Index counts the blocks of a template in the order of the text.
	Index int
	// Line is that of the block's first words, from 1.
	Line int
}

// Blocks lists the blocks of a file of templates. Those that neither print nor do
// anything are left out.
func Blocks(text string) ([]Block, error) {
	f := functions()
	trees, err := newParser(f).parse(anyFile, text)
	if err != nil {
		return nil, err
	}
	var out []Block
	for _, name := range sortedKeys(trees) {
		eachBlock(trees[name], text, func(b Block, _ *parse.ListNode) { out = append(out, b) })
	}
	return out, nil
}

// Coverage notes which blocks of templates run. Several renderings may share one.
type Coverage struct {
	mu     sync.Mutex
	blocks []placed
	ran    map[string]map[Block]bool // by the text of the file
}

// placed is a block in a file.
type placed struct {
	text  string
	block Block
}

// NewCoverage gives one that has seen nothing yet.
func NewCoverage() *Coverage { return &Coverage{ran: map[string]map[Block]bool{}} }

// NewLibraryWith gives a library that keeps nothing yet, whose charts note what of
// their templates runs.
func NewLibraryWith(c *Coverage) *Library {
	l := NewLibrary()
	l.parser.coverage = c
	return l
}

// Ran gives the blocks of a file of templates that have run, by the file's text.
func (c *Coverage) Ran(text string) map[Block]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ran[text])
}

// coverFunction stands at the beginning of every block.
const coverFunction = "_cover"

// cover writes the noting function into a template. It gives text that prints as
// nothing, and what is trimmed has been trimmed by now.
func (c *Coverage) cover(tree *parse.Tree, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	eachBlock(tree, text, func(b Block, list *parse.ListNode) {
		note := call(list.Pos, b.Line, coverFunction, strconv.Itoa(len(c.blocks)))
		list.Nodes = append([]parse.Node{note}, list.Nodes...)
		c.blocks = append(c.blocks, placed{text, b})
	})
}

// note takes the number of a block that runs.
func (c *Coverage) note(number string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, err := strconv.Atoi(number); err == nil {
		p := c.blocks[i]
		if c.ran[p.text] == nil {
			c.ran[p.text] = map[Block]bool{}
		}
		c.ran[p.text][p.block] = true
	}
	return ""
}

// eachBlock visits the blocks of a template, the outer before the inner.
func eachBlock(tree *parse.Tree, text string, visit func(b Block, list *parse.ListNode)) {
	if parse.IsEmptyTree(tree.Root) {
		return
	}
	name, index := tree.Name, 0
	if name == tree.ParseName {
		name = ""
	}
	var in func(list *parse.ListNode)
	in = func(list *parse.ListNode) {
		if list == nil {
			return
		}
		at, any := firstWords(list, text)
		nodes := list.Nodes
		if any {
			visit(Block{Template: name, Index: index, Line: at}, list)
		}
		index++
		for _, node := range nodes {
			switch n := node.(type) {
			case *parse.IfNode:
				in(n.List)
				in(n.ElseList)
			case *parse.WithNode:
				in(n.List)
				in(n.ElseList)
			case *parse.RangeNode:
				in(n.List)
				in(n.ElseList)
			}
		}
	}
	in(tree.Root)
}

// firstWords gives the line of the first node that is more than white space, but
// what the parser has written in.
func firstWords(list *parse.ListNode, text string) (line int, any bool) {
	for _, node := range list.Nodes {
		at := int(node.Position())
		switch n := node.(type) {
		case *parse.TextNode:
			words := strings.TrimLeft(string(n.Text), " \t\r\n")
			if words == "" {
				continue
			}
			at += len(n.Text) - len(words)
		case *parse.ActionNode:
			if own(n) {
				continue
			}
		}
		return 1 + strings.Count(text[:min(at, len(text))], "\n"), true
	}
	return 0, false
}

// own says whether the parser has written an action into the template.
func own(n *parse.ActionNode) bool {
	f, ok := n.Pipe.Cmds[0].Args[0].(*parse.IdentifierNode)
	return ok && strings.HasPrefix(f.Ident, "_")
}
