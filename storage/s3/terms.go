package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/faxstream/faxstream/storage"
)

// terms are the encryption and retention of an object. The zero value asks for
// neither.
type terms struct {
	encryption string             // as in Config
	sse        encrypt.ServerSide // nil: as the bucket is configured
	retain     time.Duration      // 0: no lock
	mode       minio.RetentionMode
}

func (c Config) terms() (t terms, err error) {
	t.encryption = c.Encryption
	kms, isKMS := strings.CutPrefix(c.Encryption, "kms:")
	switch {
	case c.Encryption == "":
	case c.Encryption == "s3":
		t.sse = encrypt.NewSSE()
	case isKMS && kms != "":
		if t.sse, err = encrypt.NewSSEKMS(kms, nil); err != nil {
			return t, fmt.Errorf("encryption: %w", err)
		}
	default:
		return t, fmt.Errorf("encryption %q: want \"s3\", or \"kms:\" and the id of a key", c.Encryption)
	}
	if c.Retention < 0 {
		return t, fmt.Errorf("retention %s is negative", c.Retention)
	}
	if t.retain = c.Retention; t.retain == 0 {
		return t, nil
	}
	switch c.Mode {
	case "", Governance:
		t.mode = minio.Governance
	case Compliance:
		t.mode = minio.Compliance
	default:
		return t, fmt.Errorf("retention mode %q is neither %q nor %q", c.Mode, Governance, Compliance)
	}
	return t, nil
}

// set puts the terms into the options of a write that began at start.
func (t terms) set(o *minio.PutObjectOptions, start time.Time) {
	o.ServerSideEncryption = t.sse
	if t.retain > 0 {
		o.Mode, o.RetainUntilDate = t.mode, start.Add(t.retain).UTC()
	}
}

func (t terms) none() bool { return t.sse == nil && t.retain == 0 }

// agreement says whether the terms work at the service.
type agreement struct {
	turn    chan struct{} // of capacity 1; who fills it may use the fields below
	asked   terms
	agreed  bool        // it is proved that writes are create-only and that asked works
	without func(error) // Config.NoRetention
	failure error       // of the last check
	failed  time.Time   // time of the last failed check
}

// recheck is how long a refusal counts before the next write checks again:
// each check leaves an object that is locked for a day.
const recheck = time.Minute

// agree returns the terms of every write, once it is proved that the service
// never overwrites an object (check.go) and that the terms work. The first
// time for a bucket and configuration, it tests the terms with objects under
// checks/ that are locked for a day. It stores the result there, so that the
// next start costs one request. If they do not work, the error matches
// [storage.ErrRefused] and says why. Config.NoRetention is asked only if the
// bucket has no Object Lock: whoever chose a bucket with Object Lock wants its
// locks, so any other failure there is for an operator to mend.
//
// Encryption works if the service says that it encrypted the object. Retention
// works if the locked version cannot be deleted by its id, but a version
// without a lock can: keys that may delete nothing prove nothing. If the bucket
// locks every object by its own rule, there is no version without a lock. Then
// the service must show the lock that was asked for.
func (s *Store) agree(ctx context.Context) (terms, error) {
	a := &s.agreement
	began := time.Now()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return terms{}, ctx.Err()
	}
	defer func() { <-a.turn }()
	if a.agreed {
		return a.asked, nil
	}
	// Callers that waited for a check do not repeat it.
	if a.failed.After(began) || errors.Is(a.failure, storage.ErrRefused) && time.Since(a.failed) < recheck {
		return terms{}, a.failure
	}
	err := s.createOnly(ctx, a.asked)
	if err == nil {
		err = s.prove(ctx, a.asked)
	}
	if errors.Is(err, errNoLock) && a.without != nil {
		a.without(err)
		a.asked.retain = 0
		err = s.prove(ctx, a.asked)
	}
	if a.agreed = err == nil; a.agreed {
		s.chooseMD5(ctx)
	}
	if err != nil && ctx.Err() == nil { // if the caller's context ended, the result means nothing for others
		a.failure, a.failed = err, time.Now()
	}
	return a.asked, err
}

// chooseMD5 stops Content-MD5 if the bucket has no Object Lock. Some services demand it for every object that is locked, also if only the
// bucket's own rule locks. Keys that may not ask for that rule go on sending it, and so do all after an answer that may mean that it is
// missing.
func (s *Store) chooseMD5(ctx context.Context) {
	if _, err := s.lockRule(ctx); errors.Is(err, errNoLock) {
		s.sendMD5.Store(false)
	}
}

// prove returns nil if the bucket has the record that t works, or if a new
// test succeeds.
func (s *Store) prove(ctx context.Context, t terms) error {
	if t.none() {
		return nil
	}
	record := s.record(t)
	_, err := s.stat(ctx, record.key(), "")
	if err == nil {
		return nil
	}
	if classify(err) == missing {
		err = s.tryOut(ctx, t)
	}
	if err == nil {
		err = s.remember(ctx, record, t)
	}
	if err != nil {
		return fmt.Errorf("bucket %s at %s: %w", s.bucket, s.core.EndpointURL().Host, mapError(err))
	}
	return nil
}

// record is the result of a test, stored in the bucket. It names the bucket: a
// copy of the archive in another bucket is tested again.
type record struct {
	Endpoint   string  `json:"endpoint"`
	Bucket     string  `json:"bucket"`
	Prefix     string  `json:"prefix"`
	Encryption string  `json:"encryption"`
	Mode       string  `json:"retention_mode"`
	Hours      float64 `json:"retention_hours"`
}

func (s *Store) record(t terms) record {
	return record{
		Endpoint: s.core.EndpointURL().String(), Bucket: s.bucket, Prefix: s.prefix,
		Encryption: t.encryption, Mode: string(t.mode), Hours: t.retain.Hours(),
	}
}

func (r record) text() []byte {
	text, _ := json.Marshal(r) // strings and a number cannot fail
	return append(text, '\n')
}

func (r record) key() string {
	sum := sha256.Sum256(r.text())
	return r.Prefix + "checks/" + hex.EncodeToString(sum[:8]) + ".json"
}

func (s *Store) remember(ctx context.Context, r record, t terms) error {
	err := s.place(ctx, r.key(), r.text(), t)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process stored it first
	}
	return err
}

func (s *Store) stat(ctx context.Context, object, version string) (info minio.ObjectInfo, err error) {
	err = request(ctx, requestTimeout, func(ctx context.Context) (err error) {
		info, err = s.core.StatObject(ctx, s.bucket, object, minio.StatObjectOptions{VersionID: version})
		return err
	})
	return info, err
}

func (t terms) String() string {
	return fmt.Sprintf("(encryption %q, retention %q for %s)", t.encryption, t.mode, t.retain)
}
