package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestTheBeginningOfASessionIDStandsForIt(t *testing.T) {
	many := []string{}
	for i := range 11 {
		many = append(many, fmt.Sprintf("many-faxes-%02d", i))
	}
	for _, row := range []struct {
		id       string
		sessions []string
		want     string
		wrong    string // in the text of an ErrAmbiguous
	}{
		{"abcdefgh", []string{"abcdefgh-1"}, "abcdefgh-1", ""},
		{"abcdefgh", []string{"abcdefgh-1", "abcdefgh-1"}, "abcdefgh-1", ""},
		{"abcdefgh", []string{"abcdefgh-1", "abcdefgh", "abcdefghi"}, "abcdefgh", ""},
		{"abcdefg", []string{"abcdefgh-1"}, "", ""},
		{"abcdefg", []string{"abcdefg", "abcdefgh-1"}, "abcdefg", ""},
		{"abcdefgh", nil, "", ""},
		{"abcdefgh", []string{"ABCDEFGH-1", "xabcdefgh"}, "", ""},
		{"abcdefgh", []string{"abcdefgh-2", "abcdefgh-1"}, "", "abcdefgh-1, abcdefgh-2"},
		{"many-faxes", many, "", "many-faxes-09, ..."},
	} {
		got, err := ShortFor(row.id, row.sessions)
		if got != row.want || errors.Is(err, ErrAmbiguous) != (row.wrong != "") || err != nil && !strings.HasSuffix(err.Error(), row.wrong) {
			t.Errorf("%s of %v is %q, %v; want %q", row.id, row.sessions, got, err, row.want)
		}
	}
}
