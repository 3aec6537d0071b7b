package validate

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// eachBudget visits the budgets, with the workload whose pods each selects, or nil.
func (w *world) eachBudget(visit func(o *object, spec map[string]any, pods []*pod)) {
	for _, o := range w.kinds["PodDisruptionBudget"] {
		spec := dig(o.Fields, "spec")
		visit(o, spec, w.matched(o.namespace, dig(spec, "selector")))
	}
}

func budgetMin(w *world, report reporter) {
	w.eachBudget(func(o *object, spec map[string]any, pods []*pod) {
		there, known := 0, len(pods) > 0
		for _, p := range pods {
			there += p.replicas
			known = known && p.replicas >= 0
		}
		min, isNumber := number(spec["minAvailable"])
		switch percent, isPercent := percentage(spec["minAvailable"]); {
		case isPercent && percent >= 100:
			report(o, "spec.minAvailable", "is all pods, so that none may be evicted")
		case isPercent && known && there > 0 && (there*percent+99)/100 >= there:
			report(o, "spec.minAvailable", "is all of the %d pods that there are at least, so that none may be evicted", there)
		case isNumber && known && min > 0 && min >= there:
			report(o, "spec.minAvailable", "is %d, and there are only %d pods at least, so that none may be evicted", min, there)
		}
	})
}

func budgetMax(w *world, report reporter) {
	w.eachBudget(func(o *object, spec map[string]any, _ []*pod) {
		n, isNumber := number(spec["maxUnavailable"])
		percent, isPercent := percentage(spec["maxUnavailable"])
		if isNumber && n == 0 || isPercent && percent == 0 {
			report(o, "spec.maxUnavailable", "is none, so that no pod may be evicted")
		}
	})
}

func percentage(v any) (int, bool) {
	digits, ok := strings.CutSuffix(text(v), "%")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil
}

func budgetUnhealthy(w *world, report reporter) {
	w.eachBudget(func(o *object, spec map[string]any, _ []*pod) {
		if text(spec["unhealthyPodEvictionPolicy"]) != "AlwaysAllow" {
			report(o, "spec", "keeps pods that are not healthy from being evicted")
		}
	})
}

func budgetPolicy(w *world, report reporter) {
	w.eachBudget(func(o *object, spec map[string]any, _ []*pod) {
		if spec["minAvailable"] == nil && spec["maxUnavailable"] == nil {
			report(o, "spec", "has neither minAvailable nor maxUnavailable")
		}
	})
}

func hasBudget(kind string) check {
	return func(w *world, report reporter) {
		held := map[*pod]bool{}
		w.eachBudget(func(_ *object, _ map[string]any, pods []*pod) {
			for _, p := range pods {
				held[p] = true
			}
		})
		for _, p := range w.pods {
			if p.Ref.Kind == kind && p.replicas > 1 && !held[p] {
				report(p.object, "", "has %d replicas, and no PodDisruptionBudget selects its pods", p.replicas)
			}
		}
	}
}

func antiAffinity(w *world, report reporter) {
	for _, p := range w.pods {
		if p.replicas > 1 && !p.spreads() {
			report(p.object, p.at("spec"), "has %d replicas, which may all be on one node", p.replicas)
		}
	}
}

func (p *pod) spreads() bool {
	const node = "kubernetes.io/hostname"
	for _, constraint := range items(p.spec["topologySpreadConstraints"]) {
		if text(constraint["topologyKey"]) == node {
			return true
		}
	}
	affinity := dig(p.spec, "affinity.podAntiAffinity")
	for _, term := range items(affinity["requiredDuringSchedulingIgnoredDuringExecution"]) {
		if text(term["topologyKey"]) == node {
			return true
		}
	}
	for _, term := range items(affinity["preferredDuringSchedulingIgnoredDuringExecution"]) {
		if text(dig(term, "podAffinityTerm")["topologyKey"]) == node {
			return true
		}
	}
	return false
}

func replicasBesideAutoscaler(w *world, report reporter) {
	for _, o := range w.kinds["HorizontalPodAutoscaler"] {
		ref := dig(o.Fields, "spec.scaleTargetRef")
		target := w.named[nameKey(text(ref["kind"]), o.namespace, text(ref["name"]))]
		if target != nil && target.Ref.Kind == "Deployment" && dig(target.Fields, "spec")["replicas"] != nil {
			report(target, "spec.replicas", "stands beside %s, whose number each release would set back", o.Ref)
		}
	}
}

func readiness(w *world, report reporter) {
	served := map[*pod]bool{}
	for _, s := range w.kinds["Service"] {
		for _, p := range w.selected(s.namespace, dig(s.Fields, "spec.selector")) {
			served[p] = true
		}
	}
	w.eachContainer(func(p *pod, c container) {
		if served[p] && p.lasting && !c.init && c.fields["ports"] != nil && c.fields["readinessProbe"] == nil {
			report(p.object, c.path, "has no readiness probe, so that calls come before it can answer")
		}
	})
}

func identicalProbes(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		ready := c.fields["readinessProbe"]
		if ready != nil && reflect.DeepEqual(ready, c.fields["livenessProbe"]) {
			report(p.object, c.path+".livenessProbe", "is the same as the readiness probe")
		}
	})
}

func cronDeadline(w *world, report reporter) {
	for _, o := range w.kinds["CronJob"] {
		if dig(o.Fields, "spec")["startingDeadlineSeconds"] == nil {
			report(o, "spec", "has no startingDeadlineSeconds")
		}
	}
}

func cronRestart(w *world, report reporter) {
	for _, p := range w.pods {
		if policy := text(p.spec["restartPolicy"]); p.Ref.Kind == "CronJob" && policy != "OnFailure" && policy != "Never" {
			report(p.object, p.at("spec.restartPolicy"), "must be OnFailure or Never")
		}
	}
}

func podPolicies(w *world, report reporter) {
	in, out := map[*pod]bool{}, map[*pod]bool{}
	for _, o := range w.kinds["NetworkPolicy"] {
		spec := dig(o.Fields, "spec")
		types := texts(spec["policyTypes"])
		for _, p := range w.matched(o.namespace, dig(spec, "podSelector")) {
			in[p] = in[p] || len(types) == 0 || slices.Contains(types, "Ingress")
			out[p] = out[p] || len(types) == 0 && spec["egress"] != nil || slices.Contains(types, "Egress")
		}
	}
	for _, p := range w.pods {
		switch {
		case !in[p] && !out[p]:
			report(p.object, "", "no NetworkPolicy selects its pods")
		case !in[p]:
			report(p.object, "", "no NetworkPolicy says who may call its pods")
		case !out[p]:
			report(p.object, "", "no NetworkPolicy says whom its pods may call")
		}
	}
}

// security gives a field of a container's security context, or of its pod's.
func (p *pod) security(c container, field string) any {
	if v := dig(c.fields, "securityContext")[field]; v != nil {
		return v
	}
	return dig(p.spec, "securityContext")[field]
}

func nonRoot(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		user, said := number(p.security(c, "runAsUser"))
		if p.security(c, "runAsNonRoot") != true && (!said || user == 0) || said && user == 0 {
			report(p.object, c.path, "may run as root")
		}
	})
}

// firstOfContainers is the first number of a user or a group that no node has for
// its own.
const firstOfContainers = 10000

func userAndGroup(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		for _, field := range []string{"runAsUser", "runAsGroup"} {
			n, ok := number(p.security(c, field))
			if ok && n >= firstOfContainers {
				continue
			}
			at := c.path + ".securityContext"
			switch {
			case dig(c.fields, "securityContext")[field] != nil:
				at += "." + field
			case ok:
				at = p.at("spec.securityContext." + field)
			}
			report(p.object, at, "%s is not %d or more", field, firstOfContainers)
		}
	})
}

func privileged(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		if dig(c.fields, "securityContext")["privileged"] == true {
			report(p.object, c.path+".securityContext.privileged", "is privileged")
		}
	})
}

func escalation(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		if dig(c.fields, "securityContext")["allowPrivilegeEscalation"] != false {
			report(p.object, c.path+".securityContext", "does not set allowPrivilegeEscalation: false")
		}
	})
}

func readOnly(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		if dig(c.fields, "securityContext")["readOnlyRootFilesystem"] != true {
			report(p.object, c.path+".securityContext", "does not set readOnlyRootFilesystem: true")
		}
	})
}

func netRaw(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		dropped := texts(dig(c.fields, "securityContext.capabilities")["drop"])
		if !slices.ContainsFunc(dropped, func(name string) bool {
			return slices.Contains([]string{"ALL", "NET_RAW", "CAP_NET_RAW"}, strings.ToUpper(name))
		}) {
			report(p.object, c.path+".securityContext", "does not drop NET_RAW")
		}
	})
}

func hostField(field string) check {
	return func(w *world, report reporter) {
		for _, p := range w.pods {
			if p.spec[field] == true {
				report(p.object, p.at("spec."+field), "is true")
			}
		}
	}
}

func hostPaths(wrong func(path string) bool) check {
	return func(w *world, report reporter) {
		for _, p := range w.pods {
			for i, volume := range items(p.spec["volumes"]) {
				if path := text(dig(volume, "hostPath")["path"]); path != "" && wrong(path) {
					report(p.object, p.at("spec.volumes["+itemName(volume, i)+"].hostPath.path"), "mounts %s of the node", path)
				}
			}
		}
	}
}

func hasSuffix(path, suffix string) bool { return strings.HasSuffix(path, suffix) }

func sensitive(path string) bool {
	return slices.Contains([]string{"/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"}, cmp.Or(strings.TrimRight(path, "/"), "/"))
}

// safeSysctls are those that Kubernetes calls safe.
var safeSysctls = []string{
	"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
	"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}

func unsafeSysctls(w *world, report reporter) {
	for _, p := range w.pods {
		for i, sysctl := range items(dig(p.spec, "securityContext")["sysctls"]) {
			if name := text(sysctl["name"]); !slices.Contains(safeSysctls, name) {
				report(p.object, p.at("spec.securityContext.sysctls["+itemName(sysctl, i)+"]"), "%s is not among the safe ones", name)
			}
		}
	}
}

func sshPort(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		if c.opens(22, "TCP") {
			report(p.object, c.path+".ports", "opens port 22")
		}
	})
}

// secretWords are what names of secrets are made of. Names that end otherwise are of
// where a secret is to be found.
var secretWords = []string{"SECRET", "PASSWORD", "PASSWD", "TOKEN", "APIKEY", "API_KEY", "PRIVATE_KEY"}

func plainSecrets(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		for i, variable := range items(c.fields["env"]) {
			name := text(variable["name"])
			if inClear(text(variable["value"])) && slices.ContainsFunc(secretWords, func(word string) bool { return strings.HasSuffix(strings.ToUpper(name), word) }) {
				report(p.object, c.path+".env["+itemName(variable, i)+"]", "has its value in clear")
			}
		}
	})
}

// inClear says whether a value may be a secret: not a word for none, or for one that is
// still to come, and not where one is found.
func inClear(value string) bool {
	return !placeholder.MatchString(value) && !strings.Contains(value, "://")
}

func oldAccountField(w *world, report reporter) {
	for _, p := range w.pods {
		if text(p.spec["serviceAccount"]) != "" && text(p.spec["serviceAccountName"]) == "" {
			report(p.object, p.at("spec.serviceAccount"), "is deprecated")
		}
	}
}

func unset(resource string) check {
	return func(w *world, report reporter) {
		w.eachContainer(func(p *pod, c container) {
			request, limit := dig(c.fields, "resources.requests")[resource], dig(c.fields, "resources.limits")[resource]
			switch {
			case request == nil && limit == nil:
				report(p.object, c.path+".resources", "has neither a request nor a limit for %s", resource)
			case request == nil:
				report(p.object, c.path+".resources.requests", "has no request for %s", resource)
			case limit == nil:
				report(p.object, c.path+".resources.limits", "has no limit for %s", resource)
			}
		})
	}
}

// tag gives the tag of an image, "" for none; a digest pins better than any.
func tag(image string) (tag string, pinned bool) {
	if strings.Contains(image, "@") {
		return "", true
	}
	last := image[strings.LastIndexByte(image, '/')+1:]
	_, tag, _ = strings.Cut(last, ":")
	return tag, false
}

func latestTag(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		image := text(c.fields["image"])
		if name, pinned := tag(image); image != "" && !pinned && (name == "" || name == "latest") {
			report(p.object, c.path+".image", "%s is another image on another day", image)
		}
	})
}

func pullPolicy(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		name, pinned := tag(text(c.fields["image"]))
		policy := text(c.fields["imagePullPolicy"])
		if policy != "Always" && (policy != "" || pinned || name != "" && name != "latest") {
			report(p.object, c.path, "does not set imagePullPolicy: Always")
		}
	})
}

func variablesTwice(w *world, report reporter) {
	w.eachContainer(func(p *pod, c container) {
		seen := map[string]bool{}
		for i, variable := range items(c.fields["env"]) {
			name := text(variable["name"])
			if seen[name] {
				report(p.object, c.path+".env["+itemName(variable, i)+"]", "stands there twice")
			}
			seen[name] = true
		}
	})
}
