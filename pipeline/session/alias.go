package session

// Kinds of names that a fax has at the provider, in addition to its session id. Each name belongs to one session: the first
// that claims it. If the name of a session's fax belongs to another session, both are the same fax.
const (
	AliasFile   = "file"   // the provider's id of the whole file, Closed.File
	AliasListed = "listed" // the id by which the provider lists the fax
)
