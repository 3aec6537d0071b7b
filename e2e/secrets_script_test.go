//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/helm-kai/helm-kai/e2e/child"
	"github.com/helm-kai/helm-kai/e2e/databases"
	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

// servers are what a script keeps secrets in, of its own.
type servers struct {
	vault     *vaultserver.Server
	databases map[string]*databases.Server // by what starts them
}

// stop ends those that run.
func (s *servers) stop() error {
	var errs []error
	if s.vault != nil {
		errs = append(errs, s.vault.Stop(), os.RemoveAll(s.vault.Dir))
	}
	for _, d := range s.databases {
		errs = append(errs, d.Stop())
	}
	return errors.Join(errs...)
}

// serverCommand is for what secrets are kept in:
//
//	server vault               starts one: VAULT_ADDR, and VAULT_TOKEN, which may do all; the program vault is on the path
//	server postgres|mariadb    starts one: NAME_URL, NAME_HOST, NAME_PORT, NAME_USER, NAME_PASSWORD, NAME_CA
//	server sql NAME DB FILE    makes a database, if it is not there, and executes what the file holds in it; $VARIABLES are replaced
//	server kill NAME           ends it, as a failure of the machine would, and starts it again; a Vault is sealed then
//	server seal vault          and unseal
func serverCommand(ts *testscript.TestScript, neg bool, args []string) {
	s := scriptOf(ts)
	ctx := s.test.Context()
	if neg || len(args) == 0 {
		ts.Fatalf("usage: server vault|postgres|mariadb|sql|kill|seal|unseal")
	}
	switch strings.Join(args[:min(2, len(args))], " ") {
	case "vault":
		ts.Check(s.startVault(ctx))
		ts.Setenv("VAULT_ADDR", s.servers.vault.Addr)
		ts.Setenv("VAULT_TOKEN", s.servers.vault.Token)
	case "postgres", "mariadb":
		s.startDatabase(ts, args[0])
	case "sql postgres", "sql mariadb":
		if len(args) != 4 {
			ts.Fatalf("usage: server sql NAME DATABASE FILE")
		}
		ts.Check(s.database(ts, args[1]).Exec(ctx, args[2], os.Expand(ts.ReadFile(args[3]), ts.Getenv)))
	case "kill postgres", "kill mariadb":
		ts.Check(s.database(ts, args[1]).Kill(ctx))
	case "kill vault":
		ts.Check(s.servers.vault.Kill())
		ts.Check(s.servers.vault.Resume(ctx))
	case "seal vault":
		ts.Check(s.servers.vault.Seal(ctx))
	case "unseal vault":
		ts.Check(s.servers.vault.Open(ctx))
	default:
		ts.Fatalf("usage: server vault|postgres|mariadb|sql|kill|seal|unseal")
	}
}

func (s *script) startVault(ctx context.Context) error {
	binaries, err := vaultserver.Build(ctx, s.cache, filepath.Join(s.checkout, "e2e", "vaultserver", "build"))
	if err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(binaries, "vault"), filepath.Join(s.programs, "vault")); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	dir, err := os.MkdirTemp("", "kai-e2e-vault-")
	if err != nil {
		return err
	}
	if s.servers.vault, err = vaultserver.Start(ctx, binaries, dir); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

func (s *script) startDatabase(ts *testscript.TestScript, name string) {
	start := map[string]func(context.Context) (*databases.Server, error){"postgres": databases.Postgres, "mariadb": databases.MariaDB}[name]
	d, err := start(s.test.Context())
	if missing := (*child.MissingError)(nil); errors.As(err, &missing) && os.Getenv(child.Required) == "" {
		s.t.Skip(fmt.Sprintf("%v; %s=required makes this a failure", err, child.Required))
	}
	ts.Check(err)
	s.servers.databases[name] = d
	host, port, err := net.SplitHostPort(d.Addr)
	ts.Check(err)
	for key, value := range map[string]string{"URL": d.URL(), "HOST": host, "PORT": port, "USER": d.User, "PASSWORD": d.Password, "CA": d.CA} {
		ts.Setenv(strings.ToUpper(name)+"_"+key, value)
	}
}

func (s *script) database(ts *testscript.TestScript, name string) *databases.Server {
	d := s.servers.databases[name]
	if d == nil {
		ts.Fatalf("the script has not started %s", name)
	}
	return d
}

// podCommand runs a program as in a pod, with a service account of the script's namespace: pod ACCOUNT PROGRAM…. Of the
// environment it has what all pods have, and the script's. Where this process may not mount, the script is skipped.
func podCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: pod ACCOUNT PROGRAM…")
	}
	s := scriptOf(ts)
	if runtime.GOOS != "linux" || exec.Command("unshare", "-r", "-m", "true").Run() != nil {
		s.t.Skip("this process may not mount anything")
	}
	dir := filepath.Join(s.home, "pods", args[0])
	ts.Check(s.serviceAccount(dir, args[0]))
	u := strings.Split(strings.TrimPrefix(s.cluster.Server, "https://"), ":")
	ts.Setenv("KUBERNETES_SERVICE_HOST", u[0])
	ts.Setenv("KUBERNETES_SERVICE_PORT", u[1])
	config := ts.Getenv("KUBECONFIG")
	ts.Setenv("KUBECONFIG", "")
	mount := `mount -t tmpfs none /run && mkdir -p "$2" && cp "$1"/* "$2" && shift 2 && exec "$@"`
	err := ts.Exec("unshare", append([]string{"-r", "-m", "sh", "-c", mount, "sh", dir, "/run/secrets/kubernetes.io/serviceaccount"}, args[1:]...)...)
	for _, name := range []string{"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"} {
		ts.Setenv(name, "")
	}
	ts.Setenv("KUBECONFIG", config)
	if (err == nil) == neg {
		ts.Fatalf("pod %v: %v\n%s%s", args, err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// serviceAccount writes what a pod finds of its service account.
func (s *script) serviceAccount(dir, name string) error {
	token, err := exec.Command(filepath.Join(s.programs, "kubectl"), "--kubeconfig", s.kubeconfig(), "create", "token", name).Output()
	if err != nil {
		return fmt.Errorf("kubectl create token %s: %w", name, err)
	}
	authorities, err := os.ReadFile(s.cluster.CA())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for file, text := range map[string][]byte{"token": token, "namespace": []byte(s.namespace), "ca.crt": authorities} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
