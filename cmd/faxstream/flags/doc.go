// Package flags reads what people write on the command line and in the configuration file: moments in time, durations, ids and
// page numbers, files of one line, and the YAML file that gives flags their values (ReadFile). A value that is wrong is an error that says
// how a right one is written.
package flags
