//go:build unix

package databases

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/helm-kai/helm-kai/e2e/child"
)

// postgresFolders are where Debian, which may have several versions, and others install it.
var postgresFolders = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"}

// Postgres starts PostgreSQL. The user is a superuser.
func Postgres(ctx context.Context) (*Server, error) {
	server, err := child.Find("postgresql", postgresFolders, "postgres")
	if err != nil {
		return nil, err
	}
	var tools [2]string
	for i, name := range []string{"initdb", "pg_isready"} {
		if tools[i], err = child.Find("postgresql", append([]string{filepath.Dir(server)}, postgresFolders...), name); err != nil {
			return nil, err
		}
	}
	s := &Server{Name: "PostgreSQL", Database: "postgres", scheme: "postgres", stop: syscall.SIGINT, client: psql}
	if err := s.preparePostgres(ctx, server, tools[0]); err != nil {
		_ = os.RemoveAll(s.dir)
		return nil, err
	}
	s.ready = func(ctx context.Context, s *Server) error {
		return s.run(ctx, tools[1], "-q", "-t", "2", "-h", s.dir, "-p", port(s.Addr), "-d", s.Database, "-U", s.User)
	}
	return s.launch(ctx)
}

// psql goes by the socket in the server's folder, where the user needs no password.
var psql = client{
	pkg: "postgresql-client", name: "psql",
	args: func(s *Server, database string) []string {
		return []string{"-q", "-X", "-v", "ON_ERROR_STOP=1", "-h", s.dir, "-p", port(s.Addr), "-U", s.User, "-d", cmp.Or(database, s.Database)}
	},
	create: `SELECT 'CREATE DATABASE "NAME"' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'NAME') \gexec`,
}

func (s *Server) preparePostgres(ctx context.Context, server, initdb string) error {
	if err := s.prepare("postgres"); err != nil {
		return err
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(s.Password+"\n"), 0o600); err != nil {
		return err
	}
	if err := child.HandOver(s.dir, s.owner); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run(ctx, initdb, "-D", data, "-U", s.User, "--pwfile", password, "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return err
	}
	addr, port, err := child.FreeAddress()
	if err != nil {
		return err
	}
	s.Addr = addr
	s.args = []string{
		server, "-D", data, "-p", port, "-k", s.dir, "-h", "127.0.0.1",
		"-c", "fsync=off", "-c", "ssl=on", "-c", "ssl_cert_file=" + filepath.Join(s.dir, "server.pem"), "-c", "ssl_key_file=" + filepath.Join(s.dir, "server.key"),
	}
	return nil
}
