package workspace

// Examples show how a key is written. Editors show them with the description;
// TestExamplesOfKeys holds them to the schema.
var Examples = map[string]string{
	"images":     "images:\n  - {name: release, registry: registry.example.com, repository: auth/tokend, tag: 1.4.2}\n",
	"commands":   "commands:\n  - {name: binary, command: [/tokend]}\n  - {name: watch, type: script, interpreter: [sh, -c], fileName: script/watch.sh}\n",
	"probes":     "probes:\n  - {name: alive, tcpSocket: {port: http}}\n  - {name: ready, httpGet: {path: /ready, port: http}}\n",
	"routes":     "routes:\n  - {name: http, port: 80, containerPort: 8080, hostname: tokend.example.com}\n  - {name: metrics, containerPort: 9797}\n",
	"mounts":     "mounts:\n  - {name: settings, path: /etc/tokend, files: [config/app.yaml]}\n  - {name: scratch, path: /var/cache, volume: {emptyDir: {}}}\n",
	"containers": "containers:\n  - name: migrate\n    image: release\n    command: {command: [/tokend, migrate]}\n",
	"contexts":   "contexts:\n  - {name: dev, flavor: webservice, image: release, routes: [http]}\n  - {name: prod, extends: dev, replicas: 3}\n",
	"offers":     "offers:\n  config: {url: \"http://${service.address}\"}\n  env: {TOKEND_URL: \"${config.url}\"}\n",
}

// ContextExamples are those of fields of a context.
var ContextExamples = map[string]string{
	"extends":        "extends: [base, eu]\n",
	"image":          "image: release\n# or\nimage: {from: release, tag: 1.5.0-rc.1}\n",
	"command":        "command: watch\n# or\ncommand: {command: [/tokend, --verbose]}\n",
	"probes":         "probes: {liveness: alive, readiness: ready}\n",
	"routes":         "routes: [http, {from: admin, hostname: admin.example.com}]\n",
	"mounts":         "mounts: [settings, {name: scratch, path: /var/cache, volume: {emptyDir: {}}}]\n",
	"env":            "env:\n  LOG_LEVEL: info\n  SIGNING_KEY: {secret: signing_key}\n  POD_IP: {valueFrom: {fieldRef: {fieldPath: status.podIP}}}\n",
	"friends":        "friends:\n  - redis\n  - {service: identd, needs: true}\n  - {from: postgresql, env: {DB_HOST: \"${config.host}\"}}\n",
	"expose":         "expose: gateway\n# or, while you migrate\nexpose: [ingress, gateway]\n# or\nexpose: {ingress: {className: nginx}}\n",
	"egress":         "egress: [kubernetes, {to: internet, ports: [443]}, 10.1.0.0/16]\n",
	"resources":      "resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}\n",
	"objects":        "objects: [manifests/quota.yaml, {file: manifests/alerts.yaml, template: true}]\n",
	"patches":        "patches:\n  deployment: {spec: {template: {spec: {hostname: ledger}}}}\n",
	"volumes":        "volumes: {shared: {emptyDir: {}}}\n",
	"sidecars":       "sidecars: [proxy]\n",
	"initContainers": "initContainers: [migrate]\n",
	"scheduling":     "scheduling: {nodeSelector: {kubernetes.io/arch: arm64}}\n",
	"serviceAccount": "serviceAccount:\n  token: true\n  rules: [{apiGroups: [\"\"], resources: [configmaps], verbs: [get, list, watch]}]\n",
	"scaling":        "scaling: {minReplicas: 2, maxReplicas: 8}\n",
	"schedule":       "schedule: \"30 3 * * 1-5\"\n",
}
