package pipelinetest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/ocr"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/text"
)

// Recognise archives and publishes a text of a page, as words in one line at the top of its PNG.
func (d *Desk) Recognise(t testing.TB, page int, words string, at time.Time) session.TextRecognised {
	t.Helper()
	table := "level\tblock_num\tpar_num\tline_num\tleft\ttop\twidth\theight\tconf\ttext\n"
	for i, w := range strings.Fields(words) {
		table += fmt.Sprintf("5\t1\t1\t1\t%d\t200\t150\t40\t90\t%s\n", 100+160*i, w)
	}
	f, _, err := (&ocr.Results{Facts: d, Archive: d}).Take(t.Context(), d.Pages[page], session.OCRResult{
		Engine: "tesseract", Format: text.TSV, Read: session.ReadPNG, Data: []byte(table), At: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// SearchablesOf makes the searchable documents of one process.
func (d *Desk) SearchablesOf(t testing.TB, software string) *document.Searchables {
	return &document.Searchables{
		Bus: d, Archive: d, Log: slog.New(slog.DiscardHandler),
		Layers: document.Layers{Archive: d, ScratchDir: t.TempDir(), Software: software},
	}
}

// Deliver hands an event of "fax" to the durable that waits for it.
func Deliver(ctx context.Context, s *document.Searchables, event any) error {
	durable, subject := "searchable-texts", ""
	switch e := event.(type) {
	case session.DocAssembled:
		durable = "searchable-docs"
	case session.Timer:
		durable, subject = "searchable-timers", e.DueSubject()
	}
	data, err := json.Marshal(event)
	if err != nil {
		return err
	}
	for _, c := range s.Consumptions() {
		if c.Consumer.Durable == durable {
			return c.Handle(ctx, bus.Delivery{Subject: subject, Data: data, Tries: 1})
		}
	}
	return fmt.Errorf("no durable %s", durable)
}
