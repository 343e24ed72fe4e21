// Package flags reads what people write on the command line and in the configuration file: moments in time, session ids, and
// the YAML file that gives flags their values. It needs kong only to know which flags exist.
package flags
