package local

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openPlain opens a file below the directory dir with one system call, where [os.Root] needs three for each directory of a name. plain is
// false where that is not enough and the caller must ask os.Root: there is a symbolic link in the name, or any other error than that there
// is no such file, such as a kernel (before 5.6) or a sandbox without the call.
func openPlain(dir syscall.RawConn, name string) (f *os.File, plain bool, err error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	var fd int
	if cerr := dir.Control(func(d uintptr) { fd, err = unix.Openat2(int(d), name, &how) }); cerr != nil {
		return nil, false, nil // the directory is closed
	}
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), name), true, nil
	case errors.Is(err, unix.ENOENT):
		return nil, true, &fs.PathError{Op: "openat2", Path: name, Err: err}
	}
	return nil, false, nil
}
