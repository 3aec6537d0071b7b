package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/lock"
	"github.com/helm-kai/helm-kai/internal/remote"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// sourceFlags say how what stands elsewhere is got.
type sourceFlags struct {
	offline bool
	cache   string
}

func (f *sourceFlags) addFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.BoolVar(&f.offline, "offline", false, "take flavors, friends and charts of other places from the cache alone (KAI_OFFLINE)")
	flags.StringVar(&f.cache, "cache", "", "folder of the cache of flavors, friends and charts (KAI_CACHE; default: kai, in the user's cache)")
	_ = cmd.MarkPersistentFlagDirname("cache")
}

// fetcher gives what gets sources. Nothing is touched before it is asked.
func (w *workspaceFlags) fetcher(offline bool) (*remote.Fetcher, error) {
	a := w.app
	offline = offline || w.sources.offline
	if text := a.getenv("KAI_OFFLINE"); text != "" {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("KAI_OFFLINE=%q: is neither true nor false", text)
		}
		offline = offline || on
	}
	dir, err := w.cacheDir()
	if err != nil {
		return nil, &noCacheError{err}
	}
	o := remote.Options{Cache: dir, Offline: offline, Registries: a.registryLogins(), Repositories: a.helmConfig("HELM_REPOSITORY_CONFIG", "repositories.yaml"), Environ: os.Environ()}
	if base, ok := http.DefaultTransport.(*http.Transport); ok {
		o.Transport = base.Clone() // it takes proxies from the environment
	}
	return remote.New(o)
}

// cacheDir gives the folder of the cache: what the flag or KAI_CACHE says, which is
// absolute, or else kai in the user's own.
func (w *workspaceFlags) cacheDir() (string, error) {
	if w.sources.cache != "" {
		return filepath.Abs(w.sources.cache)
	}
	// As with XDG_CACHE_HOME: whoever sets a variable does not know the folder that
	// each command is called in.
	if dir := w.app.getenv("KAI_CACHE"); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("KAI_CACHE is %q, and has to be an absolute path", dir)
		}
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "kai"), nil
}

// noCacheError says that nobody knows where the cache is.
type noCacheError struct{ cause error }

func (e *noCacheError) Error() string {
	return fmt.Sprintf("there is no folder for the cache: %s\n  hint: --cache DIR, or KAI_CACHE", e.cause)
}

// registryLogins gives the files that helm registry login and docker login write.
func (a *app) registryLogins() []string {
	files := []string{a.helmConfig("HELM_REGISTRY_CONFIG", "registry/config.json")}
	dir := a.getenv("DOCKER_CONFIG")
	if home, err := os.UserHomeDir(); dir == "" && err == nil {
		dir = filepath.Join(home, ".docker")
	}
	if dir != "" {
		files = append(files, filepath.Join(dir, "config.json"))
	}
	kept := files[:0]
	for _, file := range files {
		if file != "" {
			kept = append(kept, file)
		}
	}
	return kept
}

// helmConfig gives a file of Helm's: what the variable names, or else its place in
// Helm's folder.
func (a *app) helmConfig(variable, name string) string {
	if file := a.getenv(variable); file != "" {
		return file
	}
	if dir := a.getenv("HELM_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, filepath.FromSlash(name))
	}
	dir, err := os.UserConfigDir()
	if home, found := os.UserHomeDir(); runtime.GOOS == "darwin" && found == nil && a.getenv("XDG_CONFIG_HOME") == "" {
		dir, err = filepath.Join(home, "Library", "Preferences"), nil
	}
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "helm", filepath.FromSlash(name))
}

// without gives nothing, where there is no place for a cache. Who uses nothing from
// elsewhere needs none.
type without struct{ err error }

// Tree says why there is nothing.
func (w without) Tree(context.Context, remote.Source, remote.Pin) (fs.FS, error) { return nil, w.err }

// Resolve says why there is nothing.
func (w without) Resolve(context.Context, remote.Source, remote.Pin) (remote.Pin, error) {
	return remote.Pin{}, w.err
}

// watched says on a terminal what is got, where that is not in the cache.
type watched struct {
	*remote.Fetcher
	offline *remote.Fetcher
	app     *app
}

// watch gives a fetcher that says what it does, where somebody looks.
func (w *workspaceFlags) watch(offline bool) (lock.Resolver, error) {
	f, err := w.fetcher(offline)
	if missing := (*noCacheError)(nil); errors.As(err, &missing) {
		return without{err}, nil
	}
	if err != nil {
		return nil, err
	}
	if _, is := terminal(w.app.stderr); !is {
		return f, nil
	}
	cached, err := w.fetcher(true)
	if err != nil {
		return nil, err
	}
	return &watched{f, cached, w.app}, nil
}

// Tree gives the files of a pin.
func (f *watched) Tree(ctx context.Context, s remote.Source, pin remote.Pin) (fs.FS, error) {
	if tree, err := f.offline.Tree(ctx, s, pin); err == nil {
		return tree, nil
	}
	fmt.Fprintf(f.app.stderr, "getting %s\n", s)
	return f.Fetcher.Tree(ctx, s, pin)
}

// Resolve asks what a source stands for.
func (f *watched) Resolve(ctx context.Context, s remote.Source, locked remote.Pin) (remote.Pin, error) {
	fmt.Fprintf(f.app.stderr, "asking %s\n", s)
	return f.Fetcher.Resolve(ctx, s, locked)
}

// openPinned opens the workspace in a tree of files, with the kai.lock of that
// tree. Those who only look around are not held to what it says of the library.
func (w *workspaceFlags) openPinned(fsys fs.FS, lenient bool) (*workspace.Workspace, source.Findings, error) {
	ctx, completing := w.ctx, w.ctx == nil
	if completing {
		ctx = context.Background() // nobody waits for a network at the tab key
	}
	getter, err := w.watch(completing)
	if err != nil {
		return nil, nil, err
	}
	file, broken := lock.Read(fsys)
	pinned := lock.NewPinned(ctx, file, getter)
	if lenient {
		pinned = pinned.Lenient()
	}
	ws, findings := workspace.OpenWith(fsys, pinned)
	return ws, append(findings, broken...), nil
}
