package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// perQuery bounds the paths of one statement, which all databases can plan.
const perQuery = 200

// contentOf is a column that is NULL where the content is larger than what this
// package writes: then it is not even sent.
const contentOf = "CASE WHEN OCTET_LENGTH(v.content) <= {max} THEN v.content END, COALESCE(OCTET_LENGTH(v.content), 0)"

const isPath = "deployment = ? AND app = ? AND scope = ?"

const sameVersion = "v.deployment = p.deployment AND v.app = p.app AND v.scope = p.scope AND v.version = p.version"

func levels(p secrets.Path) []any { return []any{p.Deployment, p.App, p.Scope} }

// Read implements secrets.Store. Up to 200 paths are one query.
func (s *Store) Read(ctx context.Context, paths []secrets.Path) (map[secrets.Path]secrets.Doc, error) {
	docs := map[secrets.Path]secrets.Doc{}
	err := s.try(ctx, "read", func() error {
		clear(docs)
		if there, err := s.ready(ctx, false); err != nil || !there {
			return err
		}
		size := 0
		for chunk := range slices.Chunk(unique(paths), perQuery) {
			if err := s.readChunk(ctx, chunk, docs, &size); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return docs, nil
}

func (s *Store) readChunk(ctx context.Context, paths []secrets.Path, docs map[secrets.Path]secrets.Doc, size *int) error {
	var args []any
	for _, p := range paths {
		args = append(args, levels(p)...)
	}
	isOne := "(p.deployment = ? AND p.app = ? AND p.scope = ?)"
	rows, err := s.db.QueryContext(ctx, s.adapt("SELECT p.deployment, p.app, p.scope, p.version, v.written, "+contentOf+
		" FROM {paths} p JOIN {versions} v ON "+sameVersion+
		" WHERE p.held = 1 AND ("+isOne+strings.Repeat(" OR "+isOne, len(paths)-1)+")"), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var row row
		if err := rows.Scan(&row.path.Deployment, &row.path.App, &row.path.Scope, &row.number, &row.written, &row.content, &row.size); err != nil {
			return err
		}
		if *size += len(row.content); *size > maxRead {
			return fmt.Errorf("the paths hold more than %d MiB together", maxRead>>20)
		}
		doc, err := row.doc()
		if err != nil {
			return err
		}
		docs[doc.Path] = doc
	}
	return rows.Err()
}

// row is a version as it is stored.
type row struct {
	path    secrets.Path
	number  int64
	written int64
	content []byte
	size    int64
}

func (r row) doc() (secrets.Doc, error) {
	if err := r.tooLarge(); err != nil {
		return secrets.Doc{}, err
	}
	values, err := decode(r.path, r.content)
	return secrets.Doc{Path: r.path, Values: values, Version: version(r.number), Time: time.UnixMicro(r.written)}, err
}

func (r row) tooLarge() error {
	if r.content != nil || r.size == 0 {
		return nil
	}
	return fmt.Errorf("%s: the database holds %d MiB there, and kai reads %d MiB of one path", r.path, r.size>>20, maxDoc>>20)
}

// List implements secrets.Store.
func (s *Store) List(ctx context.Context, deployment string) ([]secrets.Path, error) {
	var paths []secrets.Path
	err := s.try(ctx, "list", func() error {
		paths = nil
		if there, err := s.ready(ctx, false); err != nil || !there || checkPath(secrets.Path{Deployment: deployment, App: "a", Scope: "a"}) != nil {
			return err
		}
		rows, err := s.db.QueryContext(ctx, s.adapt("SELECT app, scope FROM {paths} WHERE deployment = ? AND held = 1"), deployment)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			p := secrets.Path{Deployment: deployment}
			if err := rows.Scan(&p.App, &p.Scope); err != nil {
				return err
			}
			paths = append(paths, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(paths, comparePaths)
	return paths, nil
}

// Deployments gives the deployments that hold something, sorted.
func (s *Store) Deployments(ctx context.Context) ([]string, error) {
	var out []string
	err := s.try(ctx, "list", func() error {
		out = nil
		if there, err := s.ready(ctx, false); err != nil || !there {
			return err
		}
		rows, err := s.db.QueryContext(ctx, s.adapt("SELECT DISTINCT deployment FROM {paths} WHERE held = 1"))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			out = append(out, name)
		}
		return rows.Err()
	})
	slices.Sort(out)
	return out, err
}

// History implements secrets.Historian. The version that a deletion made is one
// of them.
func (s *Store) History(ctx context.Context, path secrets.Path) ([]secrets.Doc, error) {
	var docs []secrets.Doc
	err := s.try(ctx, "read the history", func() error {
		docs = nil
		if there, err := s.ready(ctx, false); err != nil || !there || checkPath(path) != nil {
			return err
		}
		rows, err := s.db.QueryContext(ctx, s.adapt("SELECT version, written FROM {versions} WHERE "+isPath+" ORDER BY version DESC"), levels(path)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var number, written int64
			if err := rows.Scan(&number, &written); err != nil {
				return err
			}
			docs = append(docs, secrets.Doc{Path: path, Version: version(number), Time: time.UnixMicro(written)})
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return docs, nil
}

// At implements secrets.Historian. A version by which the path was deleted has
// no values; one that is not there, or not any more, is an error.
func (s *Store) At(ctx context.Context, path secrets.Path, wanted string) (secrets.Doc, error) {
	var doc secrets.Doc
	missing := &said{
		text: fmt.Sprintf("%s has no version %q", path, wanted),
		hint: "its history has those that there are; older ones may have been removed",
	}
	number, err := strconv.ParseInt(wanted, 10, 64)
	if err != nil || version(number) != wanted || checkPath(path) != nil {
		return secrets.Doc{}, s.failed(ctx, "read", missing)
	}
	err = s.try(ctx, "read", func() error {
		if there, err := s.ready(ctx, false); err != nil {
			return err
		} else if !there {
			return missing
		}
		row := row{path: path, number: number}
		err := s.db.QueryRowContext(ctx, s.adapt("SELECT v.written, "+contentOf+" FROM {versions} v WHERE "+isPath+" AND version = ?"), append(levels(path), number)...).
			Scan(&row.written, &row.content, &row.size)
		if errors.Is(err, sql.ErrNoRows) {
			return missing
		}
		if err != nil {
			return err
		}
		doc, err = row.doc()
		return err
	})
	if err != nil {
		return secrets.Doc{}, err
	}
	return doc, nil
}
