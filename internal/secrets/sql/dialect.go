package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strconv"
	"strings"
	"time"
)

// dialect is what the databases do not have in common.
type dialect struct {
	name   string
	port   uint16
	socket string // the URL's parameter for one

	connector func(t target, patience time.Duration) (driver.Connector, error)

	quote    string
	numbered bool // placeholders are $1, $2 and not ?
	// level and blob are the types of a name and of a value, table is what follows
	// the columns of a new table.
	level, blob, table string

	// lock keeps others from migrating until the connection or the transaction
	// ends; unlock is "" where nothing else is needed.
	lock, unlock string
	// transactional says that making tables is undone with its transaction.
	transactional bool

	// judge says what an error means, and how to say it; the text is "" for the
	// error's own.
	judge func(err error) judgment
}

// judgment is what an error of a driver means.
type judgment struct {
	kind kind
	text string // instead of the error's own
	hint string
}

type kind int

const (
	other   kind = iota
	lost         // the connection is gone, or the server does not take one now
	busy         // somebody else has a lock; it may go better in a while
	taken        // the row is there already
	noTable      // the table is not there
	denied       // the server refuses who asks
)

// adapt writes a statement in the dialect. In s, ? is a parameter; {paths},
// {versions} and {migrations} are the tables; {level}, {blob} and {table} are as
// above.
func (s *Store) adapt(statement string) string {
	d := s.dialect
	in := ""
	if s.schema != "" {
		in = d.quote + s.schema + d.quote + "."
	}
	name := func(table string) string { return in + d.quote + s.prefix + "_" + table + d.quote }
	statement = strings.NewReplacer(
		"{paths}", name("paths"), "{versions}", name("versions"), "{migrations}", name("migrations"),
		"{level}", d.level, "{blob}", d.blob, "{table}", d.table,
		"{max}", strconv.Itoa(maxDoc),
	).Replace(statement)
	if !d.numbered {
		return statement
	}
	var out strings.Builder
	for i, part := range strings.Split(statement, "?") {
		if i > 0 {
			out.WriteString("$" + strconv.Itoa(i))
		}
		out.WriteString(part)
	}
	return out.String()
}

// executor is a pool, a connection or a transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}
