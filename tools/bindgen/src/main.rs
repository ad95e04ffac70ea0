//! `crossrank-bindgen MODULE NAME FOLDER`: writes FOLDER/NAME.js and FOLDER/NAME_bg.wasm, which a page imports
//! as an ES module.

use std::error::Error;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, name, folder] = arguments.as_slice() else {
        return Err("usage: crossrank-bindgen MODULE NAME FOLDER".into());
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name(name).web(true)?;
    // Types are in web/src/wasm/surface.d.ts. Without a default path no bundler looks for the file itself.
    bindgen.typescript(false).omit_default_module_path(true);
    bindgen.remove_name_section(true).remove_producers_section(true);
    Ok(bindgen.generate(folder)?)
}
