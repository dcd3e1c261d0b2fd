package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(thumbnail) }

func main() { guest.Main() }

// Request is the input of the task.
type Request struct {
	Image  []byte `json:"image"`  // PNG or JPEG
	Width  int    `json:"width"`  // the most, 1 to sideMax pixels
	Height int    `json:"height"` // the most, 1 to sideMax pixels
	Format string `json:"format"` // "jpeg", "png", or "" for the picture's own
}

// thumbnail answers the small picture. Every failure is final: the same bytes will not decode better next time.
func thumbnail(_ context.Context, in Request) ([]byte, error) {
	if in.Width < 1 || in.Height < 1 || in.Width > sideMax || in.Height > sideMax {
		return nil, guest.Fail(fmt.Errorf("thumbnail: size %dx%d is not within 1x1 and %dx%d", in.Width, in.Height, sideMax, sideMax))
	}
	if in.Format != "" && in.Format != "jpeg" && in.Format != "png" {
		return nil, guest.Fail(errors.New(`thumbnail: format must be "jpeg" or "png"`))
	}
	picture, format, err := decode(in.Image)
	if err != nil {
		return nil, guest.Fail(err)
	}
	if in.Format != "" {
		format = in.Format
	}
	small := scale(picture, in.Width, in.Height)
	guest.Log.Info("picture scaled", "from", picture.Bounds().Size(), "to", small.Bounds().Size(), "format", format)
	return encode(small, format)
}

// decode reads the header first, and the rest only if the header promises no more than pixelsMax.
func decode(data []byte) (image.Image, string, error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, "", fmt.Errorf("thumbnail: not a picture: %w", err)
	}
	// Divided, since the product of two sides from outside can wrap on 32 bits.
	if config.Width < 1 || config.Height < 1 || config.Width > pixelsMax/config.Height {
		return nil, "", fmt.Errorf("thumbnail: %dx%d pixels are more than %d", config.Width, config.Height, pixelsMax)
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, "", fmt.Errorf("thumbnail: damaged picture: %w", err)
	}
	return picture, format, nil
}

// scale fits picture into width x height. It halves the picture as often as it can, where each new pixel is the mean of
// four, and does the rest in one step: a quarter of the work of a filter that is as wide as the whole step, and as smooth.
func scale(picture image.Image, width, height int) image.Image {
	size := picture.Bounds().Size()
	to := fit(size.X, size.Y, width, height)
	for size.X >= 2*to.X && size.Y >= 2*to.Y {
		size = size.Div(2)
		picture = resize(picture, size)
	}
	if size == to {
		return picture
	}
	return resize(picture, to)
}

func resize(picture image.Image, to image.Point) image.Image {
	small := image.NewRGBA(image.Rectangle{Max: to})
	draw.ApproxBiLinear.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)
	return small
}

// fit is the largest size of the shape w:h within width x height, at most w x h and at least 1 x 1.
func fit(w, h, width, height int) image.Point {
	if w <= width && h <= height {
		return image.Pt(w, h)
	}
	// In 64 bits: a side times a side is above 32 bits.
	byWidth := int64(h) * int64(width) / int64(w)
	if byWidth <= int64(height) {
		return image.Pt(width, max(1, int(byWidth)))
	}
	return image.Pt(max(1, int(int64(w)*int64(height)/int64(h))), height)
}

func encode(picture image.Image, format string) ([]byte, error) {
	var out bytes.Buffer
	var err error
	if format == "png" {
		err = png.Encode(&out, picture)
	} else {
		err = jpeg.Encode(&out, picture, &jpeg.Options{Quality: quality})
	}
	return out.Bytes(), err
}
