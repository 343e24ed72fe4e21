package s3

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many versions are read, held or deleted at the same time.
const atOnce = 8

// each calls task for every version and delete marker of the named objects, in order. If task returns a function, each runs it, up to
// atOnce at the same time. It ends at the first error.
func (s *Store) each(ctx context.Context, name string, task func(minio.ObjectInfo) func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for v, err := range s.versions(ctx, name) {
		if err != nil {
			g.Go(func() error { return err })
			break
		}
		if do := task(v); do != nil {
			g.Go(func() error { return do(ctx) })
		}
	}
	return g.Wait()
}

// versions yields all versions and delete markers of the named objects by key, for one key the newest first. Some may come twice,
// also after a greater key: after a lost page, and because versitygw repeats the end of a page. It ends at the first error, which it
// yields without a version.
func (s *Store) versions(ctx context.Context, name string) iter.Seq2[minio.ObjectInfo, error] {
	return func(yield func(minio.ObjectInfo, error) bool) {
		l := listing{s: s, object: s.prefix + name, yield: yield}
		for {
			err := l.run(ctx)
			if l.over {
				return
			}
			var answer minio.ErrorResponse
			l.failed++
			switch {
			case err == nil:
				return
			case errors.As(err, &answer) && answer.StatusCode == http.StatusNotImplemented && !l.plain:
				l.plain = true // a service without versions: its list of objects has everything
				continue
			case classify(err) == passing && l.failed < tries:
				err = pause(ctx, l.failed)
			}
			if err != nil {
				yield(minio.ObjectInfo{}, err)
				return
			}
		}
	}
}

// listing is a list of versions that continues where it was interrupted.
type listing struct {
	s      *Store
	object string // exactly this key; if it ends with a slash, all keys that begin with it
	plain  bool   // without versions
	yield  func(minio.ObjectInfo, error) bool
	over   bool // yield returned false

	key, before string // greatest key that was yielded, and the one before it
	failed      int    // runs without a greater key
}

// run requests one page after another, from the last key on.
func (l *listing) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(requestTimeout, func() { cancel(errStalled) })
	defer silence.Stop()
	opts := minio.ListObjectsOptions{
		Prefix: l.object, Recursive: true, WithVersions: !l.plain, StartAfter: l.before, MaxKeys: l.s.versionPage, FetchOwner: new(bool),
	}
	for v := range l.s.core.ListObjectsIter(ctx, l.s.bucket, opts) {
		silence.Stop() // the work on v may take long
		switch {
		case v.Err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case v.Err != nil:
			return v.Err
		case !strings.HasSuffix(l.object, "/") && v.Key != l.object:
			return nil // the first key that only begins with object
		}
		if v.Key > l.key {
			l.before, l.key, l.failed = l.key, v.Key, 0
		}
		v.IsLatest = v.IsLatest || l.plain
		if l.over = !l.yield(v, nil); l.over {
			return nil
		}
		silence.Reset(requestTimeout)
	}
	return context.Cause(ctx)
}
