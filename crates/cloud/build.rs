//! Sets the linker up for a Node.js addon.

fn main() {
    napi_build::setup();

    // A worker that loaded the addon may end while one of our threads still runs: the code must
    // stay mapped. (macOS keeps images with thread-locals, napi pins the module on Windows.)
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
