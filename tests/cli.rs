//! Every command that the docs show, with its output: `TRYCMD=overwrite cargo test --test cli`
//! writes them anew, and the difference is what a user would see.

#[test]
fn commands_print_what_the_docs_show() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .case("README.md")
        .case("tests/cmd/*.md");
}
