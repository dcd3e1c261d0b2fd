package main

import (
	"strings"
	"testing"
)

func filled() *report {
	r := new(report)
	r.add("go: cell x1", "us", sample{21.4, 20, 31})
	r.add("never measured", "us", nil)
	r.add("ratio a / b", "x", sample{151.25, 149, 160})
	r.atLeast("faster", 100, "x", sample{151.25, 149, 160})
	r.atLeast("faster still", 155, "x", sample{151.25, 149, 160})
	r.atMost("small", 256, "KiB", sample{256})
	r.atMost("smaller", 0.25, "x", sample{0.253})
	r.atMost("unknown", 10, "ms", nil)
	return r
}

func TestReportForPrograms(t *testing.T) {
	var out strings.Builder
	if err := filled().writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	want := `{"row":"go: cell x1","unit":"us","median":21.4,"low":20,"high":31}
{"row":"ratio a / b","unit":"x","median":151.25,"low":149,"high":160}
{"goal":"faster","want":">= 100 x","got":"151 x","met":true}
{"goal":"faster still","want":">= 155 x","got":"151 x","met":false}
{"goal":"small","want":"<= 256 KiB","got":"256 KiB","met":true}
{"goal":"smaller","want":"<= 0.25 x","got":"0.253 x","met":false}
{"goal":"unknown","want":"<= 10 ms","got":"not measured","met":false}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestReportForPeople(t *testing.T) {
	var out strings.Builder
	if err := filled().writeTable(&out); err != nil {
		t.Fatal(err)
	}
	want := `row          unit  median  low  high
go: cell x1  us    21.4    20   31
ratio a / b  x     151     149  160

goal faster        want >= 100 x    got 151 x         met
goal faster still  want >= 155 x    got 151 x         missed
goal small         want <= 256 KiB  got 256 KiB       met
goal smaller       want <= 0.25 x   got 0.253 x       missed
goal unknown       want <= 10 ms    got not measured  missed
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
