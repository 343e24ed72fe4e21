package archive

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Report has the result, page by page, of comparing the streamed pages of a revision with the whole file, or of decoding archived
// originals again.
type Report struct {
	Session  string         `json:"session"`
	Revision int            `json:"revision"`
	File     session.Object `json:"file"`  // the whole file; zero: made without it
	Pages    []PageVerdict  `json:"pages"` // ascending
}

// Results for one page.
const (
	VerdictAgreed    = "agreed"    // the same pixels
	VerdictRepaired  = "repaired"  // the page of the file has fewer bad rows: it is used
	VerdictDiffers   = "differs"   // other pixels: the streamed page is used
	VerdictUnchecked = "unchecked" // the file has no such page, or it is unreadable
	VerdictDecoded   = "decoded"   // by replay: the archived original now has other pixels than the document; they are used
)

// PageVerdict is the result for one page.
type PageVerdict struct {
	Page     int                   `json:"page"` // from 1
	Verdict  string                `json:"verdict"`
	Reason   session.Reason        `json:"reason,omitempty"` // why the page is unchecked
	Streamed PageImage             `json:"streamed"`
	File     *PageImage            `json:"file,omitempty"`
	Repair   *session.PageArchived `json:"repair,omitempty"` // of a repaired or decoded page: the page that is used

	// Difference names what is different of a page that differs: inverted, blank_against_ink or different. Alternative is the image of
	// the file, for a person who chooses it.
	Difference  string                `json:"difference,omitempty"`
	Alternative *session.PageArchived `json:"alternative,omitempty"`

	// Kept is, of a page that differs, the page as streamed: a choice of the file may be taken back when the page's fact is lost.
	Kept *session.PageArchived `json:"kept,omitempty"`
}

// Chosen returns the image of a page that differs for which a person decided: session.ImageStreamed or session.ImageFile; nil: the report
// has none.
func (v PageVerdict) Chosen(image string) *session.PageArchived {
	if image == session.ImageFile {
		return v.Alternative
	}
	return v.Kept
}

// Images returns the two images of each page that differs, by page and by session.ImageStreamed and session.ImageFile.
func (r Report) Images() map[int]map[string]session.PageArchived {
	all := map[int]map[string]session.PageArchived{}
	for _, v := range r.Pages {
		if v.Kept != nil && v.Alternative != nil {
			all[v.Page] = map[string]session.PageArchived{session.ImageStreamed: *v.Kept, session.ImageFile: *v.Alternative}
		}
	}
	return all
}

// Image returns the image that a document uses when it follows the report in this page; nil: the report has none.
func (v PageVerdict) Image() *session.PageArchived {
	if v.Repair != nil {
		return v.Repair
	}
	return v.Alternative
}

// PageImage names one image of a page.
type PageImage struct {
	Original     *session.Object `json:"original,omitempty"` // the archived page; nil for a page of the whole file that does not differ
	RasterSHA256 string          `json:"raster_sha256"`
	BadRows      int             `json:"bad_rows"`
}

// IsReport reports whether a key is the key of a Report.
func IsReport(key string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	kind, _, _ := strings.Cut(name, ".")
	return strings.HasSuffix(name, ".json") && (kind == ReportVerified || kind == ReportDecoded) && !strings.Contains(key, "/pages/")
}

// Objects returns all objects that a report names.
func (r Report) Objects() (all []session.Object) {
	if r.File.Key != "" {
		all = append(all, r.File)
	}
	for _, p := range r.Pages {
		for _, image := range []*PageImage{&p.Streamed, p.File} {
			if image != nil && image.Original != nil {
				all = append(all, *image.Original)
			}
		}
		for _, image := range []*session.PageArchived{p.Repair, p.Alternative, p.Kept} {
			if image != nil {
				all = append(all, image.Original, image.PNG)
			}
		}
	}
	return all
}

// Kinds of reports: the beginning of their names.
const (
	ReportVerified = "verified" // pages were compared with the whole file
	ReportDecoded  = "decoded"  // archived originals were decoded again
)

// ReadReport reads the report that an event names. Errors: those of ReadObject, and ErrUnreadable.
func ReadReport(ctx context.Context, a Reader, o session.Object) (Report, error) {
	var r Report
	data, err := ReadObject(ctx, a, o)
	if err == nil {
		if err = json.Unmarshal(data, &r); err != nil {
			err = fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
	}
	if err != nil {
		return Report{}, fmt.Errorf("read %s: %w", o.Key, err)
	}
	return r, nil
}

// WriteReport archives a report; kind is one of the kinds above. The key has the hash of the content: a repeat writes the same object.
func WriteReport(ctx context.Context, a Store, kind string, r Report) (session.Object, error) {
	data, err := IndentJSON(r)
	if err != nil {
		return session.Object{}, fmt.Errorf("report on session %s: %w", r.Session, err)
	}
	sum := sha256.Sum256(data)
	obj := NewObject(RevisionKey(r.Session, r.Revision, kind+"."+Hash16(sum)+".json"), int64(len(data)), sum)
	_, err = CreateSum(ctx, a, obj.Key, data, sum)
	return obj, err
}
