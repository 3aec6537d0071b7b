package sql

import (
	"errors"
	"testing"

	drivermysql "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestDenied: a server that refuses who asks is told from one that is away, for who
// starts with a copy of what it held before.
func TestDenied(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dialect *dialect
		err     error
		want    bool
	}{
		"password of PostgreSQL": {postgres, &pgconn.PgError{Code: "28P01", Message: "password authentication failed"}, true},
		"right in PostgreSQL":    {postgres, &pgconn.PgError{Code: "42501", Message: "permission denied for table"}, true},
		"PostgreSQL stops":       {postgres, &pgconn.PgError{Code: "57P01", Message: "terminating connection"}, false},
		"password of MySQL":      {mysql, &drivermysql.MySQLError{Number: 1045, Message: "access denied"}, true},
		"right in MySQL":         {mysql, &drivermysql.MySQLError{Number: 1142, Message: "SELECT command denied"}, true},
		"MySQL stops":            {mysql, &drivermysql.MySQLError{Number: 1053, Message: "server shutdown in progress"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Store{dialect: test.dialect}
			var said interface{ Denied() bool }
			if err := s.failed(t.Context(), "read", test.err); !errors.As(err, &said) || said.Denied() != test.want {
				t.Errorf("%v is denied: %v", err, said != nil && said.Denied())
			}
		})
	}
}
