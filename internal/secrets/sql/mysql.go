package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	drivermysql "github.com/go-sql-driver/mysql"
)

var mysql = &dialect{
	name:      "MySQL",
	port:      3306,
	socket:    "socket",
	connector: connectMySQL,
	quote:     "`",
	level:     "VARBINARY(255)",
	blob:      "LONGBLOB",
	table:     " ENGINE=InnoDB",
	lock:      "SELECT GET_LOCK(?, 60)",
	unlock:    "DO RELEASE_LOCK(?)",
	judge:     judgeMySQL,
}

func connectMySQL(t target, _ time.Duration) (driver.Connector, error) {
	config := drivermysql.NewConfig()
	config.Net, config.Addr = "tcp", t.address()
	if strings.HasPrefix(t.host, "/") {
		config.Net, config.Addr = "unix", t.host
	}
	config.User, config.DBName = t.user, t.database
	config.TLS = t.tls.config
	// Some methods of authentication send the password as it is.
	config.AllowCleartextPasswords = t.tls.config != nil
	config.Timeout = dialTimeout
	config.ClientFoundRows = true
	// A server may be told not to commit by itself, and then what is read is old.
	config.Params = map[string]string{"autocommit": "1"}
	config.Logger = &drivermysql.NopLogger{}
	err := config.Apply(drivermysql.BeforeConnect(func(_ context.Context, config *drivermysql.Config) error {
		config.Passwd = t.password.Reveal()
		return nil
	}))
	if err != nil {
		return nil, err
	}
	return drivermysql.NewConnector(config)
}

func judgeMySQL(err error) judgment {
	if errors.Is(err, drivermysql.ErrInvalidConn) {
		return judgment{kind: lost, text: "the connection was lost"}
	}
	if errors.Is(err, drivermysql.ErrNoTLS) {
		return judgment{text: "the server has no TLS", hint: noTLSHint}
	}
	var e *drivermysql.MySQLError
	if !errors.As(err, &e) {
		return judgment{}
	}
	j := judgment{text: fmt.Sprintf("%s (error %d)", e.Message, e.Number)}
	switch e.Number {
	case 1062:
		j.kind = taken
	case 1146:
		j.kind = noTable
	case 1205, 1213, 1020:
		j.kind = busy
	case 1040, 1053, 1152, 1158, 1159, 1160, 1161, 1203, 1927, 3169, 4031:
		j.kind = lost
	case 1045, 1698:
		j.kind = denied
		j.hint = "check the user and the password, and from which hosts the user may come"
	case 1049:
		j.hint = "create the database: kai does not"
	case 1044, 1142, 1143:
		j.kind = denied
		j.hint = "the user needs SELECT, INSERT, UPDATE and DELETE on the tables, and CREATE for the first write"
	case 1290, 1836:
		j.hint = "this server is a replica: give the primary's address"
	case 1153:
		j.text, j.hint = "the values are larger than the server takes in one packet", "raise the server's max_allowed_packet"
	case 1021, 1114:
		j.text, j.hint = "the server's disk is full", "make room there, and do it again"
	}
	return j
}
