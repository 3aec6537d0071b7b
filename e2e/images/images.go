//go:build unix

// Package images runs what the images of the friend library hold, without the images: the server that is installed here gets
// the command, the variables and the folders that a generated pod gives its container, on the loopback interface and as a
// user who is not root. What an image's entrypoint does first is done here as far as the image documents it.
package images

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// Container is a container of a pod, with everything put in that Kubernetes puts in.
type Container struct {
	Args    []string          // command and arguments
	Env     map[string]string // variables
	Folders []string          // where its volumes are; it cannot write anywhere else
	Files   map[string]string // what is in them, by path
}

// Image is how the server of an image is run here.
type Image struct {
	Name    string
	Binary  string   // looked for in Folders and in the PATH
	Package string   // Debian's, that has it
	Folders []string // patterns of where else its programs may be
	Rare    bool     // not every system has the package, so that it is never required
	Account string   // the package's own, who runs it
	Stop    syscall.Signal
	// Local gives what keeps the server to one port of the loopback interface, beyond what its container says.
	Local func(s *Server, port string) (args, env []string, err error)
	// Setup does what the image's entrypoint does before it starts the server, nil for nothing.
	Setup func(ctx context.Context, s *Server) error
}

// Server is a server that runs.
type Server struct {
	Addr string // where its consumers' port is

	image     Image
	container Container
	dir       string
	env       []string // beyond the container's
	owner     *syscall.Credential
	processes []*child.Process
	stops     []syscall.Signal
}

// ForTest starts a server that ends with a test. Where it is not installed the test is skipped, if it is not required.
func ForTest(t testing.TB, image Image, c Container) *Server {
	t.Helper()
	s, err := Run(t.Context(), image, c)
	var missing *child.MissingError
	if errors.As(err, &missing) && (image.Rare || os.Getenv(child.Required) == "") {
		t.Skipf("%v; but for rare ones %s=required makes this a failure", err, child.Required)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.End(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Run starts a server, and waits until it takes connections.
func Run(ctx context.Context, image Image, c Container) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	s := &Server{image: image, container: c}
	if err := s.run(ctx); err != nil {
		return nil, errors.Join(err, s.End())
	}
	return s, nil
}

func (s *Server) run(ctx context.Context) error {
	binary, err := s.Find(s.image.Binary)
	if err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	addr, port, err := child.FreeAddress()
	if err != nil {
		return err
	}
	s.Addr = addr
	args, env, err := s.image.Local(s, port)
	if err != nil {
		return err
	}
	s.env = append(s.env, env...)
	if s.image.Setup != nil {
		if err := s.image.Setup(ctx, s); err != nil {
			return err
		}
	}
	command := []string{binary}
	for _, arg := range s.container.Args {
		if strings.HasPrefix(arg, "/") {
			if arg, err = s.Path(arg); err != nil {
				return err
			}
		}
		command = append(command, arg)
	}
	server, err := s.Start(append(command, args...), s.image.Stop)
	if err != nil {
		return err
	}
	return s.wait(ctx, server)
}

// prepare makes the server's folders, for the user who runs it.
func (s *Server) prepare() error {
	dir, err := os.MkdirTemp("", "kai-image-")
	if err != nil {
		return err
	}
	s.dir = dir
	if os.Geteuid() == 0 {
		if s.owner, err = child.Account(s.image.Account); err != nil {
			return err
		}
	}
	for _, folder := range s.container.Folders {
		if err := os.MkdirAll(filepath.Join(dir, "root", folder), 0o755); err != nil {
			return err
		}
	}
	for path, text := range s.container.Files {
		if err := os.WriteFile(filepath.Join(dir, "root", path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return child.HandOver(dir, s.owner)
}

// Path is where a path of the container is here. Outside of its volumes the container has nothing that it can write to.
func (s *Server) Path(path string) (string, error) {
	for _, folder := range s.container.Folders {
		if path == folder || strings.HasPrefix(path, folder+"/") {
			return filepath.Join(s.dir, "root", path), nil
		}
	}
	return "", fmt.Errorf("%s: the container cannot write to %s, its volumes are %s", s.image.Name, path, strings.Join(s.container.Folders, ", "))
}

// Find gives the path of a program of the server's package.
func (s *Server) Find(name string) (string, error) {
	return child.Find(s.image.Package, s.image.Folders, name)
}

// Start starts a process that ends with the server.
func (s *Server) Start(command []string, stop syscall.Signal) (*child.Process, error) {
	p, err := child.Start(child.Command{Args: command, Dir: s.dir, Env: s.environment(), Log: s.log(), Owner: s.owner, Group: true})
	if err != nil {
		return nil, err
	}
	s.processes, s.stops = append(s.processes, p), append(s.stops, stop)
	return p, nil
}

// Exec runs a command in the server's environment to its end, as a probe or an entrypoint does, and gives what it says.
func (s *Server) Exec(ctx context.Context, stdin string, command ...string) (string, error) {
	path, err := s.Find(command[0])
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.SysProcAttr = s.dir, s.environment(), strings.NewReader(stdin), &syscall.SysProcAttr{Credential: s.owner}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", command[0], err, out)
	}
	return string(out), nil
}

func (s *Server) environment() []string {
	env := []string{"PATH=" + strings.Join(append(s.folders(), os.Getenv("PATH")), ":"), "HOME=" + s.dir, "TMPDIR=" + s.dir, "LC_ALL=C"}
	for name, value := range s.container.Env {
		env = append(env, name+"="+value)
	}
	return append(env, s.env...)
}

// folders are those of the server's own programs.
func (s *Server) folders() []string {
	var out []string
	for _, pattern := range s.image.Folders {
		found, _ := filepath.Glob(pattern) // a bad pattern has been an error of Find
		out = append(out, found...)
	}
	return out
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// wait waits until somebody listens.
func (s *Server) wait(ctx context.Context, server *child.Process) error {
	for {
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", s.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready in time: %w\n%s", s.image.Name, err, s.Log())
		case <-server.Done():
			return fmt.Errorf("%s has ended: %w\n%s", s.image.Name, server.Exit(), s.Log())
		}
	}
}

// Log is the end of what the server has written.
func (s *Server) Log() string {
	return child.Tail(s.log())
}

// End ends the server and removes its folder.
func (s *Server) End() error {
	var errs []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		if !s.processes[i].Ended() {
			errs = append(errs, s.processes[i].End(s.stops[i], endWithin))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
