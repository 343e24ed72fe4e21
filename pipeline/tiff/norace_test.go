//go:build !race

package tiff_test

const growth = 1
