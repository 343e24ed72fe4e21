package local

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openUnnamed opens a new file without a name, in the file system of the directory dir. An [os.Root] would try in vain, with five system
// calls, to use the file without blocking.
func openUnnamed(dir *os.File) (*os.File, error) {
	for {
		fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err == nil {
			return os.NewFile(uintptr(fd), dir.Name()), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, &os.PathError{Op: "open a new file in", Path: dir.Name(), Err: err}
		}
	}
}

// findLinker returns the cheapest way to name such a file in dir. nil: there is none, for example on NFS, or without /proc.
func findLinker(dir *os.File) (linker, error) {
	f, err := openUnnamed(dir)
	if err != nil {
		return nil, nil
	}
	const name = "probe"
	for _, link := range []linker{linkEmptyPath, linkProc} {
		if link(f.Fd(), dir.Fd(), name) == nil {
			return link, errors.Join(f.Close(), os.NewSyscallError("unlinkat", unix.Unlinkat(int(dir.Fd()), name, 0)))
		}
	}
	return nil, f.Close()
}

// linkEmptyPath is for processes with the capability CAP_DAC_READ_SEARCH; since Linux 6.10 for every process that opened the file itself.
func linkEmptyPath(file, dir uintptr, name string) error {
	return os.NewSyscallError("linkat", unix.Linkat(int(file), "", int(dir), name, unix.AT_EMPTY_PATH))
}

func linkProc(file, dir uintptr, name string) error {
	err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", file), int(dir), name, unix.AT_SYMLINK_FOLLOW)
	return os.NewSyscallError("linkat", err)
}

// beginWriting has the system begin to write n bytes of f from an offset on to disk, and does not wait. An error is one of the next fsync.
func beginWriting(f *os.File, from, n int64) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _ = unix.SyncFileRange(int(fd), from, n, unix.SYNC_FILE_RANGE_WRITE) })
}

// sameFilesystem reports whether a file could have a second name in a directory.
func sameFilesystem(file, dir *os.File) bool {
	var f, d unix.Stat_t
	return unix.Fstat(int(file.Fd()), &f) == nil && unix.Fstat(int(dir.Fd()), &d) == nil && f.Dev == d.Dev
}

// syncFilesystem writes everything in f's file system to disk.
func syncFilesystem(f *os.File) error {
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
