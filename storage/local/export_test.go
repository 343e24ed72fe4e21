package local

// UseNames has s write files under a name in +tmp, as where files cannot be without a name.
func (s *Store) UseNames() { s.link = nil }

// UseProc has s name files through /proc, as where the process lacks the right to do it by descriptor.
func (s *Store) UseProc() { s.link = linkProc }

// Ways are how a store of this system can name its files.
func (s *Store) Ways() map[string]func(*Store) {
	ways := map[string]func(*Store){"+tmp": (*Store).UseNames}
	if s.link != nil {
		ways["descriptor"] = func(*Store) {}
		ways["proc"] = (*Store).UseProc
	}
	return ways
}
