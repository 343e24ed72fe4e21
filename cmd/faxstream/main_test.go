package main

import (
	"os"
	"runtime/pprof"
	"testing"

	"github.com/nats-io/nats-server/v2/server/ats"
)

// TestMain lets the test binary be faxstream itself, so that tests can start, stop and kill real processes.
// FAXSTREAM_TEST_PROFILE names a file for the CPU profile of such a process.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(profiled(program))
	}
	ats.Register() // one clock for the embedded servers of all tests, outside any bubble of synctest
	os.Exit(m.Run())
}

func profiled(program func() int) int {
	if file := os.Getenv("FAXSTREAM_TEST_PROFILE"); file != "" {
		f, err := os.Create(file)
		if err != nil {
			panic(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			panic(err)
		}
		defer pprof.StopCPUProfile()
	}
	return program()
}
