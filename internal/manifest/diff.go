package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// Line is a line of a diff. Op is ' ' for a line of both sides, '-' and '+' for
// one of Before or After alone, and '@' for the heading of a hunk, whose Text
// gives its lines as unified diffs do, and the path that it begins in.
type Line struct {
	Op   byte
	Text string
}

// Diff gives unified lines of the change's YAML, Before to After, with n lines of
// context; n < 0 gives all, without headings. Before has After's order already,
// so that what only stands elsewhere gives no lines. A mark of the mask has no
// quotes around it.
func (c Change) Diff(n int) []Line {
	lines := edit(yamlLines(c.Before), yamlLines(c.After))
	if n < 0 {
		return lines
	}
	return hunks(lines, n)
}

// DiffText gives unified lines of two texts, which are YAML where the headings are to
// name places, with n lines of context.
func DiffText(before, after string, n int) []Line {
	return hunks(edit(textLines(before), textLines(after)), n)
}

func textLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func yamlLines(fields map[string]any) []string {
	if fields == nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(unquoted(YAML(fields)), "\n"), "\n")
}

// unquoted takes the quotes off leaves that are masked, which are for people.
func unquoted(yaml string) string {
	return strings.NewReplacer(`"`+Masked+`"`, Masked, `"`+MaskedChanged+`"`, MaskedChanged).Replace(yaml)
}

// patience is the number of differing lines beyond which the shortest edit is
// not looked for any more: its cost grows with their square.
const patience = 1500

// edit gives all lines of two texts, those that differ marked: a shortest edit,
// by Myers, "An O(ND) Difference Algorithm and Its Variations" (1986). difflib's
// cost grows with the square of how often a line is repeated, as those of JSON
// in a ConfigMap are.
func edit(b, a []string) []Line {
	head := 0
	for head < len(b) && head < len(a) && b[head] == a[head] {
		head++
	}
	tail := 0
	for tail < len(b)-head && tail < len(a)-head && b[len(b)-1-tail] == a[len(a)-1-tail] {
		tail++
	}
	out := make([]Line, 0, len(b)+len(a)-head-tail)
	for _, text := range b[:head] {
		out = append(out, Line{' ', text})
	}
	out = append(out, middle(b[head:len(b)-tail], a[head:len(a)-tail])...)
	for _, text := range b[len(b)-tail:] {
		out = append(out, Line{' ', text})
	}
	return out
}

// middle is edit for texts that begin and end in different lines.
func middle(b, a []string) []Line {
	trace := search(b, a)
	if trace == nil {
		return append(all('-', b), all('+', a)...)
	}
	// From the end back to the beginning.
	var back []Line
	x, y := len(b), len(a)
	for d := len(trace) - 1; d >= 0; d-- {
		k := x - y
		px := trace[d].from(d, k)
		py := px - trace[d].by(d, k)
		for x > px && y > py {
			x, y = x-1, y-1
			back = append(back, Line{' ', b[x]})
		}
		switch {
		case d == 0:
		case x > px:
			back = append(back, Line{'-', b[px]})
		default:
			back = append(back, Line{'+', a[py]})
		}
		x, y = px, py
	}
	slices.Reverse(back)
	return removedFirst(back)
}

// front holds how far into b each diagonal (lines of b less lines of a) is
// reached before the round d, from the diagonal -d-1 on.
type front []int32

// by gives the diagonal from which the round d comes to the diagonal k.
func (f front) by(d, k int) int {
	if k == -d || k != d && f[k-1+d+1] < f[k+1+d+1] {
		return k + 1
	}
	return k - 1
}

func (f front) from(d, k int) int { return int(f[f.by(d, k)+d+1]) }

// search gives the fronts before each round, or nil where they lose patience.
func search(b, a []string) []front {
	limit := min(len(b)+len(a), patience)
	reach := make([]int32, 2*limit+3)
	middle := limit + 1
	var trace []front
	for d := 0; d <= limit; d++ {
		before := front(slices.Clone(reach[middle-d-1 : middle+d+2]))
		trace = append(trace, before)
		for k := -d; k <= d; k += 2 {
			x := before.from(d, k)
			if before.by(d, k) == k-1 {
				x++
			}
			y := x - k
			for x < len(b) && y < len(a) && b[x] == a[y] {
				x, y = x+1, y+1
			}
			reach[middle+k] = int32(x)
			if x >= len(b) && y >= len(a) {
				return trace
			}
		}
	}
	return nil
}

func all(op byte, texts []string) []Line {
	out := make([]Line, len(texts))
	for i, text := range texts {
		out[i] = Line{op, text}
	}
	return out
}

// removedFirst puts what goes before what comes, wherever both stand together.
func removedFirst(lines []Line) []Line {
	for start := 0; start < len(lines); {
		end := start
		for end < len(lines) && lines[end].Op != ' ' {
			end++
		}
		slices.SortStableFunc(lines[start:end], func(l, m Line) int { return int(m.Op) - int(l.Op) })
		start = end + 1
	}
	return lines
}

// hunks keeps n lines around those that differ.
func hunks(lines []Line, n int) []Line {
	var out []Line
	b, a := 0, 0 // lines of either side so far
	for i := 0; i < len(lines); {
		from, to := hunk(lines, i, n)
		if from == to {
			break
		}
		b, a = b+from-i, a+from-i
		heading := len(out)
		out = append(out, Line{})
		out = append(out, lines[from:to]...)
		countB, countA := 0, 0
		for _, l := range lines[from:to] {
			if l.Op != '+' {
				countB++
			}
			if l.Op != '-' {
				countA++
			}
		}
		text := fmt.Sprintf("@@ -%s +%s @@ %s", span(b, countB), span(a, countA), place(lines[:from], lines[from]))
		out[heading] = Line{'@', strings.TrimSuffix(text, " ")}
		b, a, i = b+countB, a+countA, to
	}
	return out
}

// hunk gives the next lines to show from i on: none where from is to.
func hunk(lines []Line, i, n int) (from, to int) {
	for from = i; from < len(lines) && lines[from].Op == ' '; from++ {
	}
	if from == len(lines) {
		return from, from
	}
	to = from
	for next := from; next < len(lines) && next-to <= 2*n; next++ {
		if lines[next].Op != ' ' {
			to = next + 1
		}
	}
	return max(i, from-n), min(len(lines), to+n)
}

func span(before, count int) string {
	if count == 0 {
		return fmt.Sprintf("%d,0", before)
	}
	return fmt.Sprintf("%d,%d", before+1, count)
}

// place gives the keys above a hunk, by its lines' indentation.
func place(above []Line, first Line) string {
	depth := indentation(first.Text)
	var keys []string
	for i := len(above) - 1; i >= 0 && depth > 0; i-- {
		text := above[i].Text
		in := indentation(text)
		if above[i].Op == '-' || in >= depth || strings.TrimSpace(text) == "" {
			continue
		}
		depth = in
		key, _, ok := strings.Cut(strings.TrimLeft(text, " -"), ":")
		if ok && isWord(key) {
			keys = append(keys, key)
		}
	}
	slices.Reverse(keys)
	return strings.Join(keys, ".")
}

// indentation counts the dash of an item's first line as well.
func indentation(text string) int {
	return len(text) - len(strings.TrimLeft(text, " -"))
}
