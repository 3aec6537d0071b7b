package kubeschema

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

func container(c *checker, where *at, m map[string]any) {
	c.need(where, m, "image")
	c.unique(where.child("ports"), list(m, "ports"), "name")
	c.unique(where.child("volumeMounts"), list(m, "volumeMounts"), "mountPath")
	for _, probe := range []string{"livenessProbe", "startupProbe"} {
		if i, ok := whole(object(m, probe)["successThreshold"]); ok && i != 1 && i != 0 {
			c.add(where.child(probe).child("successThreshold"), Value, "", "must be 1")
		}
	}
	if object(m, "readinessProbe")["terminationGracePeriodSeconds"] != nil {
		c.add(where.child("readinessProbe").child("terminationGracePeriodSeconds"), Value, "", "may not be set for readiness probes")
	}
}

func envVar(c *checker, where *at, m map[string]any) {
	if m["valueFrom"] != nil && text(m["value"]) != "" {
		c.add(where.child("valueFrom"), Value, "", "may not stand beside a value")
	}
}

func envFrom(c *checker, where *at, m map[string]any) {
	exactlyOne("configMapRef", "secretRef")(c, where, m)
	for _, name := range []string{"configMapRef", "secretRef"} {
		if m[name] != nil {
			c.need(where.child(name), object(m, name), "name")
		}
	}
}

// fieldPaths are those that a variable or a file may be of.
var fieldPaths = []string{
	"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations", "spec.nodeName",
	"spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
}

func fieldSelector(c *checker, where *at, m map[string]any) {
	p := text(m["fieldPath"])
	name, _, subscripted := strings.Cut(p, "['")
	if p != "" && (!slices.Contains(fieldPaths, name) || subscripted != strings.HasSuffix(p, "']")) {
		c.add(where.child("fieldPath"), Value, nearest(p, fieldPaths), "%q is not a field that may be passed on", p)
	}
}

// podSpec checks what a pod's parts say of one another.
func podSpec(c *checker, where *at, m map[string]any) {
	containers, inits := list(m, "containers"), list(m, "initContainers")
	c.unique(where.child("containers"), containers, "name")
	volumes := map[string]bool{}
	for _, v := range list(m, "volumes") {
		volumes[text(v["name"])] = true
	}
	c.unique(where.child("volumes"), list(m, "volumes"), "name")
	for _, claim := range c.claims() {
		volumes[claim] = true
	}
	for i, one := range containers {
		c.mounts(where.child("containers").item(i, one), one, volumes)
	}
	for i, one := range inits {
		here := where.child("initContainers").item(i, one)
		c.mounts(here, one, volumes)
		if slices.ContainsFunc(containers, func(other map[string]any) bool { return text(other["name"]) == text(one["name"]) && one["name"] != nil }) {
			c.add(here.child("name"), Value, "", "%q is the name of another container", text(one["name"]))
		}
		for _, field := range []string{"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"} {
			if one[field] != nil && one["restartPolicy"] == nil {
				c.add(here.child(field), Value, "", "may not be set for an init container without restartPolicy: Always")
			}
		}
	}
	c.unique(where.child("initContainers"), inits, "name")
	c.sleeps(where, m)
	if text(m["dnsPolicy"]) == "None" && empty(object(m, "dnsConfig")["nameservers"]) {
		c.add(where.child("dnsConfig").child("nameservers"), Required, "", "the field is required where dnsPolicy is None")
	}
	security := object(m, "securityContext")
	seen := map[string]bool{}
	for i, sysctl := range list(security, "sysctls") {
		name := text(sysctl["name"])
		if seen[name] {
			c.add(where.child("securityContext").child("sysctls").item(i, sysctl), Value, "", "%q stands there twice", name)
		}
		seen[name] = true
	}
	c.spread(where, m)
	if m["hostNetwork"] == true {
		for i, one := range containers {
			for j, port := range list(one, "ports") {
				number, _ := whole(port["containerPort"])
				hostPort, ok := whole(port["hostPort"])
				if ok && hostPort != 0 && hostPort != number {
					c.add(where.child("containers").item(i, one).child("ports").item(j, port).child("hostPort"), Value, "", "must be the containerPort where the pod has the host's network")
				}
			}
		}
	}
}

// defaultGrace is how many seconds pods have to end where nothing says it.
const defaultGrace = 30

// sleeps checks that no hook sleeps for longer than the pod may take to end.
func (c *checker) sleeps(where *at, m map[string]any) {
	grace, ok := whole(m["terminationGracePeriodSeconds"])
	switch {
	case m["terminationGracePeriodSeconds"] == nil:
		grace = defaultGrace
	case !ok:
		return
	case grace < 0 && c.kind == "Pod": // which the server reads so
		grace = 1
	}
	for _, field := range []string{"containers", "initContainers"} {
		for i, one := range list(m, field) {
			for _, hook := range []string{"preStop", "postStart"} {
				seconds, ok := whole(object(object(object(one, "lifecycle"), hook), "sleep")["seconds"])
				if ok && (seconds < 0 || seconds > grace) {
					c.add(where.child(field).item(i, one).child("lifecycle").child(hook).child("sleep").child("seconds"), Value, "",
						"must be between 0 and terminationGracePeriodSeconds, which is %d", grace)
				}
			}
		}
	}
}

func (c *checker) spread(where *at, m map[string]any) {
	seen := map[string]bool{}
	for i, one := range list(m, "topologySpreadConstraints") {
		k := text(one["topologyKey"]) + " " + text(one["whenUnsatisfiable"])
		if seen[k] {
			c.add(where.child("topologySpreadConstraints").item(i, one), Value, "", "topologyKey and whenUnsatisfiable stand there twice")
		}
		seen[k] = true
		if !empty(one["matchLabelKeys"]) && one["labelSelector"] == nil {
			c.add(where.child("topologySpreadConstraints").item(i, one).child("matchLabelKeys"), Value, "", "may stand only beside a labelSelector")
		}
	}
}

func (c *checker) mounts(where *at, one map[string]any, volumes map[string]bool) {
	for i, mount := range list(one, "volumeMounts") {
		here := where.child("volumeMounts").item(i, mount)
		if name := text(mount["name"]); name != "" && !volumes[name] {
			c.add(here.child("name"), Value, "", "the pod has no volume %q", name)
		}
		if text(mount["subPath"]) != "" && text(mount["subPathExpr"]) != "" {
			c.add(here.child("subPathExpr"), Value, "", "may not stand beside subPath")
		}
	}
}

// claims are the volumes that a StatefulSet adds to its pods.
func (c *checker) claims() []string {
	if c.kind != "StatefulSet" {
		return nil
	}
	var names []string
	for _, claim := range c.claimTemplates {
		names = append(names, text(object(claim, "metadata")["name"]))
	}
	return names
}

func volume(c *checker, where *at, m map[string]any) {
	n := 0
	for k, v := range m {
		if k != "name" && v != nil {
			n++
		}
	}
	if n > 1 {
		c.add(where, Value, "", "may be only one kind of volume, and is %d", n)
	}
}

func resources(c *checker, where *at, m map[string]any) {
	limits, requests := object(m, "limits"), object(m, "requests")
	for field, values := range map[string]map[string]any{"limits": limits, "requests": requests} {
		for name, v := range values {
			here := where.child(field).child(name)
			if problem := resourceName(name); problem != "" {
				c.add(here, Value, "", "%s", problem)
			}
			if q, ok := quantityOf(v); ok && q.Sign() < 0 {
				c.add(here, Value, "", "must not be negative")
			}
		}
	}
	for name, v := range requests {
		request, ok := quantityOf(v)
		limit, limited := quantityOf(limits[name])
		if v, there := limits[name]; there && v == nil { // which Kubernetes reads as 0
			limited = true
		}
		if ok && limited && request.Cmp(limit) > 0 {
			c.add(where.child("requests").child(name), Value, "", "must not be more than the limit")
		}
	}
}

// resourceName gives what is wrong with the name of something a container uses.
func resourceName(name string) string {
	if problems := validation.IsQualifiedName(name); len(problems) > 0 {
		return strings.Join(problems, "; ")
	}
	if strings.Contains(name, "/") || slices.Contains([]string{"cpu", "memory", "ephemeral-storage"}, name) || strings.HasPrefix(name, "hugepages-") {
		return ""
	}
	return fmt.Sprintf("containers have no resource %q", name)
}

func securityContext(c *checker, where *at, m map[string]any) {
	capabilities, _ := object(m, "capabilities")["add"].([]any)
	privileged := m["privileged"] == true || slices.Contains(capabilities, any("CAP_SYS_ADMIN"))
	if m["allowPrivilegeEscalation"] == false && privileged {
		c.add(where.child("allowPrivilegeEscalation"), Value, "", "may not be false for a privileged container")
	}
}

func localhostProfile(c *checker, where *at, m map[string]any) {
	localhost := text(m["type"]) == "Localhost"
	if localhost && text(m["localhostProfile"]) == "" {
		c.add(where.child("localhostProfile"), Required, "", "the field is required where the type is Localhost")
	}
	if !localhost && m["localhostProfile"] != nil && m["type"] != nil {
		c.add(where.child("localhostProfile"), Value, "", "may be set only where the type is Localhost")
	}
}

func toleration(c *checker, where *at, m map[string]any) {
	operator, value := text(m["operator"]), text(m["value"])
	if text(m["key"]) == "" && operator != "Exists" {
		c.add(where.child("operator"), Value, "", "must be Exists without a key")
	}
	if operator == "Exists" && value != "" {
		c.add(where.child("value"), Value, "", "must be empty where the operator is Exists")
	}
	if operator == "" || operator == "Equal" {
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			c.add(where.child("value"), Value, "", "%s", problems[0])
		}
	}
	if m["tolerationSeconds"] != nil && text(m["effect"]) != "NoExecute" {
		c.add(where.child("effect"), Value, "", "must be NoExecute where tolerationSeconds is set")
	}
}

func nodeRequirement(c *checker, where *at, m map[string]any) {
	values, _ := m["values"].([]any)
	switch text(m["operator"]) {
	case "In", "NotIn":
		c.need(where, m, "values")
	case "Exists", "DoesNotExist":
		if len(values) > 0 {
			c.add(where.child("values"), Value, "", "may not be set for this operator")
		}
	case "Gt", "Lt":
		if len(values) != 1 {
			c.add(where.child("values"), Value, "", "must be one value for this operator")
		}
	}
}

var selectorOperators = []string{"In", "NotIn", "Exists", "DoesNotExist"}

func labelRequirement(c *checker, where *at, m map[string]any) {
	operator := text(m["operator"])
	if !slices.Contains(selectorOperators, operator) {
		c.add(where.child("operator"), Enum, nearest(operator, selectorOperators), "%q is not among the values that the field takes", operator)
		return
	}
	nodeRequirement(c, where, m)
	if problems := validation.IsQualifiedName(text(m["key"])); len(problems) > 0 {
		c.add(where.child("key"), Value, "", "%s", problems[0])
	}
	values, _ := m["values"].([]any)
	for i, v := range values {
		if problems := validation.IsValidLabelValue(text(v)); len(problems) > 0 {
			c.add(where.child("values").item(i, nil), Value, "", "%s", problems[0])
		}
	}
}
