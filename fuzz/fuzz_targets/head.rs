//! The target `head`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gw_fuzz::head::run(data));
