//! Writes the JavaScript glue and the TypeScript types beside a built wasm module.
//!
//! A program of the workspace rather than an installed tool: the lockfile keeps it at the version of the macro, and
//! the two must match exactly.
//!
//! `rackrate-bindgen <module.wasm> <folder>`

use std::env::args_os;
use std::path::PathBuf;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let mut args = args_os().skip(1).map(PathBuf::from);
    let (Some(module), Some(folder), None) = (args.next(), args.next(), args.next()) else {
        eprintln!("usage: rackrate-bindgen <module.wasm> <folder>");
        return ExitCode::from(2);
    };
    let written = Bindgen::new()
        .input_path(&module)
        .out_name("rackrate")
        .web(true)
        // Without an argument `init()` loads the module that lies beside the glue.
        .map(|bindgen| bindgen.typescript(true).omit_default_module_path(false))
        // Names of functions are of use to a profiler only, and wasm-opt would remove them anyway.
        .and_then(|bindgen| bindgen.remove_name_section(true).generate(&folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", module.display());
            ExitCode::FAILURE
        }
    }
}
