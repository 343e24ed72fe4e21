package session

import (
	"fmt"
	"strconv"
	"time"
)

// Sources of a page.
const (
	SourceFetch     = "fetch"      // the page file, fetched while the fax was on the line
	SourceWholeFile = "whole_file" // cut from the whole file
)

// Statuses of a page.
const (
	PageStatusAnnounced = "announced"
	PageStatusArchived  = "archived"
	PageStatusMissing   = "missing"
)

// Object is one archived object.
type Object struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hex
}

// Strip is one Group 4 strip, most significant bit first, from the first row to EOFB.
type Strip struct {
	Size   int    `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hex
}

// Quality has measurements of a page's rows; for a gray or colour page, of the rows of its 1-bit image.
type Quality struct {
	Blank     bool `json:"blank"`        // nothing to read: only specks, dust streaks and border
	Ink       int  `json:"ink_ppm"`      // black pixels per million
	Skew      int  `json:"skew_mdeg"`    // rotation of the lines, thousandths of a degree, clockwise, -5000 to 5000; 0 if unknown
	SkewKnown bool `json:"skew_known"`   // Skew was measured, to 0.1 degrees
	Border    int  `json:"border_ppm"`   // black from the edges inwards, per million of the page
	Isolated  int  `json:"isolated_ppm"` // black pixels without a black neighbour, per million black pixels
}

// PageAnnounced means: the provider says that a page of a fax on the line can be fetched.
type PageAnnounced struct {
	Session    string    `json:"session"`
	Page       int       `json:"page"` // from 1
	From       string    `json:"from"` // as the provider wrote it; may be empty
	To         string    `json:"to"`
	EventTime  time.Time `json:"event_time,omitzero"`
	BodySHA256 string    `json:"body_sha256"` // of the webhook's body as received, hex
}

func (f PageAnnounced) Subject() string {
	return fmt.Sprintf("%s.%s.%d", TypePageAnnounced, f.Session, f.Page)
}

func (f PageAnnounced) ID() string        { return "in.page/" + f.Session + "/" + strconv.Itoa(f.Page) }
func (f PageAnnounced) Type() string      { return TypePageAnnounced }
func (f PageAnnounced) SessionID() string { return f.Session }
func (f PageAnnounced) Time() time.Time   { return f.EventTime }
func (f PageAnnounced) Same(stored []byte) bool {
	return sameJSON(f, stored, func(p *PageAnnounced) { p.From, p.To, p.EventTime, p.BodySHA256 = "", "", time.Time{}, "" })
}

// PageArchived means: a usable page is in the archive. OCR services subscribe to it.
type PageArchived struct {
	Session      string  `json:"session"`
	Page         int     `json:"page"` // from 1
	From         string  `json:"from"`
	To           string  `json:"to"`
	ToToken      string  `json:"to_token"`      // as in the subject
	Source       string  `json:"source"`        // SourceFetch or SourceWholeFile
	Original     Object  `json:"original"`      // the page file as fetched, or as cut
	PNG          Object  `json:"png"`           // for OCR
	RasterSHA256 string  `json:"raster_sha256"` // of the packed 1-bit rows, 1 is black; of gray and colour, of the 8-bit samples
	Width        int     `json:"width"`         // pixels
	Height       int     `json:"height"`        // pixels
	XResolution  float64 `json:"x_resolution"`  // pixels per inch
	YResolution  float64 `json:"y_resolution"`
	Samples      int     `json:"samples,omitempty"`     // of 8 bits a pixel: 1 gray, 3 colour; absent: bilevel
	Coding       string  `json:"coding"`                // mh, mr, mmr, jpeg, …
	BadRows      int     `json:"bad_rows"`              // by our decoder
	LongestBad   int     `json:"longest_bad_run"`       // rows in the longest run of bad rows
	Orientation  int     `json:"orientation,omitempty"` // of the pixels as stored, as in TIFF 6.0; absent: upright. The PNG is upright

	*Received // nil: the receiving fax machine says nothing of its rows

	// ResolutionAssumed says in words why XResolution and YResolution are not those of the tags; empty: they are.
	ResolutionAssumed string `json:"resolution_assumed,omitempty"`

	Quality    *Quality  `json:"quality,omitempty"`     // nil: archived by a version that did not measure it
	CleanStrip *Strip    `json:"clean_strip,omitempty"` // the only strip of Original; nil: it cannot be copied into a document
	EventTime  time.Time `json:"event_time,omitzero"`
	BodySHA256 string    `json:"body_sha256,omitempty"` // of the webhook that announced it; empty for a page that only the whole file has
}

// cut reports whether the page was missing and cut from the whole file. A streamed page that was repaired or replaced from the file has the
// webhook that announced it.
func (f PageArchived) cut() bool { return f.Source == SourceWholeFile && f.BodySHA256 == "" }

func (f PageArchived) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d", TypePageArchived, f.ToToken, f.Session, f.Page)
}

func (f PageArchived) ID() string        { return "page.archived/" + f.Session + "/" + strconv.Itoa(f.Page) }
func (f PageArchived) Type() string      { return TypePageArchived }
func (f PageArchived) SessionID() string { return f.Session }
func (f PageArchived) Time() time.Time   { return f.EventTime }

// Received is what the receiving fax machine says of the rows of a page (RFC 2306 section 4.2.3). It is not our count.
type Received struct {
	BadRows      int  `json:"received_bad_rows"`                 // BadFaxLines
	LongestBad   int  `json:"received_longest_bad_run"`          // ConsecutiveBadFaxLines
	CleanFaxData *int `json:"received_clean_fax_data,omitempty"` // 0 no bad rows, 1 made again by the receiver, 2 still bad; nil: not said
}

// Bad reports whether the receiver calls the page bad, repaired or not.
func (r *Received) Bad() bool {
	return r != nil && (r.BadRows > 0 || r.LongestBad > 0 || r.CleanFaxData != nil && *r.CleanFaxData > 0)
}

// Same is always true: the first image counts. The stage that has a later image compares RasterSHA256 and publishes a
// PageAmended if it differs.
func (f PageArchived) Same([]byte) bool { return true }

// PageAmended means: a later image of an archived page differs from the published one.
type PageAmended struct{ PageArchived }

func (f PageAmended) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%.16s", TypePageAmended, f.ToToken, f.Session, f.Page, f.RasterSHA256)
}

func (f PageAmended) ID() string {
	return fmt.Sprintf("page.amended/%s/%d/%.16s", f.Session, f.Page, f.RasterSHA256)
}
func (f PageAmended) Type() string { return TypePageAmended }

// PageFailed means: one attempt to get a page failed. It is not a final status: the page may still arrive.
type PageFailed struct {
	Session string    `json:"session"`
	Page    int       `json:"page"`
	ToToken string    `json:"to_token"`
	Attempt int       `json:"attempt"` // from 1
	Stage   string    `json:"stage"`   // fetch, decode, whole
	Reason  Reason    `json:"reason"`
	Detail  string    `json:"detail"`
	Final   bool      `json:"final"`          // there are no more attempts by this stage
	Kept    *Object   `json:"kept,omitempty"` // the refused bytes in the archive; nil: none
	At      time.Time `json:"at"`             // time of the attempt, UTC
}

func (f PageFailed) Subject() string {
	return fmt.Sprintf("%s.%s.%s.%d.%s-%d", TypePageFailed, f.ToToken, f.Session, f.Page, f.Stage, f.Attempt)
}

func (f PageFailed) ID() string {
	return fmt.Sprintf("page.failed/%s/%d/%s-%d", f.Session, f.Page, f.Stage, f.Attempt)
}
func (f PageFailed) Type() string      { return TypePageFailed }
func (f PageFailed) SessionID() string { return f.Session }
func (f PageFailed) Time() time.Time   { return f.At }

// Same is true for the same attempt: a redelivered attempt may fail for another reason.
func (f PageFailed) Same([]byte) bool { return true }
