package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(page) }

func main() { guest.Main() }

// Request is the input of the task.
type Request struct {
	Title    string `json:"title"`    // required
	Markdown string `json:"markdown"` // CommonMark with tables, strikethrough, task lists and links
}

// markdown is built when the module starts, so that a task begins with it ready.
var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// page answers the HTML page.
func page(_ context.Context, in Request) ([]byte, error) {
	if strings.TrimSpace(in.Title) == "" {
		return nil, guest.Fail(errors.New("page: the title is missing"))
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n</head>\n<body>\n", html.EscapeString(in.Title))
	if err := markdown.Convert([]byte(in.Markdown), &out); err != nil {
		return nil, guest.Fail(fmt.Errorf("page: %w", err))
	}
	out.WriteString("</body>\n</html>\n")
	return out.Bytes(), nil
}
