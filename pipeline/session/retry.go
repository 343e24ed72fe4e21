package session

import "time"

// Retry travels in the message of a retry timer: of a page, or of the whole file.
type Retry struct {
	Page    *PageAnnounced `json:"page,omitempty"`
	Whole   *WholeOrdered  `json:"whole,omitempty"`
	Attempt int            `json:"attempt"`          // the one to make; 1: somebody asked for it again
	Until   time.Time      `json:"until,omitzero"`   // the deadline; zero: as for an announcement
	Before  int            `json:"before,omitempty"` // attempts that a page had before somebody asked for it again
	Tried   []Attempt      `json:"tried,omitempty"`  // for the whole file so far
}
