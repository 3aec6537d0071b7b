package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/kubeschema"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

const (
	// descriptorRegressions is the seed whose mutants are the same in every run;
	// another is new, and printed.
	descriptorRegressions = 6
	descriptorMutants     = 40
)

// TestDescriptorMutants makes mistakes in the descriptors of all examples, one at a
// time. Each has to be an error at the line of the mistake.
func TestDescriptorMutants(t *testing.T) {
	t.Parallel()
	fresh := rand.Uint64()
	t.Logf("the new seed is %d", fresh)
	var all []site
	for _, name := range []string{"friends", "hello", "jobs", "podinfo", "routes", "sock-shop"} {
		e := newExample(t, "../../testdata/"+name)
		for file := range e.files {
			if path.Base(file) == descriptor.FileName {
				all = append(all, e.sites(t, file)...)
			}
		}
	}
	slices.SortFunc(all, func(a, b site) int { return strings.Compare(a.String(), b.String()) })
	mutants := descriptorMutants
	if raceDetector {
		mutants /= 8
	}
	for _, seed := range []uint64{descriptorRegressions, fresh} {
		r := rand.New(rand.NewPCG(seed, 0))
		kinds := map[string]int{}
		for range mutants {
			s := all[r.IntN(len(all))]
			kinds[s.mistake]++
			if why := s.missed(t); why != "" {
				t.Errorf("seed %d: %s: %s", seed, s, why)
			}
		}
		t.Logf("seed %d: %v of %d sites", seed, kinds, len(all))
	}
}

// example is a workspace in memory, and what is wrong with its services as they are.
type example struct {
	name  string
	files fstest.MapFS
	kit   *build.Kit
	base  map[string]map[validate.Finding]bool // by descriptor
}

func newExample(t *testing.T, dir string) *example {
	t.Helper()
	e := &example{name: path.Base(dir), files: fstest.MapFS{}, kit: build.NewKit(), base: map[string]map[validate.Finding]bool{}}
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, file)
		e.files[file] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// findings validates the service of one descriptor, which has another text.
func (e *example) findings(t *testing.T, file string, text []byte) []validate.Finding {
	t.Helper()
	schemas, err := kubeschema.Load("")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for name, f := range e.files {
		files[name] = f
	}
	files[file] = &fstest.MapFile{Data: text}
	v := &validation{
		f: &validateFlags{namespace: "default", jobs: 1}, read: &readFiles{FS: files, names: map[string]bool{}},
		schemas: schemas, kit: e.kit, checked: map[string]bool{},
	}
	ws, findings := workspace.Open(v.read)
	if ws == nil {
		v.stage("", "", findings)
		return v.found
	}
	v.ws, v.mentions = ws, newMentions(ws)
	v.scope = &scope{names: map[string]bool{}, files: map[string]bool{}, used: map[string]bool{}, beside: map[string]bool{}}
	v.mentions.of(file, v.scope)
	v.mentions.besides(v.scope)
	if err := v.stages(t.Context(), findings, ws.ContextNames()); err != nil {
		t.Fatal(err)
	}
	return validate.Settle(v.found, v.settings)
}

// site is a mistake that can be made at a place of a descriptor.
type site struct {
	of                 *example
	file, mistake, now string
	at                 source.Position
	was                string
	lines              []int // of which one has to have an error
}

func (s site) String() string {
	return fmt.Sprintf("%s/%s:%d:%d: %s, %q → %q", s.of.name, s.file, s.at.Line, s.at.Column, s.mistake, s.was, s.now)
}

// missed makes the mistake, and says why it is not reported.
func (s site) missed(t *testing.T) string {
	t.Helper()
	text := s.of.files[s.file].Data
	if s.of.base[s.file] == nil {
		s.of.base[s.file] = map[validate.Finding]bool{}
		for _, f := range s.of.findings(t, s.file, text) {
			s.of.base[s.file][f] = true
		}
	}
	lines := bytes.Split(text, []byte("\n"))
	line := lines[s.at.Line-1]
	rest, ok := bytes.CutPrefix(line[s.at.Column-1:], []byte(s.was))
	if !ok {
		return ""
	}
	lines[s.at.Line-1] = slices.Concat(line[:s.at.Column-1], []byte(s.now), rest)
	var others []string
	for _, f := range s.of.findings(t, s.file, bytes.Join(lines, []byte("\n"))) {
		if s.of.base[s.file][f] || f.Severity != validate.Error {
			continue
		}
		if f.File == s.file && slices.Contains(s.lines, f.Line) {
			return ""
		}
		others = append(others, fmt.Sprintf("%s:%d %s", f.File, f.Line, f))
	}
	if others == nil {
		return "nothing is reported"
	}
	return "reported elsewhere alone: " + strings.Join(others, "; ")
}

// Where mistakes are made, by what the path of a value matches.
var (
	closedKeys = regexp.MustCompile(`^(contexts|images|routes|probes|mounts)$|^(images|routes|probes|mounts)\[\]\.[a-zA-Z]+$|^contexts\[\]\.[a-zA-Z]+$|^probes\[\]\.(httpGet|tcpSocket)\.[a-zA-Z]+$`)
	numberKeys = regexp.MustCompile(`^routes\[\]\.(port|containerPort)$|^contexts\[\]\.replicas$|^probes\[\]\.(periodSeconds|timeoutSeconds|failureThreshold)$`)
	portKeys   = regexp.MustCompile(`^routes\[\]\.(port|containerPort)$`)
	references = regexp.MustCompile(`^contexts\[\]\.(image|flavor|extends|routes\[\]|mounts\[\]|probes\.(liveness|readiness|startup)|friends\[\]\.(from|service))$`)
	probePorts = regexp.MustCompile(`^probes\[\]\.(httpGet|tcpSocket)\.port$`)
	enums      = regexp.MustCompile(`^routes\[\]\.(protocol|type)$`)
	mapsOnly   = regexp.MustCompile(`^contexts\[\]\.(resources|security|scheduling|disruption|updates)$`)
	required   = regexp.MustCompile(`^name$|^images\[\]\.repository$|^probes\[\]\.(httpGet|tcpSocket)\.port$|^mounts\[\]\.path$`)
	indexes    = regexp.MustCompile(`\[\d+\]`)
)

// sites lists the mistakes that can be made in a descriptor.
func (e *example) sites(t *testing.T, file string) []site {
	t.Helper()
	root, findings := source.ReadYAML(e.files, file)
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	var out []site
	add := func(mistake string, at source.Position, was, now string, lines ...int) {
		out = append(out, site{of: e, file: file, mistake: mistake, at: at, was: was, now: now, lines: append(lines, at.Line)})
	}
	var walk func(v *source.Value, at string)
	walk = func(v *source.Value, at string) {
		form := indexes.ReplaceAllString(at, "[]")
		for _, f := range v.FieldsOrNone() {
			here := strings.TrimPrefix(at+"."+f.Key, ".")
			form := indexes.ReplaceAllString(here, "[]")
			if closedKeys.MatchString(form) && f.Key != "name" {
				add("rename a field", f.Origin.Position, f.Key, f.Key+"x")
			}
			if required.MatchString(form) {
				add("missing", f.Origin.Position, f.Key, "x-"+f.Key, v.Origin.Line)
			}
			walk(f.Value, here)
		}
		for i, item := range v.ItemsOrNone() {
			walk(item, fmt.Sprintf("%s[%d]", at, i))
		}
		if !v.IsScalar() || v.Text == "" {
			return
		}
		p := v.Origin.Position
		switch {
		case v.Kind == source.Number && numberKeys.MatchString(form):
			add("wrong type", p, v.Text, "kai")
			if portKeys.MatchString(form) {
				add("wrong port", p, v.Text, "70000")
				add("wrong port", p, v.Text, "-1")
			}
		case references.MatchString(form) && !strings.Contains(v.Text, "$"):
			add("typo in a reference", p, v.Text, v.Text+"x")
			add("wrong type", p, v.Text, "{kai: kai}")
		case probePorts.MatchString(form) && v.Kind == source.String:
			add("wrong port", p, v.Text, v.Text+"x")
		case probePorts.MatchString(form):
			add("wrong port", p, v.Text, "9")
		case enums.MatchString(form):
			add("typo in an enum", p, v.Text, v.Text+"x")
		}
		if mapsOnly.MatchString(form) {
			add("wrong type", p, v.Text, "kai")
		}
	}
	walk(root, "")
	return out
}
