package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Kinds of page objects: the end of their keys.
const (
	KindOriginal = "tiff"     // as fetched
	KindCut      = "cut.tiff" // cut from the whole file
	KindRejected = "rejected" // bytes that are no page
	KindPNG      = "png"      // for OCR
)

func PagePrefix(id string, page int) string { return fmt.Sprintf("faxes/%s/pages/%04d.", id, page) }

func PageKey(id string, page int, sum [sha256.Size]byte, kind string) string {
	return PagePrefix(id, page) + Hash16(sum) + "." + kind
}

func WholeFileKey(id string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("faxes/%s/original.%s.tiff", id, Hash16(sum))
}

// RejectedWholeFileKey is for a whole file that was cut in transit.
func RejectedWholeFileKey(id string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("faxes/%s/original.%s.rejected", id, Hash16(sum))
}

// RevisionKey is a key of one revision: plan.json, manifest.json, or a document with its hash.
func RevisionKey(id string, revision int, name string) string {
	return fmt.Sprintf("faxes/%s/r%d/%s", id, revision, name)
}

// IndexText is what an entry of the index holds.
const IndexText = "{}\n"

func IndexKey(start time.Time, id string) string {
	return start.UTC().Format("index/2006/01/02/150405") + "-" + id
}

func Hash16(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:8]) }

func SidecarKey(object string) string { return object + ".json" }

// RedirectKey begins as the keys of revisions do: whoever lists those sees it.
func RedirectKey(id string) string { return FaxPrefix(id) + "redirect.json" }

// FoldedPrefix is where a session's archive names those that were folded into it: whoever holds or purges its fax means them too.
func FoldedPrefix(id string) string { return FaxPrefix(id) + "folded/" }

func foldedKey(owner, id string) string { return FoldedPrefix(owner) + id + ".json" }

const IndexPrefix = "index/"

// indexTime is the layout of an index key up to the session.
const indexTime = IndexPrefix + "2006/01/02/150405"

// ParseIndexKey reads what IndexKey wrote.
func ParseIndexKey(key string) (at time.Time, id string, ok bool) {
	stamp, id, _ := strings.Cut(key, "-")
	at, err := time.Parse(indexTime, stamp)
	return at, id, err == nil && session.ValidToken(id) && IndexKey(at, id) == key
}

// FaxPrefix is where the objects of a fax are.
func FaxPrefix(id string) string { return "faxes/" + id + "/" }

// SessionOfKey is the session whose object or entry of the index a key is; "": it is none of a fax.
func SessionOfKey(key string) string {
	if rest, ok := strings.CutPrefix(key, "faxes/"); ok {
		id, _, _ := strings.Cut(rest, "/")
		return id
	}
	if _, id, ok := ParseIndexKey(key); ok {
		return id
	}
	return ""
}

// KeyHash is the hash in a key such as pages/0001.<h>.tiff; "" where there is none. A sidecar's key has that of its object.
func KeyHash(key string) string {
	name := key[strings.LastIndexByte(key, '/')+1:]
	if IsSidecar(key) {
		return ""
	}
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 3 || len(parts[1]) != 16 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return ""
	}
	return parts[1]
}

// IsSidecar reports whether a key is that of a sidecar: of a page or of the whole file.
func IsSidecar(key string) bool {
	return NeedsSidecar(strings.TrimSuffix(key, ".json")) && strings.HasSuffix(key, ".json")
}

// NeedsSidecar reports whether an object is one that has a sidecar.
func NeedsSidecar(key string) bool {
	parts := strings.Split(key, "/")
	return len(parts) >= 3 && (parts[2] == "pages" || strings.HasPrefix(parts[2], "original.")) &&
		(strings.HasSuffix(key, "."+KindOriginal) || strings.HasSuffix(key, "."+KindRejected))
}

// PageOfKey is the page in the key of a page object; 0: it is of the whole file.
func PageOfKey(key string) int {
	_, name, ok := strings.Cut(key, "/pages/")
	number, _, _ := strings.Cut(name, ".")
	page, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0
	}
	return page
}

// Revisions gives the revisions of a fax that have an object with such a name, ascending.
func Revisions(keys []string, id string, want func(name string) bool) []int {
	var found []int
	for _, key := range keys {
		number, name, _ := strings.Cut(strings.TrimPrefix(key, "faxes/"+id+"/r"), "/")
		if n, err := strconv.Atoi(number); err == nil && n > 0 && strconv.Itoa(n) == number && want(name) {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// IsWholeFile reports whether a key is that of the whole file as the provider served it.
func IsWholeFile(key, prefix string) bool {
	return strings.HasPrefix(key, prefix+"original.") && strings.HasSuffix(key, "."+KindOriginal)
}

// IsKind reports whether a page key ends in exactly .<hash>.<kind>: .cut.tiff is not .tiff.
func IsKind(key, kind string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	parts := strings.SplitN(name, ".", 3)
	return len(parts) == 3 && parts[2] == kind
}
