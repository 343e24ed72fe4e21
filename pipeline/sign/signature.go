package sign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// Signature is the last field of a signed manifest: pure Ed25519 (RFC 8032) over all bytes of the file before the line that begins
// with `  "signature":`. No other line of a manifest begins like this: all other fields come before it, strings have no line breaks,
// and inner fields have more spaces in front.
type Signature struct {
	KeyID   string `json:"key_id"`  // of the public key: the result of KeyID
	Ed25519 string `json:"ed25519"` // 64 bytes in base64 (RFC 4648 section 4)
}

// KeyID returns the first 16 hex digits of the SHA-256 of the 32 bytes of a public key.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// What can be wrong with a signature.
var (
	ErrUnsigned   = errors.New("no signature")
	ErrMalformed  = errors.New("malformed signature")
	ErrUnknownKey = errors.New("signed with a key that was not given")
	ErrSignature  = errors.New("the signature does not match the signed bytes")
)

// KeyIDOf returns the KeyID of the public key that belongs to a private key.
func KeyIDOf(key ed25519.PrivateKey) string { return KeyID(key.Public().(ed25519.PublicKey)) }

// Sign returns the signature of key over data.
func Sign(key ed25519.PrivateKey, data []byte) Signature {
	return Signature{KeyID: KeyIDOf(key), Ed25519: base64.StdEncoding.EncodeToString(ed25519.Sign(key, data))}
}

// Verify returns nil if one of the keys signed data. Its errors match ErrMalformed, ErrUnknownKey or ErrSignature.
func (s Signature) Verify(data []byte, keys []ed25519.PublicKey) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(s.Ed25519)
	// The length of the text counts too: DecodeString ignores line breaks in it.
	if err != nil || len(raw) != ed25519.SignatureSize || len(s.Ed25519) != base64.StdEncoding.EncodedLen(len(raw)) {
		return ErrMalformed
	}
	for _, key := range keys {
		if KeyID(key) != s.KeyID {
			continue
		}
		if !ed25519.Verify(key, data, raw) {
			return ErrSignature
		}
		return nil
	}
	return ErrUnknownKey
}
