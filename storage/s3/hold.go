package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
)

var _ storage.Remover = (*Store)(nil)

// Headers of a version's lock. The service leaves them out if the keys may not see them.
const (
	headerHold  = "X-Amz-Object-Lock-Legal-Hold"
	headerUntil = "X-Amz-Object-Lock-Retain-Until-Date"
)

// Protection implements [storage.Remover]. It costs one request for 1,000 versions, and if the bucket has Object Lock one more for
// each version.
func (s *Store) Protection(ctx context.Context, name string) (storage.Protection, error) {
	k, err := s.protection(ctx, name)
	if err != nil {
		return storage.Protection{}, fmt.Errorf("read the locks of %.100q: %w", name, mapError(err))
	}
	return k, nil
}

// Hold implements [storage.Remover]. It checks, version by version, that the service shows the hold afterwards.
func (s *Store) Hold(ctx context.Context, name string, on bool) error {
	if err := s.hold(ctx, name, on); err != nil {
		return fmt.Errorf("legal hold of %.100q: %w", name, mapError(err))
	}
	return nil
}

func (s *Store) protection(ctx context.Context, name string) (all storage.Protection, err error) {
	if err := storage.ValidName(name); err != nil {
		return all, err
	}
	locks, err := s.locks(ctx)
	if err != nil && classify(err) != refused {
		return all, err
	}
	look := locks || err != nil // keys without a right to the bucket's lock may still see the locks of its objects
	var (
		mu      sync.Mutex        // guards all.Until and all.Held
		first   *minio.ObjectInfo // the first version whose lock is read
		counted string            // the greatest key in all.Objects: services repeat some keys at the end of a page
	)
	err = s.each(ctx, name, func(v minio.ObjectInfo) func(context.Context) error {
		all.Written = later(all.Written, v.LastModified.UTC())
		if v.IsDeleteMarker {
			return nil
		}
		if v.IsLatest && v.Key > counted && storage.ValidKey(strings.TrimPrefix(v.Key, s.prefix)) == nil {
			all.Objects, counted = all.Objects+1, v.Key
		}
		if !look {
			return nil
		}
		if first == nil {
			first = &v
		}
		return func(ctx context.Context) error {
			one, err := s.lock(ctx, v)
			mu.Lock()
			defer mu.Unlock()
			all.Until, all.Held = later(all.Until, one.Until), all.Held || one.Held
			return unlessGone(err)
		}
	})
	if err == nil && first != nil {
		all, err = s.askLock(ctx, *first, all)
	}
	return all, err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// lock reads the lock of one version.
func (s *Store) lock(ctx context.Context, v minio.ObjectInfo) (k storage.Protection, err error) {
	info, err := s.stat(ctx, v.Key, latest(v))
	if err != nil {
		return k, err
	}
	k.Held = info.Headers.Get(headerHold) == minio.LegalHoldEnabled.String()
	if until := info.Headers.Get(headerUntil); until != "" {
		if k.Until, err = time.Parse(time.RFC3339, until); err != nil {
			return k, fmt.Errorf("the service sent %.40q as the end of the retention of %.200q, which is not a time: %w", until, v.Key, err)
		}
		k.Until = k.Until.UTC()
	}
	if v.IsLatest {
		return k, nil
	}
	return s.askLock(ctx, v, k) // versitygw leaves the headers out for older versions
}

// latest returns the version id for requests about v. A version that was written while the bucket had no versions has the id "null",
// and not every service that lists this id accepts it in a request.
func latest(v minio.ObjectInfo) string {
	if v.VersionID == "null" && v.IsLatest {
		return ""
	}
	return v.VersionID
}

// askLock asks directly for the parts of the lock that k, from the headers of v, does not have. If the keys have no right to know, that
// is an error: the headers are missing then, which looks like no lock.
func (s *Store) askLock(ctx context.Context, v minio.ObjectInfo, k storage.Protection) (storage.Protection, error) {
	if !k.Held {
		err := request(ctx, requestTimeout, func(ctx context.Context) error {
			status, err := s.core.GetObjectLegalHold(ctx, s.bucket, v.Key, minio.GetObjectLegalHoldOptions{VersionID: latest(v)})
			k.Held = err == nil && *status == minio.LegalHoldEnabled
			return err
		})
		if err := unlessNone(err); err != nil {
			return k, fmt.Errorf("ask for the legal hold of %.200q (s3:GetObjectLegalHold is needed): %w", v.Key, err)
		}
	}
	if k.Until.IsZero() {
		err := request(ctx, requestTimeout, func(ctx context.Context) error {
			_, until, err := s.core.GetObjectRetention(ctx, s.bucket, v.Key, latest(v))
			if until != nil {
				k.Until = until.UTC()
			}
			return err
		})
		if err := unlessNone(err); err != nil {
			return k, fmt.Errorf("ask for the retention of %.200q (s3:GetObjectRetention is needed): %w", v.Key, err)
		}
	}
	return k, nil
}

// unlessNone returns nil if the answer is that the version or the bucket has no lock, or that there is no such version; else err.
func unlessNone(err error) error {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && (answer.Code == "NoSuchObjectLockConfiguration" || answer.Code == "InvalidRequest") {
		return nil
	}
	return unlessGone(err)
}

func (s *Store) hold(ctx context.Context, name string, on bool) error {
	if err := storage.ValidName(name); err != nil {
		return err
	}
	locks, err := s.locks(ctx)
	if err != nil {
		return err
	}
	if !locks {
		return fmt.Errorf("%w: bucket %s has no Object Lock", errors.ErrUnsupported, s.bucket)
	}
	return s.each(ctx, name, func(v minio.ObjectInfo) func(context.Context) error {
		if v.IsDeleteMarker {
			return nil
		}
		return func(ctx context.Context) error { return s.holdVersion(ctx, v, on) }
	})
}

func (s *Store) holdVersion(ctx context.Context, v minio.ObjectInfo, on bool) error {
	status := minio.LegalHoldDisabled
	if on {
		status = minio.LegalHoldEnabled
	}
	err := request(ctx, requestTimeout, func(ctx context.Context) error {
		return s.core.PutObjectLegalHold(ctx, s.bucket, v.Key, minio.PutObjectLegalHoldOptions{VersionID: latest(v), Status: &status})
	})
	if err != nil {
		return unlessGone(err)
	}
	k, err := s.lock(ctx, v)
	if err == nil && k.Held != on {
		return fmt.Errorf("%w: the service accepts a legal hold %s for %.200q but does not show it: either it ignores legal holds, "+
			"or these keys lack s3:GetObjectLegalHold", storage.ErrRefused, status, v.Key)
	}
	return unlessGone(err)
}

func locked(k storage.Protection) error {
	if k.Held {
		return fmt.Errorf("%w: it is under legal hold in the bucket", storage.ErrProtected)
	}
	return fmt.Errorf("%w: it is retained in the bucket until %s", storage.ErrProtected, k.Until.Format(time.RFC3339))
}

// objectLock remembers whether the bucket has Object Lock.
type objectLock struct {
	mu    sync.Mutex
	has   bool // true never changes again
	asked time.Time
}

// locks reports whether the bucket has Object Lock. A bucket cannot lose it, but a bucket can get it later, so false is asked again
// after a minute.
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
	case errors.Is(err, storage.ErrRefused): // no Object Lock, or the service does not know it
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotImplemented:
	default:
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.has, l.asked = has, time.Now()
	return has, nil
}
