package watch

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/faxstream/faxstream/cmd/faxstream/api"
	"github.com/faxstream/faxstream/pipeline/session"
)

// FuzzScreen: whatever strangers write, the screen is exactly as high and at most as wide as the terminal, and no sequence of theirs is on
// it.
func FuzzScreen(f *testing.F) {
	for _, s := range []string{
		"+1334", "\x1b]0;owned\x07", "\x1b[2J\x1b[1;1H", "\u009b31m", "\x9b31m", "a\nb\rc\td", "\u202egnp.exe", "漢字漢字漢字漢字漢字",
		"👨‍👩‍👧‍👦👨‍👩‍👧‍👦", "e\u0301\u0301",
		"\xff\xfe", "\u2028", "\x00", "स्ते",
	} {
		f.Add(s, uint8(40), uint8(12))
		f.Add(s, uint8(3), uint8(2))
	}
	own := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	f.Fuzz(func(t *testing.T, s string, width, height uint8) {
		width, height = 1+width%100, 1+height%40
		for _, m := range hostile(t, s, int(width), int(height)) {
			lines := strings.Split(m.View().Content, "\n")
			if len(lines) != int(height) {
				t.Fatalf("%d lines, want %d", len(lines), height)
			}
			for _, l := range lines {
				l = own.ReplaceAllString(l, "")
				if strings.ContainsFunc(l, unicode.IsControl) || strings.ContainsAny(l, "\u202e\u2066\u2028") || !utf8.ValidString(l) {
					t.Fatalf("not for a terminal: %q", l)
				}
				if w := ansi.StringWidthWc(l); w > int(width) {
					t.Fatalf("%d cells, want at most %d: %q", w, width, l)
				}
			}
		}
	})
}

// hostile are models that have a text of a stranger wherever there can be one.
func hostile(t *testing.T, s string, width, height int) []model {
	t.Helper()
	f := receiving(s, 1)
	f.From, f.To, f.FromName, f.Assignee, f.Labels, f.Reason, f.Status = s, s, s, s, []string{s}, s, s
	r := newRig(t, width, height, f)
	data, err := json.Marshal(map[string]any{
		"session": s, "page": 1, "status": s, "reason": s, "differences": map[string]session.Ranges{s: nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(api.Event{Type: s, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	e, err := parseEvent(line)
	if err != nil {
		t.Fatal(err)
	}
	r.filter, r.incomplete = s, s
	r.tell(eventMsg(e))
	models := []model{r.model}
	r.press("/")
	r.tell(tea.PasteMsg{Content: s})
	models = append(models, r.model)
	r.press("esc")
	r.tell(closedMsg{errors.New(s)})
	models = append(models, r.model)
	r.press("enter")
	d := api.FaxDetail{Fax: f, Work: session.Work{Assignee: s, Note: s, Labels: []string{s}}, Pages: []api.Page{
		{Page: 1, Status: s, Source: s, Reason: session.Reason(s), Difference: s, Chosen: s, ResolutionAssumed: s},
	}}
	r.tell(faxMsg{session: s, fax: d, losses: r.losses})
	return append(models, r.model)
}

// FuzzEventText: an event is one line for a terminal, or refused.
func FuzzEventText(f *testing.F) {
	f.Add([]byte(`{"type":"fax.v1.page.archived","time":"2026-11-24T12:00:00Z","data":{"session":"a","page":1,"status":"x"}}`))
	f.Add([]byte(`{"type":"\u001b[2J","data":{"differences":{"\u009b":[[1,2]]}}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		text, err := EventText(line)
		if err == nil && strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("not for a terminal: %q", text)
		}
	})
}
