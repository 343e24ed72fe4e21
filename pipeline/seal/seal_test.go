package seal

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
)

// journal is a FAX_AUDIT.
type journal struct {
	created time.Time
	entries []session.AuditEntry
	down    atomic.Bool
}

func (j *journal) err() error {
	if j.down.Load() {
		return errors.New("no JetStream")
	}
	return nil
}

func newJournal() *journal { return &journal{created: time.Now().UTC()} }

func (j *journal) AuditCreated(context.Context) (time.Time, error) { return j.created, j.err() }

func (j *journal) AuditEntries(_ context.Context, after uint64, f func(session.AuditEntry) bool) error {
	for _, e := range j.entries {
		if e.Sequence > after && !f(e) {
			break
		}
	}
	return j.err()
}

// add stores an access now, or some time from now as a server with another clock would.
func (j *journal) add(by string, off time.Duration) {
	data, err := json.Marshal(session.Access{Kind: session.AccessRead, By: by, Session: "abc"})
	if err != nil {
		panic(err)
	}
	seq := uint64(1)
	if n := len(j.entries); n > 0 {
		seq = j.entries[n-1].Sequence + 1
	}
	j.put(session.AuditEntry{
		Sequence: seq, Time: time.Now().Add(off).UTC(), Subject: "fax.v1.audit.access.read.abc", Data: data,
	})
}

// put stores an entry for a sealer that may run in another goroutine: it waits now, and looks at down before it reads.
func (j *journal) put(e session.AuditEntry) {
	synctest.Wait()
	j.entries = append(j.entries, e)
	j.down.Store(j.down.Load())
}

// at runs f in a bubble whose clock starts at midnight of 1 January 2000.
func at(t *testing.T, f func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j, v := newJournal(), pipelinetest.Vault{}
		f(t, Sealer{Audit: j, Archive: v, ScratchDir: dir, Log: slog.New(slog.DiscardHandler)}, j, v)
	})
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func wantSound(t *testing.T, v pipelinetest.Vault, seals, entries int, keys ...ed25519.PublicKey) {
	t.Helper()
	r, err := Check(t.Context(), v, LastSealable(time.Now()), keys)
	if err != nil || len(r.Faults) > 0 || r.Seals != seals || r.Entries != entries {
		t.Errorf("%+v, %v, want %d seals of %d entries and no fault", r, err, seals, entries)
	}
}

// A day is sealed ten minutes after it ends, one without entries too, and every entry is in exactly one seal.
func TestEveryDayIsSealedOnce(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		s.must(t, 0) // nothing has happened yet: no chain begins
		time.Sleep(days(3) + time.Hour)
		j.add("alice", 0)
		j.add("bob", 0)
		j.entries = append(j.entries, session.AuditEntry{
			Sequence: 7, Time: time.Now().UTC(), Subject: "fax.v1.audit.x",
			Data: []byte("\xff no JSON"),
		})
		time.Sleep(23*time.Hour + 9*time.Minute)
		s.must(t, 0) // 9 minutes after midnight
		time.Sleep(time.Minute)
		s.must(t, 1)
		s.must(t, 0)
		wantSound(t, v, 1, 3)
		time.Sleep(days(2)) // there is no entry, and faxstream is not running
		j.add("carol", 0)
		s.must(t, 2)
		wantSound(t, v, 3, 3)
		time.Sleep(days(1))
		s.must(t, 1)
		wantSound(t, v, 4, 4)
		var got []string
		last, err := Entries(t.Context(), v, time.Time{}, time.Now(), func(e Entry) error {
			got = append(got, fmt.Sprintf("%d %s%s", e.Sequence, e.Entry, e.Bytes))
			return nil
		})
		if err != nil || len(got) != 4 || !strings.Contains(got[1], "bob") || got[2] != "7 \xff no JSON" ||
			!strings.Contains(got[3], "carol") || last.Last != 8 {
			t.Errorf("%q, %+v, %v", got, last, err)
		}
		if keys := slices.Sorted(maps.Keys(v)); keys[0] != "audit/2000/01/04.jsonl" || keys[3] != "audit/2000/01/07.jsonl" {
			t.Errorf("%v", keys)
		}
	})
}

// Entries of a server whose clock was late, and entries of a new stream, are sealed with the next day.
func TestNoEntryFallsBetweenTwoSeals(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		j.add("alice", 0)
		time.Sleep(days(1) + time.Hour)
		s.must(t, 1)
		j.add("late", -90*time.Minute) // stamped before the midnight that is sealed
		time.Sleep(days(1))
		s.must(t, 1)
		wantSound(t, v, 2, 2)
		*j = *newJournal() // JetStream was lost
		j.add("anew", 0)
		time.Sleep(days(1))
		s.must(t, 1)
		wantSound(t, v, 3, 3)
	})
}

// Two processes write the same seal, and the second one continues from the seal that is there.
func TestTwoProcessesSealTheSame(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		j.add("alice", 0)
		time.Sleep(days(3) + time.Hour)
		other := pipelinetest.Vault{}
		second := s
		second.Archive = other
		s.must(t, 3)
		second.must(t, 3)
		if !maps.EqualFunc(v, other, bytes.Equal) {
			t.Error("two processes write different seals")
		}
		// One that signs comes second on a day and first on the next.
		delete(other, "audit/2000/01/02.jsonl")
		delete(other, "audit/2000/01/03.jsonl")
		var err error
		if _, second.Key, err = ed25519.GenerateKey(nil); err != nil {
			t.Fatal(err)
		}
		second.Archive = racing{other, pipelinetest.Vault{"audit/2000/01/02.jsonl": v["audit/2000/01/02.jsonl"]}}
		second.must(t, 1)
		wantSound(t, other, 3, 1)
	})
}

// racing is an archive to which another process writes just before us.
type racing struct{ vault, other pipelinetest.Vault }

func (r racing) Create(ctx context.Context, key string, body io.ReadSeeker, size int64, sum [sha256.Size]byte) error {
	if theirs, ok := r.other[key]; ok {
		r.vault[key] = theirs
	}
	return r.vault.Create(ctx, key, body, size, sum)
}

func (r racing) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	return r.vault.Open(ctx, key)
}

func (r racing) List(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return r.vault.List(ctx, prefix, after)
}

// Every change of a seal is found, offline.
func TestEveryTamperingWithSealsIsFound(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Key = key
		for _, by := range []string{"alice", "bob", "carol", "dave"} {
			j.add(by, 0)
			j.add(by, 0)
			time.Sleep(days(1))
		}
		time.Sleep(time.Hour)
		s.must(t, 4)
		public := key.Public().(ed25519.PublicKey)
		wantSound(t, v, 4, 8, public)
		seal := func(day int) string { return fmt.Sprintf("audit/2000/01/%02d.jsonl", day) }
		lines := func(text []byte) [][]byte { return bytes.SplitAfter(text, []byte("\n")) }
		for name, c := range map[string]struct {
			tamper func(v pipelinetest.Vault)
			says   string
		}{
			"an entry edited": {
				func(v pipelinetest.Vault) { v[seal(2)] = bytes.Replace(v[seal(2)], []byte("bob"), []byte("eve"), 1) },
				"02.jsonl: the seal was changed after it was written",
			},
			"an entry removed": {func(v pipelinetest.Vault) {
				l := lines(v[seal(2)])
				v[seal(2)] = bytes.Join(slices.Delete(l, 1, 2), nil)
			}, "02.jsonl"},
			"an entry twice": {func(v pipelinetest.Vault) {
				l := lines(v[seal(2)])
				v[seal(2)] = bytes.Join(slices.Insert(l, 1, l[1]), nil)
			}, "02.jsonl"},
			"entries in other order": {func(v pipelinetest.Vault) {
				l := lines(v[seal(2)])
				l[1], l[2] = l[2], l[1]
				v[seal(2)] = bytes.Join(l, nil)
			}, "02.jsonl"},
			"cut short": {func(v pipelinetest.Vault) { v[seal(2)] = v[seal(2)][:len(v[seal(2)])-1] }, "its end is missing"},
			"more behind it": {
				func(v pipelinetest.Vault) { v[seal(4)] = append(bytes.Clone(v[seal(4)]), "{}\n"...) },
				"more lines",
			},
			"no signature": {
				func(v pipelinetest.Vault) { l := lines(v[seal(4)]); v[seal(4)] = bytes.Join(l[:3], nil) },
				"04.jsonl",
			},
			"the first removed": {func(v pipelinetest.Vault) { delete(v, seal(1)) }, "the seal before it is missing"},
			"one in between removed": {
				func(v pipelinetest.Vault) { delete(v, seal(2)) },
				"the seals of the days after 2000-01-01 are missing",
			},
			"the newest removed": {
				func(v pipelinetest.Vault) { delete(v, seal(4)) },
				"the days after 2000-01-03 up to 2000-01-04 have no seal",
			},
			"two swapped": {
				func(v pipelinetest.Vault) { v[seal(2)], v[seal(3)] = v[seal(3)], v[seal(2)] },
				"it is the seal of 2000-01-03",
			},
			"one twice":            {func(v pipelinetest.Vault) { v[seal(3)] = v[seal(2)] }, "it is the seal of 2000-01-02"},
			"a foreign object":     {func(v pipelinetest.Vault) { v["audit/2000/1/2.jsonl"] = nil }, "this is not the name of a seal"},
			"the newest made anew": {func(v pipelinetest.Vault) { forge(t, v, j, s, seal(4)) }, "it has no signature"},
			"the newest forged": {func(v pipelinetest.Vault) {
				_, s.Key, _ = ed25519.GenerateKey(nil)
				forge(t, v, j, s, seal(4))
			}, "a key that was not given"},
			"one in between replaced": {
				func(v pipelinetest.Vault) { forge(t, v, j, s, seal(2)) },
				"it does not follow the present seal of 2000-01-02",
			},
		} {
			tampered := maps.Clone(v)
			s.Key = nil
			c.tamper(tampered)
			r, err := Check(t.Context(), tampered, LastSealable(time.Now()), []ed25519.PublicKey{public})
			if err != nil || !strings.Contains(strings.Join(r.Faults, "\n"), c.says) {
				t.Errorf("%s: %q, %v, want %q", name, r.Faults, err, c.says)
			}
		}
	})
}

// forge makes a seal again with other entries. It is correct by itself and follows the one before it.
func forge(t *testing.T, v pipelinetest.Vault, j *journal, s Sealer, key string) {
	t.Helper()
	delete(v, key)
	other := journal{created: j.created, entries: slices.Clone(j.entries)}
	for i, e := range other.entries {
		other.entries[i].Data = bytes.ReplaceAll(e.Data, []byte(`"read"`), []byte(`"none"`))
	}
	day, ok := sealDay(key)
	if !ok {
		t.Fatal(key)
	}
	s.Archive, s.Audit = v, &other
	previous := sealedDay{}
	if before := day.AddDate(0, 0, -1); v[keyOf(before)] != nil {
		var err error
		if previous, err = s.existing(t.Context(), before); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.seal(t.Context(), day, j.created, &previous); err != nil {
		t.Fatal(err)
	}
}

// A newest seal that was replaced, hashes and all, is not chained on: FAX_AUDIT still knows better.
func TestAReplacedNewestSealStopsTheChain(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		j.add("alice", 0)
		time.Sleep(days(1) + time.Hour)
		s.must(t, 1)
		good := maps.Clone(v)
		forge(t, v, j, s, "audit/2000/01/01.jsonl")
		time.Sleep(days(1))
		if sealed, err := s.Seal(t.Context()); sealed != 0 || !errors.Is(err, errSeal) {
			t.Errorf("sealed %d after a replaced seal: %v", sealed, err)
		}
		s.Archive = good
		s.must(t, 1)
	})
}

// Nor one that begins behind entries which no seal has.
func TestASealThatLeavesEntriesOutStopsTheChain(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		for _, by := range []string{"alice", "bob"} {
			j.add(by, 0)
			time.Sleep(days(1))
		}
		time.Sleep(time.Hour)
		s.must(t, 2)
		const newest = "audit/2000/01/02.jsonl"
		previous, err := s.existing(t.Context(), time.Now().AddDate(0, 0, -2).Truncate(days(1)))
		if err != nil {
			t.Fatal(err)
		}
		delete(v, newest)
		previous.Last = j.entries[1].Sequence // as if bob's entry were sealed before
		if _, err := s.seal(t.Context(), previous.day.AddDate(0, 0, 1), j.created, &previous); err != nil {
			t.Fatal(err)
		}
		time.Sleep(days(1))
		if sealed, err := s.Seal(t.Context()); sealed != 0 || !errors.Is(err, errSeal) {
			t.Errorf("sealed %d after a seal without bob's entry: %v", sealed, err)
		}
	})
}

// One entry from a server whose clock was years ahead keeps no other from being sealed in time.
func TestAnEntryOfADayToComeEndsNoSeal(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		j.add("first", days(1000))
		j.add("alice", 0)
		j.add("ahead", days(1000))
		j.add("bob", 0)
		time.Sleep(days(1) + time.Hour)
		j.add("carol", 0)
		s.must(t, 1)
		wantSound(t, v, 1, 4)
		time.Sleep(days(1))
		s.must(t, 1)
		wantSound(t, v, 2, 5)
	})
}

// An entry that was deleted from FAX_AUDIT before it was sealed leaves a number without an entry.
func TestVerifyingCountsWhatWasNeverSealed(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		for _, by := range []string{"alice", "bob", "carol"} {
			j.add(by, 0)
		}
		j.entries = slices.Delete(j.entries, 1, 2)
		time.Sleep(days(1) + time.Hour)
		s.must(t, 1)
		if r, err := Check(t.Context(), v, LastSealable(time.Now()), nil); err != nil || r.Gaps != 1 || r.Entries != 2 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// Run waits for the end of each day, and tries again what failed.
func TestSealingRunsEveryDay(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		j.add("alice", 0)
		var tried error
		s.Tried = func(err error) { tried = err }
		run := func(d time.Duration) (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			go s.Run(ctx)
			time.Sleep(d)
			return func() {
				cancel()
				synctest.Wait()
			}
		}
		run(days(3) + 11*time.Minute)()
		wantSound(t, v, 3, 1)
		j.down.Store(true)
		before := len(v)
		run(days(1))()
		if len(v) != before || tried == nil {
			t.Errorf("%d more seals without JetStream, Tried got %v", len(v)-before, tried)
		}
		stop := run(time.Minute)
		j.down.Store(false)
		time.Sleep(sealRetry)
		stop()
		wantSound(t, v, 4, 1)
		if tried != nil {
			t.Errorf("after it was sealed Tried got %v", tried)
		}
	})
}

// A clock that is years off seals nothing, since no seal can be taken back.
func TestAWrongClockSealsNothing(t *testing.T) {
	at(t, func(t *testing.T, s Sealer, j *journal, v pipelinetest.Vault) {
		j.add("alice", 0)
		time.Sleep(days(1000))
		if sealed, err := s.Seal(t.Context()); sealed != 0 || len(v) != 0 || err == nil ||
			!strings.Contains(err.Error(), "check the clock") {
			t.Errorf("sealed %d: %v", sealed, err)
		}
	})
}

// A seal that is accepted is written just as we write it.
func FuzzParseSeal(f *testing.F) {
	f.Add([]byte(`{"day":"2000-01-01","stream_created":"2000-01-01T00:00:00Z","after":0,"last":0,"entries":0,` +
		`"entries_sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again bytes.Buffer
		var body bytes.Buffer
		seal, err := parseSeal(bytes.NewReader(data), func(e Entry) error {
			line, err := json.Marshal(e)
			body.Write(append(line, '\n'))
			return err
		}, nil)
		if err != nil {
			return
		}
		head, err := json.Marshal(seal)
		if err != nil {
			t.Fatal(err)
		}
		again.Write(append(head, '\n'))
		again.Write(body.Bytes())
		if seal.KeyID == "" && !bytes.Equal(again.Bytes(), data) || !bytes.HasPrefix(data, again.Bytes()) {
			t.Fatalf("%q is read as %q", data, again.Bytes())
		}
	})
}

func (s Sealer) must(t *testing.T, want int) {
	t.Helper()
	if sealed, err := s.Seal(t.Context()); err != nil || sealed != want {
		t.Fatalf("sealed %d days, %v, want %d", sealed, err, want)
	}
}
