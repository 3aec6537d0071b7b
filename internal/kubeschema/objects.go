package kubeschema

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

var objectRules = map[string]objectRule{
	"core.v1.Container":                 container,
	"core.v1.EnvVar":                    envVar,
	"core.v1.EnvVarSource":              exactlyOne("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"),
	"core.v1.EnvFromSource":             envFrom,
	"core.v1.ConfigMapKeySelector":      need("name"),
	"core.v1.SecretKeySelector":         need("name"),
	"core.v1.ConfigMapVolumeSource":     need("name"),
	"core.v1.SecretVolumeSource":        need("secretName"),
	"core.v1.ConfigMapProjection":       need("name"),
	"core.v1.SecretProjection":          need("name"),
	"core.v1.VolumeProjection":          atMostOne("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"),
	"core.v1.DownwardAPIVolumeFile":     exactlyOne("fieldRef", "resourceFieldRef"),
	"core.v1.ObjectFieldSelector":       fieldSelector,
	"core.v1.ExecAction":                need("command"),
	"core.v1.LimitRangeItem":            limitRangeItem,
	"core.v1.Probe":                     exactlyOne("exec", "httpGet", "tcpSocket", "grpc"),
	"core.v1.LifecycleHandler":          exactlyOne("exec", "httpGet", "tcpSocket", "sleep"),
	"core.v1.PodSpec":                   podSpec,
	"core.v1.PodTemplateSpec":           func(c *checker, where *at, m map[string]any) { c.meta(where.child("metadata"), object(m, "metadata")) },
	"core.v1.ResourceRequirements":      resources,
	"core.v1.SecurityContext":           securityContext,
	"core.v1.SeccompProfile":            localhostProfile,
	"core.v1.AppArmorProfile":           localhostProfile,
	"core.v1.Toleration":                toleration,
	"core.v1.Volume":                    volume,
	"core.v1.ServiceSpec":               serviceSpec,
	"core.v1.ConfigMap":                 configMap,
	"core.v1.Secret":                    secret,
	"core.v1.PersistentVolumeClaim":     needSpec,
	"core.v1.PersistentVolumeClaimSpec": claimSpec,
	"core.v1.NodeSelectorRequirement":   nodeRequirement,
	"core.v1.Pod":                       needSpec,
	"core.v1.Service":                   needSpec,
	"apps.v1.Deployment":                needSpec,
	"apps.v1.StatefulSet":               needSpec,
	"apps.v1.DaemonSet":                 needSpec,
	"apps.v1.ReplicaSet":                needSpec,
	"apps.v1.DeploymentSpec":            deploymentSpec,
	"apps.v1.StatefulSetSpec":           statefulSetSpec,
	"apps.v1.DaemonSetSpec":             daemonSetSpec,
	"apps.v1.ReplicaSetSpec":            func(c *checker, where *at, m map[string]any) { c.workload(where, m) },
	"apps.v1.DeploymentStrategy":        deploymentStrategy,
	"apps.v1.DaemonSetUpdateStrategy":   daemonSetStrategy,
	"batch.v1.Job":                      needSpec,
	"batch.v1.JobSpec":                  jobSpec,
	"networking.v1.Ingress":             needSpec,
	"networking.v1.IngressSpec":         ingressSpec,
	"networking.v1.HTTPIngressPath":     ingressPath,
	"networking.v1.IngressBackend":      ingressBackend,
	"networking.v1.IngressClass": func(c *checker, where *at, m map[string]any) {
		c.need(where.child("spec"), object(m, "spec"), "controller")
	},
	"networking.v1.NetworkPolicySpec":              networkPolicySpec,
	"networking.v1.IPBlock":                        ipBlock,
	"networking.v1.NetworkPolicyPeer":              networkPolicyPeer,
	"networking.v1.NetworkPolicyPort":              networkPolicyPort,
	"policy.v1.PodDisruptionBudgetSpec":            atMostOne("minAvailable", "maxUnavailable"),
	"autoscaling.v1.HorizontalPodAutoscalerSpec":   replicaRange,
	"autoscaling.v2.HorizontalPodAutoscalerSpec":   replicaRange,
	"autoscaling.v2.MetricSpec":                    metricSpec,
	"autoscaling.v2.ResourceMetricSource":          metricTarget,
	"autoscaling.v2.ContainerResourceMetricSource": metricTarget,
	"autoscaling.v2.PodsMetricSource": func(c *checker, where *at, m map[string]any) {
		c.need(where.child("target"), object(m, "target"), "averageValue")
	},
	"rbac.v1.Role":               rules(true),
	"rbac.v1.ClusterRole":        rules(false),
	"rbac.v1.RoleBinding":        binding("Role", "ClusterRole"),
	"rbac.v1.ClusterRoleBinding": binding("ClusterRole"),
	"apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement": labelRequirement,
	"apimachinery.pkg.apis.meta.v1.OwnerReference": func(c *checker, where *at, m map[string]any) {
		for _, name := range []string{"apiVersion", "kind", "name", "uid"} {
			c.need(where, m, name)
		}
	},
}

func object(m map[string]any, name string) map[string]any {
	o, _ := m[name].(map[string]any)
	return o
}

// list gives the items of a list that are objects.
func list(m map[string]any, name string) []map[string]any {
	items, _ := m[name].([]any)
	var found []map[string]any
	for _, item := range items {
		o, _ := item.(map[string]any)
		found = append(found, o)
	}
	return found
}

func (c *checker) need(where *at, m map[string]any, name string) {
	if empty(m[name]) {
		c.add(where.child(name), Required, "", "the field is required")
	}
}

// need is a rule that a field is there.
func need(name string) objectRule {
	return func(c *checker, where *at, m map[string]any) { c.need(where, m, name) }
}

// needSpec is for objects that are refused without a spec, since it must hold
// something.
func needSpec(c *checker, where *at, m map[string]any) {
	if m["spec"] == nil {
		c.add(where.child("spec"), Required, "", "the field is required")
	}
}

func countOf(m map[string]any, names []string) int {
	n := 0
	for _, name := range names {
		if m[name] != nil {
			n++
		}
	}
	return n
}

func exactlyOne(names ...string) objectRule {
	return func(c *checker, where *at, m map[string]any) {
		if n := countOf(m, names); n != 1 {
			c.add(where, Value, "", "must have exactly one of %s, and has %d", strings.Join(names, ", "), n)
		}
	}
}

func atMostOne(names ...string) objectRule {
	return func(c *checker, where *at, m map[string]any) {
		if countOf(m, names) > 1 {
			c.add(where, Value, "", "may have only one of %s", strings.Join(names, ", "))
		}
	}
}

// unique says which texts stand there twice.
func (c *checker) unique(where *at, items []map[string]any, field string) {
	seen := map[string]bool{}
	for i, item := range items {
		name := text(item[field])
		if name != "" && seen[name] {
			c.add(where.item(i, item).child(field), Value, "", "%q stands there twice", name)
		}
		seen[name] = true
	}
}

// meta checks what the server checks of every object's metadata.
func (c *checker) meta(where *at, m map[string]any) {
	for name, rule := range metaRules {
		if problem := rule(m[name]); problem != "" {
			c.add(where.child(name), Value, "", "%s", problem)
		}
	}
}

var metaRules = fields{"labels": labels, "annotations": annotations}

// names are the rules of the names of kinds; a kind that is not here may be named
// as a file in a URL.
var names = map[string]func(string) []string{
	"Namespace": validation.IsDNS1123Label, "Service": validation.IsDNS1123Label, "CronJob": cronJobName,
	"Pod": validation.IsDNS1123Subdomain, "Deployment": validation.IsDNS1123Subdomain, "StatefulSet": validation.IsDNS1123Subdomain,
	"DaemonSet": validation.IsDNS1123Subdomain, "ReplicaSet": validation.IsDNS1123Subdomain, "Job": validation.IsDNS1123Subdomain,
	"ConfigMap": validation.IsDNS1123Subdomain, "Secret": validation.IsDNS1123Subdomain, "ServiceAccount": validation.IsDNS1123Subdomain,
	"Ingress": validation.IsDNS1123Subdomain, "NetworkPolicy": validation.IsDNS1123Subdomain,
	"PersistentVolumeClaim":   validation.IsDNS1123Subdomain,
	"HorizontalPodAutoscaler": validation.IsDNS1123Subdomain, "StorageClass": validation.IsDNS1123Subdomain,
	"PriorityClass": validation.IsDNS1123Subdomain, "IngressClass": validation.IsDNS1123Subdomain,
	"ResourceQuota": validation.IsDNS1123Subdomain, "LimitRange": validation.IsDNS1123Subdomain,
}

func cronJobName(name string) []string {
	problems := validation.IsDNS1123Subdomain(name)
	if len(name) > maxCronJobName {
		problems = append(problems, fmt.Sprintf("must be no more than %d characters", maxCronJobName))
	}
	return problems
}

// maxCronJobName leaves room for what the controller adds to the names of jobs.
const maxCronJobName = 52

// name checks the metadata of the object itself, its name with a rule or, without
// one, as a part of a URL.
func (c *checker) name(o map[string]any, check func(string) []string) {
	where := &at{field: "metadata"}
	m := object(o, "metadata")
	name, generate := text(m["name"]), text(m["generateName"])
	switch {
	case name == "" && (generate != "" || c.kind == "LimitRange"): // which the server names itself
	case name == "":
		c.add(where.child("name"), Required, "", "the object needs a name")
	case check == nil:
		if strings.ContainsAny(name, "/%") || name == "." || name == ".." {
			c.add(where.child("name"), Value, "", "%q may not contain / or %%", name)
		}
	case c.kind == "Service" && c.schemas.number < 36: // since then it may start with a digit
		check = validation.IsDNS1035Label
		fallthrough
	default:
		if problems := check(name); len(problems) > 0 {
			c.add(where.child("name"), Value, "", "%q: %s", name, strings.Join(problems, "; "))
		}
	}
	if namespace := text(m["namespace"]); namespace != "" {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			c.add(where.child("namespace"), Value, "", "%q: %s", namespace, strings.Join(problems, "; "))
		}
	}
	c.meta(where, m)
}
