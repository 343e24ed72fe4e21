package storage

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Remover deletes groups of objects of an archive, and protects them from deletion by legal hold. Only the code for legal hold and
// purge uses it. All other code has [Archive], which only creates. All methods may be called from several goroutines, also while
// objects are created.
//
// A name that ends with a slash means everything below it, also files that people put there and that are not keys. A name without a
// slash at its end means exactly that key, and no other key that begins with it. Names are checked with [ValidName].
type Remover interface {
	// Protection returns what protects the named objects, all their versions included. If nothing is there, it returns the zero
	// value and no error.
	Protection(ctx context.Context, name string) (Protection, error)

	// Hold puts every version of the named objects under legal hold (on is true), or releases it (on is false). A second call
	// changes nothing. If nothing is there, that is no error. Objects that are written later are not held: call Hold again for
	// them. After an error, some versions may be held and others not.
	//
	// An error that matches errors.ErrUnsupported means that this store has no legal hold: plain files, or a bucket without
	// Object Lock.
	Hold(ctx context.Context, name string, on bool) error

	// Delete removes the named objects with all their versions and delete markers. If nothing is there, that is no error. After a
	// nil error neither Open nor List nor a list of versions finds any of them, also after a crash. Objects that others create
	// there at the same time may stay.
	//
	// An error that matches [ErrProtected] means that at least one version is under legal hold or retention in the store. Nothing
	// was deleted then, unless the lock was set during the call. After any other error some objects may be deleted; call Delete
	// again with the same name.
	Delete(ctx context.Context, name string) error
}

// Protection says what protects a group of objects from deletion, and what the group contains.
type Protection struct {
	Objects int       // number of keys that can be opened
	Written time.Time // time of the newest version or delete marker, UTC; zero: nothing is there
	Until   time.Time // end of the longest retention of a version in the store, UTC, also if it is in the past; zero: no retention
	Held    bool      // true: a version is under legal hold in the store
}

// Locked reports whether the store itself refuses, at the time now, to delete at least one version.
func (p Protection) Locked(now time.Time) bool { return p.Held || p.Until.After(now) }

// ErrProtected is matched by the error of a Delete that legal hold or retention forbids.
var ErrProtected = errors.New("the archive refuses to delete a protected object")

// ValidName returns nil if name is a key, or a key with a slash after it. Only such names are valid for [Remover]: no name means the
// whole archive. The error matches [ErrInvalidKey].
func ValidName(name string) error { return ValidKey(strings.TrimSuffix(name, "/")) }
