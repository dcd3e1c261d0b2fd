package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// rowBytesMax bounds one line.
const rowBytesMax = 64 << 10

// A row is one line of bench.
type row struct {
	Row               string
	Unit              string
	Median, Low, High float64
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "plot: want the folder for the pictures")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

// run draws every picture that some row belongs to.
func run(in io.Reader, folder string) error {
	rows, err := read(in)
	if err != nil {
		return err
	}
	for _, p := range pictures {
		var own []row
		for _, r := range rows {
			if label, ok := p.label(r); ok {
				r.Row = label
				own = append(own, r)
			}
		}
		if len(own) == 0 {
			continue
		}
		if err := p.draw(own, filepath.Join(folder, p.file+".svg")); err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
	}
	return nil
}

// read takes rows; lines that are goals are left out.
func read(in io.Reader) (rows []row, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, rowBytesMax)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		if r.Row != "" {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 && lines.Err() == nil {
		return nil, errors.New("no rows")
	}
	return rows, lines.Err()
}

// A picture has a bar for each row of one unit whose name begins with prefix and holds none of without, and ends with suffix.
type picture struct {
	file, title, prefix, suffix, unit string
	without                           []string
}

// pictures are drawn where there are rows for them. A row of the queue's suite with a comma and a number is one of a setting.
var pictures = []picture{
	{file: "drain", title: "drained from a full queue, with results (tasks a second)", prefix: "drain ", unit: "1/s",
		without: settings},
	{file: "drain-settings", title: "the same with an append-only file, far away, with large payloads (tasks a second)", prefix: "drain ", unit: "1/s"},
	{file: "enqueue", title: "enqueued (tasks a second)", prefix: "enqueue ", unit: "1/s"},
	{file: "round-trip", title: "round trip on an idle worker, p50 (ms)", prefix: "round trip ", suffix: ": p50", unit: "ms"},
	{file: "processor", title: "processor time of the worker a task (us)", prefix: "drain ", suffix: ": processor time of the worker a task", unit: "us"},
	{file: "processor-redis", title: "processor time of Redis a task (us)", prefix: "drain ", suffix: ": processor time of Redis a task", unit: "us"},
	{file: "tasks", title: "a task, one at a time (us)", suffix: " x1", unit: "us"},
}

// settings are words of rows that are not in the plain setting.
var settings = []string{"AOF", "away", "lanes", "KiB", "waiting"}

// label is what r is called in p, if it belongs there.
func (p picture) label(r row) (string, bool) {
	if r.Unit != p.unit || !strings.HasPrefix(r.Row, p.prefix) || !strings.HasSuffix(r.Row, p.suffix) {
		return "", false
	}
	has := func(word string) bool { return strings.Contains(r.Row, word) }
	if p.file == "drain-settings" && !slices.ContainsFunc(settings, has) || slices.ContainsFunc(p.without, has) {
		return "", false
	}
	return strings.TrimSuffix(strings.TrimPrefix(r.Row, p.prefix), p.suffix), true
}

var (
	ours   = color.RGBA{R: 0x1f, G: 0x6f, B: 0xb4, A: 0xff}
	theirs = color.RGBA{R: 0xb0, G: 0xb0, B: 0xb0, A: 0xff}
)

// draw makes horizontal bars, the first row on top, on a scale of powers of ten, since rows differ by orders of magnitude. Each has its median beside it
// and a line from low to high.
func (p picture) draw(rows []row, path string) error {
	slices.Reverse(rows)
	least, most := math.Inf(1), math.Inf(-1)
	for _, r := range rows {
		if r.Low <= 0 {
			return fmt.Errorf("%s: %g cannot be on this scale", r.Row, r.Low)
		}
		least, most = min(least, r.Low), max(most, r.High)
	}
	from := math.Pow(10, math.Floor(math.Log10(least)))
	c := plot.New()
	c.Title.Text = p.title
	c.X.Scale, c.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	c.X.Min, c.X.Max = from, most*4 // room for the numbers
	c.Y.Label.Text = " "            // and for names
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Row
		fill := theirs
		if strings.HasPrefix(r.Row, "caisson") || strings.Contains(r.Row, ": cell") {
			fill = ours
		}
		if err := bar(c, float64(i), from, r, fill); err != nil {
			return err
		}
	}
	c.NominalY(names...)
	c.Y.Min, c.Y.Max = -0.6, float64(len(rows))-0.4
	return c.Save(24*vg.Centimeter, vg.Length(2.2+0.62*float64(len(rows)))*vg.Centimeter, path)
}

func bar(c *plot.Plot, y, from float64, r row, fill color.Color) error {
	box, err := plotter.NewPolygon(plotter.XYs{{X: from, Y: y - 0.35}, {X: r.Median, Y: y - 0.35}, {X: r.Median, Y: y + 0.35}, {X: from, Y: y + 0.35}})
	if err != nil {
		return err
	}
	box.Color, box.LineStyle.Width = fill, 0
	spread, err := plotter.NewLine(plotter.XYs{{X: r.Low, Y: y}, {X: r.High, Y: y}})
	if err != nil {
		return err
	}
	number, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: r.High * 1.1, Y: y}}, Labels: []string{strconv.FormatFloat(r.Median, 'g', 3, 64)}})
	if err != nil {
		return err
	}
	if r.Median >= 1000 {
		number.Labels[0] = strconv.FormatFloat(r.Median, 'f', 0, 64)
	}
	number.TextStyle[0].YAlign = draw.YCenter
	c.Add(box, spread, number)
	return nil
}
