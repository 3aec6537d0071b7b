package validate

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// withoutFollowing leaves out findings that follow from others: of a mistake one is
// enough, the one that stands at its place.
func withoutFollowing(found []Finding) []Finding {
	by := causes{}
	for i := range found {
		by.note(&found[i])
	}
	return slices.DeleteFunc(found, func(f Finding) bool { return f.Object.Kind == "" && by.explain(&f) })
}

// causes are findings that others may follow from, by the file that they are in.
type causes map[string][]*cause

// cause is a finding, and the fields that its path leads through.
type cause struct {
	*Finding
	fields []string
	meant  string // the key that a misspelled one probably is, or ""
}

// note takes a finding for a cause. What can be ignored or turned off is none: what
// it has hidden would be there all the same.
func (c causes) note(f *Finding) {
	if f.Severity != Error || f.Object.Kind != "" || f.Rule == "unused-instance" || !fixed(stageRule(f.Rule)) {
		return
	}
	one := &cause{Finding: f, fields: Fields(f.Path)}
	if m := didYouMean.FindStringSubmatch(f.Hint); m != nil && f.Rule == "unknown-key" {
		one.meant = m[1]
		one.fields = append(slices.Clone(one.fields[:max(len(one.fields)-1, 0)]), one.meant)
	}
	c[f.File] = append(c[f.File], one)
}

var (
	didYouMean = regexp.MustCompile(`^did you mean "([^"]+)"`)
	indices    = regexp.MustCompile(`\[[^\]]*\]`)
	ofFriend   = regexp.MustCompile(`\$\{friends\.`)
)

// Fields gives the keys of a path, without the context that it begins with.
func Fields(at string) []string {
	fields := strings.Split(indices.ReplaceAllString(at, ""), ".")
	if len(fields) > 2 && fields[0] == "contexts" {
		fields = fields[2:]
	}
	return fields
}

// explain says whether a finding follows from another one.
func (c causes) explain(f *Finding) bool {
	switch f.Rule {
	case "unused-instance":
		// Who is wrong about a field may have meant any instance of its type.
		list := Fields(f.Path)[0]
		return c.any(f.File, func(o *cause) bool {
			inList := !strings.HasPrefix(o.Path, "contexts") && o.fields[0] == list && o.meant == ""
			return !inList && slices.ContainsFunc(o.fields, func(field string) bool { return isListOf(list, field) })
		})
	case "unknown-instance":
		// The list itself has another name.
		fields := Fields(f.Path)
		return c.any(f.File, func(o *cause) bool {
			return o.meant != "" && !strings.Contains(o.Path, ".") && slices.ContainsFunc(fields, func(field string) bool { return isListOf(o.meant, field) })
		})
	case "unknown-context":
		if f.Path == "contexts" && c.any(source.WorkspaceFile, func(o *cause) bool {
			return o.Rule == f.Rule && o.Context == f.Context && slices.Contains(o.fields, "uses")
		}) {
			return true
		}
		return f.Path == "contexts" && c.any(f.File, func(o *cause) bool {
			return (o.Rule == "required" || o.meant == "contexts" || o.Rule == "wrong-type") && o.fields[0] == "contexts"
		})
	case "unused-context":
		return c.any(f.File, func(o *cause) bool { return o.Rule == "unknown-context" && o.Path == "contexts" })
	case "required", "constraint":
		return c.missing(f)
	case "name":
		return strings.Contains(f.Path, "friends") && c.besides(f)
	case "unknown-output":
		return ofFriend.MatchString(f.Message) && c.any(f.File, func(o *cause) bool { return o.Rule != f.Rule && slices.Contains(o.fields, "friends") })
	case "unknown-friend", "unknown-flavor":
		// The folder that it may be in is not there.
		list := strings.TrimPrefix(f.Rule, "unknown-") + "s"
		return c.any(source.WorkspaceFile, func(o *cause) bool { return o.Rule == "file" && len(o.fields) == 1 && o.fields[0] == list })
	}
	return false
}

func (c causes) any(file string, is func(*cause) bool) bool { return slices.ContainsFunc(c[file], is) }

// isListOf says whether a list holds what a field refers to by name.
func isListOf(list, field string) bool {
	return list == field || list == field+"s" || list == "containers" && (field == "sidecars" || field == "initContainers")
}

// missing says whether a field is missing since its key is misspelled, wherever the
// finding stands: where layers are laid together, it may be at the file of another.
func (c causes) missing(f *Finding) bool {
	if !strings.Contains(f.Message, "missing") && !strings.Contains(f.Message, "is given") {
		return strings.HasSuffix(f.Message, "the map is empty") && c.filled(f)
	}
	if strings.Contains(f.Path, "friends") && c.besides(f) {
		return true
	}
	fields := Fields(f.Path)
	for file, list := range c {
		if file == f.File || path.Base(f.File) == source.WorkspaceFile && path.Base(file) == source.DescriptorFile {
			if slices.ContainsFunc(list, func(o *cause) bool { return o.meant != "" && o.lacks(f, fields) || o.begins(f, fields) }) {
				return true
			}
		}
	}
	return false
}

// filled says whether a map that is said to be empty has keys, which are misspelled.
func (c causes) filled(f *Finding) bool {
	fields := Fields(f.Path)
	return c.any(f.File, func(o *cause) bool {
		above := Fields(o.Path)
		return o.Rule == "unknown-key" && len(above) > 1 && above[len(above)-2] == fields[len(fields)-1]
	})
}

// lacks says whether a finding is about what a misspelled key was to give: the field
// itself or one in it, or a field of an instance, whose path in the context is another.
func (c *cause) lacks(f *Finding, fields []string) bool {
	if c.Context != "" && f.Context != "" && c.Context != f.Context {
		return false // which lacks it by itself
	}
	if c.meant == "extends" {
		return strings.HasPrefix(f.Path, strings.TrimSuffix(c.Path, path.Ext(c.Path))+".")
	}
	if len(c.fields) == 1 {
		return fields[0] == c.meant
	}
	last := fields[len(fields)-1] == c.meant
	return c.File == f.File && (last || slices.Contains(words.FindAllString(f.Message, -1), c.meant) && fields[len(fields)-1] == c.fields[len(c.fields)-2])
}

// begins says whether a key that is not known is the beginning of a missing one beside
// it.
func (c *cause) begins(f *Finding, fields []string) bool {
	n := len(fields)
	if c.Rule != "unknown-key" || c.meant != "" || c.File != f.File || len(c.fields) != n {
		return false
	}
	key := c.fields[n-1]
	return len(key) > 2 && strings.HasPrefix(fields[n-1], key) && slices.Equal(c.fields[:n-1], fields[:n-1])
}

var words = regexp.MustCompile(`[A-Za-z0-9]+`)

// besides says whether the entry of a friend that a finding is about has a field of the
// wrong type, or a misspelled one.
func (c causes) besides(f *Finding) bool {
	return c.any(f.File, func(o *cause) bool {
		return (o.Rule == "wrong-type" || o.meant != "") && o.Line == f.Line && slices.Contains(o.fields, "friends")
	})
}
