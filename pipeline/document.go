package pipeline

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// spool is a private temporary file that knows its size and hash: an object's key and checksum are needed before it is sent.
type spool struct {
	f   *os.File
	buf *bufio.Writer
	sum hash.Hash
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "document-*")
	if err != nil {
		return nil, fmt.Errorf("spool a document: %w", err)
	}
	s := &spool{f: f, sum: sha256.New()}
	s.buf = bufio.NewWriterSize(io.MultiWriter(f, s.sum), 256<<10)
	return s, nil
}

func (s *spool) Write(b []byte) (int, error) { return s.buf.Write(b) }

// remove closes and deletes the file; what a crash leaves is deleted at the next start.
func (s *spool) remove() error {
	closeErr := s.f.Close()
	if err := os.Remove(s.f.Name()); err != nil {
		return err
	}
	return closeErr
}

// object names the file by a key made of its hash.
func (s *spool) object(key func(h string) string) (session.Object, error) {
	if err := s.buf.Flush(); err != nil {
		return session.Object{}, fmt.Errorf("spool a document: %w", err)
	}
	size, err := s.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return session.Object{}, fmt.Errorf("spool a document: %w", err)
	}
	sum := [sha256.Size]byte(s.sum.Sum(nil))
	return object(key(hash16(sum)), size, sum), nil
}

// store sends the file to the archive under a key made of its hash.
func (s *spool) store(ctx context.Context, a Archive, key func(h string) string) (session.Object, error) {
	obj, err := s.object(key)
	if err != nil {
		return obj, err
	}
	_, err = createFrom(ctx, a, obj.Key, s.f, obj.Size, [sha256.Size]byte(s.sum.Sum(nil)))
	return obj, err
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
func (d *documents) add(f session.PageArchived, strip tiff.Strip) error {
	data := strip.Bytes()
	sum := sha256.Sum256(data)
	p := newManifestPage(f)
	p.StripSHA256, p.StripSize, p.Samples = hex.EncodeToString(sum[:]), len(data), strip.Samples()
	d.usable++
	meta := pageMeta(f, d.usable, len(d.plan.Pages))
	meta.DateTime = d.date
	meta.Description = fmt.Sprintf("fax %s page %d", d.plan.Session, f.Page)
	var both errgroup.Group // most of either document's time goes into its hash
	both.Go(func() (err error) {
		p.TIFFOffset, err = d.tiff.AddPage(meta, strip)
		return err
	})
	both.Go(func() (err error) {
		p.PDFOffset, err = d.pdf.AddImage(pdf.ImagePage{
			Width: f.Width, Height: f.Height, XRes: meta.XRes, YRes: meta.YRes, Strip: data, Samples: strip.Samples(), Label: strconv.Itoa(f.Page),
		})
		return err
	})
	if err := both.Wait(); err != nil {
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

// plausible reports whether a resolution in pixels per inch can be one of a sheet of paper.
func plausible(perInch float64) bool { return perInch >= 10 && perInch <= 5000 }

// pageMeta is the page's description for a TIFF of `pages` pages. A page without a plausible resolution gets that of a fine fax.
func pageMeta(f session.PageArchived, page, pages int) tiff.PageMeta {
	meta := tiff.PageMeta{Width: f.Width, Height: f.Height, XRes: f.XResolution, YRes: f.YResolution, Page: page, Pages: pages}
	if !plausible(meta.XRes) || !plausible(meta.YRes) {
		meta.XRes, meta.YRes = 204, 196
	}
	if f.BadRows > 0 {
		// CleanFaxData 1: bad lines were received and regenerated (RFC 2306).
		meta.BadFaxLines, meta.ConsecutiveBadFaxLines, meta.CleanFaxData = f.BadRows, f.LongestBad, 1
	}
	return meta
}
