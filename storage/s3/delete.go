package s3

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// Delete implements [storage.Remover]. It never asks to bypass a retention in governance mode. It does not remove the parts of
// uploads that were not completed; the bucket's lifecycle rule does.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.delete(ctx, name); err != nil {
		return fmt.Errorf("delete %.100q: %w", name, mapError(err))
	}
	return nil
}

// Versions are deleted in batches. Each batch is listed as a whole first: if a list continues after a deleted key, versitygw leaves
// some versions out. A batch has 10,000 versions (about 10 MB of memory); no session has more versions than all batches together.
const (
	batchPages = 10
	maxBatches = 1_000
)

func (s *Store) delete(ctx context.Context, name string) error {
	k, err := s.protection(ctx, name)
	if err != nil {
		return err
	}
	if k.Locked(time.Now()) {
		return locked(k)
	}
	var last minio.ObjectInfo
	again := 0 // batches that began with a version that was deleted before: a list may be late, but not for ever
	for range maxBatches {
		batch, err := s.batch(ctx, name)
		if err != nil || len(batch) == 0 {
			return err
		}
		first := batch[0]
		if first.Key != last.Key || first.VersionID != last.VersionID {
			again = 0
		} else if again++; again == tries {
			return fmt.Errorf("the service answered that it deleted version %.100q of %.200q, but still lists it", first.VersionID, first.Key)
		} else if err := pause(ctx, again); err != nil {
			return err
		}
		last = first
		// Markers are deleted last: without its delete marker an older version is visible again.
		for _, markers := range []bool{false, true} {
			if err := s.deleteBatch(ctx, batch, markers); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("after %d deletions there are still versions: stop the program that writes them, then delete again",
		maxBatches*batchPages*s.versionPage)
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

// deleteBatch deletes the versions of a batch, or its delete markers. It deletes those of one key one after another, the oldest first:
// if the newest is deleted, the one before it takes its place, and a service may lose the id of a version that is deleted at that moment
// (versitygw does).
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

// clockSkew is how far the service's clock may be behind ours: it refuses requests with a larger difference.
const clockSkew = 15 * time.Minute

func (s *Store) deleteVersion(ctx context.Context, v minio.ObjectInfo) error {
	err := s.remove(ctx, v.Key, v.VersionID)
	if err == nil || isGone(err) || classify(err) != refused {
		return unlessGone(err)
	}
	// Some services answer 403 for a lock, others 400, and the same for a version that does not exist.
	k, lerr := s.lock(ctx, v)
	switch {
	case isGone(lerr):
		return nil
	case lerr != nil:
		return fmt.Errorf("%.200q, version %.100q: %w (the check whether it is locked failed too: %v)", v.Key, v.VersionID, err, lerr)
	case k.Locked(time.Now().Add(-clockSkew)):
		return fmt.Errorf("%.200q: %w", v.Key, locked(k))
	}
	return fmt.Errorf("%.200q, version %.100q (s3:DeleteObjectVersion is needed): %w", v.Key, v.VersionID, err)
}
