package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// apiLevel is JetStream's API level with schedules and atomic batches, that of nats-server 2.12. Servers before 2.11 say none.
const apiLevel = 2

// ErrTooOld means that the NATS server, or one of its cluster, lacks what faxstream needs.
var ErrTooOld = errors.New("faxstream needs nats-server 2.12 or newer, on every server of a cluster")

func (b *Bus) tooOld() error {
	return fmt.Errorf("%w; %s has %s", ErrTooOld, b.nc.ConnectedServerName(), b.nc.ConnectedServerVersion())
}

// checkLevel refuses a server that is too old before anything is created there. Such a server ignores what it does not know, without an
// error: no timer would ever fire.
func (b *Bus) checkLevel(ctx context.Context) error {
	patience := setupTimeout
	if b.server == nil {
		patience = requestTimeout // a cluster that still elects its leader never answers: ensurePatiently asks again
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	info, err := b.js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("ask the NATS server for its API level: %w", err)
	}
	if info.API.Level < apiLevel {
		return b.tooOld()
	}
	return nil
}

// settingsRevision is that of the settings of streams and consumers. Raise it with every change of them: several processes may have
// several versions, and one with a lower number leaves alone what one with a higher number has set.
// TestTheRevisionOfSettingsIsRaised fails if it is forgotten.
const settingsRevision = 1

// metaRevision is the metadata of a stream or a consumer that has the revision of its settings.
const metaRevision = "faxstream-settings"

func (b *Bus) ownRevision() int { return cmp.Or(b.cfg.settings, settingsRevision) }

func (b *Bus) revision() map[string]string {
	return map[string]string{metaRevision: strconv.Itoa(b.ownRevision())}
}

func revisionOf(metadata map[string]string) int {
	n, err := strconv.Atoi(metadata[metaRevision])
	if err != nil {
		return 0 // of a version that writes none, or by other hands
	}
	return n
}

func (b *Bus) isNewer(metadata map[string]string) bool { return revisionOf(metadata) > b.ownRevision() }

func (b *Bus) isOlder(metadata map[string]string) bool { return revisionOf(metadata) < b.ownRevision() }

// keepSettings sets a stream up again that an older version of faxstream has changed: one that knows nothing of revisions, or that read
// the stream a moment before this process set it up.
func (b *Bus) keepSettings(ctx context.Context, has jetstream.StreamConfig) {
	if b.cfg.Join || !b.isOlder(has.Metadata) {
		return
	}
	for _, cfg := range b.wanted() {
		if cfg.Name != has.Name {
			continue
		}
		cfg.Replicas = has.Replicas
		if err := b.ensureStream(ctx, cfg); err != nil {
			b.log.Warn("an older version of faxstream has changed a stream, and setting it right failed; it is tried again", "err", err)
			continue
		}
		b.log.Warn("an older version of faxstream has changed a stream; it is set right", "stream", cfg.Name)
	}
}

// ErrWeak means that external servers are weaker than what faxstream promises, and Config.Strict is set.
var ErrWeak = errors.New("the NATS servers are weaker than what faxstream promises")

// CheckSync is the Check of servers that acknowledge what is not on the disk.
const CheckSync = "nats sync"

// Weakness is one thing about external NATS servers that is weaker than what faxstream promises.
type Weakness struct {
	Check  string // what was looked at, such as "copies"
	Text   string // what was found, and what follows
	Remedy string // what to do
}

// checkWeak names the weaknesses of external servers in the log, once, and in Warnings, or refuses them. will are the streams as they will
// be.
func (b *Bus) checkWeak(ctx context.Context, will []jetstream.StreamConfig, ahead []time.Duration) error {
	if b.server != nil {
		return nil
	}
	reports, _ := b.reports(ctx)
	weak := b.weaknesses(will, reports)
	if most := furthest(ahead, reports); most.Abs() > AheadAtMost {
		weak = append(weak, Weakness{
			"clock", fmt.Sprintf("the clock of a NATS server differs from ours by %s: times in events and deadlines are wrong by as much",
				most.Round(time.Second/10)), "run a time service such as chrony on every machine",
		})
	}
	var errs []error
	for _, w := range weak {
		if b.cfg.Strict {
			errs = append(errs, fmt.Errorf("%s: %s; %s", w.Check, w.Text, w.Remedy))
		} else if !b.said {
			b.log.Warn("the NATS servers are weaker than what faxstream promises", "check", w.Check, "found", w.Text, "remedy", w.Remedy)
		}
	}
	b.said = true
	b.mu.Lock()
	b.weak = weak
	b.mu.Unlock()
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrWeak, errors.Join(errs...))
	}
	return nil
}

// AheadAtMost is by how much the clock of another machine may differ from ours.
const AheadAtMost = time.Second

// aheadOf is by how much, at least, the clock of whoever has just answered is ahead of ours: it was read at some time since we asked.
func aheadOf(says, asked time.Time) time.Duration {
	way := time.Since(asked) / 2
	ahead := says.Sub(asked.Add(way))
	if ahead < 0 {
		return min(ahead+way, 0)
	}
	return max(ahead-way, 0)
}

// furthest is by how much the clock is ahead that differs most from ours.
func furthest(ahead []time.Duration, reports []report) (most time.Duration) {
	for _, r := range reports {
		ahead = append(ahead, r.ahead)
	}
	for _, d := range ahead {
		if d.Abs() > most.Abs() {
			most = d
		}
	}
	return most
}

// weaknesses of external servers, but for their clocks. will are the streams as they are or will be.
func (b *Bus) weaknesses(will []jetstream.StreamConfig, reports []report) (weak []Weakness) {
	var single, unlimited, lazy []string
	for _, s := range will {
		if b.nc.ConnectedClusterName() != "" && s.Replicas < 3 {
			single = append(single, s.Name)
		}
		if streamHasLimit(s.Name) && (s.MaxBytes <= 0 || s.Discard != jetstream.DiscardNew) {
			unlimited = append(unlimited, s.Name)
		}
	}
	for _, r := range reports {
		if !r.SyncAlways {
			lazy = append(lazy, r.name)
		}
	}
	if len(single) > 0 {
		weak = append(weak, Weakness{
			"copies", fmt.Sprintf("the NATS servers are a cluster (%s), and these streams have fewer than 3 copies: %s; "+
				"a message that one disk loses is lost", b.nc.ConnectedClusterName(), strings.Join(single, ", ")),
			"start faxstream serve with --nats-replicas 3, if the cluster has three servers",
		})
	}
	if len(unlimited) > 0 {
		weak = append(weak, Weakness{
			"limits", fmt.Sprintf("these streams have no limit of size, or drop old messages when they are full: %s; a webhook "+
				"that was answered could be dropped", strings.Join(unlimited, ", ")), "start faxstream serve of the newest version: it sets them",
		})
	}
	if len(lazy) > 0 {
		weak = append(weak, Weakness{
			CheckSync, fmt.Sprintf("these NATS servers acknowledge messages before they are on the disk: %s; a power cut loses webhooks "+
				"that were answered", strings.Join(lazy, ", ")),
			"set sync_interval: always in jetstream { } of their nats-server.conf, as deploy/nats-server.conf does",
		})
	}
	if most := b.nc.MaxPayload(); most < maxPayload {
		weak = append(weak, Weakness{
			"nats payload", fmt.Sprintf("the NATS server takes messages of at most %d bytes: a dead letter with a large webhook does not fit", most),
			fmt.Sprintf("set max_payload: %d or more in nats-server.conf", maxPayload),
		})
	}
	return append(weak, b.openConnection()...)
}

func streamHasLimit(name string) bool {
	return slices.ContainsFunc(streamShares, func(s streamShare) bool { return s.name == name })
}

// openConnection is the weakness of a connection to another machine that is not encrypted.
func (b *Bus) openConnection() []Weakness {
	u, err := url.Parse(b.nc.ConnectedUrl())
	if err != nil || u.Hostname() == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() {
		return nil
	}
	if _, err := b.nc.TLSConnectionState(); err == nil {
		return nil
	}
	return []Weakness{{
		"nats connection",
		"the connection to the NATS server at " + u.Host + " has no TLS: others on the network can read logins and the numbers of faxes",
		"give the server a certificate (tls { } in nats-server.conf), and faxstream --nats-ca",
	}}
}

// report is what a server says of itself (JSZ).
type report struct {
	name  string
	ahead time.Duration // of its clock

	SyncAlways bool `json:"sync_always"`
}

// askServers is where servers report on themselves, if their system account exports it: deploy/nats-server.conf does.
const (
	askServers    = "$SYS.REQ.SERVER.PING.JSZ"
	reportTimeout = time.Second
)

// reports asks all servers of the cluster for what they say of themselves. None: they do not tell this account.
// complete: every server has answered.
func (b *Bus) reports(ctx context.Context) (all []report, complete bool) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	inbox := b.nc.NewRespInbox()
	answers, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, false
	}
	defer func() { _ = answers.Unsubscribe() }() // the connection may be gone
	asked := time.Now()
	if err := b.nc.PublishRequest(askServers, inbox, nil); err != nil {
		return nil, false
	}
	for expect := 1; len(all) < expect; {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return all, false
		}
		var r struct {
			Server struct {
				Name string
				Time time.Time
			}
			Data struct {
				Disabled bool // it has no JetStream
				Config   *report
				Meta     struct {
					Size int `json:"cluster_size"`
				} `json:"meta_cluster"`
			}
		}
		if json.Unmarshal(m.Data, &r) != nil || r.Data.Config == nil || r.Server.Time.IsZero() {
			return all, false // nobody answers, or not what is asked
		}
		if r.Data.Disabled {
			continue // it stores nothing
		}
		r.Data.Config.name, r.Data.Config.ahead = r.Server.Name, aheadOf(r.Server.Time, asked)
		all, expect = append(all, *r.Data.Config), max(expect, min(r.Data.Meta.Size, maxServers))
	}
	return all, true
}

// maxServers bounds what a reply may let us wait for.
const maxServers = 64

// Examined is what a connection says about external NATS servers.
type Examined struct {
	Version  string         // of the server that answers
	Cluster  string         // the name of its cluster; empty: it is alone
	Replicas map[string]int // the copies of our streams that exist, by name
	Weak     []Weakness     // without clocks
	Told     bool           // all servers say whether they sync each message
	Ahead    time.Duration  // by how much the clock of a server is ahead of ours, of the one that differs most
	HasClock bool           // Ahead is known
}

// Examine connects to external NATS servers and looks at them. It creates and changes nothing. A server that is too old is an error that
// matches ErrTooOld.
func Examine(ctx context.Context, cfg Config) (e Examined, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.MaxStore = cmp.Or(cfg.MaxStore, DefaultMaxStore)
	life, stop := context.WithCancel(ctx)
	defer stop()
	b := &Bus{cfg: cfg, log: cfg.Log, life: life, stopping: stop, health: newHealth(life)}
	b.line, b.hangUp = context.WithCancel(life)
	if err := b.connect(); err != nil {
		return e, err
	}
	defer b.nc.Close()
	if err := b.checkLevel(ctx); err != nil {
		return e, err
	}
	there, ahead, err := b.streams(ctx)
	if err != nil {
		return e, err
	}
	reports, complete := b.reports(ctx)
	e = Examined{
		Version: b.nc.ConnectedServerVersion(), Cluster: b.nc.ConnectedClusterName(), Replicas: map[string]int{},
		Told: complete, Ahead: furthest(ahead, reports), HasClock: len(ahead)+len(reports) > 0,
	}
	for _, has := range there {
		e.Replicas[has.Name] = has.Replicas
	}
	will := b.planned(there)
	for i, s := range will {
		if has, ok := there[s.Name]; ok {
			will[i] = has
		}
	}
	e.Weak = b.weaknesses(will, reports)
	return e, nil
}

// ignored compares a stream's configuration as the server has it with what was asked, and returns the fields that differ. A field without
// a value in asked is the server's to choose.
func ignored(asked, has jetstream.StreamConfig) ([]string, error) {
	want, err := fields(asked)
	if err != nil {
		return nil, err
	}
	got, err := fields(has)
	if err != nil {
		return nil, err
	}
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		v := want[name]
		if all, ok := got[name].(map[string]any); ok && name == "metadata" { // the server adds some of its own
			maps.DeleteFunc(all, func(key string, _ any) bool { return key != metaRevision })
		}
		if v != nil && !reflect.ValueOf(v).IsZero() && !reflect.DeepEqual(v, got[name]) {
			differ = append(differ, name)
		}
	}
	return differ, nil
}

func fields(cfg jetstream.StreamConfig) (m map[string]any, err error) {
	data, err := json.Marshal(cfg)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// repair sets streams right that accept no batches any more: somebody edited them, or removed our files in memory.
func (b *Bus) repair(ctx context.Context) {
	for _, cfg := range b.wanted() {
		g := b.groups[cfg.Name]
		if g == nil || !g.single.Load() {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		err := b.setRight(ctx, cfg)
		cancel()
		if errors.Is(err, errNewer) {
			continue // its messages go one by one
		}
		if err == nil && b.server != nil && b.server.stage != "" {
			err = b.server.stageStream(cfg.Name)
		}
		if err != nil {
			b.log.Warn("a stream accepts no batches, and setting it right failed; it is tried again", "stream", cfg.Name, "err", err)
			continue
		}
		g.single.Store(false)
		b.log.Warn("a stream accepted no batches; it is set right", "stream", cfg.Name)
	}
}

// errNewer: a stream is set up by a newer version, and stays as it is.
var errNewer = errors.New("a newer version of faxstream has set it up")

func (b *Bus) setRight(ctx context.Context, cfg jetstream.StreamConfig) error {
	s, err := b.js.Stream(ctx, cfg.Name)
	if err != nil {
		return err
	}
	has := s.CachedInfo().Config
	if b.isNewer(has.Metadata) {
		return errNewer
	}
	cfg.Replicas = has.Replicas
	_, err = b.js.UpdateStream(ctx, cfg)
	return err
}
