// Package sql keeps secrets in a database: in a file of SQLite, which needs no
// server, in PostgreSQL, or in MySQL and MariaDB.
//
// # Tables
//
// They are named after a prefix. PREFIX_paths has one row per path with the
// number of its current version, and that row is what a write is decided by: it
// sets the number from the one it has read to the next one, and of two writers
// only one finds the number that both have read. The row is never removed, so no
// number is given twice. PREFIX_versions has one row per version of a path: its
// values as one JSON object, or NULL where the path held nothing from then on.
// PREFIX_migrations has the numbers of the migrations that were done.
//
// Values and names are stored as bytes, so that neither a character set nor a
// collation of the server says what is equal. Nothing is encrypted here.
//
// # Connections that end
//
// A write carries a random id. When a connection ends before its answer is
// there, the store looks whether a version with this id exists, and only writes
// again if there is none: it never takes its own write for somebody else's.
package sql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// storeName is this kind of store's, in Abilities and in messages.
const storeName = "sql"

// The defaults of Options.
const (
	DefaultTable    = "kai_secrets"
	DefaultKeep     = 100
	DefaultConns    = 4
	DefaultPatience = 10 * time.Second
)

// Options say where the database is, and how it is used.
type Options struct {
	// URL is sqlite:PATH, postgres://USER@HOST:PORT/DATABASE or
	// mysql://USER@HOST:PORT/DATABASE. A socket is given as ?host=FOLDER
	// (PostgreSQL) or ?socket=PATH (MySQL). It holds no password.
	URL string
	// User goes before the URL's.
	User string
	// Password is in no message.
	Password secrets.Value
	TLS      TLS
	// Schema is PostgreSQL's; "" is the first of the search path.
	Schema string
	// Table is what the names of the tables begin with.
	Table string
	// Keep is how many versions of a path are kept, DefaultKeep for 0, all for a
	// negative number.
	Keep int
	// Conns bounds the connections.
	Conns int
	// Patience is how long the store waits for a lock, and for a server that
	// restarts. Open itself does not wait for a server.
	Patience time.Duration
	// Now gives the time that a version gets; nil is time.Now.
	Now func() time.Time
}

// Store keeps secrets in a database. It implements secrets.Store and
// secrets.Historian.
type Store struct {
	db       *sql.DB
	dialect  *dialect
	where    string // for messages
	file     string // SQLite's
	schema   string
	prefix   string
	keep     int
	patience time.Duration
	now      func() time.Time
	newID    func() string
	password secrets.Value

	migrated atomic.Bool
	// gate lets one at a time write to SQLite: within a process the writers wait
	// in a queue, which SQLite's own lock does not have.
	gate chan struct{}
}

// Open connects to a database and finds out whether the tables are there. They
// are made by the first write. Of SQLite the file may be missing, and is made
// by the first write too, for its owner alone.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(o)
	if err != nil {
		return nil, &settingError{err}
	}
	if _, err := s.ready(ctx, false); err != nil {
		_ = s.Close()
		return nil, s.failed(ctx, "open", err)
	}
	return s, nil
}

func open(o Options) (*Store, error) {
	t, err := parse(o)
	if err != nil {
		return nil, err
	}
	s := &Store{
		dialect: t.dialect, where: t.where(), file: t.file,
		schema: o.Schema, prefix: o.Table, keep: o.Keep, patience: o.Patience, now: o.Now,
		newID: rand.Text, password: o.Password, gate: make(chan struct{}, 1),
	}
	if s.prefix == "" {
		s.prefix = DefaultTable
	}
	if s.keep == 0 {
		s.keep = DefaultKeep
	}
	if s.patience <= 0 {
		s.patience = DefaultPatience
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.checkNames(); err != nil {
		return nil, err
	}
	connector, err := t.dialect.connector(t, s.patience)
	if err != nil {
		return nil, s.failed(context.Background(), "open", err)
	}
	conns := o.Conns
	if conns <= 0 {
		conns = DefaultConns
	}
	s.db = sql.OpenDB(connector)
	s.db.SetMaxOpenConns(conns)
	s.db.SetMaxIdleConns(conns)
	s.db.SetConnMaxIdleTime(time.Minute)
	s.db.SetConnMaxLifetime(30 * time.Minute)
	if f, ok := connector.(*fileConnector); ok {
		// Such a connection does not see what others write after it was made.
		f.once = func() { s.db.SetMaxIdleConns(-1) }
	}
	return s, nil
}

// Can implements secrets.Store.
func (s *Store) Can() secrets.Abilities {
	return secrets.Abilities{Name: storeName, Write: true, CAS: true, History: true}
}

// Close implements secrets.Store.
func (s *Store) Close() error { return s.db.Close() }

// ready says whether the tables are there, and makes them first if they are to
// be written. Who only reads needs no right to make tables.
func (s *Store) ready(ctx context.Context, write bool) (bool, error) {
	if s.migrated.Load() {
		return true, nil
	}
	if s.file != "" {
		there, err := s.exists()
		if err != nil || !there && !write {
			return false, err
		}
		if !there {
			if err := create(s.file); err != nil {
				return false, err
			}
		}
	}
	number, err := s.look(ctx)
	if err != nil {
		return false, err
	}
	if number < len(migrations) {
		if !write {
			return number > 0, nil
		}
		if err := s.migrate(ctx); err != nil {
			return false, err
		}
	}
	s.migrated.Store(true)
	return true, nil
}

// exists says whether the file is there, which must be one that not everybody
// reads.
func (s *Store) exists() (bool, error) {
	info, err := os.Stat(s.file)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, checkFile(info)
}

// enter waits until it is this caller's turn to write; leave ends the turn.
func (s *Store) enter(ctx context.Context) error {
	if s.file == "" {
		return nil
	}
	select {
	case s.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() {
	if s.file != "" {
		<-s.gate
	}
}

// version gives the number of a version as the model has it.
func version(number int64) string { return strconv.FormatInt(number, 10) }

// checkNames holds names of tables to what needs no quoting anywhere, and to
// the 63 bytes that PostgreSQL does not cut.
func (s *Store) checkNames() error {
	if !isName(s.prefix) {
		return fmt.Errorf("the prefix of the tables must be lower-case letters, digits and _, begin with a letter and have at most %d of them; it is %q", maxName, s.prefix)
	}
	if s.schema == "" {
		return nil
	}
	if s.dialect != postgres {
		return fmt.Errorf("%s: a schema can only be given for PostgreSQL", s.where)
	}
	if !isName(s.schema) {
		return fmt.Errorf("the schema must be lower-case letters, digits and _, begin with a letter and have at most %d of them; it is %q", maxName, s.schema)
	}
	return nil
}

// maxName leaves room for what the names of tables end in.
const maxName = 48

func isName(name string) bool {
	if name == "" || len(name) > maxName || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
