package graph

import "unicode"

// widths are those of the characters from space to ~ in DejaVu Sans, the widest
// of the fonts that a picture may be seen in, in thousandths of its size.
var widths = [...]uint16{
	318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337,
	636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531,
	1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787,
	603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500,
	500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
	635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
}

// bolder is how much wider the characters of that font become at most where they
// are bold.
const bolder = 1.27

// textWide gives a width that no usual font needs more than for a text.
func textWide(text string, size float64, bold bool) float64 {
	sum := 0.0
	for _, r := range text {
		w := 700.0
		switch {
		case r >= ' ' && r <= '~':
			w = float64(widths[r-' '])
		case unicode.Is(unicode.Mn, r):
			w = 0
		case r >= 0x1100:
			w = 1050 // East Asian, and pictures
		}
		if bold {
			w *= bolder
		}
		sum += w
	}
	return sum * size / 1000
}
