#pragma once
typedef struct cublasContext* cublasHandle_t;
typedef enum : int {} cublasStatus_t;
