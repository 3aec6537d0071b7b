package main

import (
	"context"
	"maps"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/secrets"
)

// versionJSON is a version for programs.
type versionJSON struct {
	Version string `json:"version"`
	Time    string `json:"time,omitempty"`
	Current bool   `json:"current"`
}

func newSecretsHistory(a *app, s *storeFlags) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "history APP.SCOPE",
		Aliases: []string{"hist"},
		Short:   "Show the versions of an app's scope",
		Long: `Shows the versions of an app's scope, newest first, and which one counts. get --at shows a
value of one, rollback goes back to it. Databases and Vault keep versions; a file and
Kubernetes keep none.`,
		Example:           a.example("secrets history -c prod carts.secret"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completePlaces(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsHistory(cmd.Context(), a, s, output, args[0])
		},
	}
	objectsFlag(cmd, &output)
	return cmd
}

func secretsHistory(ctx context.Context, a *app, s *storeFlags, output, arg string) error {
	p, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer p.close()
	path, err := pathArg(arg, p.deployment)
	if err != nil {
		return err
	}
	past, err := secrets.Past(p.store)
	if err != nil {
		return err
	}
	docs, err := past.History(ctx, path)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return absent(ctx, p.closed(), p.deployment, secrets.Pattern{App: path.App, Scope: path.Scope})
	}
	// What was deleted has no version that counts.
	now, err := p.closed().Read(ctx, []secrets.Path{path})
	if err != nil {
		return err
	}
	all := make([]versionJSON, len(docs))
	for i, doc := range docs {
		all[i] = versionJSON{Version: doc.Version, Current: doc.Version == now[path].Version}
		if !doc.Time.IsZero() {
			all[i].Time = timeText(doc.Time)
		}
	}
	return printObjects(a.stdout, output, all, func() error {
		rows := make([][]string, len(all))
		for i, v := range all {
			current := ""
			if v.Current {
				current = "current"
			}
			rows[i] = []string{v.Version, v.Time, current}
		}
		return report.Table(a.stdout, []string{"VERSION", "WRITTEN", "STATE"}, rows)
	})
}

func newSecretsRollback(a *app, s *storeFlags) *cobra.Command {
	var f writing
	var output string
	cmd := &cobra.Command{
		Use:   "rollback APP.SCOPE VERSION",
		Short: "Bring an app's scope back to an older version",
		Long: `Writes what an app's scope was at VERSION, which history shows, as a new version, and says
which keys that changes. Nothing is lost: the versions between stay.`,
		Example:           a.example("secrets rollback -c prod carts.secret 3 --dry-run", "secrets rollback -c prod carts.secret 3"),
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: s.completePlaces(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsRollback(cmd.Context(), a, s, &f, output, args[0], args[1])
		},
	}
	f.addFlags(cmd)
	objectsFlag(cmd, &output)
	return cmd
}

func secretsRollback(ctx context.Context, a *app, s *storeFlags, f *writing, output, arg, version string) error {
	p, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer p.close()
	path, err := pathArg(arg, p.deployment)
	if err != nil {
		return err
	}
	if err := f.check(p); err != nil {
		return err
	}
	past, err := secrets.Past(p.store)
	if err != nil {
		return err
	}
	old, err := past.At(ctx, path, version)
	if err != nil {
		return err
	}
	changes, _, err := secrets.Update(ctx, p.store, path, f.dry, func(values map[string]secrets.Value) error {
		clear(values)
		maps.Copy(values, old.Values)
		return nil
	})
	return finish(a, output, changes, f.dry, err)
}
