package flags

import (
	"fmt"
	"os"
	"strings"
)

// ReadLine reads a file of one line, such as a key.
func ReadLine(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return "", fmt.Errorf("%s: want exactly one line", file)
	}
	return s, nil
}
