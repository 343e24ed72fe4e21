package bus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// needMemory skips a test on a system that has no files in memory.
func needMemory(t *testing.T) {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memoryDir, &fs); err != nil || int64(fs.Type) != tmpfsMagic {
		t.Skipf("%s is not in memory: %v", memoryDir, err)
	}
}

// recordMany stores n facts of a session at the same time.
func recordMany(t *testing.T, b *Bus, id string, n int) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if _, err := b.Record(t.Context(), page(id, i+1)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// batched is how many of the facts 1 to n of a session were stored in a batch.
func batched(t *testing.T, b *Bus, id string, n int) (in int) {
	t.Helper()
	for i := range n {
		if lastOf(t, b, StreamIn, page(id, i+1).Subject()).Header.Get("Nats-Batch-Id") != "" {
			in++
		}
	}
	return in
}

// wantBatches stores facts at the same time until some of them share a batch: on a busy machine they may come one after another.
func wantBatches(t *testing.T, b *Bus, id string) {
	t.Helper()
	const rounds, n = 20, 32
	for round := range rounds {
		one := fmt.Sprint(id, round)
		if recordMany(t, b, one, n); batched(t, b, one, n) > 1 {
			return
		}
	}
	t.Errorf("in %d rounds of %d facts no two were stored in a batch", rounds, n)
}

func TestUnfinishedBatchesAreInMemory(t *testing.T) {
	t.Parallel()
	needMemory(t)
	dir := t.TempDir()
	b := open(t, dir)
	stage := b.server.stage
	for _, stream := range grouped {
		if target, err := os.Readlink(batchesOf(dir, stream)); err != nil || target != filepath.Join(stage, stream) {
			t.Errorf("the batches of %s are in %q, %v; want them in memory", stream, target, err)
		}
	}
	if info, err := os.Stat(stage); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%s is %v, %v; want it for this user only", stage, info.Mode(), err)
	}
	wantBatches(t, b, "s")
	closeBus(t, b)
	if _, err := os.Stat(stage); !os.IsNotExist(err) {
		t.Errorf("%s is left after the end: %v", stage, err)
	}
}

// Somebody removes our files in memory, such as a system that cleans up after a user. No fact is refused, and batches come back.
func TestBatchesWithoutTheirPlaceGoOneByOne(t *testing.T) {
	t.Parallel()
	needMemory(t)
	b := open(t, t.TempDir())
	if err := os.RemoveAll(b.server.stage); err != nil {
		t.Fatal(err)
	}
	recordMany(t, b, "without", 64)
	if !b.groups[StreamIn].single.Load() {
		t.Fatal("no batch was refused: the test shows nothing")
	}
	if n := count(t, b, StreamIn); n != 64 || b.Ready(t.Context()) != nil {
		t.Errorf("%d facts are stored, want 64; ready: %v", n, b.Ready(t.Context()))
	}
	b.repair(t.Context())
	wantBatches(t, b, "again")
}

// A process that was killed leaves its files in memory; the next one removes them, and nothing that a link points to elsewhere.
func TestWhatAKilledProcessLeftInMemoryIsRemoved(t *testing.T) {
	t.Parallel()
	needMemory(t)
	dir := t.TempDir()
	closeBus(t, open(t, dir))
	left, err := os.MkdirTemp(memoryDir, stagePrefix)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	for stream, target := range map[string]string{
		StreamIn: filepath.Join(left, StreamIn), StreamPages: filepath.Join(elsewhere, StreamPages),
	} {
		if err := os.Mkdir(target, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(batchesOf(dir, stream)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, batchesOf(dir, stream)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, StreamPages)); err != nil {
		t.Errorf("a directory that is not ours is gone: %v", err)
	}
}

// After a power cut a stream may have the first messages of a batch, and what was in memory is gone. The store opens, keeps them, and takes
// the missing ones when they are sent again.
func TestAPartOfABatchIsAFactLikeOthers(t *testing.T) {
	t.Parallel()
	needMemory(t)
	dir := t.TempDir()
	b := open(t, dir)
	var batch []*put
	for n := range 8 {
		data, err := json.Marshal(page("s", n+1))
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, &put{msg: factMsg(page("s", n+1), data)})
	}
	last, err := b.groups[StreamIn].many(batch)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.js.Stream(t.Context(), StreamIn)
	if err == nil {
		err = s.DeleteMsg(t.Context(), last)
	}
	if err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)

	b = open(t, dir)
	repeats := 0
	for n := range 8 {
		repeat, err := b.Record(t.Context(), page("s", n+1))
		if err != nil {
			t.Fatal(err)
		}
		if repeat {
			repeats++
		}
	}
	if n := count(t, b, StreamIn); repeats != 7 || n != 8 || b.Ready(t.Context()) != nil {
		t.Errorf("%d facts were there, want 7; now %d, want 8; ready: %v", repeats, n, b.Ready(t.Context()))
	}
}
