package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/spool"
)

// online answers as a server does.
type online struct {
	err     error
	refused []api.Refusal
}

func (o online) Ready(context.Context) (api.Readiness, error) { return api.Readiness{}, o.err }

func (o online) Refused(context.Context) (api.RefusalList, error) {
	return api.RefusalList{Refused: o.refused}, nil
}

// A red server is told from one that does not answer: only the first one is a failure, and only then its archive is left to it.
func TestARedServerIsNoServerThatIsAway(t *testing.T) {
	for status, err := range map[string]error{
		Fail: fmt.Errorf("%w: the disk is full", client.ErrNotReady), Unknown: errors.New("connection refused, not ready"), OK: nil,
	} {
		e := &examination{Config: Config{Online: online{err: err}, App: app.Config{Archive: app.Archive{Dir: t.TempDir()}}}}
		e.server(t.Context())
		if f := e.found[0]; f.Status != status || e.running != (status != Unknown) || e.ready != (status == OK) {
			t.Errorf("%v: %+v, running %t, ready %t", err, f, e.running, e.ready)
		}
		if e.archive(t.Context()); status == Fail && e.found[1].Status != Unknown {
			t.Errorf("the archive of a red server is %+v", e.found[1])
		}
	}
}

// A webhook that was refused a moment ago fails, one of weeks ago is a warning, and strangers are neither.
func TestRefusedWebhooks(t *testing.T) {
	e := &examination{running: true, Config: Config{Online: online{refused: []api.Refusal{
		{Peer: "192.0.2.1", Count: 3, RightPath: true, Last: time.Now(), Advice: "give --trusted-proxies 192.0.2.1"},
		{Address: "192.0.2.2", RightPath: true, Last: time.Now().AddDate(0, 0, -20)},
		{Address: "192.0.2.3", Last: time.Now()},
	}}}}
	e.webhooks(t.Context())
	var text string
	for _, f := range e.found {
		text += f.Status + " " + f.Text + " " + f.Remedy + "\n"
	}
	if !strings.Contains(text, "fail 3 webhooks") || !strings.Contains(text, "came from 192.0.2.1;") || strings.Contains(text, "192.0.2.3") ||
		!strings.Contains(text, "warn 0 webhooks") {
		t.Errorf("found are\n%s", text)
	}
}

// A directory for webhooks that wait must be that of a spool, empty, or not there.
func TestTheDirectoryOfTheSpool(t *testing.T) {
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "fax.pdf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	used := filepath.Join(t.TempDir(), "unsent")
	s, err := spool.Open(t.Context(), spool.Config{Dir: used, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		other: Fail, used: OK, t.TempDir(): OK, filepath.Join(other, "none"): Unknown, filepath.Join(other, "fax.pdf"): Fail,
	} {
		e := &examination{Config: Config{App: app.Config{Spool: spool.Config{Dir: dir}}}}
		if e.spool(t.Context()); len(e.found) != 1 || e.found[0].Status != want {
			t.Errorf("%s: found is %+v, want %s", dir, e.found, want)
		}
	}
}

// A file of users that other users of the machine can read is named. One that the server reads through its group is not: without that
// right nobody gets in.
func TestWhoCanReadTheFileOfUsers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, named := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		e := &examination{}
		e.App.Admin.Users = file
		e.exposure(t.Context())
		got := slices.ContainsFunc(e.found, func(f Finding) bool { return strings.Contains(f.Text, "passwords on the hashes") })
		if got != named {
			t.Errorf("mode %o: named: %t, want %t: %+v", mode, got, named, e.found)
		}
	}
}
