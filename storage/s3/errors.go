package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
)

// outcome is what an error of one request means.
type outcome int

const (
	passing outcome = iota // may work when tried again; a write may have been stored
	missing                // no such object
	exists                 // a precondition failed
	full                   // no room or quota
	refused                // the same request will be refused again
	stopped                // not the service's: the caller's context, our own checks
)

// classify is the one table that says what errors mean.
func classify(err error) outcome {
	var unknownCA x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknownCA), errors.As(err, &hostname), errors.As(err, &certificate):
		return refused
	case errors.Is(err, storage.ErrMismatch), errors.Is(err, storage.ErrInvalidKey), errors.Is(err, context.Canceled):
		return stopped
	case errors.Is(err, fs.ErrExist):
		return exists
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return passing // the connection
	}
	switch answer.Code {
	case minio.NoSuchKey:
		return missing
	case minio.PreconditionFailed:
		return exists
	case minio.NoSuchBucket, minio.AccessDenied:
		return refused
	case "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage":
		return full
	// 400, but the bytes were damaged or held up on the way.
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody", "RequestTimeout",
		// 404, also when the upload is complete and the answer was lost.
		minio.NoSuchUpload:
		return passing
	}
	switch code := answer.StatusCode; {
	case code == http.StatusInsufficientStorage:
		return full
	case code == http.StatusPreconditionFailed:
		return exists
	case code == http.StatusRequestTimeout, code == http.StatusConflict, code == http.StatusTooEarly,
		code == http.StatusTooManyRequests, code == 499:
		return passing // 409: another conditional write of the key is under way
	case code >= 300 && code < 500, code == http.StatusNotImplemented:
		return refused // 404, too: versitygw says so for an unknown user
	}
	return passing
}

// mapError adds what the caller must tell apart.
func mapError(err error) error {
	sentinel := map[outcome]error{
		missing: fs.ErrNotExist, exists: fs.ErrExist, full: storage.ErrFull, refused: storage.ErrRefused,
	}[classify(err)]
	if sentinel == nil || errors.Is(err, sentinel) {
		return err
	}
	return fmt.Errorf("%w: %w", sentinel, err)
}

// retry calls do, which may be repeated without harm, at most [tries] times,
// until its error is not a passing one.
func retry(ctx context.Context, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if err == nil || classify(err) != passing || n == tries {
			return err
		}
		if err := pause(ctx, n); err != nil {
			return err
		}
	}
}

// request is retry with a time limit for each try.
func request(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	return retry(ctx, func() error { return once(ctx, limit, do) })
}

// once makes a request with a time limit. When the caller's own context is
// over, its error is returned, whatever the client makes of it.
func once(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	tctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := do(tctx)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// pause waits before try n+1: 0.1 to 0.2 s, then 0.2 to 0.4 s.
func pause(ctx context.Context, n int) error {
	d := 100 * time.Millisecond << (n - 1)
	timer := time.NewTimer(d + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
