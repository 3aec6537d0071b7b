package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Update changes a file of any kind that is its owner's alone, such as one of keys,
// while no other that goes by Update or by a Store changes it. change gets what the
// file holds, nil where it is not there, and gives what it is to hold; nil leaves it
// as it is. A file of more than limit bytes is an error. When Update returns, what
// was written survives a crash.
func Update(ctx context.Context, path string, limit int64, change func(before []byte) ([]byte, error)) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	unlock, err := lock(ctx, lockName(real(path)))
	if err != nil {
		return fmt.Errorf("%s cannot be locked: %w", path, err)
	}
	defer unlock()
	before, err := secrets.ReadFile(path, limit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	after, err := change(before)
	if err != nil || after == nil {
		return err
	}
	if before != nil {
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
	}
	if err := replaceFile(path, after); err != nil {
		return fmt.Errorf("%s was not written: %w", path, err)
	}
	// The folder may be new, too.
	return syncDir(filepath.Dir(dir))
}
