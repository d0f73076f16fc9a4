#pragma once
typedef enum : int {} cusolverStatus_t;
