//go:build unix

// Package databases runs the servers of databases that are installed on this machine, each as a process of its own on the
// loopback interface, in a folder that is removed with it. They have TLS and a user with a random password.
package databases

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
)

// Required is the variable of the environment that makes a server which is not installed a failure of ForTest, and not a
// skipped test.
const Required = "KAI_E2E_DATABASES"

// The bounds of time, for a slow machine that does much else.
const (
	startWithin = 2 * time.Minute
	endWithin   = 30 * time.Second
)

// MissingError says that a server is not installed.
type MissingError struct{ Binary, Package string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed (Debian: apt-get install %s)", e.Binary, e.Package)
}

// Server is a server that runs.
type Server struct {
	Name     string
	Addr     string
	Database string
	User     string
	Password string
	CA       string // a PEM file; the server's certificate is for 127.0.0.1 and localhost

	scheme  string
	dir     string
	args    []string
	stop    syscall.Signal
	owner   *syscall.Credential
	ready   func(ctx context.Context, s *Server) error
	client  client
	process *child.Process
}

// URL has no password.
func (s *Server) URL() string {
	return (&url.URL{Scheme: s.scheme, User: url.User(s.User), Host: s.Addr, Path: "/" + s.Database}).String()
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error {
	var err error
	if s.process != nil {
		err = s.process.End(s.stop, endWithin)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Restart ends the server, and starts it with the same data and address.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.process.End(s.stop, endWithin); err != nil {
		return err
	}
	return s.start(ctx)
}

// Kill ends the server as a failure of the machine would, and starts it with what it had on the disk.
func (s *Server) Kill(ctx context.Context) error {
	if err := s.process.End(syscall.SIGKILL, endWithin); err != nil {
		return err
	}
	return s.start(ctx)
}

// client is the program that the server's own package gives its users.
type client struct {
	pkg, name string
	// args give the arguments that lead to a database, "" for none; create is the statement that makes one where there is none.
	args   func(s *Server, database string) []string
	create string
}

// Exec executes statements in a database, which is made where there is none.
func (s *Server) Exec(ctx context.Context, database, statements string) error {
	path, err := find(s.client.pkg, []string{"/usr/bin"}, s.client.name)
	if err != nil {
		return err
	}
	for _, step := range []struct{ database, text string }{{"", strings.ReplaceAll(s.client.create, "NAME", database)}, {database, statements}} {
		cmd := exec.CommandContext(ctx, path, s.client.args(s, step.database)...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, append(s.environment(), "MYSQL_PWD="+s.Password), &syscall.SysProcAttr{Credential: s.owner}
		cmd.Stdin = strings.NewReader(step.text)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", s.client.name, err, out)
		}
	}
	return nil
}

// ForTest starts a server that ends with a test. Where it is not installed the test is skipped, if it is not required.
func ForTest(t testing.TB, start func(ctx context.Context) (*Server, error)) *Server {
	t.Helper()
	s, err := start(t.Context())
	var missing *MissingError
	if errors.As(err, &missing) && os.Getenv(Required) == "" {
		t.Skipf("%v; %s=required makes this a failure", err, Required)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// prepare makes the folder, for a user that is not root, which the servers refuse to be.
func (s *Server) prepare(account string) error {
	dir, err := os.MkdirTemp("", "kai-"+s.scheme+"-")
	if err != nil {
		return err
	}
	s.dir, s.User, s.Password = dir, "kai", rand.Text()
	if os.Geteuid() == 0 {
		if s.owner, err = credential(account); err != nil {
			return err
		}
	}
	if err := writeCertificates(dir); err != nil {
		return err
	}
	s.CA = filepath.Join(dir, "ca.pem")
	return s.handOver()
}

// handOver makes all in the folder the server's.
func (s *Server) handOver() error {
	if s.owner == nil {
		return nil
	}
	return filepath.WalkDir(s.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(s.owner.Uid), int(s.owner.Gid))
	})
}

// credential is the package's own account, or nobody.
func credential(account string) (*syscall.Credential, error) {
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

// run runs a command of the server's to its end, as its user.
func (s *Server) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, s.environment(), &syscall.SysProcAttr{Credential: s.owner}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return nil
}

// environment keeps settings for clients and servers of this machine away.
func (s *Server) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir, "LC_ALL=C"}
}

// launch starts a prepared server on a port that is free.
func (s *Server) launch(ctx context.Context) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	err := s.start(ctx)
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// start starts the server's process, and again if that ends at once: what a killed one has left may be in use for a moment.
func (s *Server) start(ctx context.Context) error {
	for try := 1; ; try++ {
		err := s.startOnce(ctx)
		if err == nil || s.process != nil || try == 3 {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Server) startOnce(ctx context.Context) error {
	log := filepath.Join(s.dir, "log")
	process, err := child.Start(child.Command{Args: s.args, Dir: s.dir, Env: s.environment(), Log: log, Owner: s.owner})
	if err != nil {
		s.process = nil
		return err
	}
	s.process = process
	for {
		err := s.ready(ctx, s)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready in time: %w\n%s", s.Name, err, tail(log))
		case <-process.Done():
			s.process = nil
			return fmt.Errorf("%s has ended: %w\n%s", s.Name, process.Exit(), tail(log))
		}
	}
}

func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// freeAddress gives an address that nobody listens on just now.
func freeAddress() (addr, port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer l.Close()
	addr = l.Addr().String()
	_, port, err = net.SplitHostPort(addr)
	return addr, port, err
}

// find gives the path of the first of the names that is in the PATH or in one of the folders, which are patterns.
func find(pkg string, folders []string, names ...string) (string, error) {
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
