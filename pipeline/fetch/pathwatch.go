package fetch

import (
	"fmt"
	"sync"
)

// pathWatch warns if the path of single pages may be wrong. No public document of the provider names the path, and with a wrong path the
// answers are the same as for pages that are not ready yet. Every fax still arrives, from its whole file, so nobody would notice that no
// page arrives while the fax is on the line.
type pathWatch struct {
	told func(error) // called at each change: the warning, nil when a page has arrived

	mu       sync.Mutex
	sessions map[string]bool // guarded by mu: faxes without a page of their own since the last page that arrived
}

// suspicious is the number of faxes in a row without a single page that makes the path doubtful. A page counts as absent after patientTries
// attempts.
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

// arrived notes a page that was fetched from its own file.
func (p *pathWatch) arrived() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sessions) >= suspicious {
		p.told(nil)
	}
	clear(p.sessions)
}

// notThere notes that the provider says, at attempt n, that it does not have a page.
func (p *pathWatch) notThere(id string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < patientTries || len(p.sessions) >= suspicious {
		return
	}
	if p.sessions[id] = true; len(p.sessions) == suspicious {
		p.told(fmt.Errorf("the provider had no single page of the last %d faxes: check --faxplus-page-path; "+
			"until it is right, pages come from the whole file, after the fax is over", suspicious))
	}
}
