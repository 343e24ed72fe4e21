package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/storage"
)

var (
	_ storage.Batcher = (*Store)(nil)
	_ storage.Adopter = (*Store)(nil)
)

// Create implements [storage.Archive].
func (s *Store) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	return s.CreateAll(ctx, storage.Item{Key: key, Body: body, Size: size, Sum: sum})[0]
}

// CreateAll implements [storage.Batcher]. The contents of all items wait for the disk at the same time; so do the names of items that
// follow one another in the same directory.
func (s *Store) CreateAll(ctx context.Context, items ...storage.Item) []error {
	drafts := make([]draft, len(items))
	for i, o := range items {
		drafts[i].Item = o
	}
	return s.create(ctx, drafts)
}

// Adopt implements [storage.Adopter]: the key becomes a second name of the file. It copies a file that is in another file system, or
// that other users may open.
func (s *Store) Adopt(ctx context.Context, key string, file *os.File, size int64, sum [sha256.Size]byte) error {
	item := storage.Item{Key: key, Body: file, Size: size, Sum: sum}
	if s.adoptable(file) {
		err := s.create(ctx, []draft{{Item: item, file: file, adopted: true}})[0]
		if !errors.Is(err, syscall.EXDEV) { // another mount of the same file system
			return err
		}
	}
	return s.CreateAll(ctx, item)[0]
}

func (s *Store) adoptable(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && s.link != nil && info.Mode() == 0o600
}

// create makes objects of drafts, and returns one error for each.
func (s *Store) create(ctx context.Context, drafts []draft) []error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	s.write(ctx, drafts)
	s.sync(drafts)
	s.publish(ctx, drafts)
	errs := make([]error, len(drafts))
	var failed error
	for i := range drafts {
		d := &drafts[i]
		if failed == nil {
			failed = unlessExists(d.err)
		} else {
			d.err = failed
		}
		if errs[i] = errors.Join(d.err, s.discard(d)); errs[i] != nil {
			errs[i] = fmt.Errorf("create %.100q: %w", d.Key, mapError(errs[i]))
		}
	}
	return errs
}

func unlessExists(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// write writes the contents of drafts, until one fails. A repeat writes nothing; of a batch whose first object does not exist, the others
// are not looked for: they rarely exist.
func (s *Store) write(ctx context.Context, drafts []draft) {
	look := true
	for i := range drafts {
		d := &drafts[i]
		d.err = errors.Join(storage.ValidKey(d.Key), ctx.Err())
		if d.err == nil && look {
			d.err = s.known(d.Key)
		}
		if d.err == nil {
			d.err = s.fill(ctx, d)
		}
		if unlessExists(d.err) != nil {
			return
		}
		look = d.err != nil
	}
}

// known returns fs.ErrExist if the object exists and is durable, nil if there is no such name.
func (s *Store) known(key string) error {
	if _, err := s.root.Lstat(key); err != nil {
		return nil // the link will tell
	}
	if err := s.existing(key); !errors.Is(err, fs.ErrNotExist) { // ErrNotExist: deleted since the Lstat
		return err
	}
	return nil
}

// sync returns when the contents of drafts are on disk, up to the first that failed. All wait for the disk together.
func (s *Store) sync(drafts []draft) {
	var wg sync.WaitGroup
	defer wg.Wait()
	var last *draft
	for i := range drafts {
		d := &drafts[i]
		if unlessExists(d.err) != nil {
			break
		}
		if d.err != nil {
			continue
		}
		if last != nil {
			other := last
			wg.Go(func() { other.err = s.syncFile(other.file) })
		}
		last = d
	}
	if last != nil {
		last.err = s.syncFile(last.file)
	}
}

// syncFile is fsync(2). Each one that runs has a thread of its own, so their number has a limit.
func (s *Store) syncFile(f *os.File) error {
	s.syncing <- struct{}{}
	defer func() { <-s.syncing }()
	return f.Sync()
}

// publish gives drafts their names, in their order, until one fails, and returns when the names are on disk.
func (s *Store) publish(ctx context.Context, drafts []draft) {
	for len(drafts) > 0 {
		n, dir := 1, path.Dir(drafts[0].Key)
		for n < len(drafts) && path.Dir(drafts[n].Key) == dir {
			n++
		}
		if !s.publishIn(ctx, dir, drafts[:n]) {
			return
		}
		drafts = drafts[n:]
	}
}

// publishIn is publish in one directory. ok: nothing failed. Once a name is visible it ignores the end of the context: what is visible
// must become durable.
func (s *Store) publishIn(ctx context.Context, dir string, drafts []draft) (ok bool) {
	s.names.RLock()
	defer s.names.RUnlock()
	var made []*draft
	ok = true
	for i := 0; i < len(drafts) && ok; i++ {
		d := &drafts[i]
		if d.err == nil && len(made) == 0 {
			d.err = ctx.Err()
		}
		if d.err == nil {
			if d.err = s.name(dir, d); d.err == nil {
				made = append(made, d)
			}
		}
		ok = unlessExists(d.err) == nil
	}
	if len(made) == 0 {
		return ok
	}
	err := s.saveNames(made[0].Key)
	for _, d := range made {
		d.err = err
	}
	return ok && err == nil
}

// name gives a draft its name in dir. Needs names.
func (s *Store) name(dir string, d *draft) error {
	link := func(dir openDir) error { return s.linkInto(dir, d) }
	err := s.unsaved.add(dir, link)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeDirs(dir); err != nil {
			return err
		}
		err = s.unsaved.add(dir, link)
	}
	if errors.Is(err, fs.ErrExist) {
		return s.existingLocked(d.Key)
	}
	return err
}

// existing returns fs.ErrExist once the object at key is durable, or another
// error if key is not an object.
func (s *Store) existing(key string) error {
	s.names.RLock()
	defer s.names.RUnlock()
	return s.existingLocked(key)
}

// existingLocked is existing for a caller that holds names.
func (s *Store) existingLocked(key string) error {
	info, err := s.root.Lstat(key)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("not a regular file, but mode %s", info.Mode())
	}
	if err := s.saveNames(key); err != nil {
		return err
	}
	return fs.ErrExist
}

// makeDirs makes dir and the directories above it. They are on disk after
// saveNames of a key in them.
func (s *Store) makeDirs(dir string) error {
	for end := range len(dir) + 1 {
		if end < len(dir) && dir[end] != '/' {
			continue
		}
		err := s.unsaved.add(path.Dir(dir[:end]), func(openDir) error { return s.root.Mkdir(dir[:end], 0o700) })
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// saveNames returns when the name of key, and those of all directories above
// it, are on disk. The directories wait for the disk together.
func (s *Store) saveNames(key string) error {
	dirs := s.unsaved.above(key)
	if len(dirs) == 0 {
		return nil
	}
	var all errgroup.Group
	for _, dir := range dirs[1:] {
		all.Go(func() error { return s.unsaved.save(dir) })
	}
	return errors.Join(s.unsaved.save(dirs[0]), all.Wait())
}

func (s *Store) syncDir(dir string) error {
	f, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
