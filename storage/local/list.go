package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/faxstream/faxstream/storage"
)

// readBatch is how many directory entries are read at a time.
const readBatch = 1024

// List implements [storage.Archive]. In memory it holds the names of one
// directory and of the directories above it, only those that it can still
// yield.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := storage.ValidPrefix(prefix)
		if err == nil {
			w := walker{s: s, ctx: ctx, prefix: prefix, after: after, yield: yield}
			err = w.walk(prefix[:strings.LastIndexByte(prefix, '/')+1])
		}
		if err != nil && !errors.Is(err, errStop) {
			yield("", fmt.Errorf("list %.100q: %w", prefix, mapError(err)))
		}
	}
}

var errStop = errors.New("the caller stopped the list")

type walker struct {
	s             *Store
	ctx           context.Context
	prefix, after string
	yield         func(string, error) bool
}

// walk yields the keys in dir, which is "" or ends with a slash.
func (w *walker) walk(dir string) error {
	names, err := w.read(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "/") {
			err = w.walk(dir + name)
		} else if err = w.ctx.Err(); err == nil && !w.yield(dir+name, nil) {
			err = errStop
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read returns the names in dir that have something to yield, in the order of
// the keys: a directory's name ends with a slash, because its keys sort this
// way ("a.b" before "a/b").
func (w *walker) read(dir string) ([]string, error) {
	f, err := w.s.root.Open(path.Join(".", dir))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	for {
		if err := w.ctx.Err(); err != nil {
			return nil, err
		}
		entries, err := w.next(f, dir)
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() {
				name += "/"
			}
			if w.wanted(dir+name, e) {
				names = append(names, name)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, syscall.ENOTDIR) { // an object where the prefix has a directory
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return names, nil
}

// next reads the next entries of dir. Names that the prefix excludes cost almost nothing: the page worker lists the few objects of one
// page, and beside them are those of thousands of pages.
func (w *walker) next(f *os.File, dir string) ([]fs.DirEntry, error) {
	begin, ok := strings.CutPrefix(w.prefix, dir)
	if !ok || begin == "" {
		return f.ReadDir(readBatch)
	}
	names, err := f.Readdirnames(readBatch)
	var entries []fs.DirEntry
	for _, name := range names {
		if !strings.HasPrefix(name, begin) {
			continue
		}
		info, err := w.s.root.Lstat(path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	return entries, err
}

// wanted reports whether full, a key or a directory with its slash, has
// something to yield.
func (w *walker) wanted(full string, e fs.DirEntry) bool {
	if e.IsDir() {
		return storage.ValidPrefix(full) == nil && // not +tmp
			(strings.HasPrefix(full, w.prefix) || strings.HasPrefix(w.prefix, full)) &&
			(full > w.after || strings.HasPrefix(w.after, full))
	}
	return e.Type().IsRegular() && storage.ValidKey(full) == nil &&
		strings.HasPrefix(full, w.prefix) && full > w.after
}
