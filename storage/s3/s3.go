// Package s3 is an archive in a bucket of an S3 service. Start with [Open].
//
// # Writes
//
// A write of up to 64 MiB is one PUT with `If-None-Match: *`. Its signature
// contains the SHA-256 of the body, and so does x-amz-checksum-sha256: the
// service refuses bytes that changed on the way. Content-MD5 costs three times
// as much as SHA-256, so it is sent only to buckets with Object Lock, where some
// services demand it, and where the keys may not ask for the lock. The metadata
// says which call of Create wrote the object:
//
//	x-amz-meta-sha256   SHA-256 of the whole object
//	x-amz-meta-writer   random, one for each call of Create
//
// This package never guesses whether a write was stored. After 412 (the
// service, or a proxy that repeats requests, may have stored our own PUT
// before) and after a lost connection (a 412 for a large body often looks like
// that) it sends a HEAD: our writer means stored, another writer means
// fs.ErrExist, no object means try again.
//
// The store is no [storage.Batcher]: an object's request may begin only when
// that of its sidecar has ended, so a batch saves no time and no request.
//
// Larger objects are uploaded in parts, with a HEAD before and after and
// `If-None-Match: *` on the completion. A service that ignores the header
// there lets a racing writer replace the object (versitygw does); so keys of
// objects of that size should contain the hash of their content, as those of
// our documents do.
//
// A crash in Create leaves the whole object or nothing visible. The parts of
// an upload that was not completed stay in the bucket; a lifecycle rule of the
// bucket for incomplete uploads must remove them.
//
// # Retries
//
// Only this package retries, at most 3 tries for each request: minio-go's own
// retries are off. So a Create makes at most 3 PUTs and 3 HEADs; in parts, 3
// HEADs, 3 requests to begin, 3 for each part, 3 completions with a HEAD each,
// and one to abort. Each try has its own time limit. (net/http sends a GET or
// HEAD again by itself if it finds that an idle connection is closed.)
//
// # What is tested
//
// Each start tries to overwrite one object: a service that ignores the
// precondition is refused. [Store.Check] shows that writes work without
// leaving an object (check.go).
//
// # Encryption and retention
//
// Encryption by the service and retention by Object Lock are part of the write
// itself, so no object exists without them. A service may accept them and
// ignore them: so the store tests once what they are worth (probe.go).
//
// The keys need s3:PutObject, s3:GetObject, s3:ListBucket (without it the
// service answers 403 for a missing object) and s3:AbortMultipartUpload.
// s3:GetBucketObjectLockConfiguration saves the Content-MD5. For
// retention they also need s3:PutObjectRetention and
// s3:GetBucketObjectLockConfiguration. The test at the first start also needs
// s3:GetObjectVersion and s3:DeleteObjectVersion, and s3:GetObjectRetention in
// a bucket that has its own lock rule.
//
// # Legal hold and deletion
//
// Legal hold and deletion ([storage.Remover], hold.go and delete.go) are for
// versions; our own writes make one version for each key. The lock of a
// version is in the headers of a HEAD. Services leave these headers out if the
// keys have no right to see them. So for each group of objects the package
// also asks once for the lock directly, and 403 is an error then. After a hold
// is set, the package checks that the service shows it. A service refuses to
// delete a locked version with 403 (Amazon, versitygw) or 400 (minio); a HEAD
// shows whether the lock was the reason. This package never asks to bypass a
// retention.
//
// These need s3:ListBucketVersions, s3:GetObjectVersion and, if the bucket has
// Object Lock, s3:GetBucketObjectLockConfiguration, s3:GetObjectLegalHold and
// s3:GetObjectRetention. Hold needs s3:PutObjectLegalHold. Delete needs
// s3:DeleteObjectVersion (s3:DeleteObject if the bucket has no versions). Keys
// without s3:DeleteObjectVersion can do everything but delete.
package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
)

const (
	// tries is how often one request is made, the first try included.
	tries = 3
	// requestTimeout limits a request without a body, and the time in which
	// a read of an object receives nothing.
	requestTimeout = 30 * time.Second
	// slowestUpload, in bytes per second, gives a request with a body more
	// time.
	slowestUpload = 256 << 10
)

// Store is a [storage.Archive] in a bucket.
type Store struct {
	core   *minio.Core
	bucket string
	prefix string // "" or ends with a slash

	noRetention []string // Config.Unretained

	partSize  int64 // bytes; parts of a multipart upload
	singlePut int64 // bytes; larger objects are uploaded in parts

	versionPage int // versions and delete markers in one page of a list

	sendMD5 atomic.Bool // of objects that are sent in one request (terms.go)

	agreement  agreement
	objectLock objectLock
}

var _ storage.Archive = (*Store)(nil)

// Open checks the configuration, and that the service accepts it. A wrong key
// or bucket, keys that may not write, a service that overwrites objects, or
// encryption or retention that does not work, is an error that matches
// [storage.ErrRefused]. If the service does not answer or is full, Open
// succeeds: work can wait for the service. [Store.Check] reports that state.
func Open(ctx context.Context, c Config) (*Store, error) {
	core, err := c.core()
	if err != nil {
		return nil, fmt.Errorf("open S3 archive: %w", err)
	}
	asked, err := c.terms()
	if err != nil {
		return nil, fmt.Errorf("open S3 archive: %w", err)
	}
	s := &Store{core: core, bucket: c.Bucket, noRetention: c.Unretained, partSize: 16 << 20, singlePut: 64 << 20, versionPage: listPageSize}
	s.agreement = agreement{turn: make(chan struct{}, 1), asked: asked, without: c.NoRetention}
	s.sendMD5.Store(true)
	if c.Prefix != "" {
		s.prefix = c.Prefix + "/"
	}
	if err := s.reach(ctx); errors.Is(err, storage.ErrRefused) || ctx.Err() != nil {
		return nil, fmt.Errorf("open S3 archive: %w", err)
	}
	if c.ReadOnly {
		return s, nil
	}
	if _, err := s.agree(ctx); errors.Is(err, storage.ErrRefused) || ctx.Err() != nil {
		return nil, fmt.Errorf("open S3 archive: %w", err)
	}
	return s, nil
}

// Check returns nil if the bucket exists, the keys may list it, and a write works now (check.go). It makes at most four requests, without
// a second try, within 30 s each.
func (s *Store) Check(ctx context.Context) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	if err := s.tryWrite(ctx); err != nil {
		return fmt.Errorf("bucket %s at %s: test whether writes work: %w", s.bucket, s.core.EndpointURL().Host, mapError(err))
	}
	return nil
}

// reach returns nil if the bucket exists and the keys may list it.
func (s *Store) reach(ctx context.Context) error {
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
	parts, single := newPartHasher(s.partSize), md5.New()
	dst := io.Discard
	switch {
	case size > s.singlePut:
		dst = parts
	case s.sendMD5.Load():
		dst = single
	}
	if err == nil {
		// Check the body before a byte is sent: not every service compares checksums.
		err = storage.CopyBody(ctx, dst, body, size, sum, nil)
		parts.end()
	}
	var agreed terms
	if err == nil {
		agreed, err = s.agree(ctx)
	}
	if s.unretained(key) {
		agreed.retain = 0
	}
	if err == nil {
		w := write{
			s: s, object: s.prefix + key, body: body, size: size,
			sum: sum, parts: parts.sums, writer: rand.Text(), terms: agreed, start: time.Now(),
		}
		if dst == single {
			w.md5 = base64.StdEncoding.EncodeToString(single.Sum(nil))
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

// unretained reports whether the object of a key gets no retention of ours.
func (s *Store) unretained(key string) bool {
	return slices.ContainsFunc(s.noRetention, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
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
		return nil // greater than every key that begins with prefix
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

// listPageSize is the most keys that services send in one answer.
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
		// Some consoles make "directories": objects whose key ends with a slash.
		if !ok || storage.ValidKey(key) != nil || key <= after {
			continue
		}
		if page = append(page, key); len(page) == listPageSize {
			break
		}
	}
	return page, ctx.Err()
}
