package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// workspaceFlags find the workspace that a command works on.
type workspaceFlags struct {
	app     *app
	dir     string
	sources sourceFlags
	ctx     context.Context // of the command; nil while the shell completes
}

// root gives the folder of the workspace: the nearest one upwards that has a
// kai-workspace.yaml, or else a kai.yaml.
func (w *workspaceFlags) root() (string, error) {
	if w.dir != "" {
		info, err := os.Stat(w.dir)
		switch {
		case err != nil:
			return "", fmt.Errorf("--workspace %s: %w", w.dir, reason(err))
		case !info.IsDir():
			return "", fmt.Errorf("--workspace %s: is no folder", w.dir)
		}
		return w.dir, nil
	}
	here, err := w.app.getwd()
	if err != nil {
		return "", err
	}
	for _, name := range []string{workspace.FileName, descriptor.FileName} {
		for dir := here; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return dir, nil
			}
			if filepath.Dir(dir) == dir {
				break
			}
		}
	}
	return "", fmt.Errorf("there is neither %s nor %s here or above\n  hint: %s init writes one, --workspace names a folder", descriptor.FileName, workspace.FileName, w.app.as)
}

// reason drops the operation and the path of an error that names them already.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// open reads the workspace, with its kai.lock. Paths cannot leave its folder, links
// included.
func (w *workspaceFlags) open() (*workspace.Workspace, string, source.Findings, error) {
	return w.openAs(false)
}

func (w *workspaceFlags) openAs(lenient bool) (*workspace.Workspace, string, source.Findings, error) {
	fsys, dir, err := w.tree()
	if err != nil {
		return nil, "", nil, err
	}
	ws, findings, err := w.openIn(fsys, lenient)
	return ws, dir, findings, err
}

// tree gives the workspace's files, and where they are.
func (w *workspaceFlags) tree() (fs.FS, string, error) {
	dir, err := w.root()
	if err != nil {
		return nil, "", err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, "", err
	}
	return root.FS(), dir, nil
}

// openIn reads the workspace in a tree; where there is none, the error says why.
func (w *workspaceFlags) openIn(fsys fs.FS, lenient bool) (*workspace.Workspace, source.Findings, error) {
	ws, findings, err := w.openPinned(fsys, lenient)
	if err != nil {
		return nil, nil, err
	}
	if ws == nil {
		return nil, findings, findings.Sorted()
	}
	return ws, findings.Sorted(), nil
}

// selection chooses contexts and releases.
type selection struct {
	contexts []string
	all      bool
	selector string
}

func (s *selection) addFlags(cmd *cobra.Command, w *workspaceFlags) {
	f := cmd.Flags()
	f.StringSliceVarP(&s.contexts, "context", "c", nil, "context of kai, such as dev or prod (several: -c dev,prod or -c dev -c prod)")
	f.BoolVar(&s.all, "all-contexts", false, "all contexts")
	f.StringVarP(&s.selector, "selector", "l", "", "only what has these labels: name, kind (service, dependency), flavor, context, and the pods' labels")
	cmd.MarkFlagsMutuallyExclusive("context", "all-contexts")
	_ = cmd.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return w.names((*workspace.Workspace).ContextNames), cobra.ShellCompDirectiveNoFileComp
	})
}

// names completes from the workspace; where it cannot be read there is nothing
// to offer.
func (w *workspaceFlags) names(list func(*workspace.Workspace) []string) []string {
	ws, _, _, err := w.open()
	if err != nil {
		return nil
	}
	return list(ws)
}

// completeServices completes the names of services.
func (w *workspaceFlags) completeServices(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return w.names((*workspace.Workspace).ServiceNames), cobra.ShellCompDirectiveNoFileComp
}

// servicesArg wants the names of services: at least min, and at most max where that is
// not 0.
func servicesArg(min, max int, usage string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < min:
			return fmt.Errorf("say which service is meant\n  hint: %s", usage)
		case max > 0 && len(args) > max:
			return fmt.Errorf("one service at a time, and there are %d: %s\n  hint: %s", len(args), strings.Join(args, ", "), usage)
		}
		return nil
	}
}

// choose gives the contexts that the flags ask for.
func (s *selection) choose(a *app, ws *workspace.Workspace) ([]string, error) {
	return s.chooseFrom(a, ws.ContextNames())
}

func (s *selection) chooseFrom(a *app, known []string) ([]string, error) {
	if s.all {
		return known, nil
	}
	if len(known) == 0 {
		return nil, errors.New("the workspace has no contexts\n  hint: write contexts: [{name: dev}] in " + workspace.FileName)
	}
	if len(s.contexts) == 0 {
		if len(known) == 1 {
			return known, nil
		}
		return nil, fmt.Errorf("say which context is meant\n  hint: -c %s, or --all-contexts", strings.Join(known, ", -c "))
	}
	for _, name := range s.contexts {
		if slices.Contains(known, name) {
			continue
		}
		hint := source.Nearest(name, known)
		if a.as == "kubectl kai" {
			hint += "; a context of kubeconfig is given with --kube-context"
		}
		return nil, fmt.Errorf("there is no context %q\n  hint: %s", name, hint)
	}
	var once []string // in the order that was given
	for _, name := range s.contexts {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	return once, nil
}

// matcher gives what the selector and the named services choose; nil is all.
func (s *selection) matcher(services []string) (func(map[string]string) bool, error) {
	if s.selector == "" && len(services) == 0 {
		return nil, nil
	}
	selector, err := labels.Parse(s.selector)
	if err != nil {
		return nil, fmt.Errorf("--selector %q: %w\n  hint: -l name=carts, -l 'flavor in (webservice,worker)'", s.selector, err)
	}
	return func(have map[string]string) bool {
		return selector.Matches(labels.Set(have)) && (len(services) == 0 || slices.Contains(services, have["name"]))
	}, nil
}
