package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/sdk/tasktest"
)

func TestPage(t *testing.T) {
	task := tasktest.Load(t, ".")
	var got []byte
	if err := task.Run(t, Request{Title: "Salt & <Pepper>", Markdown: "# Taste\n\n| a | b |\n|---|---|\n| *1* | ~~2~~ |\n"}, &got); err != nil {
		t.Fatal(err)
	}
	const want = `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>Salt &amp; &lt;Pepper&gt;</title>
</head>
<body>
<h1 id="taste">Taste</h1>
<table>
<thead>
<tr>
<th>a</th>
<th>b</th>
</tr>
</thead>
<tbody>
<tr>
<td><em>1</em></td>
<td><del>2</del></td>
</tr>
</tbody>
</table>
</body>
</html>
`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
}

func TestPageIsSafe(t *testing.T) {
	task := tasktest.Load(t, ".")
	for name, markdown := range map[string]string{
		"script": "<script>alert(1)</script>", "inline": "a <img src=x onerror=alert(1)> b", "link": "[x](javascript:alert(1))",
	} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			if err := task.Run(t, Request{Title: "t", Markdown: markdown}, &got); err != nil || strings.Contains(string(got), "alert") {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

func TestPageRefuses(t *testing.T) {
	task := tasktest.Load(t, ".")
	task.Refuses(t, Request{Markdown: "# x"}, "task.failed")
	task.Refuses(t, []byte(`{"title": 7}`), "task.failed")
}

// What costs a parser most is done with or stopped at a limit, and never takes the worker along.
func TestPageNested(t *testing.T) {
	task := tasktest.Load(t, ".")
	err := task.Run(t, Request{Title: "t", Markdown: strings.Repeat(">", 100_000)}, nil)
	var ended *tasktest.Error
	if err != nil && (!errors.As(err, &ended) || !strings.HasPrefix(ended.Code(), "limit.")) {
		t.Errorf("100,000 quotes in each other: %v", err)
	}
	if err := task.Run(t, Request{Title: "t", Markdown: "after"}, nil); err != nil {
		t.Errorf("the next run: %v", err)
	}
}
