package archive_test

import (
	"bytes"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
)

// Bytes that are read as the record of a derived document are those that it is written as, under its key.
func FuzzParseDerived(f *testing.F) {
	d := samples()["derived"].(archive.Derived)
	data, self, err := d.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, self.Key)
	f.Add(bytes.TrimSuffix(data, []byte("\n")), self.Key)
	f.Add([]byte("{}\n"), "faxes/s/r1/derived.0123456789abcdef.json")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		d, err := archive.ParseDerived(data, key)
		if err != nil {
			return
		}
		again, self, err := d.Encode()
		if err != nil || self.Key != key || !archive.IsDerived(key) || string(again) != string(data) {
			t.Errorf("%q under %s is read as %+v, %v", data, key, d, err)
		}
	})
}

// Bytes that are read as a record are those that it is written as, under its key: nothing else counts.
func FuzzParseSearchable(f *testing.F) {
	s := samples()["searchable"].(archive.Searchable)
	data, self, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, self.Key)
	f.Add(bytes.TrimSuffix(data, []byte("\n")), self.Key)
	f.Add([]byte("{}\n"), "faxes/s/r1/searchable.0123456789abcdef.json")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		s, err := archive.ParseSearchable(data, key)
		if err != nil {
			return
		}
		again, self, err := s.Encode()
		if err != nil || self.Key != key || !archive.IsSearchable(key) || string(again) != string(data) {
			t.Errorf("%q under %s is read as %+v, %v", data, key, s, err)
		}
	})
}
