// Package flavors is the flavor library: one folder per built-in flavor, with
// its flavor.yaml and the templates of the charts that are made from it.
package flavors

import "embed"

// FS holds the folders of the built-in flavors, without their tests. The prefix
// all: keeps files whose names begin with an underscore, which embed would leave
// out.
//
//go:embed */flavor.yaml all:*/templates
var FS embed.FS
