package sign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"testing"

	"github.com/faxstream/faxstream/pipeline/sign"
)

func newKey(t *testing.T) (ed25519.PrivateKey, ed25519.PublicKey, []byte) {
	t.Helper()
	key, text, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, key.Public().(ed25519.PublicKey), text
}

// RFC 8032 section 7.1, TEST 1: anybody can check our signatures with another program.
func TestASignatureIsPlainEd25519(t *testing.T) {
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		t.Fatal(err)
	}
	const want = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555" +
		"fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
	got, err := base64.StdEncoding.DecodeString(sign.Sign(ed25519.NewKeyFromSeed(seed), nil).Ed25519)
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("the signature is %x, %v, want %s", got, err, want)
	}
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	key, public, _ := newKey(t)
	_, other, _ := newKey(t)
	data := []byte("a manifest")
	good := sign.Sign(key, data)
	if good.KeyID != sign.KeyID(public) || good.KeyID != sign.KeyIDOf(key) || len(good.KeyID) != 16 {
		t.Errorf("the key id is %q", good.KeyID)
	}
	raw, err := base64.StdEncoding.DecodeString(good.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	raw[0] ^= 1
	changed := base64.StdEncoding.EncodeToString(raw)
	signature := func(keyID, text string) sign.Signature { return sign.Signature{KeyID: keyID, Ed25519: text} }
	both := []ed25519.PublicKey{public, other}
	broken := good.Ed25519[:8] + "\n" + good.Ed25519[8:]
	for name, c := range map[string]struct {
		s    sign.Signature
		data string
		keys []ed25519.PublicKey
		want error
	}{
		"right":               {good, "a manifest", []ed25519.PublicKey{other, public}, nil},
		"other bytes":         {good, "A manifest", []ed25519.PublicKey{public}, sign.ErrSignature},
		"a changed signature": {signature(good.KeyID, changed), "a manifest", []ed25519.PublicKey{public}, sign.ErrSignature},
		"another key":         {good, "a manifest", []ed25519.PublicKey{other}, sign.ErrUnknownKey},
		"no key":              {good, "a manifest", nil, sign.ErrUnknownKey},
		"another key's id":    {signature(sign.KeyID(other), good.Ed25519), "a manifest", both, sign.ErrSignature},
		"not base64":          {signature(good.KeyID, "?"), "a manifest", []ed25519.PublicKey{public}, sign.ErrMalformed},
		"too short":           {signature(good.KeyID, "AAAA"), "a manifest", []ed25519.PublicKey{public}, sign.ErrMalformed},
		"a line break in it":  {signature(good.KeyID, broken), "a manifest", []ed25519.PublicKey{public}, sign.ErrMalformed},
	} {
		if err := c.s.Verify([]byte(c.data), c.keys); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestKeysSurviveTheirPEM(t *testing.T) {
	key, public, text := newKey(t)
	_, other, _ := newKey(t)
	if got, err := sign.ParseKey(text); err != nil || !got.Equal(key) {
		t.Errorf("the private key came back as another one: %v", err)
	}
	var both []byte
	for _, k := range []ed25519.PublicKey{public, other} {
		text, err := sign.PublicPEM(k)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	keys, err := sign.ParsePublicKeys(both)
	if err != nil || len(keys) != 2 || !keys[0].Equal(public) || !keys[1].Equal(other) {
		t.Errorf("two public keys came back as %d: %v", len(keys), err)
	}
}

func TestOtherPEMIsRefused(t *testing.T) {
	_, public, private := newKey(t)
	own, err := sign.PublicPEM(public)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	curvePrivate := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if der, err = x509.MarshalPKIXPublicKey(curve.Public()); err != nil {
		t.Fatal(err)
	}
	curvePublic := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	for name, text := range map[string][]byte{
		"nothing": nil, "rubbish": []byte("rubbish"), "a public key": own, "a key of another kind": curvePrivate,
	} {
		if _, err := sign.ParseKey(text); err == nil {
			t.Errorf("%s counts as a private key", name)
		}
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "rubbish": []byte("rubbish"), "a private key": private,
		"a private key behind a public one": append(bytes.Clone(own), private...),
		"a key of another kind":             curvePublic,
		"no key in a block":                 pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}),
	} {
		if _, err := sign.ParsePublicKeys(text); err == nil {
			t.Errorf("%s counts as public keys", name)
		}
	}
}

// FuzzParsePublicKeys checks that every accepted key can be written and read again.
func FuzzParsePublicKeys(f *testing.F) {
	key, text, err := sign.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	own, err := sign.PublicPEM(key.Public().(ed25519.PublicKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(own)
	f.Add(append(own, own...))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := sign.ParsePublicKeys(text)
		if err == nil && len(keys) == 0 {
			t.Error("no key and no error")
		}
		for _, k := range keys {
			again, err := sign.PublicPEM(k)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := sign.ParsePublicKeys(again); err != nil || len(got) != 1 || !got[0].Equal(k) {
				t.Errorf("a key came back as %x, %v, want %x", got, err, k)
			}
		}
	})
}
