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
	KindRejected = "rejected" // bytes that failed a check
	KindPNG      = "png"      // for OCR
)

// PagePrefix is the beginning of the keys of one page's objects; page is from 1.
func PagePrefix(id string, page int) string { return fmt.Sprintf("faxes/%s/pages/%04d.", id, page) }

// PageKey is the key of an object of one page; kind is one of the kinds above.
func PageKey(id string, page int, sum [sha256.Size]byte, kind string) string {
	return PagePrefix(id, page) + Hash16(sum) + "." + kind
}

// WholeFileKey is the key of the whole file as the provider served it.
func WholeFileKey(id string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("faxes/%s/original.%s.tiff", id, Hash16(sum))
}

// RejectedWholeFileKey is the key of a whole file that arrived incomplete.
func RejectedWholeFileKey(id string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("faxes/%s/original.%s.rejected", id, Hash16(sum))
}

// RevisionKey is the key of an object of one revision, from 1. name is plan.json, manifest.json, or that of a document or report with
// its hash.
func RevisionKey(id string, revision int, name string) string {
	return fmt.Sprintf("faxes/%s/r%d/%s", id, revision, name)
}

// IndexText is the content of an entry of the index.
const IndexText = "{}\n"

// IndexKey is the key of a fax's entry in the index.
func IndexKey(start time.Time, id string) string {
	return start.UTC().Format("index/2006/01/02/150405") + "-" + id
}

// Hash16 returns the first 16 hex digits of a SHA-256: the hash in keys.
func Hash16(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:8]) }

// SidecarKey is the key of the sidecar of an object.
func SidecarKey(object string) string { return object + ".json" }

// RedirectKey is the key of a session's redirect. It begins like the keys of revisions: a list of those has it too.
func RedirectKey(id string) string { return FaxPrefix(id) + "redirect.json" }

// FoldedPrefix is the beginning of the keys that name the sessions that were folded into a session. A hold or purge of the session also
// counts for these sessions.
func FoldedPrefix(id string) string { return FaxPrefix(id) + "folded/" }

func foldedKey(owner, id string) string { return FoldedPrefix(owner) + id + ".json" }

// IndexPrefix is the beginning of the keys of the index.
const IndexPrefix = "index/"

// indexTime is the layout of an index key up to the session.
const indexTime = IndexPrefix + "2006/01/02/150405"

// ParseIndexKey reads a key that IndexKey made; ok is false for any other key.
func ParseIndexKey(key string) (at time.Time, id string, ok bool) {
	stamp, id, _ := strings.Cut(key, "-")
	at, err := time.Parse(indexTime, stamp)
	return at, id, err == nil && session.ValidToken(id) && IndexKey(at, id) == key
}

// FaxPrefix is the beginning of the keys of a fax's objects.
func FaxPrefix(id string) string { return "faxes/" + id + "/" }

// DeskPrefix is the beginning of the keys of what people say about faxes.
const DeskPrefix = "desk/"

// SessionOfKey returns the session of an object's, index entry's or desk entry's key, "" if the key belongs to no fax.
func SessionOfKey(key string) string {
	if rest, ok := strings.CutPrefix(key, "faxes/"); ok {
		id, _, _ := strings.Cut(rest, "/")
		return id
	}
	if _, id, ok := ParseIndexKey(key); ok {
		return id
	}
	if rest, ok := strings.CutPrefix(key, DeskPrefix); ok {
		id, _, _ := strings.Cut(rest, "/")
		return id
	}
	return ""
}

// KeyHash returns the hash in a key such as pages/0001.<h>.tiff, "" if there is none. For a sidecar it is "": its key has the hash of
// its object.
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

// IsSidecar reports whether a key is the key of a sidecar: of a page or of the whole file.
func IsSidecar(key string) bool {
	return NeedsSidecar(strings.TrimSuffix(key, ".json")) && strings.HasSuffix(key, ".json")
}

// NeedsSidecar reports whether the object under key must have a sidecar.
func NeedsSidecar(key string) bool {
	parts := strings.Split(key, "/")
	return len(parts) >= 3 && (parts[2] == "pages" || strings.HasPrefix(parts[2], "original.")) &&
		(strings.HasSuffix(key, "."+KindOriginal) || strings.HasSuffix(key, "."+KindRejected))
}

// PageOfKey returns the page in the key of a page object, from 1; 0: the key is not of one page.
func PageOfKey(key string) int {
	_, name, ok := strings.Cut(key, "/pages/")
	number, _, _ := strings.Cut(name, ".")
	page, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0
	}
	return page
}

// NamedPageKey returns the key of an object of a page whose name in the key is known, such as 0001.<h>.png, and its page, from 1. ok is
// false for a name that is not one of an original, a cut page or a PNG: then there is no key.
func NamedPageKey(id, name string) (key string, page int, ok bool) {
	key = FaxPrefix(id) + "pages/" + name
	page, hash := PageOfKey(key), KeyHash(key)
	if page < 1 || page > session.MaxPages || hash == "" {
		return "", 0, false
	}
	for _, kind := range []string{KindOriginal, KindCut, KindPNG} {
		if key == PagePrefix(id, page)+hash+"."+kind {
			return key, page, true
		}
	}
	return "", 0, false
}

// Revisions returns the revisions of a fax that have an object with a wanted name, ascending. keys are keys of the fax.
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

// IsWholeFile reports whether a key is the key of the whole file as the provider served it. prefix is the FaxPrefix of its fax.
func IsWholeFile(key, prefix string) bool {
	return strings.HasPrefix(key, prefix+"original.") && strings.HasSuffix(key, "."+KindOriginal)
}

// IsKind reports whether a page key ends in exactly .<hash>.<kind>: .cut.tiff is not .tiff.
func IsKind(key, kind string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	parts := strings.SplitN(name, ".", 3)
	return len(parts) == 3 && parts[2] == kind
}
