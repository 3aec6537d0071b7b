// Package console reads sessions out of pages and holds what commands print against what a page shows.
//
// A session is a fenced block that is marked console. In it, a line that begins with "$ " is a command, and the lines up to
// the next one are what it prints. There "…" stands for any text within a line, and a line of "…" alone for any lines, also
// for none. How many blanks stand in a row does not matter.
package console

import (
	"fmt"
	"regexp"
	"strings"
)

// Command is a command of a page, and what the page says that it prints.
type Command struct {
	Line   int // in the page, from 1
	Text   string
	Output []string
}

const (
	fence  = "```"
	prompt = "$ "
	wild   = "…"
)

// Read gives the commands of all sessions of a page, in their order.
func Read(page string) ([]Command, error) {
	var commands []Command
	fenced, session, first := false, false, 0
	for i, line := range strings.Split(page, "\n") {
		line = strings.TrimRight(line, " \t\r")
		switch {
		case strings.HasPrefix(line, fence):
			fenced = !fenced
			session = fenced && strings.TrimPrefix(line, fence) == "console"
			first = len(commands)
		case !session:
		case strings.HasPrefix(line, prompt):
			commands = append(commands, Command{Line: i + 1, Text: strings.TrimPrefix(line, prompt)})
		case len(commands) == first:
			return nil, fmt.Errorf("line %d: a session begins with a command, not with %q", i+1, line)
		default:
			last := &commands[len(commands)-1]
			last.Output = append(last.Output, line)
		}
	}
	if fenced {
		return nil, fmt.Errorf("the last block is not closed")
	}
	for i := range commands {
		commands[i].Output = trim(commands[i].Output)
	}
	return commands, nil
}

// trim drops empty lines at the end.
func trim(lines []string) []string {
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// Check says where what a command has printed is not what the page shows; nil means that it is.
func (c Command) Check(printed string) error {
	var got []string
	for _, line := range strings.Split(printed, "\n") {
		got = append(got, strings.TrimRight(line, " \t\r"))
	}
	got = trim(got)
	// reached are the numbers of printed lines that the shown ones up to here can stand for.
	reached := map[int]bool{0: true}
	for i, shown := range c.Output {
		next := map[int]bool{}
		far := 0
		var matches func(string) bool
		if shown != wild {
			matches = pattern(shown).MatchString
		}
		for n := range reached {
			far = max(far, n)
			if shown == wild {
				for ; n <= len(got); n++ {
					next[n] = true
				}
			} else if n < len(got) && matches(got[n]) {
				next[n+1] = true
			}
		}
		if len(next) == 0 {
			return fmt.Errorf("line %d shows %q, and there is %s", c.Line+1+i, shown, lineOf(got, far))
		}
		reached = next
	}
	if !reached[len(got)] {
		far := 0
		for n := range reached {
			far = max(far, n)
		}
		return fmt.Errorf("after line %d comes %s as well", c.Line+len(c.Output), lineOf(got, far))
	}
	return nil
}

func lineOf(lines []string, i int) string {
	if i >= len(lines) {
		return "no more line"
	}
	return fmt.Sprintf("%q", lines[i])
}

var blanks = regexp.MustCompile(`[ \t]+`)

// pattern makes a regular expression of a line of a page.
func pattern(line string) *regexp.Regexp {
	words := blanks.Split(line, -1)
	for i, word := range words {
		words[i] = strings.ReplaceAll(regexp.QuoteMeta(word), wild, ".*")
	}
	return regexp.MustCompile("^" + strings.Join(words, `[ \t]+`) + "$")
}
