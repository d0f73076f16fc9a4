// Which host compilers nvcc supports: of no matter where nvcc is not used.
#pragma once
#ifndef CUDARTAPI
#define CUDARTAPI
#endif
