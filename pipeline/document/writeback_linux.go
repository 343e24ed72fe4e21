package document

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback asks the kernel to write a part of a file to disk, and does not wait for it. It is only a hint, so its errors do not
// count: the archive syncs the file.
func startWriteback(f *os.File, offset, size int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, size, unix.SYNC_FILE_RANGE_WRITE)
}
