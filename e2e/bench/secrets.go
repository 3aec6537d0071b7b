//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
	"github.com/helm-kai/helm-kai/e2e/controlplane"
	"github.com/helm-kai/helm-kai/e2e/databases"
	"github.com/helm-kai/helm-kai/e2e/tools"
	"github.com/helm-kai/helm-kai/e2e/vaultserver"
)

// What the stores hold: so many keys of one app, in each of two scopes. In scope secret they are encrypted.
const (
	deployment = "bench"
	app        = "carts"
	keys       = 50
)

func keyName(i int) string  { return fmt.Sprintf("KEY_%02d", i) }
func keyValue(i int) string { return fmt.Sprintf("example value %d of 'carts', with some length", i) }

// store is one that secrets are kept in, and how kai and kai-run are told of it.
type store struct {
	name string
	env  []string
	args []string // of kai secrets
	// account is the folder of a service account, for a store whose kai-run runs in a pod.
	account string
	// peer is the environment of the store's own client.
	peer []string
}

// secretsBench is what the benchmarks of secrets share. A server starts when it is first wanted.
type secretsBench struct {
	root, dir  string
	increments int // of two writers together
	cache      tools.Cache
	base       []string // environment of all
	kai, run   string   // binaries
	stores     map[string]store
	vault      *vaultserver.Server
	cluster    *controlplane.Cluster
	closers    []func() error
}

// storeNames are those of all stores, in the order in which they are measured.
var storeNames = []string{"file", "sqlite", "postgresql", "mariadb", "vault", "kubernetes"}

// longest bounds all benchmarks of secrets together.
const longest = 2 * time.Hour

// secrets runs the benchmarks of secrets whose names match.
func secrets(ctx context.Context, root string, which *regexp.Regexp, times, increments int, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	dir, err := os.MkdirTemp("", "kai-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &secretsBench{root: root, dir: dir, increments: increments, cache: tools.CheckoutCache(root), stores: map[string]store{}}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for _, one := range []struct {
		name string
		run  func(ctx context.Context, which *regexp.Regexp, times int, out io.Writer) error
	}{
		{"SecretsStart", b.start},
		{"SecretsGet", b.get},
		{"SecretsReferences", b.references},
		{"SecretsMemory", b.memory},
		{"SecretsIncrements", b.twoWriters},
	} {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		if err := one.run(ctx, which, times, w); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// prepare builds the programs.
func (b *secretsBench) prepare(ctx context.Context) error {
	programs, home := filepath.Join(b.dir, "programs"), filepath.Join(b.dir, "home")
	if err := errors.Join(os.Mkdir(programs, 0o755), os.Mkdir(home, 0o755)); err != nil {
		return err
	}
	// Nothing of the user's is read or written.
	b.base = []string{"PATH=" + programs + string(filepath.ListSeparator) + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + b.dir, "NO_COLOR=1"}
	var err error
	if b.kai, err = b.cache.Kai(ctx, b.root); err != nil {
		return err
	}
	b.run, err = b.cache.KaiRun(ctx, b.root)
	return err
}

func (b *secretsBench) close() error {
	var errs []error
	for _, end := range b.closers {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// command is a program in the environment that it and a store ask for.
func (b *secretsBench) command(path string, env ...string) program {
	return program{path, slices.Concat(b.base, env)}
}

// peer is a program that onPath has put there.
func (b *secretsBench) peer(name string, env ...string) program {
	return b.command(filepath.Join(b.dir, "programs", name), env...)
}

// ofStore is kai, told of a store.
func (b *secretsBench) ofStore(s store) program { return b.command(b.kai, s.env...) }

// open gives a store that holds the keys.
func (b *secretsBench) open(ctx context.Context, name string) (store, error) {
	if s, ok := b.stores[name]; ok {
		return s, nil
	}
	fmt.Fprintf(os.Stderr, "bench: starting %s\n", name)
	s, err := map[string]func(context.Context) (store, error){
		"file": b.file, "sqlite": b.sqlite, "postgresql": b.postgresql, "mariadb": b.mariadb, "vault": b.startVault, "kubernetes": b.kubernetes,
	}[name](ctx)
	if err != nil {
		return s, err
	}
	s.name = name
	scope := map[string]string{}
	for i := range keys {
		scope[keyName(i)] = keyValue(i)
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "kai/v1", "apps": map[string]any{app: map[string]any{"private": scope, "secret": scope}}})
	if err != nil {
		return s, err
	}
	path := filepath.Join(b.dir, "import.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return s, err
	}
	args := append([]string{"secrets", "import", path, "--deployment", deployment}, s.args...)
	if _, _, err := b.ofStore(s).run(ctx, args...); err != nil {
		return s, err
	}
	b.stores[name] = s
	return s, nil
}

// each calls f for the stores whose benchmark is wanted and which can be had here.
func (b *secretsBench) each(ctx context.Context, prefix string, which *regexp.Regexp, f func(store) error) error {
	for _, name := range storeNames {
		if !which.MatchString(prefix + name) {
			continue
		}
		s, err := b.open(ctx, name)
		if missing(err) {
			continue
		}
		if err == nil {
			err = f(s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file is encrypted for an SSH key, which needs no program to be made.
func (b *secretsBench) file(context.Context) (store, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return store{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return store{}, err
	}
	const kind = "ssh-ed25519"
	wire := fmt.Sprintf("\x00\x00\x00%c%s\x00\x00\x00%c%s", len(kind), kind, len(public), public)
	recipient := kind + " " + base64.StdEncoding.EncodeToString([]byte(wire))
	path, key := filepath.Join(b.dir, "secrets.yaml"), filepath.Join(b.dir, "identity")
	if err := errors.Join(
		os.WriteFile(path, fmt.Appendf(nil, "apiVersion: kai/v1\nrecipients: [%s]\napps: {}\n", recipient), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
	); err != nil {
		return store{}, err
	}
	return store{
		env:  []string{"KAI_STORE=file", "KAI_STORE_PATH=" + path, "KAI_AGE_KEY_FILE=" + key},
		args: []string{"--provider", "file", "--path", path},
	}, nil
}

// encryption makes a key for databases.
func encryption() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return "KAI_ENCRYPTION_KEYS=bench:" + base64.StdEncoding.EncodeToString(key)
}

func (b *secretsBench) sqlite(context.Context) (store, error) {
	path := filepath.Join(b.dir, "secrets.db")
	return store{
		env:  []string{"KAI_STORE=sql", "KAI_STORE_PATH=" + path, encryption()},
		args: []string{"--provider", "sql", "--path", path},
	}, nil
}

func (b *secretsBench) postgresql(ctx context.Context) (store, error) {
	s, host, port, err := b.database(ctx, databases.Postgres)
	if err != nil {
		return store{}, err
	}
	o := overSQL(s)
	o.peer = []string{"PGHOST=" + host, "PGPORT=" + port, "PGUSER=" + s.User, "PGPASSWORD=" + s.Password, "PGDATABASE=" + s.Database, "PGSSLMODE=verify-full", "PGSSLROOTCERT=" + s.CA}
	return o, nil
}

func (b *secretsBench) mariadb(ctx context.Context) (store, error) {
	s, host, port, err := b.database(ctx, databases.MariaDB)
	if err != nil {
		return store{}, err
	}
	o := overSQL(s)
	options := filepath.Join(b.dir, "my.cnf")
	text := fmt.Sprintf("[client]\nhost=%s\nport=%s\nuser=%s\npassword=%s\ndatabase=%s\nssl-ca=%s\nssl-verify-server-cert\n", host, port, s.User, s.Password, s.Database, s.CA)
	o.peer = []string{"OPTIONS=" + options}
	return o, os.WriteFile(options, []byte(text), 0o600)
}

func (b *secretsBench) database(ctx context.Context, start func(context.Context) (*databases.Server, error)) (s *databases.Server, host, port string, err error) {
	if s, err = start(ctx); err != nil {
		return nil, "", "", err
	}
	b.closers = append(b.closers, s.Stop)
	host, port, err = net.SplitHostPort(s.Addr)
	return s, host, port, err
}

func overSQL(s *databases.Server) store {
	return store{
		env:  []string{"KAI_STORE=sql", "KAI_SQL_URL=" + s.URL(), "KAI_SQL_PASSWORD=" + s.Password, "KAI_SQL_CACERT=" + s.CA, encryption()},
		args: []string{"--provider", "sql", "--url", s.URL()},
	}
}

func (b *secretsBench) startVault(ctx context.Context) (store, error) {
	binaries, err := vaultserver.Build(ctx, b.cache, filepath.Join(b.root, "e2e", "vaultserver", "build"))
	if err != nil {
		return store{}, err
	}
	dir := filepath.Join(b.dir, "vault")
	if err := errors.Join(os.Mkdir(dir, 0o755), b.onPath(filepath.Join(binaries, "vault"))); err != nil {
		return store{}, err
	}
	if b.vault, err = vaultserver.Start(ctx, binaries, dir); err != nil {
		return store{}, err
	}
	b.closers = append(b.closers, b.vault.Stop)
	env := []string{"VAULT_ADDR=" + b.vault.Addr, "VAULT_TOKEN=" + b.vault.Token}
	return store{env: append(env, "KAI_STORE=vault"), args: []string{"--provider", "vault"}, peer: env}, nil
}

// onPath puts a program where those that are measured find it.
func (b *secretsBench) onPath(program string) error {
	return os.Symlink(program, filepath.Join(b.dir, "programs", filepath.Base(program)))
}

// kubernetes is a cluster, whose kai-run runs as the service account default of the namespace default.
func (b *secretsBench) kubernetes(ctx context.Context) (store, error) {
	if err := b.startCluster(ctx); err != nil {
		return store{}, err
	}
	kubectl := b.peer("kubectl", "KUBECONFIG="+b.cluster.Kubeconfig)
	if _, _, err := kubectl.run(ctx, "create", "rolebinding", "bench", "--clusterrole=admin", "--serviceaccount=default:default"); err != nil {
		return store{}, err
	}
	token, _, err := kubectl.run(ctx, "create", "token", "default", "--duration=4h")
	if err != nil {
		return store{}, err
	}
	authority, _, err := kubectl.run(ctx, "config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}")
	if err != nil {
		return store{}, err
	}
	if authority, err = base64.StdEncoding.DecodeString(string(authority)); err != nil {
		return store{}, err
	}
	account := filepath.Join(b.dir, "account")
	if err := os.Mkdir(account, 0o700); err != nil {
		return store{}, err
	}
	for name, data := range map[string][]byte{"token": token, "ca.crt": authority, "namespace": []byte("default")} {
		if err := os.WriteFile(filepath.Join(account, name), data, 0o600); err != nil {
			return store{}, err
		}
	}
	server, err := url.Parse(b.cluster.Server)
	if err != nil {
		return store{}, err
	}
	return store{
		env:     []string{"KAI_STORE=kubernetes", "KUBERNETES_SERVICE_HOST=" + server.Hostname(), "KUBERNETES_SERVICE_PORT=" + server.Port()},
		args:    []string{"--provider", "kubernetes", "--store-namespace", "default", "--kubeconfig", b.cluster.Kubeconfig},
		account: account,
		peer:    []string{"KUBECONFIG=" + b.cluster.Kubeconfig},
	}, nil
}

func (b *secretsBench) startCluster(ctx context.Context) error {
	if b.cluster != nil {
		return nil
	}
	binaries, err := controlplane.Build(ctx, b.cache, filepath.Join(b.root, "e2e", "controlplane", "build"))
	if err != nil {
		return err
	}
	if err := b.onPath(filepath.Join(binaries, "kubectl")); err != nil {
		return err
	}
	b.cluster, err = controlplane.Launch(ctx, b.cache, b.root, filepath.Join(b.dir, "cluster"))
	if err != nil {
		return err
	}
	b.closers = append(b.closers, b.cluster.Stop)
	return nil
}

// inPod is a script that runs a program where the service account of a folder is mounted as in a pod.
const inPod = `mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount && cp "$1"/* /run/secrets/kubernetes.io/serviceaccount && shift && exec "$@"`

// inside gives a program and its arguments as the store's kai-run has to be run: in a pod, where the store is a cluster's. The
// process is the program's own in the end.
func (s store) inside(path string, args ...string) []string {
	argv := append([]string{path}, args...)
	if s.account == "" {
		return argv
	}
	return append([]string{"unshare", "-r", "-m", "sh", "-c", inPod, "sh", s.account}, argv...)
}

// missing says of an error whether something is only not installed here, and says so.
func missing(err error) bool {
	var server *child.MissingError
	var program *exec.Error
	if !errors.As(err, &server) && !errors.As(err, &program) {
		return false
	}
	fmt.Fprintf(os.Stderr, "bench: left out: %v\n", err)
	return true
}

// have says whether programs are installed, and says so where one is not.
func have(programs ...string) bool {
	for _, name := range programs {
		if _, err := exec.LookPath(name); missing(err) {
			return false
		}
	}
	return true
}

// printing is a rival that has to print something so many times.
func printing(name string, p program, what string, n int, args ...string) rival {
	return rival{name, func(ctx context.Context) (spent, error) {
		out, took, err := p.run(ctx, args...)
		if got := bytes.Count(out, []byte(what)); err == nil && got != n {
			err = fmt.Errorf("%s prints %q %d times, and not %d", name, what, got, n)
		}
		return took, err
	}}
}
