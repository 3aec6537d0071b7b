//go:build unix

package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/helm-kai/helm-kai/e2e/child"
)

// Redis is the image redis: its entrypoint adds nothing to the command. The work is done in /data.
var Redis = inMemory("Redis", "redis-server", "redis-server")

// Valkey is the image valkey/valkey, which does the same. Debian has it from its release 13 on.
var Valkey = func() Image {
	image := inMemory("Valkey", "valkey-server", "valkey-server")
	image.Rare = true
	return image
}()

func inMemory(name, binary, pkg string) Image {
	return Image{
		Name: name, Binary: binary, Package: pkg, Account: "redis", Stop: syscall.SIGTERM,
		Local: func(s *Server, port string) (args, env []string, err error) {
			data, err := s.Path("/data")
			return []string{"--bind", "127.0.0.1", "--port", port, "--dir", data}, nil, err
		},
	}
}

// NATS is the image nats, which is the server alone; binary is where that is here, monitor the port that tells of itself.
func NATS(binary, monitor string) Image {
	return Image{
		Name: "NATS", Binary: binary, Stop: syscall.SIGTERM,
		Local: func(_ *Server, port string) (args, env []string, err error) {
			return []string{"--addr", "127.0.0.1", "--port", port, "--http_port", monitor}, nil, nil
		},
	}
}

// MinIO is the image minio/minio, whose entrypoint adds the program's name; binary is where that is here.
func MinIO(binary string) Image {
	return Image{
		Name: "MinIO", Binary: binary, Stop: syscall.SIGTERM,
		Local: func(_ *Server, port string) (args, env []string, err error) {
			return []string{"--address", "127.0.0.1:" + port}, nil, nil
		},
	}
}

// RabbitMQ is the image rabbitmq, which keeps its data and its log below the folders that are named here.
var RabbitMQ = Image{
	Name: "RabbitMQ", Binary: "rabbitmq-server", Package: "rabbitmq-server", Account: "rabbitmq", Stop: syscall.SIGTERM,
	// What Debian has in the PATH asks to be root.
	Folders: []string{"/usr/lib/rabbitmq/bin"},
	Local: func(s *Server, port string) (args, env []string, err error) {
		home, err := s.Path("/var/lib/rabbitmq")
		if err != nil {
			return nil, nil, err
		}
		logs, err := s.Path("/var/log/rabbitmq")
		if err != nil {
			return nil, nil, err
		}
		_, distribution, err := child.FreeAddress()
		if err != nil {
			return nil, nil, err
		}
		_, names, err := child.FreeAddress()
		if err != nil {
			return nil, nil, err
		}
		return nil, []string{
			"HOME=" + home, "RABBITMQ_MNESIA_BASE=" + filepath.Join(home, "mnesia"), "RABBITMQ_LOG_BASE=" + logs, "RABBITMQ_PID_FILE=" + filepath.Join(home, "pid"),
			"RABBITMQ_CONF_ENV_FILE=" + filepath.Join(home, "none"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(home, "plugins"),
			"RABBITMQ_NODENAME=rabbit@localhost", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT=" + port, "RABBITMQ_DIST_PORT=" + distribution,
			"ERL_EPMD_PORT=" + names, "ERL_EPMD_ADDRESS=127.0.0.1",
		}, nil
	},
	// Erlang's directory of names would stay as a daemon if the server started it.
	Setup: func(_ context.Context, s *Server) error {
		epmd, err := s.Find("epmd")
		if err != nil {
			return err
		}
		_, err = s.Start([]string{epmd}, syscall.SIGTERM)
		return err
	},
}

// scripts is where the images of databases look for what they run once, in the order of the names.
const scripts = "/docker-entrypoint-initdb.d"

// initScripts are the files there, whoever put them.
func (s *Server) initScripts() ([]string, error) {
	if !slices.Contains(s.container.Folders, scripts) {
		return nil, nil
	}
	dir, err := s.Path(scripts)
	if err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(dir, "*"))
}

// Postgres is the image postgres. Its entrypoint makes a database in PGDATA for POSTGRES_USER, a superuser with POSTGRES_PASSWORD,
// and in it POSTGRES_DB; it runs the scripts while the server listens on its socket alone. The image trusts connections from
// within the pod; here all that come over TCP are asked for a password, as those from other pods are there.
var Postgres = Image{
	Name: "PostgreSQL", Binary: "postgres", Package: "postgresql", Account: "postgres", Stop: syscall.SIGINT,
	Folders: []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"},
	Local: func(s *Server, port string) (args, env []string, err error) {
		data, err := s.Path("/var/lib/postgresql/18/docker")
		if err != nil {
			return nil, nil, err
		}
		socket, err := s.Path("/var/run/postgresql")
		return []string{"-k", socket, "-h", "127.0.0.1", "-p", port}, []string{"PGDATA=" + data, "PGHOST=" + socket, "PGPORT=" + port}, err
	},
	Setup: setUpPostgres,
}

func setUpPostgres(ctx context.Context, s *Server) (err error) {
	env := s.container.Env
	password := filepath.Join(s.dir, "password")
	if err := s.write(password, env["POSTGRES_PASSWORD"]+"\n"); err != nil {
		return err
	}
	if _, err := s.Exec(ctx, "", "initdb", "--username="+env["POSTGRES_USER"], "--pwfile="+password, "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"); err != nil {
		return err
	}
	socket, err := s.Path("/var/run/postgresql")
	if err != nil {
		return err
	}
	// It would wait for the server, which keeps its output.
	if _, err := s.Exec(ctx, "", "pg_ctl", "--wait", "--log="+s.log(), "--options=-h '' -k "+socket, "start"); err != nil {
		return err
	}
	defer func() {
		if _, stop := s.Exec(ctx, "", "pg_ctl", "--wait", "--mode=fast", "stop"); err == nil {
			err = stop
		}
	}()
	psql := []string{"psql", "--set=ON_ERROR_STOP=1", "--no-psqlrc", "--username=" + env["POSTGRES_USER"], "--dbname=" + env["POSTGRES_DB"]}
	create := append(slices.Clone(psql[:4]), "--dbname=postgres", "--set=db="+env["POSTGRES_DB"])
	if _, err := s.Exec(ctx, `CREATE DATABASE :"db";`, create...); err != nil {
		return err
	}
	return s.runScripts(ctx, psql)
}

// MariaDB stands for the image mysql: it speaks the protocol, and its client programs have MySQL's names. The image makes
// MYSQL_DATABASE, MYSQL_USER with MYSQL_PASSWORD who may do everything there, and gives root MYSQL_ROOT_PASSWORD; then it runs
// the scripts, while the server listens on its socket alone.
var MariaDB = Image{
	Name: "MariaDB", Binary: "mariadbd", Package: "mariadb-server", Account: "mysql", Stop: syscall.SIGTERM,
	Folders: []string{"/usr/sbin", "/usr/libexec"},
	Local: func(s *Server, port string) (args, env []string, err error) {
		flags, err := s.mariadb()
		return append(flags, "--bind-address=127.0.0.1", "--port="+port), nil, err
	},
	Setup: setUpMariaDB,
}

func (s *Server) mariadb() ([]string, error) {
	data, err := s.Path("/var/lib/mysql")
	if err != nil {
		return nil, err
	}
	run, err := s.Path("/var/run/mysqld")
	return []string{"--no-defaults", "--datadir=" + data, "--socket=" + filepath.Join(run, "mysqld.sock"), "--pid-file=" + filepath.Join(run, "mysqld.pid"), "--skip-name-resolve"}, err
}

func setUpMariaDB(ctx context.Context, s *Server) error {
	flags, err := s.mariadb()
	if err != nil {
		return err
	}
	if _, err := s.Exec(ctx, "", "mariadb-install-db", "--no-defaults", flags[1], "--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return err
	}
	env := s.container.Env
	text := fmt.Sprintf("CREATE DATABASE `%[1]s`;\nUSE `%[1]s`;\nCREATE USER '%[2]s'@'%%' IDENTIFIED BY '%[3]s';\nGRANT ALL ON `%[1]s`.* TO '%[2]s'@'%%';\nALTER USER root@localhost IDENTIFIED BY '%[4]s';\n",
		env["MYSQL_DATABASE"], env["MYSQL_USER"], env["MYSQL_PASSWORD"], env["MYSQL_ROOT_PASSWORD"])
	found, err := s.initScripts()
	if err != nil {
		return err
	}
	for _, script := range found {
		if filepath.Ext(script) != ".sql" {
			return fmt.Errorf("%s: only scripts in SQL can be tried", script)
		}
		data, err := os.ReadFile(script)
		if err != nil {
			return err
		}
		text += string(data) + "\n"
	}
	// Without a network and without asking who is there, it runs what it reads, and ends.
	_, err = s.Exec(ctx, "FLUSH PRIVILEGES;\n"+text, slices.Concat([]string{"mariadbd"}, flags, []string{"--bootstrap"})...)
	return err
}

// runScripts runs SQL with a client, and scripts of the shell.
func (s *Server) runScripts(ctx context.Context, client []string) error {
	found, err := s.initScripts()
	if err != nil {
		return err
	}
	for _, script := range found {
		command := []string{"bash", script}
		if strings.HasSuffix(script, ".sql") {
			command = append(slices.Clone(client), "--file="+script)
		}
		if _, err := s.Exec(ctx, "", command...); err != nil {
			return err
		}
	}
	return nil
}

// write writes a file that the server may read, and nobody else.
func (s *Server) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if s.owner == nil {
		return nil
	}
	return os.Lchown(path, int(s.owner.Uid), int(s.owner.Gid))
}
