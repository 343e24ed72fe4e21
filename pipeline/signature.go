package pipeline

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// Signature is the last field of a signed manifest: pure Ed25519 (RFC 8032) over all bytes of the file before the line that begins
// with `  "signature":`. No other line of a manifest begins so: every other field stands before it, strings have no line breaks,
// and inner fields stand further to the right.
type Signature struct {
	KeyID   string `json:"key_id"`  // of the public key, as KeyID gives it
	Ed25519 string `json:"ed25519"` // 64 bytes in base64 (RFC 4648 section 4)
}

// KeyID is the first 16 hex digits of the SHA-256 of the 32 bytes of a public key.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// What may be wrong with a signature.
var (
	errUnsigned   = errors.New("it is not signed")
	errMalformed  = errors.New("malformed signature")
	errUnknownKey = errors.New("it is signed with a key that is not among those given")
	errSignature  = errors.New("its signature is not over these bytes")
)

// keyID is KeyID of a private key's public one.
func keyID(key ed25519.PrivateKey) string { return KeyID(key.Public().(ed25519.PublicKey)) }

// sign signs data.
func sign(key ed25519.PrivateKey, data []byte) Signature {
	return Signature{KeyID: keyID(key), Ed25519: base64.StdEncoding.EncodeToString(ed25519.Sign(key, data))}
}

// verify checks that one of the keys signed data. Its errors match errMalformed, errUnknownKey or errSignature.
func (s Signature) verify(data []byte, keys []ed25519.PublicKey) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(s.Ed25519)
	if err != nil || len(raw) != ed25519.SignatureSize {
		return errMalformed
	}
	for _, key := range keys {
		if KeyID(key) != s.KeyID {
			continue
		}
		if !ed25519.Verify(key, data, raw) {
			return errSignature
		}
		return nil
	}
	return errUnknownKey
}

// NewSigningKey makes a key, and its PEM (PKCS #8, as OpenSSL reads it).
func NewSigningKey() (key ed25519.PrivateKey, text []byte, err error) {
	if _, key, err = ed25519.GenerateKey(nil); err != nil {
		return nil, nil, fmt.Errorf("make an Ed25519 key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make an Ed25519 key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseSigningKey reads the PEM of NewSigningKey.
func ParseSigningKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block; make a key with `faxstream keys FILE`")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("a PEM block of type %q that is no private key in PKCS #8: %w", block.Type, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a %T, want an Ed25519 key", key)
	}
	return private, nil
}

// PublicPEM is a public key as OpenSSL reads it.
func PublicPEM(key ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("write an Ed25519 public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ParsePublicKeys reads PEM with one public key or more. Private keys are refused: who checks needs none.
func ParsePublicKeys(text []byte) (keys []ed25519.PublicKey, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("a PEM block of type %q, want PUBLIC KEY as `faxstream keys` prints it", block.Type)
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a PEM block that is no public key: %w", err)
		}
		public, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("a %T, want an Ed25519 key", key)
		}
		keys = append(keys, public)
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block of type PUBLIC KEY")
	}
	return keys, nil
}
