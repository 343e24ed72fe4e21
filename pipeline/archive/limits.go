package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Limits of archived JSON. A fax of 10,000 pages has a plan and a manifest of some 15 MB each and reports of up to 30 MB, with two
// elements of arrays a page and 60 fields.
const (
	MaxJSON     = 64 << 20 // bytes of a plan, manifest or report
	MaxSidecar  = 64 << 10 // bytes
	maxElements = 4 * session.MaxPages
	maxFields   = 100 * session.MaxPages
)

// checkBounds returns an error for JSON that would need more memory than any fax: three bytes in an array can become a page, and a page
// takes hundreds of bytes in memory.
func checkBounds(data []byte) error {
	if len(data) > MaxJSON {
		return fmt.Errorf("the JSON has %d bytes, at most %d are allowed", len(data), MaxJSON)
	}
	if elements, fields := commas(data); elements > maxElements || fields > maxFields {
		return fmt.Errorf("the JSON has %d elements of arrays and %d fields of objects, at most %d and %d are allowed",
			elements, fields, maxElements, maxFields)
	}
	return nil
}

// commas counts the commas between elements of arrays and between fields of objects. For text that is not JSON the numbers mean nothing.
func commas(data []byte) (elements, fields int) {
	var open []byte // the brackets around i
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '"':
			i += stringLen(data[i:]) - 1
		case '[', '{':
			open = append(open, c)
		case ']', '}':
			open = open[:max(0, len(open)-1)]
		case ',':
			if len(open) > 0 && open[len(open)-1] == '[' {
				elements++
			} else {
				fields++
			}
		}
	}
	return elements, fields
}

// stringLen is the length of the JSON string at the beginning of text, with its quotes; the length of text if the string has no end.
func stringLen(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// ErrNewer: the JSON is well formed, but has a field that this version of faxstream does not know. Formats only get more fields, so a newer
// version may have written it.
var ErrNewer = errors.New("a field is unknown to this version of faxstream")

// ParseStrict decodes JSON into v. JSON above the limits, unknown fields, and bytes after the JSON are errors. The error for an unknown
// field matches ErrNewer if everything else is right; v has the fields that are known then.
func ParseStrict(data []byte, v any) error {
	if err := checkBounds(data); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if json.Unmarshal(data, v) == nil { // only the unknown field was wrong
			return fmt.Errorf("%w: %w", ErrNewer, err)
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there are bytes after the JSON value")
	}
	return nil
}
