package faxplus

// What is read of the provider's answers, for the fuzzer, which has no use for a server in between.
var (
	ParseList   = parseList
	ParseRecord = parseRecord
)
