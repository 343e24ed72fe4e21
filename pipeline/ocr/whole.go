package ocr

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A Chosen text is the one that counts of a page.
type Chosen struct {
	Page  int            // from 1
	Words session.Object // the archived PageText
	At    time.Time      // when it came, UTC
}

// reads is how many texts are read at the same time.
const reads = 8

// Whole gives the texts that count of the pages in rasters, ascending; a raster is the hash of the image of the page that counts. If pages
// have none, it gives no texts, and such pages: all that have no text at all, else the first one of which no text counts.
func Whole(ctx context.Context, a archive.Reader, id string, rasters map[int]string) (
	texts []Chosen, without session.Ranges, err error,
) {
	byPage, err := wordsKeys(ctx, a, archive.TextsPrefix(id))
	if err != nil {
		return nil, nil, err
	}
	pages := slices.Sorted(maps.Keys(rasters))
	for _, page := range pages {
		if len(byPage[page]) == 0 {
			without = without.Add(page)
		}
	}
	if len(without) > 0 {
		return nil, without, nil
	}
	texts = make([]Chosen, len(pages))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(reads)
	for i, page := range pages {
		group.Go(func() (err error) {
			texts[i], err = choose(inner, a, byPage[page], rasters[page])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	if i := slices.IndexFunc(texts, func(c Chosen) bool { return c.Page == 0 }); i >= 0 {
		return nil, session.Span(pages[i], pages[i]), nil
	}
	return texts, nil, nil
}

// wordsKeys lists the keys of texts by page.
func wordsKeys(ctx context.Context, a archive.Reader, prefix string) (map[int][]string, error) {
	keys, err := archive.Keys(ctx, a, prefix)
	if err != nil {
		return nil, err
	}
	byPage := map[int][]string{}
	for _, key := range keys {
		if archive.IsWords(key) {
			page := archive.PageOfText(key)
			byPage[page] = append(byPage[page], key)
		}
	}
	return byPage, nil
}

// Some calls f with each text that counts of the pages in rasters, which are those of Whole, ascending. Pages without a text are left out.
func Some(ctx context.Context, a archive.Reader, id string, rasters map[int]string, f func(archive.PageText)) error {
	prefix := archive.TextsPrefix(id)
	if len(rasters) == 1 {
		for page := range rasters {
			prefix = archive.TextPrefix(id, page)
		}
	}
	byPage, err := wordsKeys(ctx, a, prefix)
	if err != nil {
		return err
	}
	for _, page := range slices.Sorted(maps.Keys(rasters)) {
		p, _, err := counting(ctx, a, byPage[page], rasters[page], "")
		if err != nil {
			return err
		}
		if p.Page > 0 {
			f(p)
		}
	}
	return nil
}

// choose gives the text that counts of a page's texts under these keys; its page is 0 if there is none.
func choose(ctx context.Context, a archive.Reader, keys []string, raster string) (Chosen, error) {
	p, words, err := counting(ctx, a, keys, raster, "")
	return Chosen{p.Page, words, p.At}, err
}

// counting reads the texts under these keys and gives the one that counts, and the object that it is: the newest of those that were read
// from the image with this raster hash, and of the same time the one with the last key. With an engine, only its texts are looked at. The
// page is 0 if there is none. A text that is damaged does not count: verify names it.
func counting(ctx context.Context, a archive.Reader, keys []string, raster, engine string) (
	best archive.PageText, o session.Object, err error,
) {
	for _, key := range keys {
		p, data, err := archive.LoadText(ctx, a, key)
		if archive.Broken(err) || errors.Is(err, fs.ErrNotExist) { // it may have been purged meanwhile
			continue
		}
		if err != nil {
			return archive.PageText{}, o, err
		}
		if p.RasterSHA256 == raster && (engine == "" || p.Engine == engine) && (best.Page == 0 || !p.At.Before(best.At)) {
			best, o = p, archive.NewObject(key, int64(len(data)), sha256.Sum256(data))
		}
	}
	return best, o, nil
}
