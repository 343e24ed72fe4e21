package pipeline

import "time"

func init() { sweepEvery = SimulatedSweep }

// SimulatedSweep is how often timers are set again in the simulation.
const SimulatedSweep = 24 * time.Hour
