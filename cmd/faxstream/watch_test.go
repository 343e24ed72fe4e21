package main

import (
	"strings"
	"testing"
	"time"

	"github.com/faxstream/faxstream/cmd/faxstream/client"
	"github.com/faxstream/faxstream/pipeline/session"
)

// A filter is written in the words of ls, with or without the signs of flags.
func TestAFilterHasTheWordsOfLs(t *testing.T) {
	day := time.Date(2026, 11, 24, 0, 0, 0, 0, time.Local).UTC()
	for _, row := range []struct {
		words string
		want  client.FaxFilter
		wrong string
	}{
		{"", client.FaxFilter{}, ""},
		{" status=partial  done=no ", client.FaxFilter{Status: "partial", Done: "no"}, ""},
		{"--status partial --from=+1334", client.FaxFilter{Status: "partial", From: "+1334"}, ""},
		{`to="+1 334 304" assignee="Ada Lovelace" differs`, client.FaxFilter{
			To: "+1 334 304", Assignee: "Ada Lovelace", Verification: session.VerificationDiffers,
		}, ""},
		{`label="a b`, client.FaxFilter{Label: "a b"}, ""},
		{"since=2026-11-24", client.FaxFilter{Since: day}, ""},
		{"partial", client.FaxFilter{}, "unexpected argument partial"},
		{"colour=red", client.FaxFilter{}, "unknown flag --colour"},
		{"since=soon", client.FaxFilter{}, "want an age"},
		{"--help", client.FaxFilter{}, "unknown flag --help"},
	} {
		got, err := chosenBy(row.words)
		switch {
		case row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong)):
			t.Errorf("%q: %v, want %q", row.words, err, row.wrong)
		case row.wrong == "" && (err != nil || got != row.want):
			t.Errorf("%q: %+v, %v, want %+v", row.words, got, err, row.want)
		}
	}
}
