package generator

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
)

// MaxFiles bounds the files of one mount, in bytes: a ConfigMap holds no more.
const MaxFiles = 1 << 20

// mountSet collects the volumes of a pod and the chart files they are made of.
type mountSet struct {
	names   []string
	volumes map[string]*source.Value
	from    map[string]*source.Value // the mount that defines the volume
	wanted  map[string]source.Origin // mounts that define none
	files   map[string][]byte
}

// containerMounts writes the mounts of one container and defines their volumes.
func (g *generation) containerMounts(mounts *source.Value, where string) *source.Value {
	out := source.NewMap(mounts.Origin)
	paths := map[string]string{}
	for _, f := range mounts.Fields {
		here := where + "." + f.Key
		m := f.Value
		if !portName.MatchString(f.Key) || len(f.Key) > maxName {
			g.fail("name", f.Origin, here, "use a to z, 0 to 9 and -, at most 63 characters", "%q cannot be a volume's name", f.Key)
			continue
		}
		at := path.Clean(m.Get("path").Str())
		if other, ok := paths[at]; ok {
			g.fail("mount-conflict", m.Get("path").OriginOrNone(), here+".path", "give one of them another path", "%s is mounted at %s as well", other, at)
		}
		paths[at] = f.Key
		v := source.NewMap(m.Origin, source.Field{Key: "path", Value: m.Get("path")})
		if sub := m.Get("subPath"); sub != nil {
			v.Set("subPath", sub)
		}
		switch {
		case m.Has("files"):
			alone := g.fileVolume(f.Key, m, here)
			if alone != "" && !m.Has("subPath") {
				v.Set("subPath", source.NewString(m.Origin, alone))
			}
			v.Set("readOnly", source.NewBool(m.Origin, true))
		case m.Has("volume"):
			g.define(f.Key, m.Get("volume"), m, here)
		default:
			g.want(f.Key, m.Origin)
		}
		if ro := m.Get("readOnly"); ro != nil && !m.Has("files") {
			v.Set("readOnly", ro)
		}
		out.Set(f.Key, v)
	}
	return out
}

func (g *generation) want(name string, at source.Origin) {
	if g.mounts.wanted == nil {
		g.mounts.wanted = map[string]source.Origin{}
	}
	g.mounts.wanted[name] = at
}

// define gives a volume what it is. Mounts of one name share it, in all the
// pod's containers, so they may not disagree.
func (g *generation) define(name string, volume, from *source.Value, where string) {
	if g.mounts.volumes == nil {
		g.mounts.volumes, g.mounts.from = map[string]*source.Value{}, map[string]*source.Value{}
	}
	if before, ok := g.mounts.volumes[name]; ok {
		if !source.Equal(before, volume) {
			g.fail("mount-conflict", from.Origin, where, "give one of them another name", "the volume %s is something else at %s", name, g.mounts.from[name].Origin)
		}
		return
	}
	g.mounts.names = append(g.mounts.names, name)
	g.mounts.volumes[name] = volume
	g.mounts.from[name] = from
}

// volumes writes the pod's volumes: those of the mounts and those of the
// context.
func (g *generation) volumes() *source.Value {
	if own := g.fields.Get("volumes"); own != nil && g.in.Resolved.BuiltIn("volumes") {
		for _, f := range own.Fields {
			if f.Value.Kind != source.Map || len(f.Value.Fields) != 1 {
				g.fail("wrong-type", f.Value.Origin, "volumes."+f.Key, "write {emptyDir: {}}, or another of Kubernetes' volume sources", "a volume has one source")
				continue
			}
			g.define(f.Key, f.Value, f.Value, "volumes."+f.Key)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.mounts.wanted)) {
		if _, ok := g.mounts.volumes[name]; !ok {
			g.fail("required", g.mounts.wanted[name], "mounts."+name, "write files: […] or volume: {emptyDir: {}}", "the mount says neither files nor volume")
		}
	}
	if len(g.mounts.names) == 0 {
		return nil
	}
	slices.Sort(g.mounts.names)
	out := source.NewMap(source.Origin{})
	for _, name := range g.mounts.names {
		out.Set(name, g.mounts.volumes[name])
	}
	return out
}

// fileVolume reads the files of a mount and defines a volume of them: a
// ConfigMap, or a Secret where a credential stands in one of them. It gives the
// name of the file that the mount's path names, or "".
func (g *generation) fileVolume(name string, m *source.Value, where string) (alone string) {
	files, secret, ok := g.readFiles(m, where)
	if !ok {
		return ""
	}
	mountPath := m.Get("path").Str()
	if len(files) == 1 && path.Base(mountPath) != "/" {
		base := path.Base(mountPath)
		if base == files[0].Path || path.Ext(base) != "" && path.Ext(base) == path.Ext(files[0].Path) {
			files[0].Path, alone = base, base
		}
	}
	at := m.Origin
	text, binary := source.NewMap(at), source.NewMap(at)
	size := 0
	for _, f := range files {
		size += len(f.Data)
		chartPath := "files/" + name + "/" + f.Path
		if before, ok := g.mounts.files[chartPath]; ok && string(before) != string(f.Data) {
			g.fail("mount-conflict", m.Origin, where, "give one of the mounts another name", "%s stands twice in the volume %s", f.Path, name)
		}
		if g.mounts.files == nil {
			g.mounts.files = map[string][]byte{}
		}
		g.mounts.files[chartPath] = f.Data
		if utf8.Valid(f.Data) {
			text.Set(f.Path, source.NewString(at, chartPath))
		} else {
			binary.Set(f.Path, source.NewString(at, chartPath))
		}
	}
	if size > MaxFiles {
		g.fail("limit", m.Get("files").Origin, where+".files", "mount a volume instead", "the files have %d KiB together, and a ConfigMap holds at most %d", size>>10, MaxFiles>>10)
	}
	volume := source.NewMap(at)
	kind := "files"
	if secret {
		kind = "secretFiles"
		if len(binary.Fields) > 0 {
			g.fail("credential", m.Origin, where, "mount the binary files apart", "a binary file cannot stand beside one with a credential")
		}
	}
	if len(text.Fields) > 0 {
		volume.Set(kind, text)
	}
	if len(binary.Fields) > 0 {
		volume.Set("binaryFiles", binary)
	}
	if mode := m.Get("mode"); mode != nil {
		n, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimPrefix(mode.Text, "0o"), "0"), 8, 32)
		if err == nil {
			volume.Set("mode", source.NewInt(mode.Origin, int(n)))
		}
	}
	g.define(name, volume, m, where)
	return alone
}

// readFiles reads what the patterns of a mount name.
func (g *generation) readFiles(m *source.Value, where string) (files []File, secret, ok bool) {
	ok = true
	seen := map[string]string{} // names as they are, by names in lower case
	for i, pattern := range m.Get("files").Items {
		here := fmt.Sprintf("%s.files[%d]", where, i)
		names, found := g.match(pattern, here)
		ok = ok && found
		for _, name := range names {
			value := source.NewString(pattern.Origin, name)
			data, read := g.readFile(value, here)
			if !read {
				ok = false
				continue
			}
			key := path.Base(name)
			if !secretKey.MatchString(key) {
				g.fail("name", pattern.Origin, here, "use letters, digits, ., _ and -", "a ConfigMap cannot hold a file named %q", key)
				ok = false
				continue
			}
			if other, found := seen[strings.ToLower(key)]; found {
				message := fmt.Sprintf("two files of the mount are called %s", key)
				if other != key {
					message = fmt.Sprintf("two files of the mount, %s and %s, differ only in case", other, key)
				}
				g.fail("duplicate-name", pattern.Origin, here, "mount them apart", "%s", message)
				ok = false
				continue
			}
			seen[strings.ToLower(key)] = key
			if m.Get("template").True() {
				var marked bool
				data, marked = g.template(data, path.Join(g.in.Resolved.Service.Dir(), name), here)
				if secret = secret || marked; marked {
					g.secrets.inFiles(pattern, here, name)
				}
			}
			files = append(files, File{Path: key, Data: data})
		}
	}
	return files, secret, ok
}

// template substitutes in a file. Credentials become marks that the chart's
// Secret template replaces.
func (g *generation) template(data []byte, file, path string) (out []byte, marked bool) {
	text := g.in.Resolved.Names.Text(file, string(data), path, g.in.Resolved.Vars, func(c descriptor.Credential) string {
		marked = true
		g.secrets.inFile(c.Friend, c.Key)
		if c.Friend == "" {
			return "${{secret:" + c.Key + "}}"
		}
		return "${{credential:" + c.Friend + ":" + c.Key + "}}"
	}, &g.findings)
	return []byte(text), marked
}

// match gives the files that a pattern names: a file, the files of a folder, or
// what a pattern in the sense of path.Match finds.
func (g *generation) match(pattern *source.Value, where string) ([]string, bool) {
	root := g.in.Resolved.Service
	full, ok := g.inTree(pattern, where)
	if !ok {
		return nil, false
	}
	if strings.ContainsAny(pattern.Text, "*?[") {
		names, err := fs.Glob(root.FS, full)
		if err != nil || len(names) == 0 {
			g.fail("file", pattern.Origin, where, "the path is relative to "+g.names(pattern), "no file matches %s", pattern.Text)
			return nil, false
		}
		var out []string
		for _, name := range names {
			// One that cannot be reached is kept: reading it says why.
			if info, err := fs.Stat(root.FS, name); err != nil || !info.IsDir() {
				out = append(out, g.relative(name))
			}
		}
		if len(out) == 0 {
			g.fail("file", pattern.Origin, where, "a pattern names files, and not the folders above them", "only folders match %s", pattern.Text)
			return nil, false
		}
		return out, true
	}
	info, err := fs.Stat(root.FS, full)
	if err != nil || !info.IsDir() {
		return []string{pattern.Text}, true
	}
	entries, err := fs.ReadDir(root.FS, full)
	if err != nil {
		g.failFile(pattern, where, err)
		return nil, false
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			g.fail("file", pattern.Origin, where, "mount the inner folder by itself", "%s has a folder in it, %s, and a ConfigMap has none", pattern.Text, e.Name())
			continue
		}
		out = append(out, path.Join(pattern.Text, e.Name()))
	}
	return out, true
}

// relative gives the path of a file as seen from the descriptor's folder.
func (g *generation) relative(name string) string {
	dir := g.in.Resolved.Service.Dir()
	if dir == "." {
		return name
	}
	if inside, ok := strings.CutPrefix(name, dir+"/"); ok {
		return inside
	}
	return strings.Repeat("../", strings.Count(dir, "/")+1) + name
}

// inTree gives the path of a file in the workspace's tree.
func (g *generation) inTree(name *source.Value, where string) (string, bool) {
	text := name.Str()
	full := path.Join(g.in.Resolved.Service.Dir(), text)
	if text == "" || strings.HasPrefix(text, "/") || !fs.ValidPath(full) {
		g.fail("file", name.Origin, where, "paths are relative to "+g.names(name)+" and stay in the workspace", "the path %q leads out of the workspace", text)
		return "", false
	}
	if source.TreeOf(full) != source.TreeOf(name.Origin.File) {
		g.fail("file", name.Origin, where, "what comes from elsewhere brings its files along, and reads no others", "the path %q leads out of the tree that it stands in", text)
		return "", false
	}
	return full, true
}

// names is the file that a path is relative to: of a friend, the one it stands in.
func (g *generation) names(name *source.Value) string {
	if g.in.Guarded {
		return source.Readable(name.Origin.File)
	}
	return source.Readable(g.in.Resolved.Service.File)
}

// readFile reads a file that a descriptor names.
func (g *generation) readFile(name *source.Value, where string) ([]byte, bool) {
	full, ok := g.inTree(name, where)
	if !ok {
		return nil, false
	}
	data, err := source.ReadFile(g.in.Resolved.Service.FS, full, MaxFiles)
	if err != nil {
		g.failFile(name, where, err)
		return nil, false
	}
	return data, true
}

func (g *generation) failFile(name *source.Value, where string, err error) {
	f := source.FileFinding(name.Text, err)
	var large *source.TooLargeError
	switch {
	case errors.As(err, &large):
		f.Hint = "a chart is no place for it: mount a volume instead"
	case errors.Is(err, fs.ErrNotExist):
		f.Hint = "the path is relative to " + g.names(name)
	}
	g.fail("file", name.Origin, where, f.Hint, "%s: %s", name.Text, f.Message)
}
