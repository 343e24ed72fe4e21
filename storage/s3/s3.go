// Package s3 is an archive in a bucket of an S3 service: start with [Open].
//
// A write of up to 64 MiB is one PUT with `If-None-Match: *`, signed over the
// SHA-256 of its body, which also goes as x-amz-checksum-sha256, so that the
// service refuses bytes that changed on the way. Its metadata says which call
// of Create wrote it:
//
//	x-amz-meta-sha256   of the whole object
//	x-amz-meta-writer   random, of one call of Create
//
// An answer that leaves open what happened is never guessed. After 412
// (the service, or a proxy that repeats requests, may have stored our own PUT
// before) and after a lost connection (which is how a 412 for a large body
// often looks), a HEAD tells: our writer means stored, another writer means
// fs.ErrExist, nothing there means try again.
//
// Larger objects are uploaded in parts, with a HEAD before and after and
// `If-None-Match: *` on the completion. A service that ignores the header
// there can let a racing writer replace the object (versitygw does); so keys
// of that size should carry their content's hash, as our documents' do.
//
// Every request is tried at most 3 times, by this package alone: minio-go's
// own retries are off. So a Create makes at most 3 PUTs and 3 HEADs; in parts,
// 3 HEADs, 3 requests to begin, 3 for each part, 3 completions with a HEAD
// each, and one to abort. Each try has a time limit of its own. (net/http sends
// a GET or HEAD again by itself when a connection that it kept turns out to be
// closed.)
//
// Encryption by the service and a retention by Object Lock go with the write
// itself, so that no object is ever there without them. That the service does
// what it takes in silence is tried out once (terms.go).
//
// The keys need s3:PutObject, s3:GetObject, s3:ListBucket (without it the
// service says 403 for what is not there) and s3:AbortMultipartUpload; for a
// retention also s3:PutObjectRetention and s3:GetBucketObjectLockConfiguration,
// and while it is tried out s3:GetObjectVersion and s3:DeleteObjectVersion, in a
// bucket with a rule of its own also s3:GetObjectRetention.
//
// Legal hold and deletion ([storage.Keeper], keep.go) are of versions, of which
// our own writes make one for each key. What a version is locked by is in the
// headers of a HEAD, and these are missing, without a word, where the keys may
// not see it: so once for each group of objects it is asked for by itself, and
// 403 is an error. A hold that was set is looked at. A service can refuse to
// delete a locked version with 403 (Amazon, versitygw) or 400 (minio): a HEAD
// tells whether it was the lock. Nothing here ever asks to bypass a retention.
//
// These need s3:ListBucketVersions, s3:GetObjectVersion and, where the bucket
// has Object Lock, s3:GetBucketObjectLockConfiguration, s3:GetObjectLegalHold
// and s3:GetObjectRetention; Hold needs s3:PutObjectLegalHold, and Delete
// s3:DeleteObjectVersion (s3:DeleteObject where the bucket has no versions).
// Keys without s3:DeleteObjectVersion can do everything but delete.
package s3

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
)

const (
	// tries is how often one request is made, all told.
	tries = 3
	// requestTimeout limits a request without a body, and the silence
	// between two reads of an object.
	requestTimeout = 30 * time.Second
	// slowestUpload, in bytes per second, lengthens the limit of a request
	// that carries a body.
	slowestUpload = 256 << 10
)

// Store is a [storage.Archive] in a bucket.
type Store struct {
	core   *minio.Core
	bucket string
	prefix string // "" or with a slash at its end

	partSize  int64 // bytes; parts of a multipart upload
	singlePut int64 // bytes; larger objects are uploaded in parts

	versionPage int // versions and delete markers that are listed at a time

	agreement  agreement
	objectLock objectLock
}

var _ storage.Archive = (*Store)(nil)

// Open checks the configuration and that the service takes it: a wrong key or
// bucket, or terms that it does not keep, are an error matching
// [storage.ErrRefused]. A service that does not answer is no error here,
// because work can wait for it; [Store.Check] says how it stands.
func Open(ctx context.Context, c Config) (*Store, error) {
	core, err := c.core()
	if err != nil {
		return nil, fmt.Errorf("open S3 archive: %w", err)
	}
	asked, err := c.terms()
	if err != nil {
		return nil, fmt.Errorf("open S3 archive: %w", err)
	}
	s := &Store{core: core, bucket: c.Bucket, partSize: 16 << 20, singlePut: 64 << 20, versionPage: listPageSize}
	s.agreement = agreement{turn: make(chan struct{}, 1), asked: asked, without: c.NoRetention}
	if c.Prefix != "" {
		s.prefix = c.Prefix + "/"
	}
	if err := s.Check(ctx); errors.Is(err, storage.ErrRefused) || ctx.Err() != nil {
		return nil, fmt.Errorf("open S3 archive: %w", err)
	}
	if _, err := s.agree(ctx); errors.Is(err, storage.ErrRefused) || ctx.Err() != nil {
		return nil, fmt.Errorf("open S3 archive: %w", err)
	}
	return s, nil
}

// Check returns nil when the bucket is there and may be listed. It asks once.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for info := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, MaxKeys: 1}) {
		if info.Err != nil {
			return fmt.Errorf("bucket %s at %s: %w", s.bucket, s.core.EndpointURL().Host, mapError(info.Err))
		}
		break
	}
	return ctx.Err()
}

// Create implements [storage.Archive].
func (s *Store) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	err := storage.ValidKey(key)
	parts := newPartHasher(s.partSize)
	var dst io.Writer = io.Discard
	if size > s.singlePut {
		dst = parts
	}
	if err == nil {
		// Before a byte is sent: not every service compares checksums.
		err = storage.CopyBody(ctx, dst, body, size, sum, nil)
		parts.end()
	}
	var agreed terms
	if err == nil {
		agreed, err = s.agree(ctx)
	}
	if err == nil {
		w := write{
			s: s, object: s.prefix + key, body: body, size: size,
			sum: sum, parts: parts.sums, writer: rand.Text(), terms: agreed, start: time.Now(),
		}
		if size <= s.singlePut {
			err = w.put(ctx)
		} else {
			err = w.multipart(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("create %.100q: %w", key, mapError(err))
	}
	return nil
}

// List implements [storage.Archive]. A page of 1,000 keys is one request.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.list(ctx, prefix, after, yield); err != nil {
			yield("", fmt.Errorf("list %.100q: %w", prefix, mapError(err)))
		}
	}
}

func (s *Store) list(ctx context.Context, prefix, after string, yield func(string, error) bool) error {
	if err := storage.ValidPrefix(prefix); err != nil {
		return err
	}
	if after > prefix && !strings.HasPrefix(after, prefix) {
		return nil // beyond every key that begins with prefix
	}
	for {
		var page []string
		err := request(ctx, requestTimeout, func(ctx context.Context) (err error) {
			page, err = s.listPage(ctx, prefix, after)
			return err
		})
		if err != nil {
			return err
		}
		for _, key := range page {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(key, nil) {
				return nil
			}
			after = key
		}
		if len(page) < listPageSize {
			return nil
		}
	}
}

// listPageSize is what services give at most in one answer.
const listPageSize = 1000

func (s *Store) listPage(ctx context.Context, prefix, after string) ([]string, error) {
	opts := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true, MaxKeys: listPageSize, FetchOwner: new(bool)}
	if after > prefix {
		opts.StartAfter = s.prefix + after
	}
	page := make([]string, 0, listPageSize)
	for info := range s.core.ListObjectsIter(ctx, s.bucket, opts) {
		if info.Err != nil {
			return nil, info.Err
		}
		key, ok := strings.CutPrefix(info.Key, s.prefix)
		// Some consoles make "directories", objects whose key ends at a slash.
		if !ok || storage.ValidKey(key) != nil || key <= after {
			continue
		}
		if page = append(page, key); len(page) == listPageSize {
			break
		}
	}
	return page, ctx.Err()
}
