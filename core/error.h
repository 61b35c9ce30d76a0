#pragma once
// Errors say whose fault they are. The process can go on after any of them; a call that threw changed nothing
// unless its own header says otherwise.
#include <stdexcept>
#include <string>

namespace reprise {

// The base of every error that Reprise throws.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The caller asked for something that cannot be: names the op, the shapes or values, and what to do.
struct UserError : Error {
  using Error::Error;
};

// An allocation did not fit: bytes asked for, in use, the limit, and the largest holders by tag.
struct OutOfMemory : Error {
  using Error::Error;
};

// A device's own library failed: the call, its code and its text.
struct DeviceError : Error {
  using Error::Error;
};

// A file could not be read or written, or is not what it says: names the file and, where it can, the offset.
struct FileError : UserError {
  using UserError::UserError;
};

// Asked for while a step is captured (core/cuda_graph.h), which cannot hold it: the host reads what has not run, or waits for it.
struct CaptureError : UserError {
  using UserError::UserError;
};

// Reprise broke one of its own rules. Please report it.
struct InternalError : Error {
  using Error::Error;
};

}  // namespace reprise
