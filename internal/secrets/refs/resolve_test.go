package refs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// canary is in values that no error may show.
const canary = "example-canary"

// stores are openers that count what they are asked for.
type stores struct {
	mu      sync.Mutex
	asked   []string
	at, top int // how many at once
	wait    time.Duration
}

func (s *stores) enter(what string) func() {
	s.mu.Lock()
	s.asked = append(s.asked, what)
	s.at++
	s.top = max(s.top, s.at)
	s.mu.Unlock()
	time.Sleep(s.wait)
	return func() {
		s.mu.Lock()
		s.at--
		s.mu.Unlock()
	}
}

func (s *stores) openers() Openers {
	return Openers{
		Vault: func(ctx context.Context, at VaultAt, path string) (map[string]secrets.Value, error) {
			defer s.enter(strings.TrimSpace(at.Address + " " + path))()
			switch {
			case strings.Contains(path, "denied"):
				return nil, errors.New("permission denied")
			case strings.Contains(path, "missing"):
				return nil, nil
			}
			nested, err := secrets.Of(map[string]any{"list": []any{"x", json.Number("1.50")}})
			return map[string]secrets.Value{"A": secrets.New("of " + path), "nested": nested, "json": secrets.New(`{"a":{"b":true}}`), "bad": secrets.New("*" + canary + ": [")}, err
		},
		Kubernetes: func(_ context.Context, kind, namespace, name string) (map[string]secrets.Value, error) {
			defer s.enter(kind + " " + namespace + " " + name)()
			return map[string]secrets.Value{"password": secrets.New("example"), "conf": secrets.New("a: {b: 0x1f}\n")}, nil
		},
		File: func(_ context.Context, path string) (secrets.Value, error) {
			defer s.enter(path)()
			return secrets.New("a:\n  - text: '42'\n    other: reflected\n    number: 42\n    null: ~\n"), nil
		},
		Env: func(name string) (secrets.Value, bool) {
			defer s.enter(name)()
			return secrets.New("value of " + name), name != "UNSET"
		},
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	want := map[string]secrets.Value{}
	for text, x := range map[string]any{
		"ref+vault://kv/a#/A":                                  "of kv/a",
		"secretref+vault://kv/a#A+":                            "of kv/a",
		"ref+vault://kv/a#/nested":                             map[string]any{"list": []any{"x", json.Number("1.50")}},
		"ref+vault://kv/a#/nested/list/1":                      json.Number("1.50"),
		"ref+vault://kv/a#/json/a/b":                           true,
		"ref+vault://kv/a?address=https://other.example.com#A": "of kv/a",
		"ref+k8s://v1/Secret/shop/db/password":                 "example",
		"ref+k8s://v1/Secret/shop/db/conf#/a":                  map[string]any{"b": json.Number("31")},
		"ref+file://a.yaml#/a/0/text":                          "42",
		"ref+file://a.yaml#/a/0/number":                        json.Number("42"),
		"ref+env://A":                                          "value of A",
	} {
		v, err := secrets.Of(x)
		if err != nil {
			t.Fatal(err)
		}
		want[text] = v
	}
	var texts []string
	for text := range want {
		texts = append(texts, text, text)
	}
	s := &stores{}
	r := New(s.openers())
	for range 2 {
		got, errs := r.Resolve(t.Context(), texts)
		if len(errs) > 0 || len(got) != len(want) {
			t.Fatalf("%d values, %v", len(got), errs)
		}
		for text, v := range want {
			if !got[text].Equal(v) {
				t.Errorf("%s is the %s %s", text, got[text].Kind(), got[text].Reveal())
			}
		}
	}
	slices.Sort(s.asked)
	if asked := strings.Join(s.asked, ", "); asked != "A, Secret shop db, a.yaml, https://other.example.com kv/a, kv/a" {
		t.Errorf("it was asked for %s", asked)
	}
	if out := fmt.Sprintf("%v %+v %#v", r, r, r.read["file\x01a.yaml"]); strings.Contains(out, "reflected") {
		t.Errorf("a printed resolver shows what it has read: %s", out)
	}
	whole, errs := Resolve(t.Context(), []string{"ref+vault://kv/a"}, s.openers())
	if v := whole["ref+vault://kv/a"]; len(errs) > 0 || v.Kind() != secrets.Map || !strings.HasPrefix(v.Reveal(), `{"A":"of kv/a"`) {
		t.Errorf("all of an entry is %s, %v", v.Reveal(), errs)
	}
}

func TestResolveAtOnce(t *testing.T) {
	t.Parallel()
	s := &stores{wait: 20 * time.Millisecond}
	var texts []string
	for i := range 200 {
		texts = append(texts, fmt.Sprintf("ref+vault://kv/%d?namespace=n#/A", i%20), fmt.Sprintf("ref+vault://kv/%d?namespace=n#/json/a/b", i%20))
	}
	r := New(s.openers())
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			if got, errs := r.Resolve(t.Context(), texts); len(got) != 40 || len(errs) > 0 {
				t.Errorf("%d values, %v", len(got), errs)
			}
		})
	}
	running.Wait()
	if len(s.asked) != 20 || s.top > width || s.top < 2 {
		t.Errorf("%d sources were read, up to %d at once", len(s.asked), s.top)
	}
}

func TestResolveFails(t *testing.T) {
	t.Parallel()
	s := &stores{}
	texts := []string{
		"ref+vault://kv/denied#/A", "ref+vault://kv/denied#/B", "ref+vault://kv/missing#/A", "ref+vault://kv/a#/a", "ref+vault://kv/a#/A/b",
		"ref+vault://kv/a#/bad/x", "ref+vault://kv/a#/nested/list/2", "ref+vault://kv/a#/nested/list/01", "ref+vault://kv/a#/json/a/c",
		"ref+file://a.yaml#/a/0/null", "ref+env://UNSET", "ref+exec://id", "ref+valt://x", "ref+env://A",
	}
	got, errs := Resolve(t.Context(), texts, s.openers())
	if len(got) != 1 || len(errs) != len(texts)-2 {
		t.Errorf("%d values, %d errors: %v", len(got), len(errs), errs)
	}
	said := map[string]string{}
	for _, err := range errs {
		said[err.Refs[0]] = err.Error()
		if strings.Contains(err.Error(), canary) {
			t.Errorf("an error shows a value: %v", err)
		}
		if (err.Offset >= 0) != (err.Refs[0] == "ref+valt://x") {
			t.Errorf("%v is at %d", err, err.Offset)
		}
		if err.Refs[0] == "ref+vault://kv/denied#/A" && len(err.Refs) != 2 {
			t.Errorf("it hinders %v", err.Refs)
		}
	}
	for text, want := range map[string]string{
		"ref+vault://kv/denied#/A":         "permission denied",
		"ref+vault://kv/missing#/A":        "kv/missing in Vault is not there",
		"ref+vault://kv/a#/a":              "kv/a in Vault has no key \"a\"\n  hint: did you mean \"A\"?",
		"ref+vault://kv/a#/A/b":            "/A of kv/a in Vault is neither a map nor a list",
		"ref+vault://kv/a#/bad/x":          "/bad of kv/a in Vault is neither YAML nor JSON (line 1)",
		"ref+vault://kv/a#/nested/list/2":  "is a list of 2, and \"2\" is none",
		"ref+vault://kv/a#/nested/list/01": "\"01\" is none",
		"ref+vault://kv/a#/json/a/c":       "/json/a of kv/a in Vault has no key \"c\"",
		"ref+file://a.yaml#/a/0/null":      "has no value",
		"ref+env://UNSET":                  "the variable UNSET is not there",
		"ref+exec://id":                    "not allowed",
		"ref+valt://x":                     "character 5: kai reads no references of the scheme",
	} {
		if !strings.Contains(said[text], want) {
			t.Errorf("%s: %q", text, said[text])
		}
	}
	_, errs = Resolve(t.Context(), []string{"ref+vault://a/b", "ref+k8s://v1/Secret/a/b/c", "ref+env://A", "ref+file://A"}, Openers{})
	if len(errs) != 4 || !strings.Contains(errs[0].Error(), "cannot be read here") {
		t.Errorf("without openers: %v", errs)
	}
}

func TestResolveEnds(t *testing.T) {
	t.Parallel()
	s := &stores{}
	r := New(s.openers())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, errs := r.Resolve(ctx, []string{"ref+env://A"})
	if len(got) != 0 || len(errs) != 1 || !errors.Is(errs[0], context.Canceled) {
		t.Errorf("%v, %v", got, errs)
	}
	if got, errs := r.Resolve(t.Context(), []string{"ref+env://A"}); len(got) != 1 || len(errs) > 0 {
		t.Errorf("after: %v, %v", got, errs)
	}
}

func TestFileIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "text\n", "large": strings.Repeat("x", maxFile+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// One of 200 MB, which is a hole.
	huge, err := os.Create(filepath.Join(dir, "huge"))
	if err == nil {
		err = errors.Join(huge.Truncate(200_000_000), huge.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	other, third := t.TempDir(), t.TempDir()
	for _, name := range []string{filepath.Join(other, "a.txt"), filepath.Join(third, "a.txt")} {
		if err := os.WriteFile(name, []byte("text\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// As Kubernetes mounts a Secret, and two that lead out.
	for name, to := range map[string]string{filepath.Join(other, "link"): "a.txt", filepath.Join(dir, "out"): filepath.Join(third, "a.txt"), filepath.Join(dir, "folder"): third} {
		if err := os.Symlink(to, name); err != nil {
			t.Skip(err)
		}
	}
	open := FileIn(dir, []string{other})
	for _, path := range []string{"a.txt", "b/../a.txt", filepath.ToSlash(filepath.Join(other, "a.txt")), filepath.ToSlash(filepath.Join(other, "link"))} {
		if v, err := open(t.Context(), path); err != nil || v.Reveal() != "text\n" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if v, err := FileIn(filepath.Join(dir, "b"), []string{".."})(t.Context(), "../a.txt"); err != nil || v.Reveal() != "text\n" {
		t.Errorf("beside: %v", err)
	}
	for _, path := range []string{"../a.txt", "b/../../a.txt", "..", "out", "folder/a.txt", filepath.ToSlash(filepath.Join(dir, "a.txt")), filepath.ToSlash(filepath.Join(third, "a.txt")), filepath.ToSlash(other) + "x/a.txt"} {
		if _, err := open(t.Context(), path); err == nil || !strings.HasPrefix(err.Error(), "the file "+path+" is not read") || !strings.Contains(err.Error(), "hint: keep it there, or list its folder in the workspace's context: secrets: {files: [/run/secrets]}") {
			t.Errorf("%s: %v", path, err)
		}
	}
	for path, want := range map[string]string{"none": "the file none is not there", ".": "is a folder", "large": "the bound of 4096 KiB", "huge": "the bound of 4096 KiB"} {
		if _, err := open(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestPrivateVariables: what kai logs in with is no value of a descriptor.
func TestPrivateVariables(t *testing.T) {
	t.Parallel()
	read := ""
	open := Openers{Env: func(name string) (secrets.Value, bool) {
		read += name + " "
		return secrets.New("x"), true
	}}
	for _, name := range []string{"VAULT_TOKEN", "KAI_VAULT_TOKEN", "kai_age_key", "KAIGARA_VAULT_TOKEN", "KUBECONFIG", "KUBE_TOKEN", "HELM_KUBETOKEN"} {
		_, errs := Resolve(t.Context(), []string{"ref+env://" + name}, open)
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), "the variable "+name+" is one that kai itself") {
			t.Errorf("%s: %v", name, errs)
		}
	}
	if _, errs := Resolve(t.Context(), []string{"ref+env://KUBERNETES_SERVICE_HOST", "ref+env://KAISER"}, open); len(errs) > 0 {
		t.Error(errs)
	}
	if read != "KAISER KUBERNETES_SERVICE_HOST " && read != "KUBERNETES_SERVICE_HOST KAISER " {
		t.Errorf("it read %s", read)
	}
}

// TestOneLineEnd leaves one line's end out at the end of a whole file, as of what a
// command prints, and none that a value in it has.
func TestOneLineEnd(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a": "text\n", "b": "two\nlines\r\n", "c": "more\n\n", "d": "text", "e": "", "f": "key: |\n  text\n"}
	open := Openers{File: func(_ context.Context, path string) (secrets.Value, error) { return secrets.New(files[path]), nil }}
	want := map[string]string{"a": "text", "b": "two\nlines", "c": "more\n", "d": "text", "e": "", "f#/key": "text\n"}
	for path, text := range want {
		values, errs := Resolve(t.Context(), []string{"ref+file://" + path}, open)
		if got := values["ref+file://"+path].Reveal(); len(errs) > 0 || got != text {
			t.Errorf("%s: %q, %v, and not %q", path, got, errs, text)
		}
	}
}

// TestAnotherGivesUp: who waits for what another reads is not hindered by that one's
// end, and who has ended does not wait.
func TestAnotherGivesUp(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	var asked atomic.Int32
	r := New(Openers{File: func(ctx context.Context, _ string) (secrets.Value, error) {
		if asked.Add(1) == 1 {
			close(begun)
			<-ctx.Done()
			return secrets.Value{}, ctx.Err()
		}
		return secrets.New("x"), nil
	}})
	first, giveUp := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, errs := r.Resolve(first, []string{"ref+file://a"}); len(errs) != 1 {
			t.Error(errs)
		}
	})
	<-begun
	over, end := context.WithCancel(t.Context())
	end()
	if _, errs := r.Resolve(over, []string{"ref+file://a"}); len(errs) != 1 || !errors.Is(errs[0], context.Canceled) {
		t.Error(errs)
	}
	waits := make(chan struct{})
	all.Go(func() {
		close(waits)
		if got, errs := r.Resolve(t.Context(), []string{"ref+file://a"}); len(errs) > 0 || got["ref+file://a"].Reveal() != "x" {
			t.Errorf("it is hindered: %v", errs)
		}
	})
	<-waits
	time.Sleep(20 * time.Millisecond)
	giveUp()
	all.Wait()
}
