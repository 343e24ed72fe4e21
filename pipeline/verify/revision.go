package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// link names the revision that the next one must follow.
type link struct {
	revision int    // 0: there is none yet
	sum      string // hex SHA-256 of its manifest
}

// revisionCheck is the check of one revision whose manifest and plan are readable.
type revisionCheck struct {
	*checking
	key  string // of the manifest
	m    archive.Manifest
	plan archive.Plan
	data []byte // of the manifest
}

// run checks everything about the revision. `before` is the one that it must follow.
func (r *revisionCheck) run(ctx context.Context, before link) error {
	faults := len(r.found.Faults)
	r.chain(before)
	if before.revision == 0 {
		r.indexed = archive.IndexKey(r.plan.Indexed, r.id)
	}
	if !r.agrees() {
		return nil // the pages and documents in it are not reliable
	}
	r.names(r.key, r.m)
	if err := r.documents(ctx); err != nil {
		return err
	}
	if err := r.wholes(ctx); err != nil {
		return err
	}
	if len(r.found.Faults) > faults || r.m.Software != r.Software {
		return nil
	}
	return r.remake(ctx)
}

// chain checks that the revision follows the one before it.
func (r *revisionCheck) chain(before link) {
	switch {
	case r.plan.Previous != before.revision:
		r.found.fault(FaultChain, r.key, 0, fmt.Sprintf(
			"It follows revision %d, but the one before it in the archive is %d (0: none)", r.plan.Previous, before.revision))
	case r.m.Previous != before.sum:
		r.found.fault(FaultChain, r.key, 0, fmt.Sprintf(
			"It follows a manifest with SHA-256 %s, but the manifest of revision %d has %s", r.m.Previous, before.revision, before.sum))
	}
}

// agrees reports whether the manifest has exactly the bytes that follow from its plan and its documents.
func (r *revisionCheck) agrees() bool {
	want := archive.NewManifest(r.plan, r.m.Plan, r.m.Software)
	want.TIFF, want.PDF, want.Previous, want.Signature = r.m.TIFF, r.m.PDF, r.m.Previous, r.m.Signature
	facts := map[int]session.PageArchived{}
	for _, f := range r.plan.Pages {
		facts[f.Page] = f
	}
	for i, page := range r.plan.Expected() {
		if i >= len(r.m.Pages) {
			break
		}
		f, archived := facts[page]
		if !archived {
			missing := archive.ManifestPage{Page: page, Status: session.PageStatusMissing, Reason: r.plan.Missing[page]}
			want.Pages = append(want.Pages, missing)
			continue
		}
		want.Pages = append(want.Pages, restate(f, r.m.Pages[i]))
	}
	text, err := archive.IndentJSON(want)
	usable := len(r.plan.Pages) > 0
	switch {
	case err != nil || !bytes.Equal(text, r.data):
		r.found.fault(FaultContradicts, r.key, 0, difference(text, r.data))
	case len(want.Pages) != len(r.plan.Expected()) || usable != (r.m.TIFF != nil):
		r.found.fault(FaultContradicts, r.key, 0, "It does not list all pages or documents")
	default:
		return true
	}
	return false
}

// restate makes the manifest's page of a fact. What only the documents know is taken from the manifest. If a damaged page was decoded in
// another way when the document was made, the manifest counts, and its pixels are checked.
func restate(f session.PageArchived, told archive.ManifestPage) archive.ManifestPage {
	if told.RasterSHA256 != f.RasterSHA256 {
		f.RasterSHA256, f.Width, f.Height = told.RasterSHA256, told.Width, told.Height
		f.BadRows, f.LongestBad = told.BadRows, told.LongestBad
		f.XResolution, f.YResolution, f.Samples = told.XResolution, told.YResolution, told.Samples
	}
	p := archive.NewManifestPage(f)
	p.Sidecar, p.StripSHA256, p.StripSize = told.Sidecar, told.StripSHA256, told.StripSize
	p.TIFFOffset, p.PDFOffset = told.TIFFOffset, told.PDFOffset
	return p
}

// difference shows the first line of a manifest that is wrong.
func difference(want, got []byte) string {
	for n := 1; len(got) > 0; n++ {
		var w, g []byte
		over := len(want) == 0
		w, want, _ = bytes.Cut(want, []byte("\n"))
		g, got, _ = bytes.Cut(got, []byte("\n"))
		if over {
			return fmt.Sprintf("Line %d is %.200q, want the end before it", n, bytes.TrimSpace(g))
		}
		if !bytes.Equal(w, g) {
			return fmt.Sprintf("Line %d is %.200q, want %.200q", n, bytes.TrimSpace(g), bytes.TrimSpace(w))
		}
	}
	return "Its end is missing"
}

// documents checks both documents, page by page. It fetches each document once, into a file.
func (r *revisionCheck) documents(ctx context.Context) (err error) {
	pdf, err := r.fetch(ctx, r.m.PDF, ".pdf")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pdf.close()) }()
	var file *mappedFile
	var pages *tiff.File
	if r.m.TIFF != nil {
		if file, err = r.fetch(ctx, *r.m.TIFF, ".tiff"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.close()) }()
		pages = r.parse(file, r.m.TIFF.Key, len(r.plan.Pages))
	}
	n := 0
	for _, p := range r.m.Pages {
		if p.Status != session.PageStatusArchived {
			continue
		}
		r.strip(pdf, r.m.PDF.Key, p, p.PDFOffset)
		r.strip(file, r.m.TIFF.Key, p, p.TIFFOffset)
		if err := r.pixels(ctx, pages, n, p); err != nil {
			return err
		}
		n++
	}
	if r.m.Software != r.Software && pdf != nil && !bytes.Contains(pdf.data, []byte(r.m.Software)) {
		r.found.fault(FaultContradicts, r.key, 0, "It says that "+r.m.Software+" made the documents, but the PDF names another program")
	}
	return nil
}

// parse reads the structure of a TIFF of so many pages; nil: it is wrong, which is a fault already.
func (r *revisionCheck) parse(file *mappedFile, key string, want int) *tiff.File {
	if file == nil {
		return nil
	}
	pages, err := tiff.Parse(file.data, tiff.Limits{MaxBytes: math.MaxInt, MaxPages: session.MaxPages})
	if err == nil {
		err = pages.Check()
	}
	if err == nil && pages.NumPages() != want {
		err = fmt.Errorf("it has %d pages, want %d", pages.NumPages(), want)
	}
	if err != nil {
		r.found.fault(FaultPages, key, 0, err.Error())
		return nil
	}
	return pages
}

// strip checks that the strip of a page is at its offset in a document.
func (r *revisionCheck) strip(doc *mappedFile, key string, p archive.ManifestPage, offset int64) {
	if doc == nil {
		return
	}
	size := int64(len(doc.data))
	if p.StripSize < 0 || offset < 0 || offset > size || int64(p.StripSize) > size-offset {
		r.found.fault(FaultStrip, key, p.Page,
			fmt.Sprintf("The place is %d bytes at offset %d, but the document has only %d", p.StripSize, offset, size))
		return
	}
	if sum := sha256.Sum256(doc.data[offset : offset+int64(p.StripSize)]); fmt.Sprintf("%x", sum) != p.StripSHA256 {
		r.found.fault(FaultStrip, key, p.Page,
			fmt.Sprintf("The %d bytes at offset %d have SHA-256 %x, want %s", p.StripSize, offset, sum, p.StripSHA256))
	}
}

// pixels decodes page i of the TIFF, from 0, and the archived original. Both must have the pixels of the manifest.
func (r *revisionCheck) pixels(ctx context.Context, pages *tiff.File, i int, p archive.ManifestPage) error {
	if pages != nil { // then there is a TIFF
		if err := r.documentPixels(ctx, pages, r.m.TIFF.Key, i, p); err != nil {
			return err
		}
	}
	raster, done := r.rasters[p.Original.Key]
	if !done {
		data, ok, err := r.load(ctx, *p.Original, r.key)
		if err != nil || !ok {
			return err
		}
		raster, err = r.rasterOf(p.Original.Key, func() (intake.Image, error) { return r.remaker.Decoder.Page(ctx, data) })
		if err != nil {
			return err
		}
	}
	if raster != p.RasterSHA256 && !r.mayDiffer(p) {
		r.found.fault(FaultPixels, p.Original.Key, p.Page, "The original has other pixels than the manifest says")
	}
	return nil
}

// documentPixels decodes page i of a TIFF, from 0, which must have the pixels of its manifest.
func (r *revisionCheck) documentPixels(ctx context.Context, pages *tiff.File, key string, i int, p archive.ManifestPage) error {
	if pages == nil {
		return nil
	}
	m, err := r.remaker.Decoder.PageOf(ctx, pages, i)
	_, failed := errors.AsType[*intake.Failure](err)
	if err != nil && !failed {
		return err
	}
	m.Release()
	if failed || m.SHA256 != p.RasterSHA256 {
		r.found.fault(FaultPixels, key, p.Page, "The document has other pixels than the manifest says")
	}
	return nil
}

// remake makes the revision again and checks that the bytes are the same.
func (r *revisionCheck) remake(ctx context.Context) error {
	d, err := r.remaker.Build(ctx, r.plan, r.m.Plan)
	if err == nil {
		err = d.Remove()
	}
	if err != nil && (archive.Lost(err) || document.Unbuildable(err) || errors.Is(err, archive.ErrTooLarge)) {
		r.found.fault(FaultRemade, r.key, 0, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	made := d.Manifest
	made.Signature = r.m.Signature
	text, err := archive.IndentJSON(made)
	if err != nil {
		return err
	}
	if !bytes.Equal(text, r.data) {
		r.found.fault(FaultRemade, r.key, 0, difference(text, r.data))
		return nil
	}
	r.found.Remade++
	return nil
}
