//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// conflicts is what a writer says at its end.
var conflicts = regexp.MustCompile(`(?m)^(\d+) conflicts$`)

// twoWriters has two processes increment one key of each store at once. They are the tests of kai's own module, which open
// the store as kai-run does; kai reads the sum.
func (b *secretsBench) twoWriters(ctx context.Context, which *regexp.Regexp, _ int, out io.Writer) error {
	writer := filepath.Join(b.dir, "writer")
	return b.each(ctx, "SecretsIncrements/", which, func(s store) error {
		if _, err := os.Stat(writer); err != nil {
			if err := build(ctx, b.root, "test", "./internal/runstore", writer); err != nil {
				return err
			}
			fmt.Fprintln(out, "secrets\tincrements\tlost\tconflicts\ttime\teach\tCPU of the writers\t")
		}
		return b.increment(ctx, s, writer, "SecretsIncrements/"+s.name, out)
	})
}

func (b *secretsBench) increment(ctx context.Context, s store, writer, name string, out io.Writer) error {
	const n = 2
	argv := s.inside(writer, "-test.run=^TestWriter$", "-test.timeout=1h")
	env := slices.Concat(s.env, []string{"KAI_DEPLOYMENT=" + deployment, "KAI_APP=counter", "KAI_SCOPE=secret", fmt.Sprintf("KAI_TEST_WRITER=%d", b.increments/n)})
	var writers [n]*exec.Cmd
	var said [n]bytes.Buffer
	begin := time.Now()
	for i := range writers {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env, cmd.Stdout, cmd.Stderr = b.command("", env...).env, &said[i], &said[i]
		if err := cmd.Start(); err != nil {
			return err
		}
		defer cmd.Process.Kill() // where another cannot be started
		writers[i] = cmd
	}
	lost, met := 0, 0
	var cpu time.Duration
	for i, cmd := range writers {
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, said[i].Bytes())
		}
		parts := conflicts.FindSubmatch(said[i].Bytes())
		if parts == nil {
			return fmt.Errorf("%s: a writer does not say what it met:\n%s", name, said[i].Bytes())
		}
		more, _ := strconv.Atoi(string(parts[1]))
		met += more
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	took := time.Since(begin)
	all := b.increments / n * n
	text, _, err := b.ofStore(s).run(ctx, append([]string{"secrets", "get", "counter.secret.n", "--deployment", deployment}, s.args...)...)
	if err != nil {
		return err
	}
	sum, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return fmt.Errorf("%s: the sum is no number", name)
	}
	if lost = all - sum; lost != 0 {
		err = fmt.Errorf("%s: %d of %d increments are lost", name, lost, all)
	}
	fmt.Fprintf(os.Stderr, "bench: %s: %s\n", name, took)
	fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t\n", name, all, lost, met, duration(float64(took)), duration(float64(took)/float64(all)), duration(float64(cpu)))
	return err
}
