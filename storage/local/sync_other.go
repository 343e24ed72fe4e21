//go:build unix && !linux

package local

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// There are no files without a name here.
func openUnnamed(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

func findLinker(*os.File) (linker, error) { return nil, nil }

// Nothing is adopted here.
func sameFilesystem(_, _ *os.File) bool { return false }

// There is no call that does not wait: the next fsync does all of it.
func beginWriting(*os.File, int64, int64) {}

// syncFilesystem writes everything to disk: there is no call for one file
// system. sync(2) may return before the disk has it all.
func syncFilesystem(*os.File) error {
	unix.Sync()
	return nil
}
