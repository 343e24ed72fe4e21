package storage_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/storage"
)

func TestValidKeyNamesWhatIsWrong(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, tc := range []struct{ name, key, want string }{
		{"a page", "faxes/S1/pages/0001.0123456789abcdef.tiff", ""},
		{"one letter", "a", ""},
		{"dots that are no parent", "...", ""},
		{"hidden name", "a/.b", ""},
		{"component at its limit", long, ""},
		{"key at its limit", strings.Repeat(long+"/", 4) + strings.Repeat("y", 96), ""},
		{"nothing", "", "empty"},
		{"leading slash", "/a", `component "" at byte 0`},
		{"trailing slash", "a/", `component "" at byte 2`},
		{"double slash", "a//b", `component "" at byte 2`},
		{"parent", "a/../b", `component ".." at byte 2`},
		{"self", "./b", `component "." at byte 0`},
		{"parent at the end", "a/..", `component ".." at byte 2`},
		{"backslash", `a\b`, `at 1`},
		{"NUL", "a\x00b", `at 1`},
		{"our temporary folder", "+tmp/1", `at 0`},
		{"umlaut", "ä", `at 0`},
		{"component too long", "a/" + long + "x", "201 bytes long"},
		{"key too long", strings.Repeat(long+"/", 4) + strings.Repeat("y", 97), "901 bytes long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := storage.ValidKey(tc.key)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, storage.ErrInvalidKey) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want ErrInvalidKey with %q", err, tc.want)
			}
		})
	}
}

// Every leading part of a valid key is a valid prefix, and a prefix made
// whole is a valid key: the two rules never drift apart.
func FuzzPrefixesOfValidKeys(f *testing.F) {
	for _, s := range []string{"faxes/S1/r1/plan.json", "a/..b/.c", "../x", "a//b", "..", "a/.", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if storage.ValidKey(s) == nil {
			for i := range len(s) + 1 {
				if err := storage.ValidPrefix(s[:i]); err != nil {
					t.Fatalf("%q is a key, its prefix %q: %v", s, s[:i], err)
				}
			}
		}
		if len(s) < 200 && storage.ValidPrefix(s) == nil {
			if err := storage.ValidKey(s + "x"); err != nil {
				t.Fatalf("%q is a prefix, but of nothing: %v", s, err)
			}
		}
	})
}
