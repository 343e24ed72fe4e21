package local

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFilesystem writes everything in f's file system to disk.
func syncFilesystem(f *os.File) error {
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}
