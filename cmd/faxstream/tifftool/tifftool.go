// Package tifftool inspects TIFF files for people. Begin with Info, which describes every page; Export.Encode gives one page as an image,
// Bench measures how long pages take to decode and encode.
//
// Promise: an unreadable file or page gives a line with its error, and the other pages are still read. At most 256 MiB of a file are read.
// A crash leaves nothing: this package writes no file.
package tifftool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/faxstream/faxstream/pipeline/ccitt"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// ArgumentError is a wrong file name, page or number of the caller.
type ArgumentError string

func (e ArgumentError) Error() string { return string(e) }

// stdinName stands for standard input where a file is asked for.
const stdinName = "-"

// maxTIFF is how many bytes of one file are read at most. A fax of 1,000 pages has about 50 MB.
const maxTIFF = 256 << 20

// openTIFF reads a file, or standard input, and parses it. Nothing is allocated for a file that is too large.
func openTIFF(name string) (*tiff.File, error) {
	in := os.Stdin
	if name != stdinName {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var b bytes.Buffer
	if fi, err := in.Stat(); err == nil && fi.Mode().IsRegular() {
		if fi.Size() > maxTIFF {
			return nil, fmt.Errorf("read %s: it has %d bytes, %d are allowed: %w", name, fi.Size(), maxTIFF, tiff.ErrLimit)
		}
		b.Grow(int(fi.Size()) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(in, maxTIFF+1)); err != nil { // a pipe has no size, and a file may grow
		return nil, err
	}
	if b.Len() > maxTIFF {
		return nil, fmt.Errorf("read %s: it has more than the %d bytes that are allowed: %w", name, maxTIFF, tiff.ErrLimit)
	}
	return tiff.Parse(b.Bytes(), tiff.Limits{MaxBytes: maxTIFF})
}

// A tiffPage is the subject of one line of tiff info or tiff bench: a page, or a whole file that cannot be read.
type tiffPage struct {
	file        string
	page, pages int         // page from 1; both 0 for a file that cannot be read
	image       *tiff.Image // nil with an error
	err         error
	others      int   // of the first page: images of the file that are not pages
	behind      error // of the last page: why the chain of IFDs breaks there; nil: it does not
}

// eachPage opens the files one after the other and visits their pages. A file or page with an error is visited with it and stops
// nothing; only an error of visit and the end of ctx do.
func eachPage(ctx context.Context, files []string, visit func(tiffPage) error) error {
	for _, name := range files {
		f, err := openTIFF(name)
		if err != nil {
			if err := visit(tiffPage{file: name, err: err}); err != nil {
				return err
			}
			continue
		}
		for i := range f.NumPages() {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			p := tiffPage{file: name, page: i + 1, pages: f.NumPages()}
			p.image, p.err = f.Page(i)
			if i == 0 {
				p.others = f.NotPages()
			}
			if p.page == p.pages {
				p.behind = f.Chain()
			}
			if err := visit(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// A pageLine is what is printed of a tiffPage: itself as JSON, or its text, whose cells are separated by tabs.
type pageLine interface {
	text() string
	failed() bool
}

// printPages prints a line for every page, and fails at the end if a line has an error. describe fails only when ctx ends.
func printPages(
	ctx context.Context, out io.Writer, files []string, asJSON bool, header string,
	describe func(context.Context, tiffPage) (pageLine, error),
) error {
	if first := slices.Index(files, stdinName); first >= 0 && slices.Contains(files[first+1:], stdinName) {
		return ArgumentError(stdinName + " is given twice: standard input can be read once")
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(w, header)
	}
	failed := 0
	err := eachPage(ctx, files, func(p tiffPage) error {
		line, err := describe(ctx, p)
		if err != nil {
			return err
		}
		if line.failed() {
			failed++
		}
		if asJSON {
			return json.NewEncoder(out).Encode(line)
		}
		_, err = fmt.Fprintln(w, line.text())
		return err
	})
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d page(s) or file(s) could not be read; their lines say why", failed)
	}
	return nil
}

// ended reports whether an error comes from the end of ctx and not from a page.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// knownInt is a number of a JSON line: null where 0 means that it is not known.
func knownInt(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

func knownString(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func countRows(ranges []ccitt.RowRange) int {
	n := 0
	for _, r := range ranges {
		n += r.Last - r.First + 1
	}
	return n
}
