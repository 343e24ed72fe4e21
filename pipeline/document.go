package pipeline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// spool is a private temporary file that knows its size and hash: an object's key and checksum are needed before it is sent.
// One piece of it is hashed and written while the next one is filled. It is not safe for concurrent use.
type spool struct {
	f        *os.File
	sum      hash.Hash
	piece    []byte      // being filled
	full     chan []byte // to the file
	empty    chan []byte // and back; nil: not allocated yet
	wrote    chan error  // one, after the last piece
	finished bool        // nothing more is written
}

const (
	spoolPiece  = 128 << 10 // bytes
	spoolPieces = 3         // at most, of one spool
)

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "document-*")
	if err != nil {
		return nil, fmt.Errorf("spool a document: %w", err)
	}
	s := &spool{
		f: f, sum: sha256.New(),
		full: make(chan []byte, spoolPieces), empty: make(chan []byte, spoolPieces), wrote: make(chan error, 1),
	}
	for range spoolPieces - 1 {
		s.empty <- nil
	}
	go s.run()
	return s, nil
}

// run hashes and writes pieces until there are no more.
func (s *spool) run() {
	var err error
	for piece := range s.full {
		s.sum.Write(piece)
		if err == nil {
			_, err = s.f.Write(piece)
		}
		s.empty <- piece[:0]
	}
	s.wrote <- err
}

// Write never fails; finish tells what went wrong.
func (s *spool) Write(b []byte) (n int, err error) {
	for n < len(b) {
		if len(s.piece) == spoolPiece {
			s.full <- s.piece
			s.piece = <-s.empty
		}
		if s.piece == nil {
			s.piece = make([]byte, 0, spoolPiece)
		}
		k := min(len(b)-n, spoolPiece-len(s.piece))
		s.piece = append(s.piece, b[n:n+k]...)
		n += k
	}
	return n, nil
}

// finish writes the last piece and waits for it.
func (s *spool) finish() error {
	s.finished = true
	s.full <- s.piece
	close(s.full)
	if err := <-s.wrote; err != nil {
		return fmt.Errorf("spool a document: %w", err)
	}
	return nil
}

// remove closes and deletes the file; what a crash leaves is deleted at the next start.
func (s *spool) remove() error {
	var err error
	if !s.finished { // the document was given up
		err = s.finish()
	}
	return errors.Join(err, s.f.Close(), os.Remove(s.f.Name()))
}

// object names the finished file by a key made of its hash.
func (s *spool) object(key func(h string) string) (session.Object, error) {
	if err := s.finish(); err != nil {
		return session.Object{}, err
	}
	size, err := s.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return session.Object{}, fmt.Errorf("spool a document: %w", err)
	}
	sum := [sha256.Size]byte(s.sum.Sum(nil))
	return object(key(hash16(sum)), size, sum), nil
}

// store sends the file to the archive as the object that it was named.
func (s *spool) store(ctx context.Context, a Archive, o session.Object) error {
	_, err := createFrom(ctx, a, o.Key, s.f, o.Size, [sha256.Size]byte(s.sum.Sum(nil)))
	return err
}

// documents writes the TIFF and the PDF of a plan side by side, forward only: memory does not grow with the pages.
type documents struct {
	plan     Plan
	date     time.Time // of the fax, as both documents say it; zero: none
	tiffFile *spool
	pdfFile  *spool
	tiff     *tiff.Writer
	pdf      *pdf.Writer
	usable   int // pages in the TIFF so far
	width    float64
	height   float64 // of the last page of ordinary size, points, at first the first one's; a slip sheet takes after it; 0: letter
	pages    []ManifestPage
	manifest Manifest // when they are made; not signed
}

func newDocuments(plan Plan, dir, software string) (*documents, error) {
	d := &documents{plan: plan, date: dated(plan.StartTime)}
	for _, f := range plan.Pages {
		if d.takeAfter(f); d.width > 0 {
			break
		}
	}
	var err error
	if d.tiffFile, err = newSpool(dir); err != nil {
		return nil, err
	}
	if d.pdfFile, err = newSpool(dir); err != nil {
		return nil, errors.Join(err, d.tiffFile.remove())
	}
	d.tiff = tiff.NewWriter(d.tiffFile)
	d.pdf = pdf.NewWriter(d.pdfFile, d.about(software))
	return d, nil
}

// key names a document by its hash.
func (d *documents) key(ext string) func(h string) string {
	return func(h string) string { return revisionKey(d.plan.Session, d.plan.Revision, "document."+h+ext) }
}

// about is what the PDF says of itself: nothing that another revision of the same pages, or the clock, would change.
func (d *documents) about(software string) pdf.Meta {
	plan := d.plan
	m := pdf.Meta{
		Title: "Fax " + plan.Session, Author: plan.From, Producer: software, Created: d.date,
		Subject: fmt.Sprintf("From %s to %s, pages: %d", orUnknown(plan.From), orUnknown(plan.To), len(plan.Pages)+len(plan.Missing)),
	}
	if plan.Status == session.StatusPartial {
		m.Title += " (partial: " + plan.Reason + ")"
	}
	if len(plan.Missing) > 0 {
		m.Subject += fmt.Sprintf(", of which missing: %d", len(plan.Missing))
	}
	return m
}

// dated is t, or no time if it has not the four digits of a year that the documents have room for.
func dated(t time.Time) time.Time {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown number"
	}
	return s
}

// add writes a usable page; its strip goes into both documents byte for byte.
func (d *documents) add(l loaded) error {
	f := l.fact
	p := newManifestPage(f)
	p.Sidecar, p.StripSHA256, p.StripSize, p.Samples = l.sidecar, l.sum, len(l.strip.Bytes()), l.strip.Samples()
	d.usable++
	meta := pageMeta(f, d.usable, len(d.plan.Pages))
	meta.DateTime = d.date
	meta.Description = fmt.Sprintf("fax %s page %d", d.plan.Session, f.Page)
	var err error
	if p.TIFFOffset, err = d.tiff.AddPage(meta, l.strip); err != nil {
		return pageError{f.Page, err}
	}
	if p.PDFOffset, err = d.pdf.AddImage(pdf.ImagePage{
		Width: f.Width, Height: f.Height, XRes: meta.XRes, YRes: meta.YRes, Strip: l.strip.Bytes(), Samples: l.strip.Samples(), Label: strconv.Itoa(f.Page),
	}); err != nil {
		return pageError{f.Page, err}
	}
	d.takeAfter(f)
	d.pages = append(d.pages, p)
	return nil
}

// takeAfter gives the slip sheets behind a page its size, unless it is too short or too long for words.
func (d *documents) takeAfter(f session.PageArchived) {
	meta := pageMeta(f, 1, 1)
	if w, h := float64(meta.Width)/meta.XRes*72, float64(meta.Height)/meta.YRes*72; readable(w) && readable(h) {
		d.width, d.height = w, h
	}
}

// close finishes both files.
func (d *documents) close() error {
	if err := d.pdf.Close(); err != nil {
		return err
	}
	if d.usable == 0 {
		return nil
	}
	return d.tiff.Close()
}

func (d *documents) remove() error { return errors.Join(d.tiffFile.remove(), d.pdfFile.remove()) }
