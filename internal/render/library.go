package render

import (
	"sync"
	"text/template"
	"text/template/parse"
)

// Library keeps what charts have in common, so that it is made once: the parsed
// form of templates and the compiled form of schemas, both by their text. Charts
// of one flavor differ in little else than their values. Several goroutines may
// use it at once.
//
// What is shared does not know the names of the charts that share it. It decides
// what is right; where something is wrong, the chart is gone through once more by
// itself, for the words.
type Library struct {
	functions template.FuncMap
	parser    *parser
	schemas   schemas

	mu    sync.Mutex
	files map[string]*sharedFile // by text
}

// sharedFile is a file of templates, which is parsed by the first who asks.
type sharedFile struct {
	once  sync.Once
	trees trees
	err   error
}

// NewLibrary gives a library that keeps nothing yet.
func NewLibrary() *Library {
	f := functions()
	return &Library{functions: f, parser: newParser(f), files: map[string]*sharedFile{}}
}

// anyFile is the name of a file in what the library keeps. No text calls a
// template so.
const anyFile = "\x00file"

// parse gives the templates of a file by name.
func (l *Library) parse(name, text string) (trees, error) {
	l.mu.Lock()
	f := l.files[text]
	if f == nil {
		f = &sharedFile{}
		l.files[text] = f
	}
	l.mu.Unlock()
	f.once.Do(func() { f.trees, f.err = l.parser.parse(anyFile, text) })
	if f.err != nil || f.trees[name] != nil {
		return l.parser.parse(name, text)
	}
	own := make(trees, len(f.trees))
	for key, tree := range f.trees {
		if key == anyFile {
			key = name
		}
		own[key] = renamed(tree, key)
	}
	return own, nil
}

// renamed gives a tree that shares its nodes with another.
func renamed(tree *parse.Tree, name string) *parse.Tree {
	own := *tree
	own.Name = name
	return &own
}
