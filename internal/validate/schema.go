package validate

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
)

func schemas(w *world, report reporter) {
	if w.schemas == nil {
		return
	}
	for _, o := range w.objects {
		if !w.schemas.Known(o.Ref.APIVersion, o.Ref.Kind) {
			continue // which is said by the rules of kinds
		}
		for _, problem := range w.schemas.Validate(o.Fields) {
			if problem.Hint == "" && problem.Path != "" && w.schemas.BuiltIn(o.Ref.APIVersion) {
				problem.Hint = explained(o.Ref.Kind, problem.Path)
			}
			report(o, problem.Path, "%s", worded(problem))
		}
	}
}

// inBrackets is an item or a key in a path, which kubectl does not take.
var inBrackets = regexp.MustCompile(`\[[^\]]*\]`)

// explained names the command that describes a field.
func explained(kind, path string) string {
	return fmt.Sprintf("`kubectl explain %s.%s` describes the field", strings.ToLower(kind), inBrackets.ReplaceAllString(path, ""))
}

// unknownKinds looks for kinds without a schema: those that an API server refuses,
// since they are Kubernetes' own or their definition does not serve them, or others.
func unknownKinds(refused bool) check {
	return func(w *world, report reporter) {
		if w.schemas == nil {
			return
		}
		for _, o := range w.objects {
			_, ended := w.schemas.Life(o.Ref.APIVersion, o.Ref.Kind)
			_, unserved := w.schemas.Refused(o.Ref.APIVersion, o.Ref.Kind)
			if ended || w.schemas.Known(o.Ref.APIVersion, o.Ref.Kind) || (unserved || w.schemas.BuiltIn(o.Ref.APIVersion)) != refused {
				continue
			}
			for _, problem := range w.schemas.Validate(o.Fields) {
				report(o, "", "%s", worded(problem))
			}
		}
	}
}

// worded is a problem as a message with its own way out.
func worded(problem kubeschema.Problem) string {
	if problem.Hint == "" {
		return problem.Message
	}
	return problem.Message + hintMark + problem.Hint
}

func removedAPIs(w *world, report reporter) {
	if w.schemas == nil {
		return
	}
	for _, o := range w.objects {
		if life, ok := w.schemas.Life(o.Ref.APIVersion, o.Ref.Kind); ok && w.schemas.Removed(life) {
			since := ""
			if life.Removed != "" {
				since = " since " + life.Removed
			}
			report(o, "apiVersion", "%s is not in Kubernetes any more%s%s", o.Ref.APIVersion, since, instead(life.Replacement))
		}
	}
}

func deprecatedAPIs(w *world, report reporter) {
	if w.schemas == nil {
		return
	}
	for _, o := range w.objects {
		life, ok := w.schemas.Life(o.Ref.APIVersion, o.Ref.Kind)
		if !ok || w.schemas.Removed(life) || !w.schemas.Deprecated(life) {
			continue
		}
		until := ""
		if life.Removed != "" {
			until = ", and goes with " + life.Removed
		}
		report(o, "apiVersion", "%s is deprecated since Kubernetes %s%s%s", o.Ref.APIVersion, life.Deprecated, until, instead(life.Replacement))
	}
}

func instead(replacement string) string {
	if replacement == "" {
		return ""
	}
	return hintMark + "use " + replacement
}

func labelValues(w *world, report reporter) {
	for _, o := range w.objects {
		for _, path := range []string{"metadata.labels", templates[o.Ref.Kind] + ".metadata.labels"} {
			if strings.HasPrefix(path, ".") {
				continue
			}
			for k, v := range dig(o.Fields, path) {
				if problems := append(validation.IsQualifiedName(k), validation.IsValidLabelValue(written(v))...); len(problems) > 0 {
					report(o, path, "label %s=%q: %s", k, written(v), problems[0])
				}
			}
		}
	}
}

func reasons(w *world, report reporter) {
	for _, o := range w.objects {
		for _, one := range o.ignores {
			if one.unknown {
				report(o, one.path, "there is no rule %q", one.rule)
			} else if one.reason == "" {
				report(o, one.path, "%s is ignored without a reason", one.rule)
			}
		}
	}
}
