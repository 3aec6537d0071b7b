//go:build unix

// Package controlplane starts real Kubernetes on loopback, without root and without containers: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler as they are, and kwok, which plays the nodes. Pods become ready though nothing
// runs in them; annotations of a pod ask for less:
//
//	e2e.kai/never-ready: ""     it runs, but is not ready
//	e2e.kai/ready-after: 5s     it becomes ready later
//	e2e.kai/crash: ""           its containers are in CrashLoopBackOff
//	e2e.kai/image-pull: ""      its containers are in ImagePullBackOff
//	e2e.kai/fails: ""           it ends with exit code 1, as a job or a hook may
//
// Pods of jobs, and those that are hooks of Helm, succeed. Every claim for a volume of the default class is bound.
package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/helm-kai/helm-kai/e2e/child"
)

// patience is how long a process may take to end by itself.
const patience = 15 * time.Second

// The names of the processes, in the order in which they start.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kwok              = "kwok"
)

// Options say what a cluster is made from.
type Options struct {
	// Binaries is a folder that Build made.
	Binaries string
	// Dir becomes the cluster's folder: keys, etcd's data, logs. It must not hold another cluster.
	Dir string
}

// Cluster is a running control plane. Its methods may be called at once.
type Cluster struct {
	Dir string
	// Kubeconfig is the path of a kubeconfig for an administrator.
	Kubeconfig string
	// Server is the address of the API server.
	Server string

	pki         pki
	client      *http.Client
	stopVolumes context.CancelFunc
	volumes     sync.WaitGroup

	mu         sync.Mutex
	components []*component
}

// component is a process of the cluster, and how it starts.
type component struct {
	name, path string
	args       []string
	ready      func(context.Context) error
	process    *child.Process
}

// Start starts a cluster and waits until pods can run in it. The context bounds the start alone; Stop ends the cluster.
// An error shows the end of the logs, which stay in the cluster's folder.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	c, err := prepare(options)
	if err != nil {
		return nil, fmt.Errorf("prepare a cluster in %s: %w", options.Dir, err)
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// start is the order in which a cluster comes up.
func (c *Cluster) start(ctx context.Context) error {
	for _, component := range c.components {
		if err := c.resume(ctx, component); err != nil {
			return err
		}
	}
	if err := c.addNodes(ctx); err != nil {
		return err
	}
	if err := c.provideVolumes(ctx); err != nil {
		return err
	}
	if err := c.wait(ctx, "the nodes to be ready", c.nodesReady); err != nil {
		return err
	}
	// No pod can be made in a namespace before its ServiceAccount is there.
	return c.wait(ctx, "the controllers", func(ctx context.Context) error {
		return c.Get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

// prepare writes all files of a cluster and says what its processes are.
func prepare(options Options) (*Cluster, error) {
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o755); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	keys, err := newPKI(filepath.Join(dir, "pki"))
	if err != nil {
		return nil, err
	}
	client, err := keys.client(admin)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		Dir:        dir,
		Kubeconfig: filepath.Join(dir, "admin.kubeconfig"),
		Server:     "https://127.0.0.1:" + ports[2],
		pki:        keys,
		client:     client,
	}
	for _, user := range []string{admin, ControllerManager, Scheduler, Kwok} {
		config, err := keys.kubeconfig(c.Server, user, "")
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, user+".kubeconfig"), config, 0o600); err != nil {
			return nil, err
		}
	}
	if err := writeStages(filepath.Join(options.Binaries, stagesFile), filepath.Join(dir, stagesFile)); err != nil {
		return nil, err
	}
	c.components = c.plan(options.Binaries, "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1], ports[2])
	return c, nil
}

// plan says how the processes start, which all run in the cluster's folder.
func (c *Cluster) plan(binaries, etcd, peers, port string) []*component {
	of := func(name string, ready func(context.Context) error, args ...string) *component {
		return &component{name: name, path: filepath.Join(binaries, name), args: args, ready: ready}
	}
	return []*component{
		of(Etcd, func(ctx context.Context) error { return get(ctx, http.DefaultClient, etcd+"/health", nil) },
			"--name=e2e", "--data-dir=etcd", "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
			"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=e2e="+peers),
		of(APIServer, func(ctx context.Context) error { return c.Get(ctx, "/readyz", nil) },
			"--etcd-servers="+etcd, "--bind-address=127.0.0.1", "--secure-port="+port,
			// No endpoint of an API server may be a loopback address.
			"--endpoint-reconciler-type=none",
			"--tls-cert-file=pki/apiserver.crt", "--tls-private-key-file=pki/apiserver.key", "--client-ca-file=pki/ca.crt",
			"--service-account-key-file=pki/tokens.key", "--service-account-signing-key-file=pki/tokens.key",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--service-cluster-ip-range=10.96.0.0/16",
			// Whatever is still watched shall not hold up an orderly end.
			"--shutdown-send-retry-after",
			"--authorization-mode=Node,RBAC", "--anonymous-auth=false", "--profiling=false"),
		of(ControllerManager, nil, "--kubeconfig="+ControllerManager+".kubeconfig",
			"--leader-elect=false", "--use-service-account-credentials", "--service-account-private-key-file=pki/tokens.key",
			"--root-ca-file=pki/ca.crt", "--cluster-signing-cert-file=pki/ca.crt", "--cluster-signing-key-file=pki/ca.key",
			// With its usual limit, its controllers need five seconds to start.
			"--kube-api-qps=500", "--kube-api-burst=1000",
			// kwok's nodes do not renew leases; see below.
			"--node-monitor-grace-period=24h",
			// Nobody should wait for the first number of replicas.
			"--horizontal-pod-autoscaler-sync-period=2s", "--secure-port=0", "--profiling=false"),
		of(Scheduler, nil, "--kubeconfig="+Scheduler+".kubeconfig", "--leader-elect=false", "--secure-port=0", "--profiling=false"),
		of(Kwok, nil, "--kubeconfig="+Kwok+".kubeconfig", "--config="+stagesFile,
			"--manage-all-nodes=false", "--manage-nodes-with-annotation-selector="+nodeAnnotation+"=fake",
			"--cidr=10.244.0.1/16", "--node-ip=10.0.0.1",
			// A kwok that starts anew would wait for the leases of the one before to run out.
			"--node-lease-duration-seconds=0",
			// kwok would listen on all addresses of the machine, at one port for all clusters.
			"--node-port=0"),
	}
}

// Stop ends all processes, the last started first. An error names those that had ended before, with the end of their logs.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopVolumes != nil {
		c.stopVolumes()
		c.volumes.Wait()
	}
	c.client.CloseIdleConnections()
	var errs []error
	for i := len(c.components) - 1; i >= 0; i-- {
		component := c.components[i]
		if component.process == nil {
			continue
		}
		if err := component.process.End(syscall.SIGTERM, patience); err != nil {
			errs = append(errs, fmt.Errorf("%w\n%s", err, c.tail(component.name)))
		}
		component.process = nil
	}
	return errors.Join(errs...)
}

// Halt ends one process: with SIGTERM as in an orderly shutdown, with SIGKILL as in a crash. Resume starts it again.
func (c *Cluster) Halt(name string, how syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	component, err := c.component(name)
	if err != nil {
		return err
	}
	if component.process == nil {
		return fmt.Errorf("%s does not run", name)
	}
	err = component.process.End(how, patience)
	component.process = nil
	return err
}

// Resume starts a process that Halt has ended, at the same address, and waits until it answers.
func (c *Cluster) Resume(ctx context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	component, err := c.component(name)
	if err != nil {
		return err
	}
	if component.process != nil {
		return fmt.Errorf("%s runs", name)
	}
	return c.resume(ctx, component)
}

// Restart is Halt, gracefully, and Resume.
func (c *Cluster) Restart(ctx context.Context, name string) error {
	if err := c.Halt(name, syscall.SIGTERM); err != nil {
		return err
	}
	return c.Resume(ctx, name)
}

func (c *Cluster) component(name string) (*component, error) {
	for _, component := range c.components {
		if component.name == name {
			return component, nil
		}
	}
	return nil, fmt.Errorf("a cluster has no %s", name)
}

func (c *Cluster) resume(ctx context.Context, component *component) error {
	process, err := child.Start(child.Command{Args: append([]string{component.path}, component.args...), Dir: c.Dir, Log: c.log(component.name)})
	if err != nil {
		return fmt.Errorf("start %s: %w", component.name, err)
	}
	component.process = process
	if component.ready == nil {
		return nil
	}
	return c.wait(ctx, component.name, component.ready)
}

// wait asks until there is no error. It gives up when the context ends, or a process does.
func (c *Cluster) wait(ctx context.Context, what string, ready func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := ready(attempt)
		cancel()
		if err == nil {
			return nil
		}
		for _, component := range c.components {
			if component.process != nil && component.process.Ended() {
				return fmt.Errorf("wait for %s: %s ended: %w\n%s", what, component.name, component.process.Exit(), c.tail(component.name))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w\n%s", what, context.Cause(ctx), err, c.tails())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *Cluster) log(name string) string { return filepath.Join(c.Dir, "log", name+".log") }

// tail is the end of a process's log.
func (c *Cluster) tail(name string) string {
	const most = 10
	data, err := os.ReadFile(c.log(name))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	lines = lines[max(0, len(lines)-most):]
	return fmt.Sprintf("the end of %s:\n%s", c.log(name), bytes.Join(lines, []byte("\n")))
}

func (c *Cluster) tails() string {
	var all []string
	for _, component := range c.components {
		if component.process != nil {
			all = append(all, c.tail(component.name))
		}
	}
	return strings.Join(all, "\n")
}

// freePorts gives ports of loopback that nothing listens at. They lie below those that systems give to connections, so
// that none takes one while a process restarts.
func freePorts(n int) ([]string, error) {
	const lowest, count = 20000, 12000
	var ports []string
	for attempt := 0; len(ports) < n; attempt++ {
		if attempt == count {
			return nil, fmt.Errorf("no free port of 127.0.0.1 from %d to %d", lowest, lowest+count)
		}
		port := strconv.Itoa(lowest + rand.IntN(count))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer listener.Close()
		ports = append(ports, port)
	}
	return ports, nil
}
