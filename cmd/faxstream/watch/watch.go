package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
)

// Server is where the faxes are; a client.Client is one.
type Server interface {
	// Faxes yields the list, newest first. An error is the last that it yields.
	Faxes(ctx context.Context, f client.FaxFilter) iter.Seq2[api.FaxList, error]
	Fax(ctx context.Context, session string) (api.FaxDetail, error)
	// Events calls ready when it listens, and give with each event, until ctx ends or the connection does, which is an error.
	Events(ctx context.Context, ready func(), give func([]byte) error) error
}

// Config says what is watched, and how it is shown.
type Config struct {
	Server Server
	Name   string // of the server, for the first line of the screen
	Filter string // chooses faxes, in the words of Choose; empty: all
	// Choose reads a filter. It is asked for each list, so that a time such as 1h moves on.
	Choose  func(words string) (client.FaxFilter, error)
	NoColor bool // the screen has bold and reverse text, and no colours

	Input         io.Reader // keys; nil: the terminal
	Output        io.Writer
	Width, Height int // cells; for an Output that is no terminal
}

const (
	// shown is how many faxes are listed: as many as in the dashboard.
	shown = 50
	// patience bounds one read: a server that does not answer for so long is lost.
	patience = 10 * time.Second
)

// Run shows the live view until the person ends it or ctx ends. It returns an error and shows nothing if the first list cannot be read.
func Run(ctx context.Context, c Config) error {
	ctx, cancel := context.WithCancel(ctx)
	first := c.readList(ctx, c.Filter, "", true)
	if first.err != nil {
		cancel()
		return first.err
	}
	p := tea.NewProgram(newModel(ctx, c, first), c.options()...)
	stop := context.AfterFunc(ctx, p.Quit)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		follow(ctx, c.Server, p.Send)
	}()
	_, err := p.Run()
	stop()
	cancel()
	<-followed
	if err != nil {
		return fmt.Errorf("live view (--plain prints lines instead): %w", err)
	}
	return nil
}

func (c Config) options() []tea.ProgramOption {
	profile := colorprofile.ANSI // 16 colours are enough, so nobody has to find out what the terminal can do
	if c.NoColor {
		profile = colorprofile.ASCII
	}
	o := []tea.ProgramOption{
		tea.WithOutput(c.Output), tea.WithWindowSize(c.Width, c.Height), tea.WithColorProfile(profile),
		tea.WithoutSignalHandler(), // whoever runs us ends ctx
		tea.WithFPS(30),
	}
	if c.Input != nil {
		o = append(o, tea.WithInput(c.Input))
	}
	return o
}

// readList reads the list that a filter chooses. One that is not whole comes from the memory of the server and has no faxes that only the
// archive has. seen is the Seen of an earlier list.
func (c Config) readList(ctx context.Context, filter, seen string, whole bool) listMsg {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := listMsg{filter: filter, whole: whole}
	var f client.FaxFilter
	if f, m.err = c.Choose(filter); m.err != nil {
		m.refused = true
		return m
	}
	f.Limit, f.Ledger = shown, !whole
	if m.text = f.Text != ""; m.text {
		f.Seen = seen
	}
	for list, err := range c.Server.Faxes(ctx, f) {
		m.list, m.err = list, err
		break // a request has all that is shown
	}
	m.refused = errors.Is(m.err, client.ErrRequest)
	return m
}

// readFax reads a fax.
func (c Config) readFax(ctx context.Context, session string) faxMsg {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := c.Server.Fax(ctx, session)
	return faxMsg{session: session, fax: d, err: err}
}
