package session

// Kinds of names that a fax has at the provider beside its session id. Each name belongs to one session: the first that
// claims it. A session that finds another owner is the same fax.
const (
	AliasFile   = "file"   // the provider's id of the whole file, Closed.File
	AliasListed = "listed" // the id by which the provider lists the fax
)
