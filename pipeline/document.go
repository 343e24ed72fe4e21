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

// store sends the file to the archive under a key made of its hash.
func (s *spool) store(ctx context.Context, a Archive, key func(h string) string) (session.Object, error) {
	if err := s.buf.Flush(); err != nil {
		return session.Object{}, fmt.Errorf("spool a document: %w", err)
	}
	size, err := s.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return session.Object{}, fmt.Errorf("spool a document: %w", err)
	}
	sum := [sha256.Size]byte(s.sum.Sum(nil))
	obj := object(key(hash16(sum)), size, sum)
	_, err = createFrom(ctx, a, obj.Key, s.f, size, sum)
	return obj, err
}

// documents writes the TIFF and the PDF of a plan side by side, forward only: memory does not grow with the pages.
type documents struct {
	plan     Plan
	tiffFile *spool
	pdfFile  *spool
	tiff     *tiff.Writer
	pdf      *pdf.Writer
	usable   int // pages in the TIFF so far
	width    float64
	height   float64 // of the last page of ordinary size, points; a slip sheet takes after it; 0: letter
	pages    []ManifestPage
}

func newDocuments(plan Plan, dir, software string) (*documents, error) {
	d := &documents{plan: plan}
	var err error
	if d.tiffFile, err = newSpool(dir); err != nil {
		return nil, err
	}
	if d.pdfFile, err = newSpool(dir); err != nil {
		return nil, errors.Join(err, d.tiffFile.remove())
	}
	d.tiff = tiff.NewWriter(d.tiffFile)
	title := "Fax " + plan.Session
	if plan.Status == session.StatusPartial {
		title += " (partial: " + plan.Reason + ")"
	}
	d.pdf = pdf.NewWriter(d.pdfFile, pdf.Meta{
		Title: title, Author: plan.From, Subject: fmt.Sprintf("From %s to %s", orUnknown(plan.From), orUnknown(plan.To)),
		Producer: software, Created: plan.StartTime,
	})
	return d, nil
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
	p := ManifestPage{
		Page: f.Page, Status: session.PageStatusArchived, Source: f.Source, Original: &f.Original, PNG: &f.PNG,
		RasterSHA256: f.RasterSHA256, Width: f.Width, Height: f.Height, XResolution: f.XResolution, YResolution: f.YResolution,
		BadRows: f.BadRows, LongestBad: f.LongestBad, StripSHA256: hex.EncodeToString(sum[:]), StripSize: len(data), Samples: strip.Samples(),
	}
	d.usable++
	meta := pageMeta(f, d.usable, len(d.plan.Pages))
	meta.DateTime = d.plan.StartTime
	meta.Description = fmt.Sprintf("fax %s page %d", d.plan.Session, f.Page)
	var err error
	if p.TIFFOffset, err = d.tiff.AddPage(meta, strip); err != nil {
		return pageError{f.Page, err}
	}
	p.PDFOffset, err = d.pdf.AddImage(pdf.ImagePage{
		Width: f.Width, Height: f.Height, XRes: meta.XRes, YRes: meta.YRes, Strip: data, Samples: strip.Samples(), Label: strconv.Itoa(f.Page),
	})
	if err != nil {
		return pageError{f.Page, err}
	}
	if w, h := float64(meta.Width)/meta.XRes*72, float64(meta.Height)/meta.YRes*72; readable(w) && readable(h) {
		d.width, d.height = w, h
	}
	d.pages = append(d.pages, p)
	return nil
}

// readable reports whether a side, in points, can be one of a sheet of words: 7 cm to 3 m.
func readable(side float64) bool { return side >= 200 && side <= 8500 }

// slip writes a sheet that says in words that a page is missing. It is in the PDF only.
func (d *documents) slip(page int, reason session.Reason) error {
	err := d.pdf.AddSlip(pdf.SlipPage{
		WidthPoints: d.width, HeightPoints: d.height, Label: strconv.Itoa(page),
		Heading: fmt.Sprintf("Page %d is missing", page),
		Lines: []string{
			"This sheet stands in place of a page that was not received. It is not part of the fax.",
			"",
			"Reason: " + string(reason),
			"Fax: " + d.plan.Session,
			"From: " + orUnknown(d.plan.From),
			"To: " + orUnknown(d.plan.To),
		},
	})
	if err != nil {
		return fmt.Errorf("slip sheet of page %d: %w", page, err)
	}
	d.pages = append(d.pages, ManifestPage{Page: page, Status: session.PageStatusMissing, Reason: reason})
	return nil
}

// nothing writes the sheet of a fax of which not even a page number is known.
func (d *documents) nothing() error {
	return d.pdf.AddSlip(pdf.SlipPage{
		Heading: "This fax has no page",
		Lines:   []string{"Neither the provider's notice nor its file has a page.", "", "Fax: " + d.plan.Session},
	})
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
