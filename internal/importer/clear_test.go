package importer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/importer"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/validate"
)

// inClear are secrets in clear as people write them into variables: none of them is
// one of anybody's. part is what must not be anywhere after an import.
var inClear = func() []struct{ name, value, part string } {
	long := func(n int, c string) string { return strings.Repeat(c+"1", n/2) }
	word := func(n int) string { return fmt.Sprintf("q8Zr4tYw%02d", n) }
	key := long(64, "K") + "\n" + long(64, "L")
	return []struct{ name, value, part string }{
		{"PAYMENTS", "sk_live_" + long(24, "a"), long(24, "a")},
		{"HUB", "ghp_" + long(36, "b"), long(36, "b")},
		{"HUB_PAT", "github_pat_" + long(30, "c"), long(30, "c")},
		{"LAB", "glpat-" + long(20, "d"), long(20, "d")},
		{"AWS_ACCESS_KEY_ID", "AKIA" + long(16, "E"), long(16, "E")},
		{"CHAT", "xoxb-" + long(24, "f"), long(24, "f")},
		{"VAULT", "hvs." + long(24, "g"), long(24, "g")},
		{"MAPS", "AIza" + long(34, "h") + "h", long(34, "h")},
		{"AGE", "AGE-SECRET-KEY-1" + long(58, "I"), long(58, "I")},
		{"SIGNED", "eyJ" + long(12, "j") + ".eyJ" + long(12, "j") + "." + long(12, "j"), long(12, "j")},
		{"PEM", "-----BEGIN " + "PRIVATE KEY-----\n" + key + "\n-----END " + "PRIVATE KEY-----\n", long(64, "L")},
		{"DB_PASSWORD", word(1), word(1)},
		{"ENCRYPTION_KEY", word(2), word(2)},
		{"PASSPHRASE", word(3), word(3)},
		{"QUEUE", "amqp://app:" + word(4) + "@mq.example.com/x", word(4)},
		{"DSN", "root:" + word(5) + "@tcp(db.example.com:3306)/x", word(5)},
		{"JDBC", "jdbc:postgresql://db.example.com/x?password=" + word(6), word(6)},
		{"ADO", "Server=db.example.com;Password=" + word(7) + ";", word(7)},
		{"JSON", `{"user":"a","password":"` + word(8) + `"}`, word(8)},
		{"OPTIONS", "--user a --api-key " + word(9), word(9)},
		{"FILE", "user: a\npassword: " + word(10) + "\n", word(10)},
	}
}()

// quoted writes a text for YAML.
func quoted(text string) string {
	data, _ := json.Marshal(text) // text always encodes
	return string(data)
}

// TestNoSecretIsWritten: what kai validate would call a secret in clear is nowhere in
// what an import writes, and nowhere in its report, wherever the source has it.
func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		run    func(importer.Options) (*importer.Result, source.Findings)
		source func(env, list, args, file, note string) map[string]string
		// keyFiles says that a file with a private key is written, with a mark; elsewhere
		// there is none of it at all.
		keyFiles bool
	}{
		{"manifests", importer.Manifests, func(_, list, args, file, note string) map[string]string {
			return map[string]string{"in.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, annotations: {example.com/a: " + note + "}}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n" +
				"      containers:\n        - {name: web, image: 'x:1.0.0', args: " + args + ", env: " + list + ", volumeMounts: [{name: c, mountPath: /etc/web}],\n           livenessProbe: {httpGet: {path: /, port: 80, httpHeaders: [{name: X, value: " + note + "}]}}}\n" +
				"        - {name: side, image: 'y:1.0.0', command: " + args + ", env: " + list + "}\n" +
				"      initContainers: [{name: init, image: 'z:1.0.0', env: " + list + "}]\n" +
				"      volumes: [{name: c, configMap: {name: web}}]\n---\n" +
				"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {app.env: " + file + "}\n---\n" +
				"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: alone}\ndata: {app.env: " + file + "}\n"}
		}, false},
		{"compose", importer.Compose, func(env, _, args, file, note string) map[string]string {
			return map[string]string{"in.yaml": "services:\n  web:\n    image: x:1.0.0\n    command: " + args + "\n    labels: {a.example.com: " + note + "}\n    environment: " + env + "\n" +
				"    configs: [{source: app, target: /etc/web/app.env}]\nconfigs: {app: {content: " + file + "}}\n"}
		}, false},
		{"score", importer.Score, func(env, _, args, file, note string) map[string]string {
			return map[string]string{"in.yaml": "apiVersion: score.dev/v1b1\nmetadata: {name: web, annotations: {example.com/a: " + note + "}}\ncontainers:\n" +
				"  web: {image: 'x:1.0.0', args: " + args + ", variables: " + env + ", files: {/etc/web/app.env: {content: " + file + ", noExpand: true}}}\n" +
				"  side: {image: 'y:1.0.0', command: " + args + ", variables: " + env + "}\n"}
		}, true},
		{"pligos", importer.Pligos, func(env, list, args, file, note string) map[string]string {
			var content string
			_ = json.Unmarshal([]byte(file), &content)
			return map[string]string{
				"pligos.yaml":    "name: web\ndescription: web\ncontexts: [{name: dev, flavor: ../flavors/service, output: out/dev}]\n",
				"config/app.env": content,
				"values.yaml": "image: [{name: release, registry: registry.example.com, repository: web, tag: 1.0.0}]\ningress: [{name: default, enabled: true, annotations: {example.com/a: " + note + "}}]\n" +
					"contexts:\n  dev: {ingress: default, containers: [{image: release, args: " + args + ", env: " + env + "}, {name: side, image: release, args: " + args + ", env: " + list + "}]}\n",
			}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var env, list, args, file []string
			for _, s := range inClear {
				env = append(env, s.name+": "+quoted(s.value))
				list = append(list, "{name: "+s.name+", value: "+quoted(s.value)+"}")
				switch s.name {
				case "PEM", "FILE":
				case "JDBC":
					args = append(args, quoted(s.value))
				default:
					args = append(args, quoted("--"+strings.ToLower(strings.ReplaceAll(s.name, "_", "-"))+"="+s.value))
				}
				if s.name != "PEM" || c.keyFiles {
					file = append(file, s.name+": "+s.value)
				}
			}
			args = append(args, "--client-secret", inClear[11].value)
			note := quoted(inClear[1].value)
			var files []importer.File
			for name, data := range c.source("{"+strings.Join(env, ", ")+"}", "["+strings.Join(list, ", ")+"]", "["+strings.Join(args, ", ")+"]", quoted(strings.Join(file, "\n")), note) {
				files = append(files, importer.File{Path: name, Data: []byte(data)})
			}
			path := "in.yaml"
			if c.name == "pligos" {
				path = "."
			}
			result, findings := c.run(importer.Options{Name: "shop", Clear: validate.ClearSpans, Trees: []importer.Tree{{FS: importer.FS(files), Path: path}}})
			if err := findings.Err(); err != nil {
				t.Fatal(err)
			}
			if err := result.Compare(context.Background()); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			config := false
			for _, f := range result.Files {
				fmt.Fprintf(&b, "-- %s --\n%s", f.Path, f.Data)
				for _, found := range validate.Clear(f.Path, f.Data) {
					t.Errorf("validate finds in what is written: %s", found)
				}
				config = config || strings.HasSuffix(f.Path, "/app.env") && strings.Contains(string(f.Data), "REPLACE-ME")
			}
			if !config {
				t.Error("no app.env is written with a mark in it")
			}
			for _, write := range []func(*bytes.Buffer) error{
				func(b *bytes.Buffer) error { return result.Report.WriteWhole(b) },
				func(b *bytes.Buffer) error { return result.Report.WriteJSON(b) },
			} {
				if err := write(&b); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range inClear {
				if i := strings.Index(b.String(), s.part); i >= 0 {
					t.Errorf("%s is in clear: …%s…", s.name, b.String()[max(0, i-120):min(b.Len(), i+80)])
				}
				if want := "web.secret." + strings.ToLower(s.name); !strings.Contains(b.String(), want+"\n") {
					t.Errorf("%s is not to be stored", want)
				}
			}
			if !strings.Contains(b.String(), "$(CLIENT_SECRET)") {
				t.Error("the argument behind --client-secret is no variable")
			}
			if t.Failed() {
				t.Log(b.String()[:min(b.Len(), 9000)])
			}
		})
	}
}
