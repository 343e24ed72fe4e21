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

// outcome is the meaning of the error of one request.
type outcome int

const (
	passing outcome = iota // a second try may work; a write may have been stored
	missing                // no such object
	exists                 // a precondition failed
	full                   // no room or quota
	refused                // the same request will be refused again
	stopped                // not an error of the service: the caller's context, our own checks
)

// classify is the only table of what errors mean.
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
		return passing // an error of the connection
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
	// 400, but the bytes were damaged or late on the way.
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody", "RequestTimeout",
		// 404, also if the upload is complete and the answer was lost.
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
		return passing // 409: another conditional write of the key is running
	case code >= 300 && code < 500, code == http.StatusNotImplemented:
		return refused // also 404: versitygw answers that for an unknown user
	}
	return passing
}

// mayWantMD5 reports whether err can be the answer to a request without the Content-MD5 that the service demands. They have no common code
// for it, and no list of those that they have.
func mayWantMD5(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest && classify(err) == refused
}

// mapError adds the error of package storage or fs that the caller checks for.
func mapError(err error) error {
	sentinel := map[outcome]error{
		missing: fs.ErrNotExist, exists: fs.ErrExist, full: storage.ErrFull, refused: storage.ErrRefused,
	}[classify(err)]
	if sentinel == nil || errors.Is(err, sentinel) {
		return err
	}
	return fmt.Errorf("%w: %w", sentinel, err)
}

// retry calls do at most [tries] times, until its error is not a passing one.
// It must be safe to repeat do.
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

// request does the same as retry, with a time limit for each try.
func request(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	return retry(ctx, func() error { return once(ctx, limit, do) })
}

// once makes a request with a time limit. If the caller's own context has
// ended, it returns the error of that context.
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

// isGone reports whether err says that there is no such object or version.
func isGone(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && answer.Code != minio.NoSuchBucket
}

func unlessGone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}
