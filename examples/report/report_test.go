package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/sdk/tasktest"
)

func TestReport(t *testing.T) {
	task := tasktest.Load(t, ".")
	rows := []struct{ name, table, want string }{
		{"numbers and texts", "city,amount,note\nUlm,3,\nBonn,4.5,\n\"Ulm\", -1 ,\n",
			`{"rows":3,"columns":[` +
				`{"name":"city","kind":"text","filled":3,"top":[{"text":"Ulm","count":2},{"text":"Bonn","count":1}]},` +
				`{"name":"amount","kind":"number","filled":3,"number":{"sum":6.5,"mean":2.1666666666666665,"min":-1,"max":4.5}},` +
				`{"name":"note","kind":"empty","filled":0}]}`},
		{"header only", "\ufeffa,b\n",
			`{"rows":0,"columns":[{"name":"a","kind":"empty","filled":0},{"name":"b","kind":"empty","filled":0}]}`},
		{"words that parse as numbers", "a\n1\nNaN\n",
			`{"rows":2,"columns":[{"name":"a","kind":"text","filled":2,"top":[{"text":"1","count":1},{"text":"NaN","count":1}]}]}`},
		{"sum above the largest number", "a\n1e308\n1e308\n",
			`{"rows":2,"columns":[{"name":"a","kind":"text","filled":2,"top":[{"text":"1e308","count":2}]}]}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var got []byte
			if err := task.Run(t, []byte(row.table), &got); err != nil || string(got) != row.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, row.want)
			}
		})
	}
}

func TestReportRefuses(t *testing.T) {
	task := tasktest.Load(t, ".")
	for name, table := range map[string]string{
		"nothing": "", "ragged": "a,b\n1\n", "open quote": "a\n\"1\n", "many columns": strings.Repeat(",", columnsMax),
	} {
		t.Run(name, func(t *testing.T) { task.Refuses(t, []byte(table), "task.failed") })
	}
}

// A large table of different texts is read to its end, says that there were more, and is the same every time.
func TestReportLarge(t *testing.T) {
	task := tasktest.Load(t, ".")
	var table strings.Builder
	table.WriteString("id,n\n")
	for i := range 5000 {
		fmt.Fprintf(&table, "item %d,%d\n", i, i)
	}
	var first Summary
	if err := task.Run(t, []byte(table.String()), &first); err != nil {
		t.Fatal(err)
	}
	if c := first.Columns[0]; first.Rows != 5000 || !c.More || len(c.Top) != topMax {
		t.Errorf("got %+v", first)
	}
	want, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var got []byte
		if err := task.Run(t, []byte(table.String()), &got); err != nil || string(got) != string(want) {
			t.Errorf("another run: got %s, %v", got, err)
		}
	}
}
