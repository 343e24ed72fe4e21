package archive

import (
	"path"
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

// A name that is accepted gives a key of this fax, and the same name again.
func FuzzNamedPageKey(f *testing.F) {
	const first = "0001.0123456789abcdef."
	for _, name := range []string{first + "png", first + "cut.tiff", first + "rejected", "1.png", "../x"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, page, ok := NamedPageKey("s", name)
		if ok && (path.Base(key) != name || path.Dir(key) != "faxes/s/pages" || PageOfKey(key) != page || IsKind(key, KindRejected)) {
			t.Fatalf("%q is read as %q, page %d", name, key, page)
		}
	})
}

func TestNamesOfPageObjects(t *testing.T) {
	for name, want := range map[string]int{
		"0001.0123456789abcdef.png": 1, "10000.0123456789abcdef.tiff": 10000, "0012.0123456789abcdef.cut.tiff": 12,
		"1.0123456789abcdef.png": 0, "0000.0123456789abcdef.png": 0, "99999.0123456789abcdef.png": 0, "0001.0123456789ABCDEF.png": 0,
		"0001.0123456789abcdef.rejected": 0, "0001.0123456789abcdef.tiff.json": 0, "../pages/0001.0123456789abcdef.png": 0, "1.png": 0, "": 0,
	} {
		if key, page, ok := NamedPageKey("s", name); page != want || ok != (want > 0) || ok && key != "faxes/s/pages/"+name {
			t.Errorf("%q gives %q, page %d, %t", name, key, page, ok)
		}
	}
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
