package session

import "time"

// TypeAgain is the subject of Again; tokens follow.
const TypeAgain = "fax.v1.in.again"

// Again orders the ledger to do something of a session once more, for example after the cause of a failure is gone.
type Again struct {
	Session  string   `json:"session"`
	Asked    string   `json:"asked"`              // the name of the action behind it; a token
	Pages    Ranges   `json:"pages,omitempty"`    // cut these pages from the whole file again, if they are missing
	Whole    bool     `json:"whole,omitempty"`    // cut every missing page from the whole file again
	Assemble bool     `json:"assemble,omitempty"` // make a revision, also if it equals the last one
	Repairs  *Repairs `json:"repairs,omitempty"`  // other images of archived pages
	Choice   *Choice  `json:"choice,omitempty"`   // which image of a differing page counts
	Choices  []Choice `json:"choices,omitempty"`  // those of further pages, which one revision has together
}

func (f Again) Subject() string         { return TypeAgain + "." + f.Session + "." + f.Asked }
func (f Again) ID() string              { return "in.again/" + f.Session + "/" + f.Asked }
func (f Again) Type() string            { return TypeAgain }
func (f Again) SessionID() string       { return f.Session }
func (f Again) Time() time.Time         { return time.Time{} }
func (f Again) Same(stored []byte) bool { return sameJSON(f, stored, func(*Again) {}) }

// again removes the marks by which the ledger does not do something twice. Lost pages count as usable again: a person may have
// restored their objects. If not, the next revision fails at these pages as the last one did.
func (s *State) again(f Again) {
	s.WholeTried = s.WholeTried.Minus(f.Pages)
	if f.Whole {
		s.WholeTried, s.AllTried = nil, false
	}
	back := s.Lost.Intersect(f.Pages)
	if f.Assemble {
		back, s.Planned = s.Lost, ""
	}
	s.Lost, s.Usable = s.Lost.Minus(back), s.Usable.Union(back)
	if f.Repairs != nil {
		s.unrepair(f.Repairs.Pages)
		s.Agreed = s.Agreed.Minus(f.Repairs.Pages) // the verdict was about the image before
		s.Repairs = append(s.Repairs, *f.Repairs)
	}
	if f.Choice != nil {
		s.choose(*f.Choice)
	}
	for _, c := range f.Choices {
		s.choose(c)
	}
}

// Missing returns the expected pages that are not usable.
func (s *State) Missing() Ranges { return s.missing() }

// Uncounted reports whether the fax is over and its number of pages is unknown.
func (s *State) Uncounted() bool { return s.uncounted() }
