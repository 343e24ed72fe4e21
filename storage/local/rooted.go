package local

import (
	"errors"
	"os"
	"syscall"
)

// rooted is an [os.Root] that opens files for reading with fewer system calls.
type rooted struct {
	*os.Root
	dir  *os.File
	conn syscall.RawConn // of dir
}

func openRooted(dir string) (_ *rooted, err error) {
	r := &rooted{}
	if r.Root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	if r.dir, err = r.Root.Open("."); err == nil {
		r.conn, err = r.dir.SyscallConn()
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// OpenObject is Open of [os.Root] for a file that is no directory. (A directory from elsewhere looks for its entries in the wrong place.)
func (r *rooted) OpenObject(name string) (*os.File, error) {
	if f, plain, err := openPlain(r.conn, name); plain {
		return f, err
	}
	return r.Root.Open(name)
}

// Close closes the directory. Files that are open stay open.
func (r *rooted) Close() error {
	err := r.Root.Close()
	if r.dir != nil {
		err = errors.Join(err, r.dir.Close())
	}
	return err
}
