// Package ocr takes what OCR engines recognise on archived pages. Begin with Results.Take.
//
// A result is archived as the engine wrote it, then its words in one form beside it, and then the event is published. Each is create-only,
// so the same result may come again at any time, from several processes: it is there once. A crash leaves a result without words, or words
// without their event; when the same result comes again, the rest is done. A page may have several results, of one engine or of several:
// Text gives the one that counts.
package ocr

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/events"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/text"
)

// Facts is what the room needs of JetStream.
type Facts interface {
	// RecordFact returns when the fact is durable. stored is the payload that was on its subject before, nil if there was none. It may be
	// repeated.
	RecordFact(ctx context.Context, f session.Fact) (seq uint64, stored []byte, err error)
}

// Results takes and finds the results of pages.
type Results struct {
	Facts   Facts
	Archive archive.Store
}

func bad(format string, a ...any) error { return &session.BadResult{Err: fmt.Errorf(format, a...)} }

// Limits of what a sender says of its engine, bytes.
const (
	maxVersion   = 100
	maxLanguages = 20
	maxLanguage  = 40
)

// check refuses what cannot be a result.
func check(r session.OCRResult) error {
	switch {
	case !archive.ValidEngine(r.Engine):
		return bad("engine %.40q: want a small letter, and then small letters, digits, '-' and '_', at most 32", r.Engine)
	case !slices.Contains(text.Formats(), r.Format):
		return bad("format %.20q: want one of %q", r.Format, text.Formats())
	case r.Read != session.ReadPNG && r.Read != session.ReadOriginal:
		return bad("read %.20q: want %s or %s, the image that the engine read", r.Read, session.ReadPNG, session.ReadOriginal)
	case !printable(r.Version, maxVersion):
		return bad("version: want at most %d bytes of printable text", maxVersion)
	case r.Orientation != nil && !possible(*r.Orientation):
		return bad("orientation %d, confidence %g: want 0, 90, 180 or 270 degrees, and a confidence of 0 to %g", r.Orientation.Degrees,
			r.Orientation.Confidence, float64(maxConfidence))
	case len(r.Languages) > maxLanguages:
		return bad("%d languages, want at most %d", len(r.Languages), maxLanguages)
	}
	for _, l := range r.Languages {
		if l == "" || !printable(l, maxLanguage) {
			return bad("language %.40q: want 1 to %d bytes of printable text", l, maxLanguage)
		}
	}
	return nil
}

// maxConfidence of an orientation; that of Tesseract is below 100.
const maxConfidence = 1e6

func possible(o session.TextOrientation) bool {
	return slices.Contains([]int{0, 90, 180, 270}, o.Degrees) && o.Confidence >= 0 && o.Confidence <= maxConfidence // not NaN
}

func printable(s string, most int) bool {
	return len(s) <= most && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\ufffd' })
}

// Take archives and publishes a result of the image of a page that f describes. repeat: it was there already. A session.BadResult is the
// sender's mistake, and nothing of it is archived. Any other error: it may be there in part; the same call may be made again.
func (r *Results) Take(ctx context.Context, f session.PageArchived, res session.OCRResult,
) (fact session.TextRecognised, repeat bool, err error) {
	if err := check(res); err != nil {
		return fact, false, err
	}
	words, err := text.Parse(res.Format, res.Data)
	if err == nil {
		words, err = text.Place(words, imageOf(f, res.Read))
	}
	if err != nil {
		return fact, false, &session.BadResult{Err: err}
	}
	if err := r.room(ctx, f.Session, f.Page); err != nil {
		return fact, false, err
	}
	sum := sha256.Sum256(res.Data)
	p := archive.PageText{
		Session: f.Session, Page: f.Page, ToToken: f.ToToken, Engine: res.Engine, Version: res.Version, Languages: res.Languages,
		Format: res.Format, Read: res.Read, RasterSHA256: f.RasterSHA256, Width: f.Width, Height: f.Height, By: res.By,
		At: res.At.UTC(), Words: words, Orientation: res.Orientation,
	}
	p.Result = archive.NewObject(archive.ResultKey(f.Session, f.Page, sum, res.Engine, res.Format), int64(len(res.Data)), sum)
	if _, err := archive.CreateFrom(ctx, r.Archive, p.Result.Key, bytes.NewReader(res.Data), p.Result.Size, sum); err != nil {
		return fact, false, err
	}
	key := p.WordsKey()
	data, err := p.Text()
	if err != nil {
		return fact, false, err
	}
	if repeat, err = archive.Create(ctx, r.Archive, key, data); err != nil {
		return fact, false, err
	}
	if repeat { // what is there counts: it has the time of the first
		if p, data, err = archive.LoadText(ctx, r.Archive, key); err != nil {
			return fact, false, err
		}
	}
	fact = p.Fact(data)
	_, _, err = r.Facts.RecordFact(ctx, fact)
	return fact, repeat, err
}

// maxResults bounds the results of a page: whoever asks for its text reads all of them.
const maxResults = 100

// room refuses one more result for a page that has too many.
func (r *Results) room(ctx context.Context, id string, page int) error {
	n := 0
	for key, err := range r.Archive.List(ctx, archive.TextPrefix(id, page), "") {
		if err != nil {
			return fmt.Errorf("list the texts of session %s page %d: %w", id, page, err)
		}
		if archive.IsWords(key) {
			n++
		}
	}
	if n >= maxResults {
		return bad("page %d of session %s has %d results, and may have no more", page, id, n)
	}
	return nil
}

// imageOf is how the image that an engine read lies on a page.
func imageOf(f session.PageArchived, read string) text.Image {
	im := text.Image{Width: f.Width, Height: f.Height, Orientation: f.Orientation, PNG: read == session.ReadPNG}
	im.ScaleX, im.ScaleY = events.PNGScale(f)
	return im
}

// Forms in which Text gives the text of a page.
const (
	AsText  = "txt"   // lines, and an empty line between blocks
	AsWords = "words" // JSON: archive.PageText
	AsSent  = "sent"  // the bytes as the engine wrote them
)

// Text gives the text that counts of a page, whose image that counts f describes, and the key of the object that has it; with an engine, of
// its results only. An error that matches fs.ErrNotExist: there is none.
func (r *Results) Text(ctx context.Context, f session.PageArchived, as, engine string) (body []byte, key string, err error) {
	keys, err := wordsKeys(ctx, r.Archive, archive.TextPrefix(f.Session, f.Page))
	if err != nil {
		return nil, "", err
	}
	p, _, err := counting(ctx, r.Archive, keys[f.Page], f.RasterSHA256, engine)
	if err != nil {
		return nil, "", err
	}
	if p.Page == 0 {
		return nil, "", fmt.Errorf("text of session %s page %d: %w", f.Session, f.Page, fs.ErrNotExist)
	}
	switch as {
	case AsSent:
		body, err = archive.ReadObject(ctx, r.Archive, p.Result)
		return body, p.Result.Key, err
	case AsWords:
		body, err = p.Text()
	case AsText:
		body = []byte(lines(p.Words))
	default:
		err = bad("%q: want %s, %s or %s", as, AsText, AsWords, AsSent)
	}
	return body, p.WordsKey(), err
}

// Searchable gives the PDF with text that counts of a revision, from 1. An error that matches fs.ErrNotExist: there is none.
func (r *Results) Searchable(ctx context.Context, id string, revision int) (session.Object, error) {
	keys, err := archive.RevisionKeys(ctx, r.Archive, id)
	if err != nil {
		return session.Object{}, err
	}
	s, _, ok, err := archive.NewestSearchable(ctx, r.Archive, id, revision, keys)
	if err == nil && !ok {
		err = fmt.Errorf("searchable document of session %s revision %d: %w", id, revision, fs.ErrNotExist)
	}
	return s.PDF, err
}

// lines writes words as text.
func lines(words []text.Word) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case words[i-1].Block != w.Block:
			b.WriteString("\n\n")
		case words[i-1].Line != w.Line:
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(w.Text)
	}
	if len(words) > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}
