// Package stage names the stages of a page's way. A Step says that one of them is done; metrics and people who watch receive Steps.
package stage
