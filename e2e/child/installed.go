//go:build unix

package child

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Required is the variable of the environment that makes a server which is not installed a failure, and not a skipped test.
const Required = "KAI_E2E_DATABASES"

// MissingError says that a program is not installed.
type MissingError struct{ Binary, Package string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed (Debian: apt-get install %s)", e.Binary, e.Package)
}

// Find gives the path of the first of the names that is in one of the folders, which are patterns, or in the PATH. Where there
// is none, the error is a *MissingError.
func Find(pkg string, folders []string, names ...string) (string, error) {
	for _, name := range names {
		for _, folder := range folders {
			found, err := filepath.Glob(filepath.Join(folder, name))
			if err != nil {
				return "", err
			}
			if len(found) > 0 {
				return found[len(found)-1], nil
			}
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &MissingError{names[0], pkg}
}

// Account is the one of that name, or nobody.
func Account(account string) (*syscall.Credential, error) {
	for _, name := range []string{account, "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("neither the user %s nor nobody is there", account)
}

// HandOver makes all in a folder the owner's; nil is who it belongs to.
func HandOver(dir string, owner *syscall.Credential) error {
	if owner == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}

// FreeAddress gives an address of the loopback interface that nobody listens on just now, and its port.
func FreeAddress() (addr, port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer l.Close()
	addr = l.Addr().String()
	_, port, err = net.SplitHostPort(addr)
	return addr, port, err
}

// Tail gives the last lines of a log, or why it cannot be read.
func Tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
