// Package doctor looks for what keeps a faxstream from working, or makes it less safe than it could be: in its configuration, its
// directories, NATS, the archive, the provider, certificates and the running server. Begin with Examine. It changes nothing, except that it
// tries a write into the archive as the start of a server does (app.Archive.Try).
package doctor

import (
	"context"
	"slices"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/app"
)

// What a finding says about what was looked at.
const (
	OK      = "ok"
	Warn    = "warn"    // it works, and it should be changed
	Fail    = "fail"    // it does not work
	Unknown = "unknown" // it cannot be known from here
)

// Finding is what was found out about one thing.
type Finding struct {
	Check  string `json:"check"`            // what was looked at, such as "provider token"
	Status string `json:"status"`           // OK, Warn, Fail or Unknown
	Text   string `json:"text"`             // a sentence: what was found
	Remedy string `json:"remedy,omitempty"` // a sentence: what to do; empty where nothing is to be done
}

// Online asks the server that runs with this configuration.
type Online interface {
	// Ready returns what /readyz says. The error matches client.ErrNotReady if it is red; any other means that nobody answers.
	Ready(ctx context.Context) (api.Readiness, error)
	// Refused returns the addresses whose webhooks were refused last.
	Refused(ctx context.Context) (api.RefusalList, error)
}

// Config is what is examined.
type Config struct {
	App       app.Config
	Online    Online
	Tesseract func(ctx context.Context) (version string, err error) // nil: no pages are read in this process
}

// checkTimeout bounds each check.
const checkTimeout = 20 * time.Second

// Examine makes all checks, one after the other, and returns what they find.
func Examine(ctx context.Context, c Config) (all []Finding) {
	e := &examination{Config: c}
	for _, check := range []func(*examination, context.Context){
		(*examination).server, (*examination).webhooks, (*examination).disks, (*examination).spool, (*examination).nats,
		(*examination).archive, (*examination).provider, (*examination).hooks, (*examination).clocks, (*examination).certificates,
		(*examination).exposure, (*examination).signing, (*examination).tesseract,
	} {
		if ctx.Err() != nil {
			break // what follows would only say that it was stopped
		}
		e = e.within(ctx, check)
	}
	return e.found
}

// within makes a check that may hang, such as one of a directory on a server that is gone. It returns e after the check, or e as it is.
func (e *examination) within(ctx context.Context, check func(*examination, context.Context)) *examination {
	ctx, stop := context.WithTimeout(ctx, checkTimeout)
	defer stop()
	after := *e
	after.found = slices.Clone(e.found)
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(&after, ctx)
	}()
	select {
	case <-done:
		return &after
	case <-time.After(checkTimeout + time.Second):
		e.say("examination", Unknown, "a check does not end", "look at directories on the network, and at the name service")
		return e
	}
}

// examination collects findings.
type examination struct {
	Config
	found   []Finding
	running bool // the server answers
	ready   bool // and is green
}

func (e *examination) say(check, status, text, remedy string) {
	e.found = append(e.found, Finding{Check: check, Status: status, Text: text, Remedy: remedy})
}
