package s3

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/faxstream/faxstream/storage"
)

// Link gives a presigned URL with which anybody may GET the object for ttl, 1 s to 7 days, as a file of this name and type. It
// asks the service nothing: whether the object is there shows only when the link is used. The name must need no escape in a quoted string.
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
