package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/text"
)

// PageText is what an OCR engine recognised on a page, in one form whatever its format. Like a sidecar its JSON is one line, and the last
// field, sum, has the first 16 hex digits of the SHA-256 of all bytes before `,"sum":"`.
type PageText struct {
	Session      string         `json:"session"`
	Page         int            `json:"page"` // from 1
	ToToken      string         `json:"to_token"`
	Engine       string         `json:"engine"`
	Version      string         `json:"version,omitempty"`
	Languages    []string       `json:"languages,omitempty"`
	Format       string         `json:"format"`        // of Result: one of text.Formats
	Read         string         `json:"read"`          // the image that it read: session.ReadPNG or ReadOriginal
	RasterSHA256 string         `json:"raster_sha256"` // of that image of the page
	Width        int            `json:"width"`         // of the page as it is stored, pixels: boxes lie on it
	Height       int            `json:"height"`
	Result       session.Object `json:"result"`       // as the engine wrote it
	By           string         `json:"by,omitempty"` // who sent it
	At           time.Time      `json:"at"`           // when it came, UTC
	Words        []text.Word    `json:"words"`

	Orientation *session.TextOrientation `json:"orientation,omitempty"` // what the engine says of the page; nil: nothing
}

// errText: the bytes are not a PageText as we write it.
var errText = errors.New("damaged text of a page")

// Text returns the page's text as it is archived.
func (p PageText) Text() ([]byte, error) {
	data, err := withSum(p)
	if err != nil {
		return nil, fmt.Errorf("text of session %s page %d: %w", p.Session, p.Page, err)
	}
	return data, nil
}

// ParseText reads a PageText. If any byte was changed after it was written, it returns an error, and Broken reports true for it.
func ParseText(data []byte) (PageText, error) {
	var p PageText
	body, err := withoutSum(data)
	if err == nil {
		err = ParseStrict(body, &p)
	}
	if err != nil {
		return PageText{}, fmt.Errorf("%w: %w", errText, err)
	}
	return p, nil
}

// TextsPrefix is the beginning of the keys of what was recognised on a fax.
func TextsPrefix(id string) string { return FaxPrefix(id) + "text/" }

// TextPrefix is the beginning of the keys of what was recognised on one page, from 1.
func TextPrefix(id string, page int) string { return fmt.Sprintf("%s%04d.", TextsPrefix(id), page) }

// PageOfText returns the page in a key that begins with TextPrefix, from 1; 0: it is another key.
func PageOfText(key string) int {
	_, name, ok := strings.Cut(key, "/text/")
	number, _, _ := strings.Cut(name, ".")
	page, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0
	}
	return page
}

// ResultKey is the key of a result as an engine wrote it. engine is valid (ValidEngine), format one of text.Formats.
func ResultKey(id string, page int, sum [sha256.Size]byte, engine, format string) string {
	return TextPrefix(id, page) + Hash16(sum) + "." + engine + "." + format
}

// WordsKey is the key of the PageText of a result. The same bytes read from the same image have one: the first that is written stays. For
// another image they are another result, as of a page that was blank before and after.
func (p PageText) WordsKey() string {
	mark := sha256.Sum256([]byte(p.Result.SHA256 + " " + p.RasterSHA256 + " " + p.Read))
	return TextPrefix(p.Session, p.Page) + wordsMark + Hash16(mark) + "." + p.Engine + ".json"
}

const wordsMark = "words."

// IsWords reports whether a key of a fax is that of a PageText.
func IsWords(key string) bool {
	_, name, ok := strings.Cut(key, "/text/")
	_, rest, _ := strings.Cut(name, ".")
	return ok && strings.HasPrefix(rest, wordsMark) && strings.HasSuffix(rest, ".json")
}

// maxEngine is the length of an engine's name.
const maxEngine = 32

// ValidEngine reports whether a name can be that of an engine: a small letter, and then small letters, digits, '-' and '_', at most 32.
func ValidEngine(name string) bool {
	return len(name) <= maxEngine && session.ValidToken(name) && name[0] >= 'a' && name[0] <= 'z' && strings.ToLower(name) == name
}

// LoadText reads the PageText under a key, and returns its bytes too. An error that matches fs.ErrNotExist: there is none. Broken reports
// true for the error of bytes that are none.
func LoadText(ctx context.Context, a Reader, key string) (p PageText, data []byte, err error) {
	if data, err = Read(ctx, a, key, MaxJSON); err != nil {
		return PageText{}, nil, err
	}
	if p, err = ParseText(data); err != nil {
		return PageText{}, nil, fmt.Errorf("read %s: %w", key, err)
	}
	return p, data, nil
}

// Fact is the event of a page's text, which is archived as these bytes.
func (p PageText) Fact(data []byte) session.TextRecognised {
	f := session.TextRecognised{
		Session: p.Session, Page: p.Page, ToToken: p.ToToken, Engine: p.Engine, Version: p.Version, Languages: p.Languages,
		Format: p.Format, RasterSHA256: p.RasterSHA256, Result: p.Result, Words: NewObject(p.WordsKey(), int64(len(data)), sha256.Sum256(data)),
		Count: len(p.Words), At: p.At, Orientation: p.Orientation,
	}
	sum, n := 0.0, 0
	for _, w := range p.Words {
		if w.Confidence != nil {
			sum, n = sum+*w.Confidence, n+1
		}
	}
	if n > 0 {
		mean := sum / float64(n)
		f.Confidence = &mean
	}
	return f
}
