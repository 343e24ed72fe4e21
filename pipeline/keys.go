package pipeline

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
	kindOriginal = "tiff"     // as fetched
	kindCut      = "cut.tiff" // cut from the whole file
	kindRejected = "rejected" // bytes that are no page
	kindPNG      = "png"      // for OCR
)

func pagePrefix(id string, page int) string { return fmt.Sprintf("faxes/%s/pages/%04d.", id, page) }

func pageKey(id string, page int, sum [sha256.Size]byte, kind string) string {
	return pagePrefix(id, page) + hash16(sum) + "." + kind
}

func originalKey(id string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("faxes/%s/original.%s.tiff", id, hash16(sum))
}

// rejectedKey is for a whole file that was cut in transit.
func rejectedKey(id string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("faxes/%s/original.%s.rejected", id, hash16(sum))
}

// revisionKey is a key of one revision: plan.json, manifest.json, or a document with its hash.
func revisionKey(id string, revision int, name string) string {
	return fmt.Sprintf("faxes/%s/r%d/%s", id, revision, name)
}

// indexText is what an entry of the index holds.
const indexText = "{}\n"

func indexKey(start time.Time, id string) string {
	return start.UTC().Format("index/2006/01/02/150405") + "-" + id
}

func hash16(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:8]) }

func sidecarKey(object string) string { return object + ".json" }

// redirectKey begins as the keys of revisions do: whoever lists those sees it.
func redirectKey(id string) string { return faxPrefix(id) + "redirect.json" }

// foldedPrefix is where a session's archive names those that were folded into it: whoever holds or purges its fax means them too.
func foldedPrefix(id string) string { return faxPrefix(id) + "folded/" }

func foldedKey(owner, id string) string { return foldedPrefix(owner) + id + ".json" }

const indexPrefix = "index/"

// indexTime is the layout of an index key up to the session.
const indexTime = indexPrefix + "2006/01/02/150405"

// parseIndexKey reads what indexKey wrote.
func parseIndexKey(key string) (at time.Time, id string, ok bool) {
	stamp, id, _ := strings.Cut(key, "-")
	at, err := time.Parse(indexTime, stamp)
	return at, id, err == nil && session.ValidToken(id) && indexKey(at, id) == key
}

// faxPrefix is where the objects of a fax are.
func faxPrefix(id string) string { return "faxes/" + id + "/" }

// faxOfKey is the session whose object or entry of the index a key is; "": it is none of a fax.
func faxOfKey(key string) string {
	if rest, ok := strings.CutPrefix(key, "faxes/"); ok {
		id, _, _ := strings.Cut(rest, "/")
		return id
	}
	if _, id, ok := parseIndexKey(key); ok {
		return id
	}
	return ""
}

// keyHash is the hash in a key such as pages/0001.<h>.tiff; "" where there is none. A sidecar's key has that of its object.
func keyHash(key string) string {
	name := key[strings.LastIndexByte(key, '/')+1:]
	if isSidecar(key) {
		return ""
	}
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 3 || len(parts[1]) != 16 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return ""
	}
	return parts[1]
}

// isSidecar reports whether a key is that of a sidecar: of a page or of the whole file.
func isSidecar(key string) bool {
	return needsSidecar(strings.TrimSuffix(key, ".json")) && strings.HasSuffix(key, ".json")
}

// needsSidecar reports whether an object is one that has a sidecar.
func needsSidecar(key string) bool {
	parts := strings.Split(key, "/")
	return len(parts) >= 3 && (parts[2] == "pages" || strings.HasPrefix(parts[2], "original.")) &&
		(strings.HasSuffix(key, "."+kindOriginal) || strings.HasSuffix(key, "."+kindRejected))
}

// pageOfKey is the page in the key of a page object; 0: it is of the whole file.
func pageOfKey(key string) int {
	_, name, ok := strings.Cut(key, "/pages/")
	number, _, _ := strings.Cut(name, ".")
	page, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0
	}
	return page
}

// revisionsOf gives the revisions of a fax that have an object with such a name, ascending.
func revisionsOf(keys []string, id string, want func(name string) bool) []int {
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

// isWhole reports whether a key is that of the whole file as the provider served it.
func isWhole(key, prefix string) bool {
	return strings.HasPrefix(key, prefix+"original.") && strings.HasSuffix(key, "."+kindOriginal)
}

// isKind reports whether a page key ends in exactly .<hash>.<kind>: .cut.tiff is not .tiff.
func isKind(key, kind string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	parts := strings.SplitN(name, ".", 3)
	return len(parts) == 3 && parts[2] == kind
}
