package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
)

// createOnlyKey is the object that createOnly tries to overwrite. There is one in all, and it stays. No key of an object can have a tilde,
// so List does not show it.
const createOnlyKey = "checks/create-only~"

// createOnly returns nil if the service refuses to overwrite an object. It makes one request, the first time two: the object of an
// earlier start shows it at once. It has the encryption that was asked for, but no lock. If writes are refused, or the service ignores
// the precondition, the error matches [storage.ErrRefused].
func (s *Store) createOnly(ctx context.Context, asked terms) error {
	object, t := s.prefix+createOnlyKey, terms{sse: asked.sse, encryption: asked.encryption}
	for range 2 {
		err := s.place(ctx, object, []byte("faxstream tests with this object that nothing is overwritten\n"), t)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("bucket %s at %s: write the test object %s: %w", s.bucket, s.core.EndpointURL().Host, object, mapError(err))
		}
	}
	return fmt.Errorf("bucket %s at %s: %w: the service overwrites objects: it accepts `If-None-Match: *`, but ignores it. "+
		"Use another service, or a newer version of this one", s.bucket, s.core.EndpointURL().Host, storage.ErrRefused)
}

// checkSize is the size of a test write, in bytes: that of a large page. A service that has room only for less is full.
const checkSize = 128 << 10

// checkAbort limits the abort of a test write: whoever checks waits for it, also after the check's own time.
const checkAbort = 10 * time.Second

// tryWrite writes a part of an upload that it then aborts. So a refusal, a quota and a full disk are found, but no object and no version is
// left, also where Object Lock would keep each for years. The parts of an upload that a crash leaves are invisible. There is no second
// try: the next check is one.
func (s *Store) tryWrite(ctx context.Context) error {
	t, err := s.agree(ctx)
	if err != nil {
		return err
	}
	w := write{s: s, object: s.prefix + "checks/" + rand.Text() + ".write"}
	var id string
	begin := minio.PutObjectOptions{ContentType: contentType(w.object)}
	t.set(&begin, time.Now())
	err = once(ctx, requestTimeout, func(ctx context.Context) (err error) {
		id, err = s.core.NewMultipartUpload(ctx, s.bucket, w.object, begin)
		return err
	})
	if err != nil {
		return notAbsent(err)
	}
	body := make([]byte, checkSize)
	sum, md := sha256.Sum256(body), md5.Sum(body)
	err = once(ctx, requestTimeout, func(ctx context.Context) error {
		_, err := s.core.PutObjectPart(ctx, s.bucket, w.object, id, 1, bytes.NewReader(body), checkSize, minio.PutObjectPartOptions{
			Sha256Hex: hex.EncodeToString(sum[:]), Md5Base64: base64.StdEncoding.EncodeToString(md[:]), DisableContentSha256: true,
		})
		return err
	})
	return w.abort(ctx, id, checkAbort, notAbsent(err))
}
