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
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/storage"
)

var _ storage.Batcher = (*Store)(nil)

// Create implements [storage.Archive].
func (s *Store) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	return s.CreateAll(ctx, storage.Item{Key: key, Body: body, Size: size, Sum: sum})[0]
}

// CreateAll implements [storage.Batcher]. The contents of all items wait for the disk at the same time; so do the names of items that
// follow one another in the same directory.
//
// The key of a file that is adopted becomes a second name of it. The file is copied if it is in another file system, or if other users may
// open it.
func (s *Store) CreateAll(ctx context.Context, items ...storage.Item) []error {
	return s.createAs(ctx, items, s.publish)
}

// Commit implements [storage.Batcher]. The contents of all items wait for the disk at the same time, then the names of all but the last
// one, in all directories, and then the last name: three waits.
func (s *Store) Commit(ctx context.Context, items ...storage.Item) []error {
	return s.createAs(ctx, items, s.publishCommit)
}

// createAs makes objects of items, whose names publish gives to them.
func (s *Store) createAs(ctx context.Context, items []storage.Item, publish func(context.Context, []draft)) []error {
	errs := s.create(ctx, s.drafts(items), publish)
	for i, err := range errs {
		if !errors.Is(err, syscall.EXDEV) {
			continue
		}
		// A file is in another file system, or in another mount of the same one. This item and those after it have this error.
		rest := slices.Clone(items[i:])
		for j := range rest {
			rest[j].Adopt = false
		}
		return append(errs[:i], s.create(ctx, s.drafts(rest), publish)...)
	}
	return errs
}

func (s *Store) drafts(items []storage.Item) []draft {
	drafts := make([]draft, len(items))
	for i, o := range items {
		drafts[i].Item = o
		if file, ok := o.Body.(*os.File); ok && o.Adopt && s.adoptable(file) {
			drafts[i].file, drafts[i].adopted = file, true
		}
	}
	return drafts
}

func (s *Store) adoptable(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && s.link != nil && info.Mode() == 0o600 && sameFilesystem(file, s.tmp)
}

// create makes objects of drafts, and returns one error for each.
func (s *Store) create(ctx context.Context, drafts []draft, publish func(context.Context, []draft)) []error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	s.write(ctx, drafts)
	s.sync(drafts)
	publish(ctx, drafts)
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
	var made []*draft
	for i := range drafts {
		if unlessExists(drafts[i].err) != nil {
			break
		}
		if drafts[i].err == nil {
			made = append(made, &drafts[i])
		}
	}
	if len(made) > 1 {
		for _, d := range made { // so that one commit of the journal has the places of all of them
			beginWriting(d.file, 0, d.Size)
		}
	}
	var all sync.WaitGroup
	for i, d := range made {
		if i == len(made)-1 {
			d.err = s.syncFile(d.file)
			break
		}
		all.Go(func() { d.err = s.syncFile(d.file) })
	}
	all.Wait()
}

// Begin implements [storage.Batcher].
func (s *Store) Begin(file *os.File, from, to int64) {
	if s.adoptable(file) {
		beginWriting(file, from, to-from)
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
		n, dir := sameDir(drafts)
		if !s.publishIn(ctx, dir, drafts[:n]) {
			return
		}
		drafts = drafts[n:]
	}
}

// publishCommit gives drafts their names, until one fails, and the last one its name when all the others are on disk. The directories of
// the others wait for the disk together: their names are in one commit of the journal.
func (s *Store) publishCommit(ctx context.Context, drafts []draft) {
	if len(drafts) == 0 {
		return
	}
	last := len(drafts) - 1
	if s.publishTogether(ctx, drafts[:last]) {
		s.publish(ctx, drafts[last:])
	}
}

// publishTogether gives drafts their names, in their order, until one fails, and then waits for the disk. ok: nothing failed.
func (s *Store) publishTogether(ctx context.Context, drafts []draft) (ok bool) {
	s.names.RLock()
	defer s.names.RUnlock()
	ok = true
	var made [][]*draft // by directory
	for len(drafts) > 0 && ok {
		n, dir := sameDir(drafts)
		var these []*draft
		if these, ok = s.nameAll(ctx, dir, drafts[:n]); len(these) > 0 {
			made = append(made, these)
		}
		drafts = drafts[n:]
	}
	var saved sync.WaitGroup
	for _, these := range made {
		saved.Go(func() { s.saveAll(these) })
	}
	saved.Wait()
	return ok && !slices.ContainsFunc(made, func(these []*draft) bool { return these[0].err != nil })
}

// sameDir is how many of the first drafts have the same directory, and that directory.
func sameDir(drafts []draft) (n int, dir string) {
	dir = path.Dir(drafts[0].Key)
	for n = 1; n < len(drafts) && path.Dir(drafts[n].Key) == dir; {
		n++
	}
	return n, dir
}

// publishIn is publish in one directory. ok: nothing failed.
func (s *Store) publishIn(ctx context.Context, dir string, drafts []draft) (ok bool) {
	s.names.RLock()
	defer s.names.RUnlock()
	made, ok := s.nameAll(ctx, dir, drafts)
	if len(made) == 0 {
		return ok
	}
	s.saveAll(made)
	return ok && made[0].err == nil
}

// nameAll gives drafts their names in dir, in their order, until one fails. made are those that have one. Once a name is visible it ignores
// the end of the context: what is visible must become durable. Needs names.
func (s *Store) nameAll(ctx context.Context, dir string, drafts []draft) (made []*draft, ok bool) {
	for i := range drafts {
		d := &drafts[i]
		if d.err == nil && len(made) == 0 {
			d.err = ctx.Err()
		}
		if d.err == nil {
			if d.err = s.name(dir, d); d.err == nil {
				made = append(made, d)
			}
		}
		if unlessExists(d.err) != nil {
			return made, false
		}
	}
	return made, true
}

// saveAll returns when the names of drafts, all in the same directory, are on disk. Needs names.
func (s *Store) saveAll(made []*draft) {
	err := s.saveNames(made[0].Key)
	for _, d := range made {
		d.err = err
	}
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
