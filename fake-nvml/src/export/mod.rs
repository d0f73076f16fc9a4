//! The functions of NVML that this project calls, under their names in C. What is not here is as in a library of another
//! version: whoever asks for it is told that there is no such function.

mod device;
mod events;
mod handle;
mod processes;
mod system;
