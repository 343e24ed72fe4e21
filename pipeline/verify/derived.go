package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/session"
)

// derived checks the derived documents and their records, and notes what they name.
func (k *checking) derived(ctx context.Context) error {
	return k.records(ctx, archive.IsDerived, func(key string, data []byte) error {
		record, err := archive.ParseDerived(data, key)
		if err != nil {
			k.found.unreadable(FaultUnreadable, key, err)
			return nil
		}
		return k.derivative(ctx, key, record)
	})
}

// derivative checks a derived document: its strips are where its record says, its TIFF has the pixels that the record says, and these are
// those of the revision: the document is made again.
func (k *checking) derivative(ctx context.Context, key string, record archive.Derived) error {
	faults := len(k.found.Faults)
	for _, o := range []session.Object{record.Manifest, record.TIFF, record.PDF} {
		k.name(o, key)
	}
	if !k.sound[record.Revision] || len(k.found.Faults) > faults {
		return nil // its pages are not reliable
	}
	m, ok, err := k.manifestOf(ctx, key, record.Revision, record.Manifest, FaultDerived)
	if err != nil || !ok {
		return err
	}
	if err := k.derivedPages(ctx, key, m, record); err != nil || len(k.found.Faults) > faults {
		return err
	}
	return k.deriveAgain(ctx, key, record)
}

// derivedPages checks both documents, page by page.
func (k *checking) derivedPages(ctx context.Context, key string, m archive.Manifest, record archive.Derived) (err error) {
	r := &revisionCheck{checking: k, key: key, m: m}
	pdf, err := r.fetch(ctx, record.PDF, ".pdf")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pdf.close()) }()
	file, err := r.fetch(ctx, record.TIFF, ".tiff")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	usable := slices.DeleteFunc(slices.Clone(record.Pages), func(p archive.DerivedPage) bool { return p.Reason != "" })
	pages := r.parse(file, record.TIFF.Key, len(usable))
	for i, p := range usable {
		told := archive.ManifestPage{
			Page: p.Page, StripSHA256: p.StripSHA256, StripSize: p.StripSize, RasterSHA256: p.RasterSHA256,
		}
		r.strip(pdf, record.PDF.Key, told, p.PDFOffset)
		r.strip(file, record.TIFF.Key, told, p.TIFFOffset)
		if err := r.documentPixels(ctx, pages, record.TIFF.Key, i, told); err != nil {
			return err
		}
	}
	return nil
}

// deriveAgain makes the document again. If the same software made it, it must have the same bytes; else the same pages, and the same pixels
// in those that are turned: another program may code them in another way.
func (k *checking) deriveAgain(ctx context.Context, key string, record archive.Derived) error {
	again := document.Deriver{Archive: k.Archive, Decoder: k.remaker.Decoder, ScratchDir: k.ScratchDir, Software: k.Software}
	d, err := again.Make(ctx, record)
	if err == nil {
		err = d.Remove()
	}
	if err != nil && (archive.Lost(err) || archive.Broken(err) || document.Unbuildable(err)) {
		k.found.fault(FaultDerived, key, 0, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	made := d.Record
	if record.Software != k.Software {
		made.Software, made.PDF, made.TIFF = record.Software, record.PDF, record.TIFF
		made.Pages, record.Pages = pixelsOnly(made.Pages), pixelsOnly(record.Pages)
	}
	if made.PDF != record.PDF || made.TIFF != record.TIFF || made.ToToken != record.ToToken || !slices.Equal(made.Pages, record.Pages) {
		k.found.fault(FaultDerived, key, 0, fmt.Sprintf("Made again, it has %s", made.PDF.Key))
	}
	return nil
}

// pixelsOnly are pages without what depends on the program that coded them.
func pixelsOnly(pages []archive.DerivedPage) []archive.DerivedPage {
	out := slices.Clone(pages)
	for i := range out {
		out[i].TIFFOffset, out[i].PDFOffset = 0, 0
		if out[i].Turned != 0 {
			out[i].StripSHA256, out[i].StripSize = "", 0
		}
	}
	return out
}
