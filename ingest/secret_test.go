package ingest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faxstream/faxstream/ingest"
)

func TestReadSecrets(t *testing.T) {
	long := strings.Repeat("a", 257)
	cases := map[string]struct {
		content string
		want    []string
		err     string // what the error must say; empty: none
	}{
		"one":             {secret, []string{secret}, ""},
		"one line":        {secret + "\n", []string{secret}, ""},
		"two, DOS, blank": {"\r\n " + secret + " \r\n\r\n" + newSecret + "\r\n", []string{secret, newSecret}, ""},
		"none":            {"\n \n", nil, "0 secrets"},
		"three":           {secret + "\n" + newSecret + "\n" + secret + "\n", nil, "3 secrets"},
		"short":           {secret + "\nsh0rt-secret\n", nil, "line 2: the secret has 12 characters"},
		"long":            {long, nil, "257 characters"},
		"a slash":         {"abcdefgh/ijklmnopq", nil, "line 1: the secret has a character"},
		"an umlaut":       {"abcdefghijklmnopqü", nil, "not allowed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "secrets")
			if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := ingest.ReadSecrets(file)
			if c.err == "" {
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), file) {
				t.Fatalf("got %v, want an error of %q that names the file", err, c.err)
			}
			for line := range strings.Lines(c.content) {
				if l := strings.TrimSpace(line); l != "" && strings.Contains(err.Error(), l) {
					t.Errorf("the error shows a secret: %v", err)
				}
			}
		})
	}
	if _, err := ingest.ReadSecrets(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent file was taken")
	}
}
