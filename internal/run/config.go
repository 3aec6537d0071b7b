package run

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/helm-kai/helm-kai/internal/secrets"
)

// Config is all that is asked of a run, from flags and environment.
type Config struct {
	// Command is what is started; it may be empty with Explain only.
	Command []string
	// Host is the environment without the settings of ours, and without what we log in
	// with.
	Host []string

	Deployment string
	Apps       []string // without global, which stands before them
	Scopes     []string // a later one wins
	// Vars are single keys. With them apps are read that are named, and no others.
	Vars     []Named
	NoGlobal bool // global is neither read nor watched
	// NoWatchGlobal leaves the command alone where only a value of global changes.
	NoWatchGlobal bool

	HostWins bool
	Pristine bool
	RawJSON  bool // lists and maps are not base64
	Explain  bool

	// FileRoot is the folder that files are confined to, FileBase the one that
	// their relative paths start from.
	FileRoot, FileBase string
	Cleanup            bool

	Watch    bool
	Interval time.Duration
	OnChange OnChange
	Grace    time.Duration

	// Retry says how long a store may be away at the start.
	Retry time.Duration
	// OfflineOK is the file of the last good copy, "" for none. Its key is
	// OfflineKey or stands in OfflineKeyFile.
	OfflineOK      string
	OfflineKey     secrets.Value
	OfflineKeyFile string

	// Older says that KAIGARA_* variables were found. What they leave out is then
	// as the older system has it.
	Older bool
	Store Store
}

// Store says which store is read. What a driver needs and is missing, Open says.
type Store struct {
	Driver string // file, sql, vault or kubernetes; "" where nothing names one

	// Path is the file of the driver file, the database of SQLite.
	Path string
	// Identity and IdentityFile are age's.
	Identity     secrets.Value
	IdentityFile string

	Vault    Vault
	Database Database

	// Encryptor is aes, transit or plaintext; "" lets the store decide.
	Encryptor                string
	TransitMount, TransitKey string
	// Key and KeyFile are the key or key ring of aes. OlderKey is the older
	// system's: the bytes of the key as they are.
	Key      secrets.Value
	KeyFile  string
	OlderKey secrets.Value

	Kubeconfig string // "" is the cluster that we run in
	Namespace  string
}

// Vault says how Vault is reached.
type Vault struct {
	Addr, Namespace, Mount, Prefix, CACert string
	Auth                                   string // token, approle, kubernetes, jwt; "" lets the store decide
	AuthMount, Role                        string
	Token                                  secrets.Value
	TokenFile                              string
	RoleID                                 string
	SecretID                               secrets.Value
	SecretIDFile                           string
	JWTFile                                string
	TLSServerName, ClientCert, ClientKey   string
	// Wrapped is true where what logs in is a wrapping token.
	Wrapped string
}

// Database says how a database is reached: by URL, or by the other fields.
type Database struct {
	URL                               secrets.Value
	Driver                            string // sqlite, postgres or mysql
	Host                              string
	Port                              int
	Name, Schema, Table, User, CACert string
	Pass                              secrets.Value
	PassFile                          string
	Pool                              int
	TLS                               string // verify-full, verify-ca or disable; "" lets the store decide
}

// OnChange is what happens when a watched value changes.
type OnChange struct {
	Action  Action
	Signal  syscall.Signal // of Signal
	Command []string       // of Exec
}

// Action is the kind of an OnChange.
type Action uint8

// The actions. Files are written anew with each of them.
const (
	Restart Action = iota
	Signal
	Exec
	None
)

// ErrHelp says that --help was asked for.
var ErrHelp = errors.New("help was asked for")

// Option is a setting with a flag, an environment variable, or both.
type Option struct {
	Flag  string // without dashes, "" for none
	Arg   string // what its value is; "" for a switch
	Usage string
	// Env are the variables, the first one set wins. A variable that is empty is
	// not set.
	Env []string
	// Default is shown, and used.
	Default string
	// Older is the default where variables of the older system are set.
	Older string
}

// Options lists the settings. Those with a flag come first.
func Options() []Option {
	return []Option{
		{Flag: "app", Arg: "a,b", Usage: "apps whose keys are read, a later one wins", Env: []string{"KAI_APP", "KAIGARA_APP_NAME"}},
		{Flag: "scope", Arg: "a,b", Usage: "scopes in order, a later one wins within an app", Env: []string{"KAI_SCOPE", "KAIGARA_SCOPES"}, Default: "public,private,secret"},
		{Flag: "var", Arg: "NAME=place", Usage: "set NAME to one key, APP.SCOPE.KEY, and read nothing else but --app; repeatable", Env: []string{"KAI_VARS"}},
		{Flag: "deployment", Arg: "name", Usage: "deployment whose keys are read", Env: []string{"KAI_DEPLOYMENT", "KAIGARA_DEPLOYMENT_ID"}, Older: "opendax_uat"},
		{Flag: "store", Arg: "driver", Usage: "file, sql, vault or kubernetes", Env: []string{"KAI_STORE", "KAIGARA_STORAGE_DRIVER"}, Older: "sql"},
		{Flag: "no-global", Usage: "neither read nor watch the app global", Env: []string{"KAI_NO_GLOBAL"}},
		{Flag: "no-watch-global", Usage: "do nothing where only a value of global changes", Env: []string{"KAI_NO_WATCH_GLOBAL", "KAIGARA_IGNORE_GLOBAL"}},
		{Flag: "host-wins", Usage: "the host's variables win over the store's", Env: []string{"KAI_HOST_WINS"}},
		{Flag: "pristine", Usage: "leave out the host's variables", Env: []string{"KAI_PRISTINE"}},
		{Flag: "json", Arg: "form", Usage: "lists and maps as base64 or raw JSON", Env: []string{"KAI_JSON"}, Default: "base64"},
		{Flag: "explain", Usage: "print names and where they come from, and start nothing"},
		{Flag: "file-root", Arg: "dir", Usage: "folder that files are confined to", Env: []string{"KAI_FILE_ROOT"}, Default: "."},
		{Flag: "cleanup", Usage: "remove the files at exit", Env: []string{"KAI_CLEANUP"}},
		{Flag: "watch", Usage: "act when a value changes", Env: []string{"KAI_WATCH"}},
		{Flag: "interval", Arg: "time", Usage: "time between two looks", Env: []string{"KAI_INTERVAL"}, Default: "5s"},
		{Flag: "on-change", Arg: "what", Usage: "restart, signal:NAME, exec:COMMAND (no shell, split at blanks) or none", Env: []string{"KAI_ON_CHANGE"}, Default: "restart"},
		{Flag: "grace", Arg: "time", Usage: "time from SIGTERM to SIGKILL", Env: []string{"KAI_GRACE"}, Default: "10s"},
		{Flag: "retry", Arg: "time", Usage: "how long the store may be away at the start", Env: []string{"KAI_RETRY"}, Default: "30s"},
		{Flag: "offline-ok", Arg: "file", Usage: "keep a copy there, encrypted, and start with it where the store is away", Env: []string{"KAI_OFFLINE_OK"}},
		{Flag: "offline-key-file", Arg: "file", Usage: "the key of that copy: 32 bytes in base64 or hex (or in KAI_OFFLINE_KEY)", Env: []string{"KAI_OFFLINE_KEY_FILE"}},

		{Env: []string{"KAI_OFFLINE_KEY"}, Usage: "key of the copy for --offline-ok"},
		{Env: []string{"KAI_STORE_PATH"}, Usage: "file of the driver file, or of SQLite"},
		{Env: []string{"KAI_AGE_KEY"}, Usage: "age identity of the driver file"},
		{Env: []string{"KAI_AGE_KEY_FILE"}, Usage: "file of age identities"},
		{Env: []string{"KAI_VAULT_ADDR", "KAIGARA_VAULT_ADDR", "VAULT_ADDR"}, Usage: "address of Vault", Older: "http://127.0.0.1:8200"},
		{Env: []string{"KAI_VAULT_NAMESPACE", "VAULT_NAMESPACE"}, Usage: "namespace in Vault"},
		{Env: []string{"KAI_VAULT_MOUNT"}, Usage: "mount of the KV engine", Default: "secret"},
		{Env: []string{"KAI_VAULT_PREFIX"}, Usage: "folders below the mount"},
		{Env: []string{"KAI_VAULT_CACERT", "VAULT_CACERT"}, Usage: "file of Vault's certificate authority"},
		{Env: []string{"KAI_VAULT_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME"}, Usage: "name that Vault's certificate is for"},
		{Env: []string{"KAI_VAULT_CLIENT_CERT", "VAULT_CLIENT_CERT"}, Usage: "file of our own certificate"},
		{Env: []string{"KAI_VAULT_CLIENT_KEY", "VAULT_CLIENT_KEY"}, Usage: "file of its key"},
		{Env: []string{"KAI_VAULT_AUTH"}, Usage: "token, approle, kubernetes or jwt"},
		{Env: []string{"KAI_VAULT_AUTH_MOUNT"}, Usage: "mount of the auth method"},
		{Env: []string{"KAI_VAULT_ROLE"}, Usage: "role of kubernetes or jwt"},
		{Env: []string{"KAI_VAULT_TOKEN", "KAIGARA_VAULT_TOKEN", "VAULT_TOKEN"}, Usage: "token"},
		{Env: []string{"KAI_VAULT_TOKEN_FILE"}, Usage: "file of the token"},
		{Env: []string{"KAI_VAULT_ROLE_ID"}, Usage: "role id of approle"},
		{Env: []string{"KAI_VAULT_SECRET_ID"}, Usage: "secret id of approle"},
		{Env: []string{"KAI_VAULT_SECRET_ID_FILE"}, Usage: "file of the secret id"},
		{Env: []string{"KAI_VAULT_JWT_FILE"}, Usage: "file of the JWT; by default the service account's"},
		{Env: []string{"KAI_VAULT_WRAPPED"}, Usage: "true: the token, secret id or JWT is a wrapping token"},
		{Env: []string{"KAI_ENCRYPTOR", "KAIGARA_ENCRYPTOR"}, Usage: "aes, transit or plaintext", Older: "plaintext"},
		{Env: []string{"KAI_ENCRYPTION_KEYS"}, Usage: "keys of aes, the current one first: ID:KEY,ID:KEY"},
		{Env: []string{"KAI_ENCRYPTION_KEYS_FILE"}, Usage: "file of the keys of aes"},
		{Env: []string{"KAI_TRANSIT_MOUNT"}, Usage: "mount of Vault's engine transit"},
		{Env: []string{"KAI_TRANSIT_KEY"}, Usage: "name of its keys, with {deployment} and {app}"},
		{Env: []string{"KAIGARA_ENCRYPTOR_AES_KEY"}, Usage: "key of aes in the older system: 16, 24 or 32 bytes"},
		{Env: []string{"KAI_SQL_URL"}, Usage: "address of the database"},
		{Env: []string{"KAI_SQL_DRIVER", "KAIGARA_DATABASE_DRIVER"}, Usage: "sqlite, postgres or mysql", Older: "postgres"},
		{Env: []string{"KAI_SQL_HOST", "KAIGARA_DATABASE_HOST"}, Usage: "host of the database", Older: "127.0.0.1"},
		{Env: []string{"KAI_SQL_PORT", "KAIGARA_DATABASE_PORT"}, Usage: "port of the database"},
		{Env: []string{"KAI_SQL_NAME", "KAIGARA_DATABASE_NAME"}, Usage: "name of the database"},
		{Env: []string{"KAI_SQL_SCHEMA", "KAIGARA_DATABASE_SCHEMA"}, Usage: "schema of the database"},
		{Env: []string{"KAI_SQL_TABLE", "KAIGARA_DATABASE_TABLE"}, Usage: "table in the database", Older: "data"},
		{Env: []string{"KAI_SQL_USER", "KAIGARA_DATABASE_USER"}, Usage: "user of the database"},
		{Env: []string{"KAI_SQL_PASSWORD", "KAIGARA_DATABASE_PASS"}, Usage: "password of the database"},
		{Env: []string{"KAI_SQL_PASSWORD_FILE"}, Usage: "file of the password"},
		{Env: []string{"KAI_SQL_CACERT"}, Usage: "file of the database's certificate authority"},
		{Env: []string{"KAI_SQL_TLS"}, Usage: "verify-full, verify-ca or disable; by default verify-full, but on this machine"},
		{Env: []string{"KAI_SQL_POOL", "KAIGARA_DATABASE_POOL"}, Usage: "most connections to the database"},
		{Env: []string{"KUBECONFIG"}, Usage: "configuration of kubernetes, for kai run; kai-run reads the cluster that it runs in"},
		{Env: []string{"KAI_NAMESPACE"}, Usage: "namespace of the driver kubernetes"},
	}
}

// name is what a reader asks an option by: its flag, or its first variable.
func (o Option) name() string {
	if o.Flag != "" {
		return o.Flag
	}
	return o.Env[0]
}

// Usage gives the text of --help.
func Usage() string {
	var b strings.Builder
	b.WriteString("kai-run starts a command with the secrets of a store.\n\nUsage: kai-run [flags] [--] COMMAND [ARGUMENTS]\n       kai-run --install PATH    copy this program there, for an init container\n\nFlags:\n")
	for _, o := range Options() {
		if o.Flag == "" {
			continue
		}
		line := o.Usage
		if o.Default != "" {
			line += " (default " + o.Default + ")"
		}
		if len(o.Env) > 0 {
			line += " [" + o.Env[0] + "]"
		}
		fmt.Fprintf(&b, "  %-26s %s\n", strings.TrimSpace("--"+o.Flag+" "+o.Arg), line)
	}
	b.WriteString("\nVariables for the store; a flag wins over KAI_*, that over KAIGARA_*, which images\nof the older system have. Neither is passed on to the command, nor is VAULT_TOKEN\nwhere it is what we log in with.\n")
	for _, o := range Options() {
		if o.Flag == "" {
			fmt.Fprintf(&b, "  %-26s %s\n", o.Env[0], o.Usage)
		}
	}
	return b.String()
}

// Parse reads a command line, whose first argument is the program's name, and
// an environment. All that is wrong is in the error, one line for each.
// Called by the name kaigara, we watch, as that always did, and files may be
// anywhere.
func Parse(args, environ []string) (Config, error) {
	flags, command, wrong := split(args[min(1, len(args)):])
	if errors.Is(wrong, ErrHelp) {
		return Config{}, ErrHelp
	}
	r := newReader(flags, environ)
	if len(args) > 0 && strings.TrimSuffix(filepath.Base(args[0]), ".exe") == "kaigara" {
		r.named, r.older = true, true
	}
	c := r.config(command)
	return c, errors.Join(wrong, errors.Join(r.wrong...))
}

// separators are what stands between the values of a flag that is given again.
var separators = map[string]string{"app": ",", "scope": ",", "var": "\n"}

// split takes flags off the front of a command line. What follows them, or --,
// is the command.
func split(args []string) (flags map[string]string, command []string, err error) {
	known := map[string]Option{}
	for _, o := range Options() {
		if o.Flag != "" {
			known[o.Flag] = o
		}
	}
	var wrong []error
	flags = map[string]string{}
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			args = args[1:]
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			break
		}
		args = args[1:]
		name, value, given := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		o, ok := known[name]
		switch {
		case name == "h" || name == "help":
			return nil, nil, ErrHelp
		case !ok:
			wrong = append(wrong, fmt.Errorf("there is no flag --%s\n  hint: kai-run --help lists them; -- stands before a command that begins with a dash", name))
			continue
		case o.Arg == "" && !given:
			value = "true"
		case !given && len(args) == 0:
			wrong = append(wrong, fmt.Errorf("--%s has no value", name))
			continue
		case !given:
			value, args = args[0], args[1:]
		}
		if before, again := flags[name]; again && separators[name] != "" {
			value = before + separators[name] + value
		}
		flags[name] = value
	}
	return flags, args, errors.Join(wrong...)
}

// New makes a Config of flags by their names without dashes, of an environment
// and of the command. All that is wrong is in the error, one line for each.
func New(flags map[string]string, environ, command []string) (Config, error) {
	r := newReader(flags, environ)
	c := r.config(command)
	return c, errors.Join(r.wrong...)
}

func (r *reader) config(command []string) Config {
	c := Config{
		Command:        command,
		Host:           r.host,
		Older:          r.older,
		Deployment:     r.word("deployment"),
		Apps:           r.words("app"),
		Scopes:         r.words("scope"),
		Vars:           r.vars("var"),
		NoGlobal:       r.yes("no-global"),
		NoWatchGlobal:  r.yes("no-watch-global"),
		HostWins:       r.yes("host-wins"),
		Pristine:       r.yes("pristine"),
		RawJSON:        r.oneOf("json", "base64", "raw") == "raw",
		Explain:        r.yes("explain"),
		FileRoot:       r.text("file-root"),
		Cleanup:        r.yes("cleanup"),
		Watch:          r.yes("watch"),
		Interval:       r.duration("interval"),
		OnChange:       r.onChange("on-change"),
		Grace:          r.duration("grace"),
		Retry:          r.duration("retry"),
		OfflineOK:      r.text("offline-ok"),
		OfflineKey:     r.secret("KAI_OFFLINE_KEY"),
		OfflineKeyFile: r.text("offline-key-file"),
		Store:          r.store(),
	}
	c.FileBase = c.FileRoot
	if r.named && !r.set("file-root") {
		c.FileRoot, c.FileBase = string(filepath.Separator), "."
	}
	if r.named && !r.set("watch") {
		c.Watch = true
	}
	c.Apps = slices.DeleteFunc(c.Apps, func(app string) bool { return app == secrets.Global && !c.NoGlobal })
	c.Host = slices.DeleteFunc(slices.Clone(c.Host), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return r.logsIn(c.Store, fold(name))
	})
	r.check(c)
	return c
}

// logsIn says whether a variable of Vault's own programs is one that we log in with,
// which the command does not get: it is ours as KAI_* are. One that is set beside ours
// is meant for the command.
func (r *reader) logsIn(s Store, name string) bool {
	if s.Driver != "vault" && s.Encryptor != "transit" {
		return false
	}
	for _, option := range []string{"KAI_VAULT_TOKEN", "KAI_VAULT_CLIENT_CERT", "KAI_VAULT_CLIENT_KEY"} {
		if _, from := r.where(option); from != "" && fold(from) == name {
			return true
		}
	}
	return false
}

// misnamed finds settings by the older system's name with our prefix, and in
// the plural. Other KAI_* are none of ours: Kubernetes makes some for a Service.
func (r *reader) misnamed() {
	for _, o := range Options() {
		for _, env := range o.Env {
			wrong := o.Env[0] + "S"
			if older, ok := strings.CutPrefix(env, "KAIGARA_"); ok {
				wrong = "KAI_" + older
			}
			if r.env[wrong] != "" && !slices.Contains(o.Env, wrong) && strings.HasPrefix(o.Env[0], "KAI_") {
				r.fail("%s is no setting\n  hint: %s", wrong, o.Env[0])
				break
			}
		}
	}
}

// check looks for what does not go together.
func (r *reader) check(c Config) {
	r.misnamed()
	if len(c.Command) == 0 && !c.Explain {
		r.fail("there is no command\n  hint: kai-run [flags] -- COMMAND")
	} else if len(c.Command) > 0 && c.Command[0] == "" {
		r.fail("the command is empty")
	}
	if c.Deployment == "" {
		r.fail("no deployment is named\n  hint: --deployment, or KAI_DEPLOYMENT")
	}
	for _, scope := range c.Scopes {
		if !slices.Contains(secrets.Scopes(), scope) {
			r.fail("%s: there is no scope %q\n  hint: %s", r.from("scope"), scope, strings.Join(secrets.Scopes(), ", "))
		}
	}
	for _, list := range []struct {
		name  string
		words []string
	}{{"app", c.Apps}, {"scope", c.Scopes}} {
		for i, word := range list.words {
			if slices.Contains(list.words[:i], word) {
				r.fail("%s names %q twice", r.from(list.name), word)
			}
			if list.name == "app" && strings.Contains(word, "/") {
				r.fail("%s: %q is no app", r.from("app"), word)
			}
		}
	}
	if len(c.Scopes) == 0 {
		r.fail("%s names no scope", r.from("scope"))
	}
	for _, n := range c.Vars {
		if c.NoGlobal && n.App == secrets.Global {
			r.fail("%s: %s is of the app global, which is not to be read", r.from("var"), n.Name)
		}
	}
	if c.NoGlobal && len(c.Apps) == 0 && len(c.Vars) == 0 {
		r.fail("no app is named and global is not read\n  hint: --app, or no --no-global")
	}
	if c.HostWins && c.Pristine {
		r.fail("--host-wins and --pristine exclude one another")
	}
	if c.Interval <= 0 {
		r.fail("%s has to be more than 0", r.from("interval"))
	}
	if !c.Watch && !c.Explain {
		for _, name := range []string{"interval", "on-change"} {
			if r.flags[name] != "" {
				r.fail("--%s needs --watch", name)
			}
		}
	}
	switch hasKey := !c.OfflineKey.IsZero() || c.OfflineKeyFile != ""; {
	case c.OfflineOK != "" && !hasKey:
		r.fail("%s has no key: the copy is only kept encrypted\n  hint: KAI_OFFLINE_KEY or --offline-key-file with 32 bytes in base64, as of openssl rand -base64 32", r.from("offline-ok"))
	case !c.OfflineKey.IsZero() && c.OfflineKeyFile != "":
		r.fail("KAI_OFFLINE_KEY and %s exclude one another", r.from("offline-key-file"))
	case !c.OfflineKey.IsZero():
		if _, err := offlineKey(c.OfflineKey.Reveal()); err != nil {
			r.fail("KAI_OFFLINE_KEY: %v", err)
		}
	}
}

// reader reads settings and remembers what is wrong.
type reader struct {
	flags   map[string]string
	env     map[string]string
	host    []string
	older   bool // a variable of the older system is set
	named   bool // we are called by its name
	options map[string]Option
	wrong   []error
}

func newReader(flags map[string]string, environ []string) *reader {
	r := &reader{flags: flags, env: map[string]string{}, options: map[string]Option{}}
	for _, o := range Options() {
		r.options[o.name()] = o
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		name = fold(name)
		r.env[name] = value
		switch {
		case strings.HasPrefix(name, "KAIGARA_"):
			r.older = true
		case !strings.HasPrefix(name, "KAI_"):
			r.host = append(r.host, entry)
		}
	}
	return r
}

func (r *reader) fail(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Errorf(format, args...))
}

// where gives the value of an option and what it comes from, "" for nothing.
func (r *reader) where(name string) (value, from string) {
	o := r.options[name]
	if value, ok := r.flags[o.Flag]; ok && o.Flag != "" {
		return value, "--" + o.Flag
	}
	for _, env := range o.Env {
		if value := r.env[env]; value != "" {
			return value, env
		}
	}
	if r.older && o.Older != "" {
		return o.Older, ""
	}
	return o.Default, ""
}

func (r *reader) text(name string) string {
	value, _ := r.where(name)
	return value
}

func (r *reader) secret(name string) secrets.Value { return secrets.New(r.text(name)) }

// set says whether an option is set, and not by default.
func (r *reader) set(name string) bool {
	_, from := r.where(name)
	return from != ""
}

// from gives what an option is set by, for errors.
func (r *reader) from(name string) string {
	if _, from := r.where(name); from != "" {
		return from
	}
	if o := r.options[name]; o.Flag != "" {
		return "--" + o.Flag
	}
	return name
}

func (r *reader) words(name string) []string {
	var out []string
	for _, word := range strings.Split(r.text(name), ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}

func (r *reader) vars(name string) []Named {
	out, err := parseNamed(r.text(name))
	if err != nil {
		for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
			r.fail("%s: %w", r.from(name), one)
		}
	}
	return out
}

func (r *reader) word(name string) string {
	value := strings.TrimSpace(r.text(name))
	if strings.ContainsAny(value, "/,") {
		r.fail("%s: %q is one name, without / and comma", r.from(name), value)
	}
	return value
}

func (r *reader) yes(name string) bool {
	value := r.text(name)
	if value == "" {
		return false
	}
	yes, err := strconv.ParseBool(value)
	if err != nil {
		r.fail("%s is true or false, not %q", r.from(name), value)
	}
	return yes
}

func (r *reader) duration(name string) time.Duration {
	d, err := time.ParseDuration(r.text(name))
	if err != nil || d < 0 {
		r.fail("%s is no time: %q\n  hint: 500ms, 10s, 2m", r.from(name), r.text(name))
		return time.Second
	}
	return d
}

// number reads a number above 0; 0 is none.
func (r *reader) number(name string) int {
	value := r.text(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil || n == 0 {
		hint := ""
		if strings.HasPrefix(value, "tcp://") {
			hint = "\n  hint: Kubernetes sets it for a Service of that name; enableServiceLinks: false in the Pod"
		}
		r.fail("%s is no number from 1 to 65535%s", r.from(name), hint)
	}
	return int(n)
}

// oneOf reads one of some words, "" if the option is not set.
func (r *reader) oneOf(name string, words ...string) string {
	value := r.text(name)
	if value != "" && !slices.Contains(words, value) {
		r.fail("%s: there is no %q\n  hint: %s", r.from(name), value, strings.Join(words, ", "))
	}
	return value
}

func (r *reader) onChange(name string) OnChange {
	value := r.text(name)
	kind, arg, _ := strings.Cut(value, ":")
	switch {
	case value == "restart":
		return OnChange{}
	case value == "none":
		return OnChange{Action: None}
	case kind == "signal":
		if sig, ok := signalByName(strings.TrimPrefix(strings.ToUpper(arg), "SIG")); ok {
			return OnChange{Action: Signal, Signal: sig}
		}
		r.fail("%s: there is no signal %q", r.from(name), arg)
	case kind == "exec" && strings.TrimSpace(arg) != "":
		return OnChange{Action: Exec, Command: strings.Fields(arg)}
	default:
		r.fail("%s: %q is nothing to do\n  hint: restart, signal:HUP, exec:COMMAND, none", r.from(name), value)
	}
	return OnChange{}
}

// olderNames are what the older system calls a driver.
var olderNames = map[string]string{"k8s": "kubernetes"}

func (r *reader) store() Store {
	s := Store{
		Driver:       r.text("store"),
		Path:         r.text("KAI_STORE_PATH"),
		Identity:     r.secret("KAI_AGE_KEY"),
		IdentityFile: r.text("KAI_AGE_KEY_FILE"),
		Vault: Vault{
			Addr: r.text("KAI_VAULT_ADDR"), Namespace: r.text("KAI_VAULT_NAMESPACE"), Mount: r.text("KAI_VAULT_MOUNT"), Prefix: r.text("KAI_VAULT_PREFIX"),
			CACert: r.text("KAI_VAULT_CACERT"), Auth: r.oneOf("KAI_VAULT_AUTH", "token", "approle", "kubernetes", "jwt"),
			AuthMount: r.text("KAI_VAULT_AUTH_MOUNT"), Role: r.text("KAI_VAULT_ROLE"),
			Token: r.secret("KAI_VAULT_TOKEN"), TokenFile: r.text("KAI_VAULT_TOKEN_FILE"),
			RoleID: r.text("KAI_VAULT_ROLE_ID"), SecretID: r.secret("KAI_VAULT_SECRET_ID"), SecretIDFile: r.text("KAI_VAULT_SECRET_ID_FILE"),
			JWTFile: r.text("KAI_VAULT_JWT_FILE"), TLSServerName: r.text("KAI_VAULT_TLS_SERVER_NAME"),
			ClientCert: r.text("KAI_VAULT_CLIENT_CERT"), ClientKey: r.text("KAI_VAULT_CLIENT_KEY"), Wrapped: r.oneOf("KAI_VAULT_WRAPPED", "true", "false"),
		},
		Database: Database{
			URL: r.secret("KAI_SQL_URL"), Driver: r.oneOf("KAI_SQL_DRIVER", "sqlite", "postgres", "mysql"),
			Host: r.text("KAI_SQL_HOST"), Port: r.number("KAI_SQL_PORT"), Name: r.text("KAI_SQL_NAME"),
			Schema: r.text("KAI_SQL_SCHEMA"), Table: r.text("KAI_SQL_TABLE"), User: r.text("KAI_SQL_USER"),
			Pass: r.secret("KAI_SQL_PASSWORD"), PassFile: r.text("KAI_SQL_PASSWORD_FILE"), CACert: r.text("KAI_SQL_CACERT"),
			Pool: r.number("KAI_SQL_POOL"), TLS: r.oneOf("KAI_SQL_TLS", "verify-full", "verify-ca", "disable"),
		},
		Encryptor:    r.oneOf("KAI_ENCRYPTOR", "aes", "transit", "plaintext"),
		TransitMount: r.text("KAI_TRANSIT_MOUNT"), TransitKey: r.text("KAI_TRANSIT_KEY"),
		Key:        r.secret("KAI_ENCRYPTION_KEYS"),
		KeyFile:    r.text("KAI_ENCRYPTION_KEYS_FILE"),
		OlderKey:   r.secret("KAIGARA_ENCRYPTOR_AES_KEY"),
		Kubeconfig: r.text("KUBECONFIG"),
		Namespace:  r.text("KAI_NAMESPACE"),
	}
	if name, ok := olderNames[s.Driver]; ok {
		s.Driver = name
	}
	if s.Driver != "" && !slices.Contains([]string{"file", "sql", "vault", "kubernetes"}, s.Driver) {
		r.fail("%s: there is no driver %q\n  hint: file, sql, vault, kubernetes", r.from("store"), s.Driver)
	}
	for _, pair := range [][2]string{
		{"KAI_VAULT_TOKEN", "KAI_VAULT_TOKEN_FILE"}, {"KAI_VAULT_SECRET_ID", "KAI_VAULT_SECRET_ID_FILE"},
		{"KAI_SQL_PASSWORD", "KAI_SQL_PASSWORD_FILE"}, {"KAI_ENCRYPTION_KEYS", "KAI_ENCRYPTION_KEYS_FILE"}, {"KAI_AGE_KEY", "KAI_AGE_KEY_FILE"},
	} {
		if r.env[pair[0]] != "" && r.env[pair[1]] != "" {
			r.fail("%s and %s exclude one another", pair[0], pair[1])
		}
	}
	if r.older {
		s.older(r.text("deployment"))
	}
	return s
}

// older fills in what the older system takes a database to be.
func (s *Store) older(deployment string) {
	d := &s.Database
	if s.Driver != "sql" || !d.URL.IsZero() || d.Driver == "sqlite" {
		return
	}
	port, user := 5432, "postgres"
	if d.Driver == "mysql" {
		port, user = 3306, "root"
	}
	if d.Port == 0 {
		d.Port = port
	}
	if d.User == "" {
		d.User = user
	}
	if d.Name == "" {
		d.Name = "kaigara_" + deployment
	}
}

// offlineKey reads a key of 32 bytes in base64 or hex.
func offlineKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString, base64.URLEncoding.DecodeString} {
		if key, err := decode(text); err == nil && len(key) == 32 {
			return key, nil
		}
	}
	return nil, fmt.Errorf("it is no key of 32 bytes in base64 or hex\n  hint: openssl rand -base64 32")
}
