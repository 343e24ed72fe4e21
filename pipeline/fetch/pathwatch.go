package fetch

import (
	"fmt"
	"sync"
)

// pathWatch suspects the path of single pages: no public document of the provider names it, and a wrong one looks like pages that are
// not ready yet. Every fax still arrives, by its whole file, so that nobody would notice that no page comes while the fax is on the line.
type pathWatch struct {
	told func(error) // of each change: the suspicion, nil when a page has come

	mu       sync.Mutex
	sessions map[string]bool // guarded by mu: faxes of which no page came, since the last page that came
}

// suspicious is how many faxes in a row must have had no page by itself. patientTries is after how many tries a page is called not had.
const (
	suspicious   = 20
	patientTries = 3
)

func newPathWatch(told func(error)) *pathWatch {
	if told == nil {
		told = func(error) {}
	}
	return &pathWatch{told: told, sessions: map[string]bool{}}
}

// had notes a page that came by itself.
func (p *pathWatch) had() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sessions) >= suspicious {
		p.told(nil)
	}
	clear(p.sessions)
}

// notThere notes a page that the provider says it does not have, at the n-th try.
func (p *pathWatch) notThere(id string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < patientTries || len(p.sessions) >= suspicious {
		return
	}
	if p.sessions[id] = true; len(p.sessions) == suspicious {
		p.told(fmt.Errorf("of %d faxes in a row no page could be fetched by itself, the provider says that there is none: is --faxplus-page-path right? "+
			"Until it is, pages come from the whole file when the fax is over", suspicious))
	}
}
