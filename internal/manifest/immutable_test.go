package manifest

import (
	"slices"
	"testing"
)

func TestImmutable(t *testing.T) {
	t.Parallel()
	changed := func(paths ...string) []Field {
		var out []Field
		for _, p := range paths {
			out = append(out, Field{Path: p, Before: "a", After: "b"})
		}
		return out
	}
	tests := []struct {
		name             string
		apiVersion, kind string
		fields           []Field
		want             []string
	}{
		{"selector", "apps/v1", "Deployment", changed(`spec.replicas`, `spec.selector.matchLabels["app.kubernetes.io/name"]`, `spec.selectors`), []string{`spec.selector.matchLabels["app.kubernetes.io/name"]`}},
		{"version of the API", "apps/v1beta2", "Deployment", changed(`spec.selector.matchLabels.app`), []string{`spec.selector.matchLabels.app`}},
		{"somebody else's Deployment", "example.com/v1", "Deployment", changed(`spec.selector.matchLabels.app`), nil},
		{"stateful set", "apps/v1", "StatefulSet", changed(`spec.template.spec.containers[name=a].image`, `spec.replicas`, `spec.serviceName`, `spec.podManagementPolicy`, `spec.volumeClaimTemplates[metadata.name=data].spec.resources.requests.storage`, `metadata.labels.a`),
			[]string{`spec.serviceName`, `spec.podManagementPolicy`, `spec.volumeClaimTemplates[metadata.name=data].spec.resources.requests.storage`}},
		{"job", "batch/v1", "Job", changed(`spec.template.spec.containers[name=a].image`, `spec.suspend`, `spec.parallelism`, `spec.completions`), []string{`spec.template.spec.containers[name=a].image`, `spec.completions`}},
		{"claim that grows", "v1", "PersistentVolumeClaim", changed(`spec.resources.requests.storage`, `spec.storageClassName`, `spec.accessModes[0]`), []string{`spec.storageClassName`, `spec.accessModes[0]`}},
		{"cluster IP", "v1", "Service", changed(`spec.clusterIP`, `spec.ports[port=80,protocol=TCP].targetPort`), []string{`spec.clusterIP`}},
		{"first cluster IP", "v1", "Service", []Field{{Path: "spec.clusterIP", After: "None"}}, nil},
		{"role", "rbac.authorization.k8s.io/v1", "RoleBinding", changed(`roleRef.name`, `subjects[0].name`), []string{`roleRef.name`}},
		{"type of a secret", "v1", "Secret", changed(`data.a`, `type`), []string{`type`}},
		{"sealed", "v1", "ConfigMap", []Field{{Path: "data.a", Before: "1", After: "2"}, {Path: "immutable", Before: true, After: false}}, []string{"data.a", "immutable"}},
		{"becomes sealed", "v1", "ConfigMap", []Field{{Path: "data.a", Before: "1", After: "2"}, {Path: "immutable", After: true}}, nil},
		{"class", "storage.k8s.io/v1", "StorageClass", changed(`provisioner`, `allowVolumeExpansion`, `parameters.type`), []string{`provisioner`, `parameters.type`}},
		{"pod", "v1", "Pod", changed(`spec.containers[name="a]b"].image`, `spec.containers[name=a].command[0]`, `spec.nodeName`), []string{`spec.containers[name=a].command[0]`, `spec.nodeName`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := Immutable(Ref{APIVersion: test.apiVersion, Kind: test.kind, Name: "a"}, test.fields)
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestImmutableIn(t *testing.T) {
	t.Parallel()
	fields := []Field{{Path: `data["a.b"]`, Before: "1", After: "2"}, {Path: "metadata.labels.x", After: "y"}}
	ref := Ref{APIVersion: "v1", Kind: "Secret", Name: "a"}
	if got := ImmutableIn(map[string]any{"immutable": true}, ref, fields); !slices.Equal(got, []string{`data["a.b"]`}) {
		t.Errorf("%q", got)
	}
	if got := ImmutableIn(map[string]any{"immutable": false}, ref, fields); got != nil {
		t.Errorf("%q", got)
	}
}
