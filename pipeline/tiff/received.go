package tiff

import "fmt"

// Received is what the receiving fax machine says of a page's rows (RFC 2306
// 4.2.3). All noisy calls of spandsp carry it.
type Received struct {
	Told bool // the file has at least one of the three fields

	BadRows     int // BadFaxLines (326): rows that came with an error
	Consecutive int // ConsecutiveBadFaxLines (328): the longest run of them

	// CleanFaxData (327): 0, no bad rows; 1, they were made anew by the
	// receiver; 2, they are still bad; -1, the field is missing.
	CleanFaxData int
}

// Bad tells whether the receiver calls the page bad, repaired or not.
func (r Received) Bad() bool { return r.BadRows > 0 || r.CleanFaxData > 0 || r.Consecutive > 0 }

func (r Received) String() string {
	text := fmt.Sprintf("the receiver reports %d bad rows", r.BadRows)
	if r.Consecutive > 0 {
		text += fmt.Sprintf(", up to %d in a row", r.Consecutive)
	}
	switch {
	case r.CleanFaxData == 1:
		text += ", which it made anew"
	case r.CleanFaxData > 1:
		text += ", which are still bad"
	}
	return text
}

// Received reads the three fields.
func (im *Image) Received() Received {
	return Received{
		Told:         im.has(tagBadFaxLines) || im.has(tagCleanFaxData) || im.has(tagConsecutiveBadFaxLines),
		BadRows:      im.small(tagBadFaxLines, 0),
		Consecutive:  im.small(tagConsecutiveBadFaxLines, 0),
		CleanFaxData: im.small(tagCleanFaxData, -1),
	}
}
