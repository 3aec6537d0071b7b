package vault

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Access says what somebody is to be allowed.
type Access struct {
	KV         KV // its version is 2 where it is 0
	Deployment string
	Apps       []string // none are all; secrets.Global, which every app reads, is read beside them
	Scopes     []string // none are all
	Write      bool     // also change and delete, and see the history
	List       bool     // also list the deployment's paths
	Paths      []string // of the API, that references read
	// Transit is given where Vault encrypts scope secret for another store.
	Transit *TransitKeys
}

// Policy gives the least that an access needs, as a policy of Vault in HCL. What
// it needs beside, every token has by the policy default: to ask for the mount,
// and to renew itself.
func Policy(a Access) string {
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
		a.kv(&b, app, write)
		a.transit(&b, app, write)
	}
	for _, path := range a.Paths {
		line(&b, path, "read")
	}
	return b.String()
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
	scopes := a.Scopes
	if len(scopes) == 0 {
		scopes = secrets.Scopes()
	}
	for _, scope := range scopes {
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
	if a.Transit == nil {
		return
	}
	name := a.Transit.name(a.Deployment, app)
	if app == "+" {
		// A plus is only for a whole segment, a star for any end.
		name, _, _ = strings.Cut(a.Transit.name(a.Deployment, "\x00"), "\x00")
		name += "*"
	}
	line(b, a.Transit.mount()+"/decrypt/"+name, "update")
	if write {
		line(b, a.Transit.mount()+"/encrypt/"+name, "create", "update")
		line(b, a.Transit.mount()+"/keys/"+name, "read")
	}
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
