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
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
)

// Required is the variable of the environment that makes a server which is not installed a failure, and not a skipped test.
const Required = "KAI_E2E_DATABASES"

// The bounds of time, for a slow machine that does much else.
const (
	startWithin = 2 * time.Minute
	endWithin   = 30 * time.Second
)

// MissingError says that a program is not installed.
type MissingError struct{ Binary, Package string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed (Debian: apt-get install %s)", e.Binary, e.Package)
}

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
	var missing *MissingError
	if errors.As(err, &missing) && (image.Rare || os.Getenv(Required) == "") {
		t.Skipf("%v; but for rare ones %s=required makes this a failure", err, Required)
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
	addr, port, err := FreeAddress()
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
		if s.owner, err = account(s.image.Account); err != nil {
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
	if s.owner == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(s.owner.Uid), int(s.owner.Gid))
	})
}

// account is the one of that name, or nobody.
func account(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
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
	for _, folder := range s.image.Folders {
		found, err := filepath.Glob(filepath.Join(folder, name))
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", &MissingError{name, s.image.Package}
	}
	return path, nil
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
	data, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
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

// FreeAddress gives an address that nobody listens on just now, and its port.
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
