//! libFuzzer with one of the library's targets, the one that the environment variable `FUZZ_TARGET` names.

#![no_main]

use std::alloc::System;
use std::sync::LazyLock;

use cap::Cap;
use magnum_capi_helm::fuzzing::TARGETS;

/// An allocation beyond this ends the program, which libFuzzer takes for a finding. (Its own limit needs a sanitizer.)
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 64 << 20);

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.into_iter().find(|(name, _)| *name == wanted);
    target.map_or_else(|| panic!("FUZZ_TARGET is not the name of a target: {wanted:?}"), |(_, target)| target)
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));
