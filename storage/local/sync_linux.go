package local

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// unnamed is the flag that opens a new file without a name, in the file system of a directory.
const unnamed = unix.O_TMPFILE

// findLinker returns the cheapest way to name such a file in root. nil: here is none, for example on NFS, or without /proc.
func findLinker(root *os.Root) (_ linker, err error) {
	f, err := root.OpenFile(tmpDir, os.O_WRONLY|unnamed, 0o600)
	if err != nil {
		return nil, nil
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	dir, err := root.Open(tmpDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	const name = "probe"
	for _, link := range []linker{linkEmptyPath, linkProc} {
		if link(f.Fd(), dir.Fd(), name) == nil {
			return link, root.Remove(path.Join(tmpDir, name))
		}
	}
	return nil, nil
}

// linkEmptyPath is for processes with the capability CAP_DAC_READ_SEARCH; since Linux 6.10 for every process that opened the file itself.
func linkEmptyPath(file, dir uintptr, name string) error {
	return os.NewSyscallError("linkat", unix.Linkat(int(file), "", int(dir), name, unix.AT_EMPTY_PATH))
}

func linkProc(file, dir uintptr, name string) error {
	err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", file), int(dir), name, unix.AT_SYMLINK_FOLLOW)
	return os.NewSyscallError("linkat", err)
}

// syncFilesystem writes everything in f's file system to disk.
func syncFilesystem(f *os.File) error {
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
