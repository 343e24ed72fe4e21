package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
)

// place writes a small object of the test.
func (s *Store) place(ctx context.Context, object string, body []byte, t terms) error {
	md := md5.Sum(body)
	w := write{
		s: s, object: object, body: bytes.NewReader(body), size: int64(len(body)), sum: sha256.Sum256(body),
		md5: base64.StdEncoding.EncodeToString(md[:]), writer: rand.Text(), terms: t, start: time.Now(),
	}
	return w.put(ctx)
}

// probeTime is how long the objects of a test are locked. Services accept a
// day or more. A bucket's own rule has whole days, so one hour more shows that
// the lock is ours.
const probeTime = 25 * time.Hour

// tryOut writes an object with the terms, but a short retention, and tests
// whether they work.
func (s *Store) tryOut(ctx context.Context, t terms) error {
	ownRule := false
	if t.retain > 0 {
		var err error
		if ownRule, err = s.lockRule(ctx); err != nil {
			return err
		}
		t.retain = probeTime
	}
	object := s.prefix + "checks/" + rand.Text() + ".probe"
	began := time.Now()
	if err := s.place(ctx, object, []byte(object), t); err != nil {
		return fmt.Errorf("write a test object with %s: %w", t, err)
	}
	info, err := s.stat(ctx, object, "")
	if err != nil {
		return fmt.Errorf("read the test object: %w", notAbsent(err))
	}
	if err := t.encrypted(info.Headers); err != nil {
		return err
	}
	if t.retain == 0 {
		return nil
	}
	if err := t.locked(info.Headers, began, ownRule); err != nil {
		return err
	}
	if err := s.undeletable(ctx, object, info.VersionID); err != nil {
		return err
	}
	if ownRule {
		return nil
	}
	return s.deletable(ctx, object+".free", terms{sse: t.sse, encryption: t.encryption})
}

// encrypted returns nil if the headers of an object show the encryption that
// was asked for.
func (t terms) encrypted(h http.Header) error {
	if t.sse == nil {
		return nil
	}
	want := http.Header{}
	t.sse.Marshal(want)
	const algorithm = "X-Amz-Server-Side-Encryption"
	if got := h.Get(algorithm); got != want.Get(algorithm) {
		return fmt.Errorf("%w: the service accepts objects with encryption %q, but does not say that it encrypted them: it answered %q, want %q",
			storage.ErrRefused, t.encryption, got, want.Get(algorithm))
	}
	return nil
}

// locked returns an error if the headers of an object that was written since
// began show another lock than was asked for: a weaker mode, or the time of the
// bucket's own rule. A try to delete does not show these differences. Keys
// without s3:GetObjectRetention get no headers: then only a try to delete shows
// the lock, and in a bucket with its own rule nothing does.
func (t terms) locked(h http.Header, began time.Time, ownRule bool) error {
	mode, date := h.Get("X-Amz-Object-Lock-Mode"), h.Get("X-Amz-Object-Lock-Retain-Until-Date")
	switch {
	case mode == "" && date == "" && ownRule:
		return fmt.Errorf("%w to show whether retention works: the bucket locks every object by its own rule, and the service does not show "+
			"the end of the lock. Give these keys s3:GetObjectRetention for the first start, or remove the rule", storage.ErrRefused)
	case mode == "" && date == "":
		return nil
	}
	const rounding = time.Minute // of the date, and the time of the request
	until, err := time.Parse(time.RFC3339, date)
	early, late := began.Add(t.retain-rounding), time.Now().Add(t.retain+rounding)
	if err != nil || mode != string(t.mode) || until.Before(early) || until.After(late) {
		return fmt.Errorf("%w the retention that was asked for: want a lock with mode %s until %s, the service set mode %.20q until %.40q",
			storage.ErrRefused, t.mode, began.Add(t.retain).UTC().Format(time.RFC3339), mode, date)
	}
	return nil
}

// lockRule returns an error if the bucket has no Object Lock. own: the bucket
// locks every object by its own rule.
func (s *Store) lockRule(ctx context.Context) (own bool, err error) {
	var state string
	err = request(ctx, requestTimeout, func(ctx context.Context) error {
		var mode *minio.RetentionMode
		var err error
		state, mode, _, _, err = s.core.GetObjectLockConfig(ctx, s.bucket)
		own = mode != nil && *mode != "" // versitygw sends an empty rule if there is no rule
		return err
	})
	var answer minio.ErrorResponse
	errors.As(err, &answer)
	switch {
	case answer.Code == "ObjectLockConfigurationNotFoundError", err == nil && state != "Enabled":
		return false, fmt.Errorf("%w: %w: create a bucket with Object Lock (it is chosen when a bucket is created), or configure no retention",
			storage.ErrRefused, errNoLock)
	case unreadable(err):
		return false, fmt.Errorf("%w: %w: the service does not know Object Lock; its answer is malformed: %w", storage.ErrRefused, errNoLock, err)
	case slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, answer.StatusCode):
		return false, fmt.Errorf("%w: %w: the service does not know Object Lock: %w", storage.ErrRefused, errNoLock, err)
	case err != nil:
		return false, fmt.Errorf("read the bucket's Object Lock configuration: %w", err)
	}
	return own, nil
}

// errNoLock: the bucket has no Object Lock, so nobody can expect its objects to be locked.
var errNoLock = errors.New("a retention was asked for, but the bucket has no Object Lock")

// unreadable reports whether the answer has another form than expected: some services answer so to a request that they do not know.
func unreadable(err error) bool {
	var syntax *xml.SyntaxError
	var other xml.UnmarshalError
	return errors.As(err, &syntax) || errors.As(err, &other) || err == io.EOF // a wrapped io.EOF is an error of the connection
}

// remove deletes one version.
func (s *Store) remove(ctx context.Context, object, version string) error {
	return request(ctx, requestTimeout, func(ctx context.Context) error {
		return s.core.RemoveObject(ctx, s.bucket, object, minio.RemoveObjectOptions{VersionID: version})
	})
}

// undeletable returns nil if a locked version cannot be deleted by its id.
func (s *Store) undeletable(ctx context.Context, object, version string) error {
	if version == "" || version == "null" {
		return fmt.Errorf("%w a retention: the service gives objects no versions, so a lock has no effect", storage.ErrRefused)
	}
	err := s.remove(ctx, object, version)
	if err != nil && classify(err) != refused {
		return fmt.Errorf("try to delete a locked version: %w", err)
	}
	_, serr := s.stat(ctx, object, version)
	if err == nil || serr != nil && classify(serr) == missing {
		return fmt.Errorf("%w a retention: the service accepts Object Lock but ignores it: it deleted a version that is locked for %s. "+
			"Use another service, or configure no retention", storage.ErrRefused, probeTime)
	}
	if serr != nil {
		return fmt.Errorf("read a locked version: %w", serr)
	}
	return nil
}

// deletable returns nil if the keys can delete a version that is not locked.
func (s *Store) deletable(ctx context.Context, object string, t terms) error {
	if err := s.place(ctx, object, []byte(object), t); err != nil {
		return fmt.Errorf("write a test object without retention: %w", err)
	}
	info, err := s.stat(ctx, object, "")
	if err != nil {
		return fmt.Errorf("read the test object without retention: %w", notAbsent(err))
	}
	err = s.remove(ctx, object, info.VersionID)
	if err != nil && classify(err) == refused {
		return fmt.Errorf("%w to show whether retention works: these keys cannot delete a version that is not locked either (%w). "+
			"Give them s3:DeleteObjectVersion for the first start; you can remove it afterwards", storage.ErrRefused, err)
	}
	return err
}
