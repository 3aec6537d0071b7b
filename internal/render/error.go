package render

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/helm-kai/helm-kai/internal/source"
)

// Code is the stable identifier of what went wrong.
type Code string

// The codes an Error can have.
const (
	CodeOptions     Code = "render-options"     // a release name or a Kubernetes version that is none
	CodeChart       Code = "chart-unreadable"   // Chart.yaml, .helmignore, a subchart
	CodeKubeVersion Code = "kube-version"       // the chart does not want this Kubernetes
	CodeValues      Code = "values-unmergeable" // values that do not fit those of a subchart
	CodeSchema      Code = "values-schema"      // values that the chart's schema refuses
	CodeParse       Code = "template-parse"     // a template that text/template cannot read
	CodeExecution   Code = "template-execution" // a template that failed
	CodeRefused     Code = "template-refused"   // a template that called fail or required
	CodeLimit       Code = "template-limit"     // a template that reached a bound of Limits
	CodeManifest    Code = "manifest-yaml"      // output that is no YAML
	CodeInternal    Code = "render-internal"
)

// Error is what is wrong with a chart, or with its values.
type Error struct {
	Code Code
	// At is the place: its file is a path below the chart's folder, as far
	// as it is known.
	At source.Position
	// Message is Helm's, where Helm has one, without the place.
	Message string

	chart string
	whole string // Helm's text, place and all
	cause error
}

// Error gives the text that Helm has for this error, where it has one.
func (e *Error) Error() string {
	if e.whole != "" {
		return e.whole
	}
	if at := e.At.String(); at != "" && e.chart != "" {
		return e.chart + "/" + at + ": " + e.Message
	}
	return e.Message
}

// ofTemplates says whether the error names a place in a template.
func (e *Error) ofTemplates() bool {
	return e.Code == CodeExecution || e.Code == CodeRefused || e.Code == CodeLimit || e.Code == CodeForbidden
}

// Unwrap gives the reason, such as the error of a cancelled context.
func (e *Error) Unwrap() error { return e.cause }

// Finding gives the error as one of the mistakes that a command prints.
func (e *Error) Finding() source.Finding {
	f := source.Finding{Origin: source.Origin{Position: e.At}, Message: e.Message, Code: string(e.Code)}
	if e.Code == CodeForbidden {
		f.Hint = hintForbidden
	}
	return f
}

func position(file string) source.Position { return source.Position{File: file} }

func (c *Chart) errorf(code Code, file, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return &Error{Code: code, chart: c.Name(), At: position(file), Message: message, whole: message}
}

// What Helm puts around the text of fail and required, to find it again in the
// error that text/template makes of it.
const (
	refusalStart = "HELM_ERR_START"
	refusalEnd   = "HELM_ERR_END"
)

var refused = regexp.MustCompile(refusalStart + `((?s).*)` + refusalEnd)

func refusal(text string) error { return errors.New(refusalStart + text + refusalEnd) }

// limitError says that a bound was reached.
type limitError struct{ message string }

func (e *limitError) Error() string { return e.message }

// parseError words an error of text/template's parser as Helm does.
func parseError(root, file string, err error) *Error {
	e := &Error{Code: CodeParse, At: below(root, position(file)), Message: err.Error(), cause: err}
	tokens := strings.Split(err.Error(), ": ")
	if len(tokens) == 1 {
		e.whole = fmt.Sprintf("parse error in (%s): %s", file, err)
		return e
	}
	e.Message = tokens[len(tokens)-1]
	e.whole = fmt.Sprintf("parse error at (%s): %s", tokens[1], e.Message)
	e.At = below(root, location(tokens[1]))
	if whole := strings.SplitN(err.Error(), ": ", 3); len(whole) == 3 {
		e.Message = whole[2]
	}
	return e
}

// executionError words an error of a template's execution as Helm does; the
// position is where the innermost template stood, which is where the mistake
// is, while Helm names the outermost.
func executionError(root, file string, err error, at string) *Error {
	e := &Error{Code: CodeExecution, At: below(root, position(file)), Message: err.Error(), cause: err}
	whole := strings.SplitN(err.Error(), ": ", 3)
	var failed template.ExecError
	if errors.As(err, &failed) && len(whole) == 3 {
		e.Message, e.whole = whole[2], err.Error()
		e.At = below(root, innermost(err))
		if parts := refused.FindStringSubmatch(whole[2]); len(parts) > 1 {
			e.Code, e.Message = CodeRefused, parts[1]
			e.whole = fmt.Sprintf("execution error at (%s): %s", whole[1], parts[1])
		}
	} else if at != "" {
		e.At = below(root, location(at))
	}
	var limit *limitError
	if errors.As(err, &limit) {
		e.Code, e.Message = CodeLimit, limit.message
		e.whole = fmt.Sprintf("execution error at (%s/%s): %s", root, e.At, limit.message)
	}
	var forbidden *forbiddenError
	if errors.As(err, &forbidden) {
		e.Code, e.Message = CodeForbidden, forbidden.Error()
		e.whole = fmt.Sprintf("execution error at (%s/%s): %s", root, e.At, e.Message)
	}
	return e
}

// innermost gives the place that the deepest error of an execution names.
func innermost(err error) source.Position {
	var at source.Position
	for err != nil {
		var failed template.ExecError
		if !errors.As(err, &failed) {
			break
		}
		if parts := strings.SplitN(failed.Error(), ": ", 3); len(parts) == 3 && !strings.HasPrefix(parts[1], engineName+":") {
			at = location(parts[1])
		}
		// ExecError unwraps to the text's own error, which in turn holds
		// what the called function gave.
		err = errors.Unwrap(failed.Err)
	}
	return at
}

// below takes the name of the root chart off a template's name.
func below(root string, at source.Position) source.Position {
	at.File = strings.TrimPrefix(at.File, root+"/")
	return at
}

// location reads FILE:LINE or FILE:LINE:COLUMN, whose column text/template
// counts from 0.
func location(text string) source.Position {
	parts := strings.Split(text, ":")
	numbers := make([]int, 0, 2)
	for len(parts) > 1 && len(numbers) < 2 {
		n, err := strconv.Atoi(parts[len(parts)-1])
		if err != nil {
			break
		}
		numbers = append([]int{n}, numbers...)
		parts = parts[:len(parts)-1]
	}
	at := source.Position{File: strings.Join(parts, ":")}
	if len(numbers) > 0 {
		at.Line = numbers[0]
	}
	if len(numbers) > 1 {
		at.Column = numbers[1] + 1
	}
	return at
}

// manifestError words an error about output that is no YAML.
func manifestError(own *chart.Chart, err error) *Error {
	e := &Error{Code: CodeManifest, Message: err.Error(), whole: err.Error(), cause: err}
	if rest, ok := strings.CutPrefix(err.Error(), "YAML parse error on "); ok {
		file, message, _ := strings.Cut(rest, ": ")
		e.At, e.Message = position(strings.TrimPrefix(file, own.Name()+"/")), message
	}
	return e
}
