package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/faxstream/faxstream/pipeline/session"
)

// Streams and buckets.
const (
	StreamIn     = "FAX_IN"
	StreamPages  = "FAX_PAGES"
	StreamDocs   = "FAX_DOCS"
	StreamText   = "FAX_TEXT"
	StreamDLQ    = "FAX_DLQ"
	StreamAudit  = "FAX_AUDIT"
	StreamTimers = "FAX_TIMERS"

	BucketSessions = "FAX_SESSIONS"
	BucketAliases  = "FAX_ALIASES"
	BucketLogins   = "FAX_LOGINS" // of people; only where several processes share the servers
)

// horizon is how long the streams have facts: for deduplication, and for subscribers that were away.
const horizon = 30 * 24 * time.Hour

type streamShare struct {
	name    string
	subject string
	percent int64
}

// streamShares divides the store between the streams with a limit, in percent.
// FAX_TIMERS cannot have a limit (schedules forbid DiscardNew); the rest of the store is for it and for the ledgers.
var streamShares = []streamShare{
	{StreamIn, "fax.v1.in.>", 20},
	{StreamPages, "fax.v1.page.>", 20},
	{StreamDocs, "fax.v1.doc.>", 10},
	{StreamText, "fax.v1.text.>", 10},
	{StreamDLQ, "fax.v1.dlq.>", 10},
	{StreamAudit, "fax.v1.audit.>", 5},
}

// inSpool divides a spool, in percent: bodies that are not webhooks must not fill it.
var inSpool = map[string]int64{StreamIn: 90, StreamDLQ: 10}

// wantedInSpool returns the streams of a spool. They have the subjects of all streams, and forget nothing.
func (b *Bus) wantedInSpool() (all []jetstream.StreamConfig) {
	for _, s := range streamShares {
		if share := inSpool[s.name]; share > 0 {
			all = append(all, jetstream.StreamConfig{
				Name: s.name, Subjects: []string{s.subject}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
				Discard: jetstream.DiscardNew, MaxBytes: b.cfg.MaxStore / 100 * share, AllowDirect: true, AllowAtomicPublish: true, Replicas: 1,
			})
		}
	}
	return all
}

// wanted returns every stream and bucket as it must be.
func (b *Bus) wanted() []jetstream.StreamConfig {
	if b.cfg.Embedded.Spool {
		return b.wantedInSpool()
	}
	var all []jetstream.StreamConfig
	for _, s := range streamShares {
		all = append(all, jetstream.StreamConfig{
			Name:               s.name,
			Subjects:           []string{s.subject},
			Storage:            jetstream.FileStorage,
			Retention:          jetstream.LimitsPolicy,
			Discard:            jetstream.DiscardNew, // full means 503, never a dropped event
			MaxAge:             horizon,
			MaxBytes:           b.cfg.MaxStore / 100 * s.percent,
			AllowDirect:        true,
			AllowAtomicPublish: true,
			Duplicates:         2 * time.Minute,
			DenyDelete:         s.name == StreamAudit, // nobody may change the record of who did what
			DenyPurge:          s.name == StreamAudit,
		})
	}
	all = append(
		all, timerStream(), advisories(StreamIn, StreamPages, StreamDocs, StreamAudit, StreamTimers), bucketStream(BucketSessions),
		bucketStream(BucketAliases),
	)
	for i := range all {
		all[i].Replicas, all[i].Metadata = b.copies, b.revision()
	}
	return all
}

// clusterPatience is how long a process waits at its start for the servers of a cluster to agree on streams that others create: on busy
// machines elections take long, and a restart does not help.
const clusterPatience = 3 * setupTimeout

// errNoPeers is the code of a server that does not know of enough others: those of a new cluster may have a leader before they have heard
// of each other.
const errNoPeers jetstream.ErrorCode = 10005

// ensurePatiently is ensure that is tried again while servers of a cluster do not answer, or are too few: a stream that another process has
// just created has no leader yet.
func (b *Bus) ensurePatiently(ctx context.Context) error {
	for over, said := time.Now().Add(clusterPatience), false; ; said = true {
		err := b.ensure(ctx)
		api, _ := errors.AsType[*jetstream.APIError](err)
		later := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNotCreated) || api != nil && api.ErrorCode == errNoPeers
		if b.server != nil || !later || ctx.Err() != nil || time.Now().After(over) {
			return err
		}
		if !said {
			b.log.Info("the streams are not there yet, or the NATS servers do not answer; asking again", "err", err)
		}
		pauseAtRandom(ctx)
	}
}

// pauseAtRandom waits for up to a second: processes that start at the same time are then not in step.
func pauseAtRandom(ctx context.Context) {
	select {
	case <-time.After(rand.N(time.Second)):
	case <-ctx.Done():
	}
}

// ensure creates or updates every stream and bucket. It runs at every start, also in several processes at once. It changes nothing on a
// server that is too old, or that has lost a stream, or that is weaker than is allowed, and nothing about streams of a newer version.
func (b *Bus) ensure(ctx context.Context) error {
	if b.cfg.Embedded.Spool {
		return b.ensureSpool(ctx)
	}
	if err := b.checkLevel(ctx); err != nil {
		return err
	}
	if err := b.checkLost(ctx); err != nil {
		return err
	}
	there, ahead, err := b.streams(ctx)
	if err != nil {
		return err
	}
	will := b.planned(there)
	if err := b.checkWeak(ctx, will, ahead); err != nil {
		return err
	}
	if b.cfg.Join {
		return b.join(ctx, there)
	}
	for _, cfg := range will {
		has, ok := there[cfg.Name]
		if ok && b.isNewer(has.Metadata) {
			b.log.Warn("a newer version of faxstream has set up a stream: it stays as it is", "stream", cfg.Name)
			continue
		}
		if ok && cfg.Replicas < has.Replicas {
			b.log.Warn("a stream gets fewer copies, as --nats-replicas says", "stream", cfg.Name, "had", has.Replicas, "gets", cfg.Replicas)
		}
		if err := b.ensureStream(ctx, cfg); err != nil {
			return err
		}
	}
	if err := b.bindSessions(ctx); err != nil {
		return err
	}
	return b.mark(ctx)
}

// ensureSpool has no ledgers to bind, and no record of which streams were created: its server is new, or has its own store.
func (b *Bus) ensureSpool(ctx context.Context) error {
	there, _, err := b.streams(ctx)
	if err != nil {
		return err
	}
	for _, cfg := range b.wanted() {
		if _, ok := there[cfg.Name]; ok && b.cfg.Join {
			continue
		}
		if err := b.ensureStream(ctx, cfg); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) bindSessions(ctx context.Context) (err error) {
	if b.sessions, err = b.js.KeyValue(ctx, BucketSessions); err != nil {
		return fmt.Errorf("bind bucket %s: %w", BucketSessions, err)
	}
	return nil
}

// errNotCreated: a process that only joins finds no streams.
var errNotCreated = errors.New("the streams are created by a process that has the archive: start one")

// join uses the streams that are there.
func (b *Bus) join(ctx context.Context, there map[string]jetstream.StreamConfig) error {
	for _, cfg := range b.wanted() {
		if _, ok := there[cfg.Name]; !ok {
			return fmt.Errorf("stream %s does not exist: %w", cfg.Name, errNotCreated)
		}
	}
	b.copies = there[StreamIn].Replicas
	return b.bindSessions(ctx)
}

// streams are the settings of every stream of ours that is there, by name, and by how much the clocks of their leaders are ahead of ours.
// A stream whose servers do not answer is an error: the list of all streams would leave it out.
func (b *Bus) streams(ctx context.Context) (there map[string]jetstream.StreamConfig, ahead []time.Duration, err error) {
	there = map[string]jetstream.StreamConfig{}
	for _, cfg := range b.wanted() {
		// A request for a stream that has no leader yet may never be answered: it is asked again.
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		asked := time.Now()
		stream, err := b.js.Stream(ctx, cfg.Name)
		cancel()
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read stream %s: %w", cfg.Name, err)
		}
		info := stream.CachedInfo()
		there[cfg.Name] = info.Config
		if !info.TimeStamp.IsZero() {
			ahead = append(ahead, aheadOf(info.TimeStamp, asked))
		}
	}
	return there, ahead, nil
}

// planned are the streams as they are after ensure, when there are some already: those of a newer version, and those of a process that
// only joins, stay as they are.
func (b *Bus) planned(there map[string]jetstream.StreamConfig) []jetstream.StreamConfig {
	b.copies = max(cmp.Or(b.cfg.Replicas, there[StreamIn].Replicas), 1)
	all := b.wanted()
	for i, cfg := range all {
		has, ok := there[cfg.Name]
		if ok && (b.cfg.Join || b.isNewer(has.Metadata)) {
			all[i] = has
		} else if ok && b.cfg.Replicas == 0 {
			all[i].Replicas = has.Replicas // nobody has said that it is to have another number
		}
	}
	return all
}

func timerStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               StreamTimers,
		Subjects:           []string{"fax.v1.timer.>"},
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.LimitsPolicy,
		MaxAge:             horizon,
		AllowMsgSchedules:  true,
		AllowMsgTTL:        true,
		AllowDirect:        true,
		AllowAtomicPublish: true,
	}
}

// bucketStream returns the stream of a KV bucket with history 1, as nats.go configures it, but with atomic batches
// allowed: the ledgers of many sessions are saved with one sync.
func bucketStream(bucket string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               "KV_" + bucket,
		Subjects:           []string{"$KV." + bucket + ".>"},
		Storage:            jetstream.FileStorage,
		MaxMsgsPerSubject:  1,
		Discard:            jetstream.DiscardNew,
		AllowRollup:        true,
		DenyDelete:         true,
		AllowDirect:        true,
		AllowAtomicPublish: true,
		Duplicates:         2 * time.Minute,
	}
}

// Bucket finds or creates a bucket for what may be lost, such as logins: when it is gone, the next start makes it again. It forgets what
// is older than long. Who reads it asks the leader of its servers, which has what was written last.
func (b *Bus) Bucket(ctx context.Context, name string, long time.Duration, maxBytes int64) (jetstream.KeyValue, error) {
	cfg := bucketStream(name)
	cfg.MaxAge, cfg.MaxBytes, cfg.Replicas, cfg.Metadata, cfg.AllowDirect = long, maxBytes, b.copies, b.revision(), false
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	if _, err := b.findOrCreate(ctx, cfg); err != nil {
		return nil, fmt.Errorf("create or update bucket %s: %w", name, err)
	}
	kv, err := b.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("bind bucket %s: %w", name, err)
	}
	return kv, nil
}

func (b *Bus) ensureStream(ctx context.Context, cfg jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	ensure := b.updateOrCreate
	if cfg.Replicas > 1 {
		ensure = b.findOrCreate
	}
	stream, err := ensure(ctx, cfg)
	if err != nil {
		return fmt.Errorf("create or update stream %s: %w", cfg.Name, err)
	}
	if b.isNewer(stream.CachedInfo().Config.Metadata) { // another process has just come
		return nil
	}
	ignored, err := ignored(cfg, stream.CachedInfo().Config)
	if err != nil {
		return err
	}
	if len(ignored) > 0 {
		return fmt.Errorf("stream %s: the NATS server ignores %s: %w", cfg.Name, strings.Join(ignored, ", "), b.tooOld())
	}
	return nil
}

// updateOrCreate is for one server.
func (b *Bus) updateOrCreate(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := b.js.UpdateStream(ctx, cfg)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = b.js.CreateStream(ctx, cfg)
		if err == nil || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process created it at the same moment
			// If a server was killed while it created the stream, meta.inf is there and meta.sum is not. nats-server 2.15.2 then creates
			// the stream without meta.sum, and does not load it at its next start. An update writes both files.
			stream, err = b.js.UpdateStream(ctx, cfg)
		}
	}
	return stream, err
}

// clusterTry is how long one try on a cluster may take.
const clusterTry = 5 * time.Second

// findOrCreate is for a cluster. If an update meets a creation by another process, nats-server 2.15.2 answers neither of the two. So a
// stream is read first and updated only where it is not as wanted, and what is not answered is tried again from the start.
func (b *Bus) findOrCreate(ctx context.Context, cfg jetstream.StreamConfig) (stream jetstream.Stream, err error) {
	err = untilAnswered(ctx, func(ctx context.Context) error {
		stream, err = b.tryOnCluster(ctx, cfg)
		return err
	})
	return stream, err
}

// untilAnswered tries again what a cluster does not answer, or what another process does at the same moment, until ctx ends.
func untilAnswered(ctx context.Context, do func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, clusterTry)
		err := do(try)
		api, _ := errors.AsType[*jetstream.APIError](err)
		again := errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) || err != nil && try.Err() != nil ||
			api != nil && api.ErrorCode == errNoPeers
		cancel()
		if !again || ctx.Err() != nil {
			return err
		}
		pauseAtRandom(ctx)
	}
}

func (b *Bus) tryOnCluster(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := b.js.Stream(ctx, cfg.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return b.js.CreateStream(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	differs, err := ignored(cfg, stream.CachedInfo().Config)
	if err != nil || len(differs) == 0 || b.isNewer(stream.CachedInfo().Config.Metadata) {
		return stream, err
	}
	return b.js.UpdateStream(ctx, cfg)
}

// streamOf returns the stream for facts of this type, empty if there is none.
func streamOf(factType string) string {
	for _, s := range streamShares {
		if strings.HasPrefix(factType, strings.TrimSuffix(s.subject, ">")) {
			return s.name
		}
	}
	return ""
}

// Fill is how full a stream is.
type Fill struct {
	Stream   string
	Messages uint64
	Bytes    uint64
	Limit    uint64 // bytes; above it the stream accepts nothing more
}

// nearlyFull is the share of its limit, in percent, from which Warnings names a stream.
const nearlyFull = 80

// Fill reads how full the streams with a limit are, in a fixed order.
func (b *Bus) Fill(ctx context.Context) ([]Fill, error) {
	var all []Fill
	for _, s := range streamShares {
		stream, err := b.js.Stream(ctx, s.name)
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", s.name, err)
		}
		info := stream.CachedInfo()
		all = append(all, Fill{s.name, info.State.Msgs, info.State.Bytes, uint64(max(info.Config.MaxBytes, 0))})
	}
	return all, nil
}

// Warnings returns one sentence for each stream that is nearly full, and for each weakness of the servers. A full stream is an error of
// Ready.
func (b *Bus) Warnings(ctx context.Context) ([]string, error) {
	fills, err := b.Fill(ctx)
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, f := range fills {
		if f.Limit > 0 && f.Bytes >= f.Limit/100*nearlyFull {
			warnings = append(warnings, fmt.Sprintf("stream %s is %d %% full; when it is full, webhooks or work must wait: "+
				"give it more disk space with --max-store", f.Stream, f.Bytes*100/f.Limit))
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.weak {
		warnings = append(warnings, w.Text+": "+w.Remedy)
	}
	return warnings, nil
}

// maskSubject hides the receiving number of every page, document and text subject in a text, such as an error. Numbers must not
// be in logs, and not in the details of dead letters, which people see.
func maskSubject(text string) string {
	return numbered.ReplaceAllStringFunc(text, func(s string) string {
		parts := numbered.FindStringSubmatch(s)
		if parts[2] == session.UnknownToken {
			return s
		}
		return parts[1] + session.MaskNumber(parts[2])
	})
}

// numbered matches fax.v1.page.<event>.<to>, and the same of doc and text.
var numbered = regexp.MustCompile(`(fax\.v1\.(?:page|doc|text)\.[a-z_]+\.)([A-Za-z0-9_-]+)`)
