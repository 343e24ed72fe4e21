package ocr

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
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

// Whole gives the texts that count of the pages in rasters, ascending; a raster is the hash of the image of the page that counts. If a page
// has none, it gives no texts, and the first such page.
func Whole(ctx context.Context, a archive.Reader, id string, rasters map[int]string) (texts []Chosen, without int, err error) {
	keys, err := archive.Keys(ctx, a, archive.TextsPrefix(id))
	if err != nil {
		return nil, 0, err
	}
	byPage := map[int][]string{}
	for _, key := range keys {
		if archive.IsWords(key) {
			page := archive.PageOfText(key)
			byPage[page] = append(byPage[page], key)
		}
	}
	pages := make([]int, 0, len(rasters))
	for page := range rasters {
		if len(byPage[page]) == 0 && (without == 0 || page < without) {
			without = page
		}
		pages = append(pages, page)
	}
	if without > 0 {
		return nil, without, nil
	}
	slices.Sort(pages)
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
		return nil, 0, err
	}
	if i := slices.IndexFunc(texts, func(c Chosen) bool { return c.Page == 0 }); i >= 0 {
		return nil, pages[i], nil
	}
	return texts, 0, nil
}

// choose gives the text that counts of a page's texts under these keys; its page is 0 if there is none. A text that is damaged does not
// count: verify names it.
func choose(ctx context.Context, a archive.Reader, keys []string, raster string) (best Chosen, err error) {
	for _, key := range keys {
		p, data, err := archive.LoadText(ctx, a, key)
		if archive.Broken(err) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Chosen{}, err
		}
		if p.RasterSHA256 == raster && (best.Page == 0 || !p.At.Before(best.At)) {
			best = Chosen{p.Page, archive.NewObject(key, int64(len(data)), sha256.Sum256(data)), p.At}
		}
	}
	return best, nil
}
