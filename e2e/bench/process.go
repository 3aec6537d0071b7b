//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// spent is the time that processes took: on the clock, and of all processors.
type spent struct{ clock, cpu time.Duration }

// program runs commands in one environment.
type program struct {
	path string
	env  []string
}

// run runs a command, which must succeed, and gives what it wrote. The time of a process holds that of its children.
func (p program) run(ctx context.Context, args ...string) ([]byte, spent, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &stdout, &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, spent{}, fmt.Errorf("%s: %w\n%s", cmd, err, stderr.Bytes())
	}
	return stdout.Bytes(), spent{time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// twoAtATime calls f for 0 to n-1 as xargs -P2 would, and adds up the processors' time.
func twoAtATime(n int, f func(i int) (spent, error)) (spent, error) {
	each, errs := make([]spent, n), make([]error, n)
	next := make(chan int)
	start := time.Now()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := range next {
				each[i], errs[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	all := spent{clock: time.Since(start)}
	for _, one := range each {
		all.cpu += one.cpu
	}
	return all, errors.Join(errs...)
}

// median gives the middle of some numbers, or of the two in the middle.
func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	if len(of) == 0 {
		return 0
	}
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}
