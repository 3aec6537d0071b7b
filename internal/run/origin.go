package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// origin is where environments come from: a store, and the copy of what it had.
type origin struct {
	config  Config
	world   World
	offline *copyFile
	store   secrets.Store // nil until it could be opened
	idle    chan struct{} // closed when nobody reads the store any more; nil if nobody ever did
	said    string        // of the copy, so that it is said once
}

// close closes the store. One that does not answer is left to the end of the
// process.
func (o *origin) close() {
	if o.idle != nil {
		select {
		case <-o.idle:
		case <-time.After(time.Second):
			return
		}
	}
	if o.store != nil {
		_ = o.store.Close()
		o.store = nil
	}
}

// read asks the store once.
func (o *origin) read(ctx context.Context) (map[secrets.Path]secrets.Doc, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if o.store == nil {
		store, err := o.world.Open(ctx, o.config)
		if err != nil {
			return nil, err
		}
		o.store = store
	}
	docs, err := o.store.Read(ctx, o.config.asked())
	if err != nil {
		return nil, err
	}
	if more := o.config.fallback(docs); len(more) > 0 {
		shared, err := o.store.Read(ctx, more)
		if err != nil {
			return nil, err
		}
		all := make(map[secrets.Path]secrets.Doc, len(docs)+len(shared))
		maps.Copy(all, docs)
		maps.Copy(all, shared)
		return all, nil
	}
	return docs, nil
}

// build makes an environment of what was read, and keeps a copy of that if it is
// good.
func (o *origin) build(docs map[secrets.Path]secrets.Doc) (*Environment, error) {
	env, err := Build(o.config, docs)
	if err != nil || o.offline == nil {
		return env, err
	}
	said := ""
	if err := o.offline.save(o.config, docs); err != nil {
		said = fmt.Sprintf("warning: the copy for --offline-ok could not be kept: %v", err)
	}
	if said != "" && said != o.said {
		o.world.say("%s", said)
	}
	o.said = said
	return env, nil
}

// first asks the store until it answers, for as long as --retry says, and then
// takes the copy.
func (o *origin) first(ctx context.Context) (*Environment, error) {
	end := time.Now().Add(o.config.Retry)
	pause, said := firstPause, ""
	for {
		docs, err := o.read(ctx)
		if err == nil {
			return o.build(docs)
		}
		wait := jitter(pause)
		if ctx.Err() != nil || o.lasting(err) {
			return nil, err
		}
		if time.Now().Add(wait).After(end) {
			return o.copied(err)
		}
		if text := err.Error(); text != said {
			o.world.say("asking again: %s", text)
			said = text
		}
		if !sleep(ctx, wait) {
			return nil, err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// lasting says whether a store will say the same however often it is asked: what
// names it is wrong, a key is, or it is a file, which is never away.
func (o *origin) lasting(err error) bool {
	var setting interface{ Lasting() bool }
	var sealed *secrets.SealedError
	return errors.As(err, &setting) && setting.Lasting() || errors.As(err, &sealed) || o.store != nil && o.store.Can().Name == "file"
}

// copied takes the copy where the store has failed with err.
func (o *origin) copied(err error) (*Environment, error) {
	if o.offline == nil {
		return nil, err
	}
	docs, when, bad := o.offline.load()
	if bad != nil {
		return nil, fmt.Errorf("%w\n%w", err, bad)
	}
	o.world.say("warning: starting with the copy of %s: %v", when, err)
	return Build(o.config, docs)
}

// watch asks the store again and again and sends an environment where it is
// another one than that sent before. What fails is said once, and asked again
// ever more seldom.
func (o *origin) watch(ctx context.Context, have [32]byte) <-chan *Environment {
	news := make(chan *Environment)
	o.idle = make(chan struct{})
	go func() {
		defer close(o.idle)
		pause, said := o.config.Interval, ""
		for sleep(ctx, jitter(pause)) {
			env, err := o.next(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				if text := err.Error(); text != said {
					o.world.say("going on as it is: %s", text)
					said = text
				}
				pause = min(2*pause, max(longest, o.config.Interval))
				continue
			case said != "":
				o.world.say("the store answers again")
				said = ""
			}
			pause = o.config.Interval
			if now := env.digest(o.config.NoWatchGlobal); now != have {
				select {
				case news <- env:
					have = now
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return news
}

func (o *origin) next(ctx context.Context) (*Environment, error) {
	docs, err := o.read(ctx)
	if err != nil {
		return nil, err
	}
	return o.build(docs)
}

// jitter gives a time that is up to a tenth shorter or longer, so that many runs
// do not ask at once.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

// sleep waits, and says whether it was not for ctx that it ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
