package archive

import (
	"testing"
)

// A key of the index that is accepted is the one that its time and session have.
func FuzzParseIndexKey(f *testing.F) {
	f.Add("index/2026/11/24/120000-a-b")
	f.Add("index/2026/02/30/120000-a")
	f.Fuzz(func(t *testing.T, key string) {
		if at, id, ok := ParseIndexKey(key); ok && IndexKey(at, id) != key {
			t.Fatalf("%q is read as %v %q", key, at, id)
		}
	})
}

func TestKindsOfKeys(t *testing.T) {
	for _, c := range []struct {
		key, kind string
		want      bool
	}{
		{"faxes/s/pages/0001.00ff.tiff", KindOriginal, true},
		{"faxes/s/pages/0001.00ff.cut.tiff", KindOriginal, false},
		{"faxes/s/pages/0001.00ff.cut.tiff", KindCut, true},
		{"faxes/s/pages/0001.00ff.tiff.json", KindOriginal, false},
		{"faxes/s/pages/0001.00ff.rejected", KindOriginal, false},
		{"faxes/s.x/pages/0001", KindOriginal, false},
	} {
		if got := IsKind(c.key, c.kind); got != c.want {
			t.Errorf("isKind(%s, %s) = %t", c.key, c.kind, got)
		}
	}
}
