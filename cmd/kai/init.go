package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/descriptor"
	"github.com/helm-kai/helm-kai/internal/workspace"
)

//go:embed init/*
var initFiles embed.FS

type initFlags struct {
	dir       string
	image     string
	port      int
	workspace bool
}

// starter is what the templates of init are filled with.
type starter struct {
	Name, Registry, Repository, Tag string
	Port                            int
}

func newInit(a *app) *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init [NAME]",
		Short: "Write a descriptor that works, explained by comments",
		Long: `Writes kai.yaml, a descriptor with two contexts that generates as it stands. With
--with-workspace it also writes kai-workspace.yaml and puts the service below
services/NAME. Where kai-workspace.yaml stands already, the descriptor of a further
service is written there. A file that is there already is never overwritten.`,
		Example: a.example("init", "init tokend --image registry.example.com/auth/tokend:1.4.2 --port 8080", "init shop-front --with-workspace"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return initialize(a, f, name)
		},
	}
	cmd.Flags().StringVarP(&f.dir, "directory", "d", ".", "folder to write to")
	cmd.Flags().StringVar(&f.image, "image", "nginxinc/nginx-unprivileged:1.29.3", "image of the service, with a tag")
	cmd.Flags().IntVar(&f.port, "port", 8080, "port that the process listens on")
	cmd.Flags().BoolVar(&f.workspace, "with-workspace", false, "write a workspace around the service")
	_ = cmd.MarkFlagDirname("directory")
	return cmd
}

var notName = regexp.MustCompile(`[^a-z0-9]+`)

func initialize(a *app, f initFlags, name string) error {
	if name == "" {
		dir, err := filepath.Abs(f.dir)
		if err != nil {
			return err
		}
		name = strings.Trim(notName.ReplaceAllString(strings.ToLower(filepath.Base(dir)), "-"), "-")
	}
	if why, ok := descriptor.InvalidName(name); !ok {
		return fmt.Errorf("%q cannot be the name of a service: %s\n  hint: %s init NAME", name, why, a.as)
	}
	if !descriptor.BeginsWithLetter(name) {
		return fmt.Errorf("%q cannot be the name of a service: it does not begin with a letter\n  hint: %s init NAME", name, a.as)
	}
	s, err := parseImage(f.image)
	if err != nil {
		return err
	}
	if f.port < 1 || f.port > 65535 {
		return fmt.Errorf("--port %d: a port is a number from 1 to 65535", f.port)
	}
	s.Name, s.Port = name, f.port
	service := descriptor.FileName
	_, none := os.Lstat(filepath.Join(f.dir, workspace.FileName))
	if none == nil || f.workspace {
		service = filepath.Join("services", name, descriptor.FileName)
	}
	files := map[string]string{service: "init/kai.yaml.tmpl"}
	order := []string{service}
	if f.workspace {
		files[workspace.FileName] = "init/kai-workspace.yaml.tmpl"
		order = []string{workspace.FileName, service}
	}
	content := map[string][]byte{}
	for path, from := range files {
		full := filepath.Join(f.dir, path)
		if _, err := os.Lstat(full); err == nil {
			return fmt.Errorf("%s is there already\n  hint: change it, or choose another folder with --directory", full)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		t, err := template.New(filepath.Base(from)).ParseFS(initFiles, from)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, s); err != nil {
			return err
		}
		content[path] = b.Bytes()
	}
	for _, path := range order {
		full := filepath.Join(f.dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := writeNew(full, content[path]); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "wrote %s\n", full)
	}
	fmt.Fprintf(a.stderr, "next: %s generate -c dev\n", a.as)
	return nil
}

// writeNew writes a file that must not be there.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close(), os.Remove(name))
	}
	return f.Close()
}

// parseImage cuts REGISTRY/REPOSITORY:TAG. The first part is a registry where
// it looks like a host, as Docker has it.
func parseImage(image string) (starter, error) {
	name, tag, ok := image, "", false
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		name, tag, ok = image[:i], image[i+1:], true
	}
	if !ok || name == "" || tag == "" || strings.ContainsAny(image, " @") {
		return starter{}, fmt.Errorf("--image %q: write REPOSITORY:TAG", image)
	}
	s := starter{Repository: name, Tag: tag, Registry: "docker.io"}
	if host, rest, ok := strings.Cut(name, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		s.Registry, s.Repository = host, rest
	}
	return s, nil
}
