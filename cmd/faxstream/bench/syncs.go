package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// syncCalls are the system calls that wait for the disk.
const syncCalls = "fsync,fdatasync,syncfs,sync_file_range,msync"

// costOfSyncs counts waits for the disk with strace, of serve and of an external NATS server. Those of an S3 service are its own affair.
func costOfSyncs(ctx context.Context, b *bench, of build, name string) (figures, error) {
	strace, err := b.tool("strace")
	if err != nil {
		return nil, err
	}
	var logs []string
	s, err := b.in(ctx, of, name, func(program string) []string {
		log := filepath.Join(b.dir, "strace-"+program)
		logs = append(logs, log)
		return []string{strace, "-f", "-qq", "--seccomp-bpf", "-y", "-e", "trace=openat," + syncCalls, "-o", log}
	})
	if err != nil {
		return nil, err
	}
	r, err := b.start(of, s, nil)
	if err != nil {
		return nil, err
	}
	faxes := b.size.of(10, 1)
	ofStart := logSizes(logs)
	_, err = r.process20(ctx, b, faxes)
	if err := errors.Join(err, r.close()); err != nil {
		return nil, err
	}
	return countSyncs(logs, ofStart, faxes*pagesOfFax)
}

// logSizes are the lengths of what strace has written so far.
func logSizes(logs []string) []int64 {
	sizes := make([]int64, len(logs))
	for i, log := range logs {
		if info, err := os.Stat(log); err == nil { // it is not there before the first call
			sizes[i] = info.Size()
		}
	}
	return sizes
}

// countSyncs counts by stores what logs have after what they had at the start.
func countSyncs(logs []string, ofStart []int64, pages int) (figures, error) {
	f := figures{"syncs/streams": 0, "syncs/consumers": 0, "syncs/archive": 0, "syncs/other": 0}
	for i, log := range logs {
		all, err := os.ReadFile(log)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(all[ofStart[i]:])) {
			if path := syncedPath(line); path != "" {
				f["syncs/"+storeOf(path)] += 1 / float64(pages)
			}
		}
	}
	return f, nil
}

var (
	synced = regexp.MustCompile(`(?:fsync|fdatasync|syncfs|sync_file_range)\(\d+<([^>]*)>`)
	inSync = regexp.MustCompile(`openat\([^"]*"([^"]*)".*\bO_D?SYNC\b`)
)

// syncedPath is the file for which a line of strace waits: an fsync or the like, or a file opened with O_SYNC, which is written once.
// Empty: the line is none of them.
func syncedPath(line string) string {
	for _, kind := range []*regexp.Regexp{synced, inSync} {
		if m := kind.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return ""
}

// storeOf tells by its path what a synced file belongs to.
func storeOf(path string) string {
	switch {
	case strings.Contains(path, "/obs/"):
		return "consumers"
	case strings.Contains(path, "/streams/"):
		return "streams"
	case strings.Contains(path, "/archive"):
		return "archive"
	}
	return "other"
}
