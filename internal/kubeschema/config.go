package kubeschema

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

func configMap(c *checker, where *at, m map[string]any) {
	size := 0
	data, binary := object(m, "data"), object(m, "binaryData")
	for field, values := range map[string]map[string]any{"data": data, "binaryData": binary} {
		for k, v := range values {
			size += len(text(v))
			if problem := configKey(k); problem != "" || k == "" {
				c.add(where.child(field).child(k), Value, "", "is not a key: %s", problem)
			}
			if _, twice := binary[k]; twice && field == "data" {
				c.add(where.child(field).child(k), Value, "", "stands in binaryData as well")
			}
		}
	}
	if size > maxData && size-len(binary)/4 > maxData*4/3 {
		c.add(where.child("data"), Value, "", "may have 1 MiB altogether")
	}
}

// secretKeys are what a Secret of a type must hold: one of each group.
var secretKeys = map[string][][]string{
	"kubernetes.io/tls":              {{"tls.crt"}, {"tls.key"}},
	"kubernetes.io/dockercfg":        {{".dockercfg"}},
	"kubernetes.io/dockerconfigjson": {{".dockerconfigjson"}},
	"kubernetes.io/basic-auth":       {{"username", "password"}},
	"kubernetes.io/ssh-auth":         {{"ssh-privatekey"}},
}

func secret(c *checker, where *at, m map[string]any) {
	data, plain := object(m, "data"), object(m, "stringData")
	has := func(k string) bool {
		_, encoded := data[k]
		_, written := plain[k]
		return encoded || written
	}
	for field, values := range map[string]map[string]any{"data": data, "stringData": plain} {
		for k := range values {
			if problem := configKey(k); problem != "" || k == "" {
				c.add(where.child(field).child(k), Value, "", "is not a key: %s", problem)
			}
		}
	}
	for _, group := range secretKeys[text(m["type"])] {
		if !slices.ContainsFunc(group, has) {
			c.add(where.child("data").child(group[0]), Required, "", "a Secret of this type needs the key %s", strings.Join(group, " or "))
		}
	}
	if text(m["type"]) == "kubernetes.io/dockerconfigjson" && has(".dockerconfigjson") {
		value := []byte(text(plain[".dockerconfigjson"]))
		if len(value) == 0 {
			value, _ = base64.StdEncoding.DecodeString(text(data[".dockerconfigjson"]))
		}
		if json.Unmarshal(value, &map[string]any{}) != nil {
			c.add(where.child("data").child(".dockerconfigjson"), Value, "", "must be a JSON object")
		}
	}
}

func claimSpec(c *checker, where *at, m map[string]any) {
	c.need(where, m, "accessModes")
	storage := object(object(m, "resources"), "requests")["storage"]
	here := where.child("resources").child("requests").child("storage")
	if storage == nil {
		c.add(here, Required, "", "the field is required")
	} else if problem := positiveQuantity(storage); problem != "" {
		c.add(here, Value, "", "%s", problem)
	}
}

func limitRangeItem(c *checker, where *at, m map[string]any) {
	kind := text(m["type"])
	if kind != "" && !strings.Contains(kind, "/") && !slices.Contains([]string{"Pod", "Container", "PersistentVolumeClaim"}, kind) {
		c.add(where.child("type"), Enum, "it takes Pod, Container, PersistentVolumeClaim", "%q is not among the values that the field takes", kind)
	}
}

func rules(namespaced bool) objectRule {
	return func(c *checker, where *at, m map[string]any) {
		for i, rule := range list(m, "rules") {
			here := where.child("rules").item(i, nil)
			if empty(rule["nonResourceURLs"]) {
				c.need(here, rule, "apiGroups")
				c.need(here, rule, "resources")
				continue
			}
			if namespaced || !empty(rule["apiGroups"]) || !empty(rule["resources"]) || !empty(rule["resourceNames"]) {
				c.add(here.child("nonResourceURLs"), Value, "", "may stand only in a ClusterRole, and not beside resources")
			}
		}
	}
}

const rbacGroup = "rbac.authorization.k8s.io"

func binding(kinds ...string) objectRule {
	return func(c *checker, where *at, m map[string]any) {
		ref := object(m, "roleRef")
		here := where.child("roleRef")
		if group := text(ref["apiGroup"]); group != "" && group != rbacGroup {
			c.add(here.child("apiGroup"), Enum, "it takes "+rbacGroup, "%q is not among the values that the field takes", group)
		}
		if kind := text(ref["kind"]); ref != nil && !slices.Contains(kinds, kind) {
			c.add(here.child("kind"), Enum, "it takes "+strings.Join(kinds, ", "), "%q is not among the values that the field takes", kind)
		}
		for i, subject := range list(m, "subjects") {
			c.subject(where.child("subjects").item(i, subject), subject, len(kinds) > 1)
		}
	}
}

func (c *checker) subject(where *at, m map[string]any, namespaced bool) {
	group := text(m["apiGroup"])
	switch kind := text(m["kind"]); kind {
	case "ServiceAccount":
		if group != "" {
			c.add(where.child("apiGroup"), Value, "", "must be empty for a ServiceAccount")
		}
		if problem := subdomain(m["name"]); problem != "" {
			c.add(where.child("name"), Value, "", "%s", problem)
		}
		if !namespaced {
			c.need(where, m, "namespace")
		}
	case "User", "Group":
		if group != "" && group != rbacGroup {
			c.add(where.child("apiGroup"), Enum, "it takes "+rbacGroup, "%q is not among the values that the field takes", group)
		}
	default:
		c.add(where.child("kind"), Enum, nearest(kind, []string{"ServiceAccount", "User", "Group"}), "%q is not among the values that the field takes", kind)
	}
}
