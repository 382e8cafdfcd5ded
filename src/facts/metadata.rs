//! Platform and device family: how they are compared, and when another one is still the same
//! device.

use std::borrow::Cow;

use super::client::{Client, Mode};
use super::text::{Text, lower};
use super::word::words;

words! {
    /// When a device that describes itself otherwise than when it was approved is another one.
    MetadataRule {
        Exact "exact" "whenever platform or family differ (up to 2026.4)",
        SameFamily "same-family" "unless only the system's version differs, or how its name is spelled (2026.9)",
    }
}

/// What a client says of its device, as it is signed and compared: trimmed,
/// and ASCII letters in lower case. Letters beyond ASCII stay as they are, so that no two
/// Unicode tables can disagree.
#[must_use]
pub fn normalize_metadata(text: &str) -> Cow<'_, str> {
    lower(text.trim())
}

/// The same of a text that is kept: itself, where it is so.
pub(crate) fn normalized(text: &Text) -> Text {
    let normal = normalize_metadata(text);
    match normal.len() == text.len() && matches!(normal, Cow::Borrowed(_)) {
        true => text.clone(),
        false => normal.into(),
    }
}

/// A platform with its family, both normalised; empty when none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description<'a> {
    /// The platform.
    pub platform: &'a str,
    /// The device family.
    pub family: &'a str,
}

/// Whether another platform still is the one that was approved, by [`MetadataRule::SameFamily`]:
/// a native app whose system was updated, a headless node whose runtime names its system
/// otherwise, and a client that was approved by the runtime's name and no family.
#[must_use]
pub fn same_platform(
    client: Client,
    mode: Mode,
    claimed: Description<'_>,
    approved: Description<'_>,
) -> bool {
    let (is, was) = (claimed.platform, approved.platform);
    let versions_of = |names: &[&str], text: &str| {
        let version = text.split_once(' ');
        version.is_some_and(|(name, version)| names.contains(&name) && !version.is_empty())
    };
    let mac = |text: &str| matches!(text, "darwin" | "macos") || versions_of(&["macos"], text);
    let android = |text: &str| text == "android" || versions_of(&["android"], text);
    let windows = |text: &str| matches!(text, "win32" | "windows");
    let app = matches!(mode, Mode::Ui | Mode::Node);
    let updated = match client {
        Client::NodeHost if mode == Mode::Node => {
            (matches!(is, "darwin" | "macos") && mac(was)) || (windows(is) && windows(was))
        }
        Client::Macos if app => versions_of(&["macos"], is) && mac(was),
        Client::Ios if app => [is, was]
            .iter()
            .all(|text| versions_of(&["ios", "ipados"], text)),
        Client::Watchos if app => [is, was].iter().all(|text| versions_of(&["watchos"], text)),
        Client::Android if app => android(is) && android(was),
        Client::Cli
        | Client::Fingerprint
        | Client::GatewayClient
        | Client::NodeHost
        | Client::Android
        | Client::BrowserCopilot
        | Client::ControlUi
        | Client::Ios
        | Client::Linux
        | Client::Macos
        | Client::Probe
        | Client::Tui
        | Client::Watchos
        | Client::Worker
        | Client::Test
        | Client::Webchat
        | Client::WebchatUi => false,
    };
    let renamed = approved.family.is_empty()
        && matches!(
            (claimed.family, is, was),
            ("mac", "macos", "darwin") | ("windows", "windows", "win32")
        );
    updated || renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizing_twice_changes_nothing() {
        for text in ["", " \t", " iPhone 15 ", "\u{130}OS", "\u{a0}X"] {
            let once = normalize_metadata(text);
            assert_eq!(normalize_metadata(&once), once, "{text}");
        }
    }

    /// Every exception of a recorded table of 9,000 rows, and nothing else of it.
    #[test]
    fn exceptions_are_those_that_were_recorded() {
        const PLATFORMS: [&str; 12] = [
            "linux",
            "darwin",
            "macos",
            "macos 15.4.0",
            "macos 15.5.0",
            "ios 18.4",
            "ios 18.5",
            "ipados 18.5",
            "android",
            "android 15",
            "win32",
            "windows",
        ];
        const FAMILIES: [(&str, &str); 7] = [
            ("", ""),
            ("mac", "mac"),
            ("", "mac"),
            ("mac", ""),
            ("iphone", "mac"),
            ("linux", ""),
            ("windows", ""),
        ];
        let of = |client: Client, is: &str, was: &str| match client.name() {
            "node-host" => matches!(
                (is, was),
                ("darwin", "macos" | "macos 15.4.0" | "macos 15.5.0")
                    | ("macos", "darwin" | "macos 15.4.0" | "macos 15.5.0")
                    | ("win32", "windows")
                    | ("windows", "win32")
            ),
            "openclaw-macos" => matches!(
                (is, was),
                (
                    "macos 15.4.0" | "macos 15.5.0",
                    "darwin" | "macos" | "macos 15.4.0" | "macos 15.5.0"
                )
            ),
            "openclaw-ios" => [is, was]
                .iter()
                .all(|text| matches!(*text, "ios 18.4" | "ios 18.5" | "ipados 18.5")),
            "openclaw-android" => is.starts_with("android") && was.starts_with("android"),
            _ => false,
        };
        for (client, mode) in [
            (Client::Cli, Mode::Cli),
            (Client::NodeHost, Mode::Node),
            (Client::Macos, Mode::Ui),
            (Client::Ios, Mode::Ui),
            (Client::Android, Mode::Node),
        ] {
            for (is, was) in PLATFORMS
                .iter()
                .flat_map(|is| PLATFORMS.iter().map(move |was| (*is, *was)))
                .filter(|(is, was)| is != was)
            {
                for (family, approved) in FAMILIES {
                    let renamed = matches!(
                        (family, approved, is, was),
                        ("mac", "", "macos", "darwin") | ("windows", "", "windows", "win32")
                    );
                    let same = same_platform(
                        client,
                        mode,
                        Description {
                            platform: is,
                            family,
                        },
                        Description {
                            platform: was,
                            family: approved,
                        },
                    );
                    let expected = renamed || of(client, is, was);
                    assert_eq!(same, expected, "{client} {is} {was} {family} {approved}");
                }
            }
        }
    }
}
