package faxplus

import "time"

// What is read of the provider's answers, for the fuzzer, which has no use for a server in between.

func ParseList(body []byte) ([]Record, error) { return parseList(body, time.UTC) }

func ParseRecord(body []byte) (Record, error) { return parseRecord(body, time.UTC) }
