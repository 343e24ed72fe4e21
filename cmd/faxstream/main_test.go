package main

import (
	"os"
	"testing"
)

// TestMain lets the test binary be faxstream itself, so that tests can start, stop and kill real processes.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}
