package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/faxstream/faxstream/storage"
)

var _ storage.Remover = (*Store)(nil)

// Protection implements [storage.Remover]. Written is the newest modification time of the files, so a copy of an archive must have
// the same times (cp -p, rsync -t). Until is always zero and Held is false.
func (s *Store) Protection(ctx context.Context, name string) (storage.Protection, error) {
	k, err := s.protection(ctx, name)
	if err != nil {
		return storage.Protection{}, fmt.Errorf("read the times of %.100q: %w", name, mapError(err))
	}
	return k, nil
}

// Hold returns an error that matches errors.ErrUnsupported: plain files have no legal hold.
func (s *Store) Hold(_ context.Context, name string, _ bool) error {
	err := storage.ValidName(name)
	if err == nil {
		err = fmt.Errorf("%w: plain files have no legal hold of their own", errors.ErrUnsupported)
	}
	return fmt.Errorf("hold %.100q: %w", name, err)
}

// Delete implements [storage.Remover]. It removes files, then the directories that are empty then. After a crash the files that were
// not removed yet are still there.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.delete(ctx, name); err != nil {
		return fmt.Errorf("delete %.100q: %w", name, mapError(err))
	}
	return nil
}

func (s *Store) protection(ctx context.Context, name string) (k storage.Protection, err error) {
	info, err := s.named(ctx, name)
	if info == nil {
		return k, err
	}
	err = s.visit(ctx, strings.TrimSuffix(name, "/"), info, func(name string, info fs.FileInfo) {
		if info.Mode().IsRegular() && storage.ValidKey(name) == nil {
			k.Objects++
		}
		if at := info.ModTime().UTC(); at.After(k.Written) {
			k.Written = at
		}
	})
	return k, err
}

// visit calls do for name, or if it is a directory for all files below it.
func (s *Store) visit(ctx context.Context, name string, info fs.FileInfo, do func(string, fs.FileInfo)) error {
	if !info.IsDir() {
		do(name, info)
		return ctx.Err()
	}
	entries, err := s.entries(name)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil {
			err = s.visit(ctx, path.Join(name, e.Name()), info, do)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // ErrNotExist: somebody removed it during the walk
			return err
		}
	}
	return err
}

func (s *Store) delete(ctx context.Context, name string) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	info, err := s.named(ctx, name)
	if err != nil {
		return err
	}
	key := strings.TrimSuffix(name, "/")
	switch {
	case info == nil:
	case info.IsDir():
		err = s.removeTree(ctx, key)
	default:
		err = s.removeFiles(ctx, path.Dir(key), []string{path.Base(key)})
	}
	if err != nil {
		return err
	}
	// Also if nothing was there: a Delete before this one may have failed between its removal and its fsync.
	for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
		if gone, err := s.removeDir(dir); !gone {
			return err
		}
	}
	return s.syncDir(".")
}

// named returns what the name means: a directory if the name ends with a slash, else a file or symbolic link; nil if it is not there.
// It refuses to go through symbolic links: what is behind them has other names.
func (s *Store) named(ctx context.Context, name string) (fs.FileInfo, error) {
	if err := errors.Join(ctx.Err(), storage.ValidName(name)); err != nil {
		return nil, err
	}
	for end := range len(name) {
		if name[end] != '/' {
			continue
		}
		info, err := s.root.Lstat(name[:end])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil
		case err != nil:
			return nil, err
		case info.Mode()&fs.ModeSymlink != 0:
			return nil, fmt.Errorf("%w: %s is a symbolic link, not a directory of the archive", storage.ErrRefused, name[:end])
		case !info.IsDir():
			return nil, nil
		case end == len(name)-1:
			return info, nil
		}
	}
	info, err := s.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return nil, nil
	}
	return info, err
}

func (s *Store) entries(dir string) ([]fs.DirEntry, error) {
	f, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	return entries, errors.Join(err, f.Close())
}

// removeTree removes everything in dir, and dir itself unless somebody writes there at the same time. It holds the names of one
// directory and of the directories above it in memory. The removal is on disk once the directory above dir is synced.
func (s *Store) removeTree(ctx context.Context, dir string) error {
	entries, err := s.entries(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() {
			files = append(files, e.Name())
		} else if err := s.removeTree(ctx, path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(files, readBatch) {
		if err := s.removeFiles(ctx, dir, batch); err != nil {
			return err
		}
	}
	_, err = s.removeDir(dir)
	return err
}

// removeFiles removes files and symbolic links from dir.
func (s *Store) removeFiles(ctx context.Context, dir string, names []string) error {
	s.names.Lock()
	defer s.names.Unlock()
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.root.Remove(path.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeDir removes dir if it is an empty directory. gone: dir does not exist afterwards. If dir stays, the removals in it are on
// disk afterwards.
func (s *Store) removeDir(dir string) (gone bool, err error) {
	err = s.rmdir(dir)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return true, nil
	case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
	default:
		return false, err
	}
	if err = s.syncDir(dir); errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// rmdir is rmdir(2). [os.Root.Remove] alone would also remove an object with the name of the directory.
func (s *Store) rmdir(dir string) error {
	s.names.Lock()
	defer s.names.Unlock()
	info, err := s.root.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err == nil {
		err = s.root.Remove(dir)
	}
	if err == nil {
		err = s.unsaved.remove(dir)
	}
	return err
}
