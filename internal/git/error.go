package git

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Error says what could not be read of a repository, and the way out.
type Error struct {
	Message string
	Hint    string
	// Cause is what git or the system said, or nil.
	Cause error
	// Reason is given by a repository elsewhere.
	Reason Reason
}

// Error gives the message and, on a line of its own, the hint.
func (e *Error) Error() string {
	text := e.Message
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	if e.Hint != "" {
		text += "\n  hint: " + e.Hint
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

var userinfo = regexp.MustCompile(`://[^/@\s]+@`)

// said gives what git wrote to stderr as one line, without the credentials that
// a remote's address may carry, nor what a server would do to a terminal.
func said(stderr []byte) string {
	var lines []string
	for line := range strings.Lines(string(stderr)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, strings.TrimPrefix(line, "fatal: "))
		}
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.Join(lines, "; "))
	return userinfo.ReplaceAllString(text, "://")
}

// near gives the names that are likely meant by one that is not there: those
// that end in it or in which it stands, as main in origin/main, and those that
// differ by a few letters.
func near(name string, known []string) []string {
	const most = 3
	var out []string
	for _, k := range known {
		if len(out) < most && strings.HasSuffix(k, "/"+name) {
			out = append(out, k)
		}
	}
	if len(out) > 0 {
		return out
	}
	best := len(name)/3 + 2
	for _, k := range known {
		switch d := distance(name, k, best); {
		case d > best:
		case d < best:
			best, out = d, []string{k}
		case len(out) < most:
			out = append(out, k)
		}
	}
	return out
}

// distance counts the letters to insert, delete or replace on the way from a to
// b. What is more than limit may come out as any number above it.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// quoted words a list of names.
func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ", ")
}
