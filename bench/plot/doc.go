// Command plot draws what bench has measured: rows of JSON, one object a line, on standard input, and SVG files into the folder that its argument names.
//
// It is a module of its own, so that no part of the product depends on a library that draws. What a row is called says in which picture it goes: see pictures.
package main
