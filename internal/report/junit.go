package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/validate"
)

// The shape of JUnit's XML, as far as GitLab, GitHub's reporters and Jenkins share
// it.
type junitSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	junitCounts
	Suites []*junitSuite `xml:"testsuite"`
}

type junitCounts struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
}

type junitSuite struct {
	Name string `xml:"name,attr"`
	junitCounts
	Cases []*junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Failure   *junitFailure `xml:"failure"`
	Skipped   *junitSkipped `xml:"skipped"`
	SystemOut string        `xml:"system-out,omitempty"`

	of []finding
}

type junitFailure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

// writeJUnit prints a suite for each release, or file where there is none, and in it
// a case for each rule and object that something was found for. Errors fail; warnings
// and infos pass, and say so in their output; what is ignored is skipped. A release
// without findings is a case that passes.
func writeJUnit(w *printer, found []finding, o FindingsOptions) error {
	all := junitSuites{Name: "kai validate"}
	suites, cases := map[string]*junitSuite{}, map[[2]string]*junitCase{}
	suite := func(name string) *junitSuite {
		if suites[name] == nil {
			suites[name] = &junitSuite{Name: name}
			all.Suites = append(all.Suites, suites[name])
		}
		return suites[name]
	}
	for _, f := range found {
		in := suite(cmp.Or(f.Release, o.path(f.File), "workspace"))
		name := f.Rule + " " + f.Object.String()
		if f.Object.Kind == "" {
			name = strings.TrimSpace(f.Rule + " " + f.Path)
		}
		key := [2]string{in.Name, name}
		if cases[key] == nil {
			cases[key] = &junitCase{Name: name, ClassName: in.Name, File: o.path(f.File)}
			in.Cases = append(in.Cases, cases[key])
		}
		cases[key].of = append(cases[key].of, f)
	}
	for _, name := range o.Checked {
		if in := suite(name); len(in.Cases) == 0 {
			in.Cases = append(in.Cases, &junitCase{Name: "no findings", ClassName: name})
		}
	}
	slices.SortStableFunc(all.Suites, func(a, b *junitSuite) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range all.Suites {
		for _, c := range s.Cases {
			c.judge(o)
			s.add(c)
		}
		all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
	}
	_, _ = w.WriteString(xml.Header)
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return fmt.Errorf("print the findings as JUnit: %w", err)
	}
	_ = w.WriteByte('\n')
	return nil
}

// judge says of a case how it ended.
func (c *junitCase) judge(o FindingsOptions) {
	var failures, remarks []string
	for _, f := range c.of {
		text := junitText(f, o)
		switch {
		case f.Ignored != "":
			if c.Skipped == nil {
				c.Skipped = &junitSkipped{f.Ignored}
			}
		case f.Severity == validate.Error:
			if c.Failure == nil {
				c.Failure = &junitFailure{Type: f.Rule, Message: f.Message}
			}
			failures = append(failures, text)
		default:
			remarks = append(remarks, text)
		}
	}
	if c.Failure != nil {
		c.Failure.Text = strings.Join(failures, "\n")
	}
	if c.Failure != nil || remarks != nil {
		c.Skipped = nil // an ignored finding beside others
	}
	c.SystemOut = strings.Join(remarks, "\n")
}

func junitText(f finding, o FindingsOptions) string {
	lines := []string{fmt.Sprintf("%s: %s: %s (%s)", f.place(o), f.Severity, f.Message, f.Rule)}
	lines = append(lines, spot{of: []finding{f}}.where()...)
	if f.Hint != "" {
		lines = append(lines, "hint: "+f.Hint)
	}
	return strings.Join(lines, "\n  ")
}

func (s *junitSuite) add(c *junitCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
}
