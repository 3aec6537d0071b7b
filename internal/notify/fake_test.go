package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// What the fakes know. The texts say that they are examples.
const (
	exampleToken  = "xoxb-example-token"
	exampleHook   = "https://hooks.slack.com/services/TEXAMPLE0/BEXAMPLE0/example-hook-token"
	exampleSecret = "example-webhook-secret"
)

func credentials(pairs map[string]string) func(string) (secrets.Value, bool) {
	return func(name string) (secrets.Value, bool) {
		text, ok := pairs[name]
		return secrets.New(text), ok
	}
}

var allCredentials = credentials(map[string]string{SlackToken: exampleToken, SlackWebhookURL: exampleHook, WebhookSecret: exampleSecret})

// clock is a time that passes only in sleep.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slept, c.now = append(c.slept, d), c.now.Add(d)
	return ctx.Err()
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (t *transport) with(c *clock) { t.sleep, t.now = c.sleep, c.read }

// fault is an answer that a fake gives instead of its own.
type fault struct {
	status int
	header map[string]string
	body   string
}

var tooMany = fault{429, map[string]string{"Retry-After": "7"}, `{"ok":false,"error":"ratelimited"}`}

// server is what every fake has: faults for a path, given in order, and the
// requests that it took.
type server struct {
	t      *testing.T
	mu     sync.Mutex
	faults map[string][]fault
	calls  []string
	clock  *clock
	client *http.Client
	base   string
}

// start serves handle, to which client leads whatever host is asked for.
func start(t *testing.T, handle http.HandlerFunc) *server {
	s := &server{t: t, faults: map[string][]fault{}, clock: &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, r.URL.Path)
		if list := s.faults[r.URL.Path]; len(list) > 0 {
			s.faults[r.URL.Path] = list[1:]
			_, _ = io.Copy(io.Discard, r.Body)
			for k, v := range list[0].header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(list[0].status)
			_, _ = io.WriteString(w, list[0].body)
			return
		}
		handle(w, r)
	}))
	t.Cleanup(web.Close)
	target, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.base = web.URL
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: rewrite{target.Host}}
	return s
}

// notifier makes a notifier whose time is the fake's.
func (s *server) notifier(spec string, credential func(string) (secrets.Value, bool)) Notifier {
	s.t.Helper()
	n, err := New(spec, credential, s.client)
	if err != nil {
		s.t.Fatal(err)
	}
	switch n := n.(type) {
	case webhook:
		n.transport.with(s.clock)
	case slackBot:
		n.transport.with(s.clock)
	case slackWebhook:
		n.transport.with(s.clock)
	}
	return n
}

func (s *server) fail(path string, faults ...fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[path] = append(s.faults[path], faults...)
}

// rewrite leads every request to the fake, which sees the host that was meant.
type rewrite struct{ host string }

func (rw rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Meant-For", r.URL.Scheme+"://"+r.URL.Host)
	r.URL.Scheme, r.URL.Host = "http", rw.host
	return http.DefaultTransport.RoundTrip(r)
}

// fakeSlack speaks the part of Slack's protocol that is used here, with its
// limits and its errors.
type fakeSlack struct {
	*server
	posts   []post
	files   map[string]*upload
	scopes  []string
	channel string // the id of #deploys
}

type post struct {
	Channel, Text, Thread string
	Blocks                []block
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text"`
	Elements []text `json:"elements"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type upload struct {
	name, content, title, channel, thread string
	length                                int
}

func startSlack(t *testing.T) *fakeSlack {
	f := &fakeSlack{files: map[string]*upload{}, scopes: []string{"chat:write", "files:write"}, channel: "C0EXAMPLE"}
	f.server = start(t, f.serve)
	return f
}

// all gives the texts of a post.
func (p post) all() string {
	var b strings.Builder
	for _, bl := range p.Blocks {
		if bl.Text != nil {
			b.WriteString(bl.Text.Text + "\n")
		}
		for _, e := range bl.Elements {
			b.WriteString(e.Text + "\n")
		}
	}
	return b.String()
}

func (f *fakeSlack) serve(w http.ResponseWriter, r *http.Request) {
	host := r.Header.Get("X-Meant-For")
	switch {
	case host == "https://slack.com" && strings.HasPrefix(r.URL.Path, "/api/"):
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if err := json.NewEncoder(w).Encode(f.api(strings.TrimPrefix(r.URL.Path, "/api/"), r)); err != nil {
			f.t.Error(err)
		}
	case host == "https://files.slack.com" && strings.HasPrefix(r.URL.Path, "/upload/v1/"):
		up := f.files[strings.TrimPrefix(r.URL.Path, "/upload/v1/")]
		part, _, err := r.FormFile("file")
		if up == nil || err != nil {
			http.Error(w, "no such upload", http.StatusNotFound)
			return
		}
		data, err := io.ReadAll(part)
		if err != nil || len(data) != up.length {
			http.Error(w, "length mismatch", http.StatusBadRequest)
			return
		}
		up.content = string(data)
		fmt.Fprintf(w, "OK - %d", len(data))
	case host == "https://hooks.slack.com" && r.Method == http.MethodPost:
		f.hook(w, r)
	default:
		http.Error(w, "no such page at "+host, http.StatusNotFound)
	}
}

// hook is an incoming webhook, whose errors are bare words.
func (f *fakeSlack) hook(w http.ResponseWriter, r *http.Request) {
	if "https://hooks.slack.com"+r.URL.Path != exampleHook {
		http.Error(w, "no_service", http.StatusNotFound)
		return
	}
	var m struct {
		Text   string  `json:"text"`
		Blocks []block `json:"blocks"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	if word := check(m.Text, m.Blocks); word != "" {
		http.Error(w, word, http.StatusBadRequest)
		return
	}
	f.posts = append(f.posts, post{Text: m.Text, Blocks: m.Blocks})
	_, _ = io.WriteString(w, "ok")
}

// check holds a message to Slack's limits.
func check(fallback string, blocks []block) string {
	size := func(s string) int { return len(utf16.Encode([]rune(s))) }
	if fallback == "" && len(blocks) == 0 {
		return "no_text"
	}
	if size(fallback) > 40000 {
		return "msg_too_long"
	}
	if len(blocks) > 50 {
		return "invalid_blocks"
	}
	for _, b := range blocks {
		switch {
		case b.Type == "header" && (b.Text == nil || b.Text.Type != "plain_text" || size(b.Text.Text) > 150 || b.Text.Text == ""),
			b.Type == "section" && (b.Text == nil || size(b.Text.Text) > 3000 || b.Text.Text == ""),
			b.Type == "context" && (len(b.Elements) == 0 || len(b.Elements) > 10),
			!slices.Contains([]string{"header", "section", "context"}, b.Type):
			return "invalid_blocks"
		}
		for _, e := range b.Elements {
			if e.Text == "" || size(e.Text) > 3000 {
				return "invalid_blocks"
			}
		}
	}
	return ""
}

// api is the web API: 200 and ok false for what it does not take.
func (f *fakeSlack) api(method string, r *http.Request) map[string]any {
	no := func(word string) map[string]any { return map[string]any{"ok": false, "error": word} }
	if err := r.ParseForm(); err != nil {
		return no("invalid_form_data")
	}
	token := r.Form.Get("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	switch token {
	case "":
		return no("not_authed")
	case exampleToken:
	default:
		return no("invalid_auth")
	}
	scope := map[string]string{"chat.postMessage": "chat:write", "files.getUploadURLExternal": "files:write", "files.completeUploadExternal": "files:write"}[method]
	if scope == "" {
		return no("unknown_method")
	}
	if !slices.Contains(f.scopes, scope) {
		return map[string]any{"ok": false, "error": "missing_scope", "needed": scope, "provided": strings.Join(f.scopes, ",")}
	}
	switch method {
	case "chat.postMessage":
		var blocks []block
		if raw := r.Form.Get("blocks"); raw != "" {
			if err := json.Unmarshal([]byte(raw), &blocks); err != nil {
				return no("invalid_blocks_format")
			}
		}
		if c := r.Form.Get("channel"); c != "#deploys" && c != f.channel {
			return no("channel_not_found")
		}
		if word := check(r.Form.Get("text"), blocks); word != "" {
			return no(word)
		}
		f.posts = append(f.posts, post{r.Form.Get("channel"), r.Form.Get("text"), r.Form.Get("thread_ts"), blocks})
		return map[string]any{"ok": true, "channel": f.channel, "ts": fmt.Sprintf("1700000000.%06d", len(f.posts))}
	case "files.getUploadURLExternal":
		length, err := strconv.Atoi(r.Form.Get("length"))
		if err != nil || length <= 0 || r.Form.Get("filename") == "" {
			return no("invalid_arguments")
		}
		id := fmt.Sprintf("F%d", len(f.files))
		f.files[id] = &upload{name: r.Form.Get("filename"), length: length}
		return map[string]any{"ok": true, "upload_url": "https://files.slack.com/upload/v1/" + id, "file_id": id}
	}
	var done []struct{ ID, Title string }
	if err := json.Unmarshal([]byte(r.Form.Get("files")), &done); err != nil || len(done) != 1 || f.files[done[0].ID] == nil {
		return no("invalid_arguments")
	}
	up := f.files[done[0].ID]
	if up.content == "" {
		return no("file_not_found")
	}
	if r.Form.Get("channel_id") != f.channel {
		return no("channel_not_found") // it takes an id, no name
	}
	up.title, up.channel, up.thread = done[0].Title, r.Form.Get("channel_id"), r.Form.Get("thread_ts")
	return map[string]any{"ok": true, "files": []map[string]any{{"id": done[0].ID, "title": up.title}}}
}
