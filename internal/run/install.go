package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// installs gives the path of --install, which stands alone.
func installs(args []string) (to string, ok bool) {
	switch {
	case len(args) == 3 && args[1] == "--install":
		return args[2], true
	case len(args) == 2 && args[1] == "--install":
		return "", true
	case len(args) == 2:
		return strings.CutPrefix(args[1], "--install=")
	}
	return "", false
}

// Install copies the program that runs to a path, for everybody to execute, at
// once: whoever starts it meanwhile has the old one or the new one, whole.
func Install(to string) error {
	if to == "" {
		return errors.New("--install has no path\n  hint: kai-run --install /kai/kai-run")
	}
	from, err := os.Executable()
	if err != nil {
		return fmt.Errorf("where this program is cannot be found out: %w", err)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	root, err := os.OpenRoot(filepath.Dir(to))
	if err != nil {
		return fmt.Errorf("%s: %w\n  hint: the folder has to be there", to, reason(err))
	}
	defer func() { _ = root.Close() }()
	err = putFile(root, filepath.Base(to), 0o755, func(out *os.File) error {
		_, err := io.Copy(out, in)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", to, reason(err))
	}
	return nil
}
