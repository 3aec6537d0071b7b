package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/helm-kai/helm-kai/internal/source"
)

// What is wrong with a command line is said here, in the words of all other messages:
// cobra's and pflag's own say how many arguments a function accepts.

// wordUsage has every command of a tree say what is wrong with its arguments and flags.
// A command that only holds others refuses what is none of them.
func wordUsage(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		wordUsage(sub)
		args := sub.Args
		if args == nil && sub.HasSubCommands() {
			args = cobra.NoArgs
		}
		if args != nil {
			sub.Args = func(cmd *cobra.Command, given []string) error { return argsError(cmd, given, args(cmd, given)) }
		}
		if !sub.Runnable() {
			sub.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// noCommand says that a command has no command of a name.
func noCommand(cmd *cobra.Command, name string) error {
	var names []string
	near := ""
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
		if slices.Contains(sub.SuggestFor, name) {
			near = sub.Name()
		}
	}
	of := ""
	if cmd.HasParent() {
		of = " of " + cmd.Name()
	}
	hint := cmd.CommandPath() + " --help"
	if near = cmp.Or(near, source.Closest(name, names)); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s lists them all", near, hint)
	}
	return fmt.Errorf("there is no command %q%s\n  hint: %s", name, of, hint)
}

// counts are cobra's words about the number of arguments.
var counts = regexp.MustCompile(`^(?:accepts|requires) .*arg\(s\),.* received (\d+)$`)

// argsError words an error about the arguments of a command. The command's own errors
// stay as they are.
func argsError(cmd *cobra.Command, args []string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.HasPrefix(err.Error(), "unknown command ") && cmd.HasSubCommands():
		return noCommand(cmd, args[0])
	case strings.HasPrefix(err.Error(), "unknown command "):
		return fmt.Errorf("%q is too much: %s takes no arguments\n  hint: %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
	case strings.HasPrefix(err.Error(), "invalid argument "):
		return fmt.Errorf("%q is none that %s knows\n  hint: %s", args[0], cmd.CommandPath(), source.Nearest(args[0], cmd.ValidArgs))
	case !counts.MatchString(err.Error()):
		return err
	}
	names := argumentNames(cmd)
	usage := strings.Join(append([]string{cmd.CommandPath()}, names...), " ")
	if len(args) < len(names) {
		return fmt.Errorf("%s is missing\n  hint: %s", names[len(args)], usage)
	}
	return fmt.Errorf("%q is too much\n  hint: %s", args[len(names)], usage)
}

// argumentNames gives the arguments that a command's usage names, such as NAME.
func argumentNames(cmd *cobra.Command) []string {
	var names []string
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if word != "[flags]" && !strings.HasPrefix(word, "-") {
			names = append(names, word)
		}
	}
	return names
}

// flagError words an error about a flag.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("there is no flag -%s\n  hint: %s lists those there are", unknown.GetSpecifiedName(), help)
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		hint := help + " lists those there are"
		if near := source.Closest(unknown.GetSpecifiedName(), names); near != "" {
			hint = fmt.Sprintf("did you mean --%s? %s", near, hint)
		}
		return fmt.Errorf("there is no flag --%s\n  hint: %s", unknown.GetSpecifiedName(), hint)
	case errors.As(err, &bare):
		return fmt.Errorf("--%s needs a value\n  hint: --%s VALUE; %s", bare.GetFlag().Name, bare.GetFlag().Name, help)
	case errors.As(err, &invalid):
		expected := invalid.Unwrap().Error()
		switch invalid.GetFlag().Value.Type() {
		case "bool":
			expected = "expected true or false"
		case "int", "int32", "int64", "uint", "count":
			expected = "expected a whole number, such as 3"
		case "duration":
			expected = "expected a time with its unit, such as 30s or 5m"
		}
		return fmt.Errorf("--%s %q: %s\n  hint: %s", invalid.GetFlag().Name, invalid.GetValue(), expected, help)
	}
	return fmt.Errorf("%w\n  hint: %s", err, help)
}

var (
	unknownCommand = regexp.MustCompile(`^unknown command "([^"]*)" for `)
	oneOfFlags     = regexp.MustCompile(`^at least one of the flags in the group \[(.*)\] is required$`)
	apartFlags     = regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(.*)\] were all set$`)
)

// wordError words what cobra finds before a command runs. Other errors stay as they
// are.
func wordError(root *cobra.Command, err error) error {
	flags := func(names string) []string {
		all := strings.Fields(names)
		for i := range all {
			all[i] = "--" + all[i]
		}
		return all
	}
	text := err.Error()
	if m := unknownCommand.FindStringSubmatch(text); m != nil {
		return noCommand(root, m[1])
	}
	if m := oneOfFlags.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s is missing\n  hint: give one of them", source.Or(flags(m[1])))
	}
	if m := apartFlags.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s exclude one another\n  hint: give one of them", strings.Join(flags(m[1]), " and "))
	}
	return err
}

// wordFile gives the text of an error, with what the system says about a file in
// words, and a way out.
func wordFile(err error) string {
	text := err.Error()
	var file *fs.PathError
	if !errors.As(err, &file) {
		return text
	}
	words, hint := file.Err.Error(), "is the path right?"
	switch {
	case errors.Is(file.Err, fs.ErrNotExist):
		words = "there is no such file or folder"
	case errors.Is(file.Err, fs.ErrPermission):
		hint = "give yourself the permission"
	}
	text = strings.Replace(text, file.Error(), file.Path+": "+words, 1)
	if !strings.Contains(text, "hint:") {
		text += "\n  hint: " + hint
	}
	return text
}
