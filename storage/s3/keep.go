package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/storage"
)

var _ storage.Keeper = (*Store)(nil)

// Headers of a version's lock. The service leaves out what the keys may not see.
const (
	headerHold  = "X-Amz-Object-Lock-Legal-Hold"
	headerUntil = "X-Amz-Object-Lock-Retain-Until-Date"
)

// Kept implements [storage.Keeper]. 1,000 versions are one request, and where the bucket has Object Lock each is one more.
func (s *Store) Kept(ctx context.Context, name string) (storage.Kept, error) {
	k, err := s.kept(ctx, name)
	if err != nil {
		return storage.Kept{}, fmt.Errorf("look what is kept of %.100q: %w", name, mapError(err))
	}
	return k, nil
}

// Hold implements [storage.Keeper]. That the service did what it says is looked at, version by version.
func (s *Store) Hold(ctx context.Context, name string, on bool) error {
	if err := s.hold(ctx, name, on); err != nil {
		return fmt.Errorf("legal hold of %.100q: %w", name, mapError(err))
	}
	return nil
}

// Delete implements [storage.Keeper]. It never asks to bypass a retention of governance. The parts of uploads that were not completed
// are no objects: the bucket's lifecycle rule removes them.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.delete(ctx, name); err != nil {
		return fmt.Errorf("delete %.100q: %w", name, mapError(err))
	}
	return nil
}

func (s *Store) kept(ctx context.Context, name string) (all storage.Kept, err error) {
	if err := storage.ValidName(name); err != nil {
		return all, err
	}
	locks, err := s.locks(ctx)
	if err != nil && classify(err) != refused {
		return all, err
	}
	look := locks || err != nil // keys that may not ask for the bucket's lock may see those of its objects
	var (
		mu      sync.Mutex        // guards all.Until and all.Held
		first   *minio.ObjectInfo // version that was looked at
		counted string            // the greatest key in all.Objects: services repeat some at the end of a page
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

// lock looks at the lock of one version.
func (s *Store) lock(ctx context.Context, v minio.ObjectInfo) (k storage.Kept, err error) {
	info, err := s.stat(ctx, v.Key, latest(v))
	if err != nil {
		return k, err
	}
	k.Held = info.Headers.Get(headerHold) == minio.LegalHoldEnabled.String()
	if until := info.Headers.Get(headerUntil); until != "" {
		if k.Until, err = time.Parse(time.RFC3339, until); err != nil {
			return k, fmt.Errorf("the service says that %.200q is retained until %.40q, which is no time: %w", v.Key, until, err)
		}
		k.Until = k.Until.UTC()
	}
	if v.IsLatest {
		return k, nil
	}
	return s.askLock(ctx, v, k) // versitygw leaves the headers out for older versions
}

// latest is the id to ask for v with. "null" is what a version is called that was written while the bucket had none, and not every
// service that lists it knows it by that name.
func latest(v minio.ObjectInfo) string {
	if v.VersionID == "null" && v.IsLatest {
		return ""
	}
	return v.VersionID
}

// askLock asks for what k, from the headers of v, does not have. It is an error where these keys must not know: the headers are
// missing then as if there were no lock.
func (s *Store) askLock(ctx context.Context, v minio.ObjectInfo, k storage.Kept) (storage.Kept, error) {
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

// unlessNone returns nil for the answers that there is no lock, neither on the version nor on the bucket, or no such version.
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
		return fmt.Errorf("%w: the service takes a legal hold %s for %.200q and does not show it: either it ignores it, or these keys lack s3:GetObjectLegalHold",
			storage.ErrRefused, status, v.Key)
	}
	return unlessGone(err)
}

// Versions are deleted in batches that were listed as a whole before: versitygw, asked to go on after what was just deleted, leaves
// some out. A batch of 10,000 takes some 10 MB, and more than all batches no session has.
const (
	batchPages = 10
	maxBatches = 1_000
)

func (s *Store) delete(ctx context.Context, name string) error {
	k, err := s.kept(ctx, name)
	if err != nil {
		return err
	}
	if k.Locked(time.Now()) {
		return locked(k)
	}
	var last minio.ObjectInfo
	again := 0 // batches that began with what was said to be deleted: a list may lag behind, but not for ever
	for range maxBatches {
		batch, err := s.batch(ctx, name)
		if err != nil || len(batch) == 0 {
			return err
		}
		first := batch[0]
		if first.Key != last.Key || first.VersionID != last.VersionID {
			again = 0
		} else if again++; again == tries {
			return fmt.Errorf("the service says that it deleted version %.100q of %.200q, and still lists it", first.VersionID, first.Key)
		} else if err := pause(ctx, again); err != nil {
			return err
		}
		last = first
		// Without its delete marker an older version would be the object again.
		for _, markers := range []bool{false, true} {
			if err := s.deleteBatch(ctx, batch, markers); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("after %d deletions there are still versions: end what writes them", maxBatches*batchPages*s.versionPage)
}

// batch lists the first versions and delete markers, up to batchPages pages.
func (s *Store) batch(ctx context.Context, name string) (batch []minio.ObjectInfo, err error) {
	for v, err := range s.versions(ctx, name) {
		if err != nil {
			return nil, err
		}
		if batch = append(batch, v); len(batch) == batchPages*s.versionPage {
			break
		}
	}
	return batch, nil
}

// deleteBatch deletes the delete markers of a batch, or all else.
// deleteBatch deletes the versions of a batch, or its markers, those of one key one after another and the oldest first: when the newest is
// deleted the one before it takes its place, and a service may lose that one's id where it is deleted at the same moment (versitygw does).
func (s *Store) deleteBatch(ctx context.Context, batch []minio.ObjectInfo, markers bool) error {
	byKey := map[string][]minio.ObjectInfo{}
	for _, v := range batch {
		if v.IsDeleteMarker == markers {
			byKey[v.Key] = append(byKey[v.Key], v)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, versions := range byKey {
		g.Go(func() error {
			for _, v := range slices.Backward(versions) {
				if err := s.deleteVersion(ctx, v); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func locked(k storage.Kept) error {
	if k.Held {
		return fmt.Errorf("%w: under legal hold in the bucket", storage.ErrKept)
	}
	return fmt.Errorf("%w: retained in the bucket until %s", storage.ErrKept, k.Until.Format(time.RFC3339))
}

// clockSkew is how far the service's clock may be behind: it refuses whoever is off by more.
const clockSkew = 15 * time.Minute

func (s *Store) deleteVersion(ctx context.Context, v minio.ObjectInfo) error {
	err := s.remove(ctx, v.Key, v.VersionID)
	if err == nil || isGone(err) || classify(err) != refused {
		return unlessGone(err)
	}
	// A lock is 403 at some services, 400 at others, and so is a version that is gone.
	k, lerr := s.lock(ctx, v)
	switch {
	case isGone(lerr):
		return nil
	case lerr != nil:
		return fmt.Errorf("%.200q, version %.100q: %w (and whether it is locked could not be seen: %v)", v.Key, v.VersionID, err, lerr)
	case k.Locked(time.Now().Add(-clockSkew)):
		return fmt.Errorf("%.200q: %w", v.Key, locked(k))
	}
	return fmt.Errorf("%.200q, version %.100q (s3:DeleteObjectVersion is needed): %w", v.Key, v.VersionID, err)
}

// isGone reports whether err says that there is no such object or version.
func isGone(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && answer.Code != minio.NoSuchBucket
}

func unlessGone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}
