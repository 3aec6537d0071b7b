package render

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"text/template/parse"
	"unicode/utf8"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/helm-kai/helm-kai/internal/source"
)

// CodeForbidden is the code of the findings about functions whose result is
// not decided by a chart's files.
const CodeForbidden = "forbidden-function"

// Why a function may not be used.
const (
	becauseCluster = "asks the cluster, so that the chart renders differently there and here"
	becauseClock   = "depends on the time or the time zone of the machine, so that no two renderings are the same"
	becauseChance  = "depends on chance, so that no two renderings are the same"
	becauseMachine = "reads from the machine on which the chart is rendered"
)

// forbidden says why a function may not be used, or gives "".
func forbidden(function string) string {
	switch function {
	case "lookup":
		return becauseCluster
	case "now", "ago", "date", "dateInZone", "date_in_zone", "htmlDate", "htmlDateInZone", "toDate", "mustToDate":
		return becauseClock
	case "randAlpha", "randAlphaNum", "randAscii", "randBytes", "randInt", "randNumeric", "shuffle", "uuidv4",
		"genCA", "genCAWithKey", "genPrivateKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert",
		"genSignedCertWithKey", "bcrypt", "htpasswd", "derivePassword", "encryptAES":
		return becauseChance
	case "env", "expandenv", "getHostByName":
		return becauseMachine
	}
	return ""
}

const hintForbidden = "give the result as a value instead"

// forbiddenError says that a text which was given to tpl calls a function whose
// result the chart's files do not decide.
type forbiddenError struct {
	line    int // of the text
	message string
}

func (e *forbiddenError) Error() string {
	return fmt.Sprintf("line %d of the text that tpl is given: %s", e.line, e.message)
}

// forbidden finds the first such function in the templates of a text, or gives nil.
func (p *parser) forbidden(trees trees, text string) *forbiddenError {
	w := walker{text: text, names: p.names, within: -1}
	for _, tree := range trees {
		w.walk(tree.Root)
	}
	if len(w.found) == 0 {
		return nil
	}
	first := w.found.Sorted()[0]
	return &forbiddenError{first.Origin.Line, first.Message}
}

// Forbidden names every function in the chart's templates whose result the
// chart's files do not decide, and every template that does not parse. What
// stands in a subchart is a warning, for its author may be another.
func (c *Chart) Forbidden() source.Findings {
	var found source.Findings
	names := map[string]any{"env": true, "expandenv": true}
	for name := range functions() {
		names[name] = true
	}
	for _, name := range builtins {
		names[name] = true
	}
	for _, f := range c.files {
		folder, rest := subchart(f.Path)
		severity := source.Error
		if folder != "" {
			severity = source.Warning
		}
		switch {
		case strings.HasPrefix(rest, "templates/"):
			found = append(found, forbiddenIn(f.Path, string(f.Data), severity, names)...)
		case strings.HasPrefix(rest, "charts/") && path.Ext(rest) == ".tgz":
			// Load has read the archive already, so that it can be read.
			if sub, err := loader.LoadArchive(bytes.NewReader(f.Data)); err == nil {
				found = append(found, forbiddenInArchive(f.Path, sub, names)...)
			}
		}
	}
	return found.Sorted()
}

// subchart splits a path into the folder of the subchart that it belongs to and
// the path below it.
func subchart(file string) (folder, rest string) {
	rest = file
	for {
		parts := strings.SplitN(rest, "/", 3)
		if len(parts) < 3 || parts[0] != "charts" {
			return folder, rest
		}
		folder, rest = path.Join(folder, parts[0], parts[1]), parts[2]
	}
}

func forbiddenInArchive(file string, c *chart.Chart, names map[string]any) source.Findings {
	var found source.Findings
	for _, t := range c.Templates {
		found = append(found, forbiddenIn(path.Join(file, t.Name), string(t.Data), source.Warning, names)...)
	}
	for _, d := range c.Dependencies() {
		found = append(found, forbiddenInArchive(path.Join(file, "charts", d.Name()), d, names)...)
	}
	return found
}

// forbiddenIn looks through the templates of one file.
func forbiddenIn(file, text string, severity source.Severity, names map[string]any) source.Findings {
	trees, err := parse.Parse(file, text, "", "", names)
	if err != nil {
		e := parseError("", file, err)
		finding := e.Finding()
		finding.Severity = severity
		return source.Findings{finding}
	}
	w := walker{file: file, text: text, severity: severity, names: names, within: -1}
	for _, tree := range trees {
		w.walk(tree.Root)
	}
	return w.found
}

type walker struct {
	file, text string
	severity   source.Severity
	names      map[string]any
	found      source.Findings
	// within is where the text that tpl is given stands that is looked through, or
	// -1: what a position counts in then is not the file.
	within parse.Pos
}

func (w *walker) walk(node parse.Node) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, item := range n.Nodes {
				w.walk(item)
			}
		}
	case *parse.ActionNode:
		w.walk(n.Pipe)
	case *parse.IfNode:
		w.branch(&n.BranchNode)
	case *parse.WithNode:
		w.branch(&n.BranchNode)
	case *parse.RangeNode:
		w.branch(&n.BranchNode)
	case *parse.TemplateNode:
		w.walk(n.Pipe)
	case *parse.PipeNode:
		if n != nil {
			for _, c := range n.Cmds {
				w.walk(c)
			}
		}
	case *parse.CommandNode:
		for _, a := range n.Args {
			w.walk(a)
		}
		if id, ok := n.Args[0].(*parse.IdentifierNode); ok && id.Ident == "tpl" && len(n.Args) > 1 {
			w.tpl(n.Args[1])
		}
	case *parse.ChainNode:
		w.walk(n.Node)
	case *parse.IdentifierNode:
		w.name(n)
	}
}

func (w *walker) branch(n *parse.BranchNode) {
	w.walk(n.Pipe)
	w.walk(n.List)
	w.walk(n.ElseList)
}

// tpl looks through a constant text that tpl executes. What is put together while
// rendering, from a user's values say, is not known here; rendering refuses it.
func (w *walker) tpl(text parse.Node) {
	for {
		p, ok := text.(*parse.PipeNode)
		if !ok || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
			break
		}
		text = p.Cmds[0].Args[0] // in parentheses
	}
	constant, ok := text.(*parse.StringNode)
	if !ok {
		return
	}
	trees, err := parse.Parse(w.file, constant.Text, "", "", w.names)
	if err != nil {
		return // rendering says so, if it comes there
	}
	around := w.within
	if around < 0 {
		w.within = constant.Pos
	}
	for _, tree := range trees {
		w.walk(tree.Root)
	}
	w.within = around
}

func (w *walker) name(n *parse.IdentifierNode) {
	because := forbidden(n.Ident)
	if because == "" {
		return
	}
	at := n.Pos
	if w.within >= 0 {
		at = w.within
	}
	before := w.text[:min(int(at), len(w.text))]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	w.found = append(w.found, source.Finding{
		Origin: source.Origin{Position: source.Position{
			File: w.file, Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(line),
		}},
		Message:  fmt.Sprintf("the function %s %s", n.Ident, because),
		Hint:     hintForbidden,
		Code:     CodeForbidden,
		Severity: w.severity,
	})
}
