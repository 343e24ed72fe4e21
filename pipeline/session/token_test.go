package session

import (
	"strings"
	"testing"
	"time"
)

func TestNumberToken(t *testing.T) {
	for _, row := range []struct{ name, number, want string }{
		{"formatted number", "+1 334-304-0000", "13343040000"},
		{"with brackets and dots", "+1 (334) 304.0000", "13343040000"},
		{"a no-break space", "+1\u00a0334\u00a0304\u202f0000", "13343040000"},
		{"slashes and other dashes", "+49/30/1\u20111\u2212\u2013", "493011"},
		{"marks of bidirectional text", "\u202a+1 334\u200e304\u20690000\u202c", "13343040000"},
		{"a zero-width space and a soft hyphen", "1\u200b334\u00ad3040000", "13343040000"},
		{"the prefix of calls abroad", "0013343040000", "0013343040000"},
		{"national", "334-304-0000", "3343040000"},
		{"space around it", "  +49 30 1 ", "49301"},
		{"user id", "user-17_b", "user-17_b"},
		{"empty", "", UnknownToken},
		{"only space", "   ", UnknownToken},
		{"a name with a space", "Front Desk", "h"},
		{"only signs", "+()", "h"},
		{"a subject wildcard", "*", "h"},
		{"a subject", "a.b.>", "h"},
		{"a path", "../../x", "h"},
		{"too many digits", strings.Repeat("1", 65), "h"},
		{"digits of another script", "٣٣٤", "h"},
		{"digits with other signs", "123_4", "h"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := NumberToken(row.number)
			if hashed := row.want == "h" && len(got) == 17 && got[0] == 'h'; got != row.want && !hashed {
				t.Errorf("token %q, want %q", got, row.want)
			}
		})
	}
	if NumberToken("Front Desk") == NumberToken("FrontDesk!") {
		t.Error("two odd numbers share a token")
	}
}

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"a": true, "A-z_09": true, strings.Repeat("x", MaxTokenLen): true,
		"": false, strings.Repeat("x", MaxTokenLen+1): false, "a.b": false, "a b": false, "*": false, ">": false, "ä": false, "a/b": false,
		"a\x00": false,
	} {
		if ValidToken(token) != want {
			t.Errorf("ValidToken(%q) is %t", token, !want)
		}
	}
}

func TestMaskNumberShowsAtMostFourCharacters(t *testing.T) {
	for number, want := range map[string]string{"+13343040000": "***0000", "12345": "***2345", "1234": "****", "": ""} {
		if got := MaskNumber(number); got != want {
			t.Errorf("MaskNumber(%q) is %q, want %q", number, got, want)
		}
	}
}

func TestTimersComeBackFromTheirSubject(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 7e6, time.UTC)
	for _, timer := range []Timer{
		{Kind: TimerGrace, Session: "s", Due: at},
		{Kind: TimerIdle, Session: "s-1", Due: at},
		{Kind: TimerRetry, Session: "s", Page: 3, Due: at},
		{Kind: TimerWhole, Session: "s", Due: at},
	} {
		back, err := ParseTimer(timer.DueSubject())
		if err != nil || back != timer {
			t.Errorf("%s comes back as %+v, %v", timer.DueSubject(), back, err)
		}
		if timer.SetSubject() == timer.DueSubject() {
			t.Errorf("%s is where it is set and where it fires", timer.DueSubject())
		}
	}
}

func TestSubjectsThatNoTimerHasAreRefused(t *testing.T) {
	for _, subject := range []string{
		"", "fax.v1.timer.due", "fax.v1.timer.due.", "fax.v1.timer.due.grace.s", "fax.v1.timer.due.grace.s.x", "fax.v1.timer.due.grace.s.1.2",
		"fax.v1.timer.due.retry.s.5", "fax.v1.timer.due.retry.s.0.5", "fax.v1.timer.due.retry.s.-1.5", "fax.v1.timer.due.whole.s.1.5",
		"fax.v1.timer.due.retry.s.x.5", "fax.v1.timer.due.retry.s.+1.5", "fax.v1.timer.due.retry.s.01.5",
		"fax.v1.timer.due.grace..5", "fax.v1.timer.due..s.5", "fax.v1.timer.set.grace.s.5", "fax.v1.timer.due.grace.s.99999999999999999999",
		"fax.v1.timer.due.grace.s.5.6.7",
	} {
		if timer, err := ParseTimer(subject); err == nil {
			t.Errorf("%q was read as %+v", subject, timer)
		}
	}
}

// Whoever looks for a fax writes the number as he knows it.
func TestSameNumber(t *testing.T) {
	same := []string{
		"+1 334-304-5554", "13343045554", "0013343045554", "00 1 (334) 304.5554", "334-304-5554", "3343045554", "+1\u00a0334\u00a0304\u00a05554",
		"334/304-5554", "\u202a+13343045554\u202c", "0334 304 5554",
	}
	for _, a := range same {
		for _, b := range same {
			if !SameNumber(a, b) {
				t.Errorf("%q is not %q", a, b)
			}
		}
	}
	for _, pair := range [][2]string{
		{"+1 334-304-5554", "+1 334-304-5555"},
		{"+1 334-304-5554", "+44 334 304 5554"},
		{"+1 334-304-5554", "304-555"},
		{"+3343045554", "+13343045554"},
		{"003343045554", "+13343045554"},
		{"+1 334-304-5554", "+9999 1 334-304-5554"},
		{"5554", "+1 334-304-5554"},
		{"12345678", "+999912345678"},
		{"user-1", "user-2"},
		{"", "+1 334-304-5554"},
		{"*", "+13343045554"},
		{"unknown", "13343045554"},
		{"000", "0000000"},
	} {
		if SameNumber(pair[0], pair[1]) || SameNumber(pair[1], pair[0]) {
			t.Errorf("%q is %q", pair[0], pair[1])
		}
	}
	for _, number := range []string{"user-1", "", "Front Desk", "+49 30 1", "00"} {
		if !SameNumber(number, number) {
			t.Errorf("%q is not itself", number)
		}
	}
}

// A right to a number is a right to this number, with and without the prefix of a call abroad, and to no other.
func TestSameToken(t *testing.T) {
	for _, pair := range [][2]string{{"13343045554", "0013343045554"}, {"0013343045554", "13343045554"}, {"user-1", "user-1"}, {"00", "00"}} {
		if !SameToken(pair[0], pair[1]) {
			t.Errorf("%q is not %q", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{
		{"13343045554", "3343045554"},
		{"13343045554", "003343045554"},
		{"13343045554", "013343045554"},
		{"13343045554", "00013343045554"},
		{"13343045554", "000013343045554"},
		{"123456", "00123456"},
		{"user-1", "00user-1"},
		{"", "00"},
		{"unknown", "00unknown"},
	} {
		if SameToken(pair[0], pair[1]) || SameToken(pair[1], pair[0]) {
			t.Errorf("%q is %q", pair[0], pair[1])
		}
	}
}

func FuzzSameNumber(f *testing.F) {
	f.Add("+1 334-304-5554", "334/304 5554")
	f.Add("00", "+")
	f.Fuzz(func(t *testing.T, a, b string) {
		if SameNumber(a, b) != SameNumber(b, a) {
			t.Errorf("%q and %q: it depends on who asks", a, b)
		}
		if !SameNumber(a, a) || NumberToken(a) == NumberToken(b) && !SameNumber(a, b) {
			t.Errorf("%q is not %q", a, b)
		}
	})
}

func FuzzNumberToken(f *testing.F) {
	for _, s := range []string{"+1 334-304-0000", "user-1", "", "a.b", "*", "\xff", "unknown"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, number string) {
		token := NumberToken(number)
		if !ValidToken(token) {
			t.Fatalf("NumberToken(%q) is %q", number, token)
		}
		if again := NumberToken(token); again != token {
			t.Fatalf("the token of token %q is %q", token, again)
		}
		if len(MaskNumber(number)) > max(7, len(number)) {
			t.Fatalf("MaskNumber(%q) is %q", number, MaskNumber(number))
		}
	})
}

func FuzzParseTimer(f *testing.F) {
	f.Add(Timer{Kind: TimerGrace, Session: "s", Due: testStart}.DueSubject())
	f.Add(Timer{Kind: TimerRetry, Session: "s", Page: 2, Due: testStart}.DueSubject())
	f.Add("fax.v1.timer.due.retry.s.-1.-9223372036854775808")
	f.Fuzz(func(t *testing.T, subject string) {
		timer, err := ParseTimer(subject)
		if err != nil {
			return
		}
		if timer.DueSubject() != subject || !ValidToken(timer.Session) {
			t.Fatalf("%q was read as %+v, which fires on %q", subject, timer, timer.DueSubject())
		}
		next, err := Next(streaming(), State{Session: timer.Session, Opened: testStart}, Event{At: testStart, Timer: timer})
		if err != nil || len(next.Effects) > 0 {
			t.Fatalf("a timer that nobody set made %+v, %v", next, err)
		}
	})
}
