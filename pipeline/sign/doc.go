// Package sign makes and checks Ed25519 signatures (RFC 8032) and reads and writes keys as PEM. Begin with NewKey, then Sign and
// Signature.Verify. It writes no file: a crash leaves nothing.
package sign
