// The small task in Rust: {"A":1,"B":2} in, {"Sum":3} out, once through fd 0 and 1 (caisson_run) and once as a direct call (alloc, run).
use std::collections::HashMap;
use std::io::{Read, Write};

// add parses an object of numbers, key by key.
fn add(text: &[u8]) -> Option<Vec<u8>> {
    let body = std::str::from_utf8(text).ok()?.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut fields = HashMap::new();
    for pair in body.split(',') {
        let (key, value) = pair.split_once(':')?;
        let value: i64 = value.trim().parse().ok()?;
        fields.insert(key.trim().trim_matches('"').to_string(), value);
    }
    Some(format!("{{\"Sum\":{}}}", fields.get("A")? + fields.get("B")?).into_bytes())
}

#[no_mangle]
pub extern "C" fn caisson_run() -> i32 {
    let mut text = Vec::new();
    if std::io::stdin().read_to_end(&mut text).is_err() {
        return 1;
    }
    let out = match add(&text) {
        Some(out) => out,
        None => return 65,
    };
    let mut stdout = std::io::stdout();
    match stdout.write_all(&out).and_then(|_| stdout.flush()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

#[no_mangle]
pub extern "C" fn alloc(size: usize) -> *mut u8 {
    Box::leak(vec![0u8; size].into_boxed_slice()).as_mut_ptr()
}

#[no_mangle]
pub unsafe extern "C" fn run(at: *mut u8, size: usize) -> u64 {
    let text = Vec::from_raw_parts(at, size, size);
    let out = add(&text).unwrap_or_default().leak();
    (out.as_ptr() as u64) << 32 | out.len() as u64
}
