package flags

import (
	"errors"
	"regexp"
	"strconv"
)

// PageNumber is the number of a page on the command line, from 1; 0 only if it is not given.
type PageNumber int

func (p *PageNumber) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return errors.New(strconv.Quote(string(text)) + ": want a number; pages count from 1")
	}
	*p = PageNumber(n)
	return nil
}

// PageNumbers are numbers of pages on the command line, such as 2 or 2-4,7.
type PageNumbers string

func (p *PageNumbers) UnmarshalText(text []byte) error {
	if !regexp.MustCompile(`^[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?(,[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?)*$`).Match(text) {
		return errors.New(strconv.Quote(string(text)) + ": want a number, or several such as 2-4,7; pages count from 1")
	}
	*p = PageNumbers(text)
	return nil
}

// LetterID is the number of a dead letter on the command line.
type LetterID uint64

func (l *LetterID) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return errors.New(strconv.Quote(string(text)) + ": want an id as `faxstream dlq ls` prints it")
	}
	*l = LetterID(n)
	return nil
}
