package sql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// legacyTable is the older system's.
const legacyTable = "data"

// Legacy reads the table of the older system, for import: one row per app and
// scope. The deployment is what follows kaigara_ in the database's name. The key
// version of a row's values, rows that are marked as deleted and values that are
// null are left out; of several rows of a path the one with the highest version
// counts. What is encrypted stays as it is. Of Options, Keep and Now have no
// meaning, and Table is the table's full name, "data" by default.
func Legacy(ctx context.Context, o Options) ([]secrets.Doc, error) {
	t, err := parse(o)
	if err != nil {
		return nil, &settingError{err}
	}
	if o.Table == "" {
		o.Table = legacyTable
	}
	s, err := open(o)
	if err != nil {
		return nil, &settingError{err}
	}
	defer s.Close()
	if s.file != "" {
		there, err := s.exists()
		if err == nil && !there {
			err = &said{text: "there is no such file"}
		}
		if err != nil {
			return nil, s.failed(ctx, "read the older system's table", err)
		}
	}
	docs, err := s.legacy(ctx, t.deployment())
	if err != nil {
		return nil, s.failed(ctx, "read the older system's table", err)
	}
	return docs, nil
}

func (s *Store) legacy(ctx context.Context, deployment string) ([]secrets.Doc, error) {
	table := s.dialect.quote + s.prefix + s.dialect.quote
	if s.schema != "" {
		table = s.dialect.quote + s.schema + s.dialect.quote + "." + table
	}
	rows, err := s.db.QueryContext(ctx, "SELECT app_name, scope, value, version FROM "+table+" WHERE deleted_at IS NULL ORDER BY version, id")
	if err != nil {
		if s.judge(err).kind == noTable {
			return nil, &said{text: "there is no table " + table, hint: "name the database, and the table if it has another name"}
		}
		return nil, err
	}
	defer rows.Close()
	found := map[secrets.Path]secrets.Doc{}
	size := 0
	for rows.Next() {
		row := row{path: secrets.Path{Deployment: deployment}}
		var number sql.NullInt64
		if err := rows.Scan(&row.path.App, &row.path.Scope, &row.content, &number); err != nil {
			return nil, err
		}
		if size += len(row.content); size > maxRead {
			return nil, fmt.Errorf("the table holds more than %d MiB", maxRead>>20)
		}
		if err := checkPath(row.path); err != nil {
			return nil, err
		}
		values, err := decode(row.path, row.content)
		if err != nil {
			return nil, err
		}
		delete(values, "version")
		found[row.path] = secrets.Doc{Path: row.path, Values: values, Version: version(number.Int64)}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	docs := make([]secrets.Doc, 0, len(found))
	for _, doc := range found {
		if len(doc.Values) > 0 {
			docs = append(docs, doc)
		}
	}
	slices.SortFunc(docs, func(a, b secrets.Doc) int { return comparePaths(a.Path, b.Path) })
	return docs, nil
}
