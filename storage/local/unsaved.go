package local

import (
	"errors"
	"path"
	"sync"
)

// unsavedNames has the directories in which this process has made names (of
// objects or directories) that a crash could still undo. All names in other
// directories are on disk.
//
// Each directory is opened before a name is made in it, and that descriptor is
// synced. The system reports an I/O error once, to the descriptors that were
// open when it happened: one that is opened later may not see it, and its
// fsync succeeds although the name is not on disk.
type unsavedNames struct {
	open func(dir string) (openDir, error)
	mu   sync.Mutex
	dirs map[string]*dirNames // by slash path; only while something is unsaved
}

// openDir is an open directory: an *os.File.
type openDir interface {
	Fd() uintptr
	Sync() error
	Close() error
}

// dirNames counts the names made in one directory. The mutex of unsavedNames
// guards all fields but opening, syncing and file.
type dirNames struct {
	making  int    // running calls, whose names may or may not be visible
	made    uint64 // names made
	saved   uint64 // of made, those on disk
	begun   uint64 // fsyncs
	synced  uint64 // the last of begun that succeeded
	waiting int    // save calls that hold a pointer to this
	removed bool   // the directory does not exist any more, or is another one

	// syncing, of capacity 1, is full while an fsync runs. Several save calls
	// wait for it; the next fsync saves the names of all of them.
	syncing chan struct{}

	opening sync.Mutex
	file    openDir // nil until the first name is made; guarded by opening, and read-only afterwards
}

// descriptor opens the directory unless it is open.
func (d *dirNames) descriptor(open func() (openDir, error)) (err error) {
	d.opening.Lock()
	defer d.opening.Unlock()
	if d.file == nil {
		d.file, err = open()
	}
	return err
}

// add calls do, which makes one name in dir, and gives it the open directory. If dir does not exist the error
// matches fs.ErrNotExist.
func (u *unsavedNames) add(dir string, do func(openDir) error) error {
	// The name must count as unsaved before it is visible.
	u.mu.Lock()
	d := u.dirs[dir]
	if d == nil {
		d = &dirNames{syncing: make(chan struct{}, 1)}
		if u.dirs == nil {
			u.dirs = map[string]*dirNames{}
		}
		u.dirs[dir] = d
	}
	d.making++
	u.mu.Unlock()

	err := d.descriptor(func() (openDir, error) { return u.open(dir) })
	if err == nil {
		err = do(d.file)
	}

	u.mu.Lock()
	defer u.mu.Unlock()
	d.making--
	if err == nil {
		d.made++
	}
	return errors.Join(err, u.forget(dir, d))
}

// above returns the directories above key that have unsaved names, the nearest first.
func (u *unsavedNames) above(key string) (dirs []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for dir := path.Dir(key); len(u.dirs) > 0; dir = path.Dir(dir) {
		if u.dirs[dir] != nil {
			dirs = append(dirs, dir)
		}
		if dir == "." {
			break
		}
	}
	return dirs
}

// save returns nil when every name that was visible in dir at the call is on
// disk. If the fsync of the directory fails the names stay unsaved and the
// next save tries again.
func (u *unsavedNames) save(dir string) (err error) {
	u.mu.Lock()
	d := u.dirs[dir]
	if d == nil {
		u.mu.Unlock()
		return nil
	}
	want, next, making := d.made, d.begun+1, d.making > 0
	d.waiting++
	u.mu.Unlock()

	d.syncing <- struct{}{}
	defer func() { <-d.syncing }()
	u.mu.Lock()
	defer u.mu.Unlock()
	// A name may be visible before made counts it. While making is not zero,
	// only an fsync that begins after the call is enough.
	if d.saved < want || making && d.synced < next {
		d.begun++
		upTo, n := d.made, d.begun
		u.mu.Unlock()
		if err = d.descriptor(func() (openDir, error) { return u.open(dir) }); err == nil {
			err = d.file.Sync()
		}
		u.mu.Lock()
		if err == nil {
			d.saved, d.synced = max(d.saved, upTo), n
		}
	}
	d.waiting--
	return errors.Join(err, u.forget(dir, d))
}

// remove notes that dir was removed, with all names in it. A directory that is
// made there later is another one, with a descriptor of its own.
func (u *unsavedNames) remove(dir string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.dirs[dir]
	if d == nil {
		return nil
	}
	d.removed = true
	delete(u.dirs, dir)
	return u.forget(dir, d)
}

// forget drops d, and closes its descriptor, once nothing in it is unsaved.
// Needs mu.
func (u *unsavedNames) forget(dir string, d *dirNames) error {
	if d.making > 0 || d.waiting > 0 || d.made != d.saved && !d.removed {
		return nil
	}
	if u.dirs[dir] == d {
		delete(u.dirs, dir)
	}
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}
