// Package letters keeps dead letters true and does what people order about them. Begin with Letters.Consumptions.
//
// Promise: a page or whole file that is missing for good has one letter, until it comes after all; every order of a person is in
// FAX_AUDIT before it is done.
//
// # What a crash leaves
//
//	after                                      the next delivery
//	the action in FAX_AUDIT                    removes the letter and does what was ordered
//	the letter is removed, before the retry    does what was ordered
package letters
