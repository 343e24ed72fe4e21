package raster

import "runtime"

// leastAllocated returns how many bytes a call allocates when it finds what it can in pools.
func leastAllocated(call func()) uint64 {
	least := ^uint64(0)
	var before, after runtime.MemStats
	for range 20 {
		runtime.ReadMemStats(&before)
		call()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
