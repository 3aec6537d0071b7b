package main

import (
	"context"
	"fmt"

	"github.com/helm-kai/helm-kai/internal/secrets"
	"github.com/helm-kai/helm-kai/internal/secrets/file"
)

// plain gives the values of scope secret that stand plain in a store of a file which
// has recipients; another store has none.
func (p *place) plain(ctx context.Context) ([]file.Plain, error) {
	if p.store == nil {
		return nil, nil
	}
	kept, ok := p.inner().(*file.Store)
	if !ok {
		return nil, nil
	}
	all, err := kept.Plain(ctx)
	for i := range all {
		all[i].Deployment = p.deployment
	}
	return all, err
}

// plainKeys gives their keys.
func (p *place) plainKeys(ctx context.Context) (map[secrets.Key]bool, error) {
	all, err := p.plain(ctx)
	keys := make(map[secrets.Key]bool, len(all))
	for _, one := range all {
		keys[one.Key] = true
	}
	return keys, err
}

// sayPlain says which values stand plain. No command but rotate-key changes those: it
// may be that others are to write them anew first.
func (a *app) sayPlain(ctx context.Context, p *place) error {
	all, err := p.plain(ctx)
	for _, one := range all {
		fmt.Fprintf(a.stderr, "warning: %s:%d: %s stands there plain, though the file has recipients\n", a.near(p.file()), one.At.Line, placeOf(one.Key))
	}
	if len(all) > 0 {
		fmt.Fprintf(a.stderr, "  hint: %s secrets rotate-key encrypts it; who has seen the file knows the value\n", a.as)
	}
	return err
}
