//go:build !linux && !darwin

package chartdir

// exchange swaps two folders in one step, which this system cannot.
func exchange(*dir, string, *dir, string) error { return errNoExchange }
