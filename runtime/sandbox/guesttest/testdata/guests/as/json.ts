// A reactor with a small real job: {"A":1,"B":2} in, {"Sum":3} out.
let runs = 0; // stays 0 before every run, or the state was not clean

// readAll gives stdin as text.
function readAll(): string {
  const buf = new ArrayBuffer(4096);
  let text = "";
  let n = 0;
  while ((n = process.stdin.read(buf)) > 0) text += String.UTF8.decode(buf.slice(0, n));
  return text;
}

// parse reads an object of numbers, or gives null.
function parse(text: string): Map<string, i64> | null {
  text = text.trim();
  if (!text.startsWith("{") || !text.endsWith("}")) return null;
  const fields = new Map<string, i64>();
  const pairs = text.slice(1, -1).split(",");
  for (let i = 0; i < pairs.length; i++) {
    const parts = pairs[i].split(":");
    if (parts.length != 2) return null;
    fields.set(parts[0].trim().slice(1, -1), I64.parseInt(parts[1].trim()));
  }
  return fields;
}

export function caisson_run(): i32 {
  if (runs++ != 0) return 70;
  const text = readAll();
  const fields = parse(text);
  if (fields == null || !fields.has("A") || !fields.has("B")) {
    console.error("want A and B in " + text);
    return 65;
  }
  const sum = fields.get("A") + fields.get("B");
  process.stdout.write('{"Sum":' + sum.toString() + "}");
  return 0;
}
