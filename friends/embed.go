// Package friends is the friend library: one file for each server that services
// commonly need. Each installs a single node with no outside chart repository,
// under Pod Security "restricted"; production names a chart of its own, or says
// with `chart: null` that the server is elsewhere.
package friends

import "embed"

// FS holds the files of the friends.
//
//go:embed *.yaml
var FS embed.FS
