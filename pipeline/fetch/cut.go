package fetch

import (
	"bytes"
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
				w.Observe(stage.Step{Stage: stage.Whole, Session: o.Session, Page: page, Reason: reason})
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
	m, err := w.Decode(o, func() (intake.Image, error) { return w.Decoder.PageOf(ctx, file, o.Page-1) })
	if f, failed := errors.AsType[*intake.Failure](err); failed {
		return f.Reason, nil
	}
	if err != nil {
		return "", err
	}
	defer m.Release()
	obj, err := w.archiveCut(ctx, o, m)
	if err != nil {
		return "", err
	}
	return "", w.Publish(ctx, o, obj, m)
}

// archiveCut archives a page of the whole file as a file of its own.
func (w *Worker) archiveCut(ctx context.Context, o intake.Origin, m intake.Image) (session.Object, error) {
	data, err := pageFile(o.Fact(m), m)
	if err != nil {
		return session.Object{}, fmt.Errorf("cut page %d of session %s: %w", o.Page, o.Session, err)
	}
	return w.ArchiveOriginal(ctx, o, data, archive.KindCut)
}

// pageFile encodes a page as a TIFF of its own.
func pageFile(f session.PageArchived, m intake.Image) ([]byte, error) {
	strip, err := m.Strip()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	t := tiff.NewWriter(&b)
	if _, err := t.AddPage(intake.PageMeta(f, 1, 1), strip); err != nil {
		return nil, err
	}
	err = t.Close()
	return b.Bytes(), err
}
