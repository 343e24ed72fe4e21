package session

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Reason says in one word why something is missing, failed or refused. Facts, manifests and the API contain it.
type Reason string

const (
	ReasonDiffers      Reason = "differs"       // two images of a page have other pixels: a person must choose one
	ReasonNotYet       Reason = "not_ready"     // the provider has no such page (yet): 202, 404, 409, 425, 429
	ReasonUnavailable  Reason = "unavailable"   // the provider or the network failed: 5xx, timeout, connection
	ReasonUnauthorized Reason = "unauthorized"  // 401 or 403
	ReasonTooLarge     Reason = "too_large"     // the body is over the limit
	ReasonEmpty        Reason = "empty"         // the body is empty
	ReasonTruncated    Reason = "truncated"     // shorter than Content-Length, or strips past the end of the file
	ReasonWrongType    Reason = "wrong_type"    // not a TIFF
	ReasonManyPages    Reason = "many_pages"    // the page's own file has several pages
	ReasonDamaged      Reason = "damaged"       // a TIFF without a single decodable row
	ReasonUnsupported  Reason = "unsupported"   // a TIFF with a coding that faxstream does not read
	ReasonRefused      Reason = "refused"       // any other 4xx, or a redirect to another host
	ReasonNoPagePath   Reason = "no_page_path"  // --faxplus-page-path none: single pages are not fetched
	ReasonNotInFile    Reason = "not_in_file"   // the whole file has fewer pages
	ReasonNotAnnounced Reason = "not_announced" // no webhook announced this page
	ReasonBadRequest   Reason = "bad_request"   // a webhook body without a required field
	ReasonConflict     Reason = "conflict"      // contradicts a stored fact on the same subject
	ReasonLost         Reason = "lost"          // was archived, but the object is missing or changed now
	ReasonKept         Reason = "kept"          // not purged: under legal hold, or retained
	ReasonPurged       Reason = "purged"        // the fax was removed for good
	ReasonInternal     Reason = "internal"      // our own failure; the detail says which
)

// Words says in a sentence why a page is missing, for slip sheets and pages that people see.
func (r Reason) Words() string {
	switch r {
	case ReasonNotYet:
		return "The fax provider did not have this page."
	case ReasonUnavailable:
		return "The fax provider could not be reached."
	case ReasonUnauthorized:
		return "The fax provider refused access to this page."
	case ReasonRefused:
		return "The fax provider refused to send this page."
	case ReasonTooLarge:
		return "The file of this page is larger than the limit."
	case ReasonEmpty:
		return "The file of this page is empty."
	case ReasonTruncated:
		return "The file of this page is incomplete."
	case ReasonWrongType, ReasonUnsupported:
		return "The file of this page has a type that cannot be read."
	case ReasonManyPages:
		return "The file of this page contains several pages."
	case ReasonDamaged:
		return "The file of this page is damaged and cannot be repaired."
	case ReasonNoPagePath:
		return "This page is only in the file of the whole fax, and that file was not received."
	case ReasonNotInFile:
		return "The file of the whole fax ends before this page."
	case ReasonNotAnnounced:
		return "The fax provider never reported this page."
	case ReasonLost:
		return "This page was received and archived, but it is now missing or damaged in the archive."
	default:
		return "This page could not be processed."
	}
}

// PageReasons has a reason for each of some pages. Its JSON is {reason: ranges}, so that it is small for a long fax.
type PageReasons map[int]Reason

// MarshalJSON writes {reason: [[first,last],…]}.
func (p PageReasons) MarshalJSON() ([]byte, error) {
	return json.Marshal(p.byReason())
}

func (p PageReasons) byReason() map[Reason]Ranges {
	by := map[Reason]Ranges{}
	for _, page := range slices.Sorted(maps.Keys(p)) {
		r := by[p[page]]
		if n := len(r); n > 0 && r[n-1].Last == page-1 {
			r[n-1].Last = page
		} else {
			by[p[page]] = append(r, Range{page, page})
		}
	}
	return by
}

// UnmarshalJSON reads the form of MarshalJSON. It refuses a page with two reasons.
func (p *PageReasons) UnmarshalJSON(b []byte) error {
	var by map[Reason]Ranges
	if err := json.Unmarshal(b, &by); err != nil {
		return err
	}
	*p = nil
	for reason, pages := range by {
		for page := range pages.All() {
			if *p == nil {
				*p = PageReasons{}
			}
			if other, twice := (*p)[page]; twice {
				return fmt.Errorf("page %d has two reasons, %q and %q", page, other, reason)
			}
			(*p)[page] = reason
		}
	}
	return nil
}
