// The small task in AssemblyScript: {"A":1,"B":2} in, {"Sum":3} out, once through fd 0 and 1 (caisson_run) and once as a direct call (alloc, run).

function readAll(): string {
  const buf = new ArrayBuffer(4096);
  let text = "";
  let n = 0;
  while ((n = process.stdin.read(buf)) > 0) text += String.UTF8.decodeUnsafe(changetype<usize>(buf), n);
  return text;
}

// add parses an object of numbers, key by key.
function add(text: string): string {
  const fields = new Map<string, i64>();
  const pairs = text.trim().slice(1, -1).split(",");
  for (let i = 0; i < pairs.length; i++) {
    const parts = pairs[i].split(":");
    fields.set(parts[0].trim().slice(1, -1), I64.parseInt(parts[1].trim()));
  }
  return '{"Sum":' + (fields.get("A") + fields.get("B")).toString() + "}";
}

export function caisson_run(): i32 {
  process.stdout.write(add(readAll()));
  return 0;
}

export function alloc(size: i32): usize {
  return heap.alloc(size);
}

export function run(at: usize, size: i32): u64 {
  const out = String.UTF8.encode(add(String.UTF8.decodeUnsafe(at, size)));
  heap.free(at);
  return ((changetype<usize>(out) as u64) << 32) | out.byteLength;
}
