//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// The workspace of references: so many services, each with so many secrets, which stand in one path each.
const (
	paths   = 20
	perPath = 10
)

// far is how long a request to a Vault that is far away takes more: a round trip.
const far = 50 * time.Millisecond

// references is kai with a workspace of 200 references: how often it asks Vault for them, and how many of these requests
// come one after the other. That is what a far Vault takes more from the first request to the last answer, in round trips:
// connecting takes no time, nor does a login by token.
func (b *secretsBench) references(ctx context.Context, which *regexp.Regexp, times int, out io.Writer) error {
	wanted := false
	for _, way := range ways {
		wanted = wanted || which.MatchString("SecretsReferences/"+way.name)
	}
	if !wanted {
		return nil
	}
	s, err := b.open(ctx, "vault")
	if err != nil {
		return err
	}
	line, err := newLine(b.vault.Addr)
	if err != nil {
		return err
	}
	defer line.close()
	for i := range paths {
		if err := b.vault.Call(ctx, http.MethodPut, "secret/data/bench/"+serviceName(i)+"/secret", map[string]any{"data": tenValues()}, nil); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "secrets\truns\trequests\ttime\tfar away\tround trips\t")
	for i, way := range ways {
		if !which.MatchString("SecretsReferences/" + way.name) {
			continue
		}
		dir := filepath.Join(b.dir, fmt.Sprintf("references-%d", i))
		if err := writeReferences(dir, way.full); err != nil {
			return err
		}
		env := slices.Concat(s.env, []string{"VAULT_ADDR=" + line.addr})
		if way.command != "secrets check" {
			if err := b.startCluster(ctx); err != nil {
				return err
			}
			env = append(env, "KUBECONFIG="+b.cluster.Kubeconfig)
		}
		kai := func(ctx context.Context) (spent, error) {
			out, took, err := b.command(b.kai, env...).run(ctx, append(strings.Fields(way.command), "-c", benchContext, "-w", dir)...)
			if got := bytes.Count(out, []byte(way.says)); err == nil && got != way.times {
				err = fmt.Errorf("kai says %q %d times, and not %d:\n%s", way.says, got, way.times, out)
			}
			return took, err
		}
		if err := line.measure(ctx, out, "SecretsReferences/"+way.name, kai, times*3); err != nil {
			return err
		}
	}
	return nil
}

// ways are how references are asked for, the second ones by the form that names Vault's path; and what kai then says.
var ways = []struct {
	name, command string
	full          bool
	says          string
	times         int
}{
	{"diff", "diff", false, "20 to create", 1},
	{"diff, ref+vault", "diff", true, "20 to create", 1},
	{"install", "install --dry-run", false, "20 to create", 1},
	{"check", "secrets check", false, "   found   ", paths * perPath},
	{"check, ref+vault", "secrets check", true, "   found   ", paths * perPath},
}

// measure runs kai with Vault near and far, in turns, and prints a line.
func (l *line) measure(ctx context.Context, out io.Writer, name string, kai func(context.Context) (spent, error), times int) error {
	var clock, asking [2][]float64
	requests := 0
	for range times {
		for i, delay := range []time.Duration{0, far} {
			l.begin(delay)
			took, err := kai(ctx)
			if err != nil {
				return err
			}
			n, span := l.end()
			requests = max(requests, n)
			clock[i], asking[i] = append(clock[i], float64(took.clock)), append(asking[i], float64(span))
			fmt.Fprintf(os.Stderr, "bench: %s, %s away: %s, of it %s for %d requests\n", name, delay, duration(float64(took.clock)), duration(float64(span)), n)
		}
	}
	// Other work on the machine makes both longer at random, and neither shorter.
	trips := (slices.Min(asking[1]) - slices.Min(asking[0])) / float64(far)
	fmt.Fprintf(out, "%s\t%d\t%d\t%s\t%s\t%.1f\t\n", name, times, requests, duration(median(clock[0])), duration(median(clock[1])), trips)
	return nil
}

func tenValues() map[string]string {
	values := map[string]string{}
	for i := range perPath {
		values[keyName(i)] = keyValue(i)
	}
	return values
}

// writeReferences writes the workspace. Its references are keys of the context's store, or of the form that names Vault's
// path.
func writeReferences(dir string, full bool) error {
	files := map[string]string{"kai-workspace.yaml": "apiVersion: kai/v1\nname: bench\nservices: [services/*]\ncontexts:\n  - {name: bench, secrets: {provider: vault}}\n"}
	for i := range paths {
		name := serviceName(i)
		var env strings.Builder
		for n := range perPath {
			key := keyName(n)
			if full {
				key = "ref+vault://secret/bench/" + name + "/secret#/" + key
			}
			fmt.Fprintf(&env, "      %s: {secret: %q}\n", keyName(n), key)
		}
		files[filepath.Join("services", name, "kai.yaml")] = fmt.Sprintf(referencesText, name, env.String())
	}
	var errs []error
	for path, text := range files {
		path = filepath.Join(dir, path)
		errs = append(errs, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

const referencesText = `apiVersion: kai/v1
name: %s
images:
  - {name: release, registry: registry.example.com, repository: bench, tag: 1.0.0}
routes:
  - {name: http, port: 80, containerPort: 8080}
contexts:
  - name: base
    flavor: webservice
    image: release
    routes: [http]
    env:
%s`

// line stands between kai and a server: it counts the requests, and each has to wait as on a line of some length.
type line struct {
	addr   string
	server *http.Server

	mu          sync.Mutex
	delay       time.Duration
	requests    int
	first, last time.Time // when the first request came, and when the last was answered
}

func newLine(to string) (*line, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &line{addr: "http://" + listener.Addr().String()}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	l.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(l.came())
		proxy.ServeHTTP(w, r)
		l.answered()
	})}
	go func() { _ = l.server.Serve(listener) }()
	return l, nil
}

func (l *line) came() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.requests++; l.requests == 1 {
		l.first = time.Now()
	}
	return l.delay
}

func (l *line) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
}

// begin counts anew, with another length.
func (l *line) begin(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay, l.requests = delay, 0
}

// end gives how many requests there were, and how long they took together.
func (l *line) end() (int, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests, l.last.Sub(l.first)
}

func (l *line) close() { _ = l.server.Close() }
