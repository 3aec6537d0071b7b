// Package buildtest makes workspaces of any size. It is for tests and benchmarks
// alone.
package buildtest

import (
	"bytes"
	"fmt"
	"testing/fstest"
	"text/template"
)

// Contexts are the contexts of a corpus.
var Contexts = []string{"prod", "dev", "staging"}

// Corpus gives a workspace of n services. They are of eight shapes, after those
// of Sock Shop: databases of their own, a queue that all share, other services as
// friends, files, secrets, variables, public and internal routes, patches. No two
// services are the same.
func Corpus(n int) fstest.MapFS {
	files := fstest.MapFS{}
	add := func(name, text string) { files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644} }
	add("kai-workspace.yaml", workspaceFile)
	for i := range n {
		name := Service(i)
		dir := "services/" + name
		var text bytes.Buffer
		// The templates are below, and all that they call is a map of texts.
		if err := shapes[i%len(shapes)].Execute(&text, map[string]any{
			"Name": name, "I": i, "Port": 8000 + i%1000, "Other": Service(other(i, n, 7)), "Third": Service(other(i, n, 13)),
		}); err != nil {
			panic(err)
		}
		add(dir+"/kai.yaml", text.String())
		add(dir+"/config/app.yaml", fmt.Sprintf("service: %s\nlisten: %d\nfeatures:\n  beta: %t\n", name, 8000+i%1000, i%3 == 0))
	}
	return files
}

// Service gives the name of a corpus' service.
func Service(i int) string { return fmt.Sprintf("%s-%05d", shapeNames[i%len(shapeNames)], i) }

// other gives another service for i to talk to, among those near it.
func other(i, n, distance int) int { return (i + distance) % n }

const workspaceFile = `apiVersion: kai/v1
name: corpus
version: 1.0.0
services: [services/*]
variables: {JAVA_OPTS: -Xms64m -Xmx128m -XX:+UseG1GC, DOMAIN: example.com}
defaults:
  flavor: webservice
  routes: [{name: http, port: 80}]
  probes:
    startup: {httpGet: {path: /health, port: http}, periodSeconds: 3, failureThreshold: 100}
    liveness: {tcpSocket: {port: http}, periodSeconds: 3}
    readiness: {httpGet: {path: /health, port: http}, periodSeconds: 3, timeoutSeconds: 5}
  mounts: [{name: tmp, path: /tmp, volume: {emptyDir: {medium: Memory, sizeLimit: 64Mi}}}]
  resources:
    requests: {cpu: 100m, memory: 300Mi}
    limits: {cpu: 300m, memory: 500Mi}
contexts:
  - name: dev
    namespace: corpus-dev
    variables: {DOMAIN: dev.example.com}
  - name: staging
    namespace: corpus-staging
    values: {replicas: 2}
  - name: prod
    namespace: corpus
    monitoring: {namespace: monitoring}
    ingress: {className: nginx, namespace: ingress}
    values: {replicas: 3}
`

var shapeNames = []string{"front-end", "carts", "catalogue", "orders", "payment", "queue-master", "shipping", "user"}

var shapes = parse(`
routes: [{name: http, port: 80, containerPort: {{.Port}}}]
contexts:
  - name: base
    image: release
    routes: [http]
    env: {SESSION_REDIS: "true", BACKEND: "http://${friends.{{.Other}}.address}"}
    friends: [{service: {{.Other}}}, {service: {{.Third}}}, redis]
  - {name: dev, extends: base, routes: [{from: http, type: NodePort}]}
  - name: prod
    extends: base
    routes: [{from: http, hostname: "{{.Name}}.${DOMAIN}", tls: {secretName: wildcard}}]
    expose: ingress
    scaling: {minReplicas: 3, maxReplicas: 10}
`, `
contexts:
  - name: base
    image: release
    env: {JAVA_OPTS: "${JAVA_OPTS}", CACHE_SIZE: {{.I}}}
    resources: {requests: {memory: 200Mi}}
    friends: [mongodb]
`, `
commands:
  - {name: app, type: executable, command: [/app]}
mounts:
  - {name: settings, path: /etc/app, files: [config/app.yaml]}
contexts:
  - name: base
    image: release
    command: app
    args: [-port=80, -id={{.I}}]
    mounts: [settings]
    friends: [mysql]
`, `
contexts:
  - name: base
    image: release
    env: {JAVA_OPTS: "${JAVA_OPTS}"}
    resources: {limits: {cpu: 500m}}
    friends: [mongodb, {service: {{.Other}}}, {service: {{.Third}}}]
`, `
contexts:
  - name: base
    image: release
    env: {LOG_LEVEL: info, SIGNING_KEY: {secret: signing_key}, ID: "{{.I}}"}
    resources: {requests: {cpu: 99m, memory: 100Mi}}
  - {name: dev, extends: base, env: {LOG_LEVEL: debug}}
`, `
contexts:
  - name: base
    image: release
    env: {JAVA_OPTS: "${JAVA_OPTS}", WORKERS: {{.Port}}}
    friends: [{from: rabbitmq, type: dependency}]
    serviceAccount: {rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]}
`, `
mounts:
  - {name: settings, path: /etc/app, files: [config/app.yaml]}
contexts:
  - name: base
    image: release
    mounts: [settings]
    env: {ZIPKIN: zipkin.jaeger.svc.cluster.local, PORT: {{.Port}}}
    friends: [{from: rabbitmq, type: dependency}, {service: {{.Other}}}]
    sidecars:
      - {name: proxy, image: {repository: example/proxy, tag: 2.1.0}, env: {UPSTREAM: "localhost:{{.Port}}"}}
`, `
probes:
  - {name: healthz, httpGet: {path: /healthz, port: http}, periodSeconds: 5}
contexts:
  - name: base
    image: release
    probes: {liveness: healthz, readiness: healthz}
    labels: {tier: back}
    annotations: {example.com/number: "{{.I}}"}
    friends: [{from: mongodb, name: db, values: {resources: {limits: {memory: 512Mi}}}}]
    patches: {deployment: {metadata: {annotations: {example.com/owner: team-{{.Port}}}}}}
`)

func parse(bodies ...string) []*template.Template {
	const head = `apiVersion: kai/v1
name: {{.Name}}
description: one of many services
images:
  - {name: release, registry: registry.example.com, repository: shop/{{.Name}}, tag: 1.0.{{.I}}}
`
	var out []*template.Template
	for _, body := range bodies {
		out = append(out, template.Must(template.New("").Parse(head+body[1:])))
	}
	return out
}
