package archive

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/text"
)

func someText() PageText {
	sum := sha256.Sum256([]byte("hello"))
	return PageText{
		Session: "fax", Page: 1, ToToken: "15550100", Engine: "tesseract", Format: text.Plain, Read: session.ReadPNG,
		RasterSHA256: strings.Repeat("0", 64), Width: 10, Height: 10, At: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC),
		Result: NewObject(ResultKey("fax", 1, sum, "tesseract", text.Plain), 5, sum), Words: []text.Word{{Text: "hello", Line: 1, Block: 1}},
	}
}

// Whatever is not a text as we write it is an error of this fax alone.
func FuzzText(f *testing.F) {
	data, err := someText().Text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`,"sum":"0123456789abcdef"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ParseText(data); err != nil && !Broken(err) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestAChangedTextIsDamaged(t *testing.T) {
	data, err := someText().Text()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := ParseText(data); err != nil || p.Words[0].Text != "hello" {
		t.Errorf("%+v, %v", p, err)
	}
	for i := range data {
		changed := append([]byte(nil), data...)
		changed[i] ^= 1
		if _, err := ParseText(changed); !Broken(err) {
			t.Fatalf("byte %d was changed, and the error is %v", i, err)
		}
	}
}

// A result has one text for each image that it was read from. Keys say whose they are, and which are texts.
func TestKeysOfTexts(t *testing.T) {
	p := someText()
	keys := map[string]bool{p.WordsKey(): true}
	for _, change := range []func(*PageText){
		func(p *PageText) { p.RasterSHA256 = strings.Repeat("1", 64) }, func(p *PageText) { p.Read = session.ReadOriginal },
		func(p *PageText) { p.Result.SHA256 = strings.Repeat("2", 64) }, func(p *PageText) { p.Engine = "other" },
		func(p *PageText) { p.Page = 2 },
	} {
		other := p
		change(&other)
		keys[other.WordsKey()] = true
		key := other.WordsKey()
		if !IsWords(key) || SessionOfKey(key) != "fax" || !strings.HasPrefix(key, TextPrefix("fax", other.Page)) {
			t.Errorf("%s is no key of a text", key)
		}
	}
	if len(keys) != 6 {
		t.Errorf("six texts have %d keys", len(keys))
	}
	if IsWords(p.Result.Key) || KeyHash(p.Result.Key) != p.Result.SHA256[:16] || KeyHash(p.WordsKey()) != "" {
		t.Errorf("the keys of result and words are mixed up: %s, %s", p.Result.Key, p.WordsKey())
	}
	for name, ok := range map[string]bool{
		"tesseract": true, "a": true, "abbyy-15_2": true, strings.Repeat("a", 32): true,
		"": false, "Tesseract": false, "1st": false, "a.b": false, "a/b": false, "a b": false, strings.Repeat("a", 33): false,
	} {
		if ValidEngine(name) != ok {
			t.Errorf("%q is valid: %t", name, !ok)
		}
	}
}
