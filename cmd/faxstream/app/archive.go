package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/dashboard"
	"github.com/faxstream/faxstream/pipeline/archive"
	"github.com/faxstream/faxstream/pipeline/bus"
	"github.com/faxstream/faxstream/pipeline/desk"
	"github.com/faxstream/faxstream/pipeline/document"
	"github.com/faxstream/faxstream/pipeline/hold"
	"github.com/faxstream/faxstream/pipeline/session"
	"github.com/faxstream/faxstream/pipeline/verify"
	"github.com/faxstream/faxstream/storage"
	"github.com/faxstream/faxstream/storage/local"
	"github.com/faxstream/faxstream/storage/s3"
)

// Archive is where objects are archived: in a bucket, or as plain files.
type Archive struct {
	Dir string     // of plain files
	S3  *s3.Config // the bucket; nil: plain files in Dir
}

// store is an archive that can also hold and delete.
type store interface {
	storage.Archive
	storage.Remover
	// Check returns nil if a write works now. It leaves no object.
	Check(ctx context.Context) error
}

// open opens the archive for one writer; the caller calls close. Objects are kept as r says.
func (a Archive) open(ctx context.Context, r Retention, log *slog.Logger) (s store, close func() error, err error) {
	if a.S3 == nil {
		files, err := local.Open(a.Dir)
		if err != nil {
			return nil, nil, err
		}
		return files, files.Close, nil
	}
	cfg := *a.S3
	r.put(&cfg, log)
	cfg.Unretained = []string{archive.DeskPrefix} // a note must not outlive its fax
	bucket, err := s3.Open(ctx, cfg)
	return bucket, func() error { return nil }, err
}

// Try opens the archive as Start does and tries a write that leaves no object. Where Start would test retention and encryption for the
// first time, it does so too, and leaves the objects of that test. A directory that an App has open gives an error.
func (a Archive) Try(ctx context.Context, r Retention, log *slog.Logger) error {
	s, done, err := a.open(ctx, r, log)
	if err != nil {
		return err
	}
	return errors.Join(s.Check(ctx), done())
}

// OpenReader opens the archive for reading: a directory also while an App has it. The caller calls close.
func (a Archive) OpenReader(ctx context.Context) (r archive.Reader, close func() error, err error) {
	if a.S3 != nil {
		cfg := *a.S3
		cfg.ReadOnly = true
		bucket, err := s3.Open(ctx, cfg)
		return bucket, func() error { return nil }, err
	}
	files, err := local.OpenReader(a.Dir)
	if err != nil {
		return nil, nil, err
	}
	return files, files.Close, nil
}

// Endpoint is the URL of the S3 service that a configuration names; empty: it names none.
func (a Archive) Endpoint() string {
	if a.S3 == nil {
		return ""
	}
	return a.S3.Endpoint
}

// Clock asks the S3 service of Endpoint for its time, as ClockOf does.
func (a Archive) Clock(ctx context.Context) (ahead time.Duration, known bool) {
	return ClockOf(ctx, a.Endpoint(), a.S3.CA)
}

// clockTimeout bounds a look at a clock.
const clockTimeout = 5 * time.Second

// ClockOf asks a web server for its time: the Date of an answer (RFC 9110, 6.6.1: whole seconds). ahead is by how much its clock is ahead
// of ours; 0: by no more than bus.AheadAtMost, as far as can be known. ca are more authorities to trust.
func ClockOf(ctx context.Context, address string, ca []byte) (ahead time.Duration, known bool) {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	var sent time.Time
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent = time.Now() }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodHead, address, nil)
	if err != nil {
		return 0, false
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	if pool, err := x509.SystemCertPool(); err == nil && len(ca) > 0 && pool.AppendCertsFromPEM(ca) {
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, false
	}
	resp.Body.Close()
	way := time.Since(sent)
	at, err := http.ParseTime(resp.Header.Get("Date"))
	ahead = at.Add(time.Second / 2).Sub(sent.Add(way / 2))
	if ahead.Abs() <= bus.AheadAtMost+way/2 { // no more is known
		ahead = 0
	}
	return ahead, err == nil
}

// checkClock says, also in the log, that the clock of the S3 service and ours differ; with --strict it is an error. Empty: they agree, as
// far as is known.
func (c Config) checkClock(ctx context.Context) (warning string, err error) {
	if c.Archive.Endpoint() == "" {
		return "", nil
	}
	ahead, known := c.Archive.Clock(ctx)
	if !known || ahead.Abs() <= bus.AheadAtMost {
		return "", nil
	}
	const remedy = "run a time service such as chrony on both machines"
	text := fmt.Sprintf("the clock of the S3 service differs from ours by %s: retentions and times of objects are wrong by as much",
		ahead.Round(time.Second/10))
	if c.NATS.Strict {
		return "", configErrorf("--strict: %s; %s", text, remedy)
	}
	c.Log.Warn("the S3 service is weaker than what faxstream promises", "check", "clock", "found", text)
	return text + ": " + remedy, nil
}

// desks translates the errors of the logs of the desk for the dashboard.
type desks struct{ desk.Logs }

func (d desks) StoreNote(ctx context.Context, id, text string) (session.Object, error) {
	note, err := d.Logs.StoreNote(ctx, id, text)
	if errors.Is(err, archive.ErrPurged) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return note, err
}

func (d desks) Read(ctx context.Context, id string) (session.Work, []session.DeskLine, error) {
	w, log, err := d.Logs.Read(ctx, id)
	if err != nil && desk.Damaged(err) {
		err = fmt.Errorf("%w: %w", fs.ErrInvalid, err)
	}
	return w, log, err
}

// derivations translates the errors of derived documents for the dashboard.
type derivations struct{ *document.Derivations }

func (d derivations) Pages(ctx context.Context, manifest session.Object) (session.ManifestPages, error) {
	pages, err := d.Derivations.Pages(ctx, manifest)
	if archive.Lost(err) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return pages, err
}

// prove verifies faxes for the dashboard. It decodes one page at a time, with the memory of the pipeline: pages that come must not wait.
func (a *App) prove(c Config) func(ctx context.Context, id string) (dashboard.Verdict, error) {
	checker := verify.Checker{Archive: a.archive, Software: c.Software, Log: a.log, Decoder: a.memory.NewDecoder(1)}
	return func(ctx context.Context, id string) (v dashboard.Verdict, err error) {
		one := checker
		if one.ScratchDir, err = os.MkdirTemp(c.path("spool"), "verify-"); err != nil {
			return v, fmt.Errorf("make a directory for documents: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(one.ScratchDir)) }()
		f, err := one.Session(ctx, id)
		v = dashboard.Verdict{Objects: f.Objects, Revisions: f.Revisions, Pages: f.Pages, Remade: f.Remade, Signed: f.Unverified}
		for _, fault := range f.Faults {
			v.Faults = append(v.Faults, dashboard.Fault{Object: fault.Where, Page: fault.Page, What: fault.What, Do: fault.Do})
		}
		return v, err
	}
}

// remover translates between the terms of the pipeline and of a store.
type remover struct{ storage.Remover }

func (r remover) Protection(ctx context.Context, name string) (hold.Protection, error) {
	p, err := r.Remover.Protection(ctx, name)
	return hold.Protection(p), err
}

func (r remover) Delete(ctx context.Context, name string) error {
	err := r.Remover.Delete(ctx, name)
	if errors.Is(err, storage.ErrProtected) {
		err = fmt.Errorf("%w: %w", session.ErrKept, err)
	}
	return err
}

// markerPrefix is where the archive names the streams of JetStream that were created, an object each.
const markerPrefix = "jetstream/"

// marker is a bus.Marker in the archive, which outlives JetStream.
type marker struct{ archive archive.Store }

// Created lists the streams.
func (m marker) Created(ctx context.Context) ([]string, error) {
	keys, err := archive.Keys(ctx, m.archive, markerPrefix)
	for i, key := range keys {
		keys[i] = strings.TrimSuffix(path.Base(key), ".json")
	}
	return keys, err
}

// Mark is create-only: what is marked stays so.
func (m marker) Mark(ctx context.Context, streams []string) error {
	known, err := m.Created(ctx)
	if err != nil {
		return err
	}
	for _, name := range streams {
		if slices.Contains(known, name) {
			continue
		}
		data, err := json.Marshal(map[string]string{"stream": name})
		if err != nil {
			return err
		}
		if _, err := archive.Create(ctx, m.archive, markerPrefix+name+".json", data); err != nil {
			return err
		}
	}
	return nil
}
