package generator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// TestImageName: what of an image's name no registry takes, and at which field.
func TestImageName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 256)
	for _, c := range []struct{ registry, repository, tag, want string }{
		{"", "web", "1", ""},
		{"registry.example.com", "team/web", "1", ""},
		{"registry.example.com:5000", "team/a_b.c--d", "1", ""},
		{"registry.example.com:5000/team", "web", "1", ""},
		{"", "registry.example.com/team/web", "1", ""},
		{"", "localhost:5000/web", "1", ""},
		{"[::1]:5000", "web", "1", ""},
		{"", "Web", "1", `repository: "Web" has capital letters, which no registry takes; write "web"`},
		{"registry.example.com/Team", "web", "1", `registry: "Team" has capital letters, which no registry takes; write "team"`},
		{"", "web:1.0", "1", `repository: "web:1.0" has a tag in it, and tag is given as well; write repository: web, and one tag`},
		{"", "web:1.0", "", `repository: "web:1.0" has a tag in it; write repository: web, tag: "1.0"`},
		{"", "localhost:5000/web:1", "1", `repository: "web:1" has a tag in it, and tag is given as well; write repository: web, and one tag`},
		{"", "web@sha256:ab", "1", `repository: "web@sha256:ab" has a digest in it; write it as digest: "sha256:ab"`},
		{"", "we b", "1", `repository: "we b" has a space in it; leave it out`},
		{"", "web/", "1", `repository: "web/" has an empty part; write parts with one / between them, and none at the ends`},
		{"", "/web", "1", `repository: "/web" has an empty part; write parts with one / between them, and none at the ends`},
		{"a.example.com", "web//b", "1", `repository: "web//b" has an empty part; write parts with one / between them, and none at the ends`},
		{"a.example.com/", "web", "1", `registry: "" has an empty part; write parts with one / between them, and none at the ends`},
		{"", "-web", "1", `repository: "-web" is no name of an image; use a to z, 0 to 9, and between these ., _ and -; parts stand behind a / each`},
		{"", "https://a.example.com/web", "1", `repository: an image has no scheme, and "https://a.example.com/web" begins with one; write "a.example.com/web"`},
		{"https://a.example.com", "web", "1", `registry: an image has no scheme, and "https://a.example.com" begins with one; write "a.example.com"`},
		{"a b", "web", "1", `registry: "a b" is no host; write a host, and its port where needed: registry.example.com:5000`},
		{"a_b", "web", "1", `registry: "a_b" is no host; write a host, and its port where needed: registry.example.com:5000`},
		{"", long, "1", `repository: the name has 256 characters, and may have 255; shorten it`},
	} {
		image := source.NewMap(source.Origin{}, source.Field{Key: "repository", Value: source.NewString(source.Origin{}, c.repository)})
		for key, text := range map[string]string{"registry": c.registry, "tag": c.tag} {
			if text != "" {
				image.Set(key, source.NewString(source.Origin{}, text))
			}
		}
		g := &generation{in: Input{Resolved: &descriptor.Resolved{}}}
		g.imageName(image, "image")
		got := ""
		for _, f := range g.findings {
			got += fmt.Sprintf("%s: %s; %s", strings.TrimPrefix(f.Path, "image."), f.Message, f.Hint)
		}
		if got != c.want {
			t.Errorf("%q %q: got %q, want %q", c.registry, c.repository, got, c.want)
		}
	}
}
