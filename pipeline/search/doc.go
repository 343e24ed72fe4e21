// Package search finds faxes by the text of their pages, their numbers and their dates. Begin with Open; Index.Find answers a query.
//
// The index is a SQLite database with full-text search (FTS5, package modernc.org/sqlite, which needs no cgo), in a directory of this
// process. It is a view of the archive and never the truth: package indexing fills it, and can make all of it again. Whoever shows a result
// asks first whether the fax is still there, and whether the reader may see it.
//
// # What a crash leaves
//
// Each batch is one transaction, together with the place in the events up to which it counts. After a crash the events behind that place
// are read again, and writing a fax twice is the same as writing it once. A loss of power may undo the last batches, with their places. A
// database that is damaged, or of another version of this package, is removed and made again.
//
// # How it is stored
//
// A fax has a number: the second of its start, and a count within that second. A page has the number of its fax and its own. So the pages
// of one fax stand together, newer faxes have higher numbers, and full-text search gives the newest first without sorting. Page 0 has the
// numbers, the date and the session. A column beside the text has tokens of what filters ask for (receiver, sender, owner, status), so a
// filter is one more word of the query.
package search
