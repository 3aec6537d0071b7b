package sql

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/storetest"
)

// The tests of this file are against servers that somebody else starts, and says
// so in the environment: the end-to-end tests do. For PREFIX one of
// KAI_TEST_POSTGRES and KAI_TEST_MYSQL there are
//
//	PREFIX_URL       of a database, without TLS on the loopback interface
//	PREFIX_PASSWORD  of its user, who may do everything
//	PREFIX_CA        the authority of the server's certificate, if it has TLS
//	PREFIX_RESTART   a URL; after a POST to it the server is another process
type server struct {
	name string
	Options
	ca, restart string
}

// servers gives those that there are, or skips the test.
func servers(t *testing.T) []server {
	t.Helper()
	var found []server
	for _, name := range []string{"POSTGRES", "MYSQL"} {
		env := func(key string) string { return os.Getenv("KAI_TEST_" + name + "_" + key) }
		if url := env("URL"); url != "" {
			found = append(found, server{strings.ToLower(name), Options{URL: url, Password: secrets.New(env("PASSWORD"))}, env("CA"), env("RESTART")})
		}
	}
	if len(found) == 0 {
		t.Skip("there is no server: set KAI_TEST_POSTGRES_URL or KAI_TEST_MYSQL_URL, or run the end-to-end tests")
	}
	return found
}

// ownServerTables gives options for tables that no other test has, and removes
// them at the test's end.
func ownServerTables(t *testing.T, o Options) Options {
	t.Helper()
	o.Table = "t_" + random()
	cleaner := o // not through what a test puts before the server
	t.Cleanup(func() {
		for _, table := range []string{"{paths}", "{versions}", "{migrations}"} {
			run(t, cleaner, "DROP TABLE IF EXISTS "+table)
		}
	})
	return o
}

func random() string {
	var random [6]byte
	_, _ = rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

// run runs statements as the user of the options.
func run(t *testing.T, o Options, statements ...string) {
	t.Helper()
	s, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, statement := range statements {
		if _, err := s.db.ExecContext(context.Background(), s.adapt(statement)); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	for _, srv := range servers(t) {
		t.Run(srv.name, func(t *testing.T) {
			t.Parallel()
			contract(t, srv.Options)
			for name, test := range map[string]func(t *testing.T, server server){
				"TLS":                  serverTLS,
				"who may not":          serverRights,
				"legacy":               serverLegacy,
				"schema":               serverSchema,
				"cut at the commit":    serverCut,
				"sessions that end":    serverKills,
				"a server that is mum": serverMum,
				"bounded connections":  serverPool,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, srv)
				})
			}
		})
	}
}

func serverTLS(t *testing.T, server server) {
	if server.ca == "" {
		t.Skip("the server has no TLS")
	}
	for name, settings := range map[string]TLS{"the name is right": {CA: server.ca}, "only the authority": {CA: server.ca, Mode: VerifyCA, Name: "db.example.com"}} {
		o := ownTables(t, server.Options)
		o.TLS = settings
		s := mustOpen(t, o)
		storetest.Put(t, s, place, map[string]any{"a": "b"})
		storetest.Want(t, s, place, map[string]any{"a": "b"})
		query := "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
		if s.dialect == mysql {
			query = "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'"
		}
		var state string
		if err := s.db.QueryRowContext(t.Context(), query).Scan(&state); err != nil || state == "" || state == "false" {
			t.Errorf("%s: TLS is %q, %v", name, state, err)
		}
	}
	for says, settings := range map[string]TLS{
		"db.example.com":    {CA: server.ca, Name: "db.example.com"},
		"unknown authority": {Mode: VerifyFull},
	} {
		o := server.Options
		o.TLS = settings
		_, err := Open(t.Context(), o)
		wantError(t, err, says, "hint: give the CA")
	}
}

func serverRights(t *testing.T, server server) {
	o := ownTables(t, server.Options)
	target, err := parse(o)
	if err != nil {
		t.Fatal(err)
	}
	wrong := o
	wrong.Password = secrets.New(canary)
	_, err = Open(t.Context(), wrong)
	wantError(t, err, target.where(), "hint: check the user and the password")
	wrong = o
	wrong.URL += "_away"
	_, err = Open(t.Context(), wrong)
	wantError(t, err, "hint: create the database")

	// A reader needs no more than to read, and before there is anything not even
	// that.
	reader := o
	reader.User, reader.Password = "reader_"+random(), secrets.New(canary)
	account := reader.User
	if target.dialect == mysql {
		account += "@'%'"
		run(t, o, "CREATE USER "+account+" IDENTIFIED BY '"+canary+"'", "GRANT SELECT ON "+target.database+".* TO "+account)
	} else {
		run(t, o, "CREATE USER "+account+" PASSWORD '"+canary+"'")
	}
	t.Cleanup(func() {
		if target.dialect == postgres {
			run(t, server.Options, "DROP OWNED BY "+account)
		}
		run(t, server.Options, "DROP USER "+account)
	})
	s := mustOpen(t, reader)
	if doc := storetest.Get(t, s, place); doc.Version != "" {
		t.Error("there is something")
	}
	storetest.Put(t, mustOpen(t, o), place, map[string]any{"a": "b"})
	if target.dialect == postgres {
		run(t, o, "GRANT SELECT ON {paths}, {versions}, {migrations} TO "+account)
	}
	storetest.Want(t, s, place, map[string]any{"a": "b"})
	_, err = s.Write(t.Context(), secrets.Doc{Path: place, Version: "1", Values: storetest.Hide(t, map[string]any{"a": canary})})
	wantError(t, err, "denied", "hint: the user needs SELECT, INSERT")
	storetest.Want(t, s, place, map[string]any{"a": "b"})
}

func serverLegacy(t *testing.T, server server) {
	name := "kaigara_shop_" + random()
	run(t, server.Options, "CREATE DATABASE "+name)
	t.Cleanup(func() { run(t, server.Options, "DROP DATABASE "+name) })
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	o := server.Options
	o.URL = u.String()
	_, err = Legacy(t.Context(), o)
	wantError(t, err, "there is no table", "hint:")
	columns := "id BIGSERIAL PRIMARY KEY, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ, deleted_at TIMESTAMPTZ, app_name TEXT, scope TEXT, value JSON, version BIGINT"
	if server.name == "mysql" {
		columns = "id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, created_at DATETIME(3) NULL, updated_at DATETIME(3) NULL, deleted_at DATETIME(3) NULL, app_name VARCHAR(191), scope VARCHAR(191), value JSON, version BIGINT"
	}
	checkLegacy(t, o, columns, strings.TrimPrefix(name, "kaigara_"))
}

func serverSchema(t *testing.T, server server) {
	if server.name != "postgres" {
		t.Skip("only PostgreSQL has schemas")
	}
	o := server.Options
	o.Schema = "s_" + random()
	o.Table = "select" // no name of ours needs to be none of SQL's
	s := mustOpen(t, o)
	_, err := s.Write(t.Context(), secrets.Doc{Path: place, Values: storetest.Hide(t, map[string]any{"a": canary})})
	wantError(t, err, o.Schema, "hint: create the schema")
	run(t, server.Options, "CREATE SCHEMA "+o.Schema)
	t.Cleanup(func() { run(t, server.Options, "DROP SCHEMA "+o.Schema+" CASCADE") })
	storetest.Put(t, s, place, map[string]any{"a": "b"})
	storetest.Want(t, mustOpen(t, o), place, map[string]any{"a": "b"})
}

// serverCut: the server commits, and the connection ends before it can say so.
func serverCut(t *testing.T, server server) {
	o := ownTables(t, server.Options)
	sound := mustOpen(t, o)
	storetest.Put(t, sound, place, map[string]any{"n": 0})
	p := newProxy(t, o)
	o.URL = p.url
	s := mustOpen(t, o)
	for i := range 5 {
		p.cuts.Store(1)
		doc := storetest.Get(t, s, place)
		doc.Values = storetest.Hide(t, map[string]any{"n": i + 1})
		version, err := s.Write(t.Context(), doc)
		if wanted := fmt.Sprint(i + 2); err != nil || version != wanted || p.cuts.Load() != 0 {
			t.Errorf("version %q of %q with %d cuts left, %v", version, wanted, p.cuts.Load(), err)
		}
		storetest.Want(t, sound, place, map[string]any{"n": i + 1})
	}
	// Every other commit of one of two writers.
	storetest.Put(t, sound, place, map[string]any{"n": 0})
	var wait sync.WaitGroup
	const count = 20
	for _, own := range []*Store{s, sound} {
		wait.Go(func() {
			for i := range count {
				if own == s {
					p.cuts.Store(int32(i % 2))
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

// serverKills: an administrator ends the sessions between reading and writing,
// and for a moment there is no server.
func serverKills(t *testing.T, server server) {
	o := ownTables(t, server.Options)
	p := newProxy(t, o)
	o.URL = p.url
	s := mustOpen(t, o)
	storetest.Put(t, s, place, map[string]any{"n": 0})
	for i := range 3 {
		doc := storetest.Get(t, s, place)
		doc.Values = storetest.Hide(t, map[string]any{"n": i + 1})
		p.away(500 * time.Millisecond)
		if _, err := s.Write(t.Context(), doc); err != nil {
			t.Error(err)
		}
		p.away(500 * time.Millisecond)
		storetest.Want(t, s, place, map[string]any{"n": i + 1})

		conn, err := s.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var id int64
		own, end := "SELECT CONNECTION_ID()", "KILL %d"
		if s.dialect == postgres {
			own, end = "SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%d)"
		}
		err = errors.Join(conn.QueryRowContext(t.Context(), own).Scan(&id), conn.Close())
		if err != nil {
			t.Fatal(err)
		}
		run(t, server.Options, fmt.Sprintf(end, id))
		storetest.Put(t, s, place, map[string]any{"n": -i})
	}
}

// serverMum: what answers nothing is left when the context ends.
func serverMum(t *testing.T, server server) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o := server.Options
	u, err := url.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = listener.Addr().String()
	o.URL = u.String()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err = Open(ctx, o)
	wantError(t, err, u.Host, "open: context deadline exceeded")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}

	// The same in the midst of it.
	own := ownTables(t, server.Options)
	p := newProxy(t, own)
	own.URL = p.url
	s := mustOpen(t, own)
	version := storetest.Put(t, s, place, map[string]any{"a": "b"})
	p.mum.Store(true)
	defer p.mum.Store(false)
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, read := s.Read(ctx, []secrets.Path{place})
	_, write := s.Write(ctx, secrets.Doc{Path: place, Version: version, Values: storetest.Hide(t, map[string]any{"a": canary})})
	for what, err := range map[string]error{"read": read, "write": write} {
		wantError(t, err, what)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func serverPool(t *testing.T, server server) {
	o := ownTables(t, server.Options)
	p := newProxy(t, o)
	o.URL, o.Conns = p.url, 3
	s := mustOpen(t, o)
	storetest.Put(t, s, place, map[string]any{"n": 0})
	var wait sync.WaitGroup
	for range 12 {
		wait.Go(func() {
			for range 5 {
				if _, err := secrets.Edit(t.Context(), s, place, increment); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	storetest.Want(t, s, place, map[string]any{"n": 60})
	if most := p.most.Load(); most > 3 {
		t.Errorf("there were %d connections at once", most)
	}
}

// TestServerRestart is not parallel: others would lose their server too.
func TestServerRestart(t *testing.T) {
	for _, srv := range servers(t) {
		t.Run(srv.name, func(t *testing.T) {
			if srv.restart == "" {
				t.Skip("the server cannot be restarted")
			}
			o := ownTables(t, srv.Options)
			o.Patience = time.Minute
			// While one waits for the server, the other may write often.
			o.Keep = -1
			a, b := mustOpen(t, o), mustOpen(t, o)
			storetest.Put(t, a, place, map[string]any{"n": 0})

			// Between reading and writing.
			doc := storetest.Get(t, a, place)
			doc.Values = storetest.Hide(t, map[string]any{"n": 1})
			restart(t, srv)
			if version, err := a.Write(t.Context(), doc); err != nil || version != "2" {
				t.Errorf("version %q, %v", version, err)
			}
			storetest.Want(t, b, place, map[string]any{"n": 1})

			// While two write.
			storetest.Put(t, a, place, map[string]any{"n": 0})
			stop := make(chan struct{})
			var wait sync.WaitGroup
			var done atomic.Int64
			for _, s := range []*Store{a, b} {
				wait.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if _, err := secrets.Edit(t.Context(), s, place, increment); err != nil {
							t.Error(err)
							return
						}
						done.Add(1)
					}
				})
			}
			restart(t, srv)
			restart(t, srv)
			close(stop)
			wait.Wait()
			t.Logf("%d increments", done.Load())
			storetest.Want(t, a, place, map[string]any{"n": done.Load()})
		})
	}
}

func restart(t *testing.T, server server) {
	t.Helper()
	time.Sleep(200 * time.Millisecond)
	response, err := http.Post(server.restart, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", response.Status, text)
	}
	time.Sleep(200 * time.Millisecond)
}

// proxy stands before a server.
type proxy struct {
	url    string
	server string
	cuts   atomic.Int32 // how many commits lose their answer, and their connection
	mum    atomic.Bool  // answers do not come through
	most   atomic.Int32 // connections there were at once
	now    atomic.Int32

	mu     sync.Mutex
	closed time.Time // until then there is no server
	conns  map[net.Conn]bool
}

func newProxy(t *testing.T, o Options) *proxy {
	t.Helper()
	u, err := url.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host, conns: map[net.Conn]bool{}}
	u.Host = listener.Addr().String()
	p.url = u.String()
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.away(time.Hour)
		wait.Wait()
	})
	return p
}

// away ends all connections, and for a while new ones too.
func (p *proxy) away(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = time.Now().Add(d)
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// hold notes connections that away ends, and says whether there is a server.
func (p *proxy) hold(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return time.Now().After(p.closed)
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	if !p.hold(client) {
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.hold(server) {
		return
	}
	now := p.now.Add(1)
	defer p.now.Add(-1)
	for most := p.most.Load(); now > most && !p.most.CompareAndSwap(most, now); most = p.most.Load() {
	}
	var cut atomic.Bool
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		// Whichever side ends, the other does.
		defer client.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err != nil || cut.Load() {
				return
			}
			if p.mum.Load() {
				continue
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		// As PostgreSQL and as MySQL have it on the wire.
		if commit := bytes.Contains(buffer[:n], []byte("commit\x00")) || bytes.Contains(buffer[:n], []byte("\x03COMMIT")); commit && p.cuts.Load() > 0 {
			p.cuts.Add(-1)
			cut.Store(true)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			break
		}
	}
	_ = server.Close()
	<-answers
}
