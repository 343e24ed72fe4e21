// Package indexing fills the search index from the archive. Begin with Refresh, which makes all of it again, or with Follower, which does
// so where it is necessary and then writes what events say.
//
// It reads each fax anew from the archive when an event names it: an event that comes twice, or in another order, changes nothing. A crash
// leaves the index as of its last transaction, with the place in the events from which the next process goes on. A text that comes before
// the document of its fax waits for that, because the event of the document reads all texts.
package indexing
