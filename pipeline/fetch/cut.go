package fetch

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/stage"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// cutPages publishes the wanted pages of the file, several at once. It returns why the others are lost, by page.
func (w *Worker) cutPages(ctx context.Context, o intake.Origin, file *tiff.File, wanted session.Ranges) (session.PageReasons, error) {
	var mu sync.Mutex
	lost := session.PageReasons{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * w.Decoder.AtOnce()) // one decodes while another archives
	for page := range wanted.All() {
		o := o
		o.Page = page
		group.Go(func() error {
			reason, err := w.cutPage(ctx, o, file)
			if reason != "" {
				w.Observe(ctx, stage.Step{Stage: stage.Whole, Session: o.Session, Page: page, Reason: reason})
				mu.Lock()
				defer mu.Unlock()
				lost[page] = reason
			}
			return err
		})
	}
	return lost, group.Wait()
}

// cutPage archives one page as a file of its own and publishes it. reason says why the file does not have it; empty: it has.
func (w *Worker) cutPage(ctx context.Context, o intake.Origin, file *tiff.File) (reason session.Reason, err error) {
	switch {
	case file == nil:
		return session.ReasonDamaged, nil
	case o.Page > file.NumPages():
		return session.ReasonNotInFile, nil
	}
	ctx, free := w.Decoder.Lease(ctx)
	defer free()
	m, err := w.Decode(ctx, o, func() (intake.Image, error) { return w.Decoder.PageOf(ctx, file, o.Page-1) })
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		return f.Reason, nil
	}
	if err != nil {
		return "", err
	}
	defer m.Release()
	strip, err := m.Strip()
	if err != nil {
		return "", err
	}
	obj, err := w.archiveCut(ctx, o, m, strip)
	if err != nil {
		return "", err
	}
	if m.Tones == nil { // the file that we wrote has a strip that the document can copy, whatever the coding of the whole file is
		own := *m.Decoded
		own.CleanG4, m.Decoded = strip.Bytes(), &own
	}
	return "", w.Publish(ctx, o, obj, m)
}

// archiveCut archives a page of the whole file, in this strip, as a file of its own.
func (w *Worker) archiveCut(ctx context.Context, o intake.Origin, m intake.Image, strip tiff.Strip) (session.Object, error) {
	b := w.Decoder.NewBody()
	defer w.remove(b)
	if err := writePage(b, o.Fact(m), strip); err != nil {
		return session.Object{}, fmt.Errorf("cut page %d of session %s: %w", o.Page, o.Session, err)
	}
	obj, _, err := w.ArchiveBody(ctx, o, b, archive.KindCut)
	return obj, err
}

// writePage writes a TIFF of one page.
func writePage(b *intake.Body, f session.PageArchived, strip tiff.Strip) error {
	t := tiff.NewWriter(b)
	if _, err := t.AddPage(intake.PageMeta(f, 1, 1), strip); err != nil {
		return err
	}
	return t.Close()
}
