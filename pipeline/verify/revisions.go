package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/sign"
)

// revisions checks every revision that has a manifest. A newer revision with documents and no manifest is a fault.
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

// revision checks one revision that follows `before`, and returns what the next one must follow.
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
	err = archive.ParseStrict(data, &m)
	newer := errors.Is(err, archive.ErrNewer) && m.Software != k.Software
	if err != nil && !newer {
		k.found.fault(FaultUnreadable, key, 0, err.Error())
		return self, nil
	}
	if m.Session != k.id || m.Revision != n {
		k.found.fault(FaultForeign, key, 0, fmt.Sprintf("It belongs to session %s revision %d", m.Session, m.Revision))
		return self, nil
	}
	k.signature(key, m, data)
	k.found.Pages = len(m.Pages)
	if newer {
		k.found.fault(FaultNewer, key, 0, fmt.Sprintf("%.100q made it, this is %q: %v", m.Software, k.Software, err))
		k.names(key, m)
		return self, nil
	}
	plan, ok, err := k.plan(ctx, key, m)
	if err != nil || !ok {
		return self, err
	}
	r := &revisionCheck{checking: k, key: key, m: m, plan: plan, data: data}
	faults := len(k.found.Faults)
	if err := r.run(ctx, before); err != nil {
		return self, err
	}
	k.sound[n] = len(k.found.Faults) == faults
	return self, nil
}

// names notes the objects that a manifest names: each must be there and have its hash, whatever else can be checked.
func (k *checking) names(key string, m archive.Manifest) {
	named := append([]session.Object{m.Plan, m.PDF}, m.Reports...)
	if m.TIFF != nil {
		named = append(named, *m.TIFF)
	}
	for _, p := range m.Pages {
		if p.PNG != nil {
			named = append(named, *p.PNG)
		}
		if p.Original != nil {
			named = append(named, *p.Original)
		}
		if p.Original != nil && p.Sidecar != "" {
			named = append(named, session.Object{Key: archive.SidecarKey(p.Original.Key), Size: -1, SHA256: p.Sidecar})
		}
	}
	for _, o := range named {
		k.name(o, key)
	}
}

// signature checks the signature of a manifest, whose bytes are data, and counts it.
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
		k.found.unreadable(FaultUnreadable, m.Plan.Key, err)
		k.names(by, m)
		return p, false, nil
	}
	if p.Session != m.Session || p.Revision != m.Revision {
		k.found.fault(FaultForeign, m.Plan.Key, 0, fmt.Sprintf("It belongs to session %s revision %d", p.Session, p.Revision))
		return p, false, nil
	}
	return p, true, nil
}

// reports checks the reports, and names the objects in them.
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
			k.found.unreadable(FaultUnreadable, key, err)
			continue
		}
		if dir := archive.RevisionKey(report.Session, report.Revision, ""); report.Session != k.id || !strings.HasPrefix(key, dir) {
			k.found.fault(FaultForeign, key, 0, fmt.Sprintf("It belongs to session %s revision %d", report.Session, report.Revision))
			continue
		}
		k.served[key] = true // it is evidence, whether a manifest names it or not
		for _, o := range report.Objects() {
			k.name(o, key)
		}
	}
	return nil
}
