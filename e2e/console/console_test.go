package console

import (
	"reflect"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	page := strings.Join([]string{
		"# A page", "", "```", "$ not a session", "```", "text", "```console", "$ one", "$ two --flag", "out", "", "more", "", "```",
		"```yaml", "key: $ value", "```", "```console", "$ three", "```",
	}, "\n")
	got, err := Read(page)
	if err != nil {
		t.Fatal(err)
	}
	want := []Command{{8, "one", nil}, {9, "two --flag", []string{"out", "", "more"}}, {19, "three", nil}}
	for i := range got {
		if len(got[i].Output) == 0 {
			got[i].Output = nil
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestReadMistakes(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]string{
		"```console\nout\n```":                    "line 2",
		"```console\n$ one\n":                     "not closed",
		"```console\n$ one\n```\n```console\nout": "line 5",
	} {
		if _, err := Read(page); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", page, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, shown, printed string
		wrong                string // what the error says; "" for none
	}{
		{"nothing", "", "", ""},
		{"nothing is shown", "", "a\n", `"a"`},
		{"nothing is printed", "a", "", "no more line"},
		{"the same", "a\nb", "a\nb\n", ""},
		{"another line", "a\nb", "a\nc\n", `line 3 shows "b", and there is "c"`},
		{"too much", "a", "a\nb\n", `after line 2 comes "b"`},
		{"a part of a line", "at … done", "at 12:00 done", ""},
		{"no part of a line", "a…", "a", ""},
		{"the rest of a line", "… done", "at 12:00 failed", "failed"},
		{"any lines", "a\n…\nd", "a\nb\nc\nd", ""},
		{"any lines, none", "a\n…\nd", "a\nd", ""},
		{"any lines at both ends", "…\nb\n…", "a\nb\nc", ""},
		{"any lines, and the one after comes twice", "…\nb\nc", "b\nd\nb\nc", ""},
		{"any lines, and the one after is missing", "a\n…\ne\n…", "a\nb\nc\nd", `line 4 shows "e"`},
		{"blanks", "NAME  STATUS", "NAME\t     STATUS   \t\n", ""},
		{"signs of regular expressions", "a.b [x] (y)* $", "a.b [x] (y)* $", ""},
		{"a dot is a dot", "a.b", "axb", "axb"},
		{"empty lines inside", "a\n\nb", "a\n\nb", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := Command{Line: 1}
			if test.shown != "" {
				c.Output = strings.Split(test.shown, "\n")
			}
			err := c.Check(test.printed)
			switch {
			case test.wrong == "" && err != nil:
				t.Error(err)
			case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
				t.Errorf("got %v, want an error with %q", err, test.wrong)
			}
		})
	}
}
