// Command page is a task that turns Markdown into an HTML page, with the goldmark library.
//
// It needs no capability. Input is JSON: {"title": "...", "markdown": "..."}; the result is the page. HTML inside the
// Markdown is left out and dangerous links are emptied, so the page is safe to show whoever wrote the text.
package main
