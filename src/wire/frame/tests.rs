//! Bytes that are a message, and bytes that are none.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::settings::Compatibility;
use crate::wire::{Schema, connect};

const MOST: usize = Limits::DEFAULT.first_message_bytes;

/// The `schema/raw-*` rows.
#[test]
fn messages_are_read_as_observed() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    for (message, expected) in [
        ("hello", Err(FrameError::NotJson)),
        ("", Err(FrameError::NotJson)),
        ("{\"type\":\"req\",}", Err(FrameError::NotJson)),
        ("\u{feff}{}", Err(FrameError::NotJson)),
        ("{} {}", Err(FrameError::NotJson)),
        ("\0", Err(FrameError::NotJson)),
        ("1e999", Err(FrameError::NotJson)),
        (&*deep(30_000), Err(FrameError::NotJson)),
        ("null", Ok(Value::Null)),
        ("  \n{}\n ", Ok(json!({}))),
        ("{\"a\":1,\"a\":2}", Ok(json!({ "a": 2 }))),
        (
            "18446744073709551616",
            Ok(json!(18_446_744_073_709_551_616_f64)),
        ),
        ("\"\\u0000\"", Ok(json!("\0"))),
    ] {
        assert_eq!(read(message.as_bytes(), MOST), expected, "{:.40}", message);
    }
    assert_eq!(read(b"{\xff\xfe}", MOST), Err(FrameError::NotUtf8));
}

#[test]
fn one_byte_too_many_is_too_many() {
    let padded = |size: usize| format!("{{}}{}", " ".repeat(size - 2));
    assert!(read(padded(MOST).as_bytes(), MOST).is_ok());
    let error = read(padded(MOST + 1).as_bytes(), MOST).unwrap_err();
    assert_eq!(error, FrameError::TooLarge);
}

#[test]
fn each_is_closed_in_its_way_and_without_a_reason() {
    for (error, code) in [
        (FrameError::TooLarge, 1009),
        (FrameError::NotUtf8, 1007),
        (FrameError::NotJson, 1000),
    ] {
        assert_eq!(error.close(), Close::new(code, ""));
    }
}

const GOOD: &str = r#"{"type":"req","id":"c1","method":"connect","params":{"minProtocol":3,"maxProtocol":4,"client":{"id":"cli","version":"1","platform":"linux","mode":"cli"},"scopes":["operator.read"],"auth":{"token":"t"},"device":{"id":"d","publicKey":"k","signature":"s","signedAt":1,"nonce":"n"}}}"#;

fn judge(message: &[u8]) {
    let compatibility = Compatibility::default();
    if let Ok(frame) = read(message, MOST) {
        let _ = connect::parse(&frame, &Schema::of(&compatibility));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(message in prop::collection::vec(any::<u8>(), 0..512)) {
        judge(&message);
    }

    #[test]
    fn any_text_in_a_frame_is_answered(
        at in any::<prop::sample::Index>(),
        length in 0_usize..24,
        text in prop_oneof![
            "\\PC{0,12}",
            prop::sample::select(vec![
                "1e308", "-0", "1e999", "99999999999999999999", "\0", "\u{feff}", "[[[[[[[[", "{\"a\":",
                "\\ud800", "null", "\"", "{}", "[]", "true", "-1", "3.5",
            ]).prop_map(str::to_owned),
        ],
    ) {
        let from = at.index(GOOD.len());
        let to = (from + length).min(GOOD.len());
        let message = [&GOOD[..from], &text, &GOOD[to..]].concat();
        judge(message.as_bytes());
    }

    #[test]
    fn a_frame_cut_anywhere_or_nested_anyhow_is_answered(
        at in any::<prop::sample::Index>(),
        levels in 0_usize..4_000,
    ) {
        judge(&GOOD.as_bytes()[..at.index(GOOD.len())]);
        let nested = "[".repeat(levels) + &"]".repeat(levels);
        judge(GOOD.replace("\"t\"", &nested).as_bytes());
    }
}
