package archive

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Report is what comparing the streamed pages of a revision with the whole file found, page by page.
type Report struct {
	Session  string         `json:"session"`
	Revision int            `json:"revision"`
	File     session.Object `json:"file"`  // the whole file
	Pages    []PageVerdict  `json:"pages"` // ascending
}

// What is said of one page.
const (
	VerdictAgreed    = "agreed"    // the same pixels
	VerdictRepaired  = "repaired"  // the streamed page has bad rows and the file's has fewer: that one is used
	VerdictDiffers   = "differs"   // other pixels: the streamed page is used
	VerdictUnchecked = "unchecked" // the file has no such page, or none that can be read
	VerdictDecoded   = "decoded"   // by replay: the archived original gives other pixels than the document has; the new ones are used
)

// PageVerdict compares one page.
type PageVerdict struct {
	Page     int                   `json:"page"`
	Verdict  string                `json:"verdict"`
	Reason   session.Reason        `json:"reason,omitempty"` // of an unchecked page
	Streamed PageImage             `json:"streamed"`
	File     *PageImage            `json:"file,omitempty"`
	Repair   *session.PageArchived `json:"repair,omitempty"` // of a repaired page: what is used
}

// PageImage names one image of a page.
type PageImage struct {
	Original     *session.Object `json:"original,omitempty"` // the archived page; of a page of the whole file only where it differs
	RasterSHA256 string          `json:"raster_sha256"`
	BadRows      int             `json:"bad_rows"`
}

// IsReport reports whether a key is that of a Report.
func IsReport(key string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	return strings.HasSuffix(name, ".json") && (strings.HasPrefix(name, ReportVerified+".") || strings.HasPrefix(name, ReportDecoded+".")) && !strings.Contains(key, "/pages/")
}

// Objects is everything that a report names.
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
		if p.Repair != nil {
			all = append(all, p.Repair.Original, p.Repair.PNG)
		}
	}
	return all
}

// Kinds of reports: the beginning of their names.
const (
	ReportVerified = "verified" // of comparing with the whole file
	ReportDecoded  = "decoded"  // of decoding archived originals again
)

// WriteReport archives a report under a key made of its content: a repeat writes the same.
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
