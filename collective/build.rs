//! Compiles the C++ side against the libtorch that `LIBTORCH` points to, and, where NCCL's header is installed, the
//! plugin `libtandem_nccl.so` beside the binaries.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

/// The wheels of libtorch 2.7 and later use the new ABI; torch-sys has the same switch.
const CXX11_ABI: &str = "1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=csrc");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    let libtorch = env::var("LIBTORCH").map(PathBuf::from).map_err(
        |_| "LIBTORCH is not set: run cargo inside the workspace, whose .cargo/config.toml sets it, after `make setup`",
    )?;
    let header = libtorch.join("include/torch/csrc/distributed/c10d/ProcessGroupGloo.hpp");
    if !header.exists() {
        return Err(format!("{} is missing: run `make setup` to install libtorch", header.display()).into());
    }
    shim(&libtorch);
    kernels();
    plugin(&libtorch)
}

/// What both parts are compiled with.
fn compiler(libtorch: &Path) -> cc::Build {
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| CXX11_ABI.to_owned());
    let mut build = cc::Build::new();
    build.cpp(true).pic(true).std("c++17").define("_GLIBCXX_USE_CXX11_ABI", abi.as_str());
    // As system headers: their warnings are not ours.
    for folder in ["include", "include/torch/csrc/api/include"] {
        build.flag("-isystem").flag(libtorch.join(folder));
    }
    build
}

fn shim(libtorch: &Path) {
    compiler(libtorch)
        .define("USE_C10D_GLOO", None)
        .flag("-isystem")
        .flag("csrc/gloo_stub")
        .files(
            [
                "status",
                "rendezvous",
                "agree",
                "gloo_device",
                "process_group",
                "shard_sum",
                "batch_norm",
                "batch_norm_relu",
                "batch_norm_relu_jvp",
                "batch_norm_jvp",
                "convolution",
                "tf32",
                "build",
            ]
            .map(|name| format!("csrc/{name}.cpp")),
        )
        .compile("tandem_collective");
}

/// The same loops for each set of instructions that libtorch has its own kernels for, optimised in every build. After the
/// shim, which needs them.
fn kernels() {
    let x86: &[(&str, &[&str])] = &[
        ("kernels_avx2", &["-mavx2", "-mfma"]),
        ("kernels_avx512", &["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"]),
    ];
    let sets = if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") { x86 } else { &[] };
    for (name, flags) in [("kernels_default", [].as_slice())].iter().chain(sets) {
        let mut build = cc::Build::new();
        build.cpp(true).pic(true).std("c++17").opt_level(3).define("TANDEM_KERNELS", *name);
        for flag in *flags {
            build.flag(flag);
        }
        build.file("csrc/kernels/kernels.cpp").compile(&format!("tandem_{name}"));
    }
}

fn plugin(libtorch: &Path) -> Result<(), Box<dyn Error>> {
    let packages = libtorch.with_file_name("nvidia");
    let header = packages.join("nccl/include/nccl.h");
    if !header.exists() {
        // Cargo looks at the folder again when something is installed into it.
        println!("cargo:rerun-if-changed={}", packages.display());
        println!(
            "cargo:warning=no nccl.h in libtorch's nvidia folder: libtandem_nccl.so is not built, so ranks on GPUs cannot form a group; `make setup` installs it"
        );
        return Ok(());
    }
    println!("cargo:rerun-if-changed={}", header.display());
    let mut command = compiler(libtorch).define("USE_C10D_NCCL", None).try_get_compiler()?.to_command();
    for package in ["cuda_runtime", "nccl", "cublas", "cusparse", "cusolver"] {
        command.arg("-isystem").arg(packages.join(package).join("include"));
    }
    command.args(["-idirafter", "csrc/nccl/stub", "-idirafter", "csrc/gloo_stub"]);
    // libtorch's symbols stay open until the plugin is loaded; of its own it shows one, and keeps its copy of
    // status.cpp.
    command.args(["-shared", "-fvisibility=hidden"]);
    command.args(["csrc/nccl/backend.cpp", "csrc/status.cpp", "-o"]);
    command.arg(profile_folder()?.join("libtandem_nccl.so"));
    let status = command.status()?;
    if !status.success() {
        return Err(format!("the NCCL plugin did not compile ({status}): {command:?}").into());
    }
    Ok(())
}

/// `target/<profile>`, where cargo puts the binaries: OUT_DIR is `target/<profile>/build/<package>/out`.
fn profile_folder() -> Result<PathBuf, Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let folder = out.ancestors().nth(3).ok_or("OUT_DIR has an unexpected shape")?;
    Ok(folder.to_owned())
}
