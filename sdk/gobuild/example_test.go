package gobuild_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/caisson-run/caisson/sdk/gobuild"
)

func ExampleBuild() {
	folder, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	err = gobuild.Build(context.Background(), filepath.Join("testdata", "here"), filepath.Join(folder, "task.wasm"))
	fmt.Println(err)
	// Output: <nil>
}
