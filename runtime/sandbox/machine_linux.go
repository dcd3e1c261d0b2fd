package sandbox

import (
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machineMemory is what this process may take, in bytes: what the machine has, or less where a control group says so.
func machineMemory() int64 {
	most := int64(memoryUnknown)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		most = int64(min(uint64(info.Totalram)*uint64(info.Unit), 1<<62))
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return most
	}
	return min(most, groupMemory(string(groups), os.ReadFile))
}

// groupMemory is the least that a control group allows, from the process's own, as groups says it, to the root; 1<<62 when none bounds it. Where a container sees its own
// group as the root, that is found by the same way.
// Source: cgroups(7), Documentation/admin-guide/cgroup-v2.rst of Linux, and memory.txt for version 1.
func groupMemory(groups string, read func(string) ([]byte, error)) int64 {
	most := int64(1) << 62
	for line := range strings.Lines(groups) { // hierarchy:controllers:path
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		root, file := "/sys/fs/cgroup", "memory.max"
		if fields[1] == "memory" {
			root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if fields[1] != "" {
			continue
		}
		dir := path.Clean("/" + fields[2])
		for range groupsMax {
			if text, err := read(path.Join(root, dir, file)); err == nil {
				if n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil && n > 0 { // "max" is no bound
					most = min(most, n)
				}
			}
			if dir == "/" {
				break
			}
			dir = path.Dir(dir)
		}
	}
	return most
}
