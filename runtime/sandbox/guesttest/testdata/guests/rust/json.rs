// A reactor with a small real job: {"A":1,"B":2} in, {"Sum":3} out.
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};

static RUNS: AtomicU32 = AtomicU32::new(0); // stays 0 before every run, or the state was not clean

// parse reads an object of numbers.
fn parse(text: &str) -> Option<HashMap<String, i64>> {
    let body = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut fields = HashMap::new();
    for pair in body.split(',') {
        let (key, value) = pair.split_once(':')?;
        let key = key.trim().strip_prefix('"')?.strip_suffix('"')?;
        fields.insert(key.to_string(), value.trim().parse().ok()?);
    }
    Some(fields)
}

fn run() -> Result<(), i32> {
    if RUNS.fetch_add(1, Ordering::Relaxed) != 0 {
        return Err(70);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|_| 1)?;
    let fields = parse(&text).ok_or_else(|| {
        eprintln!("want an object of numbers: {}", text);
        65
    })?;
    let sum = fields.get("A").ok_or(65)? + fields.get("B").ok_or(65)?;
    let mut out = std::io::stdout();
    write!(out, "{{\"Sum\":{}}}", sum).and_then(|_| out.flush()).map_err(|_| 1)
}

#[no_mangle]
pub extern "C" fn caisson_run() -> i32 {
    match run() {
        Ok(()) => 0,
        Err(status) => status,
    }
}
