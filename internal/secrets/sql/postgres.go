package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

var postgres = &dialect{
	name:          "PostgreSQL",
	port:          5432,
	socket:        "host",
	connector:     connectPostgres,
	quote:         `"`,
	numbered:      true,
	level:         `TEXT COLLATE "C"`,
	blob:          "BYTEA",
	lock:          "SELECT pg_advisory_xact_lock(?)",
	transactional: true,
	judge:         judgePostgres,
}

// dialTimeout bounds the making of a connection.
const dialTimeout = 10 * time.Second

// connectPostgres says all itself, so that neither PGHOST and its like nor files
// in the user's folder say something else.
func connectPostgres(t target, _ time.Duration) (driver.Connector, error) {
	var text strings.Builder
	for _, s := range [][2]string{
		{"host", t.host}, {"port", strconv.Itoa(int(t.port))}, {"dbname", t.database}, {"user", t.user},
		{"sslmode", "disable"}, {"sslrootcert", ""}, {"sslcert", ""}, {"sslkey", ""}, {"passfile", ""}, {"password", ""},
		{"sslnegotiation", "postgres"}, {"channel_binding", "prefer"}, {"require_auth", ""}, {"target_session_attrs", "any"},
	} {
		text.WriteString(s[0] + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s[1]) + "' ")
	}
	config, err := pgx.ParseConfig(text.String())
	if err != nil {
		return nil, errors.New("its settings cannot be used\n  hint: unset the variables of the environment that begin with PG")
	}
	config.Password = ""
	config.TLSConfig = t.tls.config
	config.Fallbacks = nil
	config.ConnectTimeout = dialTimeout
	config.RuntimeParams = map[string]string{"application_name": "kai"}
	// One round trip a statement, and nothing that a pooler between would have to
	// remember.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	return stdlib.GetConnector(*config, stdlib.OptionBeforeConnect(func(_ context.Context, config *pgx.ConnConfig) error {
		config.Password = t.password.Reveal()
		return nil
	})), nil
}

func judgePostgres(err error) judgment {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		// Why there is no connection is said better by what is below that error.
		if begin := (*pgconn.ConnectError)(nil); !errors.As(err, &begin) && pgconn.SafeToRetry(err) && !pgconn.Timeout(err) {
			return judgment{kind: lost, text: "the connection was lost"}
		}
		return judgment{}
	}
	j := judgment{text: e.Message + " (SQLSTATE " + e.Code + ")"}
	switch e.Code {
	case "23505":
		j.kind = taken
	case "42P01":
		j.kind = noTable
	case "40001", "40P01", "55P03":
		j.kind = busy
	case "57P01", "57P02", "57P03", "53300", "25P03":
		j.kind = lost
	case "28P01", "28000":
		j.kind = denied
		j.hint = "check the user and the password, and what pg_hba.conf says of them"
	case "3D000":
		j.hint = "create the database: kai does not"
	case "3F000":
		j.hint = "create the schema: kai does not"
	case "42501":
		j.kind = denied
		j.hint = "the user needs SELECT, INSERT, UPDATE and DELETE on the tables, and CREATE on the schema for the first write"
	case "25006":
		j.hint = "this server is a replica: give the primary's address"
	case "53100":
		j.text, j.hint = "the server's disk is full", "make room there, and do it again"
	default:
		if strings.HasPrefix(e.Code, "08") {
			j.kind = lost
		}
	}
	return j
}
