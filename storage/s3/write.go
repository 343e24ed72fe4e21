package s3

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

// Metadata names, in the spelling of minio-go.
const (
	metaSum    = "Sha256" // hexadecimal
	metaWriter = "Writer"
)

// write is one call of Create.
type write struct {
	s      *Store
	object string // key with the store's prefix
	body   io.ReadSeeker
	size   int64
	sum    [sha256.Size]byte
	md5    string    // base64, of a body that is sent in one request; "": it is not sent
	parts  []partSum // of each partSize bytes of body
	writer string    // no other call has this one
	terms  terms
	start  time.Time // the retention counts from here
}

// contentType returns the media type of an object, by the end of its key.
func contentType(object string) string {
	switch path.Ext(object) {
	case ".tiff":
		return "image/tiff"
	case ".png":
		return "image/png"
	case ".pdf":
		return "application/pdf"
	case ".json":
		return "application/json"
	case ".jsonl":
		return "application/x-ndjson"
	}
	return "application/octet-stream"
}

func (w *write) metadata() map[string]string {
	return map[string]string{metaSum: hex.EncodeToString(w.sum[:]), metaWriter: w.writer}
}

func (w *write) options() minio.PutObjectOptions {
	opts := minio.PutObjectOptions{
		ContentType:  contentType(w.object),
		UserMetadata: w.metadata(),
		// Our SHA-256 signs the body; without this option minio-go sends the
		// body in signed chunks.
		DisableContentSha256: true,
	}
	opts.SetMatchETagExcept("*")
	w.terms.set(&opts, w.start)
	return opts
}

// put stores the object with one request.
func (w *write) put(ctx context.Context) error {
	opts := w.options()
	opts.UserMetadata["x-amz-checksum-sha256"] = base64.StdEncoding.EncodeToString(w.sum[:])
	return w.commit(ctx, false, bodyTimeout(w.size), func(ctx context.Context) error {
		err := w.send(0, w.size, func(body io.Reader) error {
			_, err := w.s.core.PutObject(ctx, w.s.bucket, w.object, body, w.size, w.md5, hex.EncodeToString(w.sum[:]), opts)
			return err
		})
		if mayWantMD5(err) {
			w.s.sendMD5.Store(true)
		}
		return err
	})
}

// multipart stores the object in parts. If it fails it aborts the upload. If
// the process dies, the upload stays, invisible, until the bucket's lifecycle
// rule for incomplete uploads removes it.
func (w *write) multipart(ctx context.Context) (err error) {
	var found minio.ObjectInfo
	err = retry(ctx, func() (err error) {
		found, err = w.head(ctx)
		return err
	})
	if err == nil {
		return fmt.Errorf("%w with %d bytes", fs.ErrExist, found.Size)
	}
	if classify(err) != missing {
		return err
	}
	var id string
	begin := minio.PutObjectOptions{ContentType: contentType(w.object), UserMetadata: w.metadata()}
	w.terms.set(&begin, w.start)
	err = request(ctx, requestTimeout, func(ctx context.Context) (err error) {
		id, err = w.s.core.NewMultipartUpload(ctx, w.s.bucket, w.object, begin)
		return err
	})
	if err != nil {
		return notAbsent(err)
	}
	defer func() {
		if err != nil {
			err = w.abort(ctx, id, requestTimeout, err)
		}
	}()
	parts, err := w.uploadParts(ctx, id)
	if err != nil {
		return err
	}
	precondition := minio.PutObjectOptions{}
	precondition.SetMatchETagExcept("*")
	return w.commit(ctx, true, bodyTimeout(w.size), func(ctx context.Context) error {
		_, err := w.s.core.CompleteMultipartUpload(ctx, w.s.bucket, w.object, id, parts, precondition)
		return err
	})
}

// abort aborts an upload that failed with err (nil: it was a test), also if the caller's context has
// ended, and returns err. If the abort fails too, the text of the error says so.
func (w *write) abort(ctx context.Context, id string, limit time.Duration, err error) error {
	aerr := once(context.WithoutCancel(ctx), limit, func(ctx context.Context) error {
		return w.s.core.AbortMultipartUpload(ctx, w.s.bucket, w.object, id)
	})
	if aerr != nil && err == nil {
		return fmt.Errorf("abort the upload: %w", notAbsent(aerr))
	}
	if aerr != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w (aborting the upload failed too: %v)", err, aerr)
	}
	return err
}

func (w *write) uploadParts(ctx context.Context, id string) ([]minio.CompletePart, error) {
	var parts []minio.CompletePart
	for i, sum := range w.parts {
		offset := int64(i) * w.s.partSize
		size := min(w.s.partSize, w.size-offset)
		var part minio.ObjectPart
		err := request(ctx, bodyTimeout(size), func(ctx context.Context) error {
			return w.send(offset, size, func(body io.Reader) (err error) {
				part, err = w.s.core.PutObjectPart(ctx, w.s.bucket, w.object, id, i+1, body, size, minio.PutObjectPartOptions{
					Sha256Hex: hex.EncodeToString(sum.sha256[:]), Md5Base64: base64.StdEncoding.EncodeToString(sum.md5[:]),
					DisableContentSha256: true,
				})
				return err
			})
		})
		if err != nil {
			return nil, fmt.Errorf("part %d of %d: %w", i+1, len(w.parts), notAbsent(err))
		}
		parts = append(parts, minio.CompletePart{PartNumber: i + 1, ETag: part.ETag})
	}
	return parts, nil
}

// commit sends the request that makes the object visible, until it is known
// whether our object or another one is there. With verify it also checks a
// success.
func (w *write) commit(ctx context.Context, verify bool, limit time.Duration, do func(context.Context) error) error {
	for n := 1; ; n++ {
		err := once(ctx, limit, do)
		if err == nil && !verify {
			return nil
		}
		if err != nil {
			if o := classify(err); ctx.Err() != nil || o != passing && o != exists {
				return notAbsent(err)
			}
		}
		found, herr := w.head(ctx)
		if herr == nil {
			return w.compare(found)
		}
		if o := classify(herr); ctx.Err() != nil || o != passing && o != missing {
			return herr
		}
		if n == tries {
			// No %w: neither error may count as an answer about the object.
			return fmt.Errorf("after %d tries it is not known whether the object is stored: write: %v; check: %v", tries, err, herr)
		}
		if err := pause(ctx, n); err != nil {
			return err
		}
	}
}

func (w *write) head(ctx context.Context) (info minio.ObjectInfo, err error) {
	err = once(ctx, requestTimeout, func(ctx context.Context) error {
		info, err = w.s.core.StatObject(ctx, w.s.bucket, w.object, minio.StatObjectOptions{})
		return err
	})
	return info, err
}

// compare returns nil if this call wrote found.
func (w *write) compare(found minio.ObjectInfo) error {
	meta := map[string]string{}
	for k, v := range found.UserMetadata {
		meta[strings.ToLower(k)] = v
	}
	if meta[strings.ToLower(metaWriter)] != w.writer {
		return fmt.Errorf("%w with %d bytes and SHA-256 %.64q", fs.ErrExist, found.Size, meta[strings.ToLower(metaSum)])
	}
	if found.Size != w.size {
		return fmt.Errorf(
			"the service stored %d of %d bytes under %.200q and reported success: do not use this service", found.Size, w.size, w.object,
		)
	}
	return nil
}

// send calls do with size bytes of the body from offset. After it returns
// nobody reads the body, although the HTTP transport may still hold the reader.
func (w *write) send(offset, size int64, do func(io.Reader) error) error {
	if _, err := w.body.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("rewind body: %w", err)
	}
	r := &lease{r: io.LimitReader(w.body, size)}
	defer r.end()
	return do(r)
}

// lease is a reader that its owner can end while another goroutine holds it.
type lease struct {
	mu sync.Mutex
	r  io.Reader // nil after end
}

func (l *lease) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.r == nil {
		return 0, errors.New("the request for this body has ended")
	}
	return l.r.Read(p)
}

func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.r = nil
}

// partSum has the checksums of a part. For parts of an object that will be
// locked, Amazon demands the MD5, or a checksum of the whole upload.
type partSum struct {
	sha256 [sha256.Size]byte
	md5    [md5.Size]byte
}

// partHasher is a writer that computes the checksums of each part of size bytes.
type partHasher struct {
	size        int64
	sums        []partSum
	sha256, md5 hash.Hash
	n           int64 // bytes in the hashes
}

func newPartHasher(size int64) *partHasher {
	return &partHasher{size: size, sha256: sha256.New(), md5: md5.New()}
}

func (p *partHasher) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		k := int(min(int64(len(b)), p.size-p.n))
		p.sha256.Write(b[:k])
		p.md5.Write(b[:k])
		p.n += int64(k)
		b = b[k:]
		if p.n == p.size {
			p.end()
		}
	}
	return total, nil
}

// end ends the part unless it is empty.
func (p *partHasher) end() {
	if p.n > 0 {
		p.sums = append(p.sums, partSum{[sha256.Size]byte(p.sha256.Sum(nil)), [md5.Size]byte(p.md5.Sum(nil))})
		p.sha256.Reset()
		p.md5.Reset()
		p.n = 0
	}
}

// bodyTimeout limits a request with size bytes.
func bodyTimeout(size int64) time.Duration {
	return requestTimeout + time.Duration(size/slowestUpload)*time.Second
}

// notAbsent hides a 404 that is not about the object (but about an upload that
// does not exist), so that it does not match fs.ErrNotExist.
func notAbsent(err error) error {
	if classify(err) == missing {
		return fmt.Errorf("%v", err)
	}
	return err
}
