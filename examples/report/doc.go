// Command report is a task that turns a CSV table into a summary of it.
//
// It needs no capability. Input is the CSV as it is (no JSON around it), with a header line; the result is JSON: how
// many rows there are, and for each column how many cells are filled and, by kind, the sum, mean and extremes of its
// numbers or the most frequent of its texts.
package main
