//go:build unix

// Package databases runs the servers of databases that are installed on this machine, each as a process of its own on the
// loopback interface, in a folder that is removed with it. They have TLS and a user with a random password.
package databases

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
)

// The bounds of time, for a slow machine that does much else.
const (
	startWithin = 2 * time.Minute
	endWithin   = 30 * time.Second
)

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
	path, err := child.Find(s.client.pkg, []string{"/usr/bin"}, s.client.name)
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
	var missing *child.MissingError
	if errors.As(err, &missing) && os.Getenv(child.Required) == "" {
		t.Skipf("%v; %s=required makes this a failure", err, child.Required)
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
		if s.owner, err = child.Account(account); err != nil {
			return err
		}
	}
	if err := writeCertificates(dir); err != nil {
		return err
	}
	s.CA = filepath.Join(dir, "ca.pem")
	return child.HandOver(s.dir, s.owner)
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
			return fmt.Errorf("%s is not ready in time: %w\n%s", s.Name, err, child.Tail(log))
		case <-process.Done():
			s.process = nil
			return fmt.Errorf("%s has ended: %w\n%s", s.Name, process.Exit(), child.Tail(log))
		}
	}
}
