package explain

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/helm-kai/helm-kai/flavors"
	"github.com/helm-kai/helm-kai/friends"
	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// all has every value edited on disk; else a sample is.
var all = os.Getenv("KAI_EXPLAIN_ALL") != ""

// sampled is how many values of a workspace are edited without it.
const sampled = 5

// TestEveryLeaf goes over every field of the manifests of whole workspaces. Each
// value that is named as one that a field depends on is edited in a copy on disk,
// by an editor that knows nothing but the place in the text, and the field must
// change. A field that is said to change with no single value must not change under
// any edit of one.
func TestEveryLeaf(t *testing.T) {
	t.Parallel()
	workspaces := []struct{ workspace, context string }{
		{"hello", "prod"}, {"hello", "dev"}, {"sock-shop", "dev"}, {"sock-shop", "prod"}, {"podinfo", "dev"}, {"friends", "dev"}, {"jobs", "prod"},
	}
	if raceDetector {
		workspaces = workspaces[:1] // e2e runs all of them without the race detector
	}
	for _, c := range workspaces {
		t.Run(c.workspace+"/"+c.context, func(t *testing.T) {
			t.Parallel()
			everyLeaf(t, filepath.Join("../../testdata", c.workspace), c.context)
		})
	}
}

func everyLeaf(t *testing.T, dir, contextName string) {
	ctx := t.Context()
	w, findings := workspace.Open(os.DirFS(dir))
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	x, findings, err := New(ctx, w, Options{Context: contextName})
	if err != nil || findings.Err() != nil {
		t.Fatal(err, findings)
	}
	start := time.Now()
	units := x.units()
	if !all {
		var some []unit
		for i := 0; i < len(units); i += max(1, len(units)/sampled) {
			some = append(some, units[i])
		}
		units = some
	}
	found, err := x.trace(ctx, units)
	if err != nil {
		t.Fatal(err)
	}
	leaves, still := 0, 0
	for _, r := range x.releases {
		leaves += len(r.objects.leaves)
		for _, causes := range r.causes {
			if !slices.ContainsFunc(causes, func(c cause) bool { return !c.gone }) {
				still++
			}
		}
	}
	t.Logf("%d values, %d fields, %d that none changes, %s", len(units), leaves, still, time.Since(start).Round(time.Millisecond))
	if all && (still == leaves || still == 0) {
		t.Errorf("%d of %d fields change with no single value", still, leaves)
	}

	again := remaker{base: w, kit: build.NewKit(), context: contextName}
	before := again.flat(t, newDisk(t, dir))
	type edit struct {
		unit    *unit
		outcome outcome
	}
	var edits []edit
	for i := range units {
		for _, o := range found[i] {
			edits = append(edits, edit{&units[i], o})
		}
	}
	start = time.Now()
	build.Each(ctx, 2, len(edits), func(i int) {
		e := edits[i]
		d := newDisk(t, dir)
		defer os.RemoveAll(d.dir)
		if !d.edit(t, e.unit, e.outcome.change) {
			return
		}
		x.hold(t, before, again.flat(t, d), e.unit, e.outcome)
	})
	t.Logf("%d edits on disk, %s", len(edits), time.Since(start).Round(time.Millisecond))
}

// hold compares what an edit on disk did with what was said of it.
func (x *Explainer) hold(t *testing.T, before, after map[string]map[string]any, u *unit, o outcome) {
	what := fmt.Sprintf("%s %s: %s → %q", u.place, u.place.Path, oneLine(u.place.Value), o.change.text())
	if after == nil {
		t.Errorf("%s: no charts can be made of the copy on disk", what)
		return
	}
	for i, r := range x.releases {
		now := after[r.Name]
		if now == nil {
			continue // the release has another name now
		}
		said := map[string]bool{}
		for _, e := range [][]int{o.effects[i].altered, o.effects[i].gone} {
			for _, leaf := range e {
				name := r.objects.leaves[leaf].String()
				said[name] = true
				if v, ok := now[name]; ok && reflect.DeepEqual(v, before[r.Name][name]) {
					t.Errorf("%s: %s does not change", what, name)
				}
			}
		}
		for leaf, l := range r.objects.leaves {
			v, ok := now[l.String()]
			switch {
			case ok && reflect.DeepEqual(v, l.Value) || said[l.String()]:
			case len(r.causes[leaf]) == 0:
				t.Errorf("%s: %s is said to change with no single value, and is %v now", what, l, v)
			default:
				t.Errorf("%s: %s is %v now, which was not said", what, l, v)
			}
		}
	}
}

// disk is a copy of a workspace and of the library, in one folder.
type disk struct{ dir string }

func newDisk(t *testing.T, dir string) *disk {
	d := &disk{t.TempDir()}
	for name, from := range map[string]fs.FS{"workspace": os.DirFS(dir), "flavors": flavors.FS, "friends": friends.FS} {
		if err := os.CopyFS(filepath.Join(d.dir, name), from); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// remaker makes the charts of copies.
type remaker struct {
	base    *workspace.Workspace
	kit     *build.Kit
	context string
}

// flat renders a copy and gives its fields by release and name, or nil where no
// charts can be made.
func (m *remaker) flat(t *testing.T, d *disk) map[string]map[string]any {
	ctx := t.Context()
	form := func(of fs.FS) fs.FS {
		switch of {
		case fs.FS(flavors.FS):
			return os.DirFS(filepath.Join(d.dir, "flavors"))
		case fs.FS(friends.FS):
			return os.DirFS(filepath.Join(d.dir, "friends"))
		}
		return os.DirFS(filepath.Join(d.dir, "workspace"))
	}
	w, findings := m.base.Again(form, false)
	if findings.Err() != nil {
		t.Log(findings)
		return nil
	}
	releases, findings := build.Charts(ctx, w, m.context, build.Options{Jobs: 1, Kit: m.kit})
	if findings.Err() != nil {
		t.Log(findings)
		return nil
	}
	out := map[string]map[string]any{}
	for _, r := range releases {
		result, err := build.Render(ctx, r, render.Options{})
		if err != nil {
			return nil
		}
		list, err := manifest.Parse(result.Text())
		if err != nil {
			t.Error(err)
		}
		fields := map[string]any{}
		for _, o := range list {
			flatten(fields, o.Ref.String()+":", "", o.Fields)
		}
		out[r.Name] = fields
	}
	return out
}

// flatten names fields as explain does, items of lists by their names.
func flatten(into map[string]any, object, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			flatten(into, object, joined(path, key), below)
		}
		if len(v) > 0 {
			return
		}
	case []any:
		names := map[string]bool{}
		for _, item := range v {
			m, _ := item.(map[string]any)
			if name, _ := m["name"].(string); name != "" {
				names[name] = true
			}
		}
		for i, item := range v {
			name := ""
			if len(names) == len(v) {
				name = item.(map[string]any)["name"].(string)
			}
			flatten(into, object, path+segment(name, i), item)
		}
		if len(v) > 0 {
			return
		}
	}
	into[object+path] = v
}

// edit changes the text at a place, as an editor would that knows no YAML but how
// scalars are quoted. It says whether it can.
func (d *disk) edit(t *testing.T, u *unit, c change) bool {
	folder := "workspace"
	file := u.place.File
	if u.place.BuiltIn {
		folder, file, _ = strings.Cut(u.place.File, "/")
	}
	name := filepath.Join(d.dir, folder, filepath.FromSlash(path.Clean(file)))
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if u.place.Whole {
		data = append(data, "x\n"...)
	} else if data = replaceText(t, data, u, c); data == nil {
		return false
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return true
}

func replaceText(t *testing.T, data []byte, u *unit, c change) []byte {
	lines := strings.SplitAfter(string(data), "\n")
	line := []rune(strings.TrimSuffix(lines[u.place.Line-1], "\n"))
	before, rest := string(line[:u.place.Column-1]), string(line[u.place.Column-1:])
	token := tokenOf(rest, inFlow(before))
	switch {
	case strings.HasPrefix(rest, "|"), strings.HasPrefix(rest, ">"):
		// A block ends before the first line that is not indented deeper.
		indent := len(before) - len(strings.TrimLeft(before, " -"))
		end := u.place.Line
		for end < len(lines) && (strings.TrimSpace(lines[end]) == "" || len(lines[end])-len(strings.TrimLeft(lines[end], " ")) > indent) {
			end++
		}
		lines = slices.Delete(lines, u.place.Line, end)
		token = rest
	case u.value.Kind == source.String && !saysText(token, u.value.Text), u.value.Kind == source.Number && token != u.value.Text:
		t.Errorf("%s: at the place stands %q, and not %q", u.place, token, u.value.Text)
		return nil
	}
	after := strings.TrimPrefix(rest, token)
	if c.value != nil {
		text := c.text()
		if c.value.Kind == source.String && !u.key {
			quoted, err := json.Marshal(c.value.Text)
			if err != nil {
				t.Fatal(err)
			}
			text = string(quoted)
		}
		lines[u.place.Line-1] = before + text + after + "\n"
		return []byte(strings.Join(lines, ""))
	}
	// Taken away, with its key and a comma.
	key := regexp.MustCompile(`(,\s*)?("[^"]*"|[^\s{\[,]+):\s*$`).FindString(before)
	cut := strings.TrimSuffix(before, key)
	if strings.HasPrefix(key, ",") || !strings.HasPrefix(strings.TrimSpace(after), ",") {
		if strings.TrimSpace(cut) == "" && strings.TrimSpace(after) == "" {
			lines[u.place.Line-1] = ""
			return []byte(strings.Join(lines, ""))
		}
	} else {
		after = strings.TrimPrefix(strings.TrimSpace(after), ",")
	}
	if key == "" || strings.TrimSpace(cut) == "-" {
		return nil // an item of a list, or the first key of one
	}
	lines[u.place.Line-1] = cut + after + "\n"
	return []byte(strings.Join(lines, ""))
}

// tokenOf cuts the scalar, {} or [] off the beginning of a text.
func tokenOf(rest string, flow bool) string {
	switch {
	case rest == "":
		return ""
	case strings.HasPrefix(rest, "{}"), strings.HasPrefix(rest, "[]"):
		return rest[:2]
	case rest[0] == '"':
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return rest[:i+1]
			}
		}
	case rest[0] == '\'':
		for i := 1; i < len(rest); i++ {
			if rest[i] == '\'' {
				if i+1 < len(rest) && rest[i+1] == '\'' {
					i++
					continue
				}
				return rest[:i+1]
			}
		}
	}
	for i := range rest {
		left := rest[i:]
		inner := strings.HasPrefix(left, ", ") || left == "," || left[0] == ']' || left[0] == '}'
		if i > 0 && (strings.HasPrefix(left, " #") || strings.HasPrefix(left, ": ") || left == ":" || flow && inner) {
			// ${NAME} is no end of a map.
			if left[0] == '}' && strings.LastIndex(rest[:i], "${") > strings.LastIndex(rest[:i], "}") {
				continue
			}
			return strings.TrimRight(rest[:i], " ")
		}
	}
	return strings.TrimRight(rest, " ")
}

// inFlow says whether a { or [ is open at the end of a text.
func inFlow(before string) bool {
	depth, quote := 0, rune(0)
	for _, c := range before {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return depth > 0
}

// saysText says whether a token of YAML is a text.
func saysText(token, text string) bool {
	var v any
	if strings.HasPrefix(token, `"`) || strings.HasPrefix(token, "'") {
		if err := yaml.Unmarshal([]byte(token), &v); err != nil {
			return false
		}
		return v == text
	}
	return token == text
}
