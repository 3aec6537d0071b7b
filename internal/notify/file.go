package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File appends messages to a file, each as a line of JSON. The file is made if
// need be, for its owner alone.
type File struct{ Path string }

// Notify implements Notifier. A line is written at once, so that those of runs
// at the same time do not mix.
func (f File) Notify(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	// Before it is opened: a named pipe would wait for a reader.
	if info, err := os.Stat(f.Path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("file %s: is no regular file\n  hint: file:PATH names a file that messages are appended to", f.Path)
	}
	out, err := os.OpenFile(f.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = out.Write(append(line, '\n'))
		err = errors.Join(err, out.Close())
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if err != nil {
		return fmt.Errorf("file %s: %w", f.Path, err)
	}
	return nil
}
