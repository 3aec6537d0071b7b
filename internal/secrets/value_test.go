package secrets

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"expvar"
	"flag"
	"fmt"
	"html/template"
	"log"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	texttemplate "text/template"

	"github.com/davecgh/go-spew/spew"
	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// canary is the text that must not be found in what is printed.
const canary = `example canary/7<&">`

// forms are the spellings in which it is looked for.
func forms() []string {
	quoted := strconv.Quote(canary)
	raw, err := json.Marshal(canary)
	if err != nil {
		panic(err)
	}
	return []string{
		canary, "canary",
		quoted[1 : len(quoted)-1], string(raw[1 : len(raw)-1]),
		url.QueryEscape(canary), url.PathEscape(canary),
		base64.StdEncoding.EncodeToString([]byte(canary)),
		fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary), fmt.Sprintf("%d", []byte(canary)),
	}
}

func clean(t *testing.T, how, printed string) {
	t.Helper()
	for _, form := range forms() {
		if strings.Contains(printed, form) {
			t.Errorf("%s shows the secret: %s", how, printed)
			return
		}
	}
}

type inside struct {
	Name   string
	Value  Value
	Ptr    *Value
	Any    any
	List   []Value
	Map    map[string]Value
	hidden Value
}

type embeds struct{ Value }

type failure struct{ Secret Value }

func (f failure) Error() string { return fmt.Sprintf("it failed: %v", f.Secret) }

// nests gives a secret in every place where one may stand.
func nests() map[string]any {
	v := New(canary)
	s := inside{Name: "n", Value: v, Ptr: &v, Any: v, List: []Value{v}, Map: map[string]Value{"k": v}, hidden: v}
	_ = s.hidden
	var stringer fmt.Stringer = v
	return map[string]any{
		"value": v, "pointer": &v, "interface": stringer,
		"struct": s, "struct pointer": &s, "struct of struct": struct{ S inside }{s}, "hidden field": struct{ v Value }{v},
		"hidden struct":  struct{ s inside }{s},
		"hidden pointer": struct{ p *Value }{&v},
		"hidden any":     struct{ a any }{v},
		"embedded":       embeds{v}, "embedded pointer": &embeds{v},
		"map": map[string]Value{"k": v}, "map of pointers": map[string]*Value{"k": &v}, "map of any": map[string]any{"k": v},
		"pointer to map": &map[string]Value{"k": v},
		"slice":          []Value{v}, "array": [1]Value{v}, "slice of any": []any{v, &v},
		"error": failure{v}, "wrapped error": fmt.Errorf("no: %w", failure{v}), "joined": errors.Join(failure{v}, fmt.Errorf("%v %s", v, v)),
		"function": func() Value { return v }, "channel": make(chan Value),
		"map by pointers": map[*Value]string{&v: "k"}, "map of structs": map[string]inside{"k": s},
		"key":   Key{"d", "a", "s", "n"},
		"found": map[Ref]Value{{App: "a", Name: "n"}: v},
	}
}

func TestValueWithEveryVerb(t *testing.T) {
	t.Parallel()
	for name, x := range nests() {
		for verb := rune('!'); verb <= 'z'; verb++ {
			if verb == '*' || verb == '[' || strings.ContainsRune("#+- 0.123456789", verb) {
				continue // a flag or a part of a width, and no verb
			}
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "# ", "40", "-40", ".3", "040.30", "+#- 040.3"} {
				format := "%" + flags + string(verb)
				clean(t, name+" with "+format, fmt.Sprintf(format, x))
				clean(t, name+" with "+format+" in an error", fmt.Errorf(format, x).Error())
				clean(t, name+" beside another", fmt.Sprintf(format, x, x))
			}
		}
		clean(t, name+" as a format", fmt.Sprint(x)+fmt.Sprintln(x)+fmt.Sprint("a", x, 1))
		clean(t, name+" as a width", fmt.Sprintf("%*d %[3]*.[2]*[1]f", x, 1, x))
	}
}

func TestValueShowsThatItIsMasked(t *testing.T) {
	t.Parallel()
	v := New(canary)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%t", "%c", "%U", "%e", "%g", "%b"} {
		for name, x := range map[string]any{"value": v, "pointer": &v, "any": any(v), "zero": Value{}} {
			if got := fmt.Sprintf(verb, x); got != Masked {
				t.Errorf("%s of a %s is %s", verb, name, got)
			}
		}
	}
	for _, x := range []any{inside{Value: v}, []Value{v}, map[string]Value{"k": v}, &inside{Value: v}} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if got := fmt.Sprintf(verb, x); !strings.Contains(got, Masked) {
				t.Errorf("%s of %T is %s", verb, x, got)
			}
		}
	}
}

func TestValueInEncoders(t *testing.T) {
	t.Parallel()
	for name, x := range nests() {
		if out, err := json.Marshal(x); err == nil {
			clean(t, name+" as JSON", string(out))
		} else {
			clean(t, name+" as JSON", err.Error())
		}
		if out, err := sigsyaml.Marshal(x); err == nil {
			clean(t, name+" as Kubernetes' YAML", string(out))
		} else {
			clean(t, name+" as Kubernetes' YAML", err.Error())
		}
		if out, err := xml.Marshal(x); err == nil {
			clean(t, name+" as XML", string(out))
		} else {
			clean(t, name+" as XML", err.Error())
		}
		var buf bytes.Buffer
		if err := gob.NewEncoder(&buf).Encode(x); err != nil {
			clean(t, name+" as gob", err.Error())
		}
		clean(t, name+" as gob", buf.String())
		buf.Reset()
		if err := texttemplate.Must(texttemplate.New("x").Parse(`{{.}} {{printf "%s %#v" . .}} {{print .}} {{js .}}`)).Execute(&buf, x); err != nil {
			clean(t, name+" in a template", err.Error())
		}
		if err := template.Must(template.New("x").Parse(`{{.}} <a href="{{.}}">{{.}}</a><script>let a = {{.}}</script>`)).Execute(&buf, x); err != nil {
			clean(t, name+" in a template", err.Error())
		}
		clean(t, name+" in a template", buf.String())
		func() {
			// yaml.v3 panics on a function or a channel.
			defer func() {
				if p := recover(); p != nil {
					clean(t, name+" as YAML", fmt.Sprint(p))
				}
			}()
			out, err := yaml.Marshal(x)
			if err != nil {
				clean(t, name+" as YAML", err.Error())
			}
			clean(t, name+" as YAML", string(out))
		}()
	}
	v := New(canary)
	for name, x := range map[string]any{"value": v, "pointer": &v, "field": struct{ V Value }{v}, "map": map[string]Value{"k": v}} {
		for printer, marshal := range map[string]func(any) ([]byte, error){
			"JSON": json.Marshal, "YAML": func(x any) ([]byte, error) { return yaml.Marshal(x) }, "Kubernetes' YAML": sigsyaml.Marshal,
		} {
			if out, err := marshal(x); err != nil || !strings.Contains(string(out), Masked) {
				t.Errorf("a %s as %s is %s, %v", name, printer, out, err)
			}
		}
	}
}

func TestValueInLogs(t *testing.T) {
	t.Parallel()
	for name, x := range nests() {
		var buf bytes.Buffer
		opts := &slog.HandlerOptions{AddSource: true, Level: slog.LevelDebug}
		for _, h := range []slog.Handler{slog.NewTextHandler(&buf, opts), slog.NewJSONHandler(&buf, opts)} {
			l := slog.New(h)
			l.Info("x", "k", x)
			l.With("k", x).WithGroup("g").Error("x", slog.Any("k", x), slog.Group("h", "k", x))
			l.Info(fmt.Sprint(x))
		}
		old := log.New(&buf, "", 0)
		old.Print(x)
		old.Printf("%v %+v %#v", x, x, x)
		clean(t, name+" in a log", buf.String())
	}
	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("x", "k", New(canary))
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("x", "k", New(canary))
	if n := strings.Count(buf.String(), Masked); n != 2 {
		t.Errorf("the logs show %s", buf.String())
	}
}

// TestValueInPrintersByReflection uses the printer of test libraries, as they
// configure it: without the methods of what it prints.
func TestValueInPrintersByReflection(t *testing.T) {
	t.Parallel()
	for name, x := range nests() {
		for _, c := range []spew.ConfigState{
			{Indent: " "},
			{Indent: " ", DisableMethods: true, DisablePointerAddresses: true, DisableCapacities: true, SortKeys: true, SpewKeys: true},
			{Indent: " ", DisablePointerMethods: true},
			{Indent: " ", ContinueOnMethod: true},
		} {
			clean(t, name+" spewed", c.Sdump(x))
			clean(t, name+" spewed", c.Sprintf("%v %+v %#v %#+v %s", x, x, x, x, x))
		}
	}
}

// dies are the ways in which a process dies with a secret at hand: what it was
// given is on a goroutine's stack, in what it panics with, or in both.
var dies = map[string]func(x any){
	"a panic": func(x any) { panic(x) },
	"another goroutine": func(x any) {
		go func(x any) { panic(x) }(x)
		select {}
	},
	"a panic in a panic": func(x any) {
		defer func() { panic(fmt.Errorf("again: %v", recover())) }()
		panic(x)
	},
	"a key that cannot be one": func(x any) { _ = map[any]bool{[1]any{x}: true, [1]any{func() {}}: true} },
	"another type":             func(x any) { _ = x.(interface{ NobodyHasThis(Value) }) },
	"a fatal error": func(x any) {
		defer func() { _ = x }()
		var mu sync.Mutex
		mu.Unlock()
	},
}

// TestValueInAPanic lets processes of their own die, and reads what they say, the
// stacks of all goroutines with it.
func TestValueInAPanic(t *testing.T) {
	if name := os.Getenv("SECRETS_TEST_PANIC"); name != "" {
		dies[os.Getenv("SECRETS_TEST_DIE")](nests()[name])
		return
	}
	t.Parallel()
	died := func(way, name string) {
		t.Run(way+" of "+name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestValueInAPanic$")
			cmd.Env = append(os.Environ(), "SECRETS_TEST_PANIC="+name, "SECRETS_TEST_DIE="+way, "GOTRACEBACK=all", "GORACE=atexit_sleep_ms=0", "GOCOVERDIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "panic: ") && !strings.Contains(string(out), "fatal error: ") || !strings.Contains(string(out), "goroutine ") {
				t.Fatalf("it did not die: %v\n%s", err, out)
			}
			clean(t, way, string(out))
		})
	}
	for name := range nests() {
		died("a panic", name)
	}
	for way := range dies {
		for _, name := range []string{"value", "hidden struct", "wrapped error"} {
			if way != "a panic" {
				died(way, name)
			}
		}
	}
}

// flagValue is a flag that holds a secret.
type flagValue struct{ Value }

func (f *flagValue) Set(text string) error { f.Value = New(text); return nil }

func (f *flagValue) Type() string { return "secret" }

// TestValueInFlags prints the default and what was set.
func TestValueInFlags(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cmd := &cobra.Command{Use: "x", RunE: func(cmd *cobra.Command, _ []string) error {
		fmt.Fprint(&out, cmd.Flags().Lookup("secret").Value, cmd.Flags().Lookup("secret").DefValue)
		return errors.New("no")
	}}
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.Flags().Var(&flagValue{New(canary)}, "secret", "a `SECRET`")
	cmd.SetArgs([]string{"--secret", canary})
	fmt.Fprint(&out, cmd.UsageString(), cmd.Flags().FlagUsages())
	if err := cmd.Execute(); err == nil {
		t.Error("it did not run")
	}
	flags := flag.NewFlagSet("x", flag.ContinueOnError)
	flags.SetOutput(&out)
	flags.Var(&flagValue{New(canary)}, "secret", "a `SECRET`")
	flags.PrintDefaults()
	flags.VisitAll(func(f *flag.Flag) { fmt.Fprintf(&out, "%v %+v", f, *f) })
	clean(t, "a flag", out.String())
	if n := strings.Count(out.String(), "default "+Masked); n < 3 {
		t.Errorf("%d defaults are masked:\n%s", n, out.String())
	}
}

// TestValueElsewhere: variables for debugging, arguments of databases, and where a
// programmer looks at a value by hand.
func TestValueElsewhere(t *testing.T) {
	t.Parallel()
	for name, x := range nests() {
		clean(t, name+" in a variable", expvar.Func(func() any { return x }).String())
		for _, converter := range []driver.ValueConverter{driver.DefaultParameterConverter, driver.String, driver.NotNull{Converter: driver.String}, driver.Int32, driver.Bool} {
			got, err := converter.ConvertValue(x)
			clean(t, name+" for a database", fmt.Sprint(got, err))
		}
		clean(t, name+" for a database", fmt.Sprintf("%v %+v", sql.Named("n", x), driver.NamedValue{Name: "n", Value: x}))
		text := new(sql.NullString)
		clean(t, name+" from a database", fmt.Sprint(text.Scan(x), text))
		clean(t, name+" by reflection", reflect.ValueOf(x).String()+fmt.Sprint(reflect.ValueOf(x), reflect.TypeOf(x)))
		var table bytes.Buffer
		w := tabwriter.NewWriter(&table, 0, 8, 1, ' ', 0)
		fmt.Fprintf(w, "%v\t%v\n", x, x)
		if err := w.Flush(); err != nil {
			t.Error(err)
		}
		clean(t, name+" in a table", table.String())
	}
	v := New(canary)
	m := new(expvar.Map).Init()
	m.Set("k", expvar.Func(func() any { return v }))
	if got := m.String(); got != `{"k": "`+Masked+`"}` {
		t.Errorf("a map of variables is %s", got)
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	a, b := New("example-a"), New("example-a")
	if a.Reveal() != "example-a" || a.IsZero() || !a.Equal(b) || a.Equal(New("example-b")) {
		t.Error("a value is not its text")
	}
	if (Value{}).Reveal() != "" || !(Value{}).IsZero() || !New("").IsZero() || !(Value{}).Equal(New("")) {
		t.Error("the zero value is not the empty text")
	}
}
