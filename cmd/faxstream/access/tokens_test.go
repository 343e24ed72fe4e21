package access

import (
	"strings"
	"testing"
)

func TestATokenFileIsRefusedWithItsFault(t *testing.T) {
	_, line, err := NewToken("alice", []Scope{ScopeRead, ScopeOperate})
	if err != nil {
		t.Fatal(err)
	}
	sum := line[strings.Index(line, "sha256:"):]
	for text, want := range map[string]string{
		line:                              "",
		"# comment\n\n  " + line + "\r\n": "",
		"":                                "no token",
		"alice read":                      "line 1: 2 words",
		line + "\n" + line:                "line 2: the name alice is used twice",
		line + "\nbob read " + sum:        "line 2: bob has the same token as another line",
		"a/b read " + sum:                 "a name must be",
		"alice write " + sum:              "want read, operate, admin, metrics, text or work",
		"alice read,read " + sum:          "want read, operate, admin, metrics, text or work",
		"alice , " + sum:                  "want read, operate, admin, metrics, text or work",
		"alice read sha256:00":            "64 hex digits",
		"alice read " + sum[7:]:           "64 hex digits",

		"alice read,metrics " + sum + " to=13343040000,fax-room": "",
		"alice metrics " + sum:               "",
		line + " to=13343040000":             "can have neither operate nor admin",
		"alice admin " + sum + " to=1":       "can have neither operate nor admin",
		"alice metrics " + sum + " to=1":     "needs scope read",
		"alice read " + sum + " 13343040000": "the fourth word must be to=",
		"alice read " + sum + " to=":         `number ""`,
		"alice read " + sum + " to=1,":       `number ""`,
		"alice read " + sum + " to=+1":       `number "+1"`,
		"alice read " + sum + " to=1,1":      `number "1"`,
		"alice read " + sum + " to=unknown":  "want digits or a user id",
		"alice read " + sum + " to=1 to=2":   "5 words",
	} {
		if _, err := ParseTokens(text); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Who is limited to numbers sees faxes of these, however somebody wrote them, and a line of before sees all.
func TestATokenIsLimitedToNumbers(t *testing.T) {
	_, line, err := NewToken("alice", []Scope{ScopeRead}, "+1 334-304-0000", "fax-room")
	if err != nil || !strings.HasSuffix(line, " to=13343040000,fax-room") {
		t.Fatalf("%q, %v", line, err)
	}
	_, all, err := NewToken("bob", []Scope{ScopeRead})
	if err != nil || strings.Contains(all, "to=") {
		t.Fatalf("%q, %v", all, err)
	}
	tokens, err := ParseTokens(line + "\n" + all)
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[string]bool{
		"13343040000": true, "0013343040000": true, "fax-room": true, "3343040000": false, "13343040001": false, "unknown": false, "": false,
	} {
		if tokens[0].Sees(number) != want || !tokens[1].Sees(number) {
			t.Errorf("%q: limited %t, want %t; not limited %t", number, tokens[0].Sees(number), want, tokens[1].Sees(number))
		}
	}
	if _, line, err := NewToken("carol", []Scope{ScopeRead}, " "); err == nil {
		t.Errorf("a token for no number: %q", line)
	}
}

// What is read from a file of tokens says the same when it is written again.
func FuzzParseTokens(f *testing.F) {
	f.Add("alice read,operate sha256:" + strings.Repeat("0a", 32) + "\n# bob\n")
	f.Add("alice read sha256:" + strings.Repeat("0a", 32) + " to=13343040000,fax-room")
	f.Add("a b c")
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := ParseTokens(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, token := range tokens {
			again.WriteString(token.line() + "\n")
		}
		same, err := ParseTokens(again.String())
		if err != nil || len(same) != len(tokens) {
			t.Fatalf("%q is read as %q, which gives %v", text, again.String(), err)
		}
		for i := range same {
			if same[i].line() != tokens[i].line() {
				t.Fatalf("%q is not %q", same[i].line(), tokens[i].line())
			}
		}
	})
}
