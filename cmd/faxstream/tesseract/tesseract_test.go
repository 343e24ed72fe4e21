package tesseract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/session"
)

// fake is a program that does what a shell script says.
func fake(t *testing.T, script string) Program {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tesseract")
	text := "#!/bin/sh\n" +
		"case $1 in --version) echo tesseract 9.8.7; exit;; --list-langs) echo 'List of languages'; echo eng; exit;; esac\n" + script
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := Find(t.Context(), file, []string{"eng"})
	if err != nil {
		t.Fatal(err)
	}
	p.Timeout, p.Memory = 10*time.Second, 1e9
	return p
}

// desk is an API with some events, and what a worker said of them.
type desk struct {
	mu      sync.Mutex
	events  []api.ClaimedEvent
	texts   map[string]client.Text // by session
	settled map[string]string      // by lease
	done    func()                 // when nothing is left
}

func (d *desk) Claim(ctx context.Context, name string, _ api.ClaimOrder) (api.Claimed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name != "ocr" {
		return api.Claimed{}, fmt.Errorf("%s: %w", name, client.ErrNotFound)
	}
	if len(d.events) == 0 {
		d.done()
		return api.Claimed{}, context.Cause(ctx)
	}
	e := d.events[0]
	d.events = d.events[1:]
	return api.Claimed{Events: []api.ClaimedEvent{e}}, nil
}

func (d *desk) AddSubscriber(context.Context, api.SubscriberOrder) (api.Subscriber, error) {
	return api.Subscriber{}, errors.New("not allowed")
}

func (d *desk) Settle(_ context.Context, _ string, o api.SettleOrder) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range o.Events {
		d.settled[e.Lease] = strings.TrimSpace(e.As + " " + e.Delay + " " + e.Why)
	}
	return nil
}

func (d *desk) Stored(_ context.Context, key string) ([]byte, error) {
	if strings.Contains(key, "gone") {
		return nil, fmt.Errorf("%s: %w", key, client.ErrNotFound)
	}
	return []byte("image"), nil
}

func (d *desk) PutText(_ context.Context, t client.Text) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch t.Session {
	case "refused":
		return client.ErrRequest
	case "unreachable":
		return errors.New("no answer")
	}
	d.texts[t.Session] = t
	return nil
}

// work lets a worker handle events of faxes of these names, each with so many tries, and gives what it did.
func work(t *testing.T, p Program, tries int, sessions ...string) *desk {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := &desk{texts: map[string]client.Text{}, settled: map[string]string{}, done: cancel}
	for _, id := range sessions {
		data, err := json.Marshal(session.PageArchived{
			Session: id, Page: 3, RasterSHA256: "raster", PNG: session.Object{Key: "faxes/" + id + "/pages/0003.png"},
			Quality: &session.Quality{Blank: id == "blank"},
		})
		if err != nil {
			t.Fatal(err)
		}
		d.events = append(d.events, api.ClaimedEvent{Lease: id, Tries: tries, Data: data})
	}
	w := &Worker{API: d, Name: "ocr", Program: p, AtOnce: 1, Log: slog.New(slog.DiscardHandler)}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

// The worker sends what Tesseract prints, with the image, version and languages. A blank page is not read, and has an empty text.
func TestTextsAreSent(t *testing.T) {
	d := work(t, fake(t, `[ "$2 $3 $4 $5" = "stdout -l eng tsv" ] && cat "$1"`), 1, "fax", "blank")
	f, b := d.texts["fax"], d.texts["blank"]
	if string(f.Data) != "image" || f.Format != "tsv" || f.Engine != Engine || f.Version != "9.8.7" || f.Page != 3 || f.Raster != "raster" {
		t.Errorf("sent %+v", f)
	}
	if len(b.Data) > 0 || b.Format != "plain" || d.settled["fax"] != "done" || d.settled["blank"] != "done" {
		t.Errorf("of a blank page %+v; settled %v", b, d.settled)
	}
}

// A page that makes Tesseract crash, hang or take too much memory costs one more try; then it is given up, and the next page is read. So
// does a page that is gone, or whose text is refused. An API that does not answer is not the page's fault: it is tried until it works.
func TestAFailureCostsOnePageOneRetry(t *testing.T) {
	hang := fake(t, "sleep 1000")
	hang.Timeout = 100 * time.Millisecond
	greedy := fake(t, `x=$(head -c 300000000 /dev/zero | tr '\0' x); echo ${#x}`)
	greedy.Memory = 100e6
	for name, row := range map[string]struct {
		program Program
		session string
		want    [2]string // of the first try, and of the second
	}{
		"a crash":           {fake(t, "echo broken >&2; kill -9 $$"), "fax", [2]string{"later 10s", "fail"}},
		"an error":          {fake(t, "echo broken >&2; exit 1"), "fax", [2]string{"later 10s", "fail"}},
		"a hang":            {hang, "fax", [2]string{"later 10s", "fail"}},
		"too much memory":   {greedy, "fax", [2]string{"later 10s", "fail"}},
		"no PNG":            {fake(t, "true"), "gone", [2]string{"later 10s", "fail"}},
		"a text is refused": {fake(t, "true"), "refused", [2]string{"later 10s", "fail"}},
		"no answer":         {fake(t, "true"), "unreachable", [2]string{"later 10s", "later 10s"}},
	} {
		for i, want := range row.want {
			d := work(t, row.program, i+1, row.session, "blank")
			if !strings.HasPrefix(d.settled[row.session], want) || d.settled["blank"] != "done" || len(d.texts) != 1 {
				t.Errorf("%s, try %d: settled %v, want %s; %d texts", name, i+1, d.settled, want, len(d.texts))
			}
		}
	}
}

// A subscriber that is gone for a moment is waited for. One that stays away ends the worker, and not as one that never
// was.
func TestASubscriberThatIsGoneIsWaitedFor(t *testing.T) {
	for _, back := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			claims := 0
			d := &vanishing{desk: &desk{done: cancel}, claim: func() error {
				if claims++; claims == 1 || back && claims > 5 {
					return nil
				}
				return client.ErrNotFound
			}}
			w := &Worker{API: d, Name: "ocr", AtOnce: 1, Log: slog.New(slog.DiscardHandler)}
			if err := w.Run(ctx); back != (err == nil) || errors.Is(err, client.ErrNotFound) {
				t.Errorf("it comes back %t: %v after %d claims", back, err, claims)
			}
		})
	}
}

// vanishing is a desk whose subscriber comes and goes.
type vanishing struct {
	*desk
	claim func() error
	first bool
}

func (v *vanishing) Claim(ctx context.Context, name string, o api.ClaimOrder) (api.Claimed, error) {
	err := v.claim()
	if err != nil || !v.first {
		v.first = true
		return api.Claimed{}, err
	}
	return v.desk.Claim(ctx, name, o)
}

func TestWhatKeepsAWorkerFromStarting(t *testing.T) {
	if _, err := Find(t.Context(), "no-such-program", nil); !errors.Is(err, ErrNone) {
		t.Errorf("without the program: %v", err)
	}
	_, err := Find(t.Context(), fake(t, "").Path, []string{"eng", "deu"})
	if err == nil || !strings.Contains(err.Error(), "tesseract-ocr-deu") {
		t.Errorf("without the language: %v", err)
	}
	w := &Worker{API: &desk{}, Name: "nobody", Log: slog.New(slog.DiscardHandler)}
	if err := w.Run(t.Context()); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("without the subscriber: %v", err)
	}
	if err := w.RunAdded(t.Context(), api.SubscriberOrder{}); err == nil || err.Error() != "not allowed" {
		t.Errorf("without the right to add it: %v", err)
	}
}
