package session

import "time"

// TypeAgain is the subject of Again; tokens follow.
const TypeAgain = "fax.v1.in.again"

// Again: somebody asks for something of a session once more, after what stood in its way is gone.
type Again struct {
	Session  string   `json:"session"`
	Asked    string   `json:"asked"`              // names the action that asks for it; a token
	Pages    Ranges   `json:"pages,omitempty"`    // ask the whole file for these again, as far as they are missing
	Whole    bool     `json:"whole,omitempty"`    // ask it for everything that is missing
	Assemble bool     `json:"assemble,omitempty"` // make a revision even if it says what the last one says
	Repairs  *Repairs `json:"repairs,omitempty"`  // other images of archived pages
}

func (f Again) Subject() string         { return TypeAgain + "." + f.Session + "." + f.Asked }
func (f Again) ID() string              { return "in.again/" + f.Session + "/" + f.Asked }
func (f Again) Type() string            { return TypeAgain }
func (f Again) SessionID() string       { return f.Session }
func (f Again) Time() time.Time         { return time.Time{} }
func (f Again) Same(stored []byte) bool { return sameJSON(f, stored, func(*Again) {}) }

// again forgets what the ledger would otherwise not do twice. Pages that were lost are believed in once more: whoever asks may
// have put their objects back, and if not, the next revision fails at them as the last one did.
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
		s.Agreed = s.Agreed.Minus(f.Repairs.Pages) // that was the image before
		s.Repairs = append(s.Repairs, *f.Repairs)
	}
}

// Missing is the expected pages that are not usable.
func (s *State) Missing() Ranges { return s.missing() }

// Uncounted: the fax is over, and nobody says how many pages it has.
func (s *State) Uncounted() bool { return s.uncounted() }
