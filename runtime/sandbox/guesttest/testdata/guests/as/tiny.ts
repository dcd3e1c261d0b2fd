// A reactor that does next to nothing: it reads at most 64 bytes and answers "ok" and how many there were.
export function caisson_run(): i32 {
  const buf = new ArrayBuffer(64);
  const n = process.stdin.read(buf);
  process.stdout.write("ok " + n.toString().padStart(2, "0") + "\n");
  return 0;
}
