// Command extism runs tasks in Extism's Go SDK, driven by lines on its standard input (package line).
//
// Way "fresh" makes an instance of the compiled plugin for each task and closes it. Way "reused" keeps one instance per goroutine and calls
// it again and again, as Extism's own documentation does; nothing of the guest's memory is cleared in between. Both use the wazero that the SDK's release asks
// for, with the SDK's defaults; nothing limits time.
//
// A task is a call of the guest's caisson_run with the payload on fd 0 and the result on fd 1, by wazero's own WASI.
package main
