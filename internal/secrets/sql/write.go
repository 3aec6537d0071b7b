package sql

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// write is one call of Write, over all its attempts.
type write struct {
	doc     secrets.Doc
	content []byte // nil for nothing
	id      string
	target  int64 // the number that an attempt was to make; 0 before there was one
	result  int64 // the number of the version that the path has in the end
	unknown bool  // whether a commit was asked for and not answered
}

// Write implements secrets.Store. When the connection ends, or the server
// restarts, it finds out whether the version is there, and does it again if not.
func (s *Store) Write(ctx context.Context, doc secrets.Doc) (string, error) {
	if err := checkPath(doc.Path); err != nil {
		return "", err
	}
	content, err := encode(doc)
	if err != nil {
		return "", err
	}
	w := &write{doc: doc, content: content, id: s.newID()}
	err = s.try(ctx, "write "+doc.Path.String(), func() error { return s.attempt(ctx, w) })
	if f := (*failure)(nil); w.unknown && errors.As(err, &f) && !strings.Contains(f.text, hintMark) {
		f.text += hintMark + "read the path again: the write may have been done"
	}
	if err != nil || content == nil {
		return "", err
	}
	return version(w.result), nil
}

// Check implements secrets.Checker.
func (s *Store) Check(_ context.Context, docs []secrets.Doc) error {
	for _, doc := range docs {
		if err := checkPath(doc.Path); err != nil {
			return err
		}
		if _, err := encode(doc); err != nil {
			return err
		}
	}
	return nil
}

// attempt writes once. A write that was done by an attempt before is not done
// again, even if that is committed only now: this one waits for its lock.
func (s *Store) attempt(ctx context.Context, w *write) error {
	if _, err := s.ready(ctx, true); err != nil {
		return err
	}
	again := w.target > 0
	if again {
		if done, err := s.landed(ctx, w); done || err != nil {
			return err
		}
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	moved, err := s.transact(ctx, w)
	s.leave()
	if err != nil || !moved {
		return err
	}
	if again {
		if done, err := s.landed(ctx, w); done || err != nil {
			return err
		}
	}
	return &secrets.ConflictError{Path: w.doc.Path}
}

// transact does the write as a transaction. It says whether the path has moved
// on, and then has written nothing.
func (s *Store) transact(ctx context.Context, w *write) (moved bool, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	// After a commit this does nothing.
	defer func() { _ = tx.Rollback() }()

	now, err := s.head(ctx, tx, w.doc.Path)
	if err != nil {
		return false, err
	}
	if now.version() != w.doc.Version {
		return true, nil
	}
	if now.is(w) {
		w.result = now.number
		return false, nil
	}
	number := now.number + 1
	w.target = number
	if moved, err := s.advancePath(ctx, tx, w, now); moved || err != nil {
		return moved, err
	}
	content := any(nil)
	if w.content != nil {
		content = w.content
	}
	if _, err := tx.ExecContext(ctx, s.adapt("INSERT INTO {versions} (deployment, app, scope, version, write_id, written, content) VALUES (?, ?, ?, ?, ?, ?, ?)"),
		append(levels(w.doc.Path), number, w.id, s.now().UnixMicro(), content)...); err != nil {
		return false, err
	}
	if oldest := number - int64(s.keep); s.keep > 0 && oldest > 0 {
		if _, err := tx.ExecContext(ctx, s.adapt("DELETE FROM {versions} WHERE "+isPath+" AND version <= ?"), append(levels(w.doc.Path), oldest)...); err != nil {
			return false, err
		}
	}
	w.unknown = true
	if err := tx.Commit(); err != nil {
		return false, err
	}
	w.result = number
	return false, nil
}

// advancePath is the compare-and-swap: it makes the path's row, or sets its
// number if that is still the one that was read.
func (s *Store) advancePath(ctx context.Context, tx *sql.Tx, w *write, now head) (moved bool, err error) {
	held := int64(1)
	if w.content == nil {
		held = 0
	}
	if now.number == 0 {
		_, err := tx.ExecContext(ctx, s.adapt("INSERT INTO {paths} (deployment, app, scope, version, held) VALUES (?, ?, ?, 1, ?)"), append(levels(w.doc.Path), held)...)
		if err != nil && s.judge(err).kind == taken {
			return true, nil
		}
		return false, err
	}
	result, err := tx.ExecContext(ctx, s.adapt("UPDATE {paths} SET version = ?, held = ? WHERE "+isPath+" AND version = ?"),
		append(append([]any{now.number + 1, held}, levels(w.doc.Path)...), now.number)...)
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows == 0, err
}

// head is the state of a path.
type head struct {
	row
	held bool
}

func (s *Store) head(ctx context.Context, tx *sql.Tx, path secrets.Path) (head, error) {
	now := head{row: row{path: path}}
	var held int64
	err := tx.QueryRowContext(ctx, s.adapt("SELECT p.version, p.held, v.written, "+contentOf+" FROM {paths} p JOIN {versions} v ON "+sameVersion+
		" WHERE p.deployment = ? AND p.app = ? AND p.scope = ?"), levels(path)...).
		Scan(&now.number, &held, &now.written, &now.content, &now.size)
	if errors.Is(err, sql.ErrNoRows) {
		return now, nil
	}
	now.held = held == 1
	return now, err
}

// version is the word for this state: that of a path without values is "",
// whatever was there before.
func (h head) version() string {
	if !h.held {
		return ""
	}
	return version(h.number)
}

// is says whether the path holds already what is to be written.
func (h head) is(w *write) bool {
	if !h.held || w.content == nil {
		return !h.held && w.content == nil
	}
	doc, err := h.doc()
	return err == nil && same(doc.Values, w.doc.Values)
}

// landed finds out what has become of an attempt whose answer was lost: whether
// its version is there. It is an error that another's is in its place.
func (s *Store) landed(ctx context.Context, w *write) (bool, error) {
	var number int64
	var id sql.NullString
	err := s.db.QueryRowContext(ctx, s.adapt("SELECT p.version, v.write_id FROM {paths} p LEFT JOIN {versions} v"+
		" ON v.deployment = p.deployment AND v.app = p.app AND v.scope = p.scope AND v.version = ?"+
		" WHERE p.deployment = ? AND p.app = ? AND p.scope = ?"), append([]any{w.target}, levels(w.doc.Path)...)...).
		Scan(&number, &id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case id.String == w.id:
		w.result = w.target
		return true, nil
	case id.Valid:
		return false, &secrets.ConflictError{Path: w.doc.Path}
	case number < w.target:
		return false, nil
	}
	return false, &said{
		text: "the connection was lost, and others have written since, so that nobody can tell any more whether this write was done",
		hint: "read the path again",
	}
}
