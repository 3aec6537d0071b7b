package refs

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Ref{
		"ref+vault://secret/shop/carts#/DB_PASSWORD":       {Scheme: Vault, Path: "secret/shop/carts", Keys: []string{"DB_PASSWORD"}},
		"secretref+vault://secret/shop/carts#/DB_PASSWORD": {Scheme: Vault, Path: "secret/shop/carts", Keys: []string{"DB_PASSWORD"}},
		"ref+vault://secret/data/shop#a+":                  {Scheme: Vault, Path: "secret/data/shop", Keys: []string{"a"}},
		"ref+vault://kv/a":                                 {Scheme: Vault, Path: "kv/a"},
		"ref+vault://kv/a?address=https://v.example.com:8200&token_env=T#/a/b": {
			Scheme: Vault, Path: "kv/a", Params: map[string]string{"address": "https://v.example.com:8200", "token_env": "T"}, Keys: []string{"a", "b"},
		},
		"ref+file://secrets.yaml#/a~1b/0/c~0d":                         {Scheme: File, Path: "secrets.yaml", Keys: []string{"a/b", "0", "c~d"}},
		"ref+file://./a/../b%23c.yaml#/x%2Fy":                          {Scheme: File, Path: "b#c.yaml", Keys: []string{"x/y"}},
		"ref+file:///etc/example":                                      {Scheme: File, Path: "/etc/example"},
		"ref+env://HOME":                                               {Scheme: Env, Path: "HOME"},
		"ref+k8s://v1/Secret/shop/db/password":                         {Scheme: K8s, Path: "Secret/shop/db", Keys: []string{"password"}},
		"ref+k8s://v1/ConfigMap/shop/db/conf.yaml#/a":                  {Scheme: K8s, Path: "ConfigMap/shop/db", Keys: []string{"conf.yaml", "a"}},
		`ref+exec://pass show "shop/the db" --line=1#/a`:               {Scheme: Exec, Path: "pass\x00show\x00shop/the db\x00--line=1", Keys: []string{"a"}},
		"ref+exec://tool a%2Bb%3Fc '' \\ d+":                           {Scheme: Exec, Path: "tool\x00a+b?c\x00\x00 d"},
		"ref+vault://secret/" + strings.Repeat("a", 2000) + "#/" + "k": {Scheme: Vault, Path: "secret/" + strings.Repeat("a", 2000), Keys: []string{"k"}},
	} {
		got, err := Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s gives %+v, %v", text, got, err)
		}
		if again, err := Parse(got.String()); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s gives %s, which gives %+v, %v", text, got, again, err)
		}
	}
}

func TestParseFails(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		offset int
		says   string
	}{
		"":                         {0, "begins with ref+"},
		"vault://a/b":              {0, "begins with ref+"},
		"ref+valt://a/b":           {4, `no references of the scheme "valt"` + "\n  hint: did you mean \"vault\"?"},
		"ref+vault:/a/b":           {4, "not followed by ://"},
		"ref+vault":                {9, "not followed by ://"},
		"ref+awssecrets://a":       {4, `the scheme "awssecrets"`},
		"ref+vault://":             {12, "nothing stands behind"},
		"ref+vault://secret":       {12, "names a mount"},
		"ref+vault://a//b":         {12, "empty part"},
		"ref+vault://a/../b":       {12, "of dots"},
		"ref+vault://a/b#":         {15, "no key"},
		"ref+vault://a/b#/":        {15, "no key"},
		"ref+vault://a/b#/x//y":    {19, "a key is empty"},
		"ref+vault://a/b#/x%zz":    {17, "percent-encoded"},
		"ref+vault://a%zz/b":       {12, "percent-encoded"},
		"ref+vault://a/b?":         {16, `parameter "" is not known`},
		"ref+vault://a/b?adress=x": {16, `did you mean "address"?`},
		"ref+vault://a/b?address":  {16, "has no value"},
		"ref+vault://a/b?namespace=x&namespace=y":  {28, "twice"},
		"ref+vault://a/b?token=example-canary":     {16, "how kai logs in"},
		"ref+vault://a/b?address=%zz":              {24, "percent-encoded"},
		"ref+vault://a/b?token_env=A&token_file=B": {28, "exclude one another"},
		"ref+file://a?encode=x":                    {13, "written %3F"},
		"ref+file://a/":                            {11, "a folder"},
		"ref+file:///":                             {11, "a folder"},
		"ref+env://A=B":                            {10, "no name of a variable"},
		"ref+k8s://v1/Secret/shop/db":              {10, "five parts"},
		"ref+k8s://v2/Secret/shop/db/a":            {10, "of v1 alone"},
		"ref+k8s://v1/Secrt/shop/db/a":             {13, `did you mean "Secret"?`},
		"ref+k8s://v1/Secret/Shop/db/a":            {10, "no name of Kubernetes"},
		"ref+exec://":                              {11, "nothing stands behind"},
		"ref+exec://''":                            {11, "no command"},
		"ref+exec://a 'b":                          {11, "not closed"},
		"ref+env://A+ and ref+env://B":             {12, "behind the +"},
		"ref+env://A\n":                            {11, "control character"},
		"ref+env://A%0A":                           {10, "percent-encoded"},
		"ref+env://\xff":                           {0, "UTF-8"},
		"ref+env://" + strings.Repeat("a", 5000):   {4096, "at most 4096 bytes"},
		"ref+file://a#" + strings.Repeat("/a", 51): {114, "more than 50 keys"},
	} {
		_, err := Parse(text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != want.offset || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%q gives %v", text, err)
			continue
		}
		if strings.Contains(err.Error(), "example-canary") {
			t.Errorf("%q: the error shows a value: %v", text, err)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"a b  c":            {"a", "b", "c"},
		` a "b c" 'd "e"' `: {"a", "b c", `d "e"`},
		`a\ b "c\"d" 'e\'`:  {"a b", `c"d`, `e\`},
		`a""b ""`:           {"ab", ""},
		`$HOME $(id) *;|&`:  {"$HOME", "$(id)", "*;|&"},
		"":                  nil,
		`\`:                 {`\`},
	} {
		if got, open := Words(text); !slices.Equal(got, want) || open != -1 {
			t.Errorf("%q gives %q, %d", text, got, open)
		}
	}
	if _, open := Words(`a "b 'c`); open != 2 {
		t.Errorf("the quote begins at %d", open)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"ref+vault://secret/shop/carts?address=https://v.example.com&token_env=T#/a/b~1c/0+", "secretref+file://a/../b.yaml#x",
		"ref+env://A", "ref+k8s://v1/Secret/shop/db/password#/a", `ref+exec://pass show "a b" 'c' \d%2B`, "ref+vault://a/b#/%7E1", "ref+", "ref+file:///..", "ref+file:// /.",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(text) || syntax.Message == "" {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		if !Is(text) {
			t.Errorf("%q is a reference, and Is says no", text)
		}
		if len(r.String()) > maxText {
			return // percent-encoding has made it longer
		}
		again, err := Parse(r.String())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%q gives %+v, written as %q, which gives %+v, %v", text, r, r.String(), again, err)
		}
	})
}
