package sandbox

import (
	"regexp"
	"strconv"
)

// unnamed is how wazero writes a function of a stack trace: the names were dropped with the custom sections.
var unnamed = regexp.MustCompile(`\.\$(\d+)`)

// trace puts the module's own function names into a stack trace of wazero's, where it has any, and bounds it. It is for logs only.
func (a *artifact) trace(text string) string {
	imports := uint64(len(a.facts.imports))
	text = unnamed.ReplaceAllStringFunc(text[:min(len(text), traceSizeMax)], func(match string) string {
		index, err := strconv.ParseUint(match[len(".$"):], 10, 32)
		if err != nil || index == imports {
			return match
		}
		if index > imports {
			index-- // the instrumenter put tick behind the imports
		}
		if name := a.names.Func(uint32(index)); name != "" {
			return name
		}
		return "$" + strconv.FormatUint(index, 10)
	})
	return text[:min(len(text), traceSizeMax)]
}
