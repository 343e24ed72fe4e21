// Package sign makes and checks Ed25519 signatures (RFC 8032) and keeps their keys as PEM. Begin with NewKey, then Sign and
// Signature.Verify. It writes nothing: a crash leaves nothing.
package sign
