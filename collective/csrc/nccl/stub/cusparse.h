#pragma once
typedef struct cusparseContext* cusparseHandle_t;
typedef enum : int {} cusparseStatus_t;
