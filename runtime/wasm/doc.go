// Package wasm turns untrusted bytes into a module that was read to its last instruction, and that into one that a sandbox can meter, stop and restore:
// the gate, Read, and the instrumenter, Instrument.
//
// It imports nothing of Caisson and knows no engine. It never runs code, and nothing that it hands on is a copied span of its input, data apart: the
// engine gets what our own reader understood, written anew in canonical form, since engines are known to read some valid spellings otherwise than the specification.
//
// # What passes
//
// WebAssembly core 2.0: sign extensions, saturating conversions, multiple values, bulk memory, reference types, mutable globals, SIMD. What is newer is
// refused by the name of its feature (threads, tail calls, exceptions, garbage collection, typed function references, extended constant
// expressions, 64-bit and multiple memories, relaxed SIMD), and so is a component. Of a module that passes, this holds:
//
//   - Every section stands once, in order, and is consumed to its last byte; every count is within limits.go and what the bytes left can hold, and was so before anything was allocated for it.
//   - Numbers, names and types are spelled as the specification allows; opcodes, immediates, alignments and lanes are those of core 2.0.
//   - Every index names something: types, functions, tables, memory, globals, labels, locals, segments. A global that is set is mutable; a function that ref.func names is declared.
//   - Blocks are balanced, and each body ends where it says.
//   - Constant expressions are one constant of the right type; element segments fit their table; the start function is () -> ().
//   - Functions are all that it imports, each one that Rules.Import took; no export begins with "caisson:" and no import is from such a module, since those names are the instrumenter's.
//
// What is not judged is the types of operands in bodies. The instrumenter keeps each operand's type, so the engine's validation of its output is a validation of
// the input. Indices are another matter, and the reason why the gate checks each of them: the instrumenter adds functions and globals after those of the
// module, and an index that named nothing must not come to name one of them.
//
// # Cost
//
// Read allocates less than four times the module's size (plus a quarter of a MiB, which small modules full of imports or exports need; 40 KB for a
// standard-Go guest of 4 MB) and its time is linear. What is per instruction, per segment or per name is not kept but read again when it is needed,
// which is why a Module keeps the bytes that it was read from.
package wasm
