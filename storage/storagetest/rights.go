package storagetest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// MinIOKeys makes keys at the server of [MinIO] that may do what a policy says, and nothing else.
func MinIOKeys(t testing.TB, endpoint string, policy []byte) (access, secret string) {
	t.Helper()
	access, secret = rand.Text()[:20], rand.Text()
	order, err := json.Marshal(map[string]any{"policy": json.RawMessage(policy), "accessKey": access, "secretKey": secret})
	if err != nil {
		t.Fatal(err)
	}
	body := sealed(t, order)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/minio/admin/v3/add-service-account", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	resp, err := http.DefaultClient.Do(signer.SignV4(*req, accessKey, secretKey, "", "us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("minio makes no keys for the policy\n%s\n%s, %v: %s", policy, resp.Status, err, answer)
	}
	return access, secret
}

// sealed encrypts an order to minio's admin API with the secret key of its user: a salt, the number of the method (PBKDF2 and AES-GCM), a
// nonce, and one segment, which is the last one. Both seals of a message have the same key, and a counter at the end of the nonce.
func sealed(t testing.TB, order []byte) []byte {
	t.Helper()
	const method, rounds = 2, 8192
	const last = 0x80 // begins the additional data of the last segment
	head := make([]byte, 32+1+8)
	_, _ = rand.Read(head) // it never fails
	head[32] = method
	key, err := pbkdf2.Key(sha256.New, secretKey, head[:32], rounds, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := append(bytes.Clone(head[33:]), 0, 0, 0, 0)
	additional := aead.Seal([]byte{last}, nonce, nil, nil)
	nonce[8] = 1
	return aead.Seal(head, nonce, order, additional)
}
