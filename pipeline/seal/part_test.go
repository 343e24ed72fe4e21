package seal

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// running runs the sealer; stop ends it as a signal does.
func running(t *testing.T, s Sealer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	synctest.Wait()
	return func() { cancel(); <-done }
}

func (j *journal) RestoreAudit(_ context.Context, e session.AuditEntry) error {
	e.Sequence = 1
	if n := len(j.entries); n > 0 {
		e.Sequence = j.entries[n-1].Sequence + 1
	}
	e.Subject = session.RestoredSubject(e.Subject)
	j.entries = append(j.entries, e)
	return j.err()
}

// names are who did the entries, in order.
func names(t *testing.T, list func(func(Entry) error) error) (by []string) {
	t.Helper()
	err := list(func(e Entry) error {
		var a session.Access
		if err := json.Unmarshal(e.Entry, &a); err != nil {
			return err
		}
		by = append(by, a.By)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return by
}

func sealed(t *testing.T, v pipelinetest.Vault) []string {
	t.Helper()
	return names(t, func(f func(Entry) error) error {
		return AllEntries(t.Context(), v, time.Time{}, time.Now().AddDate(0, 0, 1), f)
	})
}

// wantParts wants a sound chain with so many parts, and so many entries that only parts have.
func wantParts(t *testing.T, v pipelinetest.Vault, parts, only int, keys ...ed25519.PublicKey) {
	t.Helper()
	r, err := Check(t.Context(), v, time.Time{}, keys)
	if err != nil || len(r.Faults) > 0 || r.Parts != parts || r.InParts != only {
		t.Errorf("%+v, %v, want %d parts, %d entries only in parts, and no fault", r, err, parts, only)
	}
}

// What was recorded is in the archive after an hour, or when the process stops; the daily seals are the same as without parts.
func TestTheAuditIsSealedHourlyAndAtTheStop(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		stop := running(t, s)
		j.add("alice", 0)
		time.Sleep(partEvery)
		synctest.Wait()
		if got := sealed(t, v); !slices.Equal(got, []string{"alice"}) {
			t.Errorf("after an hour %q is sealed", got)
		}
		time.Sleep(3 * partEvery) // nothing is new: no part
		wantParts(t, v, 1, 1)
		j.add("bob", 0)
		j.add("carol", 0)
		stop()
		if got := sealed(t, v); !slices.Equal(got, []string{"alice", "bob", "carol"}) {
			t.Errorf("after the stop %q is sealed", got)
		}
		wantParts(t, v, 2, 3)
		stop = running(t, s)
		j.add("dave", 0)
		time.Sleep(days(1))
		synctest.Wait()
		wantParts(t, v, 3, 0)
		j.add("erin", 0)
		stop()
		wantParts(t, v, 4, 1)
		if got := sealed(t, v); !slices.Equal(got, []string{"alice", "bob", "carol", "dave", "erin"}) {
			t.Errorf("%q is sealed, want each entry once", got)
		}
		daily := pipelinetest.Vault{}
		s.Archive = daily
		s.must(t, 1)
		for key := range daily {
			if !bytes.Equal(daily[key], v[key]) {
				t.Errorf("%s differs where there are parts", key)
			}
		}
	})
}

// More entries than fit into one part make several; two processes go on from each other's.
func TestPartsAreLimitedAndShared(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		for range 20 {
			j.add(strings.Repeat("x", maxPart/8), 0) // with what is around it, 7 fit into a part
		}
		one, other := &parts{}, &parts{}
		if err := s.part(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		wantParts(t, v, 3, 20)
		j.add("next", 0)
		if err := s.part(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		j.add("last", 0)
		if err := s.part(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		wantParts(t, v, 5, 22)
	})
}

// Whatever is done to the parts is found, also if hashes were made to fit: the daily seals have the same entries.
func TestEveryTamperingWithPartsIsFound(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		stop := running(t, s)
		for _, by := range []string{"alice", "bob", "carol", "dave"} {
			j.add(by, 0)
			time.Sleep(partEvery)
		}
		time.Sleep(days(1))
		j.add("erin", 0)
		stop()
		wantParts(t, v, 5, 1)
		part := func(day, n int) string { return fmt.Sprintf("audit-parts/2000/01/%02d/%04d.jsonl", day, n) }
		for name, c := range map[string]struct {
			tamper func(v pipelinetest.Vault)
			says   string
		}{
			"an entry edited": {func(v pipelinetest.Vault) {
				v[part(1, 2)] = bytes.Replace(v[part(1, 2)], []byte("bob"), []byte("eve"), 1)
			}, "0002.jsonl: the seal was changed"},
			"one removed":         {func(v pipelinetest.Vault) { delete(v, part(1, 2)) }, "0003.jsonl: the part before it is missing"},
			"the first removed":   {func(v pipelinetest.Vault) { delete(v, part(1, 1)) }, "0002.jsonl: the part before it is missing"},
			"the last of a day":   {func(v pipelinetest.Vault) { delete(v, part(1, 4)) }, "does not follow the present part"},
			"two swapped":         {func(v pipelinetest.Vault) { v[part(1, 2)], v[part(1, 3)] = v[part(1, 3)], v[part(1, 2)] }, "it is part 3"},
			"a daily seal as one": {func(v pipelinetest.Vault) { v[part(1, 2)] = v["audit/2000/01/01.jsonl"] }, "it is part 0"},
			"one as a daily seal": {func(v pipelinetest.Vault) { v["audit/2000/01/01.jsonl"] = v[part(1, 1)] }, "it is part 1"},
			"a foreign object":    {func(v pipelinetest.Vault) { v["audit-parts/x"] = nil }, "not the name of a seal"},
			"all of a day forged": {func(v pipelinetest.Vault) {
				maps.DeleteFunc(v, func(key string, _ []byte) bool { return strings.HasPrefix(key, partPrefix) })
				forged := s
				forged.Archive = v
				other := journal{created: j.created, entries: slices.Clone(j.entries)}
				other.entries[1].Data = bytes.Replace(other.entries[1].Data, []byte("bob"), []byte("eve"), 1)
				forged.Audit = &other
				without := maps.Clone(v)
				maps.DeleteFunc(v, func(string, []byte) bool { return true })
				if err := forged.part(t.Context(), &parts{}); err != nil {
					t.Fatal(err)
				}
				maps.Copy(v, without)
			}, "have different entries, first entry 2"},
		} {
			tampered := maps.Clone(v)
			c.tamper(tampered)
			r, err := Check(t.Context(), tampered, time.Time{}, nil)
			if err != nil || !strings.Contains(strings.Join(r.Faults, "\n"), c.says) {
				t.Errorf("%s: %q, %v, want %q", name, r.Faults, err, c.says)
			}
		}
	})
}

// FAX_AUDIT is lost at noon: what parts have comes back, once, and is in the next daily seal; what was lost is said.
func TestALostAuditIsRestoredFromParts(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		stop := running(t, s)
		j.add("yesterday", 0)
		time.Sleep(days(1) + time.Hour)
		j.add("alice", 0)
		order, err := json.Marshal(session.Action{Kind: session.ActionPurged, By: "bob", Session: "abc"})
		if err != nil {
			t.Fatal(err)
		}
		j.put(session.AuditEntry{Sequence: 3, Time: time.Now().UTC(), Subject: "fax.v1.audit.keep.purged.abc", Data: order})
		ordered := time.Now().UTC()
		time.Sleep(partEvery)
		synctest.Wait()
		j.add("lost", 0)
		j.down.Store(true) // the process is killed: it seals nothing at its stop
		stop()
		anew := newJournal()
		s.Audit = anew
		done, err := Restore(t.Context(), v, anew)
		if err != nil || !done.Lost || done.Entries != 2 || !done.Until.Equal(ordered) {
			t.Errorf("%+v, %v, want the 2 entries up to %s", done, err, ordered)
		}
		if done, err := Restore(t.Context(), v, anew); err != nil || done.Entries != 0 || len(anew.entries) != 2 {
			t.Errorf("again: %+v, %v, %d entries", done, err, len(anew.entries))
		}
		if e := anew.entries[1]; e.Subject != "fax.v1.audit.restored.keep.purged.abc" || !e.Time.Equal(ordered) {
			t.Errorf("the order is restored as %+v", e)
		}
		stop = running(t, s)
		anew.add("carol", 0)
		time.Sleep(days(1))
		synctest.Wait()
		stop()
		if done, err := Restore(t.Context(), v, anew); err != nil || done.Lost || done.Entries != 0 {
			t.Errorf("with FAX_AUDIT alive: %+v, %v", done, err)
		}
		if got := sealed(t, v); !slices.Equal(got, []string{"yesterday", "alice", "bob", "carol"}) {
			t.Errorf("%q is sealed", got)
		}
		r, err := Check(t.Context(), v, time.Time{}, nil)
		if err != nil || len(r.Faults) > 0 || r.Seals != 2 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// An archive of an older version has no parts: it verifies, and parts begin behind its last seal.
func TestAnArchiveWithoutPartsGoesOn(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		j.add("alice", 0)
		time.Sleep(days(1) + time.Hour)
		s.must(t, 1)
		wantParts(t, v, 0, 0)
		stop := running(t, s)
		j.add("bob", 0)
		stop()
		wantParts(t, v, 1, 1)
		if got := sealed(t, v); !slices.Equal(got, []string{"alice", "bob"}) {
			t.Errorf("%q is sealed", got)
		}
	})
}

func FuzzParsePart(f *testing.F) {
	f.Add("audit-parts/2026/11/27/0001.jsonl")
	f.Add("audit-parts/2026/11/27/10000.jsonl")
	f.Fuzz(func(t *testing.T, key string) {
		if p, ok := parsePart(key); ok && p.key() != key {
			t.Errorf("%q is read as %q", key, p.key())
		}
	})
}

// An object under a name that sorts behind all others does not keep the sealer busy for ever: it says what is wrong, and tries again later.
func TestAForeignLastPartEndsTheAttempt(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		v[partName{dayOf(time.Now()), 9999}.key()] = []byte("foreign")
		v[partName{dayOf(time.Now()), 10000}.key()] = []byte("foreign")
		j.add("alice", 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.part(ctx, &parts{}); err == nil || !strings.Contains(err.Error(), "exists") {
			t.Errorf("%v, want an error that names the object", err)
		}
	})
}

// An entry of an edited part whose subject is none of FAX_AUDIT is named, and does not keep the others from being restored.
func TestAnEntryWithAForeignSubjectIsLeftOut(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		for i, subject := range []string{
			"fax.v1.audit.access.read.a", "fax.v1.audit.access.*.a", "fax.v1.audit.", "fax.v1.in.kept.a", "fax.v1.audit.b c",
		} {
			j.put(session.AuditEntry{Sequence: uint64(i + 1), Time: time.Now().UTC(), Subject: subject, Data: []byte(`{"by":"alice"}`)})
		}
		j.add("bob", 0)
		if err := s.part(t.Context(), &parts{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		anew := newJournal()
		done, err := Restore(t.Context(), v, anew)
		if done.Entries != 2 || !errors.Is(err, errSeal) || strings.Count(err.Error(), "has the subject") != 4 {
			t.Errorf("%+v, %v, want 2 entries restored and 4 named", done, err)
		}
		if n := len(anew.entries); n != 2 {
			t.Errorf("%d entries are restored", n)
		}
	})
}
