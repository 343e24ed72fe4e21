package document

import (
	"fmt"
	"strconv"

	"github.com/faxstream/faxstream/pipeline/pdf"
	"github.com/faxstream/faxstream/pipeline/session"
)

// readable reports whether a side of this length, in points, has room for text: 7 cm to 3 m.
func readable(side float64) bool { return side >= 200 && side <= 8500 }

// slip writes a sheet that says that a page is missing, and why.
func (s *sheets) slip(page int, reason session.Reason) error {
	err := s.pdf.AddSlip(pdf.SlipPage{
		WidthPoints: s.width, HeightPoints: s.height, Label: strconv.Itoa(page),
		Heading: fmt.Sprintf("Page %d is missing", page),
		Lines: []string{
			"This sheet replaces a page that was not received. It is not part of the fax.",
			inWords(reason) + " (" + string(reason) + ")",
			"",
			"Fax: " + s.plan.Session,
			"From: " + orUnknown(s.plan.From),
			"To: " + orUnknown(s.plan.To),
		},
	})
	if err != nil {
		return fmt.Errorf("slip sheet of page %d: %w", page, err)
	}
	return nil
}

// nothing writes the sheet of a fax without any known page.
func (s *sheets) nothing() error {
	return s.pdf.AddSlip(pdf.SlipPage{
		Heading: "This fax has no page",
		Lines:   []string{"The fax provider reported no page and has no page in its file.", "", "Fax: " + s.plan.Session},
	})
}

// inWords says why a page is missing, for a person who reads the printed document.
func inWords(reason session.Reason) string {
	switch reason {
	case session.ReasonNotYet:
		return "The fax provider did not have this page."
	case session.ReasonUnavailable:
		return "The fax provider could not be reached."
	case session.ReasonUnauthorized:
		return "The fax provider refused access to this page."
	case session.ReasonRefused:
		return "The fax provider refused to send this page."
	case session.ReasonTooLarge:
		return "The file of this page is larger than the limit."
	case session.ReasonEmpty:
		return "The file of this page is empty."
	case session.ReasonTruncated:
		return "The file of this page is incomplete."
	case session.ReasonWrongType, session.ReasonUnsupported:
		return "The file of this page has a type that cannot be read."
	case session.ReasonManyPages:
		return "The file of this page contains several pages."
	case session.ReasonDamaged:
		return "The file of this page is damaged and cannot be repaired."
	case session.ReasonNoPagePath:
		return "This page is only in the file of the whole fax, and that file was not received."
	case session.ReasonNotInFile:
		return "The file of the whole fax ends before this page."
	case session.ReasonNotAnnounced:
		return "The fax provider never reported this page."
	case session.ReasonLost:
		return "This page was received and archived, but it is now missing or damaged in the archive."
	default:
		return "This page could not be processed."
	}
}
