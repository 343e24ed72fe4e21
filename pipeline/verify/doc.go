// Package verify proves from the archive alone that faxes are as they were written. Begin with Checker.Session or Checker.All.
//
// Promise: every flip and every removal in an object that a manifest names is a Fault that says where and what to do. It reads only, and a
// crash leaves nothing but files in its spool directory.
package verify
