package watch

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// faxColumns are those of the list. The narrowest terminals keep age, sender, pages and status.
var faxColumns = [...]column{
	{title: "Opened (UTC)", least: 16, leave: 3},
	{title: "Age", least: 4},
	{title: "From", least: 12},
	{title: "To", least: 12, leave: 2},
	{title: "Pages", least: 8},
	{title: "Status", least: 20},
	{title: "Work", least: 8, leave: 1},
}

// View is the screen: what is known of the server, what is listed, the last events, and keys.
func (m model) View() tea.View {
	v := tea.NewView("")
	v.AltScreen = true
	if m.width <= 0 || m.height <= 0 {
		return v
	}
	top, bottom := m.head(), m.foot()
	var body []string
	if m.open == "" {
		body = m.faxLines()
	} else {
		body = m.pageLines()
	}
	lines := append(top, body...)
	for len(lines)+len(bottom) < m.height {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, min(len(lines), m.height-len(bottom)))], bottom...)
	v.Content = strings.Join(lines[len(lines)-m.height:], "\n")
	if m.prompt.open {
		v.Cursor = tea.NewCursor(min(cells("/"+m.prompt.text), m.width-1), m.height-1)
	}
	return v
}

// room is how many lines of what is listed are on the screen.
func (m model) room() int { return m.height - len(m.head()) - len(m.foot()) - 1 }

// head is what stands above the table.
func (m model) head() []string {
	state := "live"
	if m.lost != "" {
		state = strings.ToLower(m.lost)
	}
	faxes := fmt.Sprintf("%d faxes", len(m.faxes))
	switch {
	case len(m.faxes) == 1:
		faxes = "1 fax"
	case m.more:
		faxes = "the newest " + faxes
	}
	title := m.name + ": " + state + ", " + faxes
	if m.filter != "" {
		title += ", filter " + m.filter
	}
	lines := []string{m.style().Bold().Styled(fit(title, m.width))}
	for _, l := range paragraph(m.notice(), m.width, 3) {
		lines = append(lines, m.style(ansi.AttrRedForegroundColor).Styled(l))
	}
	if m.open != "" {
		lines = append(lines, m.faxHead()...)
	}
	return lines
}

// notice is what the person has to know; empty: nothing.
func (m model) notice() string {
	switch {
	case m.prompt.open && m.prompt.wrong != "":
		return "The filter is refused: " + m.prompt.wrong
	case m.lost != "":
		try := ""
		if wait := m.next.Sub(m.now); m.running == 0 && wait > 0 {
			try = fmt.Sprintf(", next try in %.0f s", wait.Seconds())
		}
		return fmt.Sprintf("%s%s. This is what was known at %s UTC. %s", m.lost, try, m.known.UTC().Format(time.TimeOnly), m.why)
	case m.prompt.open:
		return "Words of ls, such as: status=partial from=+13343040001 done=no. Without words: all faxes."
	case m.asked != m.filter:
		return "Reading what the filter chooses."
	case m.open != "" && m.unread != "":
		return m.unread
	case m.deaf != "":
		return fmt.Sprintf("No events come, so the list is only read every %.0f s. %s", m.every().Seconds(), m.deaf)
	default:
		return m.incomplete
	}
}

// foot is what stands below the table: events and keys.
func (m model) foot() (lines []string) {
	if n := min(8, m.height/4); m.height >= 12 {
		lines = append(lines, m.style().Bold().Styled(fit("Events (UTC)", m.width)))
		last := m.events[max(0, len(m.events)-n):]
		for i := range n {
			line := ""
			if i < len(last) {
				line = last[i].short()
			}
			lines = append(lines, fit(line, m.width))
		}
	}
	keys := "q quit  enter open  / filter  r read again  up/down move"
	switch {
	case m.prompt.open:
		text := "/" + m.prompt.text
		for cells(text) >= m.width && text != "" { // its end is where the person writes
			cluster, _ := ansi.FirstGraphemeCluster(text, ansi.WcWidth)
			text = text[len(cluster):]
		}
		return append(lines, fit(text, m.width))
	case m.open != "":
		keys = "q quit  esc back  r read again  up/down move"
	}
	return append(lines, m.style().Faint().Styled(fit(keys, m.width)))
}

// marks stand before a fax: one that is not selected, and the one that is.
var marks = [...]string{"  ", "> "}

// faxLines is the table of faxes, as far as there is room.
func (m model) faxLines() []string {
	if len(m.faxes) == 0 {
		text := "No fax has arrived yet."
		if m.filter != "" {
			text = "No fax matches the filter."
		}
		return []string{fit(text, m.width)}
	}
	var rows [][]string
	for _, f := range m.faxes {
		rows = append(rows, m.faxRow(f))
	}
	widths, titles := layout(faxColumns[:], rows, m.width-cells(marks[0])), []string(nil)
	for _, c := range faxColumns {
		titles = append(titles, c.title)
	}
	lines := []string{fit(marks[0], min(m.width, cells(marks[0]))) + row(titles, widths, func(int) ansi.Style { return m.style().Bold() })}
	for i, end := m.top, min(len(rows), m.top+m.room()); i < end; i++ {
		f, mark := m.faxes[i], marks[0]
		style := m.style()
		if !f.Read {
			style = style.Bold()
		}
		if i == m.index {
			style, mark = style.Reverse(true), marks[1]
		}
		lines = append(lines, style.Styled(fit(mark, min(m.width, cells(mark))))+row(rows[i], widths, func(column int) ansi.Style {
			if i != m.index && faxColumns[column].title == "Status" {
				return append(style[:len(style):len(style)], m.statusStyle(f)...)
			}
			return style
		}))
	}
	return lines
}

// faxRow has the texts of faxColumns.
func (m model) faxRow(f api.Fax) []string {
	return []string{
		f.Opened.UTC().Format("2006-01-02 15:04"), age(m.now.Sub(f.Opened)), named(f.From, f.FromName), named(f.To, f.ToName),
		fmt.Sprintf("%d of %d", f.Archived, f.Expected), m.state(f, m.lost != ""), work(f),
	}
}

func named(number, name string) string {
	if name == "" {
		return number
	}
	return number + " " + name
}

// work is who has a fax, and what people say about it.
func work(f api.Fax) string {
	var words []string
	if f.Assignee != "" {
		words = append(words, f.Assignee)
	}
	if f.Done {
		words = append(words, "done")
	}
	if f.Noted {
		words = append(words, "(note)")
	}
	for _, l := range f.Labels {
		words = append(words, "["+l+"]")
	}
	return strings.Join(words, " ")
}

// state is the status of a fax in words. A fax that was receiving when the connection was lost may be anything by now.
func (m model) state(f api.Fax, old bool) string {
	text := f.StatusText()
	if old && f.Status == session.StatusReceiving {
		text = "not known, was " + text
	}
	if why := f.ReasonText(); why != "" {
		text += " (" + why + ")"
	}
	if f.Held {
		text += ", held"
	}
	if differ := f.DifferText(); differ != "" {
		text += ", " + differ
	}
	return text
}

// statusStyle is the colour of a status, as in the dashboard.
func (m model) statusStyle(f api.Fax) ansi.Style {
	switch {
	case m.lost != "":
		return nil
	case f.Status == session.StatusPartial, len(f.Differing) > 0:
		return m.style(ansi.AttrRedForegroundColor)
	case f.Status == session.StatusReceiving:
		return m.style(ansi.AttrCyanForegroundColor)
	default:
		return nil
	}
}

// style is an empty one, with colours where they are wanted.
func (m model) style(colours ...ansi.Attr) ansi.Style {
	if m.noColor || len(colours) == 0 {
		return ansi.Style{}
	}
	return ansi.NewStyle(colours...)
}

// age is a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}
