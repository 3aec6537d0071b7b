package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"
)

// commit makes a repository of a folder, or a commit in it, and moves a tag
// there: commit FOLDER [TAG].
func commit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: commit FOLDER [TAG]")
	}
	runs := [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "--allow-empty", "-m", "x"}}
	if len(args) == 2 {
		runs = append(runs, []string{"tag", "-f", args[1]})
	}
	for _, run := range runs {
		cmd := exec.Command("git", run...)
		cmd.Dir = ts.MkAbs(args[0])
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		if out, err := cmd.CombinedOutput(); err != nil {
			ts.Fatalf("git %v: %v\n%s", run, err, out)
		}
	}
}

type chartsKey struct{}

// charts serves a folder of charts, each in a folder of its own, as a chart
// repository over HTTP: charts FOLDER. CHARTS is its address. charts stop ends it.
func charts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: charts FOLDER, or charts stop")
	}
	server, _ := ts.Value(chartsKey{}).(**httptest.Server)
	if *server != nil {
		(*server).Close()
	}
	if args[0] == "stop" {
		return
	}
	files := map[string][]byte{}
	index := map[string][]map[string]any{}
	folders, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, folder := range folders {
		var meta map[string]any
		data, err := os.ReadFile(filepath.Join(folder, "Chart.yaml"))
		ts.Check(err)
		ts.Check(yaml.Unmarshal(data, &meta))
		name := fmt.Sprintf("%v-%v.tgz", meta["name"], meta["version"])
		files["/"+name] = packed(ts, folder, fmt.Sprint(meta["name"]))
		meta["urls"], meta["digest"] = []string{name}, fmt.Sprintf("%x", sha256.Sum256(files["/"+name]))
		index[fmt.Sprint(meta["name"])] = append(index[fmt.Sprint(meta["name"])], meta)
	}
	files["/index.yaml"], err = yaml.Marshal(map[string]any{"apiVersion": "v1", "entries": index})
	ts.Check(err)
	*server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if data, ok := files[r.URL.Path]; ok {
			_, _ = w.Write(data)
			return
		}
		http.NotFound(w, r)
	}))
	ts.Setenv("CHARTS", (*server).URL)
}

// packed gives the archive of a chart's folder.
func packed(ts *testscript.TestScript, folder, name string) []byte {
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	archive := tar.NewWriter(zipped)
	ts.Check(filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(folder))
		if err := archive.WriteHeader(&tar.Header{Name: name + rel, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = archive.Write(data)
		return err
	}))
	ts.Check(archive.Close())
	ts.Check(zipped.Close())
	return b.Bytes()
}

// repin changes what a name is pinned to: repin FILE NAME VERSION|- DIGIT. The
// digest begins with twelve of the digit from then on.
func repin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: repin FILE NAME VERSION DIGIT")
	}
	pattern := regexp.MustCompile(`(?m)(^    name: ` + regexp.QuoteMeta(args[1]) + `\n    source: .*\n    resolved: )(.*)\n(    digest: sha256:)[0-9a-f]{12}`)
	text := ts.ReadFile(args[0])
	if !pattern.MatchString(text) {
		ts.Fatalf("%s does not pin %s", args[0], args[1])
	}
	version := args[2]
	if version == "-" {
		version = "${2}"
	}
	text = pattern.ReplaceAllString(text, "${1}"+version+"\n${3}"+strings.Repeat(args[3], 12))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
