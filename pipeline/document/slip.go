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
			reason.Words() + " (" + string(reason) + ")",
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
