// Package verify proves from the archive alone that faxes are as they were written. Begin with Checker.Session or Checker.All.
//
// Promise: if a byte of an object that a manifest names is changed, or the object is removed, there is a Fault that says where and what to
// do. It only reads the archive. A crash leaves files in its scratch directory and nothing else.
package verify
