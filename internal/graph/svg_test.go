package graph

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/build/buildtest"
	"github.com/helm-kai/helm-kai/internal/manifest"
	"github.com/helm-kai/helm-kai/internal/render"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// corpus gives the graph of a workspace of n services, through all that a command
// does.
func corpus(t *testing.T, n int) *Graph {
	t.Helper()
	ws, findings := workspace.Open(buildtest.Corpus(n))
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	releases, findings := build.Charts(t.Context(), ws, "prod", build.Options{})
	if findings.Err() != nil {
		t.Fatal(findings)
	}
	in := Input{Context: "prod"}
	for _, r := range releases {
		result, err := build.Render(t.Context(), r, render.Options{})
		if err != nil {
			t.Fatal(err)
		}
		objects, err := manifest.Parse(result.Text())
		if err != nil {
			t.Fatal(err)
		}
		in.Releases = append(in.Releases, Release{
			Name: r.Name, Shared: r.Kind == build.KindDependency, Namespace: r.Namespace, Labels: r.Labels, Needs: r.Needs, Objects: objects,
		})
	}
	g, err := New(in)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestReadable: with sixty-four services and their friends no box meets another,
// no arrow goes through a box that is not its own, and no text meets another.
func TestReadable(t *testing.T) {
	t.Parallel()
	g := corpus(t, 64)
	d := g.draw()
	sizes := make([]size, len(d.boxes))
	for i, b := range d.boxes {
		sizes[i] = b.size()
	}
	var links []link
	for _, a := range d.arrows {
		links = append(links, a.link())
	}
	if len(d.boxes) < 100 || len(links) < 100 {
		t.Fatalf("%d boxes, %d arrows", len(d.boxes), len(links))
	}
	p := arrange(sizes, links)
	if wrong := faults(p, sizes, links); wrong != nil {
		t.Error(wrong)
	}
	if p.w > 2600 || p.h > 2600 {
		t.Errorf("%.0f × %.0f", p.w, p.h)
	}
	first := textsApart(t, []*Graph{g, g})
	if second := textsApart(t, []*Graph{g, g}); first != second {
		t.Error("another picture the second time")
	}
}

// textsApart draws graphs, and fails where a text meets another or leaves the
// picture.
func textsApart(t *testing.T, graphs []*Graph) string {
	t.Helper()
	var out bytes.Buffer
	if err := writeSVG(&out, graphs); err != nil {
		t.Fatal(err)
	}
	type word struct {
		rect
		text string
	}
	var words []word
	var width, height float64
	decoder := xml.NewDecoder(bytes.NewReader(out.Bytes()))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		has := map[string]string{}
		for _, a := range start.Attr {
			has[a.Name.Local] = a.Value
		}
		number := func(key string) float64 {
			v, err := strconv.ParseFloat(has[key], 64)
			if err != nil {
				t.Fatalf("%s of %v: %v", key, start, err)
			}
			return v
		}
		switch start.Name.Local {
		case "svg":
			width, height = number("width"), number("height")
		case "text":
			var text string
			if err := decoder.DecodeElement(&text, &start); err != nil {
				t.Fatal(err)
			}
			size, bold, class := lineSize, false, has["class"]
			switch {
			case strings.Contains(class, "name"):
				size, bold = nameSize, true
			case strings.Contains(class, "title"):
				size, bold = 16, true
			case strings.Contains(class, "wave"):
				size = 10
			}
			w := word{rect{number("x"), number("y") - 0.8*size, textWide(text, size, bold), size}, text}
			if strings.Contains(class, "wave") {
				w.x -= w.w / 2
			}
			words = append(words, w)
		}
	}
	if len(words) < 3 {
		t.Fatalf("%d texts", len(words))
	}
	for i, a := range words {
		if a.x < 0 || a.y < 0 || a.x+a.w > width || a.y+a.h > height {
			t.Errorf("%q leaves the picture", a.text)
		}
		for _, b := range words[:i] {
			if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				t.Errorf("%q meets %q", a.text, b.text)
			}
		}
	}
	return out.String()
}
