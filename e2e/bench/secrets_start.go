//go:build unix

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// inCluster is the name of the Secret that the peers read.
const inCluster = "kai-" + deployment + "-" + app + "-private"

// More often than asked for, for what is over in some hundredths of a second.
const shortTimes = 10

// start is from the start of a program to the end of the command env, which it has to start with all keys of one path. The
// others are shells that ask the store's own client, read what it prints, and take env's place.
func (b *secretsBench) start(ctx context.Context, which *regexp.Regexp, times int, out io.Writer) error {
	return b.contest(ctx, "SecretsStart/", which, times, out, b.starters)
}

// contest sets the rivals for each store against each other.
func (b *secretsBench) contest(ctx context.Context, prefix string, which *regexp.Regexp, times int, out io.Writer, rivals func(context.Context, store) ([]rival, error)) error {
	begun := false
	return b.each(ctx, prefix, which, func(s store) error {
		all, err := rivals(ctx, s)
		if err != nil {
			return err
		}
		if !begun {
			begun = true
			heading(out, "secrets")
		}
		return compete(ctx, out, prefix+s.name, all, times*shortTimes)
	})
}

// starters are the ways to start env with the keys. kai-run reads one path as the others do, and by default six: three scopes
// of the app and of the app global.
func (b *secretsBench) starters(ctx context.Context, s store) ([]rival, error) {
	run := func(name string, n int, more ...string) rival {
		args := append([]string{"--deployment", deployment, "--app", app}, more...)
		argv := s.inside(b.run, append(args, "--", "env")...)
		return printing(name, b.command(argv[0], s.env...), "KEY_", n, argv[1:]...)
	}
	rivals := []rival{run("kai-run, one path", keys, "--scope", "private", "--no-global"), run("kai-run, all scopes, global", keys)}
	shell := func(name, script string) {
		rivals = append(rivals, printing("sh: "+name, b.command("sh", s.peer...), "KEY_", keys, "-c", script))
	}
	floor := func(name string, argv ...string) {
		rivals = append(rivals, printing(name, b.command(argv[0]), "KEY_", 0, argv[1:]...))
	}
	switch s.name {
	case "vault":
		const path = deployment + "/" + app + "/private"
		const get = "vault kv get -format=json -mount=secret " + path
		shell("vault kv get alone", "exec "+get)
		if have("jq") {
			shell("vault kv get, jq, env", exporting(get, ".data.data", ".value"))
		}
		if have("curl", "jq") {
			shell("curl, jq, env", exporting(`printf 'X-Vault-Token: %s' "$VAULT_TOKEN" | curl -sSf -H @- "$VAULT_ADDR/v1/secret/data/`+path+`"`, ".data.data", ".value"))
		}
		floor("kai-run --version", b.run, "--version")
		floor("sh: env", "sh", "-c", "exec env")
	case "kubernetes":
		if have("jq") {
			shell("kubectl get, jq, env", exporting("kubectl get secret "+inCluster+" -o json", ".data", ".value | @base64d"))
		}
		floor("the pod around kai-run", s.inside("env")...)
	case "sqlite", "postgresql", "mariadb":
		client, err := b.client(s)
		if err != nil || !have(client.program) {
			return rivals, err
		}
		if _, _, err := b.command("sh", s.peer...).run(ctx, "-c", client.command+" <"+client.fill); err != nil {
			return nil, err
		}
		shell(client.program+", env", "vars=$("+client.command+" <"+client.read+`) && eval "$vars" && exec env`)
	}
	return rivals, nil
}

// exporting is a script that takes a map out of what a command prints, whatever its values are, and starts env with it.
func exporting(command, where, value string) string {
	return "vars=$(" + command + " | jq -r '" + where + ` | to_entries[] | "export \(.key)=\(` + value + ` | @sh)"') && eval "$vars" && exec env`
}

// client is a database's own program, and files with what it is to do: to fill a table of keys and values, which stand plain
// in it, and to print them as a shell reads them.
type client struct{ program, command, fill, read string }

func (b *secretsBench) client(s store) (client, error) {
	var c client
	statement := "SELECT 'export ' || name || '=''' || replace(value, '''', '''\\''''') || '''' FROM settings;\n"
	switch s.name {
	case "sqlite":
		c.program, c.command = "sqlite3", "sqlite3 "+filepath.Join(b.dir, "settings.db")
	case "postgresql":
		c.program, c.command = "psql", "psql -XAtq"
	case "mariadb":
		c.program, c.command = "mariadb", `mariadb --defaults-file="$OPTIONS" --batch --raw --skip-column-names`
		statement = "SELECT CONCAT('export ', name, '=''', REPLACE(value, '''', '''\\\\'''''), '''') FROM settings;\n"
	}
	var fill strings.Builder
	fill.WriteString("CREATE TABLE settings (name VARCHAR(255) PRIMARY KEY, value TEXT NOT NULL);\n")
	for i := range keys {
		fmt.Fprintf(&fill, "INSERT INTO settings VALUES ('%s', '%s');\n", keyName(i), strings.ReplaceAll(keyValue(i), "'", "''"))
	}
	c.fill, c.read = filepath.Join(b.dir, s.name+"-fill.sql"), filepath.Join(b.dir, s.name+"-read.sql")
	if err := os.WriteFile(c.fill, []byte(fill.String()), 0o600); err != nil {
		return c, err
	}
	return c, os.WriteFile(c.read, []byte(statement), 0o600)
}

// get is one value, printed by kai and by the store's own client.
func (b *secretsBench) get(ctx context.Context, which *regexp.Regexp, times int, out io.Writer) error {
	return b.contest(ctx, "SecretsGet/", which, times, out, b.getters)
}

func (b *secretsBench) getters(_ context.Context, s store) ([]rival, error) {
	value := keyValue(1)
	kai := b.ofStore(s)
	rivals := []rival{printing("kai secrets get", kai, value, 1, append([]string{"secrets", "get", app + ".private." + keyName(1), "--deployment", deployment}, s.args...)...)}
	switch s.name {
	case "vault":
		vault := b.peer("vault", s.peer...)
		rivals = append(rivals,
			printing("vault kv get -field", vault, value, 1, "kv", "get", "-mount=secret", "-field="+keyName(1), deployment+"/"+app+"/private"),
			printing("vault version", vault, value, 0, "version"))
	case "kubernetes":
		kubectl := b.peer("kubectl", s.peer...)
		rivals = append(rivals,
			printing("kubectl get secret -o jsonpath", kubectl, base64.StdEncoding.EncodeToString([]byte(value)), 1,
				"get", "secret", inCluster, "-o", "jsonpath={.data."+keyName(1)+"}"),
			printing("kubectl version --client", kubectl, value, 0, "version", "--client"))
	}
	return append(rivals, printing("kai version", kai, value, 0, "version")), nil
}
