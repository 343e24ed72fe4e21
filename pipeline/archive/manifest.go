package archive

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/sign"
)

// Manifest is the commit point of a revision and proves what the revision contains.
type Manifest struct {
	Session   string         `json:"session"`
	Direction string         `json:"direction"`
	Revision  int            `json:"revision"`
	From      string         `json:"from"`
	To        string         `json:"to"`
	ToToken   string         `json:"to_token"`
	Status    string         `json:"status"`
	Reason    string         `json:"reason,omitempty"`
	Verified  bool           `json:"verified"` // every page has the pixels of the whole file
	StartTime time.Time      `json:"start_time,omitzero"`
	Facts     []AcceptedFact `json:"facts"` // by subject
	Pages     []ManifestPage `json:"pages"` // ascending
	Plan      session.Object `json:"plan"`

	Verification string           `json:"verification"` // when the revision was ordered: one of the session.Verification constants
	Reports      []session.Object `json:"reports,omitempty"`
	Choices      []session.Choice `json:"choices,omitempty"` // which of two images of a page a person chose; by page

	TIFF     *session.Object `json:"document_tiff,omitempty"` // nil: no usable page
	PDF      session.Object  `json:"document_pdf"`
	Previous string          `json:"previous_manifest_sha256,omitempty"`
	Software string          `json:"software"`

	Signature *sign.Signature `json:"signature,omitempty"` // the last field; nil: no key was configured
}

// AcceptedFact is a webhook that the document is based on.
type AcceptedFact struct {
	Subject    string `json:"subject"`
	BodySHA256 string `json:"body_sha256"`
}

// ManifestPage is one page of the document.
type ManifestPage struct {
	Page         int             `json:"page"`
	Status       string          `json:"status"`           // archived or missing
	Source       string          `json:"source,omitempty"` // fetch or whole_file
	Reason       session.Reason  `json:"reason,omitempty"` // of a missing page
	Original     *session.Object `json:"original,omitempty"`
	Sidecar      string          `json:"sidecar_sha256,omitempty"` // of the original's sidecar; absent: it has none
	PNG          *session.Object `json:"png,omitempty"`
	RasterSHA256 string          `json:"raster_sha256,omitempty"`
	Width        int             `json:"width,omitempty"` // pixels
	Height       int             `json:"height,omitempty"`
	XResolution  float64         `json:"x_resolution,omitempty"` // pixels per inch
	YResolution  float64         `json:"y_resolution,omitempty"`
	// Samples of 8 bits a pixel: 1 gray, 3 colour (Deflate, plain TIFF 6.0); absent: bilevel (Group 4, TIFF Class F).
	Samples     int              `json:"samples,omitempty"`
	BadRows     int              `json:"bad_rows"` // by our decoder
	LongestBad  int              `json:"longest_bad_run"`
	Orientation int              `json:"orientation,omitempty"`  // of the pixels as stored, as in TIFF 6.0; absent: upright
	Quality     *session.Quality `json:"quality,omitempty"`      // absent: the page was archived by a version that did not measure it
	StripSHA256 string           `json:"strip_sha256,omitempty"` // the strip, the same in both documents
	StripSize   int              `json:"strip_size,omitempty"`
	TIFFOffset  int64            `json:"tiff_offset,omitempty"`
	PDFOffset   int64            `json:"pdf_offset,omitempty"`

	*session.Received // nil: the receiving fax machine says nothing of its rows

	// ResolutionAssumed says in words why the resolution is not that of the page's tags; absent: it is.
	ResolutionAssumed string `json:"resolution_assumed,omitempty"`
}

// NewManifestPage returns what the fact of a page says about it. Its strip, and the strip's offsets, come from the documents.
func NewManifestPage(f session.PageArchived) ManifestPage {
	return ManifestPage{
		Page: f.Page, Status: session.PageStatusArchived, Source: f.Source, Original: &f.Original, PNG: &f.PNG,
		RasterSHA256: f.RasterSHA256, Width: f.Width, Height: f.Height, XResolution: f.XResolution, YResolution: f.YResolution,
		BadRows: f.BadRows, LongestBad: f.LongestBad, Quality: f.Quality, Samples: f.Samples,
		Orientation: f.Orientation, Received: f.Received, ResolutionAssumed: f.ResolutionAssumed,
	}
}

// NewManifest returns what the plan alone says about its revision. Pages and documents are added when they are made.
func NewManifest(p Plan, plan session.Object, software string) Manifest {
	return Manifest{
		Session: p.Session, Direction: p.Direction, Revision: p.Revision, From: p.From, To: p.To, ToToken: p.ToToken,
		Status: p.Status, Reason: p.Reason, Verified: p.Verification == session.VerificationVerified,
		Verification: p.Verification, Reports: p.Reports, Choices: p.Choices, StartTime: p.StartTime, Facts: p.facts(), Pages: []ManifestPage{},
		Plan: plan, Software: software,
	}
}

// Missing is the number of missing pages.
func (m Manifest) Missing() int {
	n := 0
	for _, p := range m.Pages {
		if p.Status == session.PageStatusMissing {
			n++
		}
	}
	return n
}

// Event returns the fact that is published about a manifest, which is archived as self. It depends on nothing else.
func (m Manifest) Event(self session.Object) session.DocAssembled {
	return session.DocAssembled{
		Session: m.Session, Direction: m.Direction, ToToken: m.ToToken, Revision: m.Revision, From: m.From, To: m.To,
		Status: m.Status, Reason: m.Reason, Pages: len(m.Pages), Missing: m.Missing(), TIFF: m.TIFF, PDF: m.PDF, Manifest: self,
	}
}

// splitSignature splits a manifest into the signed bytes and the bytes of the signature. An unsigned one has no signature bytes.
func splitSignature(data []byte) (signed, signature []byte) {
	at := bytes.LastIndex(data, []byte("\n  \"signature\":"))
	if at < 0 {
		return data, nil
	}
	return data[:at+1], data[at+1:]
}

// Encode returns the manifest as it is archived. It signs the manifest if key is not nil.
func (m Manifest) Encode(key ed25519.PrivateKey) ([]byte, error) {
	m.Signature = nil
	if key != nil {
		m.Signature = &sign.Signature{KeyID: sign.KeyIDOf(key)}
	}
	data, err := IndentJSON(m)
	if err != nil || key == nil {
		return data, err
	}
	signed, _ := splitSignature(data)
	*m.Signature = sign.Sign(key, signed)
	return IndentJSON(m)
}

// VerifySignature checks the signature in data, the bytes of the manifest, with the key that signed it. An unsigned manifest gives
// sign.ErrUnsigned; other errors are those of sign.Signature.Verify.
func (m Manifest) VerifySignature(data []byte, keys []ed25519.PublicKey) error {
	signed, tail := splitSignature(data)
	if m.Signature == nil || tail == nil {
		return sign.ErrUnsigned
	}
	const layout = "  \"signature\": {\n    \"key_id\": %q,\n    \"ed25519\": %q\n  }\n}\n"
	if string(tail) != fmt.Sprintf(layout, m.Signature.KeyID, m.Signature.Ed25519) {
		return sign.ErrSignature
	}
	return m.Signature.Verify(signed, keys)
}
