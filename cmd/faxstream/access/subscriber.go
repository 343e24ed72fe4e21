package access

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// subscriberKey is the file with the secret of the subscribers in the directory of local state.
const subscriberKey = "nats-subscriber.key"

// SubscriberPassword is the password of subscribers at the embedded NATS server: 64 hexadecimal digits. Its file is made at the first use,
// readable for its owner only. When the file is removed, the next start makes a new one, and the old password is refused.
func SubscriberPassword(dir string) (string, error) {
	key, err := LinkKey(filepath.Join(dir, subscriberKey))
	if err != nil {
		return "", fmt.Errorf("password of the NATS subscribers: %w", err)
	}
	return hex.EncodeToString(key), nil
}

// KnownSubscriberPassword is SubscriberPassword that makes no file.
func KnownSubscriberPassword(dir string) (string, error) {
	key, err := readLinkKey(filepath.Join(dir, subscriberKey))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s has no login of subscribers: faxstream serve makes it at its first start with --nats-listen", dir)
	}
	if err != nil {
		return "", fmt.Errorf("password of the NATS subscribers: %w", err)
	}
	return hex.EncodeToString(key), nil
}
