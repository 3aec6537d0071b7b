package render

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
)

// arrange makes manifests of the templates' output, in Helm's order.
func arrange(own *chart.Chart, files map[string]string, opts Options) (*Result, error) {
	result := &Result{}
	names := make([]string, 0, len(files))
	for name, text := range files {
		switch {
		case !strings.HasSuffix(name, notesFile):
			names = append(names, name)
		case name == path.Join(own.Name(), "templates", notesFile):
			result.Notes = text
		}
	}
	slices.Sort(names)
	if opts.IncludeCRDs {
		for _, crd := range own.CRDObjects() {
			result.Manifests = append(result.Manifests, crdManifest(crd))
		}
	}
	var objects, hooks []Manifest
	for _, name := range names {
		for _, text := range documents(files[name]) {
			m, known, err := manifestOf(name, text)
			if err != nil {
				return nil, manifestError(own, wrongManifest(name, text, err))
			}
			switch {
			case !m.Hook:
				objects = append(objects, m)
			case known && !opts.NoHooks:
				hooks = append(hooks, m)
			}
		}
	}
	byKind(objects)
	byKind(hooks)
	result.Manifests = append(append(result.Manifests, objects...), hooks...)
	return result, nil
}

// wrongManifest gives Helm's error about a document that cannot be read.
func wrongManifest(name, text string, err error) error {
	if _, _, helms := releaseutil.SortManifests(map[string]string{name: text}, nil, releaseutil.InstallOrder); helms != nil {
		return helms
	}
	return fmt.Errorf("YAML parse error on %s: %w", name, err)
}

// space is what Helm's expression for the line between documents, which is
// (?:^|\s*\n)---\s*, takes for \s.
const space = "\t\n\f\r "

// documents gives those of a template's output, as Helm splits it.
func documents(text string) []string {
	text = strings.TrimSpace(text)
	var out []string
	add := func(d string) {
		if d != "" {
			out = append(out, strings.TrimSpace(d))
		}
	}
	from := 0
	if strings.HasPrefix(text, "---") {
		from = skipSpace(text, 3)
	}
	for begin := from; ; {
		i := strings.Index(text[begin:], "\n---")
		if i < 0 {
			add(text[from:])
			return out
		}
		end := begin + i
		for end > from && strings.IndexByte(space, text[end-1]) >= 0 {
			end--
		}
		add(text[from:end])
		from = skipSpace(text, begin+i+len("\n---"))
		begin = from
	}
}

func skipSpace(text string, i int) int {
	for i < len(text) && strings.IndexByte(space, text[i]) >= 0 {
		i++
	}
	return i
}

// manifestOf reads what Helm reads of a document. A hook whose events Helm does
// not know is not known.
func manifestOf(source, text string) (m Manifest, known bool, err error) {
	h, ok := readHead(text)
	if !ok {
		if h, err = parseHead(text); err != nil {
			return m, false, err
		}
	}
	m = Manifest{Source: source, Content: text, APIVersion: h.apiVersion, Kind: h.kind, Name: h.name}
	types, ok := h.annotations[release.HookAnnotation]
	if !ok {
		return m, true, nil
	}
	m.Hook = true
	for _, name := range strings.Split(types, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "test-success" { // Helm 2's
			name = release.HookTest.String()
		}
		if !slices.Contains(hookEvents, name) {
			return m, false, nil
		}
		m.Events = append(m.Events, name)
	}
	if weight, err := strconv.Atoi(h.annotations[release.HookWeightAnnotation]); err == nil {
		m.Weight = weight
	}
	return m, true, nil
}

// hookEvents are those that Helm knows.
var hookEvents = []string{
	release.HookPreInstall.String(), release.HookPostInstall.String(), release.HookPreDelete.String(), release.HookPostDelete.String(),
	release.HookPreUpgrade.String(), release.HookPostUpgrade.String(), release.HookPreRollback.String(), release.HookPostRollback.String(),
	release.HookTest.String(),
}

// parseHead reads the head of a document with Helm's own parser.
func parseHead(text string) (head, error) {
	var h releaseutil.SimpleHead
	if err := unmarshalYAML([]byte(text), &h); err != nil {
		return head{}, err
	}
	out := head{apiVersion: h.Version, kind: h.Kind}
	if h.Metadata != nil {
		out.name, out.annotations = h.Metadata.Name, h.Metadata.Annotations
	}
	return out, nil
}

// installOrder tells for a kind when it is installed; kinds that Helm does not
// know come last, by their names.
var installOrder = func() map[string]int {
	order := map[string]int{}
	for i, kind := range releaseutil.InstallOrder {
		order[kind] = i
	}
	return order
}()

// byKind sorts manifests as Helm installs them.
func byKind(manifests []Manifest) {
	slices.SortStableFunc(manifests, func(a, b Manifest) int {
		i, known := installOrder[a.Kind]
		j, other := installOrder[b.Kind]
		switch {
		case known && other:
			return i - j
		case known:
			return -1
		case other:
			return 1
		}
		return strings.Compare(a.Kind, b.Kind)
	})
}

func crdManifest(crd chart.CRD) Manifest {
	m := Manifest{Source: crd.Filename, Content: string(crd.File.Data), CRD: true}
	// A file with several documents, or with none, has no one name.
	if h, err := parseHead(m.Content); err == nil {
		m.APIVersion, m.Kind, m.Name = h.apiVersion, h.kind, h.name
	}
	return m
}
