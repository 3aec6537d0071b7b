//go:build unix

package run

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// moreSignals are those that a helper notes beside the common ones.
var moreSignals = []os.Signal{syscall.SIGUSR1}

// spawn starts the test binary in another role and does not wait for it.
func spawn(role ...string) {
	cmd := exec.Command(os.Args[0], append([]string{"as"}, role...)...)
	if err := cmd.Start(); err != nil {
		panic(err)
	}
}

func helper(role string, args []string) {
	switch role {
	case "dies": // of a signal
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	case "sleeps":
		note(args[0], "start")
		time.Sleep(time.Minute)
	case "reads": // its terminal
		scanner := bufio.NewScanner(os.Stdin)
		note(args[0], "start %d %s", os.Getpid(), os.Getenv("N"))
		for scanner.Scan() {
			note(args[0], "read %s", scanner.Text())
		}
	case "leaves": // orphans behind, of its group and of a session of its own, and runs on
		for _, setsid := range []bool{false, true} {
			cmd := exec.Command(os.Args[0], "as", "middle", args[0])
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: setsid}
			if err := cmd.Run(); err != nil {
				panic(err)
			}
		}
		logs(args[0], nil)
	case "middle":
		spawn("orphan", args[0], strconv.Itoa(os.Getpid()))
	case "orphan":
		for strconv.Itoa(os.Getppid()) == args[1] {
			time.Sleep(time.Millisecond)
		}
		note(args[0]+".orphans", "orphan %d %d", os.Getpid(), os.Getppid())
	case "holds": // leaves a child that has its output open, and ends
		spawn("logs", args[0], "ignores")
		for {
			if _, err := os.Stat(args[0]); err == nil {
				os.Exit(3)
			}
			time.Sleep(time.Millisecond)
		}
	default:
		panic("there is no role " + role)
	}
}
