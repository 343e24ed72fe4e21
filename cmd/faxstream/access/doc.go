// Package access decides who gets through the admin listener. New makes a Gate; its Guard goes around the handlers.
//
// With tokens, users or an OIDC provider a request needs a token, or a browser's login with a token, a password or the provider, whose
// scope allows what it asks for; a path that no rule names needs scope read for GET and scope admin for every other method. Without these
// the gate lets through only requests made to a loopback address. In both cases no page of another origin can change anything. A link (see
// Link) is signed and lets its holder read one object until a time, as long as its maker may read.
//
// Counted failures are in memory. So are logins, and after a crash or restart people log in again. Where several processes share them
// (Gate.Share) they outlive a process, and memory has those that it met for the time in which Shared does not answer.
//
// LinkKey and WriteUsers write one file, whole or not at all; a crash may leave a file .key-* or .users-* beside it, which means nothing
// and can be removed.
package access
