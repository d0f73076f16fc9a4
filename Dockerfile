# Coordinator, worker and command line in one image. Built from a clean clone: docker compose build
# Awaits a test with an engine (README, "Docker").
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# CUDA=1 takes the libraries that a GPU host needs (5 GB); the default image is for CPUs.
ARG CUDA=0
COPY scripts/libtorch-cpu.txt scripts/libtorch-gpu.txt scripts/
RUN python3 -m pip install --quiet --no-deps --no-compile --require-hashes --only-binary=:all: \
        --implementation cp --python-version 3.11 --abi cp311 \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux2014_x86_64 --platform manylinux1_x86_64 \
        --target /src/.libtorch -r scripts/libtorch-cpu.txt $([ "$CUDA" = 1 ] && echo -r scripts/libtorch-gpu.txt) \
    && if [ "$CUDA" != 1 ]; then rm -f .libtorch/torch/lib/libtorch_cuda*.so .libtorch/nvidia/nccl/lib/libnccl.so*; fi
COPY . .
RUN cargo build --release --bins

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libgomp1 && rm -rf /var/lib/apt/lists/*
# The binaries find libtorch two folders above themselves, as in target/release.
COPY --from=build /src/.libtorch/torch/lib /opt/tandem/.libtorch/torch/lib
COPY --from=build /src/.libtorch/nvidia /opt/tandem/.libtorch/nvidia
COPY --from=build /src/target/release/tandem /src/target/release/tandem-server /src/target/release/tandem-worker /opt/tandem/target/release/
COPY --from=build /src/target/release/libtandem_nccl.s[o] /opt/tandem/target/release/
ENV PATH=/opt/tandem/target/release:$PATH
RUN useradd --system --create-home tandem && install -d -o tandem /store /data /state /join /run/tandem && install -d -m 700 -o tandem /tls
USER tandem
