package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/faxstream/faxstream/storage"
)

// errStalled ends a request that received nothing for requestTimeout.
var errStalled = fmt.Errorf("the service sent nothing for %s", requestTimeout)

// Open implements [storage.Archive]. To read an object from its start to its
// end costs one request; each Read after a Seek to another place costs one
// more.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	err := storage.ValidKey(key)
	r := &reader{s: s, parent: ctx, object: s.prefix + key}
	if err == nil {
		err = retry(ctx, r.request)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open %.100q: %w", key, mapError(err))
	}
	return r, r.size, nil
}

// reader reads an object and remembers its ETag, so that all requests read
// the same object.
type reader struct {
	s      *Store
	parent context.Context
	object string
	size   int64
	etag   string
	offset int64 // of the next Read
	closed bool

	// The running request, if body is not nil.
	body   io.ReadCloser
	at     int64 // offset of body's next byte
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// request asks for the bytes from offset on.
func (r *reader) request() error {
	r.end()
	r.ctx, r.cancel = context.WithCancelCause(r.parent)
	stop := r.watch()
	defer stop()
	var opts minio.GetObjectOptions
	if r.etag != "" {
		if err := errors.Join(opts.SetMatchETag(r.etag), opts.SetRange(r.offset, r.size-1)); err != nil {
			return err
		}
	}
	body, info, _, err := r.s.core.GetObject(r.ctx, r.s.bucket, r.object, opts)
	if err != nil {
		err = r.cause(err)
		r.end()
		return err
	}
	r.body, r.at = body, r.offset
	if r.etag != "" {
		return nil
	}
	if info.Size < 0 {
		r.end()
		return errors.New("the service did not send the size of the object")
	}
	r.size, r.etag = info.Size, info.ETag
	return nil
}

// watch ends the request after requestTimeout unless stop is called before.
func (r *reader) watch() (stop func() bool) {
	cancel := r.cancel
	return time.AfterFunc(requestTimeout, func() { cancel(errStalled) }).Stop
}

// cause returns the reason why we ended the request, else err.
func (r *reader) cause(err error) error {
	if err := r.parent.Err(); err != nil {
		return err
	}
	if cause := context.Cause(r.ctx); cause != nil {
		return cause
	}
	return err
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, fs.ErrClosed
	case r.offset >= r.size:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if r.body == nil || r.at != r.offset {
		if err := retry(r.parent, r.request); err != nil {
			return 0, fmt.Errorf("read %.200q at %d: %w", r.object, r.offset, mapError(err))
		}
	}
	stop := r.watch()
	n, err := r.body.Read(p[:min(int64(len(p)), r.size-r.offset)])
	stop()
	r.at += int64(n)
	r.offset += int64(n)
	switch {
	case err == nil || errors.Is(err, io.EOF) && r.offset == r.size:
		return n, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	err = r.cause(err)
	r.end() // the next Read starts a new request
	return n, fmt.Errorf("read %.200q at %d of %d: %w", r.object, r.offset, r.size, err)
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.size
	default:
		return 0, fmt.Errorf("seek: unknown whence %d", whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d: before the start", offset)
	}
	r.offset = offset
	return offset, nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.closed = true
	r.end()
	return nil
}

// end ends the request, if there is one.
func (r *reader) end() {
	if r.body != nil {
		// If the object was read to its end, the connection can be used again;
		// else Close ends the connection, which is not a failure.
		_ = r.body.Close()
		r.body = nil
	}
	if r.cancel != nil {
		r.cancel(nil)
		r.cancel = nil
	}
}
