package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/sdk/tasktest"
)

// picture draws w x h pixels: red grows from left to right, blue from top to bottom.
func picture(w, h int) image.Image {
	p := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			p.SetNRGBA(x, y, color.NRGBA{R: uint8(255 * x / w), G: 64, B: uint8(255 * y / h), A: 255})
		}
	}
	return p
}

func asPNG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func asJPEG(t testing.TB, p image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, p, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestThumbnail(t *testing.T) {
	task := tasktest.Load(t, ".")
	rows := []struct {
		name   string
		in     Request
		size   image.Point
		format string
	}{
		{"PNG", Request{Image: asPNG(t, picture(640, 480)), Width: 160, Height: 120}, image.Pt(160, 120), "png"},
		{"JPEG", Request{Image: asJPEG(t, picture(640, 480)), Width: 160, Height: 120}, image.Pt(160, 120), "jpeg"},
		{"PNG to JPEG", Request{Image: asPNG(t, picture(640, 480)), Width: 64, Height: 64, Format: "jpeg"}, image.Pt(64, 48), "jpeg"},
		{"JPEG to PNG", Request{Image: asJPEG(t, picture(100, 400)), Width: 64, Height: 64, Format: "png"}, image.Pt(16, 64), "png"},
		{"small stays small", Request{Image: asPNG(t, picture(10, 20)), Width: 160, Height: 120}, image.Pt(10, 20), "png"},
		{"a line", Request{Image: asPNG(t, picture(2000, 1)), Width: 100, Height: 100}, image.Pt(100, 1), "png"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var got []byte
			if err := task.Run(t, row.in, &got); err != nil {
				t.Fatal(err)
			}
			small, format, err := image.Decode(bytes.NewReader(got))
			if err != nil || format != row.format || small.Bounds().Size() != row.size {
				t.Fatalf("got %s %v, %v", format, small.Bounds(), err)
			}
			// The middle keeps its colour, within what JPEG loses.
			r, g, b, _ := small.At(row.size.X/2, row.size.Y/2).RGBA()
			if row.size.Y > 1 && (off(r, 127) > 12 || off(g, 64) > 12 || off(b, 127) > 12) {
				t.Errorf("the middle is %d %d %d", r>>8, g>>8, b>>8)
			}
		})
	}
}

func off(got uint32, want float64) float64 { return math.Abs(float64(got>>8) - want) }

func TestThumbnailRefuses(t *testing.T) {
	good := asPNG(t, picture(8, 8))
	bomb := bytes.Clone(good)
	binary.BigEndian.PutUint32(bomb[16:], 60_000) // IHDR: width, height, then the checksum of the chunk
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	task := tasktest.Load(t, ".")
	rows := []struct {
		name string
		in   Request
		want string
	}{
		{"bomb", Request{Image: bomb, Width: 10, Height: 10}, "60000x60000 pixels are more than 1000000"},
		{"no picture", Request{Image: []byte("GIF89a, or not"), Width: 10, Height: 10}, "not a picture"},
		{"nothing", Request{Width: 10, Height: 10}, "not a picture"},
		{"cut short", Request{Image: good[:len(good)-20], Width: 10, Height: 10}, "damaged picture"},
		{"no width", Request{Image: good, Height: 10}, "size 0x10"},
		{"large", Request{Image: good, Width: 10, Height: 513}, "size 10x513"},
		{"format", Request{Image: good, Width: 10, Height: 10, Format: "gif"}, "format must be"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			err := task.Run(t, row.in, nil)
			var ended *tasktest.Error
			if !errors.As(err, &ended) || ended.Code() != "task.failed" || !strings.Contains(ended.Text, row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The largest picture that is let in fits the memory of task.toml, in the form of 8 bytes a pixel.
func TestThumbnailLargest(t *testing.T) {
	side := int(math.Sqrt(pixelsMax))
	deep := image.NewNRGBA64(image.Rect(0, 0, side, side))
	for i := range deep.Pix {
		deep.Pix[i] = 200
	}
	task := tasktest.Load(t, ".")
	if err := task.Run(t, Request{Image: asPNG(t, deep), Width: sideMax, Height: sideMax, Format: "jpeg"}, nil); err != nil {
		t.Error(err)
	}
	t.Logf("%dx%d: %v of CPU, %d MiB", side, side, task.Usage.CPU, task.Usage.Memory>>20)
}
