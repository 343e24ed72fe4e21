package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// revisions checks every revision that has a manifest, and wants one where there are documents.
func (k *checking) revisions(ctx context.Context) error {
	committed := revisionsOf(k.revised, k.id, func(name string) bool { return name == "manifest.json" })
	before := link{}
	for _, n := range committed {
		var err error
		if before, err = k.revision(ctx, n, before); err != nil {
			return err
		}
	}
	k.found.Revisions = len(committed)
	for _, n := range revisionsOf(k.revised, k.id, func(name string) bool { return strings.HasPrefix(name, "document.") }) {
		if n > before.revision {
			k.found.fault(FaultUncommitted, revisionKey(k.id, n, "manifest.json"), 0, "")
		}
	}
	return nil
}

// link is what the next revision must follow from.
type link struct {
	revision int
	sum      string // hex SHA-256 of its manifest
}

func (k *checking) revision(ctx context.Context, n int, before link) (link, error) {
	key := revisionKey(k.id, n, "manifest.json")
	data, ok, err := k.read(ctx, key, maxText)
	if err != nil || !ok {
		return before, err
	}
	sum := sha256.Sum256(data)
	k.named[key] = object(key, int64(len(data)), sum)
	k.look(key, digest{int64(len(data)), sum})
	self := link{n, fmt.Sprintf("%x", sum)}
	var m Manifest
	if err := strict(data, &m); err != nil {
		k.found.fault(FaultUnreadable, key, 0, err.Error())
		return self, nil
	}
	if m.Session != k.id || m.Revision != n {
		k.found.fault(FaultForeign, key, 0, fmt.Sprintf("It is of session %s revision %d", m.Session, m.Revision))
		return self, nil
	}
	k.signature(key, m, data)
	k.found.Pages = len(m.Pages)
	plan, ok, err := k.plan(ctx, key, m)
	if err != nil || !ok {
		return self, err
	}
	r := &revisionCheck{checking: k, key: key, m: m, plan: plan, data: data}
	return self, r.run(ctx, before)
}

func (k *checking) signature(key string, m Manifest, data []byte) {
	err := m.verifySignature(data, k.Keys)
	switch {
	case err == nil:
		k.found.Signed++
	case errors.Is(err, errUnsigned):
		k.found.Unsigned++
		if len(k.Keys) > 0 {
			k.found.fault(FaultUnsigned, key, 0, "")
		}
	case errors.Is(err, errUnknownKey) && len(k.Keys) == 0:
		k.found.Unverified++
	case errors.Is(err, errUnknownKey):
		k.found.fault(FaultUnknownKey, key, 0, "Its key id is "+m.Signature.KeyID)
	default:
		k.found.fault(FaultSignature, key, 0, "")
	}
}

// plan reads the plan of a manifest.
func (k *checking) plan(ctx context.Context, by string, m Manifest) (p Plan, ok bool, err error) {
	if want := revisionKey(m.Session, m.Revision, "plan.json"); m.Plan.Key != want {
		k.found.fault(FaultContradicts, by, 0, "It names the plan "+m.Plan.Key)
		return p, false, nil
	}
	data, ok, err := k.load(ctx, m.Plan, by)
	if err != nil || !ok {
		return p, false, err
	}
	if err := strict(data, &p); err != nil {
		k.found.fault(FaultUnreadable, m.Plan.Key, 0, err.Error())
		return p, false, nil
	}
	if p.Session != m.Session || p.Revision != m.Revision {
		k.found.fault(FaultForeign, m.Plan.Key, 0, fmt.Sprintf("It is of session %s revision %d", p.Session, p.Revision))
		return p, false, nil
	}
	return p, true, nil
}

// revisionCheck is the check of one revision whose manifest and plan can be read.
type revisionCheck struct {
	*checking
	key  string // of the manifest
	m    Manifest
	plan Plan
	data []byte // of the manifest
}

func (r *revisionCheck) run(ctx context.Context, before link) error {
	faults := len(r.found.Faults)
	r.chain(before)
	if before.revision == 0 {
		r.indexed = indexKey(r.plan.Indexed, r.id)
	}
	if !r.agrees() {
		return nil // what it says of pages and documents is not to be relied on
	}
	for _, p := range r.m.Pages {
		if p.Status != session.PageStatusArchived {
			continue
		}
		r.name(*p.PNG, r.key)
		if p.Sidecar != "" {
			r.name(session.Object{Key: sidecarKey(p.Original.Key), Size: -1, SHA256: p.Sidecar}, r.key)
		}
	}
	for _, o := range r.m.Reports {
		r.name(o, r.key)
	}
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

// chain wants the revision to follow from the one before it.
func (r *revisionCheck) chain(before link) {
	switch {
	case r.plan.Previous != before.revision:
		r.found.fault(FaultChain, r.key, 0, fmt.Sprintf("It follows revision %d, and the one before it in the archive is %d (0: none)", r.plan.Previous, before.revision))
	case r.m.Previous != before.sum:
		r.found.fault(FaultChain, r.key, 0, fmt.Sprintf("It follows a manifest with SHA-256 %s, and that of revision %d is %s", r.m.Previous, before.revision, before.sum))
	}
}

// agrees reports whether the manifest's bytes are those that its plan gives, with the documents that it names.
func (r *revisionCheck) agrees() bool {
	want := newManifest(r.plan, r.m.Plan, r.m.Software)
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
			want.Pages = append(want.Pages, ManifestPage{Page: page, Status: session.PageStatusMissing, Reason: r.plan.Missing[page]})
			continue
		}
		want.Pages = append(want.Pages, restate(f, r.m.Pages[i]))
	}
	text, err := indented(want)
	usable := len(r.plan.Pages) > 0
	switch {
	case err != nil || !bytes.Equal(text, r.data):
		r.found.fault(FaultContradicts, r.key, 0, difference(text, r.data))
	case len(want.Pages) != len(r.plan.Expected()) || usable != (r.m.TIFF != nil):
		r.found.fault(FaultContradicts, r.key, 0, "Pages or documents are missing in it")
	default:
		return true
	}
	return false
}

// restate is the manifest's page of a fact, with what only the documents can tell as the manifest has it. A damaged page may have been
// decoded in another way by the time of the document: then that counts, and its pixels are checked.
func restate(f session.PageArchived, told ManifestPage) ManifestPage {
	if told.RasterSHA256 != f.RasterSHA256 {
		f.RasterSHA256, f.Width, f.Height, f.BadRows, f.LongestBad = told.RasterSHA256, told.Width, told.Height, told.BadRows, told.LongestBad
		f.XResolution, f.YResolution, f.Samples = told.XResolution, told.YResolution, told.Samples
	}
	p := newManifestPage(f)
	p.Sidecar, p.StripSHA256, p.StripSize, p.TIFFOffset, p.PDFOffset = told.Sidecar, told.StripSHA256, told.StripSize, told.TIFFOffset, told.PDFOffset
	return p
}

// difference shows the first line in which a manifest is not as it should be.
func difference(want, got []byte) string {
	for n := 1; len(got) > 0; n++ {
		var w, g []byte
		over := len(want) == 0
		w, want, _ = bytes.Cut(want, []byte("\n"))
		g, got, _ = bytes.Cut(got, []byte("\n"))
		if over {
			return fmt.Sprintf("Line %d is %.200q, want its end before", n, bytes.TrimSpace(g))
		}
		if !bytes.Equal(w, g) {
			return fmt.Sprintf("Line %d is %.200q, want %.200q", n, bytes.TrimSpace(g), bytes.TrimSpace(w))
		}
	}
	return "It ends too soon"
}

// documents checks both documents, page by page: each is fetched once, into a file.
func (r *revisionCheck) documents(ctx context.Context) (err error) {
	pdf, err := r.fetch(ctx, r.m.PDF, ".pdf")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pdf.close()) }()
	var file *docFile
	var pages *tiff.File
	if r.m.TIFF != nil {
		if file, err = r.fetch(ctx, *r.m.TIFF, ".tiff"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.close()) }()
		pages = r.parse(file)
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
		r.found.fault(FaultContradicts, r.key, 0, "It says that "+r.m.Software+" made the documents, and the PDF names another program")
	}
	return nil
}

// parse reads the TIFF's structure; nil: that is a fault.
func (r *revisionCheck) parse(file *docFile) *tiff.File {
	if file == nil {
		return nil
	}
	pages, err := tiff.Parse(file.data, tiff.Limits{MaxBytes: math.MaxInt, MaxPages: session.MaxPages})
	if err == nil {
		err = pages.Check()
	}
	if err == nil && pages.NumPages() != len(r.plan.Pages) {
		err = fmt.Errorf("it has %d pages, want %d", pages.NumPages(), len(r.plan.Pages))
	}
	if err != nil {
		r.found.fault(FaultPages, r.m.TIFF.Key, 0, err.Error())
		return nil
	}
	return pages
}

// strip wants a page's strip at its offset in a document.
func (r *revisionCheck) strip(doc *docFile, key string, p ManifestPage, offset int64) {
	if doc == nil {
		return
	}
	size := int64(len(doc.data))
	if p.StripSize < 0 || offset < 0 || offset > size || int64(p.StripSize) > size-offset {
		r.found.fault(FaultStrip, key, p.Page, fmt.Sprintf("It would be %d bytes at %d of %d", p.StripSize, offset, size))
		return
	}
	if sum := sha256.Sum256(doc.data[offset : offset+int64(p.StripSize)]); fmt.Sprintf("%x", sum) != p.StripSHA256 {
		r.found.fault(FaultStrip, key, p.Page, fmt.Sprintf("The SHA-256 of the %d bytes at %d is %x, want %s", p.StripSize, offset, sum, p.StripSHA256))
	}
}

// pixels decodes page i of the TIFF, from 0, and the archived original, which must both have the pixels that the manifest says.
func (r *revisionCheck) pixels(ctx context.Context, pages *tiff.File, i int, p ManifestPage) error {
	if pages != nil {
		m, err := r.remaker.decoder.pageOf(ctx, pages, i)
		_, failed := errors.AsType[*failure](err)
		if err != nil && !failed {
			return err
		}
		if failed || m.sum != p.RasterSHA256 {
			r.found.fault(FaultPixels, r.m.TIFF.Key, p.Page, "Those of the document are not those of the manifest")
		}
	}
	raster, done := r.rasters[p.Original.Key]
	if !done {
		data, ok, err := r.load(ctx, *p.Original, r.key)
		if err != nil || !ok {
			return err
		}
		raster, err = r.rasterOf(p.Original.Key, func() (image, error) { return r.remaker.decoder.page(ctx, data) })
		if err != nil {
			return err
		}
	}
	if raster != p.RasterSHA256 && !r.mayDiffer(p) {
		r.found.fault(FaultPixels, p.Original.Key, p.Page, "Those of the original are not those of the manifest")
	}
	return nil
}

// remake makes the revision again and wants the same bytes.
func (r *revisionCheck) remake(ctx context.Context) error {
	d, err := r.remaker.build(ctx, r.plan, r.m.Plan)
	if err == nil {
		err = d.remove()
	}
	if err != nil && (lost(err) || unbuildable(err) || errors.Is(err, errTooLarge)) {
		r.found.fault(FaultRemade, r.key, 0, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	made := d.manifest
	made.Signature = r.m.Signature
	text, err := indented(made)
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

// reports names what comparisons with the whole file say was kept.
func (k *checking) reports(ctx context.Context) error {
	for _, key := range k.revised {
		if !isReport(key) {
			continue
		}
		data, ok, err := k.read(ctx, key, maxText)
		if err != nil {
			return err
		}
		if !ok || !k.look(key, digest{int64(len(data)), sha256.Sum256(data)}) {
			continue
		}
		var report Report
		if err := strict(data, &report); err != nil {
			k.found.fault(FaultUnreadable, key, 0, err.Error())
			continue
		}
		if dir := revisionKey(report.Session, report.Revision, ""); report.Session != k.id || !strings.HasPrefix(key, dir) {
			k.found.fault(FaultForeign, key, 0, fmt.Sprintf("It is of session %s revision %d", report.Session, report.Revision))
			continue
		}
		for _, o := range report.objects() {
			k.name(o, key)
		}
	}
	return nil
}
