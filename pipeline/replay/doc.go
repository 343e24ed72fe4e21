// Package replay decodes archived originals again and orders a new revision where a page comes out otherwise. Begin with Replayer.Replay.
//
// Promise: it fetches nothing and overwrites nothing. A crash leaves a report and amended pages; the next delivery writes the same again.
package replay
