package fetch

import (
	"context"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// Judge compares one page with the same page of the file.
func (w *Worker) Judge(ctx context.Context, f session.PageArchived, file *tiff.File) (archive.PageVerdict, error) {
	return w.judge(ctx, intake.Origin{Session: f.Session, Source: session.SourceWholeFile}, f, file)
}

// JudgeDecoded is Judge, but always compares the pixels.
func (w *Worker) JudgeDecoded(ctx context.Context, f session.PageArchived, file *tiff.File) (archive.PageVerdict, error) {
	o := intake.Origin{Session: f.Session, Page: f.Page, EventTime: f.EventTime, BodySHA256: f.BodySHA256, Source: session.SourceWholeFile}
	return w.judgeDecoded(ctx, o, f, file, unchecked(f))
}

// Lookup is how a worker with these pages looks for what an earlier run left.
func Lookup(ctx context.Context, p intake.Pages, o intake.Origin) (*intake.Found, error) {
	w := Worker{Pages: p}
	return w.lookup(ctx, o)
}
