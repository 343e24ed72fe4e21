package local

import "sync"

// unsavedNames has the directories in which this process has made names (of
// objects or directories) that a crash could still undo. All names in other
// directories are on disk. The zero value is ready to use.
type unsavedNames struct {
	mu   sync.Mutex
	dirs map[string]*dirNames // by slash path; only while something is unsaved
}

// dirNames counts the names made in one directory. The mutex of unsavedNames
// guards all fields but syncing.
type dirNames struct {
	making  int    // running calls, whose names may or may not be visible
	made    uint64 // names made
	saved   uint64 // of made, those on disk
	waiting int    // save calls that hold a pointer to this

	// syncing, of capacity 1, is full while an fsync runs. Several save calls
	// wait for it; the next fsync saves the names of all of them.
	syncing chan struct{}
}

// add calls do, which makes one name in dir.
func (u *unsavedNames) add(dir string, do func() error) error {
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

	err := do()

	u.mu.Lock()
	defer u.mu.Unlock()
	d.making--
	if err == nil {
		d.made++
	}
	u.forget(dir, d)
	return err
}

// save returns nil when every name that was visible in dir at the call is on
// disk. sync is fsync of a directory. If it fails the names stay unsaved and
// the next save tries again.
func (u *unsavedNames) save(dir string, sync func(dir string) error) error {
	u.mu.Lock()
	d := u.dirs[dir]
	if d == nil {
		u.mu.Unlock()
		return nil
	}
	want, making := d.made, d.making > 0
	d.waiting++
	u.mu.Unlock()

	d.syncing <- struct{}{}
	defer func() { <-d.syncing }()
	u.mu.Lock()
	defer u.mu.Unlock()
	d.waiting--
	// A name may be visible before made counts it. While making is not zero,
	// only an fsync that starts now is enough.
	if making || d.saved < want {
		upTo := d.made
		u.mu.Unlock()
		err := sync(dir)
		u.mu.Lock()
		if err != nil {
			return err
		}
		d.saved = max(d.saved, upTo)
	}
	u.forget(dir, d)
	return nil
}

// forget drops d once nothing in it is unsaved. Needs mu.
func (u *unsavedNames) forget(dir string, d *dirNames) {
	if d.making == 0 && d.waiting == 0 && d.made == d.saved {
		delete(u.dirs, dir)
	}
}
