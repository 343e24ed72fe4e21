// Package letters writes and removes the dead letters of pages and whole files, and carries out what people order about dead letters.
// Begin with Worker.Consumptions.
//
// Promise: a page or whole file that is missing for good has exactly one letter, until it arrives after all. Every order of a person is
// in FAX_AUDIT before it is carried out.
//
// # What a crash leaves
//
//	after                                      the next delivery
//	the action in FAX_AUDIT                    removes the letter and carries out the order
//	the letter is removed, before the retry    carries out the order
package letters
