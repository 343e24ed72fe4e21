package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/faxstream/faxstream/storage"
)

// terms are what the service has to do with an object besides keeping it. The
// zero value asks for nothing.
type terms struct {
	encryption string             // as in Config
	sse        encrypt.ServerSide // nil: as the bucket says
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
		return t, fmt.Errorf("encryption %q is neither \"s3\" nor \"kms:\" with the id of a key", c.Encryption)
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

// agreement is whether the service keeps the terms.
type agreement struct {
	turn    chan struct{} // of capacity 1; whoever fills it has the fields below
	asked   terms
	agreed  bool        // asked holds, proven
	without func(error) // Config.NoRetention
	failure error       // of the last check
	failed  time.Time
}

// recheck is how long a refusal stands before the next write tries again: each
// check leaves an object that is locked for a day.
const recheck = time.Minute

// agree returns the terms of every write once it is known that the service keeps what Config asks
// for. The first time for a bucket and configuration, it is tried out under
// checks/ with objects that are locked for a day, and the result is
// remembered there, so that the next start costs one request. An error matching
// [storage.ErrRefused] says that it does not, and why.
//
// Of an encryption the service must say that it was done. A retention is kept
// when the version cannot be deleted by its id, while one without it can: keys
// that may delete nothing would prove nothing. Where the bucket locks every
// object by a rule of its own, there is nothing to compare with: then the
// service has to say that it set the lock that was asked for.
func (s *Store) agree(ctx context.Context) (terms, error) {
	a := &s.agreement
	began := time.Now()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return terms{}, ctx.Err()
	}
	defer func() { <-a.turn }()
	if a.agreed || a.asked.none() {
		return a.asked, nil
	}
	// Those who waited for a check do not repeat it one after another.
	if a.failed.After(began) || errors.Is(a.failure, storage.ErrRefused) && time.Since(a.failed) < recheck {
		return terms{}, a.failure
	}
	err := s.prove(ctx, a.asked)
	if errors.Is(err, storage.ErrRefused) && a.without != nil && a.asked.retain > 0 {
		a.without(err)
		a.asked.retain = 0
		err = s.prove(ctx, a.asked)
	}
	a.agreed = err == nil
	if err != nil && ctx.Err() == nil { // whose own time is over speaks for nobody else
		a.failure, a.failed = err, time.Now()
	}
	return a.asked, err
}

// prove returns nil when the bucket remembers that t holds, or after it was
// tried out.
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

// record is what the bucket remembers. An archive that is copied to another
// bucket has the record of the old one with it, and is tried out anew.
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
		return nil // another process was as fast
	}
	return err
}

// place writes a small object of the check.
func (s *Store) place(ctx context.Context, object string, body []byte, t terms) error {
	w := write{
		s: s, object: object, body: bytes.NewReader(body), size: int64(len(body)), sum: sha256.Sum256(body),
		writer: rand.Text(), terms: t, start: time.Now(),
	}
	return w.put(ctx)
}

func (s *Store) stat(ctx context.Context, object, version string) (info minio.ObjectInfo, err error) {
	err = request(ctx, requestTimeout, func(ctx context.Context) (err error) {
		info, err = s.core.StatObject(ctx, s.bucket, object, minio.StatObjectOptions{VersionID: version})
		return err
	})
	return info, err
}

// probeTime is how long the objects of a check are locked: a day is the least
// that services have been seen to take seriously, and no bucket's own rule, of
// whole days, gives an hour more.
const probeTime = 25 * time.Hour

// tryOut writes an object on the terms, with a short retention, and looks what
// they are worth.
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
		return fmt.Errorf("an object on the terms %s cannot be written: %w", t, err)
	}
	info, err := s.stat(ctx, object, "")
	if err != nil {
		return fmt.Errorf("look at the object that was just written: %w", notAbsent(err))
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

func (t terms) String() string {
	return fmt.Sprintf("(encryption %q, retention %q for %s)", t.encryption, t.mode, t.retain)
}

// encrypted returns nil when the headers of an object say what was asked for.
func (t terms) encrypted(h http.Header) error {
	if t.sse == nil {
		return nil
	}
	want := http.Header{}
	t.sse.Marshal(want)
	const algorithm = "X-Amz-Server-Side-Encryption"
	if got := h.Get(algorithm); got != want.Get(algorithm) {
		return fmt.Errorf("%w: asked to encrypt objects (%q), the service takes them and does not say that it did: its answer is %q, want %q",
			storage.ErrRefused, t.encryption, got, want.Get(algorithm))
	}
	return nil
}

// locked returns an error where the headers of an object that was written
// since began say another lock than was asked for: a weaker mode, or the time
// of the bucket's own rule, neither of which shows in what can be deleted.
// Keys without s3:GetObjectRetention are told nothing: then what can be deleted
// has to show it, which it cannot where the bucket has a rule of its own.
func (t terms) locked(h http.Header, began time.Time, ownRule bool) error {
	mode, date := h.Get("X-Amz-Object-Lock-Mode"), h.Get("X-Amz-Object-Lock-Retain-Until-Date")
	switch {
	case mode == "" && date == "" && ownRule:
		return fmt.Errorf("%w to show what a retention is worth: the bucket locks every object by a rule of its own, and the service does not say "+
			"until when it has locked this one. Give these keys s3:GetObjectRetention for the first start, or take away the rule", storage.ErrRefused)
	case mode == "" && date == "":
		return nil
	}
	const rounding = time.Minute // of the date, and of what the request took
	until, err := time.Parse(time.RFC3339, date)
	early, late := began.Add(t.retain-rounding), time.Now().Add(t.retain+rounding)
	if err != nil || mode != string(t.mode) || until.Before(early) || until.After(late) {
		return fmt.Errorf("%w a retention as it is asked for: asked to lock an object by %s until %s, the service has locked it by %.20q until %.40q",
			storage.ErrRefused, t.mode, began.Add(t.retain).UTC().Format(time.RFC3339), mode, date)
	}
	return nil
}

// lockRule returns an error unless the bucket has Object Lock; own is whether
// it locks every object by a rule of its own.
func (s *Store) lockRule(ctx context.Context) (own bool, err error) {
	var state string
	err = request(ctx, requestTimeout, func(ctx context.Context) error {
		var mode *minio.RetentionMode
		var err error
		state, mode, _, _, err = s.core.GetObjectLockConfig(ctx, s.bucket)
		own = mode != nil && *mode != "" // versitygw gives an empty rule where there is none
		return err
	})
	var answer minio.ErrorResponse
	switch {
	case errors.As(err, &answer) && answer.Code == "ObjectLockConfigurationNotFoundError", err == nil && state != "Enabled":
		return false, fmt.Errorf("%w a retention: the bucket has no Object Lock: make one that has (it is chosen when a bucket is made), or ask for no retention", storage.ErrRefused)
	case unreadable(err):
		return false, fmt.Errorf("%w a retention: the service does not know Object Lock: its answer is none: %w", storage.ErrRefused, err)
	case err != nil:
		return false, fmt.Errorf("ask for the bucket's Object Lock: %w", err)
	}
	return own, nil
}

// unreadable reports whether an answer came that is not what was asked for: some services answer what they do not know with something else.
func unreadable(err error) bool {
	var syntax *xml.SyntaxError
	var other xml.UnmarshalError
	return errors.As(err, &syntax) || errors.As(err, &other) || err == io.EOF // wrapped, it is the connection's
}

// remove deletes one version.
func (s *Store) remove(ctx context.Context, object, version string) error {
	return request(ctx, requestTimeout, func(ctx context.Context) error {
		return s.core.RemoveObject(ctx, s.bucket, object, minio.RemoveObjectOptions{VersionID: version})
	})
}

// undeletable returns nil when a locked version cannot be deleted by its id.
func (s *Store) undeletable(ctx context.Context, object, version string) error {
	if version == "" || version == "null" {
		return fmt.Errorf("%w a retention: the service gives an object no version, so its lock can hold nothing", storage.ErrRefused)
	}
	err := s.remove(ctx, object, version)
	if err != nil && classify(err) != refused {
		return fmt.Errorf("try to delete a locked version: %w", err)
	}
	_, serr := s.stat(ctx, object, version)
	if err == nil || serr != nil && classify(serr) == missing {
		return fmt.Errorf("%w a retention: the service takes Object Lock and ignores it: a version that is locked for %s was deleted. "+
			"Do not trust it with what must be kept; use another service, or ask for no retention", storage.ErrRefused, probeTime)
	}
	if serr != nil {
		return fmt.Errorf("look at a locked version: %w", serr)
	}
	return nil
}

// deletable returns nil when the keys can delete a version that is not locked.
func (s *Store) deletable(ctx context.Context, object string, t terms) error {
	if err := s.place(ctx, object, []byte(object), t); err != nil {
		return fmt.Errorf("an object without a retention cannot be written: %w", err)
	}
	info, err := s.stat(ctx, object, "")
	if err != nil {
		return fmt.Errorf("look at an object without a retention: %w", notAbsent(err))
	}
	err = s.remove(ctx, object, info.VersionID)
	if err != nil && classify(err) == refused {
		return fmt.Errorf("%w to show what a retention is worth: these keys cannot delete a version that is not locked either (%w). "+
			"Give them s3:DeleteObjectVersion for the first start; it can be taken away afterwards", storage.ErrRefused, err)
	}
	return err
}
