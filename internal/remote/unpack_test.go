package remote

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// member is an entry of an archive.
type member struct {
	name, data string
	flag       byte // 0 is a file, or a folder where the name ends in /
	link       string
}

// pack makes an archive of just these entries.
func pack(t testing.TB, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for i, m := range members {
		header := &tar.Header{Typeflag: m.flag, Name: m.name, Linkname: m.link, Size: int64(len(m.data)), Mode: int64(0o600 + i), ModTime: time.Unix(int64(i)*1000, 0)}
		switch {
		case m.flag != 0:
		case strings.HasSuffix(m.name, "/"):
			header.Typeflag = tar.TypeDir
		default:
			header.Typeflag = tar.TypeReg
		}
		if m.flag == tar.TypeXGlobalHeader {
			header = &tar.Header{Typeflag: m.flag, Name: m.name, PAXRecords: map[string]string{"comment": "x"}}
		}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// smallLimits are bounds that a test can reach.
var smallLimits = Limits{Tree: 4000, File: 1000, Files: 20, Depth: 4, Ratio: 2}.orDefault()

func TestUnpack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		members []member
		part    below
		want    string
	}{
		"plain":        {[]member{{name: "b"}, {name: "a/"}, {name: "a/x", data: "1"}}, below{}, "a/x b"},
		"dots":         {[]member{{name: "./"}, {name: "./a/"}, {name: "./a/x"}}, below{}, "a/x"},
		"chart":        {[]member{{name: "web/Chart.yaml"}, {name: "web/templates/x"}}, below{single: true}, "Chart.yaml templates/x"},
		"chart folder": {[]member{{name: "web/"}, {name: "web/Chart.yaml"}}, below{single: true}, "Chart.yaml"},
		"title":        {[]member{{name: "a/"}, {name: "a/b/"}, {name: "a/b/x"}}, below{folder: "a/b"}, "x"},
		"git archive":  {[]member{{name: "pax_global_header", flag: tar.TypeXGlobalHeader}, {name: "x"}}, below{}, "x"},
		"empty folder": {[]member{{name: "a/"}, {name: "a/"}, {name: "x"}}, below{}, "x"},
		"odd names":    {[]member{{name: "_helpers.tpl"}, {name: ".helmignore"}, {name: "ä b/…"}, {name: "console"}}, below{}, ".helmignore _helpers.tpl console ä b/…"},
	} {
		tree, err := unpack(pack(t, test.members...), test.part, smallLimits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(tree.files(), " "); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		if err := fstest.TestFS(tree, tree.files()...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	many := func(n int, name func(i int) string, data string) (out []member) {
		for i := range n {
			out = append(out, member{name: name(i), data: data})
		}
		return out
	}
	for name, test := range map[string]struct {
		members []member
		part    below
		want    string
	}{
		"up":                   {[]member{{name: "../x"}}, below{}, "leads out"},
		"up inside":            {[]member{{name: "a/../../x"}}, below{}, "leads out"},
		"up in chart":          {[]member{{name: "web/../../x"}}, below{single: true}, "leads out"},
		"absolute":             {[]member{{name: "/etc/x"}}, below{}, "not a path inside"},
		"absolute chart":       {[]member{{name: "/web/x"}}, below{single: true}, "not a path inside"},
		"dot":                  {[]member{{name: "a/./x"}}, below{}, "nowhere"},
		"double slash":         {[]member{{name: "a//x"}}, below{}, "has no name"},
		"backslash":            {[]member{{name: `a\..\x`}}, below{}, "Windows"},
		"drive":                {[]member{{name: "C:x"}}, below{}, "Windows"},
		"control":              {[]member{{name: "a\nb"}}, below{}, "Windows"},
		"device name":          {[]member{{name: "a/nul.yaml"}}, below{}, "a device of that name"},
		"com":                  {[]member{{name: "COM1"}}, below{}, "a device of that name"},
		"last dot":             {[]member{{name: "a."}}, below{}, "Windows"},
		"last space":           {[]member{{name: "a /x"}}, below{}, "Windows"},
		"not utf-8":            {[]member{{name: "a\xff"}}, below{}, "UTF-8"},
		"symlink":              {[]member{{name: "x", flag: tar.TypeSymlink, link: "y"}, {name: "y"}}, below{}, "a symbolic link"},
		"symlink out":          {[]member{{name: "x", flag: tar.TypeSymlink, link: "/etc/passwd"}}, below{}, "a symbolic link"},
		"hard link":            {[]member{{name: "y"}, {name: "x", flag: tar.TypeLink, link: "y"}}, below{}, "a hard link"},
		"device":               {[]member{{name: "x", flag: tar.TypeChar}}, below{}, "a device"},
		"block device":         {[]member{{name: "x", flag: tar.TypeBlock}}, below{}, "a device"},
		"pipe":                 {[]member{{name: "x", flag: tar.TypeFifo}}, below{}, "a pipe"},
		"twice":                {[]member{{name: "x"}, {name: "x"}}, below{}, "there twice"},
		"twice by dots":        {[]member{{name: "x"}, {name: "./x"}}, below{}, "there twice"},
		"case":                 {[]member{{name: "x"}, {name: "X"}}, below{}, "one file on some systems"},
		"case of folder":       {[]member{{name: "a/x"}, {name: "A/y"}}, below{}, "one file on some systems"},
		"case, not ascii":      {[]member{{name: "ſ"}, {name: "S"}}, below{}, "one file on some systems"},
		"file as folder":       {[]member{{name: "a"}, {name: "a/x"}}, below{}, "both a file and a folder"},
		"folder as file":       {[]member{{name: "a/x"}, {name: "a"}}, below{}, "both a file and a folder"},
		"empty folder as file": {[]member{{name: "a/"}, {name: "a"}}, below{}, "both a file and a folder"},
		"nothing":              {nil, below{}, "has no files"},
		"folders only":         {[]member{{name: "a/"}}, below{}, "has no files"},
		"two charts":           {[]member{{name: "a/x"}, {name: "b/x"}}, below{single: true}, `not below "a"`},
		"beside a chart":       {[]member{{name: "x"}}, below{single: true}, "beside the chart's folder"},
		"beside the title":     {[]member{{name: "a/x"}, {name: "ab/x"}}, below{folder: "a"}, `not below "a"`},
		"file":                 {[]member{{name: "x", data: strings.Repeat("x", 1001)}}, below{}, "the bound of 1000 bytes for a file"},
		"all files":            {many(5, func(i int) string { return fmt.Sprint(i) }, strings.Repeat("x", 900)), below{}, "the bound of 4000 bytes for a tree"},
		"number of files":      {many(21, func(i int) string { return fmt.Sprint(i) }, ""), below{}, "the bound of 20"},
		"number of folders":    {many(3, func(i int) string { return fmt.Sprintf("%d/%d/%d/%d/", i, i, i, i) + "x/x/x/x/"[:2*i] }, ""), below{}, "deeper than the bound of 4"},
		"hidden folders":       {many(6, func(i int) string { return fmt.Sprintf("%d/%d/%d/x", i, i, i) }, ""), below{}, "files and folders than the bound of 20"},
		"folders again":        {many(22, func(int) string { return "a/" }, ""), below{}, "entries than the bound of 20"},
		"depth":                {[]member{{name: "a/b/c/d/e/x"}}, below{}, "the bound of 4 folders"},
		"long name":            {[]member{{name: strings.Repeat("a", 256)}}, below{}, "too long"},
		"long path":            {[]member{{name: strings.Repeat("a/", 600) + "x"}}, below{}, "the bound of 1024 bytes"},
	} {
		_, err := unpack(pack(t, test.members...), test.part, smallLimits)
		var ours *Error
		if !errors.As(err, &ours) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// TestUnpackBombs: what grows is stopped before it has grown.
func TestUnpackBombs(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("\x00", 4<<20)
	many := manyOf(16, zeros[:256<<10])
	limits := Limits{Files: 20, Tree: 32 << 20}.orDefault()
	small := Limits{Files: 20, Tree: 1 << 20, Ratio: 1 << 20}.orDefault()
	for name, test := range map[string]struct {
		data   []byte
		limits Limits
		want   string
	}{
		"file":          {pack(t, member{name: "x", data: zeros + "x"}), limits, "for a file"},
		"of no kind":    {pack(t, member{name: "x", flag: 'Z', data: zeros}), limits, "an entry of the type"},
		"proportion":    {pack(t, many...), limits, "more than 100 times as large"},
		"all files":     {pack(t, many...), small, "the bound of 1 MiB"},
		"after the end": {append(pack(t, member{name: "x"}), pack(t, many...)...), small, ""},
	} {
		_, err := unpack(test.data, below{}, test.limits)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func manyOf(n int, data string) (out []member) {
	for i := range n {
		out = append(out, member{name: fmt.Sprint("x", i), data: data})
	}
	return out
}

func TestUnpackDamaged(t *testing.T) {
	t.Parallel()
	whole := pack(t, member{name: "x", data: strings.Repeat("abc", 300)})
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("<html>"), "cut": whole[:len(whole)/2]} {
		if _, err := unpack(data, below{}, smallLimits); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a/b": "1", "a.b": "2", "a/c/d": "", "ä b/x'": "3", "_x": "4"}
	mapped := fstest.MapFS{}
	folder := t.TempDir()
	var members []member
	for name, data := range files {
		mapped[name] = &fstest.MapFile{Data: []byte(data), Mode: 0o755, ModTime: time.Now()}
		members = append(members, member{name: "top/" + name, data: data})
		full := filepath.Join(folder, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(data), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	packed, err := unpack(pack(t, members...), below{single: true}, smallLimits)
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:7eb08b053935cf1e2f5ed222d91087bf06280e46121534f912fd7fa5b8d6b8f6"
	for name, fsys := range map[string]fs.FS{"map": mapped, "folder": os.DirFS(folder), "archive": packed} {
		if got, err := Digest(fsys); err != nil || got != want {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	if _, err := exec.LookPath("sha256sum"); err == nil {
		cmd := exec.Command("sh", "-c", `find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum`)
		cmd.Dir = folder
		if out, err := cmd.Output(); err != nil || !strings.HasPrefix("sha256:"+string(out), want) {
			t.Errorf("the shell says %s, %v", out, err)
		}
	}
	for name, change := range map[string]func(fstest.MapFS){
		"content": func(m fstest.MapFS) { m["a.b"] = &fstest.MapFile{Data: []byte("3")} },
		"name":    func(m fstest.MapFS) { m["a.c"] = m["a.b"]; delete(m, "a.b") },
		"less":    func(m fstest.MapFS) { delete(m, "a/c/d") },
		"more":    func(m fstest.MapFS) { m["a/c/e"] = &fstest.MapFile{} },
	} {
		other := fstest.MapFS{}
		for k, v := range mapped {
			other[k] = v
		}
		change(other)
		if got, err := Digest(other); err != nil || got == want {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	if _, err := Digest(fstest.MapFS{"x": {Mode: fs.ModeSymlink, Data: []byte("y")}, "y": {}}); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("got %v", err)
	}
	if _, err := Digest(fstest.MapFS{"x\n": {}}); err == nil {
		t.Error("a line's end in a name is taken")
	}
}

// FuzzUnpack: whatever comes, there is an error or a tree within the bounds whose
// names are safe.
func FuzzUnpack(f *testing.F) {
	for _, members := range [][]member{
		{{name: "web/Chart.yaml", data: "a"}, {name: "web/x/"}},
		{{name: "../x"}}, {{name: "x", flag: tar.TypeSymlink, link: "y"}}, {{name: "A"}, {name: "a"}}, {{name: "nul"}}, {{name: "x", data: strings.Repeat("x", 1001)}},
	} {
		raw, err := gunzip(pack(f, members...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, true)
		f.Add(raw, false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, single bool) {
		tree, err := unpackTar(bytes.NewReader(raw), below{single: single}, smallLimits)
		if err != nil {
			var ours *Error
			if !errors.As(err, &ours) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		var size int64
		seen := map[string]bool{}
		for _, name := range tree.files() {
			size += int64(len(tree.nodes[name].data))
			if !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\\:\x00") || seen[strings.ToLower(name)] {
				t.Fatalf("%q is taken", name)
			}
			seen[strings.ToLower(name)] = true
		}
		if size > smallLimits.Tree || len(seen) > smallLimits.Files {
			t.Fatalf("%d bytes in %d files", size, len(seen))
		}
		digest, err := Digest(tree)
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		if err := packTree(&packed, tree); err != nil {
			t.Fatal(err)
		}
		again, err := unpackTar(&packed, below{}, smallLimits)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := Digest(again); err != nil || other != digest {
			t.Fatalf("kept, it is %s, %v", other, err)
		}
	})
}

func gunzip(data []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = out.ReadFrom(reader)
	return out.Bytes(), err
}
