package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"strings"

	"github.com/caisson-run/caisson/sdk/client"
)

// How much real work the demo sends: 500 tasks together.
const (
	demoThumbnails = 300
	demoReports    = 100
	demoPages      = 100

	demoPictures  = 12 // different pictures that the thumbnails are made of
	thumbnailSide = 96
	reportRows    = 200
	jpegQuality   = 80
	// colourFar is how far the mean colour of a thumbnail may be from its picture's, of 255: JPEG and scaling
	// move it by one or two, another picture by tens.
	colourFar = 6
)

// work is one task of the demo and what its output must be.
type work struct {
	task  client.Task
	check func(output []byte) error
}

// demoWork makes all of the work, in an order that mixes the kinds.
func demoWork() ([]work, error) {
	pictures := make([]picture, demoPictures)
	for i := range pictures {
		p, err := drawPicture(i)
		if err != nil {
			return nil, err
		}
		pictures[i] = p
	}
	kinds := []struct {
		left int
		make func(i int) (work, error)
	}{
		{demoThumbnails, func(i int) (work, error) { return pictures[i%len(pictures)].thumbnail() }},
		{demoReports, reportWork},
		{demoPages, pageWork},
	}
	var all []work
	for i := 0; len(all) < demoThumbnails+demoReports+demoPages; i++ {
		kind := &kinds[i%len(kinds)]
		if kind.left == 0 {
			continue
		}
		kind.left--
		w, err := kind.make(i)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// picture is a drawn picture, encoded.
type picture struct {
	size image.Point
	data []byte
	mean [3]float64 // of red, green, blue
}

// drawPicture draws rings on a gradient: every second one a PNG, the others JPEGs of twice the side.
func drawPicture(seed int) (picture, error) {
	size := image.Pt(480, 360)
	if seed%2 == 1 {
		size = image.Pt(240, 180)
	}
	img := image.NewRGBA(image.Rectangle{Max: size})
	cx, cy := float64(size.X*(seed+1))/float64(demoPictures+1), float64(size.Y)/2
	for y := range size.Y {
		for x := range size.X {
			// Away from black and white, where JPEG's rounding would be cut off and the mean would move.
			ring := uint8(128 + 64*math.Sin(math.Hypot(float64(x)-cx, float64(y)-cy)/float64(6+seed)))
			img.SetRGBA(x, y, color.RGBA{uint8(64 + x*128/size.X), ring, uint8(64 + seed*128/demoPictures), 255})
		}
	}
	var out bytes.Buffer
	var err error
	if seed%2 == 1 {
		err = png.Encode(&out, img)
	} else {
		err = jpeg.Encode(&out, img, &jpeg.Options{Quality: jpegQuality})
	}
	return picture{size, out.Bytes(), meanColour(img)}, err
}

// thumbnail asks for the picture at a small size and knows its shape and mean colour.
func (p picture) thumbnail() (work, error) {
	input := map[string]any{"image": p.data, "width": thumbnailSide, "height": thumbnailSide, "format": "jpeg"}
	want := image.Pt(thumbnailSide, thumbnailSide*p.size.Y/p.size.X)
	return work{client.Task{Name: "image.thumbnail", Input: input}, func(output []byte) error {
		img, format, err := image.Decode(bytes.NewReader(output))
		if err != nil {
			return err
		}
		if format != "jpeg" || img.Bounds().Size() != want {
			return fmt.Errorf("got a %s of %v, want a jpeg of %v", format, img.Bounds().Size(), want)
		}
		got := meanColour(img)
		for i := range got {
			if math.Abs(got[i]-p.mean[i]) > colourFar {
				return fmt.Errorf("mean colour %.0f is not the picture's %.0f", got, p.mean)
			}
		}
		return nil
	}}, nil
}

func meanColour(img image.Image) (mean [3]float64) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			mean[0], mean[1], mean[2] = mean[0]+float64(r>>8), mean[1]+float64(g>>8), mean[2]+float64(bl>>8)
		}
	}
	pixels := float64(b.Dx() * b.Dy())
	return [3]float64{mean[0] / pixels, mean[1] / pixels, mean[2] / pixels}
}

// reportWork is a table of sales whose sum is known.
func reportWork(seed int) (work, error) {
	var table strings.Builder
	table.WriteString("city,amount\n")
	cities := []string{"Kiel", "Lisbon", "Quito", "Oslo"}
	sum := 0
	for row := range reportRows {
		amount := (seed*31 + row*17) % 1000
		sum += amount
		fmt.Fprintf(&table, "%s,%d\n", cities[(row*row+seed)%len(cities)], amount)
	}
	return work{client.Task{Name: "report.csv", Payload: []byte(table.String()), ContentType: "text/csv"}, func(output []byte) error {
		var got struct {
			Rows    int
			Columns []struct {
				Name   string
				Number *struct{ Sum float64 }
			}
		}
		if err := json.Unmarshal(output, &got); err != nil {
			return err
		}
		if got.Rows != reportRows || len(got.Columns) != 2 || got.Columns[1].Number == nil || got.Columns[1].Number.Sum != float64(sum) {
			return fmt.Errorf("got %s, want %d rows that sum to %d", output, reportRows, sum)
		}
		return nil
	}}, nil
}

// pageWork is a Markdown page whose HTML is known in its parts.
func pageWork(seed int) (work, error) {
	title := fmt.Sprintf("Log of day %d", seed)
	text := fmt.Sprintf("# %s\n\nDepth **%d m**, see <script>alert(1)</script>.\n\n| hour | bar |\n|---|---|\n", title, seed)
	for hour := range 24 {
		text += fmt.Sprintf("| %02d | %d |\n", hour, seed+hour)
	}
	return work{client.Task{Name: "page.render", Input: map[string]string{"title": title, "markdown": text}}, func(output []byte) error {
		page := string(output)
		for _, want := range []string{"<title>" + title + "</title>", fmt.Sprintf("<strong>%d m</strong>", seed), fmt.Sprintf("<td>%d</td>", seed+23)} {
			if !strings.Contains(page, want) {
				return fmt.Errorf("the page has no %q", want)
			}
		}
		if strings.Contains(page, "<script>") {
			return errors.New("the page carries a script")
		}
		return nil
	}}, nil
}
