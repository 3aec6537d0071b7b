//go:build unix

package databases

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
)

// MariaDB starts MariaDB. The user may do everything.
func MariaDB(ctx context.Context) (*Server, error) {
	folders := []string{"/usr/sbin", "/usr/libexec"}
	server, err := child.Find("mariadb-server", folders, "mariadbd")
	if err != nil {
		return nil, err
	}
	install, err := child.Find("mariadb-server", []string{"/usr/bin"}, "mariadb-install-db")
	if err != nil {
		return nil, err
	}
	s := &Server{Name: "MariaDB", Database: "kai", scheme: "mysql", stop: syscall.SIGTERM, ready: greets, client: mysql}
	if err := s.prepareMariaDB(ctx, server, install); err != nil {
		_ = os.RemoveAll(s.dir)
		return nil, err
	}
	return s.launch(ctx)
}

var mysql = client{
	pkg: "mariadb-client", name: "mariadb",
	args: func(s *Server, database string) []string {
		args := []string{"--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port=" + port(s.Addr), "--user=" + s.User, "--ssl-ca=" + s.CA}
		if database != "" {
			args = append(args, "--database="+database)
		}
		return args
	},
	create: "CREATE DATABASE IF NOT EXISTS `NAME`",
}

func (s *Server) prepareMariaDB(ctx context.Context, server, install string) error {
	if err := s.prepare("mysql"); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run(ctx, install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return err
	}
	// The server runs it at each start, before it listens.
	commands := filepath.Join(s.dir, "init.sql")
	text := fmt.Sprintf("CREATE DATABASE IF NOT EXISTS `%s`;\nCREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s';\nGRANT ALL ON *.* TO '%[2]s'@'%%' WITH GRANT OPTION;\n", s.Database, s.User, s.Password)
	if err := os.WriteFile(commands, []byte(text), 0o600); err != nil {
		return err
	}
	if err := child.HandOver(s.dir, s.owner); err != nil {
		return err
	}
	addr, port, err := child.FreeAddress()
	if err != nil {
		return err
	}
	s.Addr = addr
	s.args = []string{
		server, "--no-defaults", "--datadir=" + data, "--bind-address=127.0.0.1", "--port=" + port, "--socket=" + filepath.Join(s.dir, "sock"),
		"--pid-file=" + filepath.Join(s.dir, "pid"), "--init-file=" + commands, "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M",
		"--ssl-ca=" + s.CA, "--ssl-cert=" + filepath.Join(s.dir, "server.pem"), "--ssl-key=" + filepath.Join(s.dir, "server.key"),
	}
	return nil
}

// greets says whether the server speaks first, as the protocol has it: four bytes of a header, and its version.
func greets(ctx context.Context, s *Server) error {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if head[4] != 10 {
		return fmt.Errorf("the server greets with %d", head[4])
	}
	return nil
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
