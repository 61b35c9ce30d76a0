#pragma once
// For the few thread-locals that every allocation reads: at a fixed distance from the thread pointer, where a shared
// library's others cost a call each. Only for trivial types.
#define REPRISE_HOT_THREAD_LOCAL [[gnu::tls_model("initial-exec")]] thread_local
