package watch

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// pageColumns are those of an open fax.
var pageColumns = [...]column{
	{title: "Page", least: 5},
	{title: "Status", least: 12},
	{title: "Source", least: 10, leave: 2},
	{title: "Size", least: 11, leave: 3},
	{title: "Bad rows", least: 8, leave: 1},
	{title: "Remarks", least: 8},
}

// faxHead is what stands above the pages of the open fax.
func (m model) faxHead() []string {
	title := m.style().Bold().Styled(fit("Fax "+m.open, m.width))
	if m.detail == nil {
		return append([]string{title}, paragraph("Reading the fax.", m.width, 1)...)
	}
	d := m.detail
	words := fmt.Sprintf("From %s to %s: %s", named(d.From, d.FromName), named(d.To, d.ToName), m.state(d.Fax, m.oldDetail()))
	if d.Revision > 0 {
		words += fmt.Sprintf(", revision %d", d.Revision)
	}
	lines := append([]string{title}, paragraph(words, m.width, 3)...)
	who := "nobody"
	if d.Work.Assignee != "" {
		who = d.Work.Assignee
	}
	words = fmt.Sprintf("Opened %s UTC. Assigned to %s, %s.", d.Opened.UTC().Format("2006-01-02 15:04"), who, d.Work.Text())
	for _, l := range d.Work.Labels {
		words += " [" + l + "]"
	}
	lines = append(lines, paragraph(words, m.width, 2)...)
	if d.Work.Note != "" {
		lines = append(lines, paragraph("Note: "+d.Work.Note, m.width, 3)...)
	}
	return lines
}

// oldDetail reports whether the open fax may have changed since the connection was lost.
func (m model) oldDetail() bool { return m.lost != "" || m.detailLosses != m.losses }

// pageLines is the table of the open fax's pages, as far as there is room.
func (m model) pageLines() []string {
	if m.detail == nil {
		return nil
	}
	var rows [][]string
	for _, p := range m.detail.Pages {
		rows = append(rows, m.pageRow(p))
	}
	widths, titles := layout(pageColumns[:], rows, m.width), []string(nil)
	for _, c := range pageColumns {
		titles = append(titles, c.title)
	}
	lines := []string{row(titles, widths, func(int) ansi.Style { return m.style().Bold() })}
	for _, r := range rows[m.above:min(len(rows), m.above+max(0, m.room()))] {
		lines = append(lines, row(r, widths, func(int) ansi.Style { return m.style() }))
	}
	return lines
}

// pageRow has the texts of pageColumns.
func (m model) pageRow(p api.Page) []string {
	status, size, bad := p.Status, "", ""
	if m.oldDetail() && p.Status == session.PageStatusAnnounced {
		status = "was " + p.Status
	}
	if p.Width > 0 {
		size, bad = fmt.Sprintf("%d × %d", p.Width, p.Height), fmt.Sprint(p.Bad)
	}
	var remarks []string
	if p.Reason != "" {
		status += " (" + string(p.Reason) + ")"
		remarks = append(remarks, p.Reason.Words())
	}
	switch {
	case p.Chosen != "":
		remarks = append(remarks, "chosen: "+p.Chosen)
	case p.Difference != "":
		remarks = append(remarks, "differs from the whole file ("+p.Difference+"): choose an image")
	}
	if p.ReceivedBad {
		remarks = append(remarks, "the receiver calls this page bad")
	}
	if p.ResolutionAssumed != "" {
		remarks = append(remarks, p.ResolutionAssumed)
	}
	return []string{fmt.Sprint(p.Page), status, p.Source, size, bad, strings.Join(remarks, "; ")}
}
