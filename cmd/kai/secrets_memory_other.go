//go:build !linux

package main

// memoryFolder gives a folder whose files are in memory; here none is known.
func memoryFolder() string { return "" }
