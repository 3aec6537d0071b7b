//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/helm-kai/helm-kai/e2e/child"
	"github.com/helm-kai/helm-kai/e2e/images"
	"github.com/helm-kai/helm-kai/e2e/tools"
)

// The servers that come from Go modules, in the version that the library's friend names.
var (
	natsServer  = tools.Tool{Name: "nats-server", Package: "github.com/nats-io/nats-server/v2", Version: "v2.12.12", LDFlags: "-s -w"}
	minioServer = tools.Tool{Name: "minio", Package: "github.com/minio/minio", Version: "v0.0.0-20250907161309-07c3a429bfed", LDFlags: "-s -w"}
)

// withMinIO is the variable of the environment that lets MinIO be built and tried. It takes 5 minutes on two cores, and so is
// left out otherwise.
const withMinIO = "KAI_E2E_MINIO"

// TestFriendServers starts the servers of the library's friends as their generated pods say, and comes to them with what the
// consumer's pod has in its environment: testdata/friends with generated credentials, rendered as Helm installs it.
func TestFriendServers(t *testing.T) {
	t.Parallel()
	p := installed(t)
	for name, try := range map[string]func(t *testing.T){
		"postgresql":              func(t *testing.T) { tryPostgres(t, p) },
		"postgresql with scripts": func(t *testing.T) { tryPostgresUsers(t, p) },
		"mysql":                   func(t *testing.T) { tryMySQL(t, p) },
		"mysql with scripts":      func(t *testing.T) { tryMySQLScript(t, p) },
		"redis":                   func(t *testing.T) { tryRedis(t, p, images.Redis, "redis", "redis-cli") },
		"valkey":                  func(t *testing.T) { tryRedis(t, p, images.Valkey, "valkey", "valkey-cli") },
		"rabbitmq":                func(t *testing.T) { tryRabbitMQ(t, p) },
		"nats":                    func(t *testing.T) { tryNATS(t, p) },
		"minio":                   func(t *testing.T) { tryMinIO(t, p) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			try(t)
		})
	}
}

func tryPostgres(t *testing.T, p *pods) {
	c := p.container(t, "app-postgresql")
	s := images.ForTest(t, images.Postgres, c.image())
	ready(t, s, c.ReadinessProbe.Exec.Command, "--port="+port(s.Addr))
	given := local(t, p.env(t, "app", "POSTGRESQL_URL"), "app-postgresql.friends:5432", s)
	query := func(url string) error {
		_, err := s.Exec(t.Context(), "", "psql", "--no-psqlrc", "--no-password", "--command=CREATE TABLE IF NOT EXISTS t (i int)", url)
		return err
	}
	must(t, query(given))
	refused(t, query(withPassword(t, given, "wrong")), "password authentication failed")
	refused(t, query(withPassword(t, given, "")), "no password supplied")
}

func tryPostgresUsers(t *testing.T, p *pods) {
	c := p.container(t, "ledger-books")
	s := images.ForTest(t, images.Postgres, c.image())
	ready(t, s, c.ReadinessProbe.Exec.Command, "--port="+port(s.Addr))
	books := local(t, p.env(t, "ledger", "BOOKS_URL"), "ledger-books.friends:5432", s)
	reports := local(t, p.env(t, "ledger", "REPORTS_URL"), "ledger-books.friends:5432", s)
	query := func(url, command string) error {
		_, err := s.Exec(t.Context(), "", "psql", "--no-psqlrc", "--no-password", "--command="+command, url)
		return err
	}
	must(t, query(books, "CREATE TABLE books.entries (id int)"))
	must(t, query(reports, "SELECT * FROM totals"))
	refused(t, query(reports, "INSERT INTO totals VALUES (1, 1)"), "permission denied")
	refused(t, query(withPassword(t, reports, "wrong"), "SELECT 1"), "password authentication failed")
}

func tryMySQL(t *testing.T, p *pods) {
	c := p.container(t, "app-mysql")
	s := images.ForTest(t, images.MariaDB, c.image())
	ready(t, s, c.ReadinessProbe.Exec.Command, "--port="+port(s.Addr))
	env := func(name string) string { return p.env(t, "app", name) }
	if got := env("MYSQL_HOST") + ":" + env("MYSQL_PORT"); got != "app-mysql.friends:3306" {
		t.Errorf("the consumer looks for it at %s", got)
	}
	query := func(password string) error {
		return mysqlQuery(t, s, env("MYSQL_USER"), password, env("MYSQL_DATABASE"), "CREATE TABLE IF NOT EXISTS t (i INT)")
	}
	must(t, query(env("MYSQL_PASSWORD")))
	refused(t, query("wrong"), "Access denied")
	refused(t, query(""), "Access denied")
	refused(t, mysqlQuery(t, s, env("MYSQL_USER"), env("MYSQL_PASSWORD"), "mysql", "SELECT * FROM user"), "Access denied")
}

func tryMySQLScript(t *testing.T, p *pods) {
	c := p.container(t, "ledger-archive")
	s := images.ForTest(t, images.MariaDB, c.image())
	ready(t, s, c.ReadinessProbe.Exec.Command, "--port="+port(s.Addr))
	given, err := url.Parse(local(t, p.env(t, "ledger", "ARCHIVE_URL"), "ledger-archive.friends:3306", s))
	must(t, err)
	password, _ := given.User.Password()
	must(t, mysqlQuery(t, s, given.User.Username(), password, strings.Trim(given.Path, "/"), "UPDATE entries SET text = 'closed' WHERE id = 1"))
}

// mysqlQuery asks over TCP. The client has no URLs.
func mysqlQuery(t *testing.T, s *images.Server, user, password, database, query string) error {
	_, err := s.Exec(t.Context(), "", "mariadb", "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port="+port(s.Addr), "--user="+user, "--password="+password, "--database="+database, "--execute="+query)
	return err
}

func tryRedis(t *testing.T, p *pods, image images.Image, friend, client string) {
	c := p.container(t, "app-"+friend)
	s := images.ForTest(t, image, c.image())
	ready(t, s, c.ReadinessProbe.Exec.Command, "-p", port(s.Addr))
	given := local(t, p.env(t, "app", strings.ToUpper(friend)+"_URL"), "app-"+friend+".friends:6379", s)
	ping := func(url string) error {
		// The password that the probe has is none of the consumer's.
		_, err := s.Exec(t.Context(), "", "env", "-u", "REDISCLI_AUTH", "-u", "VALKEYCLI_AUTH", client, "-e", "-u", url, "set", "key", "value")
		return err
	}
	must(t, ping(given))
	refused(t, ping(withPassword(t, given, "wrong")), "WRONGPASS")
	refused(t, ping("redis://"+s.Addr+"/0"), "NOAUTH")
	data, err := s.Path("/data")
	must(t, err)
	if len(names(t, filepath.Join(data, "appendonlydir", "*"))) == 0 {
		t.Error("nothing is written to the volume")
	}
}

func tryRabbitMQ(t *testing.T, p *pods) {
	c := p.container(t, "rabbitmq")
	s := images.ForTest(t, images.RabbitMQ, c.image())
	ready(t, s, c.LivenessProbe.Exec.Command)
	given := local(t, p.env(t, "app", "RABBITMQ_URL"), "rabbitmq.friends:5672", s)
	must(t, amqpLogin(given))
	refused(t, amqpLogin(withPassword(t, given, "wrong")), "ACCESS_REFUSED")
	refused(t, amqpLogin("amqp://guest:guest@"+s.Addr), "ACCESS_REFUSED")
}

// amqpLogin opens a connection of AMQP 0-9-1 as far as the server says that it knows the user.
func amqpLogin(given string) error {
	u, err := url.Parse(given)
	if err != nil {
		return err
	}
	conn, err := dial(u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	if _, method, _, err := amqpMethod(r); err != nil || method != 10 {
		return fmt.Errorf("the server begins with method %d: %w", method, err)
	}
	password, _ := u.User.Password()
	login := "\x00" + u.User.Username() + "\x00" + password
	var b bytes.Buffer
	binary.Write(&b, binary.BigEndian, [2]uint16{10, 11}) // Connection.StartOk
	// It is told with Connection.Close, and not by closing, who can be told so.
	capabilities := "\x1cauthentication_failure_closet\x01"
	properties := "\x0ccapabilitiesF" + string(binary.BigEndian.AppendUint32(nil, uint32(len(capabilities)))) + capabilities
	binary.Write(&b, binary.BigEndian, uint32(len(properties)))
	b.WriteString(properties + "\x05PLAIN")
	binary.Write(&b, binary.BigEndian, uint32(len(login)))
	b.WriteString(login + "\x05en_US")
	frame := append([]byte{1, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(b.Len()))...)
	if _, err := conn.Write(append(append(frame, b.Bytes()...), 0xCE)); err != nil {
		return err
	}
	class, method, rest, err := amqpMethod(r)
	if err != nil {
		return err
	}
	if class != 10 || method != 30 { // Connection.Tune
		return fmt.Errorf("method %d.%d: %s", class, method, rest)
	}
	return nil
}

// amqpMethod reads a frame with a method.
func amqpMethod(r io.Reader) (class, method uint16, rest []byte, err error) {
	head := make([]byte, 7)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[3:])
	if head[0] != 1 || size < 4 || size > 1<<16 {
		return 0, 0, nil, fmt.Errorf("a frame that begins with %v", head)
	}
	body := make([]byte, size+1)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, 0, nil, err
	}
	return binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:]), body[4:size], nil
}

func tryNATS(t *testing.T, p *pods) {
	c := p.container(t, "nats")
	monitor, monitorPort, err := child.FreeAddress()
	must(t, err)
	s := images.ForTest(t, images.NATS(tool(t, natsServer), monitorPort), c.image())
	given := local(t, p.env(t, "app", "NATS_URL"), "nats.friends:4222", s)
	// What JetStream says of itself comes back on a subject of the asker's own.
	streams, err := natsRequest(given, "$JS.API.INFO")
	must(t, err)
	contains(t, "JetStream's answer", streams, `"streams":0`)
	_, err = natsRequest(withPassword(t, given, "wrong"), "$JS.API.INFO")
	refused(t, err, "Authorization Violation")
	_, err = natsRequest("nats://"+s.Addr, "$JS.API.INFO")
	refused(t, err, "Authorization Violation")
	for _, get := range []*httpProbe{c.StartupProbe.HTTPGet, c.LivenessProbe.HTTPGet, c.ReadinessProbe.HTTPGet} {
		probeHTTP(t, "http://"+monitor+get.Path)
	}
	for _, port := range c.Ports {
		if port.ContainerPort == 8222 {
			t.Error("consumers may come to the port that tells of the server")
		}
	}
}

// natsRequest asks a server something, and gives its answer.
func natsRequest(given, subject string) (string, error) {
	u, err := url.Parse(given)
	if err != nil {
		return "", err
	}
	conn, err := dial(u.Host)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	password, _ := u.User.Password()
	login, err := json.Marshal(map[string]any{"verbose": false, "user": u.User.Username(), "pass": password})
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s\r\nSUB answer 1\r\nPUB %s answer 0\r\n\r\n", login, subject); err != nil {
		return "", err
	}
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(line, "-ERR") {
			return "", errors.New(line)
		}
		if strings.HasPrefix(line, "MSG answer ") {
			return r.ReadString('\n')
		}
	}
}

func tryMinIO(t *testing.T, p *pods) {
	if os.Getenv(withMinIO) == "" {
		t.Skipf("%s=1 builds MinIO, which takes 5 minutes, and tries it", withMinIO)
	}
	c := p.container(t, "app-minio")
	s := images.ForTest(t, images.MinIO(tool(t, minioServer)), c.image())
	endpoint := local(t, p.env(t, "app", "S3_ENDPOINT"), "app-minio.friends:9000", s)
	put := func(key, secret string) result {
		return command{}.try(t, "curl", "--silent", "--show-error", "--fail-with-body", "--request", "PUT", "--aws-sigv4", "aws:amz:"+p.env(t, "app", "S3_REGION")+":s3", "--user", key+":"+secret, endpoint+"/bucket")
	}
	for _, get := range []*httpProbe{c.StartupProbe.HTTPGet, c.ReadinessProbe.HTTPGet} {
		probeHTTP(t, "http://"+s.Addr+get.Path)
	}
	if got := put(p.env(t, "app", "S3_ACCESS_KEY"), p.env(t, "app", "S3_SECRET_KEY")); got.code != 0 {
		t.Errorf("a bucket: %s%s", got.stdout, got.stderr)
	}
	if got := put(p.env(t, "app", "S3_ACCESS_KEY"), "wrong-secret"); got.code == 0 || !strings.Contains(string(got.stdout), "SignatureDoesNotMatch") {
		t.Errorf("a wrong secret: exit code %d, %s", got.code, got.stdout)
	}
	if answer, err := http.Get(endpoint + "/"); err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("without a key: %v, %v", answer, err)
	}
}

// pods are those of all releases, as their cluster would have them.
type pods struct {
	templates map[string]podTemplate // by the name of the workload
	secrets   map[string]map[string]string
	configs   map[string]map[string]string
}

type podTemplate struct {
	Spec struct {
		Containers []container
		Volumes    []struct {
			Name      string
			ConfigMap struct{ Name string } `yaml:"configMap"`
		}
	}
}

// container is what a pod says about one.
type container struct {
	Command, Args []string
	Env           []struct {
		Name, Value string
		ValueFrom   struct {
			SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	Ports []struct {
		ContainerPort int `yaml:"containerPort"`
	}
	StartupProbe   podProbe `yaml:"startupProbe"`
	LivenessProbe  podProbe `yaml:"livenessProbe"`
	ReadinessProbe podProbe `yaml:"readinessProbe"`
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`

	pods     *pods
	template podTemplate
}

type podProbe struct {
	Exec    struct{ Command []string }
	HTTPGet *httpProbe `yaml:"httpGet"`
}

type httpProbe struct{ Path string }

// installed renders testdata/friends as Helm installs it, with credentials that kai has generated.
func installed(t *testing.T) *pods {
	t.Helper()
	dir, home := t.TempDir(), t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(root(t), "testdata", "friends"))))
	c := command{dir: dir, env: append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "PWD="+dir)}
	c.run(t, kaiBinary(t), "secrets", "generate", "-c", "dev")
	c.run(t, kaiBinary(t), "generate", "-c", "dev")
	p := &pods{map[string]podTemplate{}, map[string]map[string]string{}, map[string]map[string]string{}}
	for _, release := range names(t, filepath.Join(dir, "charts", "dev", "*")) {
		values := filepath.Join(home, release+".yaml")
		c.run(t, kaiBinary(t), "values", "-c", "dev", release, "-o", values)
		p.add(t, c.run(t, tool(t, helm43), "template", release, filepath.Join("charts", "dev", release), "-n", "friends", "-f", values))
	}
	return p
}

// add takes the objects of a release.
func (p *pods) add(t *testing.T, manifests string) {
	t.Helper()
	for d := yaml.NewDecoder(strings.NewReader(manifests)); ; {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Data     map[string]string
			Spec     struct{ Template podTemplate }
		}
		err := d.Decode(&object)
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
		switch object.Kind {
		case "Secret":
			for key, value := range object.Data {
				data, err := base64.StdEncoding.DecodeString(value)
				must(t, err)
				object.Data[key] = string(data)
			}
			p.secrets[object.Metadata.Name] = object.Data
		case "ConfigMap":
			p.configs[object.Metadata.Name] = object.Data
		case "Deployment", "StatefulSet":
			p.templates[object.Metadata.Name] = object.Spec.Template
		}
	}
}

// container gives the one container of a workload's pods.
func (p *pods) container(t *testing.T, workload string) container {
	t.Helper()
	template, ok := p.templates[workload]
	if !ok || len(template.Spec.Containers) != 1 {
		t.Fatalf("there is no pod of %s with one container: %v", workload, slices.Collect(maps.Keys(p.templates)))
	}
	c := template.Spec.Containers[0]
	c.pods, c.template = p, template
	return c
}

// env is the environment that a kubelet makes: secrets are put in, and each $(NAME) that stands above.
func (c container) env() map[string]string {
	out := map[string]string{}
	for _, v := range c.Env {
		out[v.Name] = expand(v.Value, out)
		if ref := v.ValueFrom.SecretKeyRef; ref.Name != "" {
			out[v.Name] = c.pods.secrets[ref.Name][ref.Key]
		}
	}
	return out
}

var variable = regexp.MustCompile(`\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)`)

// expand is Kubernetes' expansion: $$ is $, and the name of nothing stays as it is.
func expand(text string, env map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if value, ok := env[found[2:len(found)-1]]; ok {
			return value
		}
		return found
	})
}

// image is what the container says to its image. The name of the program, which is the same there and here, is left out.
func (c container) image() images.Container {
	env := c.env()
	out := images.Container{Env: env, Files: map[string]string{}}
	words := append(slices.Clone(c.Command), c.Args...)
	for _, word := range words {
		out.Args = append(out.Args, expand(word, env))
	}
	if len(words) > 0 && strings.HasSuffix(words[0], "-server") {
		out.Args = out.Args[1:]
	}
	for _, mount := range c.VolumeMounts {
		out.Folders = append(out.Folders, mount.MountPath)
		for _, volume := range c.template.Spec.Volumes {
			if volume.Name != mount.Name {
				continue
			}
			for file, text := range c.pods.configs[volume.ConfigMap.Name] {
				out.Files[filepath.Join(mount.MountPath, file)] = text
			}
		}
	}
	return out
}

// env gives a variable of a workload's container.
func (p *pods) env(t *testing.T, workload, name string) string {
	t.Helper()
	value, ok := p.container(t, workload).env()[name]
	if !ok || value == "" {
		t.Fatalf("%s has no %s", workload, name)
	}
	return value
}

// local is a URL that leads to a server which is where the cluster would have it.
func local(t *testing.T, text, address string, s *images.Server) string {
	t.Helper()
	contains(t, "the consumer's environment", text, address)
	return strings.Replace(text, address, s.Addr, 1)
}

// ready waits until a probe's command succeeds in the server's container, as a kubelet does before it lets consumers come.
// The options say where that is.
func ready(t *testing.T, s *images.Server, command []string, options ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := s.Exec(ctx, "", slices.Concat(command[:1], options, command[1:])...)
		if err == nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the probe: %v\n%s", err, s.Log())
		}
	}
}

func probeHTTP(t *testing.T, url string) {
	t.Helper()
	answer, err := http.Get(url)
	must(t, err)
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s: %s %s %v", url, answer.Status, body, err)
	}
}

func refused(t *testing.T, err error, because string) {
	t.Helper()
	if err == nil {
		t.Errorf("let in, want %q", because)
	} else {
		contains(t, "the refusal", err.Error(), because)
	}
}

// withPassword is a URL with another password, or with none.
func withPassword(t *testing.T, given, password string) string {
	t.Helper()
	u, err := url.Parse(given)
	must(t, err)
	u.User = url.UserPassword(u.User.Username(), password)
	if password == "" {
		u.User = url.User(u.User.Username())
	}
	return u.String()
}

func dial(addr string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(2 * time.Minute))
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
