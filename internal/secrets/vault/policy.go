package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Access says what somebody is to be allowed.
type Access struct {
	KV         KV // its version is 2 where it is 0
	Deployment string
	Apps       []string // none are all; secrets.Global, which every app reads, is read beside them
	Scopes     []string // none are all
	// Only leaves out an app's scope where it says false; nil leaves out none.
	Only  func(app, scope string) bool
	Write bool     // also change and delete, and see the history
	List  bool     // also list the deployment's paths
	Paths []string // of the API, that references read
	// Transit is given where Vault encrypts scope secret for another store. With
	// NoKV that keeps the values, and nothing of KV is allowed.
	Transit *TransitKeys
	NoKV    bool
}

// Policy gives the least that an access needs, as a policy of Vault in HCL. What it
// needs beside: to ask for the mount, which every token may that may do anything below
// it, and for who stays, to look itself up and to renew itself, which the policy
// default allows. It is an error where a name would be a pattern in a policy, and
// allow more than it says.
func Policy(a Access) (string, error) {
	if err := a.check(); err != nil {
		return "", err
	}
	if a.KV.Version == 1 {
		a.Write = false // kai does not write that
	}
	var b strings.Builder
	title := "reads"
	if a.Write {
		title = "reads and writes"
	}
	fmt.Fprintf(&b, "# %s the secrets of the deployment %s\n", title, a.Deployment)
	apps := slices.Sorted(slices.Values(a.Apps))
	switch {
	case len(apps) == 0:
		apps = []string{"+"} // any one segment
	case !slices.Contains(apps, secrets.Global):
		apps = append(apps, secrets.Global)
	}
	for _, app := range slices.Compact(apps) {
		// What all apps read, changes who names it.
		write := a.Write && (app != secrets.Global || slices.Contains(a.Apps, app))
		if !a.NoKV {
			a.kv(&b, app, write)
		}
		a.transit(&b, app, write)
	}
	for _, path := range a.Paths {
		line(&b, path, "read")
	}
	return b.String(), nil
}

// check finds names that a policy would take for patterns.
func (a Access) check() error {
	mount, prefix := a.KV.places()
	names := append([]string{mount, prefix, a.Deployment}, a.Apps...)
	names = append(append(names, a.Scopes...), a.Paths...)
	if a.Transit != nil {
		names = append(names, a.Transit.mount(), a.Transit.Name)
		if before, _, by := strings.Cut(a.Transit.name(a.Deployment, "\x00"), "\x00"); len(a.Apps) == 0 && by && before == "" {
			return &Error{Text: "no policy names the keys of all apps: their names begin with the app", Hint: "name the apps"}
		}
	}
	for _, name := range names {
		if strings.ContainsAny(name, "+*") || strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(strings.NewReplacer("{deployment}", "", "{app}", "").Replace(name), "{{") {
			return &Error{Text: fmt.Sprintf("%.200q cannot be named by a policy of Vault: it would be a pattern there, and allow more", name), Hint: "rename it, or write the policy by hand"}
		}
	}
	return nil
}

// scopes gives those of an app that are allowed.
func (a Access) scopes(app string) []string {
	scopes := slices.Clone(a.Scopes)
	if len(scopes) == 0 {
		scopes = secrets.Scopes()
	}
	return slices.DeleteFunc(scopes, func(scope string) bool { return a.Only != nil && !a.Only(app, scope) })
}

func (a Access) kv(b *strings.Builder, app string, write bool) {
	at := func(what string, parts ...string) string {
		mount, prefix := a.KV.places()
		return folder(append([]string{mount, what, prefix, a.Deployment}, parts...)...)
	}
	data, metadata := "data", "metadata"
	if a.KV.Version == 1 {
		data, metadata = "", ""
	}
	for _, scope := range a.scopes(app) {
		if write {
			line(b, at(data, app, scope), "create", "read", "update")
			line(b, at("delete", app, scope), "update")
		} else {
			line(b, at(data, app, scope), "read")
		}
		if (write || a.List) && a.KV.Version != 1 {
			line(b, at(metadata, app, scope), "read")
		}
	}
	if a.List {
		// The deployment's line comes with each app's, and counts once.
		if all := rule(at(metadata)+"/", []string{"list"}); !strings.Contains(b.String(), all) {
			b.WriteString(all + "\n")
		}
		line(b, at(metadata, app)+"/", "list")
	}
}

func (a Access) transit(b *strings.Builder, app string, write bool) {
	if a.Transit == nil || !slices.Contains(a.scopes(app), secrets.Secret) {
		return
	}
	name := a.Transit.name(a.Deployment, app)
	if app == "+" {
		// A plus is only for a whole segment, a star for any end.
		before, _, by := strings.Cut(a.Transit.name(a.Deployment, "\x00"), "\x00")
		if name = before; by {
			name += "*"
		}
	}
	line(b, a.Transit.mount()+"/decrypt/"+name, "update")
	if write {
		line(b, a.Transit.mount()+"/encrypt/"+name, "create", "update")
		line(b, a.Transit.mount()+"/keys/"+name, "read")
	}
}

// APIPath gives the path of Vault's API that Read reads for a path, MOUNT/PATH as
// vault kv has it. Vault is asked where it is mounted.
func (c *Client) APIPath(ctx context.Context, path string) (string, error) {
	place, _, err := c.place(ctx, path)
	return place, err
}

func line(b *strings.Builder, path string, capabilities ...string) {
	b.WriteString(rule(path, capabilities) + "\n")
}

// rule is a line of a policy.
func rule(path string, capabilities []string) string {
	quoted := make([]string, len(capabilities))
	for i, c := range capabilities {
		quoted[i] = `"` + c + `"`
	}
	return fmt.Sprintf(`path "%s" { capabilities = [%s] }`, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path), strings.Join(quoted, ", "))
}
