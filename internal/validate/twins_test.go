package validate_test

import (
	"strings"
	"testing"

	"github.com/helm-kai/helm-kai/internal/validate"
)

// TestOneErrorOfAValue: of a value that two rules refuse, the one that says more stays.
func TestOneErrorOfAValue(t *testing.T) {
	t.Parallel()
	const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a, ports: [{containerPort: 80}]}]}}}\n"
	const service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80, targetPort: 99999}]}\n"
	const budget = "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {minAvailable: 150%, selector: {matchLabels: {app: a}}}\n"
	const cron = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec: {schedule: '0 3 * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Always, containers: [{name: a, image: a}]}}}}}\n"
	const claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\nspec: {accessModes: [ReadWriteOne], resources: {requests: {storage: 1Gi}}}\n"
	for name, test := range map[string]struct{ text, want string }{
		"right":          {deployment, ""},
		"port":           {deployment + service, "kubernetes-schema spec.ports[0].targetPort"},
		"probe":          {strings.Replace(deployment, "image: a", "image: a, livenessProbe: {tcpSocket: {port: 0}}", 1), "kubernetes-schema spec.template.spec.containers[name=a].livenessProbe.tcpSocket.port"},
		"budget":         {deployment + budget, "kubernetes-schema spec.minAvailable"},
		"selector":       {strings.Replace(deployment, "labels: {app: a}", "labels: {app: b}", 1), "mismatching-selector spec.selector"},
		"restart":        {cron, "cronjob-restartpolicy spec.jobTemplate.spec.template.spec.restartPolicy"},
		"label":          {strings.Replace(deployment, "{name: a}", "{name: a, labels: {app: b c}}", 1), "label-values metadata.labels"},
		"claim":          {claim, "kubernetes-schema spec.accessModes[0]"},
		"another's left": {strings.Replace(strings.Replace(deployment, "labels: {app: a}", "labels: {app: b}", 1), "image: a", "imag: a", 1), "mismatching-selector spec.selector kubernetes-schema spec.template.spec.containers[name=a].imag kubernetes-schema spec.template.spec.containers[name=a].image"},
		"ignored":        {strings.Replace(cron, "{name: a}", "{name: a, annotations: {kai.validate/ignore: 'cronjob-restartpolicy: a test'}}", 1), "kubernetes-schema spec.jobTemplate.spec.template.spec.restartPolicy"},
	} {
		var got []string
		for _, f := range check(t, test.text, validate.Settings{}) {
			if f.Severity == validate.Error && f.Ignored == "" {
				got = append(got, f.Rule+" "+f.Path)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestWhoseUser: a user that is too low is said where it stands.
func TestWhoseUser(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"containers: [{name: a, image: a, securityContext: {runAsUser: 1000, runAsGroup: 10000}}]":                                "spec.containers[name=a].securityContext.runAsUser",
		"securityContext: {runAsUser: 1000}, containers: [{name: a, image: a, securityContext: {runAsGroup: 10000}}]":             "spec.securityContext.runAsUser",
		"securityContext: {runAsUser: 10000}, containers: [{name: a, image: a, securityContext: {readOnlyRootFilesystem: true}}]": "spec.containers[name=a].securityContext",
	} {
		found := of("container-security-context-user-group-id", check(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {"+spec+"}\n", validate.Settings{}))
		if len(found) != 1 || found[0].Path != want {
			t.Errorf("%s: %v, want one at %s", spec, found, want)
		}
	}
}

// TestOneNameInAllContexts: what is said does not differ with the namespace, so that
// one mistake is one finding.
func TestOneNameInAllContexts(t *testing.T) {
	t.Parallel()
	const text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n---\n" +
		"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec: {defaultBackend: {service: {name: b, port: {number: 80}}}}\n---\n" +
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {matchLabels: {app: a}}}\n---\n" +
		"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: b}}\n---\n" +
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {serviceAccountName: b, containers: [{name: a, image: a}]}\n"
	found := check(t, text, validate.Settings{})
	for _, rule := range []string{"dangling-service", "ingress-targets-service", "networkpolicy-targets-pod", "horizontalpodautoscaler-has-target", "non-existent-service-account"} {
		if got := of(rule, found); len(got) != 1 || strings.Contains(got[0].Message, "shop") {
			t.Errorf("%s: %v", rule, got)
		}
	}
}
