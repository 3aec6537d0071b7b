//go:build !race

package explain

// raceDetector says that the race detector is on, under which a program that
// computes a lot takes ten times as long.
const raceDetector = false
