package archive

import (
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/faxstream/faxstream/pipeline/session"
)

// FuzzSidecar checks that everything that is not a sidecar gives errSidecar.
func FuzzSidecar(f *testing.F) {
	for _, source := range []string{session.SourceFetch, session.SourceWholeFile} {
		obj := NewObject(PageKey("fax", 1, sha256.Sum256(nil), KindOriginal), 0, sha256.Sum256(nil))
		text, err := Sidecar{Session: "fax", Page: 1, From: "+15550199", To: "+15550100", Source: source, Object: obj}.Text()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`,"sum":"0123456789abcdef"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ParseSidecar(data); err != nil && !errors.Is(err, errSidecar) {
			t.Errorf("the error is %v", err)
		}
	})
}
