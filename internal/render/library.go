package render

import (
	"strings"
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
	versions  sync.Map  // whether a version is what another asks for
	idle      sync.Pool // of *quick

	mu    sync.Mutex
	files map[string]*sharedFile // by text
}

// sharedFile is a file of templates, which is parsed by the first who asks.
type sharedFile struct {
	text  string
	once  sync.Once
	trees trees
	err   error
	// quick are the same templates for the quick executor; nil where it does
	// not know all that is in them.
	quick map[string]*routine
}

// NewLibrary gives a library that keeps nothing yet.
func NewLibrary() *Library {
	f := functions()
	return &Library{functions: f, parser: newParser(f), files: map[string]*sharedFile{}}
}

// anyFile is the name of a file in what the library keeps. A text that might call
// a template so is parsed for each chart.
const anyFile = "\x00file"

// mayHoldNUL says whether a name in a text may have the character of anyFile.
func mayHoldNUL(text string) bool {
	for _, written := range []string{"\x00", `\x00`, `\000`, `\u0000`, `\U0000`} {
		if strings.Contains(text, written) {
			return true
		}
	}
	return false
}

// file gives a file by its text.
func (l *Library) file(data []byte) *sharedFile {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.files[string(data)]
	if f == nil {
		f = &sharedFile{text: string(data)}
		l.files[f.text] = f
	}
	return f
}

// read parses the file if nobody has.
func (f *sharedFile) read(l *Library) {
	f.once.Do(func() {
		if f.trees, f.err = l.parser.parse(anyFile, f.text); f.err == nil && !mayHoldNUL(f.text) {
			f.quick = routines(f.trees)
		}
	})
}

// parse gives the templates of a file by name.
func (l *Library) parse(name string, data []byte) (trees, error) {
	f := l.file(data)
	f.read(l)
	if f.err != nil || f.trees[name] != nil || mayHoldNUL(f.text) {
		return l.parser.parse(name, f.text)
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
