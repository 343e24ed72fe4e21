package sign

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// NewKey makes a private key. text is the key as PEM (PKCS #8, as OpenSSL reads it). An error: the system gives no random numbers.
func NewKey() (key ed25519.PrivateKey, text []byte, err error) {
	if _, key, err = ed25519.GenerateKey(nil); err != nil {
		return nil, nil, fmt.Errorf("make an Ed25519 key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make an Ed25519 key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads a private key from the PEM that NewKey made. Text without PEM, and a key of another kind, are errors.
func ParseKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block found; make a key with `faxstream keys FILE`")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the PEM block of type %q is not a PKCS #8 private key: %w", block.Type, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the private key is a %T, want an Ed25519 key", key)
	}
	return private, nil
}

// PublicPEM returns a public key as PEM of type PUBLIC KEY, as OpenSSL reads it.
func PublicPEM(key ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("write an Ed25519 public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ParsePublicKeys reads PEM with one or more public keys. It refuses private keys: a check does not need them.
func ParsePublicKeys(text []byte) (keys []ed25519.PublicKey, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("the PEM block has type %q, want PUBLIC KEY as `faxstream keys` prints it", block.Type)
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the PEM block is not a public key: %w", err)
		}
		public, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("the public key is a %T, want an Ed25519 key", key)
		}
		keys = append(keys, public)
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block of type PUBLIC KEY found")
	}
	return keys, nil
}
