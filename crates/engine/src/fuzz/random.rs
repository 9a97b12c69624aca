//! Inputs for the targets without a fuzzer: such as were worth finding, what a fuzzer has left in `target/fuzz-corpus/`, and both changed at
//! random. Nothing tells which code an input reaches, so cargo-fuzz finds more. The tests of the addon take this file in as well.
//!
//! `ATOMIC_FUZZ_SECONDS` and `ATOMIC_FUZZ_SEED` say for how long, and from where, to go on.

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// So many inputs are made if nobody says for how long.
const INPUTS: usize = 20_000;
/// As the fuzzer has it.
const LONGEST: usize = 512;

/// Tries all inputs, and what comes of changing them; `words` are what belongs into them.
pub fn explore(target: &str, mut inputs: Vec<Vec<u8>>, words: &[&[u8]], claim: fn(&[u8])) {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("ATOMIC_FUZZ_SEED").unwrap_or(1);
    let until = number("ATOMIC_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    inputs.extend(corpus(target));
    for input in &inputs {
        check(target, input, claim);
    }
    let mut random = Rng::with_seed(seed);
    let mut tried = 0;
    while until.map_or(tried < INPUTS, |until| Instant::now() < until) {
        check(target, &change(&mut random, &inputs, words), claim);
        tried += 1;
    }
    println!("{target}: {tried} inputs of seed {seed}");
}

/// What a fuzzer has found to be interesting.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let folders = above.map(|above| above.join("target/fuzz-corpus").join(target));
    let files = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    files.filter_map(|file| fs::read(file.path()).ok()).collect()
}

fn check(target: &str, input: &[u8], claim: fn(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| claim(input))) {
        eprintln!("{target} is broken by b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

/// One of the inputs after a few changes.
fn change(random: &mut Rng, inputs: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
    let mut input = inputs[random.usize(..inputs.len())].clone();
    for _ in 0..random.usize(1..=6) {
        let from = random.usize(..=input.len());
        let to = random.usize(from..=input.len().min(from + 8));
        match random.u8(..6) {
            0 if from < input.len() => input[from] ^= 1 << random.u8(..8),
            1 if from < input.len() => input[from] = random.u8(..),
            2 => drop(input.drain(from..to)),
            3 => drop(input.splice(from..to, words[random.usize(..words.len())].iter().copied())),
            // A piece of it once more, or the rest of another one.
            4 => {
                let piece = input[from..to].to_vec();
                let at = random.usize(..=input.len());
                drop(input.splice(at..at, piece));
            }
            _ => {
                let other = &inputs[random.usize(..inputs.len())];
                input.truncate(from);
                input.extend(&other[random.usize(..=other.len())..]);
            }
        }
    }
    input.truncate(LONGEST);
    input
}
