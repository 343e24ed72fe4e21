package storagetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/faxstream/faxstream/storage"
)

// ErrFault is what [Faulty] returns. It matches no error of package storage:
// for the caller it is a failure that a second try may not have.
var ErrFault = errors.New("fault made by the test")

// Fault is what happens to one Create.
type Fault int

const (
	None              Fault = iota // the Create works
	Fails                          // nothing is stored, ErrFault is returned
	PersistsThenFails              // the object is stored, and ErrFault is returned
)

// Faulty is an Archive whose Create fails when Fail says so. Fail is called
// once for each Create, from the goroutine of its caller: if it counts calls,
// it needs a lock or an atomic.
type Faulty struct {
	storage.Archive
	Fail func(key string) Fault
}

// Create implements [storage.Archive].
func (f *Faulty) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	switch f.Fail(key) {
	case Fails:
		return fmt.Errorf("create %q: %w", key, ErrFault)
	case PersistsThenFails:
		err := f.Archive.Create(ctx, key, body, size, sum)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return fmt.Errorf("create %q, stored: %w", key, ErrFault)
	default:
		return f.Archive.Create(ctx, key, body, size, sum)
	}
}
