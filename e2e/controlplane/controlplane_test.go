//go:build unix

package controlplane

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/helm-kai/helm-kai/e2e/tools"
)

type object = map[string]any

// TestCluster goes through what tests count on, in one cluster.
func TestCluster(t *testing.T) {
	t.Parallel()
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	c := ForTest(t, tools.CheckoutCache(checkout), checkout)
	t.Logf("up after %v", time.Since(begin).Round(time.Millisecond))
	t.Run("pods", func(t *testing.T) { testPods(t, c) })
	t.Run("jobs", func(t *testing.T) { testJobs(t, c) })
	t.Run("volumes", func(t *testing.T) { testVolumes(t, c) })
	t.Run("restart", func(t *testing.T) { testRestart(t, c) })
}

func create(t *testing.T, c *Cluster, path string, o object) {
	t.Helper()
	if err := c.Create(t.Context(), path, o); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until the answer is as wanted.
func eventually(t *testing.T, want string, ask func() string) {
	t.Helper()
	got := ask()
	for end := time.Now().Add(2 * time.Minute); got != want; got = ask() {
		if time.Now().After(end) {
			t.Fatalf("got %q, want %q", got, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

type pod struct {
	Status struct {
		Phase             string
		Conditions        []struct{ Type, Status string }
		ContainerStatuses []struct {
			RestartCount int
			State        struct{ Waiting struct{ Reason string } }
		}
	}
}

// String sums a pod up: Running ready, Running CrashLoopBackOff 3.
func (p pod) String() string {
	text := p.Status.Phase
	for _, condition := range p.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" && p.Status.Phase == "Running" {
			text += " ready"
		}
	}
	for _, status := range p.Status.ContainerStatuses {
		if status.State.Waiting.Reason != "" {
			text += fmt.Sprintf(" %s %d", status.State.Waiting.Reason, status.RestartCount)
		}
	}
	return text
}

func container() []object { return []object{{"name": "main", "image": "registry.example.com/main"}} }

func testPods(t *testing.T, c *Cluster) {
	tests := map[string]struct{ annotation, value, want string }{
		"plain":       {"example.com/a", "", "Running ready"},
		"hook":        {"helm.sh/hook", "test", "Succeeded"},
		"never-ready": {"e2e.kai/never-ready", "", "Running"},
		"ready-after": {"e2e.kai/ready-after", "1s", "Running ready"},
		"crash":       {"e2e.kai/crash", "", "Running CrashLoopBackOff 3"},
		"image-pull":  {"e2e.kai/image-pull", "", "Pending ImagePullBackOff 0"},
		"fails":       {"e2e.kai/fails", "", "Failed"},
	}
	for name, test := range tests {
		create(t, c, "/api/v1/namespaces/default/pods", object{
			"metadata": object{"name": name, "annotations": object{test.annotation: test.value}},
			"spec":     object{"containers": container()},
		})
	}
	state := func(name string) string {
		var p pod
		if err := c.Get(t.Context(), "/api/v1/namespaces/default/pods/"+name, &p); err != nil {
			return err.Error()
		}
		return p.String()
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			eventually(t, test.want, func() string { return state(name) })
		})
	}
	time.Sleep(time.Second)
	for name, test := range tests {
		if got := state(name); got != test.want {
			t.Errorf("%s does not stay %q, but becomes %q", name, test.want, got)
		}
	}
}

func testJobs(t *testing.T, c *Cluster) {
	for name, annotations := range map[string]object{"Complete": {}, "Failed": {"e2e.kai/fails": ""}} {
		t.Run(name, func(t *testing.T) {
			create(t, c, "/apis/batch/v1/namespaces/default/jobs", object{
				"metadata": object{"generateName": "job-", "labels": object{"as": name}},
				"spec": object{"backoffLimit": 0, "template": object{
					"metadata": object{"annotations": annotations},
					"spec":     object{"restartPolicy": "Never", "containers": container()},
				}},
			})
			eventually(t, name, func() string {
				var list struct {
					Items []struct {
						Status struct {
							Conditions []struct{ Type, Status string }
						}
					}
				}
				if err := c.Get(t.Context(), "/apis/batch/v1/namespaces/default/jobs?labelSelector=as%3D"+name, &list); err != nil {
					return err.Error()
				}
				for _, condition := range list.Items[0].Status.Conditions {
					if condition.Status == "True" && (condition.Type == "Complete" || condition.Type == "Failed") {
						return condition.Type
					}
				}
				return "running"
			})
		})
	}
}

func testVolumes(t *testing.T, c *Cluster) {
	create(t, c, "/apis/apps/v1/namespaces/default/statefulsets", object{
		"metadata": object{"name": "db"},
		"spec": object{
			"replicas": 2, "serviceName": "db", "selector": object{"matchLabels": object{"app": "db"}},
			"template": object{
				"metadata": object{"labels": object{"app": "db"}},
				"spec": object{"containers": []object{{
					"name": "main", "image": "registry.example.com/main",
					"volumeMounts": []object{{"name": "data", "mountPath": "/data"}},
				}}},
			},
			"volumeClaimTemplates": []object{{
				"metadata": object{"name": "data"},
				"spec":     object{"accessModes": []string{"ReadWriteOnce"}, "resources": object{"requests": object{"storage": "1Gi"}}},
			}},
		},
	})
	eventually(t, "2 of 2", func() string {
		var set struct {
			Status struct{ Replicas, ReadyReplicas int }
		}
		if err := c.Get(t.Context(), "/apis/apps/v1/namespaces/default/statefulsets/db", &set); err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%d of %d", set.Status.ReadyReplicas, set.Status.Replicas)
	})
	for _, path := range []string{
		"/apis/apps/v1/namespaces/default/statefulsets/db",
		"/api/v1/namespaces/default/persistentvolumeclaims/data-db-0",
		"/api/v1/namespaces/default/persistentvolumeclaims/data-db-1",
	} {
		if err := c.Delete(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "0 volumes", func() string {
		var list struct{ Items []object }
		if err := c.Get(t.Context(), "/api/v1/persistentvolumes", &list); err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%d volumes", len(list.Items))
	})
}

func testRestart(t *testing.T, c *Cluster) {
	create(t, c, "/api/v1/namespaces", object{"metadata": object{"name": "kept"}})
	for _, name := range []string{APIServer, Etcd, ControllerManager, Kwok} {
		for how, signal := range map[string]syscall.Signal{"gracefully": syscall.SIGTERM, "by force": syscall.SIGKILL} {
			t.Run(name+" "+how, func(t *testing.T) {
				begin := time.Now()
				if err := c.Halt(name, signal); err != nil {
					t.Fatal(err)
				}
				t.Logf("halted after %v", time.Since(begin).Round(time.Millisecond))
				if name == APIServer && c.Get(t.Context(), "/readyz", nil) == nil {
					t.Error("the API server still answers")
				}
				if err := c.Resume(t.Context(), name); err != nil {
					t.Fatal(err)
				}
				t.Logf("back after %v", time.Since(begin).Round(time.Millisecond))
				eventually(t, "<nil>", func() string { return fmt.Sprint(c.Get(t.Context(), "/api/v1/namespaces/kept", nil)) })
			})
		}
	}
	err := c.Get(t.Context(), "/api/v1/namespaces/none", nil)
	if status := (*StatusError)(nil); !errors.As(err, &status) || status.Code != http.StatusNotFound {
		t.Errorf("got %v, want a StatusError of 404", err)
	}
	if err := c.Halt("cloud", syscall.SIGTERM); err == nil {
		t.Error("a process that there is not can be halted")
	}
	testVolumes(t, c)
}
