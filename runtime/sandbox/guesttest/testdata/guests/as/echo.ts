// A command: stdin to stdout, through @assemblyscript/wasi-shim.
const buf = new ArrayBuffer(4096);
for (;;) {
  const n = process.stdin.read(buf);
  if (n == 0) break;
  process.stdout.write(buf.slice(0, n));
}
