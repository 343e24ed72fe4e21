// Package replay decodes archived originals again, and orders a new revision if a page has other pixels now. Begin with Replayer.Replay.
//
// Promise: it fetches nothing and overwrites nothing.
//
// # What a crash leaves
//
//	after                                     the next delivery
//	amended pages, with or without a report   writes the same again
//	the order of a new revision               records the same order
package replay
