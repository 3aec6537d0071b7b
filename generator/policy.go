package generator

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/helm-kai/helm-kai/internal/source"
)

// friendLabels lists the friends whose labels the pods carry, so that the
// friends' policies admit them.
func (g *generation) friendLabels() *source.Value {
	out := source.NewList(source.Origin{})
	for _, f := range g.in.Friends {
		if f.Object != "" && !f.External {
			out.Items = append(out.Items, source.NewString(source.Origin{Because: "the friend " + f.Name}, f.Object))
		}
	}
	if len(out.Items) == 0 {
		return nil
	}
	sort.Slice(out.Items, func(i, j int) bool { return out.Items[i].Text < out.Items[j].Text })
	return out
}

// networkPolicy writes who may call the pods, and whom they may call.
func (g *generation) networkPolicy() *source.Value {
	at := source.Origin{Because: "the friends"}
	if v := g.fields.Get("networkPolicy"); v != nil && !v.True() {
		return source.NewBool(v.Origin, false)
	}
	names := func(list []string) *source.Value {
		list = slices.Clone(list)
		slices.Sort(list)
		out := source.NewList(at)
		for _, n := range slices.Compact(list) {
			out.Items = append(out.Items, source.NewString(at, n))
		}
		return out
	}
	var open, metrics []string
	exposed := false
	for _, r := range g.routes {
		if r.kind == "LoadBalancer" || r.kind == "NodePort" {
			open = append(open, r.name)
		}
		if r.name == "metrics" || strings.HasSuffix(r.name, "-metrics") {
			metrics = append(metrics, r.name)
		}
		exposed = exposed || r.exposed
	}
	monitoring := g.in.Monitoring
	if g.in.Guarded && len(metrics) == 0 {
		monitoring = nil
	}
	if len(monitoring) == 0 {
		metrics = nil
	}
	var gateways []string
	if exposed {
		for _, namespace := range g.doors {
			if namespace == "" {
				// Nobody says where the gateway's pods are: let its traffic in.
				for _, r := range g.routes {
					if r.exposed && !slices.Contains(open, r.name) {
						open = append(open, r.name)
					}
				}
				continue
			}
			gateways = append(gateways, namespace)
		}
	}
	// The release's own namespace is always admitted.
	callers := slices.DeleteFunc(slices.Clone(g.in.Callers), func(n string) bool { return n == g.in.Namespace })
	out := source.NewMap(at, source.Field{Key: "namespaces", Value: names(callers)})
	for _, part := range []struct {
		key  string
		list []string
	}{{"open", open}, {"gateways", gateways}, {"monitoring", monitoring}, {"metrics", metrics}} {
		if len(part.list) > 0 {
			out.Set(part.key, names(part.list))
		}
	}
	egress := source.NewList(at)
	for _, f := range g.in.Friends {
		if f.Object != "" || f.External {
			egress.Items = append(egress.Items, friendEgress(f))
		}
	}
	for i, item := range g.fields.Get("egress").ItemsOrNone() {
		if e := g.egress(item, fmt.Sprintf("egress[%d]", i)); e != nil {
			egress.Items = append(egress.Items, e)
		}
	}
	egress.Items = append(egress.Items, g.storeEgress()...)
	if len(egress.Items) > 0 {
		out.Set("egress", egress)
	}
	return out
}

func friendEgress(f Friend) *source.Value {
	at := source.Origin{Because: "the friend " + f.Name}
	e := source.NewMap(at, source.Field{Key: "name", Value: source.NewString(at, f.Name)})
	if f.External {
		if len(f.CIDRs) > 0 {
			list := source.NewList(at)
			for _, c := range f.CIDRs {
				list.Items = append(list.Items, source.NewString(at, c))
			}
			e.Set("cidrs", list)
		}
	} else {
		if f.Namespace != "" {
			e.Set("namespace", source.NewString(at, f.Namespace))
		}
		labels := source.NewMap(at)
		for _, key := range slices.Sorted(maps.Keys(f.PodLabels)) {
			labels.Set(key, source.NewString(at, f.PodLabels[key]))
		}
		e.Set("podLabels", labels)
	}
	ports := source.NewList(at)
	for _, p := range f.Ports {
		ports.Items = append(ports.Items, source.NewMap(at,
			source.Field{Key: "port", Value: source.NewInt(at, p.Number)},
			source.Field{Key: "protocol", Value: source.NewString(at, p.Protocol)}))
	}
	if len(ports.Items) > 0 {
		e.Set("ports", ports)
	}
	return e
}

// private are the address ranges that are not the internet: RFC 1918, RFC 4193.
var private4, private6 = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}, []string{"fc00::/7"}

// egress writes one entry of what a context may call beside its friends.
func (g *generation) egress(item *source.Value, path string) *source.Value {
	at := item.Origin
	target, ports := item, (*source.Value)(nil)
	if item.Kind == source.Map {
		onlyKeys(g, item, path, "to", "ports")
		target = item.Get("to")
		ports = item.Get("ports")
	}
	name := target.Str()
	e := source.NewMap(at, source.Field{Key: "name", Value: source.NewString(at, name)})
	block := func(cidr string, except ...string) *source.Value {
		b := source.NewMap(at, source.Field{Key: "cidr", Value: source.NewString(at, cidr)})
		if len(except) > 0 {
			list := source.NewList(at)
			for _, x := range except {
				list.Items = append(list.Items, source.NewString(at, x))
			}
			b.Set("except", list)
		}
		return source.NewMap(at, source.Field{Key: "ipBlock", Value: b})
	}
	switch name {
	case "internet":
		e.Set("to", source.NewList(at, block("0.0.0.0/0", private4...), block("::/0", private6...)))
	case "cluster":
		e.Set("to", source.NewList(at, source.NewMap(at, source.Field{Key: "namespaceSelector", Value: source.NewMap(at)})))
	case "kubernetes":
		// The API server is no pod, and its address is the cluster's own matter.
		e.Set("to", source.NewList(at, block("0.0.0.0/0"), block("::/0")))
		if ports == nil {
			ports = source.NewList(at, source.NewInt(at, 443), source.NewInt(at, 6443))
		}
	default:
		if _, err := netip.ParsePrefix(name); err != nil {
			g.fail("constraint", at, path, "write kubernetes, internet, cluster, or a CIDR such as 10.1.0.0/16", "%q is nothing that a policy can name", name)
			return nil
		}
		e.Set("to", source.NewList(at, block(name)))
	}
	if ports != nil {
		list := source.NewList(at)
		for _, p := range ports.ItemsOrNone() {
			if n, ok := p.Int(); !ok || n < 1 || n > 65535 {
				g.fail("wrong-type", p.Origin, path+".ports", "write ports: [443]", "a port is a number from 1 to 65535")
				continue
			}
			list.Items = append(list.Items, source.NewMap(at,
				source.Field{Key: "port", Value: p}, source.Field{Key: "protocol", Value: source.NewString(at, "TCP")}))
		}
		e.Set("ports", list)
	}
	return e
}

// objects adds the user's manifests to the chart as files that a template
// prints.
func (g *generation) objects() *source.Value {
	out := source.NewList(source.Origin{})
	seen, taken := map[string]bool{}, map[string]bool{} // files, and their paths in the chart in lower case
	for i, item := range g.fields.Get("objects").ItemsOrNone() {
		here := fmt.Sprintf("objects[%d]", i)
		file, substitute := item, false
		if item.Kind == source.Map {
			onlyKeys(g, item, here, "file", "template")
			file, substitute = item.Get("file"), item.Get("template").True()
		}
		if !file.IsScalar() {
			g.fail("wrong-type", item.Origin, here, "write a file's path, or {file: PATH, template: true}", "expected a manifest file, got %s", item.Kind)
			continue
		}
		names, ok := g.match(file, here)
		if !ok {
			continue
		}
		for _, name := range names {
			data, ok := g.readFile(source.NewString(file.Origin, name), here)
			if !ok {
				continue
			}
			if substitute {
				var marked bool
				if data, marked = g.template(data, path.Join(g.in.Resolved.Service.Dir(), name), here); marked {
					g.fail("credential", file.Origin, here, "refer to the friend's Secret by name", "a credential cannot be written into a manifest")
				}
			}
			g.checkManifest(path.Join(g.in.Resolved.Service.Dir(), name), data, file.Origin, here)
			if seen[path.Clean(name)] {
				g.fail("duplicate-name", file.Origin, here, "keep one of the two", "the file %s stands here twice", name)
				continue
			}
			seen[path.Clean(name)] = true
			chartPath := path.Join("files/objects", strings.ReplaceAll(name, "/", "-"))
			if folded := strings.ToLower(chartPath); taken[folded] {
				chartPath = path.Join("files/objects", digest(name)+path.Ext(name))
			}
			taken[strings.ToLower(chartPath)] = true
			g.put(chartPath, data)
			out.Items = append(out.Items, source.NewMap(file.Origin, source.Field{Key: "path", Value: source.NewString(file.Origin, chartPath)}))
		}
	}
	if len(out.Items) == 0 {
		return nil
	}
	return out
}

// checkManifest says where a file added as it is is no manifest.
func (g *generation) checkManifest(name string, data []byte, at source.Origin, path string) {
	line := 0 // before the document
	for i, doc := range source.Documents(data) {
		v, findings := source.ParseYAML(name, doc)
		for _, f := range findings {
			f.Origin.Line += line
			f.Path = path
			g.findings = append(g.findings, f)
		}
		if len(findings) > 0 {
			return
		}
		before := line
		line += bytes.Count(doc, []byte("\n"))
		if v.IsNull() {
			continue
		}
		if v.Get("apiVersion").Str() == "" || v.Get("kind").Str() == "" || v.At("metadata", "name").Str() == "" {
			at, hint := v.Origin, "it needs apiVersion, kind and metadata.name"
			if list := v.Get("kind"); strings.HasSuffix(list.Str(), "List") && v.Get("items") != nil {
				at, hint = list.Origin, "write each of its items as a document of its own, with --- between them"
			} else if metadata := v.Get("metadata"); v.Get("apiVersion").Str() != "" && list.Str() != "" && !metadata.IsNull() {
				at = metadata.Origin
			}
			at.Line += before
			g.fail("manifest", at, path, hint, "document %d of %s is no Kubernetes object", i+1, name)
		}
	}
}
