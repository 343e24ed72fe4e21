package storage

import (
	"fmt"
	"strings"
)

// Limits of keys, in bytes. File systems allow names of 255 bytes, S3 allows
// keys of 1,024 bytes; a prefix of the store must fit too.
const (
	maxComponent = 200
	maxKey       = 900
)

// ValidKey returns nil if every store can hold an object with this key. A key
// consists of components, separated by single slashes, at most 900 bytes in
// all. A component has 1 to 200 ASCII letters, digits, `-`, `_` and `.`; it is
// neither `.` nor `..`. The error matches [ErrInvalidKey] and says what is
// wrong and at which byte.
func ValidKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: the key is empty", ErrInvalidKey)
	}
	return validParts(key, false)
}

// ValidPrefix returns nil if a valid key can begin with prefix: "" and any
// first part of a key, also one that ends inside a component or at a slash.
// The error matches [ErrInvalidKey].
func ValidPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return validParts(prefix, true)
}

func validParts(key string, isPrefix bool) error {
	if len(key) > maxKey {
		return fmt.Errorf("%w: %d bytes long, at most %d are allowed; it begins with %.60q", ErrInvalidKey, len(key), maxKey, key)
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
