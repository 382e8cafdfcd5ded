//! The target `import`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gw_fuzz::import::run(data));
