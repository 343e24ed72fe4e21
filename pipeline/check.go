package pipeline

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Checker proves from the archive alone that faxes are as they were written: every object that is named is there, with its size
// and hash; sidecars, plans and manifests agree; each page of the documents has the pixels of its archived original; revisions are
// chained by hash and, where keys are given, signed; the fax is in the index. Where the same software made a revision it is
// made again and must come out byte for byte the same.
//
// What the archive alone cannot tell: that the newest revision, a whole fax with its index entry, or a page with its sidecar that is in no
// revision, was removed without trace; and, of the newest manifest where it is not signed, that it was replaced by another that fits a
// replaced plan, or names another version of the software and documents that were made up to fit.
//
// Memory does not grow with the pages but for the texts of one plan and manifest; documents and whole files lie in files.
type Checker struct {
	Archive  Reader
	Keys     []ed25519.PublicKey // that may have signed manifests; none: signatures are only counted
	Software string              // name and version of this program, as in manifests
	SpoolDir string              // a private directory for documents under examination
	Log      *slog.Logger
}

// Session checks one fax. An error matching fs.ErrNotExist: nothing of it is in the archive; other errors: the archive could not be read.
func (c Checker) Session(ctx context.Context, id string) (Finding, error) {
	if !session.ValidToken(id) {
		return Finding{}, fmt.Errorf("session %q: %w", id, fs.ErrNotExist)
	}
	k := &checking{
		Checker: c, id: id, found: &Finding{Session: id, Faults: []Fault{}}, seen: map[string]digest{}, named: map[string]session.Object{},
		rasters: map[string]string{}, served: map[string]bool{},
		remaker: builder{archive: c.Archive, decoder: newDecoder(runtime.GOMAXPROCS(0)), log: c.Log, spoolDir: c.SpoolDir, software: c.Software},
	}
	var err error
	if k.revised, k.listed, err = faxKeys(ctx, c.Archive, id); err != nil {
		return Finding{}, err
	}
	if len(k.listed) == 0 {
		return Finding{}, fmt.Errorf("session %s: nothing of it is in the archive: %w", id, fs.ErrNotExist)
	}
	for _, step := range []func(context.Context) error{k.kept, k.revisions, k.reports, k.redirect, k.objects, k.sidecars, k.index} {
		if err := step(ctx); err != nil {
			return Finding{}, fmt.Errorf("check session %s: %w", id, err)
		}
	}
	k.found.indexed = k.indexed
	return *k.found, nil
}

// maxUnread is after how many faxes that could not be read All gives up: then it is the archive that is away.
const maxUnread = 10

// All checks every fax, several at once, and the index, and calls report with each finding, one at a time. A fax that could not be read
// does not keep it from the others; the error tells of it in the end.
func (c Checker) All(ctx context.Context, report func(Finding) error) error {
	// The index comes first: what is listed by then has its fax in the archive by then, also while faxstream serve is at work.
	entries, err := c.indexed(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var unread []error
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for id, err := range sessionsOf(inner, c.Archive) {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		listed := entries[id]
		delete(entries, id)
		group.Go(func() error {
			f, err := c.Session(inner, id)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				f.listed(listed)
				return report(f)
			}
			unread = append(unread, err)
			if len(unread) >= maxUnread || inner.Err() != nil {
				return errors.Join(unread...)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		f := Finding{Session: id, Faults: []Fault{}}
		f.listed(entries[id])
		if err := report(f); err != nil {
			return err
		}
	}
	return errors.Join(unread...)
}

// indexed gives the entries of the index by session; those that are none are under "".
func (c Checker) indexed(ctx context.Context) (map[string][]string, error) {
	entries := map[string][]string{}
	for key, err := range c.Archive.List(ctx, indexPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", indexPrefix, err)
		}
		_, id, ok := parseIndexKey(key)
		if !ok {
			id = ""
		}
		entries[id] = append(entries[id], key)
	}
	return entries, nil
}

// listed wants the index to list the fax where it has to, and nowhere else.
func (f *Finding) listed(entries []string) {
	uncommitted := slices.ContainsFunc(f.Faults, func(fault Fault) bool { return fault.Kind == FaultUncommitted })
	for _, key := range entries {
		switch {
		case f.Session == "" || f.indexed != "" && key != f.indexed:
			f.fault(FaultMisfiled, key, 0, "")
		case f.Objects == 0:
			f.fault(FaultGone, key, 0, "")
		case f.Revisions == 0 && !uncommitted: // the documents are written before the entry
			f.fault(FaultGone, key, 0, "There are objects of it, but no document and no manifest")
		}
	}
}

// digest is what an object was found to be.
type digest struct {
	size int64
	sum  [sha256.Size]byte
}

// is reports whether it is what o says, of which a negative size says nothing.
func (d digest) is(o session.Object) bool {
	return o.SHA256 == fmt.Sprintf("%x", d.sum) && (o.Size < 0 || o.Size == d.size)
}

// checking is one check of one fax.
type checking struct {
	Checker
	id      string
	found   *Finding
	revised []string                  // keys of its revisions, ascending, as they were listed before all others
	listed  []string                  // every key of the fax, ascending
	seen    map[string]digest         // objects that were read
	named   map[string]session.Object // by manifests and reports
	served  map[string]bool           // whole files from which pages were cut
	rasters map[string]string         // of originals, by key; "" where it does not decode
	remaker builder
	indexed string // key of the index entry; "": no revision says
}

// kept wants the log of holds and purges to fit a fax that is there: whoever can write one entry into it could hide the fax.
func (k *checking) kept(ctx context.Context) error {
	last, err := lastKept(ctx, k.Archive, k.id)
	switch {
	case errors.Is(err, errKeepLog) || errors.Is(err, errTooLarge):
		k.found.fault(FaultUnreadable, keepPrefix+k.id+"/", 0, err.Error())
	case err != nil:
		return err
	case last.Kind == session.ActionPurged:
		k.found.fault(FaultPurged, keepPrefix+k.id+"/", 0, last.String())
	}
	return nil
}

func (k *checking) prefix() string { return faxPrefix(k.id) }

// gone is said of an object that went away while it was looked at.
const gone = "It was there when the archive was listed"

func (k *checking) has(key string) bool {
	_, ok := slices.BinarySearch(k.listed, key)
	return ok
}

// name notes that the archive names an object, which must be there.
func (k *checking) name(o session.Object, by string) {
	old, ok := k.named[o.Key]
	if ok && old != o {
		k.found.fault(FaultContradicts, by, 0, "It and another one name "+o.Key+" with different hashes")
	}
	if ok {
		return
	}
	k.named[o.Key] = o
	if d, read := k.seen[o.Key]; read && !d.is(o) {
		k.found.fault(FaultContradicts, by, 0, "It names "+o.Key+" with a hash or size that this has not")
	}
}

// load reads a named object into memory. ok is false when it is not there or not what was written: then that is a fault already.
func (k *checking) load(ctx context.Context, o session.Object, by string) (data []byte, ok bool, err error) {
	k.name(o, by)
	if !k.has(o.Key) {
		return nil, false, nil // objects will say so
	}
	data, ok, err = k.read(ctx, o.Key, maxObject)
	if err != nil || !ok {
		return nil, false, err
	}
	return data, k.look(o.Key, digest{int64(len(data)), sha256.Sum256(data)}), nil
}

// read loads an object of at most `most` bytes. ok is false where there is none any more, or a larger one: then that is a fault already.
func (k *checking) read(ctx context.Context, key string, most int64) (data []byte, ok bool, err error) {
	data, err = read(ctx, k.Archive, key, most)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.found.fault(FaultMissing, key, 0, gone)
	case errors.Is(err, errTooLarge):
		k.found.fault(FaultUnreadable, key, 0, err.Error())
	default:
		return data, err == nil, err
	}
	return nil, false, nil
}

// look compares an object that was read with all that is said of it.
func (k *checking) look(key string, d digest) bool {
	_, again := k.seen[key]
	if !again {
		k.found.Objects++
		k.found.Bytes += d.size
	}
	k.seen[key] = d
	o, named := k.named[key]
	whole := true
	switch {
	case named && !d.is(o):
		whole = false
		if !again {
			k.found.fault(FaultAltered, key, 0, fmt.Sprintf("It has %d bytes and SHA-256 %x, want %d and %s", d.size, d.sum, o.Size, o.SHA256))
		}
	case keyHash(key) != "" && keyHash(key) != hash16(d.sum):
		whole = false
		if !again {
			k.found.fault(FaultAltered, key, 0, fmt.Sprintf("Its SHA-256 is %x", d.sum))
		}
	}
	return whole
}

// objects reads everything that no other step has read: what is named must be there and whatever carries a hash must have it.
func (k *checking) objects(ctx context.Context) error {
	for _, key := range k.listed {
		if _, done := k.seen[key]; !done {
			d, err := k.sum(ctx, key)
			if errors.Is(err, fs.ErrNotExist) {
				k.found.fault(FaultMissing, key, 0, gone)
				continue
			}
			if err != nil {
				return err
			}
			k.look(key, d)
		}
		if _, named := k.named[key]; !named && !k.served[key] && !(isSidecar(key) && k.has(strings.TrimSuffix(key, ".json"))) {
			k.found.Orphans++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(k.named)) {
		if k.has(key) {
			continue
		}
		if isSidecar(key) {
			continue // sidecars says so
		}
		k.found.fault(FaultMissing, key, 0, "")
	}
	return nil
}

// sum reads an object through, in constant memory.
func (k *checking) sum(ctx context.Context, key string) (digest, error) {
	r, _, err := k.Archive.Open(ctx, key)
	if err != nil {
		return digest{}, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return digest{}, fmt.Errorf("read %s: %w", key, err)
	}
	return digest{n, [sha256.Size]byte(h.Sum(nil))}, nil
}

// sidecars wants one beside every object that must have it, that says what the object is.
func (k *checking) sidecars(ctx context.Context) error {
	for _, key := range k.listed {
		if needsSidecar(key) && !k.has(sidecarKey(key)) {
			k.found.fault(FaultSidecar, sidecarKey(key), 0, "It is not there")
		}
		if !isSidecar(key) {
			continue
		}
		data, ok, err := k.read(ctx, key, maxSidecar)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		s, err := parseSidecar(data)
		object := strings.TrimSuffix(key, ".json")
		d, there := k.seen[object]
		switch {
		case err != nil:
			k.found.fault(FaultSidecar, key, 0, err.Error())
		case s.Session != k.id || s.Object.Key != object || s.Page != pageOfKey(object):
			k.found.fault(FaultSidecar, key, 0, fmt.Sprintf("It speaks of session %s page %d, %s", s.Session, s.Page, s.Object.Key))
		case there && (s.Object.Size < 0 || !d.is(s.Object)):
			k.found.fault(FaultSidecar, key, 0, "It has another size or hash of its object")
		}
	}
	return nil
}

// index wants the fax's entry in the index of its day.
func (k *checking) index(ctx context.Context) error {
	if k.indexed == "" {
		return nil
	}
	text, err := read(ctx, k.Archive, k.indexed, maxObject)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.found.fault(FaultIndex, k.indexed, 0, "")
	case err != nil:
		return err
	case string(text) != indexText:
		k.found.fault(FaultIndex, k.indexed, 0, "Its entry is not what was written")
	}
	return nil
}
