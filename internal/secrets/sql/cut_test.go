package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// cutting are connections that end at a commit: before it is done, or after,
// when only its answer is lost.
type cutting struct {
	driver.Connector
	before, after atomic.Int32 // how many commits are cut
	meanwhile     func()       // is called at a cut
}

func (c *cutting) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &cuttingConn{conn, c}, nil
}

type cuttingConn struct {
	driver.Conn
	of *cutting
}

func (c *cuttingConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &cuttingTx{tx, c.of}, nil
}

type cuttingTx struct {
	driver.Tx
	of *cutting
}

func (tx *cuttingTx) Commit() error {
	if tx.of.before.Add(-1) >= 0 {
		_ = tx.Rollback()
		tx.of.meanwhile()
		return io.ErrUnexpectedEOF
	}
	err := tx.Tx.Commit()
	if err == nil && tx.of.after.Add(-1) >= 0 {
		tx.of.meanwhile()
		return io.ErrUnexpectedEOF
	}
	return err
}

// openCutting gives a store whose connections can be cut, and a sound one.
func openCutting(t *testing.T, keep int) (*cutting, *Store, *Store) {
	t.Helper()
	o := Options{URL: "sqlite:" + newFile(t), Keep: keep, Patience: 2 * time.Second}
	sound := mustOpen(t, o)
	storetest.Put(t, sound, place, map[string]any{"n": 0})
	target, err := parse(o)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := connectSQLite(target, o.Patience)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutting{Connector: inner, meanwhile: func() {}}
	s := mustOpen(t, o)
	_ = s.db.Close()
	s.db = sql.OpenDB(c)
	return c, s, sound
}

// TestCut: whether the write was done or not, in the end it is, once.
func TestCut(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(c *cutting){
		"before":       func(c *cutting) { c.before.Store(1) },
		"after":        func(c *cutting) { c.after.Store(1) },
		"both":         func(c *cutting) { c.before.Store(1); c.after.Store(1) },
		"before often": func(c *cutting) { c.before.Store(3) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s, sound := openCutting(t, 0)
			doc := storetest.Get(t, s, place)
			doc.Values = storetest.Hide(t, map[string]any{"n": 1})
			cut(c)
			version, err := s.Write(t.Context(), doc)
			if err != nil || version != "2" {
				t.Errorf("version %q, %v", version, err)
			}
			storetest.Want(t, sound, place, map[string]any{"n": 1})
			if docs, err := sound.History(t.Context(), place); err != nil || len(docs) != 2 {
				t.Errorf("%d versions, %v", len(docs), err)
			}
			// A first version and a deletion go the same way.
			cut(c)
			if version, err := s.Write(t.Context(), secrets.Doc{Path: place, Version: "2"}); err != nil || version != "" {
				t.Errorf("deleted: version %q, %v", version, err)
			}
			first := secrets.Path{Deployment: "shop", App: "new", Scope: secrets.Secret}
			cut(c)
			if version, err := s.Write(t.Context(), secrets.Doc{Path: first, Values: doc.Values}); err != nil || version != "1" {
				t.Errorf("first: version %q, %v", version, err)
			}
		})
	}
}

// TestCutAndOthers: others write while the answer is lost.
func TestCutAndOthers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cut   func(c *cutting)
		keep  int
		check func(t *testing.T, version string, err error)
	}{
		"done": {func(c *cutting) { c.after.Store(1) }, 10, func(t *testing.T, version string, err error) {
			if version != "2" || err != nil {
				t.Errorf("version %q, %v", version, err)
			}
		}},
		"not done": {func(c *cutting) { c.before.Store(1) }, 10, func(t *testing.T, version string, err error) {
			if _, ok := err.(*secrets.ConflictError); !ok {
				t.Errorf("version %q, %v", version, err)
			}
		}},
		"nobody knows": {func(c *cutting) { c.after.Store(1) }, 1, func(t *testing.T, version string, err error) {
			wantError(t, err, "nobody can tell", "hint: read the path again")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s, sound := openCutting(t, test.keep)
			doc := storetest.Get(t, s, place)
			doc.Values = storetest.Hide(t, map[string]any{"n": 1})
			test.cut(c)
			c.meanwhile = func() {
				for i := range 3 {
					storetest.Put(t, sound, place, map[string]any{"n": 100 + i})
				}
			}
			version, err := s.Write(t.Context(), doc)
			test.check(t, version, err)
			storetest.Want(t, sound, place, map[string]any{"n": 102})
		})
	}
}

// TestCutForGood: what cannot be found out is said.
func TestCutForGood(t *testing.T) {
	t.Parallel()
	c, s, sound := openCutting(t, 0)
	doc := storetest.Get(t, s, place)
	doc.Values = storetest.Hide(t, map[string]any{"n": 1})
	c.before.Store(1 << 20)
	s.patience = 200 * time.Millisecond
	_, err := s.Write(t.Context(), doc)
	wantError(t, err, place.String(), "connection was lost", "may have been done")
	if strings.Count(err.Error(), "hint:") != 1 {
		t.Errorf("the error is %q", err)
	}
	storetest.Want(t, sound, place, map[string]any{"n": 0})
}

// TestCutIncrements: with every connection in danger no increment is lost, and
// none is done twice.
func TestCutIncrements(t *testing.T) {
	t.Parallel()
	c, s, sound := openCutting(t, 0)
	var wait sync.WaitGroup
	const count = 20
	for _, own := range []*Store{s, sound} {
		wait.Go(func() {
			for i := range count {
				if own == s {
					c.after.Store(int32(i % 2))
				}
				if _, err := secrets.Edit(t.Context(), own, place, increment); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	storetest.Want(t, sound, place, map[string]any{"n": 2 * count})
}
