package app

import "runtime/debug"

// What a process takes beside the work on pages, in bytes: measured with the embedded server, 24 fetches and some thousand faxes.
const (
	program = 65_000_000 // its code, what the collector does not count, and by how much large pages pass the collector's limit
	resting = 35_000_000 // the embedded server, connections, the list of faxes
	garbage = 10_000_000 // memory that is not in use and not collected yet
)

// LeastMemory is the smallest Config.Memory, in bytes: pages of usual size are decoded one after the other.
const LeastMemory = program + resting + garbage + 20_000_000

// budget is the part of Memory that work on pages may have.
func (c Config) budget() int64 {
	if c.Memory == 0 {
		return 0
	}
	return c.Memory - program - resting - garbage
}

// LimitHeap makes the collector hold the heap within Memory: a process that waits for its garbage uses what it should not. It does nothing
// if there is no Memory, or if the environment has a GOMEMLIMIT. It is for the whole process, so only the command line calls it.
func (c Config) LimitHeap(getenv func(string) string) {
	if c.Memory > 0 && getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(c.Memory - program)
	}
}
