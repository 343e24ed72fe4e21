package pipeline

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
	verdictAgreed    = "agreed"    // the same pixels
	verdictRepaired  = "repaired"  // the streamed page has bad rows and the file's has fewer: that one is used
	verdictDiffers   = "differs"   // other pixels: the streamed page is used
	verdictUnchecked = "unchecked" // the file has no such page, or none that can be read
	verdictDecoded   = "decoded"   // by replay: the archived original gives other pixels than the document has; the new ones are used
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

// isReport reports whether a key is that of a Report.
func isReport(key string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	return strings.HasSuffix(name, ".json") && (strings.HasPrefix(name, reportVerified+".") || strings.HasPrefix(name, reportDecoded+".")) && !strings.Contains(key, "/pages/")
}

// objects is everything that a report names.
func (r Report) objects() (all []session.Object) {
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
	reportVerified = "verified" // of comparing with the whole file
	reportDecoded  = "decoded"  // of decoding archived originals again
)

// writeReport archives a report under a key made of its content: a repeat writes the same.
func writeReport(ctx context.Context, a Archive, kind string, r Report) (session.Object, error) {
	data, err := indented(r)
	if err != nil {
		return session.Object{}, fmt.Errorf("report on session %s: %w", r.Session, err)
	}
	sum := sha256.Sum256(data)
	obj := object(revisionKey(r.Session, r.Revision, kind+"."+hash16(sum)+".json"), int64(len(data)), sum)
	_, err = createSum(ctx, a, obj.Key, data, sum)
	return obj, err
}
