package remote

import (
	"regexp"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0a", 32)
	for _, test := range []struct {
		text string
		want Source
		// again is the source's own text, "" for the same.
		again string
	}{
		{text: "git+https://git.example.com/org/flavors.git//web?ref=v1.2", want: Source{Kind: Git, URL: "https://git.example.com/org/flavors.git", Dir: "web", Ref: "v1.2"}},
		{text: "https://git.example.com/org/flavors.git//web?ref=v1.2", want: Source{Kind: Git, URL: "https://git.example.com/org/flavors.git", Dir: "web", Ref: "v1.2"}, again: "git+https://git.example.com/org/flavors.git//web?ref=v1.2"},
		{text: "git+https://GIT.example.com:443/Org/flavors/", want: Source{Kind: Git, URL: "https://git.example.com/Org/flavors"}, again: "git+https://git.example.com/Org/flavors"},
		{text: "git+https://git.example.com:8443/My%20Org/_git/flavors//a/b/", want: Source{Kind: Git, URL: "https://git.example.com:8443/My%20Org/_git/flavors", Dir: "a/b"}, again: "git+https://git.example.com:8443/My%20Org/_git/flavors//a/b"},
		{text: "git+http://127.0.0.1:80/x.git", want: Source{Kind: Git, URL: "http://127.0.0.1/x.git"}, again: "git+http://127.0.0.1/x.git"},
		{text: "git+ssh://git@git.example.com:22/org/x.git?ref=feature/a", want: Source{Kind: Git, URL: "ssh://git@git.example.com/org/x.git", Ref: "feature/a"}, again: "git+ssh://git@git.example.com/org/x.git?ref=feature/a"},
		{text: "ssh://git.example.com/org/x.git", want: Source{Kind: Git, URL: "ssh://git.example.com/org/x.git"}, again: "git+ssh://git.example.com/org/x.git"},
		{text: "git@git.example.com:org/x.git//flavors/web?ref=main", want: Source{Kind: Git, URL: "git@git.example.com:org/x.git", Dir: "flavors/web", Ref: "main"}},
		{text: "git@git.example.com:/srv/x.git", want: Source{Kind: Git, URL: "git@git.example.com:/srv/x.git"}},
		{text: "git+ssh://git@[::1]:2222/x.git", want: Source{Kind: Git, URL: "ssh://git@[::1]:2222/x.git"}},
		{text: "git+file:///srv/flavors//web", want: Source{Kind: Git, URL: "file:///srv/flavors", Dir: "web"}},
		{text: "git+https://git.example.com/x.git?ref=refs/tags/v1", want: Source{Kind: Git, URL: "https://git.example.com/x.git", Ref: "refs/tags/v1"}},
		{text: "oci://registry.example.com/org/web:1.0.0+a", want: Source{Kind: OCI, URL: "registry.example.com/org/web", Ref: "1.0.0_a"}, again: "oci://registry.example.com/org/web:1.0.0_a"},
		{text: "oci://registry.example.com:5000/web@" + digest, want: Source{Kind: OCI, URL: "registry.example.com:5000/web", Digest: digest}},
		{text: "oci://localhost:5000/web:1@" + digest + "//sub/dir", want: Source{Kind: OCI, URL: "localhost:5000/web", Ref: "1", Digest: digest, Dir: "sub/dir"}},
		{text: "oci://registry.example.com/web//sub?version=>=1.0, <2", want: Source{Kind: OCI, URL: "registry.example.com/web", Dir: "sub", Version: ">=1.0, <2"}},
		{text: "chart+https://charts.example.com/stable//redis?version=^1.2", want: Source{Kind: Repository, URL: "https://charts.example.com/stable", Chart: "redis", Version: "^1.2"}},
		{text: "chart+https://charts.example.com//redis", want: Source{Kind: Repository, URL: "https://charts.example.com", Chart: "redis", Version: "*"}, again: "chart+https://charts.example.com//redis?version=*"},
	} {
		got, err := Parse(test.text)
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v", test.text, got, err)
			continue
		}
		if want := with("", test.again); want != "" && got.String() != want || want == "" && got.String() != test.text {
			t.Errorf("%s is written %s", test.text, got)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%s: a second time %+v, %v", got, again, err)
		}
		if !IsRemote(test.text) {
			t.Errorf("%s is not taken for a source", test.text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                                         "is empty",
		"webservice":                                               "not known",
		"./flavors/web":                                            "not known",
		"git+https://":                                             "names no host",
		"git+https:///x.git":                                       "names no host",
		"git+https://git.example.com":                              "no path",
		"git+https://git.example.com//web":                         "no path",
		"git+https://-x/y.git":                                     `"-x" is no host`,
		"git+https://a b/y.git":                                    `is no host`,
		"git+https://git.example.com:0/y.git":                      "is no port",
		"git+https://git.example.com:99999/y":                      "is no port",
		"git+https://git.example.com/../y.git":                     `".." cannot be part`,
		"git+https://git.example.com/%2e%2e/y":                     `"%2e%2e" cannot be part`,
		"git+https://git.example.com/a%0ab":                        `cannot be part`,
		"git+https://git.example.com/a%zz":                         `cannot be part`,
		"git+https://git.example.com/-x":                           "begins with -",
		"git@git.example.com:-x":                                   "begins with -",
		"git+https://git.example.com/y.git//../z":                  "is no folder",
		"git+https://git.example.com/y.git///z":                    "is no folder",
		"git+https://git.example.com/y.git//a//b":                  "is no folder",
		"git+https://git.example.com/y.git//a%20":                  "cannot have",
		"git+https://git.example.com/y.git?ref=":                   "no value",
		"git+https://git.example.com/y.git?ref=-u":                 "is no name",
		"git+https://git.example.com/y.git?ref=--upload-pack":      "is no name",
		"git+https://git.example.com/y.git?ref=a..b":               "is no name",
		"git+https://git.example.com/y.git?ref=a^{}":               "is no name",
		"git+https://git.example.com/y.git?ref=a b":                "is no name",
		"git+https://git.example.com/y.git?ref=*":                  "is no name",
		"git+https://git.example.com/y.git?ref=+a:b":               "is no name",
		"git+https://git.example.com/y.git?ref=v1&depth=1":         "% or &",
		"git+https://git.example.com/y.git?depth=1":                "only ref=",
		"git+https://git.example.com/y.git#main":                   "a # in it",
		"git+file://host/y.git":                                    "no host, but a path",
		"git+git://git.example.com/y.git":                          "not known",
		"ext::sh -c touch":                                         "not known",
		"git+ext::sh":                                              "not known",
		"file:///srv/x":                                            "git+file:///PATH",
		"https://git.example.com/x":                                "does not say what it is",
		"https://charts.example.com":                               "{repository, name, version}",
		"git@-oProxyCommand=x:y":                                   "is no host",
		"git+ssh://-oProxyCommand=x/y":                             "is no host",
		"git+https://git.example.com/a\x00b":                       "cannot be printed",
		"git+https://git.example.com/a\nb":                         "cannot be printed",
		"git+https://git.example.com/" + strings.Repeat("a", 3000): "longer than the bound",
		"oci://registry.example.com/web":                           "no tag",
		"oci://registry.example.com/Web:1":                         "no repository's name",
		"oci://registry.example.com/web:":                          "is no tag",
		"oci://registry.example.com/web:a/b":                       "is no tag",
		"oci://registry.example.com/web@sha256:00":                 "is no digest",
		"oci://registry.example.com/web:1?version=1":               "beside a tag",
		"oci://registry.example.com/web?version=x.y":               "no range of versions",
		"oci://web:1":                                              "no repository's name",
		"chart+https://charts.example.com//a/b":                    "no name of a chart",
		"chart+https://charts.example.com/x?version=1":             "no name of a chart",
	} {
		s, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v; want %q", text, s, err, want)
		}
	}
}

// TestParseHidesLogins: no part of a user or password gets into an error.
func TestParseHidesLogins(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"git+https://anna:hunter2@git.example.com/x.git", "git+https://hunter2@git.example.com/x.git", "https://a:hunter2@git.example.com/x.git",
		"https://a:hunter2@git.example.com/x", "git+ssh://git:hunter2@git.example.com/x.git", "ssh://git:hunter2@git.example.com/x",
		"git:hunter2@git.example.com:x.git", "oci://a:hunter2@registry.example.com/x:1", "chart+https://a:hunter2@charts.example.com//x",
		"git+https://git.example.com/x.git?private_token=hunter2", "git+https://a:hunter2@git.example.com?x", "other://a:hunter2@x/y",
		"git+https://a:hunt@er2@git.example.com/x.git", "git+file://a:hunter2@host/x", "http://a:hunter2@charts.example.com/",
	} {
		s, err := Parse(text)
		if err == nil {
			t.Errorf("%s is taken: %+v", text, s)
		} else if strings.Contains(err.Error(), "hunt") || strings.Contains(err.Error(), "er2") {
			t.Errorf("the error shows it: %v", err)
		}
	}
	for _, repository := range []string{"https://a:hunter2@charts.example.com/", "oci://a:hunter2@registry.example.com", "https://charts.example.com/?token=hunter2", "ftp://a:hunter2@x"} {
		if s, err := Chart(repository, "redis", "1"); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %+v, %v", repository, s, err)
		}
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ repository, name, version, want string }{
		{"https://charts.example.com/stable/", "redis", "", "chart+https://charts.example.com/stable//redis?version=*"},
		{"https://charts.example.com", "redis", ">= 1.2, < 2", "chart+https://charts.example.com//redis?version=>= 1.2, < 2"},
		{"oci://registry.example.com/charts", "redis", "1.2.3+b", "oci://registry.example.com/charts/redis:1.2.3_b"},
		{"oci://registry.example.com/charts/", "redis", "^1", "oci://registry.example.com/charts/redis?version=^1"},
		{"oci://registry.example.com/charts", "redis", "", "oci://registry.example.com/charts/redis?version=*"},
	} {
		s, err := Chart(test.repository, test.name, test.version)
		if err != nil || s.String() != test.want {
			t.Errorf("%v: got %s, %v", test, s, err)
			continue
		}
		if again, err := Parse(test.want); err != nil || again != s {
			t.Errorf("%s: got %+v, %v", test.want, again, err)
		}
	}
	for _, test := range []struct{ repository, name, version, want string }{
		{"@stable", "redis", "1", "no address"},
		{"", "redis", "1", "no address"},
		{"file://../redis", "redis", "1", "for a folder name its path"},
		{"https://charts.example.com", "../redis", "1", "no name of a chart"},
		{"https://charts.example.com//x", "redis", "1", "//"},
		{"https://charts.example.com", "redis", "latest", "no range"},
	} {
		if s, err := Chart(test.repository, test.name, test.version); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %+v, %v", test, s, err)
		}
	}
}

func TestHighest(t *testing.T) {
	t.Parallel()
	versions := []string{"1.0.0", "latest", "1.10.0", "1.9.0", "2.0.0-rc.1", "v1.10.1", "1.10.1+a", "1.10.1+b", "0.1"}
	for constraint, want := range map[string]string{
		"*": "v1.10.1", "^1": "v1.10.1", "1.9.x": "1.9.0", "1.10.1+a": "1.10.1+a", "=1.10.0": "1.10.0", ">=2.0.0-0": "2.0.0-rc.1", "0.1": "0.1",
	} {
		got := highest(versions, constraint)
		if got < 0 || versions[got] != want {
			t.Errorf("%s: got %d, want %s", constraint, got, want)
		}
	}
	if got := highest(versions, "^3"); got != -1 {
		t.Errorf("got %d", got)
	}
}

var gitURL = regexp.MustCompile(`^(https?|ssh|file)://|^[A-Za-z0-9_][A-Za-z0-9_.-]*@(\[|[a-z0-9])`)

// FuzzParse: what is taken is written so that it is taken again, and is safe for
// git's command line.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"git+https://git.example.com/org/flavors.git//web?ref=v1.2", "git@git.example.com:org/x.git//a?ref=b", "git+file:///x//y?ref=z", "git+ssh://git@[::1]:22/x",
		"oci://registry.example.com/web:1@sha256:" + strings.Repeat("0", 64) + "//x", "oci://h/r?version=^1", "chart+https://h/p//n?version=>1 <2", "https://u:p@h/x.git",
		"git+ssh://-oProxyCommand=x/y", "ext::sh", "git+https://h/%2e%2e/x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.String())
		if err != nil || again != s || again.String() != s.String() {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", text, s, s, again, err)
		}
		for _, word := range []string{s.URL, s.Ref} {
			if strings.HasPrefix(word, "-") || strings.ContainsAny(word, "\x00\n") {
				t.Fatalf("%q becomes the argument %q", text, word)
			}
		}
		if s.Kind == Git && !gitURL.MatchString(s.URL) {
			t.Fatalf("%q becomes the address %q", text, s.URL)
		}
	})
}
