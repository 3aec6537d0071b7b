package generator

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// What is given and would come to nothing is found here: nobody would notice.

// checkDropped finds settings that no object of the chart would have.
func (g *generation) checkDropped() {
	if g.in.Resolved.BuiltIn("patches") {
		g.checkPatches(g.fields.Get("patches"))
	}
	if g.in.Resolved.BuiltIn("labels") {
		g.checkOwnLabels(g.fields.Get("labels"))
	}
	if g.in.Resolved.BuiltIn("security") {
		g.checkUser(g.fields.Get("security"), g.fields.Get("security"), "security")
	}
	g.checkRolling()
}

// checkPatches finds patches for objects that the flavor does not give.
func (g *generation) checkPatches(patches *source.Value) {
	kinds, all := g.in.Templates.patched(g.in.Resolved.Flavor)
	if !all {
		return
	}
	if g.in.Resolved.Takes("perNode") {
		other := "daemonset"
		if g.fields.Get("perNode").True() {
			other = "deployment"
		}
		kinds = slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool { return kind == other })
	}
	for _, f := range patches.FieldsOrNone() {
		if slices.Contains(kinds, f.Key) || path.Base(f.Origin.File) == source.WorkspaceFile {
			continue // the workspace's are for services of other flavors as well
		}
		hint := "it gives " + strings.Join(kinds, ", ")
		if near := source.Closest(f.Key, kinds); near != "" {
			hint = fmt.Sprintf("did you mean %q? %s", near, hint)
		}
		g.fail("unknown-key", f.Origin, "patches."+f.Key, hint, "the flavor %s gives no %s to be patched", g.in.Resolved.Flavor.Name, f.Key)
	}
}

var (
	patchCall = regexp.MustCompile(`(?:include|template)\s+"kai\.patched"`)
	patchKind = regexp.MustCompile(`"kind"\s+"([^"]*)"`)
)

// patchedKinds gives the kinds that templates ask patches for, sorted, and whether
// these are all: a template may compute the kind, or read the patches itself.
func patchedKinds(own []File, flavor *descriptor.Flavor) (kinds []string, all bool) {
	all = true
	read := func(data []byte, library bool) {
		calls := patchCall.Split(string(data), -1)
		for _, call := range calls[1:] {
			call, _, _ = strings.Cut(call, "}}")
			kind := patchKind.FindStringSubmatch(call)
			if kind == nil {
				all = false
				continue
			}
			kinds = append(kinds, kind[1])
		}
		if !library && strings.Contains(string(data), "patches") {
			all = false
		}
	}
	for _, f := range own {
		read(f.Data, true)
	}
	for _, f := range flavor.Files {
		if strings.HasPrefix(f.Path, "templates/") {
			read(f.Data, f.Library)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds), all
}

// checkOwnLabels finds labels of the pods that the chart sets itself.
func (g *generation) checkOwnLabels(labels *source.Value) {
	type label struct{ value, why string }
	own := map[string]label{
		"app.kubernetes.io/name":     {g.in.Name, ", by which Services find the pods"},
		"app.kubernetes.io/instance": {"the name of the release", ", by which Services find the pods"},
	}
	if version := appVersion(g.fields.Get("image")); version != "" {
		own["app.kubernetes.io/version"] = label{version, ", as the image says"}
	}
	if g.in.Workspace != "" {
		own["app.kubernetes.io/part-of"] = label{g.in.Workspace, ", the name of the workspace"}
	}
	for _, f := range labels.FieldsOrNone() {
		if is, ok := own[f.Key]; ok && !f.Value.IsNull() && f.Value.Str() != is.value {
			g.fail("constraint", f.Origin, "labels."+f.Key, "leave it out: it is "+is.value+is.why, "the chart sets the label %s itself", f.Key)
		}
	}
}

// checkUser finds a container that no node would start: one of user 0 that may not
// be root. pod is what the pod says, which holds where the container says nothing.
func (g *generation) checkUser(security, pod *source.Value, here string) {
	user := security.Get("runAsUser")
	if n, ok := user.Int(); !ok || n != 0 {
		return
	}
	nonRoot := security.Get("runAsNonRoot")
	if nonRoot.IsNull() {
		nonRoot = pod.Get("runAsNonRoot")
	}
	if nonRoot.True() {
		g.fail("constraint", user.Origin, here+".runAsUser", "write runAsNonRoot: false beside it if it has to be root, or another user",
			"no node starts a container as user 0 while runAsNonRoot is true, as %s says", nonRoot.Origin)
	}
}

// checkRolling finds settings of rolling updates where updates do not roll.
func (g *generation) checkRolling() {
	kind := g.fields.At("updates", "type")
	rolling := g.fields.At("updates", "rollingUpdate")
	kinds, _ := g.in.Templates.patched(g.in.Resolved.Flavor)
	rolls := slices.ContainsFunc(kinds, func(kind string) bool { return kind == "deployment" || kind == "statefulset" || kind == "daemonset" })
	if !rolls || kind.Str() != "Recreate" && kind.Str() != "OnDelete" {
		return // a flavor may have types of its own
	}
	for _, f := range rolling.FieldsOrNone() {
		if f.Value.IsNull() || f.Value.Origin == g.in.Resolved.Flavor.Defaults.At("updates", "rollingUpdate", f.Key).OriginOrNone() {
			continue
		}
		g.fail("constraint", f.Origin, "updates.rollingUpdate."+f.Key, "leave it out, or write rollingUpdate: null beside the type, or type: RollingUpdate",
			"%s is for rolling updates, and the type is %s, of %s", f.Key, kind.Str(), kind.Origin)
	}
}
