package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// entry is a file or directory in an archive.
type entry struct {
	name string
	mode int64
	uid  int    // and gid
	dir  bool   // a directory, which has no data
	data []byte // what a file has
}

// writeTar writes entries in their order, with one time for all.
func writeTar(w io.Writer, when time.Time, entries []entry) error {
	t := tar.NewWriter(w)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.name, Mode: e.mode, Uid: e.uid, Gid: e.uid, ModTime: when,
			Format: tar.FormatPAX, Typeflag: tar.TypeReg, Size: int64(len(e.data)),
		}
		if e.dir {
			h.Typeflag, h.Name = tar.TypeDir, e.name+"/"
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(e.data); err != nil {
			return err
		}
	}
	return t.Close()
}

// writeTarGz writes a compressed archive. Its header has no name and no time.
func writeTarGz(file string, when time.Time, entries []entry) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := gzip.NewWriter(f)
	return errors.Join(writeTar(z, when, entries), z.Close())
}

// entriesBelow are the files of a directory, in the order of their names, below the name prefix.
func entriesBelow(dir, prefix string) (all []entry, err error) {
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		all = append(all, entry{name: path.Join(prefix, filepath.ToSlash(rel)), mode: 0o644, data: data})
		return err
	})
	return all, err
}
