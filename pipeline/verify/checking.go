package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/intake"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/sign"
)

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
	remaker document.Builder
	indexed string // key of the index entry; "": no revision says
}

// holds wants the log of holds and purges to fit a fax that is there: whoever can write one entry into it could hide the fax.
func (k *checking) holds(ctx context.Context) error {
	last, err := hold.LastEntry(ctx, k.Archive, k.id)
	switch {
	case errors.Is(err, hold.ErrDamagedLog) || errors.Is(err, archive.ErrTooLarge):
		k.found.fault(FaultUnreadable, hold.LogPrefix+k.id+"/", 0, err.Error())
	case err != nil:
		return err
	case last.Kind == session.ActionPurged:
		k.found.fault(FaultPurged, hold.LogPrefix+k.id+"/", 0, last.String())
	}
	return nil
}

func (k *checking) prefix() string { return archive.FaxPrefix(k.id) }

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
	data, ok, err = k.read(ctx, o.Key, archive.MaxObject)
	if err != nil || !ok {
		return nil, false, err
	}
	return data, k.look(o.Key, digest{int64(len(data)), sha256.Sum256(data)}), nil
}

// read loads an object of at most `most` bytes. ok is false where there is none any more, or a larger one: then that is a fault already.
func (k *checking) read(ctx context.Context, key string, most int64) (data []byte, ok bool, err error) {
	data, err = archive.Read(ctx, k.Archive, key, most)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.found.fault(FaultMissing, key, 0, gone)
	case errors.Is(err, archive.ErrTooLarge):
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
	case archive.KeyHash(key) != "" && archive.KeyHash(key) != archive.Hash16(d.sum):
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
		if _, named := k.named[key]; !named && !k.served[key] && !(archive.IsSidecar(key) && k.has(strings.TrimSuffix(key, ".json"))) {
			k.found.Orphans++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(k.named)) {
		if k.has(key) {
			continue
		}
		if archive.IsSidecar(key) {
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
		if archive.NeedsSidecar(key) && !k.has(archive.SidecarKey(key)) {
			k.found.fault(FaultSidecar, archive.SidecarKey(key), 0, "It is not there")
		}
		if !archive.IsSidecar(key) {
			continue
		}
		data, ok, err := k.read(ctx, key, archive.MaxSidecar)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		s, err := archive.ParseSidecar(data)
		object := strings.TrimSuffix(key, ".json")
		d, there := k.seen[object]
		switch {
		case err != nil:
			k.found.fault(FaultSidecar, key, 0, err.Error())
		case s.Session != k.id || s.Object.Key != object || s.Page != archive.PageOfKey(object):
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
	text, err := archive.Read(ctx, k.Archive, k.indexed, archive.MaxObject)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.found.fault(FaultIndex, k.indexed, 0, "")
	case err != nil:
		return err
	case string(text) != archive.IndexText:
		k.found.fault(FaultIndex, k.indexed, 0, "Its entry is not what was written")
	}
	return nil
}

// redirect checks what says that another session has the fax, or that this one has the fax of others.
func (k *checking) redirect(ctx context.Context) error {
	for _, key := range k.listed {
		from, folded := strings.CutPrefix(key, archive.FoldedPrefix(k.id))
		from = strings.TrimSuffix(from, ".json")
		switch {
		case key == archive.RedirectKey(k.id):
			from = k.id
		case !folded:
			continue
		}
		data, ok, err := k.read(ctx, key, archive.MaxSidecar)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		k.named[key] = archive.NewObject(key, int64(len(data)), sha256.Sum256(data))
		if r, err := archive.ParseRedirect(data, from); err != nil {
			k.found.fault(FaultUnreadable, key, 0, err.Error())
		} else if folded && r.Into != k.id {
			k.found.fault(FaultForeign, key, 0, "It redirects session "+r.Session+" to "+r.Into)
		}
	}
	return nil
}

// revisions checks every revision that has a manifest, and wants one where there are documents.
func (k *checking) revisions(ctx context.Context) error {
	committed := archive.Revisions(k.revised, k.id, func(name string) bool { return name == "manifest.json" })
	before := link{}
	for _, n := range committed {
		var err error
		if before, err = k.revision(ctx, n, before); err != nil {
			return err
		}
	}
	k.found.Revisions = len(committed)
	for _, n := range archive.Revisions(k.revised, k.id, func(name string) bool { return strings.HasPrefix(name, "document.") }) {
		if n > before.revision {
			k.found.fault(FaultUncommitted, archive.RevisionKey(k.id, n, "manifest.json"), 0, "")
		}
	}
	return nil
}

func (k *checking) revision(ctx context.Context, n int, before link) (link, error) {
	key := archive.RevisionKey(k.id, n, "manifest.json")
	data, ok, err := k.read(ctx, key, archive.MaxJSON)
	if err != nil || !ok {
		return before, err
	}
	sum := sha256.Sum256(data)
	k.named[key] = archive.NewObject(key, int64(len(data)), sum)
	k.look(key, digest{int64(len(data)), sum})
	self := link{n, fmt.Sprintf("%x", sum)}
	var m archive.Manifest
	if err := archive.ParseStrict(data, &m); err != nil {
		k.found.fault(FaultUnreadable, key, 0, err.Error())
		return self, nil
	}
	if m.Session != k.id || m.Revision != n {
		k.found.fault(FaultForeign, key, 0, fmt.Sprintf("It is of session %s revision %d", m.Session, m.Revision))
		return self, nil
	}
	k.signature(key, m, data)
	k.found.Pages = len(m.Pages)
	plan, ok, err := k.plan(ctx, key, m)
	if err != nil || !ok {
		return self, err
	}
	r := &revisionCheck{checking: k, key: key, m: m, plan: plan, data: data}
	return self, r.run(ctx, before)
}

func (k *checking) signature(key string, m archive.Manifest, data []byte) {
	err := m.VerifySignature(data, k.Keys)
	switch {
	case err == nil:
		k.found.Signed++
	case errors.Is(err, sign.ErrUnsigned):
		k.found.Unsigned++
		if len(k.Keys) > 0 {
			k.found.fault(FaultUnsigned, key, 0, "")
		}
	case errors.Is(err, sign.ErrUnknownKey) && len(k.Keys) == 0:
		k.found.Unverified++
	case errors.Is(err, sign.ErrUnknownKey):
		k.found.fault(FaultUnknownKey, key, 0, "Its key id is "+m.Signature.KeyID)
	default:
		k.found.fault(FaultSignature, key, 0, "")
	}
}

// plan reads the plan of a manifest.
func (k *checking) plan(ctx context.Context, by string, m archive.Manifest) (p archive.Plan, ok bool, err error) {
	if want := archive.RevisionKey(m.Session, m.Revision, "plan.json"); m.Plan.Key != want {
		k.found.fault(FaultContradicts, by, 0, "It names the plan "+m.Plan.Key)
		return p, false, nil
	}
	data, ok, err := k.load(ctx, m.Plan, by)
	if err != nil || !ok {
		return p, false, err
	}
	if err := archive.ParseStrict(data, &p); err != nil {
		k.found.fault(FaultUnreadable, m.Plan.Key, 0, err.Error())
		return p, false, nil
	}
	if p.Session != m.Session || p.Revision != m.Revision {
		k.found.fault(FaultForeign, m.Plan.Key, 0, fmt.Sprintf("It is of session %s revision %d", p.Session, p.Revision))
		return p, false, nil
	}
	return p, true, nil
}

// reports names what comparisons with the whole file say was kept.
func (k *checking) reports(ctx context.Context) error {
	for _, key := range k.revised {
		if !archive.IsReport(key) {
			continue
		}
		data, ok, err := k.read(ctx, key, archive.MaxJSON)
		if err != nil {
			return err
		}
		if !ok || !k.look(key, digest{int64(len(data)), sha256.Sum256(data)}) {
			continue
		}
		var report archive.Report
		if err := archive.ParseStrict(data, &report); err != nil {
			k.found.fault(FaultUnreadable, key, 0, err.Error())
			continue
		}
		if dir := archive.RevisionKey(report.Session, report.Revision, ""); report.Session != k.id || !strings.HasPrefix(key, dir) {
			k.found.fault(FaultForeign, key, 0, fmt.Sprintf("It is of session %s revision %d", report.Session, report.Revision))
			continue
		}
		for _, o := range report.Objects() {
			k.name(o, key)
		}
	}
	return nil
}

// rasterOf decodes what has a name, once; "" where it does not decode.
func (k *checking) rasterOf(name string, decode func() (intake.Image, error)) (string, error) {
	if raster, done := k.rasters[name]; done {
		return raster, nil
	}
	m, err := decode()
	if _, failed := errors.AsType[*intake.Failure](err); err != nil && !failed {
		return "", fmt.Errorf("decode %s: %w", name, err)
	}
	k.rasters[name] = m.SHA256 // of what does not decode it is empty
	return m.SHA256, nil
}
