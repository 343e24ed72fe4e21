package s3

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/storage"
)

// atOnce is how many versions are looked at, held or deleted at the same time.
const atOnce = 8

// each calls task for every version and delete marker of the named objects, in order, and runs what it returns, unless nil, with up to
// 7 others. It ends at the first error.
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

// versions yields all versions and delete markers of the named objects by key, and of one key the newest first. Some may come again,
// also after a greater key: after a page that was lost, and because versitygw repeats what is at the end of a page. It ends at the first
// error, which is yielded without a version.
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
				l.plain = true // a service without versions: its list of objects is all there is
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

// listing is a list of versions that goes on where it was interrupted.
type listing struct {
	s      *Store
	object string // exactly, or with a slash at its end whatever begins so
	plain  bool   // without versions
	yield  func(minio.ObjectInfo, error) bool
	over   bool // yield has seen enough

	key, before string // greatest key that was yielded, and the one before it
	failed      int    // runs without a greater key
}

// run asks for one page after another, from the last key on.
func (l *listing) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(requestTimeout, func() { cancel(errStalled) })
	defer silence.Stop()
	opts := minio.ListObjectsOptions{
		Prefix: l.object, Recursive: true, WithVersions: !l.plain, StartAfter: l.before, MaxKeys: l.s.versionPage, FetchOwner: new(bool),
	}
	for v := range l.s.core.ListObjectsIter(ctx, l.s.bucket, opts) {
		silence.Stop() // what is done with v may take its time
		switch {
		case v.Err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case v.Err != nil:
			return v.Err
		case !strings.HasSuffix(l.object, "/") && v.Key != l.object:
			return nil // the first of the keys that only begin so
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

// objectLock is whether the bucket has Object Lock, once it was asked.
type objectLock struct {
	mu    sync.Mutex
	has   bool // for ever
	asked time.Time
}

// locks reports whether the bucket has Object Lock. One that has it keeps it; one that has none can be given it, so a no stands for a
// minute.
func (s *Store) locks(ctx context.Context) (bool, error) {
	l := &s.objectLock
	l.mu.Lock()
	has, known := l.has, l.has || time.Since(l.asked) < recheck
	l.mu.Unlock()
	if known {
		return has, nil
	}
	_, err := s.lockRule(ctx)
	var answer minio.ErrorResponse
	switch {
	case err == nil:
		has = true
	case errors.Is(err, storage.ErrRefused): // none, or the service does not know what that is
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotImplemented:
	default:
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.has, l.asked = has, time.Now()
	return has, nil
}
