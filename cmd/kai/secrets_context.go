package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/build"
	"github.com/helm-kai/helm-kai/internal/report"
	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/source"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

// lengthOf gives how long what is generated for a reference is, 0 for nothing.
func lengthOf(w build.Want, findings *source.Findings) int {
	g := w.Reference.Get("generate")
	if g.IsNull() || w.Other != "" {
		return 0
	}
	l := g.Get("length")
	if l.IsNull() {
		return defaultLength
	}
	length, err := strconv.Atoi(l.Str())
	if err != nil || length < minLength || length > maxLength {
		findings.Add("value", l.Origin, "generate.length", "32 is a good one", "the length must be a whole number from %d to %d", minLength, maxLength)
	}
	return length
}

// The lengths of what is generated.
const (
	defaultLength = 32
	minLength     = 8
	maxLength     = 4096
)

// contextWants makes the charts of a context and gives what they want.
func contextWants(ctx context.Context, a *app, s *storeFlags, p *place, services []string) ([]build.Want, error) {
	if p.target == nil {
		return nil, errors.New("this looks at the services of a context, and none is named\n  hint: -c CONTEXT")
	}
	r, err := walk(ctx, a, s.workspace, selection{contexts: []string{p.target.Context}}, nil, services, 0)
	if err != nil {
		return nil, err
	}
	return build.Wants(r.releases, p.deployment), nil
}

// madeJSON is a generated credential for programs.
type madeJSON struct {
	Key   string `json:"name"`
	State string `json:"state"` // made, or there
}

func newSecretsGenerate(a *app, s *storeFlags) *cobra.Command {
	var f writing
	var output string
	cmd := &cobra.Command{
		Use:   "generate [SERVICE…]",
		Short: "Make the credentials of friends that are not there yet",
		Long: `Makes the credentials that the context's friends ask for with generate: {length: N}: random
letters and digits, written to the store where nothing is there yet, and never shown. It
can be run at any time: what is there stays, and of two runs at the same time one writes.`,
		Example:           a.example("secrets generate -c dev", "secrets generate -c prod carts --dry-run"),
		ValidArgsFunction: s.workspace.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsGenerate(cmd.Context(), a, s, &f, output, args)
		},
	}
	f.addFlags(cmd)
	objectsFlag(cmd, &output)
	return cmd
}

func secretsGenerate(ctx context.Context, a *app, s *storeFlags, f *writing, output string, services []string) error {
	p, err := s.resolve()
	if err != nil {
		return err
	}
	if err := f.check(p); err != nil {
		return err
	}
	all, err := contextWants(ctx, a, s, p, services)
	if err != nil {
		return err
	}
	wanted := map[secrets.Path]map[string]int{}
	var findings source.Findings
	for _, w := range all {
		length := lengthOf(w, &findings)
		if length == 0 {
			continue
		}
		if wanted[w.Key.Path()] == nil {
			wanted[w.Key.Path()] = map[string]int{}
		}
		names := wanted[w.Key.Path()]
		names[w.Key.Name] = max(names[w.Key.Name], length)
	}
	if findings.Err() != nil {
		return findings.Sorted()
	}
	if len(wanted) == 0 {
		fmt.Fprintln(a.stderr, "nothing in this context is to be generated")
	}
	if p, err = a.openWriting(ctx, p, f.dry || len(wanted) == 0); err != nil {
		return err
	}
	defer p.close()
	made, err := makeMissing(ctx, p.store, wanted, p.target.Secrets.Delivery != workspace.DeliverExternal, f.dry)
	if err != nil && len(made) == 0 {
		return err
	}
	if f.dry {
		fmt.Fprintln(a.stderr, "dry run: nothing was written")
	}
	return errors.Join(err, printObjects(a.stdout, output, made, func() error {
		rows := make([][]string, len(made))
		for i, m := range made {
			rows[i] = []string{m.Key, m.State}
		}
		return report.Table(a.stdout, []string{"KEY", "STATE"}, rows)
	}))
}

// makeMissing writes what is missing. What the app global has, is there too, unless
// an app is read alone.
func makeMissing(ctx context.Context, s secrets.Store, wanted map[secrets.Path]map[string]int, global, dry bool) ([]madeJSON, error) {
	made := []madeJSON{}
	var paths []secrets.Path
	for path := range wanted {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b secrets.Path) int { return strings.Compare(a.String(), b.String()) })
	for _, path := range paths {
		all := secrets.Path{Deployment: path.Deployment, App: secrets.Global, Scope: path.Scope}
		shared, err := s.Read(ctx, []secrets.Path{all})
		if err != nil {
			return made, err
		}
		names := wanted[path]
		changes, _, err := secrets.Update(ctx, s, path, dry, func(values map[string]secrets.Value) error {
			for name, length := range names {
				_, own := values[name]
				if _, common := shared[all].Values[name]; own || common && global {
					continue
				}
				v, err := secrets.Random(length)
				if err != nil {
					return err
				}
				values[name] = v
			}
			return nil
		})
		if err != nil {
			return made, err
		}
		fresh := map[string]bool{}
		for _, c := range changes {
			fresh[c.Key.Name] = true
		}
		var sorted []string
		for name := range names {
			sorted = append(sorted, name)
		}
		slices.Sort(sorted)
		for _, name := range sorted {
			state := "there"
			if fresh[name] {
				state = "made"
			}
			made = append(made, madeJSON{placeOf(secrets.Key{App: path.App, Scope: path.Scope, Name: name}), state})
		}
	}
	return made, nil
}

// checkedJSON is a reference for programs.
type checkedJSON struct {
	Release   string `json:"release"`
	Reference string `json:"reference"`
	State     string `json:"state"` // found, missing, wrong: no reference, global: there, where what delivers it does not look, or plain: there, and not encrypted in a file that encrypts others
	At        string `json:"at,omitempty"`
	Version   string `json:"version,omitempty"`
	File      string `json:"file,omitempty"`
	other     bool   // it leads into another store than the context's
}

func newSecretsCheck(a *app, s *storeFlags) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check [SERVICE…]",
		Short: "Check that every reference of a context has a value",
		Long: `Looks up every secret that the services of a context refer to, and says where each one is
found and at which version. No value is shown. Each path is read once.

Where External Secrets delivers them, a key must be in the app that the reference names:
what only the app global has is in the state global.

A reference into another store that cannot be read as one is in the state wrong. What is
the matter with one of those is said beside the table, with its place. -o name prints each
reference once.

What stands in scope secret of a file as plain text, though the file has recipients, is
in the state plain.

Exit codes: 0 all are there, 1 one is missing, wrong or in the state global or plain.`,
		Example:           a.example("secrets check -c prod", "secrets check -c prod carts -o json"),
		ValidArgsFunction: s.workspace.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return secretsCheck(cmd.Context(), a, s, output, args)
		},
	}
	objectsFlag(cmd, &output)
	return cmd
}

func secretsCheck(ctx context.Context, a *app, s *storeFlags, output string, services []string) error {
	p, err := s.resolve()
	if err != nil {
		return err
	}
	all, err := contextWants(ctx, a, s, p, services)
	if err != nil {
		return err
	}
	defer p.close()
	checked, err := checkWants(ctx, a, s, p, all)
	if err != nil {
		return err
	}
	global := countState(checked, "global")
	var shown any = checked
	if output == "name" {
		names := make([]string, len(checked))
		for i, c := range checked {
			names[i] = c.Reference
		}
		shown = uniqueNames(names)
	}
	err = printObjects(a.stdout, output, shown, func() error {
		rows := make([][]string, len(checked))
		for i, c := range checked {
			rows[i] = []string{c.Release, c.Reference, c.State, c.At, c.Version}
		}
		return report.Table(a.stdout, []string{"RELEASE", "REFERENCE", "STATE", "AT", "VERSION"}, rows)
	})
	switch {
	case err != nil:
		return err
	case countState(checked, "found") < len(checked):
		if global > 0 {
			fmt.Fprintf(a.stderr, "%d of %d references name an app, and only the app global has a value, where External Secrets does not look\n  hint: write {secret: KEY, app: global} in the descriptor, or give the app its own: %s secrets set -c %s APP.SCOPE.KEY\n",
				global, len(checked), a.as, p.target.Context)
		}
		if own := countOf(checked, func(c checkedJSON) bool { return c.State == "missing" && !c.other }); own > 0 {
			fmt.Fprintf(a.stderr, "%d of %d references have no value in the deployment %s (%s)\n  hint: %s secrets set -c %s APP.SCOPE.KEY writes one, generate makes those of friends\n",
				own, len(checked), p.deployment, p.name(a), a.as, p.target.Context)
		}
		if countState(checked, "plain") > 0 {
			if err := a.sayPlain(ctx, p); err != nil {
				return err
			}
		}
		if others := countOf(checked, func(c checkedJSON) bool { return c.State != "found" && c.other }); others > 0 {
			fmt.Fprintf(a.stderr, "%d of %d references lead elsewhere and cannot be read, see above\n", others, len(checked))
		}
		return &saidError{code: exitFailed}
	case len(checked) == 0:
		fmt.Fprintln(a.stderr, "nothing in this context refers to a secret")
	}
	return nil
}

// checkWants looks each secret up; of references into other stores, only whether
// they can be read is kept.
func checkWants(ctx context.Context, a *app, s *storeFlags, p *place, all []build.Want) ([]checkedJSON, error) {
	docs, others, err := readWants(ctx, a, p, all)
	if err != nil {
		return nil, err
	}
	read, wrong := build.References(p.target, a.access(p.dir, p.target, &s.cluster)).Resolve(ctx, others)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	states := map[string]string{}
	var findings source.Findings
	for _, e := range wrong {
		message, hint, _ := strings.Cut(e.Error(), "\n  hint: ")
		for _, text := range e.Refs {
			states[text] = "missing"
			if e.Offset >= 0 {
				states[text] = "wrong"
			}
		}
		for _, w := range all {
			if slices.Contains(e.Refs, w.Other) {
				findings.Add("reference", w.Reference.Get("secret").OriginOrNone(), w.Release, hint, "%s: %s", w.Other, message)
			}
		}
	}
	if len(findings) > 0 {
		fmt.Fprintln(a.stderr, findings.Sorted().Error())
	}
	plain, err := p.plainKeys(ctx)
	if err != nil {
		return nil, err
	}
	checked := make([]checkedJSON, len(all))
	for i, w := range all {
		c := checkedJSON{Release: w.Release, Reference: placeOf(w.Key), State: "missing", File: w.Reference.OriginOrNone().String()}
		if w.Other != "" {
			c.Reference, c.other, c.State = w.Other, true, states[w.Other]
			if _, ok := read[w.Other]; ok {
				c.State = "found"
			}
		} else {
			c.find(p, w.Key, docs, plain)
		}
		checked[i] = c
	}
	return checked, nil
}

// readWants reads the paths of the context's store that are wanted, and the app
// global's where an app lacks a key. What is wanted of other stores comes back as
// it was written; the store is opened where anything is left.
func readWants(ctx context.Context, a *app, p *place, all []build.Want) (docs map[secrets.Path]secrets.Doc, others []string, err error) {
	docs = map[secrets.Path]secrets.Doc{}
	var keys []secrets.Key
	for _, w := range all {
		if w.Other != "" {
			others = append(others, w.Other)
		} else {
			keys = append(keys, w.Key)
		}
	}
	if len(keys) == 0 {
		return docs, others, nil
	}
	if _, err := a.openPlace(ctx, p, false); err != nil {
		return nil, nil, err
	}
	for _, of := range []func(secrets.Key) secrets.Key{func(k secrets.Key) secrets.Key { return k }, globalOf} {
		var paths []secrets.Path
		var lacking []secrets.Key
		for _, k := range keys {
			if path := of(k).Path(); !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
		read, err := p.store.Read(ctx, paths)
		if err != nil {
			return nil, nil, err
		}
		maps.Copy(docs, read)
		for _, k := range keys {
			if _, ok := read[k.Path()].Values[k.Name]; !ok {
				lacking = append(lacking, k)
			}
		}
		if keys = lacking; len(keys) == 0 {
			break
		}
	}
	return docs, others, nil
}

func countState(checked []checkedJSON, state string) int {
	return countOf(checked, func(c checkedJSON) bool { return c.State == state })
}

func countOf(checked []checkedJSON, is func(checkedJSON) bool) int {
	n := 0
	for _, c := range checked {
		if is(c) {
			n++
		}
	}
	return n
}

// find says where a key is found: in its app, or in the one that all read but an
// operator.
func (c *checkedJSON) find(p *place, wanted secrets.Key, docs map[secrets.Path]secrets.Doc, plain map[secrets.Key]bool) {
	for _, k := range []secrets.Key{wanted, globalOf(wanted)} {
		if _, ok := docs[k.Path()].Values[k.Name]; ok {
			c.State, c.At = "found", placeOf(k)
			if k != wanted && p.target.Secrets.Delivery == workspace.DeliverExternal {
				c.State = "global"
			}
			if plain[k] {
				c.State = "plain"
			}
			if p.store.Can().History {
				c.Version = docs[k.Path()].Version
			}
			return
		}
	}
}

func globalOf(k secrets.Key) secrets.Key {
	k.App = secrets.Global
	return k
}
