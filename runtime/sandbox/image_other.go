//go:build !linux

package sandbox

func (i *image) close() { i.data = nil }
