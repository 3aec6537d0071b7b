package source

import "testing"

func TestClosest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		known []string
		want  string
	}{
		{"bas", []string{"base", "prod"}, "base"},
		{"nmae", []string{"name", "namespace"}, "name"},
		{"HTTP", []string{"SCTP", "TCP", "UDP"}, ""},
		{"min", []string{"minReplicas", "maxReplicas"}, ""},
		{"minimun", []string{"maximum", "minimum"}, "minimum"},
		{"initialDelay", []string{"failureThreshold", "initialDelaySeconds", "periodSeconds"}, "initialDelaySeconds"},
		{"time", []string{"timeoutSeconds", "timeZone"}, "timeZone"},
		{"nothing", []string{"else"}, ""},
		{"c", []string{"a"}, ""},
	} {
		if got := Closest(tt.name, tt.known); got != tt.want {
			t.Errorf("%s among %v: got %q, want %q", tt.name, tt.known, got, tt.want)
		}
	}
}

func TestUnclosedBracket(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"name: w\ncontexts: [", "x.yaml:2:11: the [ is not closed"},
		{"name: w\ncontexts: [\n\n", "x.yaml:2:11: the [ is not closed"},
		{"contexts: [\n- name: a\n", "x.yaml:1:11: the [ is not closed"},
		{"a: {b: 1\n", "x.yaml:1:4: the { is not closed"},
		{"a: {b: 1,\n    c: [1, \"]\", # ]\n  2\nb: 3\n", "x.yaml:2:8: the [ is not closed"},
		{"a: |\n  text [ of a block\nit's: [b: c, d}\n", "x.yaml:3:7: the [ is not closed"},
		{"a: [1, , 2]\n", "x.yaml:1:1: a value is missing"},
	} {
		_, findings := ParseYAML("x.yaml", []byte(tt.text))
		if len(findings) != 1 || len(findings[0].String()) < len(tt.want) || findings[0].String()[:len(tt.want)] != tt.want {
			t.Errorf("%q: got %v, want %s", tt.text, findings, tt.want)
		}
	}
}
