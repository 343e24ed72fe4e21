// Package seal writes the entries of FAX_AUDIT of each day into one object of the archive; these objects are chained by hash. Begin with
// Sealer.Run. Check proves the chain and Entries reads it.
//
// Promise: if an entry is left out, altered, removed or moved, Check finds it.
//
// # What a crash leaves
//
//	after              the next run
//	a part of a seal   finds no seal, and writes it again
//	a seal             goes on with the next day
package seal
