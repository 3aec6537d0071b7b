//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// The context of the generated workspaces, which says no namespace: each run has one of its own.
const benchContext = "bench"

// writeWorkspace writes a workspace of n web services, each with a Deployment, a Service, a ServiceAccount, a ConfigMap and
// two NetworkPolicies, and a Pod that is a test. Level reaches all of them; those named in changed get another image.
func writeWorkspace(dir string, n int, level string, changed ...string) error {
	files := map[string]string{"kai-workspace.yaml": fmt.Sprintf(workspaceText, level)}
	for i := range n {
		name := serviceName(i)
		tag := fmt.Sprintf("1.0.%d", i)
		for _, other := range changed {
			if name == other {
				tag += "-next"
			}
		}
		files[filepath.Join("services", name, "kai.yaml")] = fmt.Sprintf(serviceText, name, tag, i, serviceName((i+7)%n))
		files[filepath.Join("services", name, "config", "app.yaml")] = fmt.Sprintf("service: %s\nlisten: 8080\n", name)
	}
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func serviceName(i int) string { return fmt.Sprintf("service-%03d", i) }

const workspaceText = `apiVersion: kai/v1
name: bench
version: 1.0.0
services: [services/*]
variables: {LEVEL: %s}
defaults:
  flavor: webservice
  routes: [{name: http, port: 80, containerPort: 8080}]
  probes:
    startup: {httpGet: {path: /health, port: http}, periodSeconds: 3, failureThreshold: 100}
    liveness: {tcpSocket: {port: http}, periodSeconds: 3}
    readiness: {httpGet: {path: /health, port: http}, periodSeconds: 3, timeoutSeconds: 5}
  resources:
    requests: {cpu: 100m, memory: 64Mi}
    limits: {cpu: 300m, memory: 128Mi}
contexts:
  - {name: bench}
`

const serviceText = `apiVersion: kai/v1
name: %s
images:
  - {name: release, registry: registry.example.com, repository: bench/%[1]s, tag: %s}
mounts:
  - {name: settings, path: /etc/app, files: [config/app.yaml]}
contexts:
  - name: base
    image: release
    mounts: [settings]
    env: {LOG_LEVEL: "${LEVEL}", ID: "%d"}
    friends: [{service: %s}]
`
