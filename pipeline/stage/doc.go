// Package stage names the stages that a page goes through. A Step reports that one stage is done; metrics and the dashboard receive Steps.
// Begin with Step. It writes nothing: a crash leaves nothing.
package stage
