package local

import "sync"

// unsavedNames knows the directories in which this process has made names (of
// objects or directories) that a crash could still undo. A directory that it
// does not know has none. The zero value is ready.
type unsavedNames struct {
	mu   sync.Mutex
	dirs map[string]*dirNames // by slash path; only while something is unsaved
}

// dirNames counts the names made in one directory; mu of unsavedNames guards
// all fields but syncing.
type dirNames struct {
	making  int    // calls under way, whose names may or may not be visible
	made    uint64 // names made
	saved   uint64 // of made, those on disk
	waiting int    // save calls that hold a pointer to this

	// syncing, of capacity 1, is full while an fsync runs: those who wait for
	// their turn find that the next one has saved all their names together.
	syncing chan struct{}
}

// add calls do, which makes one name in dir.
func (u *unsavedNames) add(dir string, do func() error) error {
	// Known as unsaved before it can be seen.
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
// disk. sync is fsync of a directory. When it fails the names stay unsaved,
// and the next save tries again.
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
	// A name that is still being made may have been seen already and is not
	// counted in made, so then only an fsync of our own will do.
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
