//go:build race

package tiff_test

// growth is how much room slices.Grow takes for what it returns: under the race detector it makes it twice.
const growth = 2
