package chartdir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// exchange swaps two folders in one step.
func exchange(from *dir, fromName string, to *dir, toName string) error {
	err := unix.RenameatxNp(from.fd, fromName, to.fd, toName, unix.RENAME_SWAP)
	for _, unsupported := range []error{unix.EINVAL, unix.ENOSYS, unix.ENOTSUP} { // not APFS
		if errors.Is(err, unsupported) {
			return errNoExchange
		}
	}
	return err
}
