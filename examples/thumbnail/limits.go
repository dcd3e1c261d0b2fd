package main

const (
	// sideMax bounds each side of a thumbnail, in pixels: above it, it is no thumbnail.
	sideMax = 512
	// pixelsMax bounds the picture that comes in. Decoding takes up to 16 bytes a pixel (progressive JPEG), and scaling
	// 32 bytes for each row of it times the width of the thumbnail: at 2 million, both fit the 64 MiB in task.toml.
	pixelsMax = 2_000_000
	// quality is JPEG's: below 80 edges begin to show, above it files grow fast.
	quality = 82
)
