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
		"alice write " + sum:              "want read, operate or admin",
		"alice read,read " + sum:          "want read, operate or admin",
		"alice , " + sum:                  "want read, operate or admin",
		"alice read sha256:00":            "64 hex digits",
		"alice read " + sum[7:]:           "64 hex digits",
	} {
		if _, err := ParseTokens(text); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What is read from a file of tokens says the same when it is written again.
func FuzzParseTokens(f *testing.F) {
	f.Add("alice read,operate sha256:" + strings.Repeat("0a", 32) + "\n# bob\n")
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
