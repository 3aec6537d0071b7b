package notify

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func message() Message {
	return Message{
		Workspace: "sock-shop", Context: "prod", Cluster: "prod-eu", Command: "install", Status: "failed",
		Time:     time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		Title:    "install prod: 1 of 2 releases failed",
		Markdown: "## Result\n- **carts** <b>",
		Diff:     "-a: <1>\n+a: [masked, changed] & ```\n",
		Releases: []Release{{Name: "carts", Action: "upgrade", Status: "succeeded"}, {Name: "orders", Action: "create", Status: "failed", Error: "timed out <!channel>\n  hint: wait"}},
	}
}

// silent fails where an error shows what is secret.
func silent(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err)} {
		for _, secret := range []string{exampleToken, exampleHook, exampleSecret, "example-hook-token", "BEXAMPLE0", "example-path-token", "example-query-token", "/services/", "upload/v1"} {
			if strings.Contains(text, secret) {
				t.Errorf("the error shows %s: %s", secret, text)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	none := credentials(nil)
	for _, tt := range []struct {
		spec string
		want string
	}{
		{"", "there is no notifier \"\"\n  hint: known: slack, slack:#CHANNEL, webhook:https://…, file:PATH"},
		{"slak:#deploys", "there is no notifier \"slak\"\n  hint: did you mean \"slack\"? (slack, slack:#CHANNEL, webhook:https://…, file:PATH)"},
		{"file:", "the notifier names no file\n  hint: file:PATH"},
		{exampleHook, "an address alone says not what is there\n  hint: webhook:https://…, or slack with the address in SLACK_WEBHOOK_URL"},
		{"slack:", "\"\" is no channel of Slack\n  hint: slack:#CHANNEL, or its id: slack:C0123456789"},
		{"slack:#", "\"#\" is no channel of Slack\n  hint: slack:#CHANNEL, or its id: slack:C0123456789"},
		{"slack:#a b", "\"#a b\" is no channel of Slack\n  hint: slack:#CHANNEL, or its id: slack:C0123456789"},
		{"slack:#deploys", "slack needs the credential SLACK_TOKEN\n  hint: give it where kai runs, never in a file of the workspace"},
		{"slack", "slack needs the credential SLACK_WEBHOOK_URL\n  hint: give it where kai runs, never in a file of the workspace"},
		{"webhook:https://example.com/x", "webhook example.com needs the credential WEBHOOK_SECRET\n  hint: give it where kai runs, never in a file of the workspace"},
		{"webhook:", "the webhook's address is no URL\n  hint: webhook:https://HOST/PATH"},
		{"webhook:example-path-token", "the webhook's address is no URL\n  hint: webhook:https://HOST/PATH"},
		{"webhook:https://%zz/example-path-token", "the webhook's address is no URL\n  hint: webhook:https://HOST/PATH"},
		{"webhook:http://example.com/example-path-token", "the webhook at example.com is not https\n  hint: webhook:https://…; http is for this machine alone"},
		{"webhook:http://127.0.0.1.example.com/", "the webhook at 127.0.0.1.example.com is not https\n  hint: webhook:https://…; http is for this machine alone"},
		{"webhook:ftp://example.com/", "the webhook at example.com is not https\n  hint: webhook:https://…; http is for this machine alone"},
		{"webhook:https://user:example-path-token@example.com/", "the address of the webhook at example.com holds a user or a password\n  hint: requests are signed with WEBHOOK_SECRET instead"},
	} {
		n, err := New(tt.spec, none, nil)
		if n != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v\nwant %s", tt.spec, err, tt.want)
		}
		silent(t, err)
	}
	for _, spec := range []string{"slack:#deploys", "slack:C0EXAMPLE", "slack", "webhook:https://example.com/x", "webhook:http://localhost:1/", "webhook:http://127.0.0.2/x", "webhook:http://[::1]:80/", "file:x"} {
		if n, err := New(spec, allCredentials, nil); n == nil || err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for _, hook := range []string{"http://hooks.slack.com/services/example-hook-token", "example-hook-token", "https:///services/example-hook-token"} {
		n, err := New("slack", credentials(map[string]string{SlackWebhookURL: hook}), nil)
		if n != nil || err == nil {
			t.Errorf("%s is taken", hook)
		}
		silent(t, err)
	}
	if _, err := New("slack", nil, nil); err == nil {
		t.Error("no credentials are enough")
	}
}

func TestSlackBot(t *testing.T) {
	t.Parallel()
	f := startSlack(t)
	if err := f.notifier("slack:#deploys", allCredentials).Notify(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	if len(f.posts) != 1 || len(f.files) != 0 {
		t.Fatalf("%d posts, %d files", len(f.posts), len(f.files))
	}
	p := f.posts[0]
	if p.Channel != "#deploys" || p.Text != "install prod: 1 of 2 releases failed" || p.Thread != "" {
		t.Errorf("got %+v", p)
	}
	want := "install prod: 1 of 2 releases failed\n" +
		"workspace *sock-shop* · context *prod* · cluster *prod-eu* · command *install* · status *failed*\n" +
		"• `carts` upgrade succeeded\n• `orders` create failed: timed out &lt;!channel&gt; hint: wait\n" +
		"```\n-a: &lt;1&gt;\n+a: [masked, changed] &amp; `\u200b`\u200b`\n```\n"
	if got := p.all(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSlackBotWithoutADiff(t *testing.T) {
	t.Parallel()
	f := startSlack(t)
	m := message()
	m.Diff, m.Releases = "", nil
	m.Markdown = "## Result **x** #\n- **carts** <b>\n```yaml\n# comment\n- **a**\n```\n"
	if err := f.notifier("slack:#deploys", allCredentials).Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got, want := f.posts[0].all(), "*Result x*\n• *carts* &lt;b&gt;\n```\n# comment\n- **a**\n```\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func longDiff(lines int) string {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "+line %d: <%s>\n", i, strings.Repeat("x&", i%50))
	}
	return b.String()
}

func TestSlackBotUploadsALongDiff(t *testing.T) {
	t.Parallel()
	f := startSlack(t)
	m := message()
	m.Diff = longDiff(2000)
	if err := f.notifier("slack:#deploys", allCredentials).Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(f.posts) != 1 || !strings.Contains(f.posts[0].all(), "The diff has 2000 lines and follows in the thread.") {
		t.Errorf("got %d posts: %v", len(f.posts), f.posts)
	}
	up := f.files["F0"]
	if up == nil || up.content != m.Diff || up.name != "kai.diff" || up.title != m.Title || up.channel != f.channel || up.thread != "1700000000.000001" {
		t.Errorf("got %+v", up)
	}
	if want := []string{"/api/chat.postMessage", "/api/files.getUploadURLExternal", "/upload/v1/F0", "/api/files.completeUploadExternal"}; !slices.Equal(f.calls, want) {
		t.Errorf("got %v", f.calls)
	}
}

func TestSlackBotThatMayNotUpload(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]struct {
		up   func(*fakeSlack)
		want string
	}{
		"no scope":       {func(f *fakeSlack) { f.scopes = []string{"chat:write"} }, "missing_scope"},
		"upload refused": {func(f *fakeSlack) { f.fail("/upload/v1/F0", fault{403, nil, "no"}) }, "Slack answers 403 Forbidden"},
		"storage full": {func(f *fakeSlack) {
			f.fail("/api/files.completeUploadExternal", fault{200, nil, `{"ok":false,"error":"storage_limit_reached"}`})
		}, "storage_limit_reached"},
		"address elsewhere": {func(f *fakeSlack) {
			f.fail("/api/files.getUploadURLExternal", fault{200, nil, `{"ok":true,"file_id":"F0","upload_url":"https://example.com/upload/v1/x"}`})
		}, "not an https Slack URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startSlack(t)
			set.up(f)
			m := message()
			m.Diff = longDiff(2000)
			if err := f.notifier("slack:#deploys", allCredentials).Notify(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if len(f.posts) != 2 {
				t.Fatalf("%d posts", len(f.posts))
			}
			p := f.posts[1]
			if p.Channel != f.channel || p.Thread != "1700000000.000001" || !strings.Contains(p.all(), "+line 0: &lt;&gt;\n") || !strings.Contains(p.all(), "of 2000 lines are shown.") ||
				!strings.Contains(p.all(), "could not be uploaded: ") || !strings.Contains(p.all(), set.want) {
				t.Errorf("got %+v", p)
			}
			silent(t, errors.New(p.all()))
		})
	}
}

func TestSlackErrors(t *testing.T) {
	t.Parallel()
	const path = "/api/chat.postMessage"
	for _, tt := range []struct {
		name, spec, token string
		faults            []fault
		scopes            []string
		want              string
	}{
		{name: "channel", spec: "slack:#none", want: "slack #none: channel_not_found\n  hint: is the channel's name right? In a private channel the bot must be a member: /invite @BOT"},
		{name: "token", token: "xoxb-example-other", want: "slack #deploys: invalid_auth\n  hint: SLACK_TOKEN is not a valid token: a bot's begins with xoxb-"},
		{name: "scope", scopes: []string{"files:write"}, want: "slack #deploys: missing_scope\n  hint: give the bot the scope chat:write"},
		{name: "unknown word", faults: []fault{{200, nil, `{"ok":false,"error":"fatal_example"}`}}, want: "slack #deploys: fatal_example"},
		{name: "echoed token", faults: []fault{{200, nil, `{"ok":false,"error":"no ` + exampleToken + `"}`}}, want: "slack #deploys: no [masked]"},
		{name: "status", faults: []fault{{418, nil, "teapot"}}, want: "slack #deploys: Slack answers 418 I'm a teapot"},
		{name: "too patient", faults: []fault{{429, map[string]string{"Retry-After": "3600"}, ""}}, want: "slack #deploys: Slack asks to wait for 1h0m0s, which is longer than kai does"},
		{name: "redirect", faults: []fault{{302, map[string]string{"Location": "https://example.com/"}, ""}}, want: "slack #deploys: Slack answers 302 Found"},
		{name: "no JSON", faults: []fault{{200, nil, `<html>`}}, want: "slack #deploys: invalid character '<' looking for beginning of value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := startSlack(t)
			f.fail(path, tt.faults...)
			if tt.scopes != nil {
				f.scopes = tt.scopes
			}
			err := f.notifier(orElse(tt.spec, "slack:#deploys"), credentials(map[string]string{SlackToken: orElse(tt.token, exampleToken)})).Notify(t.Context(), message())
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			silent(t, err)
			if len(f.calls) != 1 {
				t.Errorf("asked %v", f.calls)
			}
		})
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	oops := fault{500, nil, "<html>"}
	later := fault{429, map[string]string{"Retry-After": "Sat, 21 Nov 2026 12:00:09 GMT"}, "later"}
	for _, tt := range []struct {
		name   string
		faults []fault
		slept  []time.Duration
		fails  bool
	}{
		{"a limit", []fault{tooMany}, []time.Duration{7 * time.Second}, false},
		{"a date", []fault{later}, []time.Duration{9 * time.Second}, false},
		{"no time", []fault{{429, nil, ""}}, []time.Duration{500 * time.Millisecond}, false},
		{"zero", []fault{{429, map[string]string{"Retry-After": "0"}, ""}}, []time.Duration{500 * time.Millisecond}, false},
		{"faults", []fault{oops, {502, nil, ""}, {503, map[string]string{"Retry-After": "3"}, ""}, {504, nil, ""}},
			[]time.Duration{500 * time.Millisecond, time.Second, 3 * time.Second, 4 * time.Second}, false},
		{"always", []fault{oops, oops, oops, oops, oops}, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}, true},
		{"too long all in all", []fault{{429, map[string]string{"Retry-After": "60"}, ""}, {429, map[string]string{"Retry-After": "60"}, ""}, {429, map[string]string{"Retry-After": "60"}, ""}},
			[]time.Duration{time.Minute, time.Minute}, true},
		{"too long at once", []fault{{429, map[string]string{"Retry-After": "61"}, ""}}, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for spec, path := range map[string]string{"slack:#deploys": "/api/chat.postMessage", "slack": "/services/TEXAMPLE0/BEXAMPLE0/example-hook-token", "webhook:https://example.com/x": "/x"} {
				f := startSlack(t)
				handle := f.server
				if strings.HasPrefix(spec, "webhook") {
					handle = start(t, func(http.ResponseWriter, *http.Request) {})
				}
				handle.fail(path, tt.faults...)
				err := handle.notifier(spec, allCredentials).Notify(t.Context(), message())
				if (err != nil) != tt.fails || !slices.Equal(handle.clock.slept, tt.slept) {
					t.Errorf("%s: slept %v, %v", spec, handle.clock.slept, err)
				}
				silent(t, err)
			}
		})
	}
}

func TestUploadIsRetried(t *testing.T) {
	t.Parallel()
	f := startSlack(t)
	for _, path := range []string{"/api/files.getUploadURLExternal", "/upload/v1/F0", "/api/files.completeUploadExternal"} {
		f.fail(path, tooMany)
	}
	m := message()
	m.Diff = longDiff(2000)
	if err := f.notifier("slack:#deploys", allCredentials).Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(f.posts) != 1 || f.files["F0"].content != m.Diff || len(f.clock.slept) != 3 {
		t.Errorf("%d posts, slept %v", len(f.posts), f.clock.slept)
	}
}

func TestSlackWebhook(t *testing.T) {
	t.Parallel()
	f := startSlack(t)
	n := f.notifier("slack", allCredentials)
	if err := n.Notify(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	m := message()
	m.Diff = longDiff(5000)
	for i := range 500 {
		m.Releases = append(m.Releases, Release{Name: fmt.Sprintf("release-%d", i), Action: "create", Status: "failed", Error: strings.Repeat("😀<", 1000)})
	}
	m.Title = strings.Repeat("<&>", 200)
	if err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(f.posts) != 2 || !strings.Contains(f.posts[0].all(), "-a: &lt;1&gt;") {
		t.Fatalf("got %+v", f.posts)
	}
	if got := f.posts[1].all(); !strings.Contains(got, "of 502 releases are shown.") || !strings.Contains(got, "of 5000 lines are shown.") {
		t.Errorf("got %s", got)
	}
	for _, word := range []string{"invalid_payload", "no_service example-hook-token at " + exampleHook} {
		f.fail("/services/TEXAMPLE0/BEXAMPLE0/example-hook-token", fault{400, nil, word + "\n"})
		err := n.Notify(t.Context(), message())
		if err == nil || !strings.HasPrefix(err.Error(), "slack: the webhook answers 400 Bad Request: "+strings.Fields(word)[0]) {
			t.Errorf("got %v", err)
		}
		silent(t, err)
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	var got []Message
	deliveries := map[string]int{}
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		// As a receiver who knows the secret and the documentation only.
		mac := hmac.New(sha256.New, []byte(exampleSecret))
		mac.Write([]byte(r.Header.Get("X-Kai-Timestamp") + "." + string(body)))
		if !hmac.Equal([]byte(r.Header.Get("X-Kai-Signature")), []byte("sha256="+hex.EncodeToString(mac.Sum(nil)))) {
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		if seconds, err := strconv.ParseInt(r.Header.Get("X-Kai-Timestamp"), 10, 64); err != nil || time.Unix(seconds, 0).UTC() != time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) {
			t.Errorf("got the time %s", r.Header.Get("X-Kai-Timestamp"))
		}
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Meant-For") != "https://example.com" || r.URL.RawQuery != "key=example-query-token" {
			t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
		}
		deliveries[r.Header.Get("X-Kai-Delivery")]++
		var m Message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		got = append(got, m)
		w.WriteHeader(http.StatusAccepted)
	})
	const spec = "webhook:https://example.com/example-path-token?key=example-query-token"
	n := s.notifier(spec, allCredentials)
	for range 2 {
		if err := n.Notify(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 2 || !reflect.DeepEqual(got[0], message()) || len(deliveries) != 2 {
		t.Errorf("got %+v, %v", got, deliveries)
	}
	err := s.notifier(spec, credentials(map[string]string{WebhookSecret: "example-other"})).Notify(t.Context(), message())
	if want := "webhook example.com: answers 401 Unauthorized: bad signature"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	for _, f := range []fault{
		{404, nil, "Cannot POST /example-path-token?key=example-query-token\n"},
		{400, nil, "key=example-query-token https://example.com/example-path-token " + exampleSecret},
		{403, nil, "<html>example-path-token</html>"},
		{307, map[string]string{"Location": "https://elsewhere.example.com/example-path-token"}, ""},
		{501, nil, ""},
	} {
		s.fail("/example-path-token", f)
		err := n.Notify(t.Context(), message())
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("webhook example.com: answers %d ", f.status)) {
			t.Errorf("got %v", err)
		}
		silent(t, err)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	gone := start(t, func(http.ResponseWriter, *http.Request) {})
	gone.client.Transport = broken{}
	for _, spec := range []string{"slack:#deploys", "slack", "webhook:https://example.com/example-path-token"} {
		err := gone.notifier(spec, allCredentials).Notify(t.Context(), message())
		if err == nil || !strings.Contains(err.Error(), "no such host") {
			t.Errorf("%s: got %v", spec, err)
		}
		silent(t, err)
	}
	if len(gone.clock.slept) > 0 {
		t.Errorf("slept %v", gone.clock.slept)
	}
	refusing := start(t, func(http.ResponseWriter, *http.Request) {})
	refusing.client.Transport = rewrite{"127.0.0.1:1"}
	err := refusing.notifier("webhook:https://example.com/example-path-token", allCredentials).Notify(t.Context(), message())
	if err == nil || len(refusing.clock.slept) != maxAttempts-1 {
		t.Errorf("slept %v, %v", refusing.clock.slept, err)
	}
	silent(t, err)
}

// broken is a network where no name is known.
type broken struct{}

func (broken) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("%s %s: no such host", r.Method, r.URL)
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"slack:#deploys", "slack", "webhook:https://example.com/x", "file:" + filepath.Join(t.TempDir(), "x")} {
		f := startSlack(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := f.notifier(spec, allCredentials).Notify(ctx, message())
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", spec, err)
		}
		silent(t, err)
	}
	// In the middle of a wait, with a real clock.
	s := start(t, func(http.ResponseWriter, *http.Request) {})
	s.fail("/x", fault{429, map[string]string{"Retry-After": "30"}, ""})
	n, err := New("webhook:https://example.com/x", allCredentials, s.client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := n.Notify(ctx, message()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "kai.jsonl")
	long := message()
	long.Diff = longDiff(3000)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			n, err := New("file:"+name, nil, nil)
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				if err := n.Notify(context.Background(), long); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<22)
	n := 0
	for in.Scan() {
		var m Message
		if err := json.Unmarshal(in.Bytes(), &m); err != nil || !reflect.DeepEqual(m, long) {
			t.Fatalf("line %d: %v", n, err)
		}
		n++
	}
	if n != 100 {
		t.Errorf("%d lines", n)
	}
	for _, bad := range []string{filepath.Join(name, "below"), filepath.Dir(name), filepath.Join(filepath.Dir(name), "none", "x")} {
		err := File{bad}.Notify(t.Context(), message())
		if err == nil || !strings.HasPrefix(err.Error(), "file "+bad+": ") {
			t.Errorf("got %v", err)
		}
	}
}

type failing struct{ err error }

func (f failing) Notify(context.Context, Message) error { return f.err }

func TestAll(t *testing.T) {
	t.Parallel()
	first, last := errors.New("first"), errors.New("last")
	err := All{failing{first}, failing{nil}, failing{last}}.Notify(t.Context(), Message{})
	if !errors.Is(err, first) || !errors.Is(err, last) {
		t.Errorf("got %v", err)
	}
	if err := (All{failing{nil}}).Notify(t.Context(), Message{}); err != nil {
		t.Error(err)
	}
}

// FuzzBlocks wants messages that Slack takes, whatever they are made of.
func FuzzBlocks(f *testing.F) {
	f.Add("title", "diff\n&<>", "error", 10)
	f.Add("", "", "", 0)
	f.Add("\xff😀&&&&&&&&&&&&", "```\n```", "<!here>", 3000)
	f.Fuzz(func(t *testing.T, title, diff, failure string, n int) {
		n = min(max(n, 0), 3000)
		m := Message{Title: title, Context: title, Markdown: strings.Repeat(diff, n), Releases: slices.Repeat([]Release{{Name: title, Error: failure}}, n)}
		for _, diff := range []string{"", strings.Repeat(diff, n)} {
			p := compose(m)
			whole := p.addDiff(diff, true)
			p.note("end")
			data, err := json.Marshal(p.blocks)
			if err != nil {
				t.Fatal(err)
			}
			var blocks []block
			if err := json.Unmarshal(data, &blocks); err != nil {
				t.Fatal(err)
			}
			if word := check(p.text+"x", blocks); word != "" {
				t.Fatalf("%s: %s", word, data)
			}
			text := post{Blocks: blocks}.all()
			if strings.ContainsAny(text, "<>") {
				t.Fatalf("unescaped: %s", text)
			}
			if whole && diff != "" && strings.Count(text, "```")%2 != 0 && m.Markdown == "" {
				t.Fatalf("the code does not end: %s", text)
			}
		}
	})
}
