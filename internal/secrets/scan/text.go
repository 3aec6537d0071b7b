package scan

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// asText gives what is read as text, in UTF-8; nil is no text. Text of UTF-16 is known
// by its mark, or by every other byte being zero as in what is written in Latin.
func asText(r io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(r, sniffed)
	head, err := in.Peek(sniffed)
	if err != nil && err != io.EOF {
		return nil, err
	}
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	case bytes.IndexByte(head, 0) < 0:
		return in, nil
	default:
		var zeros [2]int
		for i, c := range head {
			if c == 0 {
				zeros[i%2]++
			}
		}
		switch most := len(head) / 4; {
		case zeros[0] == 0 && zeros[1] > most:
			order = binary.LittleEndian
		case zeros[1] == 0 && zeros[0] > most:
			order = binary.BigEndian
		default:
			return nil, nil
		}
	}
	return &wide{in: in, order: order}, nil
}

// wide reads UTF-16 as UTF-8.
type wide struct {
	in    *bufio.Reader
	order binary.ByteOrder
	left  []byte
}

func (w *wide) Read(p []byte) (int, error) {
	for len(w.left) == 0 {
		first, err := w.unit()
		if err != nil {
			return 0, err
		}
		r := rune(first)
		if utf16.IsSurrogate(r) {
			if second, err := w.unit(); err == nil {
				r = utf16.DecodeRune(r, rune(second))
			}
		}
		w.left = utf8.AppendRune(w.left[:0], r)
	}
	n := copy(p, w.left)
	w.left = w.left[n:]
	for n < len(p) && w.in.Buffered() >= 2 {
		next, err := w.in.Peek(2)
		unit := w.order.Uint16(next)
		if err != nil || unit >= utf8.RuneSelf {
			break
		}
		p[n] = byte(unit)
		_, _ = w.in.Discard(2) // it is there
		n++
	}
	return n, nil
}

func (w *wide) unit() (uint16, error) {
	var two [2]byte
	if _, err := io.ReadFull(w.in, two[:]); err != nil {
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		return 0, err
	}
	return w.order.Uint16(two[:]), nil
}

// joined is a text whose lines are joined, without the blanks at their ends: with
// nothing between, as what was wrapped belongs together, or with a blank, as YAML folds
// text. A \ at a line's end, by which YAML and shells join lines, goes too.
type joined struct {
	blank  bool
	text   []byte
	line   int // of what comes next
	breaks []lineBreak
	begun  bool // the line has more than blanks
}

// lineBreak is where a line begins in joined lines.
type lineBreak struct {
	at, line int
	escaped  bool // by a \ before it
}

// add takes a piece of the text in.
func (j *joined) add(piece []byte) {
	for len(piece) > 0 {
		if !j.begun {
			piece = bytes.TrimLeft(piece, " \t\r")
			if len(piece) == 0 {
				return
			}
			// YAML has a blank that begins a line escaped, too.
			if n := len(j.breaks); n > 0 && j.breaks[n-1].escaped && bytes.HasPrefix(piece, []byte(`\ `)) {
				piece = piece[1:]
			}
			j.begun = true
		}
		end := bytes.IndexByte(piece, '\n')
		if end < 0 {
			j.text = append(j.text, piece...)
			return
		}
		j.text = append(j.text, piece[:end]...)
		piece = piece[end+1:]
		j.end()
	}
}

// end ends a line.
func (j *joined) end() {
	j.line++
	begin := 0
	if n := len(j.breaks); n > 0 {
		begin = j.breaks[n-1].at
	}
	for len(j.text) > begin && bytes.IndexByte([]byte(" \t\r"), j.text[len(j.text)-1]) >= 0 {
		j.text = j.text[:len(j.text)-1]
	}
	j.begun = false
	if n := len(j.breaks); n > 0 && len(j.text) == begin { // an empty line
		j.breaks[n-1].line = j.line
		return
	}
	escaped := len(j.text) > begin && j.text[len(j.text)-1] == '\\'
	switch {
	case escaped:
		j.text = j.text[:len(j.text)-1]
	case j.blank:
		j.text = append(j.text, ' ')
	}
	j.breaks = append(j.breaks, lineBreak{len(j.text), j.line, escaped})
}

// within gives the line that a place is in, how many lines begin behind it up to an
// end, and whether each of those was joined by a \.
func (j *joined) within(at, end, first int) (line, breaks int, escaped bool) {
	line, escaped = first, true
	for _, b := range j.breaks {
		switch {
		case b.at <= at:
			line = b.line
		case b.at < end:
			breaks++
			escaped = escaped && b.escaped
		default:
			return line, breaks, escaped
		}
	}
	return line, breaks, escaped
}

// drop forgets the text up to a place, and gives the line that the rest begins in.
func (j *joined) drop(to, first int) int {
	kept := j.breaks[:0]
	for _, b := range j.breaks {
		if b.at <= to {
			first = b.line
		} else {
			kept = append(kept, lineBreak{b.at - to, b.line, b.escaped})
		}
	}
	j.breaks = kept
	j.text = j.text[:copy(j.text, j.text[to:])]
	return first
}
