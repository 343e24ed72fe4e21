package document_test

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/pipelinetest"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/verify"
	"github.com/faxstream/faxstream/storage/s3"
	"github.com/faxstream/faxstream/storage/storagetest"
)

// TestAThousandPagesNeedLittleMemory: the process grows by less than 64 MiB for a fax of 1,000 pages in documents of 80 MB,
// which are sent to S3 in parts, and both archives get the same bytes.
func TestAThousandPagesNeedLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("2,000 pages: runs without -short")
	}
	const pages, limit = 1000, 64 << 20
	copied, encoded := pipelinetest.BenchPage(t, false), pipelinetest.BenchPage(t, true)
	originals := [][]byte{copied, copied, copied, encoded}
	var first *archive.Manifest
	for name, archive := range map[string]archive.Store{"plain files": pipelinetest.LocalArchive(t), "S3": s3Archive(t)} {
		wb := pipelinetest.NewWorkbench(t, archive)
		wb.Repeated("long", pages, originals...)
		order := wb.Order("long", session.PageReasons{pages + 1: session.ReasonNotYet})
		idle := idleMemory(t)
		m := wb.Assemble(order)
		grown := statusBytes(t, "VmHWM") - idle
		t.Logf("%s: %.1f MiB more than idle for a TIFF of %d and a PDF of %d bytes", name, float64(grown)/(1<<20), m.TIFF.Size, m.PDF.Size)
		if grown > limit {
			t.Errorf("%s: %d bytes more than idle, want at most %d", name, grown, limit)
		}
		if name == "plain files" {
			proveInLittleMemory(t, archive, limit+int(m.TIFF.Size+m.PDF.Size))
		}
		if m.TIFF.Size < limit || m.PDF.Size < limit {
			t.Errorf("documents of %d and %d bytes show nothing", m.TIFF.Size, m.PDF.Size)
		}
		if first == nil {
			first = &m
		} else if *first.TIFF != *m.TIFF || first.PDF != m.PDF {
			t.Errorf("%s: other documents from the same pages: %v and %v, want %v and %v", name, *m.TIFF, m.PDF, *first.TIFF, first.PDF)
		}
	}
}

// proveInLittleMemory checks the fax "long" the slow way too: its documents are made again. Those that are there lie in files while they
// are looked at, which the kernel counts as the process's as long as nobody else needs the memory.
func proveInLittleMemory(t *testing.T, archive archive.Store, limit int) {
	t.Helper()
	idle := idleMemory(t)
	c := verify.Checker{Archive: archive, Software: "faxstream test", ScratchDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	f, err := c.Session(t.Context(), "long")
	if err != nil || len(f.Faults) > 0 || f.Remade != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	grown := statusBytes(t, "VmHWM") - idle
	t.Logf("the check takes %.1f MiB more than idle", float64(grown)/(1<<20))
	if grown > limit {
		t.Errorf("the check takes %d bytes more than idle, want at most %d", grown, limit)
	}
}

func s3Archive(t testing.TB) archive.Store {
	t.Helper()
	endpoint, access, secret := storagetest.VersityGW(t)
	store, err := s3.Open(t.Context(), s3.Config{Bucket: storagetest.Bucket, Endpoint: endpoint, AccessKey: access, SecretKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// idleMemory gives back what is free and forgets the peak so far; it returns what the process holds, in bytes (Linux).
func idleMemory(t testing.TB) int {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("the kernel does not forget a peak: %v", err)
	}
	return statusBytes(t, "VmRSS")
}

// statusBytes reads a size from the kernel's words about this process.
func statusBytes(t testing.TB, name string) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal(fmt.Errorf("no %s", name))
	return 0
}
