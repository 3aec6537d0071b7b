package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxKept bounds the bytes of files that are kept because their size was asked
// for, which most often comes right before their reading.
const maxKept = 32 << 20

// blobs reads objects through one `git cat-file --batch`, which is started when
// the first is asked for.
type blobs struct {
	ctx        context.Context // the tree's life, which its methods' signatures do not carry
	repository repository

	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bounded
	err    error // why nothing more can be read
	sizes  map[string]int64
	kept   map[string][]byte
	bytes  int
}

// TooLargeError says that a file has more than MaxFile bytes.
type TooLargeError struct{ Size int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("is larger than the bound of %d KiB", MaxFile>>10)
}

// read gives an object's content, which the caller must not change.
func (b *blobs) read(object string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if data, ok := b.kept[object]; ok {
		return data, nil
	}
	if size := b.sizes[object]; size > MaxFile {
		return nil, &TooLargeError{size}
	}
	data, _, err := b.fetch(object)
	return data, err
}

// size gives an object's size, of one that is too large to be read as well.
func (b *blobs) size(object string) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if size, ok := b.sizes[object]; ok {
		return size, nil
	}
	data, size, err := b.fetch(object)
	var large *TooLargeError
	if err != nil && !errors.As(err, &large) {
		return 0, err
	}
	if err == nil && b.bytes+len(data) <= maxKept {
		b.kept[object] = data
		b.bytes += len(data)
	}
	return size, nil
}

// fetch asks git for an object.
func (b *blobs) fetch(object string) (data []byte, size int64, err error) {
	if b.err == nil && b.cmd == nil {
		b.err = b.start()
	}
	if b.err != nil {
		return nil, 0, b.err
	}
	data, size, err = b.exchange(object)
	var large *TooLargeError
	if err != nil && !errors.As(err, &large) && !errors.Is(err, errNoObject) {
		// The process and we no longer agree on where an answer begins.
		_ = b.cmd.Process.Kill()
		b.stop()
		b.err = b.explain(err)
		return nil, 0, b.err
	}
	if !errors.Is(err, errNoObject) {
		b.sizes[object] = size
	}
	return data, size, err
}

// errNoObject says that the repository does not have what its tree names.
var errNoObject = errors.New("is not in the repository, which is a partial clone or damaged (git fsck tells)")

func (b *blobs) exchange(object string) ([]byte, int64, error) {
	if _, err := io.WriteString(b.in, object+"\n"); err != nil {
		return nil, 0, err
	}
	// OBJECT TYPE SIZE, or OBJECT missing.
	head, err := b.out.ReadString('\n')
	if err != nil {
		return nil, 0, err
	}
	words := strings.Fields(head)
	if len(words) == 2 && words[1] == "missing" {
		return nil, 0, errNoObject
	}
	if len(words) != 3 {
		return nil, 0, fmt.Errorf("git answers %q", head)
	}
	size, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil || size < 0 {
		return nil, 0, fmt.Errorf("git answers %q", head)
	}
	if size > MaxFile {
		if _, err := io.CopyN(io.Discard, b.out, size+1); err != nil {
			return nil, 0, err
		}
		return nil, size, &TooLargeError{size}
	}
	data := make([]byte, size+1) // a line's end follows the content
	if _, err := io.ReadFull(b.out, data); err != nil {
		return nil, 0, err
	}
	return data[:size:size], size, nil
}

func (b *blobs) start() error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	cmd := b.repository.command(b.ctx, "cat-file", "--batch")
	cmd.WaitDelay = time.Second
	b.stderr.max = 4 << 10
	cmd.Stderr = &b.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return &Error{Message: "git does not start", Cause: err}
	}
	b.cmd, b.in, b.out = cmd, in, bufio.NewReaderSize(out, 64<<10)
	b.sizes, b.kept = map[string]int64{}, map[string][]byte{}
	return nil
}

// stop ends the process and waits for it.
func (b *blobs) stop() {
	if b.cmd != nil {
		_ = b.in.Close()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// explain words why git ended in the middle. It has ended.
func (b *blobs) explain(err error) error {
	if b.ctx.Err() != nil {
		return b.ctx.Err()
	}
	if text := said(b.stderr.data); text != "" {
		err = errors.New(text)
	}
	return &Error{Message: "git stopped reading the repository", Hint: "run the command again", Cause: err}
}

func (b *blobs) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop()
	if b.err == nil {
		b.err = fs.ErrClosed
	}
	return nil
}
