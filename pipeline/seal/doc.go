// Package seal writes the entries of FAX_AUDIT of each day into one object of the archive; these objects are chained by hash. Between
// them, parts have what is new each hour (part.go). Begin with Sealer.Run. Check proves both chains, Entries and AllEntries read them, and
// Restore stores entries of a lost FAX_AUDIT again.
//
// Promise: if an entry is left out, altered, removed or moved, Check finds it. If FAX_AUDIT is lost, the entries since the last part are
// lost, and nothing else.
//
// # What a crash leaves
//
//	after              the next run
//	a part of a seal   finds no seal, and writes it again
//	a seal             goes on with the next day
package seal
