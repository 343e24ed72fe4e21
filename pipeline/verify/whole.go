package verify

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/tiff"
)

// wholes checks that the archive has the whole file of every page that was cut from one: it is what the provider served, and no manifest
// names it. If there are several, because a better close came, one of them must have the pixels of the page.
func (r *revisionCheck) wholes(ctx context.Context) error {
	cut := map[int]archive.ManifestPage{}
	for _, p := range r.m.Pages {
		if p.Status == session.PageStatusArchived && p.Source == session.SourceWholeFile {
			cut[p.Page] = p
		}
	}
	files := 0
	for _, key := range r.listed {
		if !archive.IsWholeFile(key, r.prefix()) || len(cut) == 0 {
			continue
		}
		files++
		if err := r.strike(ctx, key, cut); err != nil {
			return err
		}
	}
	for _, p := range r.m.Pages {
		switch _, left := cut[p.Page]; {
		case left && files == 0:
			r.found.fault(FaultMissing, r.prefix()+"original.*."+archive.KindOriginal, p.Page,
				"It is the whole file that the page was cut from")
		case left:
			r.found.fault(FaultPixels, p.Original.Key, p.Page, "It was cut from a whole file, but no archived whole file has such a page")
		}
	}
	return nil
}

// strike removes from cut the pages that the whole file under key has.
func (r *revisionCheck) strike(ctx context.Context, key string, cut map[int]archive.ManifestPage) (err error) {
	file, err := r.copied(ctx, key, ".tiff")
	if err != nil || file == nil {
		return err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	pages, parseErr := tiff.Parse(file.data, tiff.Limits{MaxBytes: math.MaxInt, MaxPages: session.MaxPages})
	if parseErr != nil {
		return nil // an unreadable file has none of them
	}
	for n, p := range cut {
		if n > pages.NumPages() {
			continue
		}
		raster, err := r.rasterOf(fmt.Sprintf("%s page %d", key, n), func() (intake.Image, error) {
			return r.remaker.Decoder.PageOf(ctx, pages, n-1)
		})
		if err != nil {
			return err
		}
		if raster == p.RasterSHA256 || r.mayDiffer(p) {
			delete(cut, n)
			r.served[key] = true
		}
	}
	return nil
}

// mayDiffer reports whether a page may have other pixels now: another version of the decoder may repair a damaged page in another way.
func (r *revisionCheck) mayDiffer(p archive.ManifestPage) bool {
	return p.BadRows > 0 && r.m.Software != r.Software
}
