#![no_main]

#[path = "../../src/js/value/file_url.rs"]
mod file_url;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| file_url::fuzz::file_url(bytes));
