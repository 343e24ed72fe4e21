package s3

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage/storagetest"
)

// versionedBucket has versions and no Object Lock.
const versionedBucket = "faxstream-versioned"

func TestKeeperConformance(t *testing.T) {
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
					storagetest.RunKeeper(t, func(t *testing.T) storagetest.Keeping {
						n++
						c.Prefix = fmt.Sprintf("keep/%d", n)
						s := open(t, c)
						s.versionPage = 7
						return keeping(s)
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

// keeping does to the bucket of s what is not done through it.
func keeping(s *Store) storagetest.Keeping {
	k := storagetest.Keeping{
		Archive: s, Keeper: s,
		Count: func(t *testing.T, prefix string) int { return len(versions(t, s, s.prefix+prefix)) },
	}
	if s.bucket == storagetest.Bucket {
		return k
	}
	k.Overwrite = func(t *testing.T, key string) {
		t.Helper()
		_, err := s.core.Client.PutObject(t.Context(), s.bucket, s.prefix+key, strings.NewReader("other"), 5, minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	k.Mark = func(t *testing.T, key string) {
		t.Helper()
		if err := s.remove(t.Context(), s.prefix+key, ""); err != nil {
			t.Fatal(err)
		}
	}
	if s.bucket == storagetest.LockedBucket {
		k.Retain = func(t *testing.T, key string, until time.Time) {
			t.Helper()
			info, err := s.stat(t.Context(), s.prefix+key, "")
			if err != nil {
				t.Fatal(err)
			}
			mode := minio.Governance
			err = s.core.PutObjectRetention(t.Context(), s.bucket, s.prefix+key, minio.PutObjectRetentionOptions{
				VersionID: info.VersionID, Mode: &mode, RetainUntilDate: &until,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return k
}
