package sql

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
)

// migrations make the tables, in their order; the number of one is its place,
// from 1. None is ever changed once it is released. MySQL cannot undo them, so
// that each statement can be done twice.
var migrations = [][]string{
	{
		`CREATE TABLE IF NOT EXISTS {paths} (
	deployment {level} NOT NULL,
	app {level} NOT NULL,
	scope {level} NOT NULL,
	version BIGINT NOT NULL,
	held SMALLINT NOT NULL,
	PRIMARY KEY (deployment, app, scope)
){table}`,
		`CREATE TABLE IF NOT EXISTS {versions} (
	deployment {level} NOT NULL,
	app {level} NOT NULL,
	scope {level} NOT NULL,
	version BIGINT NOT NULL,
	write_id {level} NOT NULL,
	written BIGINT NOT NULL,
	content {blob},
	PRIMARY KEY (deployment, app, scope, version)
){table}`,
	},
}

// look gives the number of the last migration that was done, 0 for none.
func (s *Store) look(ctx context.Context) (int, error) {
	number, err := s.last(ctx, s.db)
	if err != nil && s.judge(err).kind == noTable {
		return 0, nil
	}
	return number, err
}

func (s *Store) last(ctx context.Context, on executor) (int, error) {
	var number sql.NullInt64
	if err := on.QueryRowContext(ctx, s.adapt("SELECT MAX(number) FROM {migrations}")).Scan(&number); err != nil {
		return 0, err
	}
	if number.Int64 > int64(len(migrations)) {
		return 0, &said{
			text: fmt.Sprintf("the tables %s_* are those of a newer kai (migration %d, this one knows %d)", s.prefix, number.Int64, len(migrations)),
			hint: "use a newer kai",
		}
	}
	return int(number.Int64), nil
}

// migrate does what is missing, while no other process does.
func (s *Store) migrate(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.dialect.transactional {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if s.dialect.lock != "" {
			if _, err := tx.ExecContext(ctx, s.adapt(s.dialect.lock), s.lockNumber()); err != nil {
				return err
			}
		}
		if err := s.advance(ctx, tx); err != nil {
			return err
		}
		return tx.Commit()
	}
	name := fmt.Sprintf("kai:%x", s.lockNumber())
	var got sql.NullInt64
	if err := conn.QueryRowContext(ctx, s.dialect.lock, name).Scan(&got); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return &said{text: "another process has been making the tables for a minute", hint: "wait until it has ended"}
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), s.dialect.unlock, name) }()
	return s.advance(ctx, conn)
}

func (s *Store) advance(ctx context.Context, on executor) error {
	if _, err := on.ExecContext(ctx, s.adapt("CREATE TABLE IF NOT EXISTS {migrations} (number BIGINT NOT NULL PRIMARY KEY, done BIGINT NOT NULL){table}")); err != nil {
		return err
	}
	number, err := s.last(ctx, on)
	if err != nil {
		return err
	}
	for ; number < len(migrations); number++ {
		for _, statement := range migrations[number] {
			if _, err := on.ExecContext(ctx, s.adapt(statement)); err != nil {
				return err
			}
		}
		if _, err := on.ExecContext(ctx, s.adapt("INSERT INTO {migrations} (number, done) VALUES (?, ?)"), int64(number+1), s.now().UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// lockNumber is the tables' own, so that others of the same server do not wait.
func (s *Store) lockNumber() int64 {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(s.where + "\x00" + s.schema + "\x00" + s.prefix))
	return int64(sum.Sum64() >> 1)
}
