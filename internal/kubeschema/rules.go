package kubeschema

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What the API server's validation asks for beyond the schemas, for the types that
// charts are made of. A rule that is missing here makes a mistake unseen; one that
// is too strict makes a right object wrong, which must not be.

// valueRule gives what is wrong with a field's value, or "". The value has the
// right type or is of a wrong one, which has been said already.
type valueRule func(v any) string

// objectRule checks what concerns several fields of a struct.
type objectRule func(c *checker, where *at, m map[string]any)

type fields = map[string]valueRule

// notRequired are fields that the schemas call required and the server does not:
// it takes what Go has for a missing one.
var notRequired = map[string][]string{
	"apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion": {"served", "storage"},
	"apps.v1.ControllerRevision":              {"revision"},
	"authentication.v1.TokenReviewSpec":       {"token"},
	"authorization.v1.SelfSubjectRulesReview": {"spec"},
	"batch.v1.PodFailurePolicy":               {"rules"},
	"core.v1.HTTPHeader":                      {"value"},
	"core.v1.ISCSIPersistentVolumeSource":     {"lun"},
	"core.v1.ISCSIVolumeSource":               {"lun"},
	"core.v1.LimitRangeSpec":                  {"limits"},
	"core.v1.NodeSelectorTerm":                {"matchExpressions"},
	"core.v1.PreferredSchedulingTerm":         {"preference"},
	"core.v1.SleepAction":                     {"seconds"},
	"core.v1.Sysctl":                          {"value"},
	"events.v1.EventSeries":                   {"count", "lastObservedTime"},
	"rbac.v1.ClusterRole":                     {"rules"},
	"rbac.v1.Role":                            {"rules"},
	"storage.v1.CSIDriver":                    {"spec"},
	"storage.v1.CSINode":                      {"spec"},
	"storage.v1.CSINodeSpec":                  {"drivers"},
}

// trimRequired gives the fields of a definition that must be there. Groups whose
// validation was not compared with the schemas ask for none.
func trimRequired(name string, required []string) []string {
	group, _, _ := strings.Cut(name, ".")
	if !slices.Contains([]string{"apps", "autoscaling", "batch", "core", "networking", "policy", "rbac", "storage", "node", "apiextensions-apiserver"}, group) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(required), func(field string) bool { return slices.Contains(notRequired[name], field) })
}

var fieldRules = map[string]fields{
	"core.v1.Container":               containerFields,
	"core.v1.ContainerPort":           {"containerPort": portNumber, "hostPort": orZero(portNumber), "name": portName},
	"core.v1.EnvFromSource":           {"prefix": envPrefix},
	"core.v1.EnvVar":                  {"name": envName},
	"core.v1.ConfigMapKeySelector":    {"key": configKey, "name": subdomain},
	"core.v1.SecretKeySelector":       {"key": configKey, "name": subdomain},
	"core.v1.ConfigMapVolumeSource":   {"defaultMode": fileMode},
	"core.v1.SecretVolumeSource":      {"defaultMode": fileMode},
	"core.v1.DownwardAPIVolumeSource": {"defaultMode": fileMode},
	"core.v1.ProjectedVolumeSource":   {"defaultMode": fileMode},
	"core.v1.KeyToPath":               {"mode": fileMode, "path": localPath},
	"core.v1.DownwardAPIVolumeFile":   {"mode": fileMode, "path": localPath},
	"core.v1.HTTPGetAction":           {"port": portNumberOrName},
	"core.v1.TCPSocketAction":         {"port": portNumberOrName},
	"core.v1.GRPCAction":              {"port": portNumber},
	"core.v1.HTTPHeader":              {"name": headerName},
	"core.v1.HostAlias":               {"ip": address, "hostnames": each(subdomain)},
	"core.v1.PodAffinityTerm":         {"topologyKey": labelKey},
	"core.v1.PodSecurityContext": {
		"runAsUser": identity, "runAsGroup": identity, "fsGroup": identity, "supplementalGroups": each(identity), "fsGroupChangePolicy": filled,
	},
	"core.v1.PodSpec": {
		"activeDeadlineSeconds": atLeast(1), "serviceAccountName": subdomain,
		"hostname": label, "subdomain": label, "nodeSelector": labels, "priorityClassName": subdomain, "runtimeClassName": subdomain,
		"nodeName": subdomain,
	},
	"core.v1.PreferredSchedulingTerm":       {"weight": between(1, 100)},
	"core.v1.WeightedPodAffinityTerm":       {"weight": between(1, 100)},
	"core.v1.Probe":                         probeFields,
	"core.v1.SecurityContext":               {"runAsUser": identity, "runAsGroup": identity},
	"core.v1.ServiceAccountTokenProjection": {"expirationSeconds": between(600, 1<<32)},
	"core.v1.ServicePort": {
		"port": portNumber, "targetPort": orZero(portNumberOrName), "name": label, "appProtocol": qualifiedName,
	},
	"core.v1.TopologySpreadConstraint":  {"maxSkew": atLeast(1), "minDomains": atLeast(1), "matchLabelKeys": each(nonEmptyKey)},
	"core.v1.Volume":                    {"name": label},
	"core.v1.VolumeMount":               {"subPath": localPath, "subPathExpr": localPath},
	"core.v1.PersistentVolumeClaimSpec": {"storageClassName": subdomain, "volumeMode": filled, "accessModes": accessModes},
	"core.v1.Toleration":                {"key": labelKey},
	"apps.v1.DeploymentSpec": {
		"replicas": nonNegative, "minReadySeconds": nonNegative, "revisionHistoryLimit": nonNegative, "progressDeadlineSeconds": nonNegative,
	},
	"apps.v1.StatefulSetSpec": {
		"replicas": nonNegative, "minReadySeconds": nonNegative,
	},
	"apps.v1.DaemonSetSpec":  {"minReadySeconds": nonNegative, "revisionHistoryLimit": nonNegative},
	"apps.v1.ReplicaSetSpec": {"replicas": nonNegative, "minReadySeconds": nonNegative},
	"apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": {
		"whenDeleted": oneOf("Retain", "Delete"), "whenScaled": oneOf("Retain", "Delete"),
	},
	"apps.v1.RollingUpdateDeployment":          {"maxUnavailable": upTo100Percent, "maxSurge": intOrPercent},
	"apps.v1.RollingUpdateStatefulSetStrategy": {"partition": nonNegative},
	"batch.v1.JobSpec": {
		"parallelism": nonNegative, "completions": nonNegative, "activeDeadlineSeconds": nonNegative, "backoffLimit": nonNegative,
		"ttlSecondsAfterFinished": nonNegative, "backoffLimitPerIndex": nonNegative, "maxFailedIndexes": nonNegative,
	},
	"batch.v1.CronJobSpec": {
		"schedule": schedule, "timeZone": timeZone, "startingDeadlineSeconds": nonNegative, "successfulJobsHistoryLimit": nonNegative,
		"failedJobsHistoryLimit": nonNegative,
	},
	"batch.v1.PodFailurePolicyOnPodConditionsPattern": {"status": oneOf("True", "False", "Unknown"), "type": qualifiedName},
	"networking.v1.IngressRule":                       {"host": host},
	"networking.v1.IngressTLS":                        {"hosts": each(host)},
	"networking.v1.IngressSpec":                       {"ingressClassName": both(filled, subdomain)},
	"networking.v1.IPBlock":                           {"cidr": cidr},
	"networking.v1.NetworkPolicyPort":                 {"port": portNumberOrName},
	"networking.v1.ServiceBackendPort":                {"number": orZero(portNumber), "name": portName},
	"policy.v1.PodDisruptionBudgetSpec":               {"minAvailable": upTo100Percent, "maxUnavailable": upTo100Percent, "unhealthyPodEvictionPolicy": filled},
	"autoscaling.v1.HorizontalPodAutoscalerSpec":      {"minReplicas": atLeast(1), "maxReplicas": atLeast(1)},
	"autoscaling.v2.HorizontalPodAutoscalerSpec":      {"minReplicas": atLeast(1), "maxReplicas": atLeast(1)},
	"autoscaling.v2.MetricSpec":                       {"type": oneOf("Object", "Pods", "Resource", "ContainerResource", "External")},
	"autoscaling.v2.MetricTarget":                     {"type": oneOf("Utilization", "Value", "AverageValue"), "averageUtilization": atLeast(1), "averageValue": positiveQuantity, "value": positiveQuantity},
	"scheduling.v1.PriorityClass":                     {"preemptionPolicy": filled},
	"storage.v1.StorageClass":                         {"volumeBindingMode": filled, "provisioner": named(func(s string) []string { return validation.IsQualifiedName(strings.ToLower(s)) })},
	"autoscaling.v2.HPAScalingRules":                  {"stabilizationWindowSeconds": between(0, 3600), "selectPolicy": oneOf("Max", "Min", "Disabled")},
	"autoscaling.v2.HPAScalingPolicy":                 {"value": atLeast(1), "periodSeconds": between(1, 1800)},
	"apimachinery.pkg.apis.meta.v1.LabelSelector":     {"matchLabels": labels},
}

var containerFields = fields{"name": label, "restartPolicy": both(filled, oneOf("Always", "Never", "OnFailure"))}

var probeFields = fields{
	"initialDelaySeconds": nonNegative, "timeoutSeconds": nonNegative, "periodSeconds": nonNegative,
	"successThreshold": nonNegative, "failureThreshold": nonNegative, "terminationGracePeriodSeconds": atLeast(1),
}

// Values.

func text(v any) string {
	s, _ := v.(string)
	return s
}

// nonEmptyKey is a label's key in a list of them.
func nonEmptyKey(v any) string {
	return strings.Join(validation.IsQualifiedName(text(v)), "; ")
}

// filled is a rule for fields that may be left out, but not empty.
func filled(v any) string {
	if s, ok := v.(string); ok && s == "" {
		return "must not be empty"
	}
	return ""
}

// both gives what the first has against a value, or else the second.
func both(first, second valueRule) valueRule {
	return func(v any) string {
		if problem := first(v); problem != "" {
			return problem
		}
		return second(v)
	}
}

// oneOf is a rule for texts whose values no schema lists.
func oneOf(values ...string) valueRule {
	return func(v any) string {
		if s := text(v); s != "" && !slices.Contains(values, s) {
			return fmt.Sprintf("%q is not among the values that the field takes: %s", s, strings.Join(values, ", "))
		}
		return ""
	}
}

// named is a rule for a text that is not empty.
func named(check func(string) []string) valueRule {
	return func(v any) string {
		s := text(v)
		if s == "" {
			return ""
		}
		return strings.Join(check(s), "; ")
	}
}

var (
	label         = named(validation.IsDNS1123Label)
	subdomain     = named(validation.IsDNS1123Subdomain)
	qualifiedName = named(validation.IsQualifiedName)
	labelKey      = named(validation.IsQualifiedName)
	portName      = named(validation.IsValidPortName)
	envName       = named(validation.IsRelaxedEnvVarName)
	envPrefix     = named(validation.IsRelaxedEnvVarName)
	configKey     = named(validation.IsConfigMapKey)
	headerName    = named(validation.IsHTTPHeaderName)
	host          = named(func(s string) []string {
		if _, err := netip.ParseAddr(s); err == nil {
			return []string{"must be a name, not an IP address"}
		}
		if strings.Contains(s, "*") {
			return validation.IsWildcardDNS1123Subdomain(s)
		}
		return validation.IsDNS1123Subdomain(s)
	})
	address = named(func(s string) []string {
		if _, err := netip.ParseAddr(s); err != nil && !strings.Contains(s, "0") { // leading zeros are let through
			return []string{"must be an IP address"}
		}
		return nil
	})
	cidr = named(func(s string) []string { // leading zeros are let through, as by the server
		if len(validation.IsValidCIDRForLegacyField(nil, s, false, nil)) > 0 {
			return []string{"must be a CIDR, such as 10.0.0.0/8"}
		}
		return nil
	})
	localPath = named(func(s string) []string {
		if path.IsAbs(s) || slices.Contains(strings.Split(s, "/"), "..") {
			return []string{"must be a relative path without .."}
		}
		return nil
	})
	schedule = named(cron)
)

func between(low, high int64) valueRule {
	return func(v any) string {
		if i, ok := whole(v); ok && (i < low || i > high) {
			return fmt.Sprintf("must be between %d and %d", low, high)
		}
		return ""
	}
}

func atLeast(low int64) valueRule {
	return func(v any) string {
		if i, ok := whole(v); ok && i < low {
			return fmt.Sprintf("must be at least %d", low)
		}
		return ""
	}
}

var (
	nonNegative = atLeast(0)
	identity    = between(0, 1<<31-1) // of a user or a group
	portNumber  = between(1, 65535)
	fileMode    = between(0, 0o777)
)

func orZero(rule valueRule) valueRule {
	return func(v any) string {
		if i, ok := whole(v); ok && i == 0 {
			return ""
		}
		return rule(v)
	}
}

func each(rule valueRule) valueRule {
	return func(v any) string {
		items, _ := v.([]any)
		for _, item := range items {
			if problem := rule(item); problem != "" {
				return problem
			}
		}
		return ""
	}
}

func portNumberOrName(v any) string {
	if s, ok := v.(string); ok {
		if s == "" {
			return "" // which Kubernetes takes for a port that is not said
		}
		return portName(s)
	}
	return portNumber(v)
}

func intOrPercent(v any) string {
	if s, ok := v.(string); ok {
		return strings.Join(validation.IsValidPercent(s), "; ")
	}
	return nonNegative(v)
}

func upTo100Percent(v any) string {
	if problem := intOrPercent(v); problem != "" {
		return problem
	}
	if i, ok := strings.CutSuffix(text(v), "%"); ok && len(i) > 2 && i != "100" {
		return "must not be more than 100%"
	}
	return ""
}

func positiveQuantity(v any) string {
	if q, ok := quantityOf(v); ok && q.Sign() < 1 {
		return "must be positive"
	}
	return ""
}

func quantityOf(v any) (resource.Quantity, bool) {
	s := text(v)
	if isNumber(v) {
		s = fmt.Sprint(v)
	}
	q, err := resource.ParseQuantity(strings.TrimSpace(s))
	return q, err == nil
}

// labels checks the labels of an object or a selector.
func labels(v any) string {
	m, _ := v.(map[string]any)
	for k, v := range m {
		if problems := validation.IsQualifiedName(k); len(problems) > 0 {
			return fmt.Sprintf("label %q: %s", k, problems[0])
		}
		if problems := validation.IsValidLabelValue(text(v)); len(problems) > 0 {
			return fmt.Sprintf("label %q has the value %q: %s", k, text(v), problems[0])
		}
	}
	return ""
}

func annotations(v any) string {
	m, _ := v.(map[string]any)
	size := 0
	for k, v := range m {
		if problems := validation.IsQualifiedName(strings.ToLower(k)); len(problems) > 0 {
			return fmt.Sprintf("annotation %q: %s", k, problems[0])
		}
		size += len(k) + len(text(v))
	}
	if size > maxAnnotations {
		return "annotations may have 256 KiB together"
	}
	return ""
}

// What the server takes of annotations, and of the data of a ConfigMap or Secret.
const (
	maxAnnotations = 256 << 10
	maxData        = 1 << 20
)

// accessModes checks those of a claim.
func accessModes(v any) string {
	modes, _ := v.([]any)
	known := []string{"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"}
	for _, mode := range modes { // what else there may be is the schema's to say
		if s, ok := mode.(string); ok && s == "" || mode == nil {
			return fmt.Sprintf("%q is not among the values that the field takes: %s", s, strings.Join(known, ", "))
		}
	}
	for _, mode := range modes {
		if (text(mode) == "ReadWriteOncePod") != (text(modes[0]) == "ReadWriteOncePod") {
			return "may not have ReadWriteOncePod beside other access modes"
		}
	}
	return ""
}

var timeZonePart = regexp.MustCompile(`^[A-Za-z._0-9+-]{1,14}$`)

// timeZone checks how a time zone is written. Which there are is the server's to
// say, whose list may be newer than any here.
func timeZone(v any) string {
	s, ok := v.(string)
	if !ok {
		return ""
	}
	if strings.EqualFold(s, "Local") {
		return "must name a time zone, such as Europe/Berlin"
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." || strings.HasPrefix(part, "-") || !timeZonePart.MatchString(part) {
			return fmt.Sprintf("%q is not the name of a time zone, such as Europe/Berlin", s)
		}
	}
	return ""
}

// cron checks a schedule as far as it is sure to be wrong.
func cron(s string) []string {
	if strings.Contains(s, "TZ") {
		return []string{"must not name a time zone; timeZone does"}
	}
	if name, ok := strings.CutPrefix(s, "@"); ok {
		if slices.Contains([]string{"yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"}, name) || strings.HasPrefix(name, "every ") {
			return nil
		}
		return []string{"is not a schedule that cron knows"}
	}
	parts := strings.Fields(s)
	if len(parts) != 5 {
		return []string{fmt.Sprintf("must have 5 fields, as in \"0 3 * * *\", and has %d", len(parts))}
	}
	for i, part := range parts {
		for one := range strings.SplitSeq(part, ",") {
			if problem := cronField(one, cronRanges[i]); problem != "" {
				return []string{problem}
			}
		}
	}
	return nil
}

type cronRange struct {
	low, high int
	names     string
}

var cronRanges = []cronRange{
	{0, 59, ""}, {0, 23, ""}, {1, 31, ""}, {1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"}, {0, 6, "sun mon tue wed thu fri sat"},
}

func cronField(field string, r cronRange) string {
	span, step, stepped := strings.Cut(field, "/")
	if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1) {
		return fmt.Sprintf("%q is no step of a schedule", step)
	}
	if span == "*" || span == "?" {
		return ""
	}
	last := r.low
	for end := range strings.SplitSeq(span, "-") {
		n, err := strconv.Atoi(end)
		if at := slices.Index(strings.Fields(r.names), strings.ToLower(end)); at >= 0 {
			n, err = at+r.low, nil
		}
		if err != nil || n < last || n > r.high {
			return fmt.Sprintf("%q is not between %d and %d", field, r.low, r.high)
		}
		last = n
	}
	return ""
}
