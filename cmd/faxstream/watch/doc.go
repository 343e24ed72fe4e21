// Package watch shows in a terminal what the dashboard's list shows, and follows it: Run is the live view, EventText a line for each event
// where there is no terminal.
//
//	follow    sends the events of the server (follow.go), and opens the stream again when it ends
//	model     what is known, as messages made it; Update is a pure function (model.go, reading.go, keys.go)
//	View      the screen of a model (view.go, fax.go, table.go)
//
// The model reads the list after events, and every few seconds: nobody is told of what people say about a fax. What it shows of a lost
// connection is what was true before, and says so. Nothing is stored, so a crash leaves nothing.
//
// Texts come from strangers: each goes through client.OneLine on its way into a line.
package watch
