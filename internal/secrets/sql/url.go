package sql

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// target is a checked URL with what belongs to it.
type target struct {
	dialect  *dialect
	file     string // SQLite's, absolute
	host     string // a socket's folder (PostgreSQL) or path (MySQL) begins with /
	port     uint16
	user     string
	password secrets.Value
	database string
	tls      tlsSettings
}

// shapes is what a URL may look like.
const shapes = "\n  hint: write sqlite:PATH, postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE"

// parse checks a URL and the settings that belong to it. Its errors quote no
// more of the URL than its scheme, its host and the names of parameters: a
// password may stand anywhere in one with a mistake.
func parse(o Options) (target, error) {
	scheme, rest, _ := strings.Cut(o.URL, ":")
	if scheme == "sqlite" {
		return parseFile(strings.TrimPrefix(rest, "//"), o)
	}
	d := dialects[scheme]
	if d == nil || !strings.HasPrefix(rest, "//") {
		return target{}, errors.New("the URL of the database is none that kai knows" + shapes)
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return target{}, errors.New("the URL of the database cannot be read" + shapes)
	}
	if _, has := u.User.Password(); has {
		return target{}, errors.New("the URL of the database holds a password\n  hint: give it apart, and remove it from the URL")
	}
	t := target{dialect: d, host: u.Hostname(), port: d.port, user: u.User.Username(), password: o.Password, database: strings.TrimPrefix(u.Path, "/")}
	if o.User != "" {
		t.user = o.User
	}
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || port == 0 {
			return target{}, errors.New("the URL of the database has a port that is none" + shapes)
		}
		t.port = uint16(port)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return target{}, errors.New("the parameters in the URL of the database cannot be read" + shapes)
	}
	settings := o.TLS
	for key, values := range query {
		value := values[len(values)-1]
		switch {
		case key == d.socket && t.host == "":
			t.host = value
		case key == "sslmode" && settings.Mode == "":
			settings.Mode = value
		case key == "sslrootcert" && settings.CA == "":
			settings.CA = value
		default:
			return target{}, fmt.Errorf("the URL of the database has the parameter %s, which cannot be used here\n  hint: the parameters are %s (without a host), sslmode and sslrootcert", key, d.socket)
		}
	}
	switch {
	case t.host == "":
		return target{}, errors.New("the URL of the database names no host" + shapes)
	case t.database == "" || strings.Contains(t.database, "/"):
		return target{}, errors.New("the URL of the database names no database" + shapes)
	case t.user == "":
		return target{}, errors.New("no user of the database is given" + shapes)
	case query.Has(d.socket) && !strings.HasPrefix(t.host, "/"):
		return target{}, fmt.Errorf("the parameter %s in the URL of the database must be an absolute path", d.socket)
	}
	t.tls, err = settings.load(t.host)
	if err != nil {
		return target{}, fmt.Errorf("%s: %w", t.where(), err)
	}
	return t, nil
}

// PlainText says whether a server would be spoken to without TLS.
func (o Options) PlainText() bool {
	t, err := parse(o)
	return err == nil && t.file == "" && t.tls.config == nil
}

// Server says which server a URL is of, to be compared with another, whether what is
// sent there stays on this machine, and whether the URL has TLS switched off. A URL of
// a file, and one that cannot be read, is of no server: "".
func Server(address string) (server string, local, plain bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", false, false
	}
	d := dialects[u.Scheme]
	if d == nil {
		return "", false, false
	}
	host, port := u.Hostname(), u.Port()
	plain = u.Query().Get("sslmode") == NoTLS
	if host == "" {
		host = u.Query().Get(d.socket)
		return d.name + " " + host, true, plain
	}
	if port == "" {
		port = strconv.Itoa(int(d.port))
	}
	return d.name + " " + net.JoinHostPort(strings.ToLower(host), port), isLocal(host), plain
}

// dialects are those of servers, by the schemes of URLs.
var dialects = map[string]*dialect{"postgres": postgres, "postgresql": postgres, "mysql": mysql, "mariadb": mysql}

func parseFile(name string, o Options) (target, error) {
	if name == "" || name == ":memory:" || strings.ContainsRune(name, 0) {
		return target{}, errors.New("the URL of the database names no file" + shapes)
	}
	if o.User != "" || !o.Password.IsZero() || o.TLS != (TLS{}) {
		return target{}, errors.New("SQLite has neither users nor TLS\n  hint: remove them, or give the URL of a server")
	}
	file, err := filepath.Abs(name)
	return target{dialect: sqlite, file: file}, err
}

// where names the database in messages.
func (t target) where() string {
	switch {
	case t.file != "":
		return t.dialect.name + " " + t.file
	case strings.HasPrefix(t.host, "/"):
		return t.dialect.name + " " + t.host + " " + t.database
	}
	return t.dialect.name + " " + t.address() + "/" + t.database
}

func (t target) address() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

// isLocal says whether what is sent to a host stays on this machine.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
}

// deployment is the one that a database of the older system is of: what follows
// kaigara_ in its name.
func (t target) deployment() string {
	name := t.database
	if t.file != "" {
		base := path.Base(filepath.ToSlash(t.file))
		name = strings.TrimSuffix(base, path.Ext(base))
	}
	return strings.TrimPrefix(name, "kaigara_")
}

// unique gives the paths sorted, each once, without those that cannot be stored.
func unique(paths []secrets.Path) []secrets.Path {
	out := make([]secrets.Path, 0, len(paths))
	for _, p := range paths {
		if checkPath(p) == nil {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, comparePaths)
	return slices.Compact(out)
}

func comparePaths(a, b secrets.Path) int {
	if c := strings.Compare(a.Deployment, b.Deployment); c != 0 {
		return c
	}
	if c := strings.Compare(a.App, b.App); c != 0 {
		return c
	}
	return strings.Compare(a.Scope, b.Scope)
}
