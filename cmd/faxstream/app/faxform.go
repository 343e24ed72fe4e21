package app

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"runtime"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
)

// badRows finds the bad rows of pages for the dashboard.
func badRows(t *intake.Thumbnails) func(context.Context, io.Reader) ([][2]int, error) {
	return func(ctx context.Context, original io.Reader) (rows [][2]int, err error) {
		found, err := t.BadRows(ctx, original)
		for _, r := range found {
			rows = append(rows, [2]int{r.First, r.Last})
		}
		return rows, err
	}
}

// faxForm makes documents for fax machines from the archive. An error matches fs.ErrNotExist if an object is missing or altered.
func (a *App) faxForm(c Config, m *intake.Memory) func(context.Context, session.Object) (io.ReadSeekCloser, string, error) {
	forms := document.FaxForms{Archive: a.archive, Decoder: m.NewDecoder(runtime.GOMAXPROCS(0)), ScratchDir: c.path("spool")}
	return func(ctx context.Context, manifest session.Object) (io.ReadSeekCloser, string, error) {
		file, sum, err := forms.Make(ctx, manifest)
		if archive.Lost(err) {
			err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return file, sum, err
	}
}
