package s3

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// versionedBucket has versions and no Object Lock.
const versionedBucket = "faxstream-versioned"

func TestRemoverConformance(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint, access, secret := start(t)
			c := Config{Bucket: storagetest.Bucket, Endpoint: endpoint, AccessKey: access, SecretKey: secret}
			makeVersioned(t, open(t, c))
			for _, bucket := range []string{storagetest.Bucket, versionedBucket, storagetest.LockedBucket} {
				t.Run(bucket, func(t *testing.T) {
					t.Parallel()
					c := c
					c.Bucket = bucket
					n := 0
					storagetest.RunRemover(t, func(t *testing.T) storagetest.Store {
						n++
						c.Prefix = fmt.Sprintf("remove/%d", n)
						s := open(t, c)
						s.versionPage = 7
						return outside(s)
					})
				})
			}
		})
	}
}

func makeVersioned(t *testing.T, s *Store) {
	t.Helper()
	if err := s.core.MakeBucket(t.Context(), versionedBucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.core.EnableVersioning(t.Context(), versionedBucket); err != nil {
		t.Fatal(err)
	}
}

// outside adds to s what a test does to its bucket without s.
func outside(s *Store) storagetest.Store {
	k := storagetest.Store{
		Archive: s, Remover: s,
		Count: func(t *testing.T, prefix string) int {
			return len(slices.DeleteFunc(versions(t, s, s.prefix+prefix), func(v minio.ObjectInfo) bool { return v.Key == s.prefix+createOnlyKey }))
		},
	}
	if s.bucket != versionedBucket && s.bucket != storagetest.LockedBucket {
		return k
	}
	k.Overwrite = func(t *testing.T, key string) { overwrite(t, s, key) }
	k.Mark = func(t *testing.T, key string) { mark(t, s, key) }
	if s.bucket == storagetest.LockedBucket {
		k.Retain = func(t *testing.T, key string, until time.Time) { retain(t, s, key, until) }
	}
	return k
}

func overwrite(t *testing.T, s *Store, key string) {
	t.Helper()
	_, err := s.core.Client.PutObject(t.Context(), s.bucket, s.prefix+key, strings.NewReader("other"), 5, minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// mark puts a delete marker over a key.
func mark(t *testing.T, s *Store, key string) {
	t.Helper()
	if err := s.remove(t.Context(), s.prefix+key, ""); err != nil {
		t.Fatal(err)
	}
}

func retain(t *testing.T, s *Store, key string, until time.Time) {
	t.Helper()
	info, err := s.stat(t.Context(), s.prefix+key, "")
	if err != nil {
		t.Fatal(err)
	}
	mode := minio.Governance
	opts := minio.PutObjectRetentionOptions{VersionID: info.VersionID, Mode: &mode, RetainUntilDate: &until}
	if err := s.core.PutObjectRetention(t.Context(), s.bucket, s.prefix+key, opts); err != nil {
		t.Fatal(err)
	}
}

// An object that was written before the bucket had versions is a version with the id "null".
func TestRemoverOfABucketThatWasGivenVersions(t *testing.T) {
	t.Parallel()
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openBeforeVersions(t, start, "a/1", "a/2", "a/3")
			overwrite(t, s, "a/2")
			mark(t, s, "a/3")
			if k, err := s.Protection(t.Context(), "a/"); err != nil || k.Objects != 2 {
				t.Errorf("%+v, %v, want two objects", k, err)
			}
			if err := s.Delete(t.Context(), "a/"); err != nil {
				t.Fatal(err)
			}
			if n := len(versions(t, s, "a/")); n != 0 {
				t.Errorf("%d versions are left", n)
			}
		})
	}
}

// Of the test servers only versitygw gives Object Lock to a bucket that exists.
func TestHoldInABucketThatWasGivenObjectLock(t *testing.T) {
	s := openBeforeVersions(t, storagetest.VersityGW, "a/1")
	if err := s.Hold(t.Context(), "a/1", true); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("before: %v", err)
	}
	if err := s.core.SetObjectLockConfig(t.Context(), s.bucket, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	s.objectLock.asked = time.Now().Add(-recheck)
	for _, on := range []bool{true, false} {
		if err := s.Hold(t.Context(), "a/1", on); err != nil {
			t.Fatal(err)
		}
		if k, err := s.Protection(t.Context(), "a/"); err != nil || k.Held != on {
			t.Errorf("%+v, %v, want a hold that is %v", k, err, on)
		}
	}
}

// openBeforeVersions creates keys in [storagetest.Bucket] before that is given versions.
func openBeforeVersions(t *testing.T, start server, keys ...string) *Store {
	t.Helper()
	endpoint, access, secret := start(t)
	s := open(t, Config{Bucket: storagetest.Bucket, Endpoint: endpoint, AccessKey: access, SecretKey: secret})
	for _, key := range keys {
		if err := create(t.Context(), s, key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.core.EnableVersioning(t.Context(), s.bucket); err != nil {
		t.Fatal(err)
	}
	return s
}
