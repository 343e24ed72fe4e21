package archive

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzCommas checks that there are as many commas as the JSON decoder finds elements, and that text that is not JSON comes to an end.
func FuzzCommas(f *testing.F) {
	for _, text := range []string{`{"a":["\\"],",[1,2],{}]}`, `["\\\\",1]`, `"`, `"\`, `[,]]],`, `[[],[1,[2,"]"]],{"b":[3,4]}]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		elements, _ := commas(text)
		var v any
		if json.Unmarshal(text, &v) == nil && !bytes.ContainsRune(text, '{') && elements != betweenElements(v) { // a field may come twice
			t.Errorf("%s has %d commas between elements, want %d", text, elements, betweenElements(v))
		}
	})
}

func betweenElements(v any) int {
	array, ok := v.([]any)
	if !ok || len(array) == 0 {
		return 0
	}
	n := len(array) - 1
	for _, e := range array {
		n += betweenElements(e)
	}
	return n
}
