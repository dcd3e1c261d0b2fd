package gobuild

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// listFormat prints, for each package of the build that is not of the standard library, its folder and what it embeds, and the
// files that choose dependencies.
const listFormat = `{{if not .Standard}}{{.Dir}}{{"\n"}}{{$dir := .Dir}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}` +
	`{{with .Module}}{{with .GoMod}}{{.}}{{"\n"}}{{end}}{{end}}{{end}}`

// Sources returns what Build reads to build dir, but for the standard library: the folders of the packages, the files that
// they embed, and go.mod. It is for those who keep a module and must know when it is out of date. env is as for Build.
// Errors: as Build.
func Sources(ctx context.Context, dir string, env ...string) ([]string, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	command, err := Find()
	if err != nil {
		return nil, err
	}
	output := &keeper{sizeMax: listSizeMax}
	faults := &keeper{sizeMax: outputSizeMax}
	if err := run(ctx, dir, env, output, faults, command, "list", "-deps", "-f", listFormat, "."); err != nil {
		return nil, err
	}
	if output.more {
		return nil, &BuildError{Dir: dir, Output: fmt.Sprintf("the list of sources is longer than %d bytes", listSizeMax), Err: os.ErrInvalid}
	}
	var sources []string
	for line := range strings.Lines(string(output.kept)) {
		sources = append(sources, strings.TrimRight(line, "\r\n"))
	}
	slices.Sort(sources)
	return slices.Compact(sources), nil
}
