package main

const (
	// sideMax bounds each side of a thumbnail, in pixels: above it, it is no thumbnail.
	sideMax = 512
	// pixelsMax bounds the picture that comes in. What fits a message (200 KiB) is seldom larger. Decoding takes up to
	// 16 bytes a pixel (progressive JPEG) and 2 microseconds of CPU (the form of 8 bytes a pixel, on a busy machine), so a
	// million fits task.toml three times over.
	pixelsMax = 1_000_000
	// quality is JPEG's: below 80 edges begin to show, above it files grow fast.
	quality = 82
)
