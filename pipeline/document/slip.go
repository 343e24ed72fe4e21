package document

import (
	"fmt"
	"strconv"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
)

// readable reports whether a side, in points, can be one of a sheet of words: 7 cm to 3 m.
func readable(side float64) bool { return side >= 200 && side <= 8500 }

// slip writes a sheet that says in words that a page is missing. It is in the PDF only.
func (d *Documents) slip(page int, reason session.Reason) error {
	err := d.pdf.AddSlip(pdf.SlipPage{
		WidthPoints: d.width, HeightPoints: d.height, Label: strconv.Itoa(page),
		Heading: fmt.Sprintf("Page %d is missing", page),
		Lines: []string{
			"This sheet stands in place of a page that was not received. It is not part of the fax.",
			inWords(reason) + " (" + string(reason) + ")",
			"",
			"Fax: " + d.plan.Session,
			"From: " + orUnknown(d.plan.From),
			"To: " + orUnknown(d.plan.To),
		},
	})
	if err != nil {
		return fmt.Errorf("slip sheet of page %d: %w", page, err)
	}
	d.pages = append(d.pages, archive.ManifestPage{Page: page, Status: session.PageStatusMissing, Reason: reason})
	return nil
}

// nothing writes the sheet of a fax of which not even a page number is known.
func (d *Documents) nothing() error {
	return d.pdf.AddSlip(pdf.SlipPage{
		Heading: "This fax has no page",
		Lines:   []string{"Neither the provider's notice nor its file has a page.", "", "Fax: " + d.plan.Session},
	})
}

// inWords says why a page is missing to somebody who holds the document in hand.
func inWords(reason session.Reason) string {
	switch reason {
	case session.ReasonNotYet:
		return "The fax provider did not have this page."
	case session.ReasonUnavailable:
		return "The fax provider could not be reached."
	case session.ReasonUnauthorized:
		return "The fax provider refused access to this page."
	case session.ReasonRefused:
		return "The fax provider refused to hand out this page."
	case session.ReasonTooLarge:
		return "The file of this page is larger than is allowed."
	case session.ReasonEmpty:
		return "The file of this page is empty."
	case session.ReasonTruncated:
		return "The file of this page is cut short."
	case session.ReasonWrongType, session.ReasonUnsupported:
		return "The file of this page is of a kind that cannot be read."
	case session.ReasonManyPages:
		return "The file of this page holds several pages."
	case session.ReasonDamaged:
		return "The file of this page is damaged beyond repair."
	case session.ReasonNoPagePath:
		return "This page is only to be had in the whole file, which was not received."
	case session.ReasonNotInFile:
		return "The file of the whole fax ends before this page."
	case session.ReasonNotAnnounced:
		return "The fax provider never told of this page."
	case session.ReasonLost:
		return "This page was received and archived, but the archive has lost it."
	default:
		return "This page could not be processed."
	}
}
