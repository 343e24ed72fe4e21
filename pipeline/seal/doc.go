// Package seal puts each day's entries of FAX_AUDIT into one object of the archive, chained by hash. Begin with Sealer.Run; Check proves
// the chain and Entries reads it.
//
// Promise: no entry is left out, altered, removed or moved without Check seeing it. A crash leaves a whole seal or none.
package seal
