package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helm-kai/helm-kai/internal/kubeschema"
)

type validateFlags struct {
	selection
	outputs     findingsOutputs
	namespace   string
	kubeVersion string
	crds        []string
	rules       string
	changed     string
	jobs        int
}

func newValidate(a *app, w *workspaceFlags) *cobra.Command {
	var f validateFlags
	cmd := &cobra.Command{
		Use:   "validate [SERVICE|PATH…]",
		Short: "Find what is wrong with descriptors, flavors and friends, and with what they give",
		Long: `Looks for mistakes in all contexts, or in those that are named, and says of each in which
line of a descriptor, flavor, friend or workspace file its cause stands: format and types,
references, the generated charts as helm lint --strict sees them, the objects against
Kubernetes' schemas as strictly as an API server does, against one another across
releases, and by rules of good practice; secrets in clear. No cluster is asked, no store
is read, and what is wrong with one service keeps no other from being looked at.

Arguments are names of services, or files and folders: a file means the services that it
is part of, or that use it. One that is deleted is such as well, where git's index or
last commit still has it, or where it was part of a service that is still there; what is
nowhere is a typing error. --changed takes the files that git
finds changed, and the services that speak of those as well. What is chosen so is
compared with the services that it speaks of alone; a host that two services use is
found for certain only where all are validated.

Custom resources are checked where --crds gives files with their definitions. --rules
names a file that gives rules another severity and says what is ignored, and why. The
workspace's file may say all of this in its section validate. docs/rules.md lists the
rules.

Exit codes: 0 no errors, 1 errors, or an argument that names nothing.`,
		Example: a.example("validate", "validate -c prod", "validate -c prod carts orders", "validate services/carts/kai.yaml flavors/web",
			"validate --changed", "validate --changed=origin/main -o github",
			"validate --kube-version 1.34 --crds gateway-api.yaml", "validate --rules rules.yaml -o json",
			"validate -o github -o sarif=kai.sarif -o junit=kai.xml"),
		ValidArgsFunction: w.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.changed != "" && len(args) > 0 {
				return fmt.Errorf("--changed finds the files by itself, and %s is given as well\n  hint: give one of both; a revision is given as --changed=%[1]s", args[0])
			}
			return validateContexts(cmd.Context(), a, w, f, args)
		},
	}
	f.selection.addFlags(cmd, w)
	flags := cmd.Flags()
	f.outputs.addFlags(cmd)
	flags.StringVarP(&f.namespace, "namespace", "n", cmp.Or(a.getenv("HELM_NAMESPACE"), "default"), "namespace, where the workspace gives none")
	flags.StringVar(&f.kubeVersion, "kube-version", "", "minor of Kubernetes: "+strings.Join(kubeschema.Minors(), ", ")+" (default: the newest)")
	flags.StringSliceVar(&f.crds, "crds", nil, "files with CustomResourceDefinitions")
	flags.StringVar(&f.rules, "rules", "", "file of settings for the rules")
	flags.StringVar(&f.changed, "changed", "", "only what git's changes touch: since HEAD, or =REV, since a branch went its own way from REV")
	flags.Lookup("changed").NoOptDefVal = "HEAD"
	flags.IntVarP(&f.jobs, "concurrency", "j", 0, "charts made at the same time (default: one for each CPU)")
	_ = cmd.RegisterFlagCompletionFunc("kube-version", cobra.FixedCompletions(kubeschema.Minors(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
