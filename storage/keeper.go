package storage

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Keeper keeps or removes groups of objects of an archive. Only legal hold and purge use it; everything else has [Archive], which
// only creates. All methods may be called from several goroutines, also while objects are created.
//
// A name that ends in a slash means whatever lies below it, also what people put there that is no key. Without a slash it means
// exactly that key, never every key that begins so. Names are checked with [ValidName].
type Keeper interface {
	// Kept tells what the store knows of the named objects, all their versions included. Nothing there is no error.
	Kept(ctx context.Context, name string) (Kept, error)

	// Hold puts every version of the named objects under legal hold (on), or lifts it. Repeating it changes nothing, and nothing
	// there is no error. What is written later is not held: it takes a Hold of its own. After an error some may be held and others not.
	//
	// An error matching errors.ErrUnsupported says that this store has no legal hold: plain files, a bucket without Object Lock.
	Hold(ctx context.Context, name string, on bool) error

	// Delete removes the named objects with all their versions and delete markers. Nothing there is no error. After nil neither
	// Open nor List nor a list of versions finds any, durably; what others create there meanwhile may stay.
	//
	// An error matching [ErrKept] says that at least one is under legal hold or retention in the store; nothing was deleted, unless
	// that came up in between. After any other error some may be gone, and the same Delete may be called again.
	Delete(ctx context.Context, name string) error
}

// Kept is what a store knows of a group of objects.
type Kept struct {
	Objects int       // keys that can be opened
	Written time.Time // when the newest version, or delete marker, was written, UTC; zero: nothing is there
	Until   time.Time // end of the longest retention of a version in the store, UTC, also when it is over; zero: there is none
	Held    bool      // a version is under legal hold in the store
}

// Locked reports whether at now the store itself refuses to delete at least one version.
func (k Kept) Locked(now time.Time) bool { return k.Held || k.Until.After(now) }

// ErrKept is matched by the error of a Delete that legal hold or retention forbids.
var ErrKept = errors.New("the archive keeps it")

// ValidName says whether name is a key, or a key with a slash after it: what [Keeper] can be asked for, and never the whole archive.
// The error matches [ErrInvalidKey].
func ValidName(name string) error { return ValidKey(strings.TrimSuffix(name, "/")) }
