//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

var (
	systemPrograms map[string]func()
	systemCommands map[string]func(*testscript.TestScript, bool, []string)
)

func canMount() bool { return false }
