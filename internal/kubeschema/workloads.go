package kubeschema

import (
	"slices"
	"strconv"
	"strings"
)

// workload checks a selector, and that it selects the pods of the template.
func (c *checker) workload(where *at, m map[string]any) {
	selector, ok := m["selector"].(map[string]any)
	if !ok {
		return
	}
	match := object(selector, "matchLabels")
	if len(match)+len(list(selector, "matchExpressions")) == 0 {
		c.add(where.child("selector"), Value, "", "must select something")
	}
	have := object(object(object(m, "template"), "metadata"), "labels")
	for k, v := range match {
		if _, ok := have[k]; !ok || text(have[k]) != text(v) {
			c.add(where.child("template").child("metadata").child("labels"), Value, "", "the selector asks for the label %s=%s, which the template does not have", k, text(v))
		}
	}
	for _, one := range list(selector, "matchExpressions") {
		if !expressionMatches(one, have) {
			c.add(where.child("template").child("metadata").child("labels"), Value, "", "the selector's expression on %s does not match the template", text(one["key"]))
		}
	}
	pod := object(object(m, "template"), "spec")
	here := where.child("template").child("spec")
	if policy := text(pod["restartPolicy"]); policy != "" && policy != "Always" {
		c.add(here.child("restartPolicy"), Value, "", "must be Always")
	}
	if pod["activeDeadlineSeconds"] != nil {
		c.add(here.child("activeDeadlineSeconds"), Value, "", "may not be set here")
	}
	if m["template"] != nil && pod == nil {
		c.add(here.child("containers"), Required, "", "the field is required")
	}
}

// contains says whether a text is among values that may be anything.
func contains(values []any, v any) bool {
	return slices.ContainsFunc(values, func(other any) bool { return text(other) == text(v) })
}

func expressionMatches(one, have map[string]any) bool {
	v, there := have[text(one["key"])]
	values, _ := one["values"].([]any)
	switch text(one["operator"]) {
	case "In":
		return there && contains(values, v)
	case "NotIn":
		return !there || !contains(values, v)
	case "Exists":
		return there
	case "DoesNotExist":
		return !there
	}
	return true
}

func deploymentSpec(c *checker, where *at, m map[string]any) {
	c.workload(where, m)
	deadline, ok := whole(m["progressDeadlineSeconds"])
	if !ok {
		deadline = 600
	}
	if ready, _ := whole(m["minReadySeconds"]); deadline <= ready {
		c.add(where.child("progressDeadlineSeconds"), Value, "", "must be more than minReadySeconds")
	}
}

func deploymentStrategy(c *checker, where *at, m map[string]any) {
	rolling := object(m, "rollingUpdate")
	if text(m["type"]) == "Recreate" && m["rollingUpdate"] != nil {
		c.add(where.child("rollingUpdate"), Value, "", "may not be set where the type is Recreate")
	}
	if none(rolling["maxUnavailable"]) && none(rolling["maxSurge"]) {
		c.add(where.child("rollingUpdate").child("maxUnavailable"), Value, "", "may not be 0 where maxSurge is 0")
	}
}

func daemonSetStrategy(c *checker, where *at, m map[string]any) {
	rolling := object(m, "rollingUpdate")
	if rolling == nil || text(m["type"]) == "OnDelete" {
		return
	}
	for _, name := range []string{"maxSurge", "maxUnavailable"} {
		if problem := upTo100Percent(rolling[name]); problem != "" {
			c.add(where.child("rollingUpdate").child(name), Value, "", "%s", problem)
		}
	}
	surge, unavailable := rolling["maxSurge"], rolling["maxUnavailable"]
	if none(unavailable) && (none(surge) || surge == nil) {
		c.add(where.child("rollingUpdate").child("maxUnavailable"), Value, "", "may not be 0 where maxSurge is 0")
	}
	if some(surge) && (some(unavailable) || unavailable == nil) {
		c.add(where.child("rollingUpdate").child("maxSurge"), Value, "set maxUnavailable: 0", "may be set only where maxUnavailable is 0, and that is 1 where nothing stands there")
	}
}

// none says whether a number or percentage is written as zero.
func none(v any) bool {
	i, ok := amount(v)
	return ok && i == 0
}

// some says whether a number or percentage is written, and is not zero.
func some(v any) bool {
	i, ok := amount(v)
	return ok && i != 0
}

// amount gives a number, or that of a percentage.
func amount(v any) (int64, bool) {
	if percent, ok := strings.CutSuffix(text(v), "%"); ok {
		i, err := strconv.ParseInt(percent, 10, 64)
		return i, err == nil
	}
	return whole(v)
}

// maxUnavailableJudged is the first minor that keeps the maxUnavailable of
// StatefulSets, and judges it; those before drop it.
const maxUnavailableJudged = 37

func statefulSetSpec(c *checker, where *at, m map[string]any) {
	c.workload(where, m)
	strategy := object(m, "updateStrategy")
	if text(strategy["type"]) == "OnDelete" && strategy["rollingUpdate"] != nil {
		c.add(where.child("updateStrategy").child("rollingUpdate"), Value, "", "may not be set where the type is OnDelete")
	}
	if none(object(strategy, "rollingUpdate")["maxUnavailable"]) && c.schemas.number >= maxUnavailableJudged {
		c.add(where.child("updateStrategy").child("rollingUpdate").child("maxUnavailable"), Value, "", "may not be 0")
	}
}

func daemonSetSpec(c *checker, where *at, m map[string]any) {
	c.workload(where, m)
}

func jobSpec(c *checker, where *at, m map[string]any) {
	pod := object(object(m, "template"), "spec")
	if policy := text(pod["restartPolicy"]); policy == "" || policy == "Always" {
		c.add(where.child("template").child("spec").child("restartPolicy"), Value, "", "must be OnFailure or Never")
	}
	if text(pod["restartPolicy"]) == "OnFailure" && m["podFailurePolicy"] != nil {
		c.add(where.child("template").child("spec").child("restartPolicy"), Value, "", "must be Never beside a podFailurePolicy")
	}
	if m["maxFailedIndexes"] != nil && m["backoffLimitPerIndex"] == nil {
		c.add(where.child("backoffLimitPerIndex"), Required, "", "the field is required beside maxFailedIndexes")
	}
	for i, rule := range list(object(m, "podFailurePolicy"), "rules") {
		here := where.child("podFailurePolicy").child("rules").item(i, rule)
		if text(rule["action"]) == "FailIndex" && m["backoffLimitPerIndex"] == nil {
			c.add(here.child("action"), Value, "", "may be FailIndex only beside backoffLimitPerIndex")
		}
		if (rule["onExitCodes"] == nil) == empty(rule["onPodConditions"]) {
			c.add(here, Value, "", "must have either onExitCodes or onPodConditions")
		}
	}
	if m["selector"] != nil && m["manualSelector"] != true {
		c.add(where.child("selector"), Value, "", "is the controller's to set")
	}
	indexed := text(m["completionMode"]) == "Indexed"
	if indexed && m["completions"] == nil {
		c.add(where.child("completions"), Required, "", "the field is required where the completion mode is Indexed")
	}
	for _, name := range []string{"backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"} {
		if m[name] != nil && !indexed {
			c.add(where.child(name), Value, "", "may be set only where the completion mode is Indexed")
		}
	}
}

func replicaRange(c *checker, where *at, m map[string]any) {
	low, hasLow := whole(m["minReplicas"])
	high, hasHigh := whole(m["maxReplicas"])
	if !hasHigh {
		return
	}
	if high == 0 || hasLow && high < low {
		c.add(where.child("maxReplicas"), Value, "", "must not be less than minReplicas")
	}
}

var metricSources = map[string]string{
	"Object": "object", "Pods": "pods", "Resource": "resource", "ContainerResource": "containerResource", "External": "external",
}

func metricSpec(c *checker, where *at, m map[string]any) {
	source, ok := metricSources[text(m["type"])]
	if !ok {
		return
	}
	c.need(where, m, source)
	for _, other := range metricSources {
		if other != source && m[other] != nil {
			c.add(where.child(other), Value, "", "may not be set where the type is %s", text(m["type"]))
		}
	}
}

func metricTarget(c *checker, where *at, m map[string]any) {
	target := object(m, "target")
	if n := countOf(target, []string{"averageUtilization", "averageValue"}); n != 1 {
		c.add(where.child("target"), Value, "", "must have either averageUtilization or averageValue")
	}
}
