package api

import (
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Headers in which a program says who asks and why. With a login the token's name counts as who.
const (
	HeaderBy     = "X-Faxstream-By"
	HeaderReason = "X-Faxstream-Reason"
)

// Order is what a person says with an action: POST .../retry, drop, hold, release, purge and choose.
type Order struct {
	By  string `json:"by"`  // a name; with a login the token's name counts
	Why string `json:"why"` // required for drop, hold, release, purge and choose
}

// ReplayOrder asks for a fax to be made again from the archive, or for its missing pages to be fetched again: POST /faxes/{session}/replay.
type ReplayOrder struct {
	Order
	Stage string `json:"stage"` // decode, assemble or fetch
}

// ReplayAnswer is the answer to a ReplayOrder, which is stored.
type ReplayAnswer struct {
	Session string `json:"session"`
	Stage   string `json:"stage"`
}

// ChoiceOrder makes one image of pages that differ from the whole file count: POST /faxes/{session}/pages/{pages}/choose, with pages such
// as 2 or 2-4,7.
type ChoiceOrder struct {
	Order
	Image string `json:"image"` // streamed or file
}

// ChoiceAnswer is the answer to a ChoiceOrder, which is stored.
type ChoiceAnswer struct {
	Session  string `json:"session"`
	Page     int    `json:"page"` // the first one
	Image    string `json:"image"`
	Revision int    `json:"revision"` // of the newest document
	Done     bool   `json:"done"`     // the document has this image; false: it will

	Pages session.Ranges `json:"pages,omitempty"` // all of them, if these are several
}

// LinkOrder asks for a link: POST /faxes/{session}/links.
type LinkOrder struct {
	Order
	As   string `json:"as"`   // pdf, tiff, manifest; of a page png or original; of a derived document pdf, tiff or json
	Page int    `json:"page"` // 0: the document
	TTL  string `json:"ttl"`  // such as 10m

	Derived string `json:"derived,omitempty"` // the id of a derived document, which the link is to; empty: of none
}

// Link is the answer to a LinkOrder.
type Link struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// ReconcileOrder asks to compare the provider's lists with the faxes that are here, once: POST /reconcile. The answer is an ingest.Report.
type ReconcileOrder struct {
	Since  time.Time `json:"since"`
	DryRun bool      `json:"dry_run"`
}
