package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// presence is how runs of kai on one machine know of one another's end. Each run
// holds the lock of a file of its own, which the system frees at once however the
// run ends. Who finds that file unlocked knows that its run is over: a process id
// would say less, as another process may have it by now, or have it elsewhere (in
// another container, in a copy of the machine).
type presence struct {
	name string // HOST/PID/RUN, for the Lease
	dir  string
	file *os.File // nil where no file can be locked: then others wait for the time of the Lease to end
}

// appear makes the presence of this run, in a folder that the machine does not
// share with others.
func appear(dir string) *presence {
	sweep(dir)
	host, _ := os.Hostname()
	run := runID() + runID()
	p := &presence{name: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), run), dir: dir}
	file, err := os.OpenFile(p.path(run), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return p
	}
	if err := lockFile(file); err != nil {
		_ = file.Close()
		_ = os.Remove(file.Name())
		return p
	}
	p.file = file
	return p
}

// forgotten is when nobody needs the file of a run that is over any more: the time
// of its Lease has ended long ago.
const forgotten = time.Minute

// sweep removes what killed runs have left and no Lease names: a run makes its
// file before it takes a Lease, and removes it after it has given that back.
func sweep(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if !presenceFile.MatchString(entry.Name()) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > forgotten && unlocked(path) {
			_ = os.Remove(path)
		}
	}
}

var presenceFile = regexp.MustCompile(`^kai-run-[0-9a-f]{16}$`)

func (p *presence) path(run string) string { return filepath.Join(p.dir, "kai-run-"+run) }

// leave ends the presence. It comes after the Lease is given back.
func (p *presence) leave() {
	if p.file != nil {
		_ = os.Remove(p.file.Name())
		_ = p.file.Close()
	}
}

var holderName = regexp.MustCompile(`^(.*)/[0-9]+/([0-9a-f]{16})$`)

// gone says whether another run, by its name, was one of this machine and is
// over. What it left is removed.
func (p *presence) gone(name string) bool {
	own := strings.SplitN(p.name, "/", 2)[0]
	parts := holderName.FindStringSubmatch(name)
	if parts == nil || parts[1] != own || own == "" {
		return false
	}
	path := p.path(parts[2])
	if !unlocked(path) {
		return false
	}
	_ = os.Remove(path)
	return true
}
