package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/git"
	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// scope is what is validated: all, or some services and shared friends.
type scope struct {
	all   bool
	names map[string]bool // of services and of shared friends
	files map[string]bool // that were named, of which some are friends'
	used  map[string]bool // flavors and friends that have been followed
	// unsure are arguments that may be names of shared friends, which are known only
	// when all charts are made.
	unsure []string
	// beside are services that are looked at as well, since those of names speak of
	// them; of them nothing is said.
	beside map[string]bool
}

func newScope() *scope {
	return &scope{names: map[string]bool{}, files: map[string]bool{}, used: map[string]bool{}, beside: map[string]bool{}}
}

func (s *scope) has(name string) bool { return s.all || s.names[name] }

// hasFile says whether a file, or a folder above it, was named.
func (s *scope) hasFile(file string) bool {
	for at := file; ; at = path.Dir(at) {
		if s.all || s.files[at] {
			return true
		}
		if at == "." || at == "/" {
			return false
		}
	}
}

// among gives the services whose charts are made; nil is all.
func (s *scope) among() map[string]bool {
	if s.all || len(s.unsure) > 0 {
		return nil
	}
	both := maps.Clone(s.names)
	maps.Copy(both, s.beside)
	return both
}

// mentions tells which services a file belongs to, by what the files of the workspace
// say: names and paths in their texts. It may name a service too many, and none too
// few.
type mentions struct {
	ws    *workspace.Workspace
	dirs  map[string]string   // service by the folder of its descriptor
	texts map[string][]string // who has a text, by the text
	paths map[string][]string // who has a path, by where it leads
	globs []globOf
}

type globOf struct{ pattern, who string }

// everyone stands for the workspace's file among those who mention something.
const everyone = "*"

func newMentions(ws *workspace.Workspace) *mentions {
	m := &mentions{ws: ws, dirs: map[string]string{}, texts: map[string][]string{}, paths: map[string][]string{}}
	for _, s := range ws.Services {
		m.dirs[s.Dir()] = s.Name
		m.read(s.Root(), s.Name, s.Dir())
	}
	if root, _ := source.ReadYAML(ws.FS, workspace.FileName); root != nil {
		for _, f := range root.Fields {
			if f.Key != "services" && f.Key != "flavors" && f.Key != "friends" {
				m.read(f.Value, everyone, ".")
			}
		}
	}
	// A flavor or friend is known by its name, and what it mentions belongs to those
	// who mention it.
	for _, name := range ws.FlavorNames() {
		if f, _ := ws.Flavor(source.NewString(source.Origin{}, name)); f != nil && !f.BuiltIn && source.TreeOf(f.Dir) == "" {
			root, _ := source.ReadYAML(ws.FS, f.File())
			m.read(root, name, f.Dir)
		}
	}
	for _, name := range ws.FriendNames() {
		if f, _ := ws.Friend(source.NewString(source.Origin{}, name), false); f != nil && !ws.IsLibrary(f) && source.TreeOf(f.File) == "" {
			root, _ := source.ReadYAML(ws.FS, f.File)
			m.read(root, name, path.Dir(f.File))
		}
	}
	return m
}

// read notes the texts below a value.
func (m *mentions) read(v *source.Value, who, dir string) {
	if v.IsScalar() {
		text := v.Text
		m.note(m.texts, text, who)
		if strings.ContainsAny(text, "/.") && !strings.Contains(text, "://") {
			if strings.ContainsAny(text, "*?[") {
				m.globs = append(m.globs, globOf{path.Join(dir, text), who})
			} else {
				m.note(m.paths, path.Join(dir, text), who)
			}
		}
	}
	for _, f := range v.FieldsOrNone() {
		m.read(f.Value, who, dir)
	}
	for _, item := range v.ItemsOrNone() {
		m.read(item, who, dir)
	}
}

func (m *mentions) note(in map[string][]string, key, who string) {
	if list := in[key]; len(list) == 0 || list[len(list)-1] != who {
		in[key] = append(list, who)
	}
}

// owner gives the service in whose folder a file lies, or "".
func (m *mentions) owner(file string) string {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if name, ok := m.dirs[dir]; ok {
			return name
		}
		if dir == "." || dir == "/" {
			return ""
		}
	}
}

// of gives the services that a file belongs to: by its folder, or since they, or the
// flavors and friends that they use, mention it. A folder stands for all in it.
func (m *mentions) of(file string, s *scope) {
	switch {
	case file == workspace.FileName || file == lock.FileName || file == ".":
		s.all = true
		return
	case m.owner(file) != "":
		s.names[m.owner(file)] = true
	}
	s.files[file] = true
	for dir, name := range m.dirs {
		if dir == file || strings.HasPrefix(dir, file+"/") {
			s.names[name] = true
		}
	}
	for at := file; at != "." && at != "/"; at = path.Dir(at) {
		for _, who := range m.paths[at] {
			if who != everyone || at == file { // a folder of versions concerns one service at a time
				m.add(who, s)
			}
		}
		if m.isFlavor(at, file) {
			m.use(path.Base(at), s)
		}
	}
	for _, g := range m.globs {
		if ok, err := path.Match(g.pattern, file); ok && err == nil {
			m.add(g.who, s)
		}
	}
	if ext := path.Ext(file); ext == ".yaml" && m.owner(file) == "" {
		name := strings.TrimSuffix(path.Base(file), ext)
		if m.ws.Service(name) != nil { // a version file
			s.names[name] = true
		}
		if name+ext == descriptor.FileName {
			name = path.Base(path.Dir(file)) // of a service that is gone
		}
		m.use(name, s)
	}
}

// isFlavor says whether a folder above a file is, or was, a flavor.
func (m *mentions) isFlavor(dir, file string) bool {
	if dir == path.Dir(file) && path.Base(file) == descriptor.FlavorFile {
		return true
	}
	_, err := fs.Stat(m.ws.FS, path.Join(dir, descriptor.FlavorFile))
	return err == nil
}

// add adds one who mentions what is touched.
func (m *mentions) add(who string, s *scope) {
	switch {
	case who == everyone:
		s.all = true
	case m.ws.Service(who) != nil:
		s.names[who] = true
	default:
		m.use(who, s)
	}
}

// use adds all who use a flavor or a friend.
func (m *mentions) use(name string, s *scope) {
	if s.used[name] {
		return
	}
	s.used[name] = true
	s.names[name] = true // a shared friend's release is called so
	for _, who := range m.texts[name] {
		m.add(who, s)
	}
}

// callers adds the services that speak of one.
func (m *mentions) callers(s *scope) {
	for _, name := range slices.Collect(maps.Keys(s.names)) {
		for _, who := range m.texts[name] {
			if m.ws.Service(who) != nil {
				s.names[who] = true
			}
		}
	}
}

// besides adds those that the services of a scope speak of.
func (m *mentions) besides(s *scope) {
	for text, whos := range m.texts {
		if !s.names[text] && m.ws.Service(text) != nil && slices.ContainsFunc(whos, func(who string) bool { return s.names[who] }) {
			s.beside[text] = true
		}
	}
}

// scopeOf gives what the arguments and --changed choose.
func (f *validateFlags) scopeOf(ctx context.Context, a *app, m *mentions, dir string, args []string) (*scope, error) {
	s := newScope()
	s.all = len(args) == 0 && f.changed == ""
	var gone []error
	for _, arg := range args {
		if m.ws.Service(arg) != nil {
			s.names[arg] = true
			continue
		}
		file, err := a.inWorkspace(dir, arg)
		switch {
		case err != nil:
			fmt.Fprintf(a.stderr, "%s: %s, and is passed over\n", arg, err)
		case file == "": // the name of a shared friend, or a mistake
			s.names[arg] = true
			s.unsure = append(s.unsure, arg)
		case !m.thereOrDeleted(ctx, dir, file):
			gone = append(gone, nothingAt(dir, file, arg))
		default:
			m.of(m.made(file), s)
		}
	}
	if len(gone) > 0 {
		return nil, errors.Join(gone...)
	}
	if f.changed != "" {
		files, err := git.Changed(ctx, dir, f.changed)
		if err != nil {
			return nil, fmt.Errorf("--changed: %w", err)
		}
		for _, file := range files {
			if m.made(file) == file {
				m.of(file, s)
			}
		}
		m.callers(s)
	}
	m.besides(s)
	return s, nil
}

// thereOrDeleted says whether there is a file or folder, or was before somebody deleted
// it: then the index or the last commit has it, or, below a service that is still there,
// a commit before. All else is a typing error.
func (m *mentions) thereOrDeleted(ctx context.Context, dir, file string) bool {
	_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(file)))
	return err == nil || git.Knows(ctx, dir, file, m.owner(file) != "")
}

// nothingAt says that there is nothing of a path, and what was probably meant.
func nothingAt(dir, file, arg string) error {
	entries, _ := os.ReadDir(filepath.Join(dir, filepath.FromSlash(path.Dir(file))))
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	hint := "name a service, or a file or folder that is there, or that git knows as deleted"
	if best := source.Closest(path.Base(file), names); best != "" {
		hint = fmt.Sprintf("did you mean %q?", path.Join(path.Dir(file), best))
	}
	return fmt.Errorf("there is no file or folder %s, and none that was deleted\n  hint: %s", arg, hint)
}

// made gives the service's folder for a file of a chart that kai has made, and else
// the file.
func (m *mentions) made(file string) string {
	for at := path.Dir(file); at != "." && at != "/"; at = path.Dir(at) {
		if _, err := fs.Stat(m.ws.FS, path.Join(at, ".kai.sha256")); err != nil {
			continue
		}
		for dir, name := range m.dirs {
			if name == path.Base(at) {
				return dir
			}
		}
		return at
	}
	return file
}

var errOutside = errors.New("lies outside of the workspace")

// inWorkspace gives the path of a file or folder from the workspace's root, with
// slashes; "" is no path but a name. It need not be there: git names files that are
// deleted.
func (a *app) inWorkspace(dir, arg string) (string, error) {
	here, err := a.getwd()
	if err != nil {
		return "", err
	}
	full := arg
	if !filepath.IsAbs(full) {
		full = filepath.Join(here, arg)
	}
	if _, err := os.Lstat(full); err != nil && !strings.ContainsAny(arg, `/.\`) {
		return "", nil
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	file, err := filepath.Rel(root, throughLinks(full))
	if err != nil || !filepath.IsLocal(file) {
		return "", errOutside
	}
	return filepath.ToSlash(file), nil
}

// throughLinks follows the links in the folders of a path as far as these are there.
func throughLinks(full string) string {
	rest := filepath.Base(full)
	for dir := filepath.Dir(full); ; dir = filepath.Dir(dir) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == filepath.Dir(dir) {
			return full
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}
