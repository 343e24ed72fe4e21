package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// measureSessions measures what a page costs where few sessions are and where many are, and the start with many.
func measureSessions(ctx context.Context, b *bench, of build) (figures, error) {
	few, err := b.among(ctx, of, b.size.of(100, 4))
	if err != nil {
		return nil, err
	}
	many, err := b.among(ctx, of, b.size.of(10_000, 20))
	if err != nil {
		return nil, err
	}
	return figures{
		"few": few["cpu"], "many": many["cpu"], "growth": many["cpu"] / few["cpu"], "start": many["start"], "start-memory": many["start-memory"],
	}, nil
}

// among starts a build where so many sessions are, and has it process faxes.
func (b *bench) among(ctx context.Context, of build, sessions int) (f figures, err error) {
	dir, err := b.state(ctx, of, sessions)
	if err != nil {
		return nil, err
	}
	r, err := b.start(of, embeddedIn(of, dir), nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	memory, err := r.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	if f, err = r.process20(ctx, b, b.size.of(20, 1)); err != nil {
		return nil, err
	}
	f["start"], f["start-memory"] = r.began.Seconds(), memory
	return f, r.stop() // in order, so that the next start finds the same work as this one
}

// state is a directory with so many closed sessions of 10 small pages. It is made once, by the build of the working tree, which is
// the faster one, and copied for the other.
func (b *bench) state(ctx context.Context, of build, sessions int) (string, error) {
	name := func(of build) string { return fmt.Sprintf("%s-%d", of.name, sessions) }
	if dir, ok := b.states[name(of)]; ok {
		return dir, nil
	}
	dir := filepath.Join(b.dir, name(of))
	if err := b.makeState(ctx, b.now, dir, sessions); err != nil {
		return "", err
	}
	for _, one := range b.builds {
		b.states[name(one)] = dir
		if one != b.now {
			b.states[name(one)] += "-copy"
			if _, err := output(ctx, "", "cp", "-a", dir, dir+"-copy"); err != nil {
				return "", err
			}
		}
	}
	return b.states[name(of)], nil
}

// makeState has a build process so many faxes of 10 small pages. What is not compared costs less.
func (b *bench) makeState(ctx context.Context, of build, dir string, sessions int) (err error) {
	const pages, step = 10, 500
	start := time.Now()
	r, err := b.start(of, embeddedIn(of, dir), nil, "--reconcile=off")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	fax, err := b.work.small(pages)
	if err != nil {
		return err
	}
	faxes := named(fax, r.prefix, sessions)
	for done := 0; done < sessions; done += step { // not all at once: nothing is to be in the way of anything
		part := faxes[done:min(done+step, sessions)]
		if _, err := r.post(ctx, senders, r.webhooks(part)); err != nil {
			return err
		}
		if err := r.events.await(ctx, session.TypeDocAssembled, done+len(part)); err != nil {
			return err
		}
	}
	fmt.Fprintf(b.progress, "state of %d sessions made in %.0f s\n", sessions, time.Since(start).Seconds())
	return r.stop()
}
