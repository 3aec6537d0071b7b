package chartdir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// exchange swaps two folders in one step.
func exchange(from *dir, fromName string, to *dir, toName string) error {
	err := unix.Renameat2(from.fd, fromName, to.fd, toName, unix.RENAME_EXCHANGE)
	// Old kernels and some file systems do not know it; some sandboxes answer
	// EPERM to every call that they do not know.
	for _, unsupported := range []error{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM} {
		if errors.Is(err, unsupported) {
			return errNoExchange
		}
	}
	return err
}
