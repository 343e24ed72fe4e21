package watch

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
)

// Messages of the world outside; those of keys and of the window are bubbletea's.
type (
	tickMsg   time.Time           // a second has passed
	openMsg   struct{}            // the server sends events from now on
	closedMsg struct{ err error } // it does not send events (any more)
	eventMsg  event
	listMsg   struct {
		list    api.FaxList
		filter  string // that chose it
		whole   bool   // with faxes that only the archive has
		text    bool   // the filter has a text
		losses  int    // of the model when it was asked for
		err     error  // nil: list is what the server has
		refused bool   // err is about the filter
	}
	faxMsg struct {
		session string
		fax     api.FaxDetail
		losses  int
		err     error
	}
)

// model is what is known. Only Update changes it.
type model struct {
	name, filter  string // of the server; what chose the faxes
	noColor       bool
	width, height int // cells
	now           time.Time

	faxes      []api.Fax // newest first
	older      []api.Fax // those among them that only the archive has, as of the last whole list
	more       bool      // the server has more than are shown, as of the last whole list
	last       api.Fax   // of the last whole list
	count      int       // of the faxes in it
	incomplete string    // what the last whole list lacks; empty: nothing
	events     []event   // newest last

	reading // when and how the list is read
	look    // what the person looks at

	list func(filter, seen string, whole bool, losses int) tea.Cmd
	fax  func(session string, losses int) tea.Cmd
}

// mostEvents bounds the events that are kept.
const mostEvents = 100

func newModel(ctx context.Context, c Config, first listMsg) model {
	m := model{
		name: c.Name, filter: first.filter, noColor: c.NoColor, width: c.Width, height: c.Height, now: time.Now(),
		list: func(filter, seen string, whole bool, losses int) tea.Cmd {
			return func() tea.Msg {
				l := c.readList(ctx, filter, seen, whole)
				l.losses = losses
				return l
			}
		},
		fax: func(session string, losses int) tea.Cmd {
			return func() tea.Msg {
				f := c.readFax(ctx, session)
				f.losses = losses
				return f
			}
		},
	}
	m.asked, m.running, m.rested = first.filter, 1, true
	m.takeList(first)
	return m
}

func (m model) Init() tea.Cmd { return tick() }

func tick() tea.Cmd {
	return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tickMsg(t) })
}

func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.take(msg)
	m.scroll()
	return m, cmd
}

func (m *model) take(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.PasteMsg:
		m.prompt.add(msg.Content)
	case tickMsg:
		m.now, m.rested = time.Time(msg), true
		return tea.Batch(tick(), m.read())
	case openMsg:
		m.due, m.whole = true, m.whole || m.deaf != ""
		m.deaf, m.delay = "", leastDelay
		return m.read()
	case closedMsg:
		m.closed(msg.err)
		return m.read()
	case eventMsg:
		m.log(event(msg))
		m.due = m.due || !m.text
		m.changed = m.changed || m.open != "" && msg.session == m.open
		return m.read()
	case listMsg:
		m.takeList(msg)
		return m.read()
	case faxMsg:
		m.takeFax(msg)
		return m.read()
	case tea.ResumeMsg:
		return m.again()
	}
	return nil
}

// log keeps an event.
func (m *model) log(e event) {
	m.events = append(m.events, e)
	m.events = m.events[max(0, len(m.events)-mostEvents):]
}

// closed notes that no events come. Who was connected has missed some from now on, and the current state is not known.
func (m *model) closed(err error) {
	if m.deaf == "" {
		m.log(event{at: m.now.UTC(), kind: "the connection is lost: events that come now are missing here"})
		m.lose("Connection lost", err)
		m.due = true
	}
	m.deaf = err.Error()
}

// lose notes that the current state is not known, and why.
func (m *model) lose(what string, err error) {
	m.losses++
	m.whole, m.lost, m.why = true, what, err.Error()
}
