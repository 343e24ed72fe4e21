package storage

import (
	"fmt"
	"strings"
)

// Limits of keys, in bytes. 200 leaves room below the 255 bytes that file
// systems allow a name; 900 leaves room for a prefix below S3's 1,024.
const (
	maxComponent = 200
	maxKey       = 900
)

// ValidKey says whether key is one that every store can hold: components of
// ASCII letters, digits, `-`, `_` and `.`, separated by single slashes; no
// component is empty, `.` or `..` or longer than 200 bytes, and the key is at
// most 900 bytes long. The error matches [ErrInvalidKey] and says what is
// wrong and at which byte.
func ValidKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: it is empty", ErrInvalidKey)
	}
	return validParts(key, false)
}

// ValidPrefix says whether prefix can begin a valid key: "" and any leading
// part of one, also one that ends inside a component or at a slash.
func ValidPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return validParts(prefix, true)
}

func validParts(key string, isPrefix bool) error {
	if len(key) > maxKey {
		return fmt.Errorf("%w: %d bytes long, at most %d are allowed, and it begins %.60q", ErrInvalidKey, len(key), maxKey, key)
	}
	for start := 0; start <= len(key); {
		part := key[start:]
		last := true
		if i := strings.IndexByte(part, '/'); i >= 0 {
			part, last = part[:i], false
		}
		if !last || !isPrefix {
			if part == "" || part == "." || part == ".." {
				return fmt.Errorf("%w %.100q: component %q at byte %d is not allowed", ErrInvalidKey, key, part, start)
			}
		}
		if len(part) > maxComponent {
			return fmt.Errorf("%w %.100q: the component at byte %d is %d bytes long, at most %d are allowed",
				ErrInvalidKey, key, start, len(part), maxComponent)
		}
		for i := range len(part) {
			if !keyByte(part[i]) {
				return fmt.Errorf("%w %.100q: byte %q at %d: only letters, digits, '-', '_', '.' and single slashes are allowed",
					ErrInvalidKey, key, part[i], start+i)
			}
		}
		start += len(part) + 1
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}
