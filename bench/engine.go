package main

import (
	"context"
	"fmt"
	"maps"
	"os"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/tetratelabs/wazero"
)

// engineArgs is how many arguments follow the name of an engine. The first is the folder of its compile cache, of ownEngine the one that holds all caches, or, of the queue's engines, the file that says where Redis is.
var engineArgs = map[string]int{ownEngine: 1, "cell": 1, "crowd": 1, "start": 2, "floor": 1, "sender": 1}

// ownEngine has all ways of bench's own to run a guest, stock wazero, the product's cells and those that are put together by hand, in one process: what they are
// compared by is the way, and not how large the heap around it is.
const ownEngine = "own"

// serveEngine makes this process the engine of that name. It returns when standard input ends.
func serveEngine(ctx context.Context, name string, args []string) error {
	if want := engineArgs[name]; len(args) != want {
		return fmt.Errorf("want %d arguments", want)
	}
	switch name {
	case ownEngine:
		return serveOwn(ctx, args[0])
	case "cell":
		e, err := newCells(ctx, args[0], cellsWarm) // all that warm wants together
		if err != nil {
			return err
		}
		defer e.close()
		return line.Serve(os.Stdin, os.Stdout, nil, e.acts())
	case "crowd":
		e, err := newCells(ctx, args[0], 0)
		if err != nil {
			return err
		}
		defer e.close()
		return line.Serve(os.Stdin, os.Stdout, nil, map[string]line.Act{"crowd": e.crowd})
	case "floor":
		return serveFloor(ctx, args[0])
	case "sender":
		return serveSender(ctx, args[0])
	case "start":
		return firstTask(ctx, args[0], args[1])
	case "admit":
		return sandbox.ServeAdmission(ctx, os.Stdin, os.Stdout)
	}
	return fmt.Errorf("there is no such engine")
}

// serveOwn is ownEngine, with caches in folder.
func serveOwn(ctx context.Context, folder string) error {
	stock, err := newWazero(ctx, cacheFolder(folder, "wazero"))
	if err != nil {
		return err
	}
	bare, err := newBare(ctx, cacheFolder(folder, "bare"))
	if err != nil {
		return err
	}
	cells, err := newCells(ctx, cacheFolder(folder, "cell"), 0)
	if err != nil {
		return err
	}
	defer cells.close()
	ways := stock.ways()
	maps.Copy(ways, bare.ways())
	maps.Copy(ways, cells.ways())
	return line.Serve(os.Stdin, os.Stdout, ways, nil)
}

// cached gives config a compile cache in folder, so that a second run need not compile again. Each runtime has its own: wazero's cache is not to be shared.
func cached(config wazero.RuntimeConfig, folder string) (wazero.RuntimeConfig, error) {
	cache, err := wazero.NewCompilationCacheWithDir(folder)
	if err != nil {
		return nil, err
	}
	return config.WithCompilationCache(cache), nil
}
