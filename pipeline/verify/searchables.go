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

// searchables checks the PDFs with text and their records, and notes what they name.
func (k *checking) searchables(ctx context.Context) error {
	return k.records(ctx, archive.IsSearchable, func(key string, data []byte) error {
		record, err := archive.ParseSearchable(data, key)
		if err != nil {
			k.found.unreadable(FaultUnreadable, key, err)
			return nil
		}
		return k.searchable(ctx, key, record)
	})
}

// searchable checks what a record says.
func (k *checking) searchable(ctx context.Context, key string, record archive.Searchable) error {
	faults := len(k.found.Faults)
	k.name(record.Manifest, key)
	k.name(record.PDF, key)
	for _, p := range record.Pages {
		if archive.PageOfText(p.Words.Key) != p.Page {
			k.found.fault(FaultSearchable, key, p.Page, "It names a text of another page: "+p.Words.Key)
		}
		k.name(p.Words, key)
	}
	if !k.sound[record.Revision] || len(k.found.Faults) > faults {
		return nil // its pages are not reliable
	}
	m, ok, err := k.manifestOf(ctx, key, record.Revision, record.Manifest, FaultSearchable)
	if err != nil || !ok {
		return err
	}
	if err := k.layers(ctx, key, m, record); err != nil || len(k.found.Faults) > faults || record.Software != k.Software {
		return err
	}
	return k.layAgain(ctx, key, record)
}

// layers checks that the PDF has the strips of the manifest.
func (k *checking) layers(ctx context.Context, key string, m archive.Manifest, record archive.Searchable) (err error) {
	usable := slices.DeleteFunc(m.Pages, func(p archive.ManifestPage) bool { return p.Status != session.PageStatusArchived })
	same := slices.EqualFunc(usable, record.Pages, func(p archive.ManifestPage, q archive.SearchablePage) bool { return p.Page == q.Page })
	if !same {
		k.found.fault(FaultSearchable, key, 0, "It does not have exactly the usable pages of the revision")
		return nil
	}
	r := &revisionCheck{checking: k, key: key, m: m}
	pdf, err := r.fetch(ctx, record.PDF, ".pdf")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pdf.close()) }()
	for i, p := range usable {
		r.strip(pdf, record.PDF.Key, p, record.Pages[i].PDFOffset)
	}
	return nil
}

// layAgain makes the PDF again and checks that it has the same bytes.
func (k *checking) layAgain(ctx context.Context, key string, record archive.Searchable) error {
	texts := slices.Clone(record.Pages)
	for i := range texts {
		texts[i].PDFOffset = 0
	}
	again := document.Layers{Archive: k.Archive, ScratchDir: k.ScratchDir, Software: k.Software}
	d, err := again.Make(ctx, record.Manifest, texts)
	if err == nil {
		err = d.Remove()
	}
	if err != nil && (archive.Lost(err) || archive.Broken(err) || document.Unbuildable(err)) {
		k.found.fault(FaultSearchable, key, 0, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	made := d.Record
	if made.At = record.At; made.PDF != record.PDF || !slices.Equal(made.Pages, record.Pages) || made.ToToken != record.ToToken {
		k.found.fault(FaultSearchable, key, 0, fmt.Sprintf("Made again, it is %s", made.PDF.Key))
	}
	return nil
}
