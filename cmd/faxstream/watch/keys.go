package watch

import (
	"slices"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/cmd/faxstream/client"
)

// look is what the person looks at.
type look struct {
	selected string // session; empty: the newest fax, also when there is a newer one
	index    int    // of the selected fax in the list
	top      int    // of what is listed, the first line that is on the screen

	open         string         // session of the fax that is shown; empty: the list
	detail       *api.FaxDetail // nil: it is not read yet
	detailLosses int            // of the model when detail was asked for
	unread       string         // why detail is not the current state; empty: it is
	changed      bool           // the open fax is not as it was when a read of it began
	above        int            // of the open fax, the first page that is on the screen

	prompt prompt
}

// prompt is the line in which a filter is written.
type prompt struct {
	open  bool
	text  string
	wrong string // what is wrong with the text that was sent; empty: nothing
}

// mostText bounds a filter, bytes.
const mostText = 500

func (p *prompt) add(text string) {
	if text = client.OneLine(text); p.open && len(p.text)+len(text) <= mostText {
		p.text += text
	}
}

func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case name == "ctrl+z":
		return tea.Suspend
	case m.prompt.open:
		return m.write(name, k.Text)
	}
	switch name {
	case "q":
		return tea.Quit
	case "r":
		return m.again()
	case "/":
		m.open, m.changed, m.prompt = "", false, prompt{open: true, text: m.filter}
	case "enter":
		return m.enter()
	case "esc":
		m.open, m.changed = "", false
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.page())
	case "pgdown", "space":
		m.move(m.page())
	case "home", "g":
		m.move(-m.lines())
	case "end", "G":
		m.move(m.lines())
	}
	return nil
}

// write takes a key while a filter is written.
func (m *model) write(name, text string) tea.Cmd {
	p := &m.prompt
	switch name {
	case "esc":
		*p = prompt{}
	case "enter":
		m.asked, *p = p.text, prompt{}
		return m.again()
	case "backspace":
		_, size := utf8.DecodeLastRuneInString(p.text)
		p.text = p.text[:len(p.text)-size]
	case "ctrl+u":
		p.text = ""
	default:
		p.add(text)
	}
	return nil
}

// enter opens the selected fax.
func (m *model) enter() tea.Cmd {
	if m.open != "" || len(m.faxes) == 0 {
		return nil
	}
	m.open, m.detail, m.unread, m.above = m.faxes[m.index].Session, nil, "", 0
	return m.readFax()
}

// move goes down by some lines, or up.
func (m *model) move(by int) {
	if m.open != "" {
		m.above += by
		return
	}
	m.choose(m.index + by)
}

// choose selects the fax in a place.
func (m *model) choose(i int) {
	m.index, m.selected = min(max(0, i), max(0, len(m.faxes)-1)), ""
	if m.index > 0 {
		m.selected = m.faxes[m.index].Session
	}
}

// stay keeps the selection on its fax in a new list. If the fax is not there any more, the one in its place is selected.
func (m *model) stay() {
	i := 0
	if m.selected != "" {
		i = slices.IndexFunc(m.faxes, func(f api.Fax) bool { return f.Session == m.selected })
	}
	if i < 0 {
		i = m.index
	}
	m.choose(i)
}

// lines is how long what is listed is.
func (m *model) lines() int {
	switch {
	case m.open == "":
		return len(m.faxes)
	case m.detail == nil:
		return 0
	default:
		return len(m.detail.Pages)
	}
}

// page is how far pgup and pgdown go: one line stays.
func (m *model) page() int { return max(1, m.room()-1) }

// scroll keeps what is selected on the screen, and the screen full.
func (m *model) scroll() {
	room := max(1, m.room())
	last := max(0, m.lines()-room)
	if m.open != "" {
		m.above = min(max(0, m.above), last)
		return
	}
	m.top = min(max(m.top, m.index-room+1), m.index, last)
}
