package pipeline

// Text is what is archived of a sidecar, for tests of the package from outside.
func (s Sidecar) Text() ([]byte, error) { return s.text() }
