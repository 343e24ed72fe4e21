package s3

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/faxstream/faxstream/storage"
)

// Link returns a presigned URL. With it anybody may GET the object for ttl, 1 s to 7 days, as a file of this name and media type. It
// makes no request, so it does not check that the object exists. name must not contain characters that a quoted string escapes.
func (s *Store) Link(ctx context.Context, key string, ttl time.Duration, name, mime string) (string, error) {
	if err := storage.ValidKey(key); err != nil {
		return "", fmt.Errorf("link to %.100q: %w", key, err)
	}
	u, err := s.core.PresignedGetObject(ctx, s.bucket, s.prefix+key, ttl, url.Values{
		"response-content-disposition": {fmt.Sprintf("inline; filename=%q", name)},
		"response-content-type":        {mime},
	})
	if err != nil {
		return "", fmt.Errorf("link to %.100q: %w", key, mapError(err))
	}
	return u.String(), nil
}
