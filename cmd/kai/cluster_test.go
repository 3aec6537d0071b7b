package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/workspace"
)

const twoClusters = `apiVersion: v1
kind: Config
current-context: here
contexts:
  - {name: here, context: {cluster: here, namespace: own}}
  - {name: there, context: {cluster: there}}
clusters:
  - {name: here, cluster: {server: "https://here.example.com"}}
  - {name: there, cluster: {server: "https://there.example.com"}}
`

// flagsOf gives cluster flags for arguments, with a kubeconfig of two clusters.
func flagsOf(t *testing.T, env map[string]string, args ...string) *clusterFlags {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(twoClusters), 0o600); err != nil {
		t.Fatal(err)
	}
	var f clusterFlags
	cmd := &cobra.Command{Use: "test"}
	f.addFlags(cmd, &app{getenv: func(name string) string { return env[name] }})
	if err := cmd.ParseFlags(append([]string{"--kubeconfig", path}, args...)); err != nil {
		t.Fatal(err)
	}
	return &f
}

// TestBind holds that a context goes to the cluster that it is bound to, and two
// contexts of one command each to their own.
func TestBind(t *testing.T) {
	t.Parallel()
	bound := func(name, uid string) *workspace.Target {
		return &workspace.Target{Context: "dev", Cluster: workspace.Cluster{KubeContext: name, UID: uid}}
	}
	for _, test := range []struct {
		name   string
		target *workspace.Target
		args   []string
		server string
		fails  string
	}{
		{"nothing said", &workspace.Target{}, nil, "https://here.example.com", ""},
		{"a flag", &workspace.Target{}, []string{"--kube-context", "there"}, "https://there.example.com", ""},
		{"bound", bound("there", ""), nil, "https://there.example.com", ""},
		{"bound, and the flag says the same", bound("there", ""), []string{"--kube-context", "there"}, "https://there.example.com", ""},
		{"bound, and the flag says another", bound("there", ""), []string{"--kube-context", "here"}, "", "--kube-context says here"},
		{"bound by uid, and the flag chooses", bound("there", "u"), []string{"--kube-context", "here"}, "https://here.example.com", ""},
		{"bound to an unknown one", bound("nowhere", ""), nil, "", "has none of that name"},
		{"bound by uid, and the name is unknown", bound("nowhere", "u"), nil, "https://here.example.com", ""},
		{"a server", bound("there", ""), []string{"--server", "https://other.example.com"}, "https://other.example.com", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := flagsOf(t, nil, test.args...)
			config, err := f.bind(test.target)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Fatalf("got %v, want an error with %q", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			rest, err := config.ToRESTConfig()
			if err != nil {
				t.Fatal(err)
			}
			if rest.Host != test.server {
				t.Errorf("got %s, want %s", rest.Host, test.server)
			}
		})
	}
}

func TestBindTwice(t *testing.T) {
	t.Parallel()
	f := flagsOf(t, nil)
	for _, name := range []string{"there", "here", "there"} {
		config, err := f.bind(&workspace.Target{Cluster: workspace.Cluster{KubeContext: name}})
		if err != nil {
			t.Fatal(err)
		}
		rest, err := config.ToRESTConfig()
		if err != nil || rest.Host != "https://"+name+".example.com" {
			t.Errorf("%s: %v, %v", name, rest, err)
		}
	}
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  map[string]string
		args []string
		want string
		said bool
	}{
		{nil, nil, "own", false},
		{nil, []string{"-n", "shop"}, "shop", true},
		{nil, []string{"--kube-context", "there"}, "default", false},
		{map[string]string{"HELM_NAMESPACE": "own"}, nil, "own", false},
		{map[string]string{"HELM_NAMESPACE": "shop"}, nil, "shop", true},
		{map[string]string{"HELM_NAMESPACE": "shop"}, []string{"-n", "web"}, "web", true},
	} {
		f := flagsOf(t, test.env, test.args...)
		config, err := f.bind(&workspace.Target{})
		if err != nil {
			t.Fatal(err)
		}
		if name, said := f.namespace(config); name != test.want || said != test.said {
			t.Errorf("%v %v: %s, %v; want %s, %v", test.env, test.args, name, said, test.want, test.said)
		}
	}
}
