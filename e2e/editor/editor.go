//go:build unix

// Package editor is what an editor is to a language server: it opens files, and asks for completion, hover and mistakes.
package editor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is a language server that runs, over its standard streams.
type Server struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	settings map[string]any

	mu      sync.Mutex
	id      int
	opened  int
	answers map[int]chan message
	found   map[string]chan []Diagnostic // by URI
	ended   chan struct{}
}

type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *failure        `json:"error,omitempty"`
}

type failure struct {
	Message string `json:"message"`
}

// Item is what completion offers.
type Item struct {
	Label         string          `json:"label"`
	InsertText    string          `json:"insertText"`
	Documentation json.RawMessage `json:"documentation"` // text, or {kind, value}
}

// Words gives what the item's documentation says.
func (i Item) Words() string { return words(i.Documentation) }

// Diagnostic is a mistake; lines and characters count from 0.
type Diagnostic struct {
	Message string `json:"message"`
	Range   struct {
		Start struct {
			Line      int `json:"line"`
			Character int `json:"character"`
		} `json:"start"`
	} `json:"range"`
}

// answerWithin bounds how long an answer may take on a slow machine that does much else.
const answerWithin = 2 * time.Minute

// Start starts a server, and tells it the folder it works in and its settings, by section. It ends with Stop, or when this
// process does.
func Start(ctx context.Context, folder string, settings map[string]any, args ...string) (*Server, error) {
	s := &Server{
		cmd: exec.Command(args[0], args[1:]...), settings: settings,
		answers: map[int]chan message{}, found: map[string]chan []Diagnostic{}, ended: make(chan struct{}),
	}
	s.cmd.Stderr = os.Stderr
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go s.read(bufio.NewReader(out))
	uri := URI(folder)
	_, err = s.ask(ctx, "initialize", map[string]any{
		"processId": os.Getpid(), "rootUri": uri, "workspaceFolders": []any{map[string]any{"uri": uri, "name": "workspace"}},
		"capabilities": map[string]any{
			"workspace": map[string]any{"configuration": true, "workspaceFolders": true, "didChangeConfiguration": map[string]any{"dynamicRegistration": true}},
			"textDocument": map[string]any{
				"completion":         map[string]any{"completionItem": map[string]any{"snippetSupport": true, "documentationFormat": []string{"markdown", "plaintext"}}},
				"hover":              map[string]any{"contentFormat": []string{"markdown", "plaintext"}},
				"publishDiagnostics": map[string]any{},
			},
		},
	})
	if err == nil {
		err = s.tell("initialized", map[string]any{})
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Stop ends the server.
func (s *Server) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	_, err := s.ask(ctx, "shutdown", nil)
	if err == nil {
		err = s.tell("exit", nil)
	}
	if err != nil {
		_ = s.cmd.Process.Kill()
	}
	<-s.ended // before Wait, which closes the stream that is read
	return errors.Join(err, s.in.Close(), s.cmd.Wait())
}

// URI gives a file's URI.
func URI(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }

// Open opens a file with a text, which need not be the one on disk, and waits for what the server finds in it.
func (s *Server) Open(ctx context.Context, path, text string) ([]Diagnostic, error) {
	uri := URI(path)
	found := make(chan []Diagnostic, 16)
	s.mu.Lock()
	s.found[uri] = found
	s.opened++
	version := s.opened // servers keep what they have read by it
	s.mu.Unlock()
	err := s.tell("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": uri, "languageId": "yaml", "version": version, "text": text}})
	if err != nil {
		return nil, err
	}
	return s.word(ctx, path, found)
}

// word waits for what the server finds in a file.
func (s *Server) word(ctx context.Context, path string, found chan []Diagnostic) ([]Diagnostic, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	select {
	case list := <-found:
		return list, nil
	case <-s.ended:
		return nil, errors.New("the server has ended")
	case <-ctx.Done():
		return nil, fmt.Errorf("no word on %s: %w", path, ctx.Err())
	}
}

// Close closes a file, and waits until the server has nothing to say about it.
func (s *Server) Close(ctx context.Context, path string) error {
	s.mu.Lock()
	found := s.found[URI(path)]
	s.mu.Unlock()
	if err := s.tell("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": URI(path)}}); err != nil {
		return err
	}
	for {
		if list, err := s.word(ctx, path, found); err != nil || len(list) == 0 {
			return err
		}
	}
}

// Complete gives what may stand at a place of an open file.
func (s *Server) Complete(ctx context.Context, path string, line, character int) ([]Item, error) {
	answer, err := s.ask(ctx, "textDocument/completion", place(path, line, character))
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []Item `json:"items"`
	}
	return list.Items, json.Unmarshal(answer, &list)
}

// Hover gives what is said about a place of an open file.
func (s *Server) Hover(ctx context.Context, path string, line, character int) (string, error) {
	answer, err := s.ask(ctx, "textDocument/hover", place(path, line, character))
	if err != nil || string(answer) == "null" {
		return "", err
	}
	var hover struct {
		Contents json.RawMessage `json:"contents"`
	}
	err = json.Unmarshal(answer, &hover)
	return words(hover.Contents), err
}

func place(path string, line, character int) map[string]any {
	return map[string]any{
		"textDocument": map[string]any{"uri": URI(path)}, "position": map[string]any{"line": line, "character": character},
	}
}

// words gives the text of what is text or {kind, value}.
func words(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var markup struct {
		Value string `json:"value"`
	}
	_ = json.Unmarshal(raw, &markup) // what is neither says nothing
	return markup.Value
}

func (s *Server) tell(method string, params any) error {
	return s.send(message{Method: method, Params: params})
}

func (s *Server) ask(ctx context.Context, method string, params any) (json.RawMessage, error) {
	answer := make(chan message, 1)
	s.mu.Lock()
	s.id++
	id := s.id
	s.answers[id] = answer
	s.mu.Unlock()
	if err := s.send(message{ID: json.RawMessage(strconv.Itoa(id)), Method: method, Params: params}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	select {
	case m := <-answer:
		if m.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		return m.Result, nil
	case <-s.ended:
		return nil, fmt.Errorf("%s: the server has ended", method)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (s *Server) send(m message) error {
	m.Version = "2.0"
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = fmt.Fprintf(s.in, "Content-Length: %d\r\n\r\n%s", len(data), data)
	return err
}

// read takes what the server says until it says no more.
func (s *Server) read(r *bufio.Reader) {
	defer close(s.ended)
	for {
		header, err := textproto.NewReader(r).ReadMIMEHeader()
		if err != nil {
			return
		}
		length, err := strconv.Atoi(header.Get("Content-Length"))
		if err != nil {
			return
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(r, data); err != nil {
			return
		}
		var m struct {
			message
			Params json.RawMessage `json:"params"`
		}
		if json.Unmarshal(data, &m) != nil {
			return
		}
		switch {
		case m.Method == "textDocument/publishDiagnostics":
			s.diagnosed(m.Params)
		case m.Method != "" && len(m.ID) > 0:
			_ = s.send(message{ID: m.ID, Result: s.answer(m.Method, m.Params)}) // a server that is gone is seen above
		case m.Method == "":
			id, _ := strconv.Atoi(string(m.ID))
			s.mu.Lock()
			answer := s.answers[id]
			delete(s.answers, id)
			s.mu.Unlock()
			if answer != nil {
				answer <- m.message
			}
		}
	}
}

// answer gives what the server asks an editor for: its settings, or nothing.
func (s *Server) answer(method string, params json.RawMessage) json.RawMessage {
	var asked struct {
		Items []struct {
			Section string `json:"section"`
		} `json:"items"`
	}
	if method != "workspace/configuration" || json.Unmarshal(params, &asked) != nil {
		return json.RawMessage("null")
	}
	sections := []any{}
	for _, item := range asked.Items {
		sections = append(sections, s.settings[strings.TrimPrefix(item.Section, "[yaml]")])
	}
	data, err := json.Marshal(sections)
	if err != nil {
		return json.RawMessage("null")
	}
	return data
}

func (s *Server) diagnosed(params json.RawMessage) {
	var p struct {
		URI         string       `json:"uri"`
		Diagnostics []Diagnostic `json:"diagnostics"`
	}
	if json.Unmarshal(params, &p) != nil {
		return
	}
	s.mu.Lock()
	found := s.found[p.URI]
	s.mu.Unlock()
	if found != nil {
		select {
		case found <- p.Diagnostics:
		default: // nobody waits for so many
		}
	}
}
