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
		if ctx.Err() != nil || o.lasting(err) || denied(err) {
			return nil, err // also where there is a copy: who lost the right has lost it
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

// denied says whether a store has answered, and refuses who asks: a token that is
// wrong, has ended or was revoked, or a right that was taken away.
func denied(err error) bool {
	var said interface{ Denied() bool }
	return errors.As(err, &said) && said.Denied()
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

// refused stands for all errors that deny something.
const refused = "denied"

// watch asks the store again and again and sends an environment where it is
// another one than that sent before. What fails is said once, and asked again
// ever more seldom where it is the store.
func (o *origin) watch(ctx context.Context, have [32]byte) <-chan *Environment {
	news := make(chan *Environment)
	o.idle = make(chan struct{})
	go func() {
		defer close(o.idle)
		pause, away, wrong := o.config.Interval, "", ""
		for sleep(ctx, jitter(pause)) {
			docs, err := o.read(ctx)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				// Of several paths that are denied, the first one differs.
				kind := err.Error()
				if denied(err) {
					kind = refused
				}
				if kind != away {
					o.world.say("going on as it is: %v", err)
				}
				away = kind
				pause = min(2*pause, max(longest, o.config.Interval))
				continue
			}
			pause = o.config.Interval
			switch away {
			case "":
			case refused:
				o.world.say("the store may be read again")
			default:
				o.world.say("the store answers again")
			}
			away = ""
			env, err := o.build(docs)
			if err != nil {
				if text := err.Error(); text != wrong {
					o.world.say("going on as it is: %s", text)
					wrong = text
				}
				continue
			}
			if wrong != "" {
				o.world.say("what the store holds can be used again")
				wrong = ""
			}
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
