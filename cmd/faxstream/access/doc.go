// Package access decides who gets through the admin listener. New makes a Gate; its Guard goes around the handlers.
//
// With tokens a request needs a token, or a browser's login with one, whose scope allows what it asks for; a path that no rule names
// needs scope read for GET and scope admin for every other method. Without tokens the gate lets through only requests made to a loopback
// address. In both cases no page of another origin can change anything. A link (see Link) is signed and lets its holder read one object
// until a time, as long as its maker may read.
//
// Logins and counted failures are in memory: a crash or restart asks for the token again. LinkKey writes one file, whole or not at all;
// a crash may leave a file .link-key-* beside it, which means nothing and can be removed.
package access
